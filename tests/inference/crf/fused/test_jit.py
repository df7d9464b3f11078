"""Where compiled code is kept, and when it is no longer used."""

from pathlib import Path

import pytest
from numba import config

from inference.crf.fused import fused_pass
from inference.crf.fused.cpu import jit


def test_another_state_of_any_module_has_another_name(tmp_path):
    (tmp_path / "a.py").write_text("one = 1\n")
    (tmp_path / "b.py").write_text("two = 2\n")
    before = jit.source_digest(tmp_path)
    assert jit.source_digest(tmp_path) == before
    (tmp_path / "b.py").write_text("two = 3\n")
    assert jit.source_digest(tmp_path) != before


def test_a_folder_that_was_asked_for_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    assert jit.code_folder.__wrapped__().parent == tmp_path


def test_functions_are_kept_there_and_others_where_they_were():
    assert Path(fused_pass.fused_pass._cache.cache_path).is_relative_to(jit.code_folder())
    assert jit.code_folder().name not in str(config.CACHE_DIR)


@pytest.fixture
def doubling(tmp_path, monkeypatch):
    """Give a function that compiles another, which doubles, as a process does that begins."""
    monkeypatch.setattr(jit, "code_folder", lambda: tmp_path)

    def double(x: int) -> int:
        return 2 * x

    return lambda: jit.jit(double)


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("harm", [lambda held: held[: len(held) // 2], lambda held: b"", bytes])
def test_compiled_code_that_is_damaged_is_made_anew(doubling, tmp_path, caplog, suffix, harm):
    assert doubling()(2) == 4
    kept = {path: path.read_bytes() for path in tmp_path.rglob(f"*.{suffix}")}
    assert kept
    for path, held in kept.items():
        path.write_bytes(harm(held))
    again = doubling()
    assert again(3) == 6
    assert bool(again.stats.cache_hits) == (harm is bytes)
    assert ("made anew" in caplog.text) == (harm is not bytes)
    third = doubling()
    assert third(4) == 8
    assert third.stats.cache_hits


def test_code_runs_where_nothing_can_be_kept(doubling, tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "code_folder", lambda: None)
    assert doubling()(2) == 4
    monkeypatch.setattr(jit, "code_folder", lambda: tmp_path / "file" / "below")
    (tmp_path / "file").write_text("")
    assert doubling()(2) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_first_folder_that_can_be_written_to_is_taken(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    beside, other = tmp_path / "file" / "a", tmp_path / "b"
    monkeypatch.setattr(jit, "_places", lambda _: iter([beside, other]))
    assert jit.code_folder.__wrapped__().parent == other
    monkeypatch.setattr(jit, "_places", lambda _: iter([beside]))
    assert jit.code_folder.__wrapped__() is None
    assert "NUMBA_CACHE_DIR" in caplog.text


def test_without_a_home_there_is_a_temporary_folder(tmp_path, monkeypatch):
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pathlib.Path.home", _nobody)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    places = list(jit._places(tmp_path / "beside"))
    assert [place.parent for place in places] == [tmp_path, tmp_path]


def _nobody():
    raise RuntimeError("Could not determine home directory.")
