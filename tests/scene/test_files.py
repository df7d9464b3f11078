"""Files: what fails to be written leaves what was there."""

import pytest

from scene.files import replace_file


def _half(part):
    part.write_text("half")
    raise OSError("disk full")


def test_a_file_is_replaced_in_one_move(tmp_path):
    path = tmp_path / "a.txt"
    for text in ("old", "new"):
        replace_file(path, lambda part, text=text: part.write_text(text))
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    for target in (path, tmp_path / "new.txt"):
        with pytest.raises(OSError, match="disk full"):
            replace_file(target, _half)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"
