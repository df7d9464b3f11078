"""Folders of the user that may not be there."""

import os
from pathlib import Path

import pytest

from scene.storage import user_folders as places


@pytest.fixture
def homeless(monkeypatch):
    """Have neither a home nor anything that names folders in one."""

    def home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pathlib.Path.home", home)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as it does without a home


def test_without_a_home_there_is_no_cache_and_no_state(homeless, monkeypatch):
    assert places.cache_folder() is None
    assert places.state_folder() is None
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert places.state_folder() == Path("/state")


def test_without_a_home_a_tilde_means_nothing(homeless):
    assert places.expanded("a/~b") == Path("a/~b")
    with pytest.raises(ValueError, match=r"^'~' in ~/data stands for a home that is not known"):
        places.expanded("~/data")


def test_with_a_home_they_are_in_it(monkeypatch, tmp_path):
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert places.cache_folder() == tmp_path / ".cache"
    assert places.state_folder() == tmp_path / ".local" / "state"
    assert places.expanded("~/a") == tmp_path / "a"


def test_a_folder_below_a_file_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    assert not places.writable(tmp_path / "file" / "folder")
    assert places.writable(tmp_path / "a" / "b")


def test_matplotlib_gets_a_folder_where_it_has_none(homeless, monkeypatch, tmp_path):
    monkeypatch.setenv("MPLCONFIGDIR", "of one's own")
    places.settle_matplotlib()
    assert os.environ["MPLCONFIGDIR"] == "of one's own"
    monkeypatch.delenv("MPLCONFIGDIR")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    places.settle_matplotlib()
    folder = Path(os.environ["MPLCONFIGDIR"])
    assert folder.parent == tmp_path
    monkeypatch.delenv("MPLCONFIGDIR")
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "new" / name))
    places.settle_matplotlib()
    assert "MPLCONFIGDIR" not in os.environ
    assert not (tmp_path / "new").exists()
    (tmp_path / "new").write_text("no folder")
    places.settle_matplotlib()
    assert os.environ["MPLCONFIGDIR"] == str(folder)
    monkeypatch.delenv("MPLCONFIGDIR")


def test_a_temporary_folder_is_ones_own_or_none(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    folder = places.temporary_folder("scene-test")
    assert folder is not None
    assert folder.stat().st_mode & 0o777 == 0o700
    assert places.temporary_folder("scene-test") == folder
    folder.chmod(0o777)  # somebody else could have put something there
    assert places.temporary_folder("scene-test") is None
    folder.rmdir()
    folder.symlink_to(tmp_path)
    assert places.temporary_folder("scene-test") is None
    folder.unlink()
    folder.write_text("")
    assert places.temporary_folder("scene-test") is None
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    other = places.temporary_folder("scene-other")
    assert other is None  # made by this user, not by that one
