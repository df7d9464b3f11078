"""Claims: a run is replaced by one that can be gone on with, or is there again."""

import shutil

import pytest

from inference.runs.claims import claimed, is_started, restore_aside
from inference.runs.run import ASIDE, MOVING
from scene.storage.locks import contents, locked


@pytest.fixture
def old(tmp_path):
    """Make a run that is complete, with a folder in it."""
    folder = tmp_path / "run"
    (folder / "code").mkdir(parents=True)
    for name in ("config.json", "weights.safetensors", "code/lab.py"):
        (folder / name).write_text("old")
    return folder


def _texts(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def _write(folder, *names):
    for name in names:
        (folder / name).write_text("new")


def _interrupted(folder):
    with claimed(folder, force=True):
        _write(folder, "config.json", "metrics.jsonl")
        raise KeyboardInterrupt


def test_a_run_that_came_to_a_checkpoint_takes_the_place_of_the_old(old):
    with claimed(old, force=True):
        assert [path.name for path in contents(old)] == [ASIDE]
        _write(old, "config.json", "checkpoint.safetensors")
    assert _texts(old) == {"config.json": "new", "checkpoint.safetensors": "new"}


def test_the_old_run_is_back_if_none_has_come(old):
    before = _texts(old)
    with pytest.raises(KeyboardInterrupt):
        _interrupted(old)
    assert _texts(old) == before


def test_a_folder_that_was_made_for_nothing_is_gone(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        _interrupted(tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_a_link_to_a_run_stays_one(old, tmp_path):
    (tmp_path / "link").symlink_to(old)
    with claimed(tmp_path / "link", force=True):
        _write(tmp_path / "link", "config.json", "weights.safetensors")
    assert (tmp_path / "link").is_symlink()
    assert _texts(old) == {"config.json": "new", "weights.safetensors": "new"}


def test_what_is_no_run_is_not_replaced(tmp_path):
    (tmp_path / "letter.txt").touch()
    with (
        pytest.raises(ValueError, match=r"holds letter\.txt, which is no part of a run"),
        claimed(tmp_path, force=True),
    ):
        pass
    with pytest.raises(ValueError, match="is a file"), claimed(tmp_path / "letter.txt", True):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_run_in_use_is_not_replaced(old):
    before = _texts(old)
    with locked(old), pytest.raises(BlockingIOError), claimed(old, force=True):
        pass
    assert _texts(old) == before


@pytest.mark.parametrize("moved", range(4))
def test_a_process_killed_while_it_set_the_run_aside_has_lost_nothing(old, moved):
    """Whatever had been moved by then, the next to have the folder finds it as it was."""
    before = _texts(old)
    (old / MOVING).mkdir()
    for name in ("config.json", "code", "weights.safetensors")[:moved]:
        (old / name).rename(old / MOVING / name)
    assert restore_aside(old)
    assert _texts(old) == before
    assert not restore_aside(old)


@pytest.mark.parametrize("written", [(), ("config.json",), ("config.json", "metrics.jsonl")])
def test_a_process_killed_before_its_checkpoint_has_lost_nothing(old, written):
    before = _texts(old)
    _move_aside(old)
    _write(old, *written)
    assert restore_aside(old)
    assert _texts(old) == before


def test_a_process_killed_after_its_checkpoint_has_replaced_the_run(old):
    _move_aside(old)
    _write(old, "config.json", "checkpoint.safetensors")
    assert not restore_aside(old)
    assert is_started(old)
    assert _texts(old) == {"config.json": "new", "checkpoint.safetensors": "new"}


def _move_aside(folder):
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.mkdir()
    shutil.move(aside, folder / ASIDE)
