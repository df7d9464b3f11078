"""Where compiled code is kept, and when it is no longer used."""

from pathlib import Path

from numba import config

from inference.crf import compiled, sweep


def test_another_state_of_any_module_has_another_name(tmp_path):
    (tmp_path / "a.py").write_text("one = 1\n")
    (tmp_path / "b.py").write_text("two = 2\n")
    before = compiled.digest(tmp_path)
    assert compiled.digest(tmp_path) == before
    (tmp_path / "b.py").write_text("two = 3\n")
    assert compiled.digest(tmp_path) != before


def test_a_folder_that_was_asked_for_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    assert compiled.folder.__wrapped__().parent == tmp_path


def test_functions_are_kept_there_and_others_where_they_were():
    assert Path(sweep.sweep._cache.cache_path).is_relative_to(compiled.folder())
    assert compiled.folder().name not in str(config.CACHE_DIR)
