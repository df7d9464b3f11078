"""Label maps: ids by line order, and every unreadable line named."""

import os
from pathlib import Path

import pytest

from scene.labelmap import VOC, read_labelmap
from scene.labels import voc_colours


def _read(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "labelmap.txt"
    path.write_bytes(text.encode(encoding))
    return read_labelmap(path)


def test_ids_are_line_order_and_comments_do_not_count(tmp_path):
    labels = _read(tmp_path, "# label:color_rgb\nsky:1,2,3::\n\n#no:0,0,0::\nsea: 4, 5, 6:a,b:c\n")
    assert labels.names == ("sky", "sea")
    assert labels.colours == ((1, 2, 3), (4, 5, 6))


def test_no_label_named_background_means_no_background(tmp_path):
    assert _read(tmp_path, "sky:1,2,3::\nsea:4,5,6::\n").background is None
    assert _read(tmp_path, "sky:1,2,3::\nbackground:0,0,0::\n").background == 1


def test_colours_left_out_are_those_of_voc(tmp_path):
    assert _read(tmp_path, "sky\nsea:::\nland:\n").colours == voc_colours(3)


def test_what_other_systems_write_is_read(tmp_path):
    """A byte order mark and carriage returns are not part of a name."""
    assert _read(tmp_path, "sky:1,2,3::\r\nsea:4,5,6::\r\n", "utf-8-sig").names == ("sky", "sea")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sky:1,2::\n", "Line 1 of .*has the colour '1,2'"),
        ("# c\nsky:1,2,256::\n", "Line 2 of .*each from 0 to 255"),
        ("sky:red::\n", "has the colour 'red'"),
        (":1,2,3::\n", "Line 1 of .*names no label"),
        ("sky:1,2,3::\nsea:1,2,3::\n", "gives 'sea' the colour 1,2,3 of 'sky'"),
        ("sky:1,2,3::\nsky:4,5,6::\n", "cannot be used: The label 'sky' is listed twice"),
        ("# nothing\n", "lists no class"),
        ("background:0,0,0::\n", "lists no class"),
        ("".join(f"l{i}:::\n" for i in range(256)), "one label more than 255"),
    ],
)
def test_an_unreadable_line_is_named(tmp_path, text, said):
    with pytest.raises(ValueError, match=said):
        _read(tmp_path, text)


def test_text_that_is_not_utf8_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="is not UTF-8 text; save it as UTF-8"):
        _read(tmp_path, "höhle:1,2,3::\n", "latin-1")


def test_voc_has_21_labels_and_20_classes():
    assert len(VOC.names) == 21
    assert len(VOC.classes) == 20
    assert VOC.names[15] == "person"


def test_what_is_no_small_file_is_refused_at_once(tmp_path):
    with pytest.raises(ValueError, match=r"^/dev/zero is a device, not a file"):
        read_labelmap(Path("/dev/zero"))
    os.mkfifo(tmp_path / "labelmap.txt")
    with pytest.raises(ValueError, match=r"labelmap\.txt is a pipe, not a file"):
        read_labelmap(tmp_path / "labelmap.txt")
    with pytest.raises(ValueError, match="is larger than 1 MB, the most"):
        _read(tmp_path.parent, "#" * (2**20 + 1))
