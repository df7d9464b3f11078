"""Names of scenes: sub-folders stay, and nothing leads out of the folder."""

import pytest

from scene.storage.names import scene_name, within

FOREIGN = (
    "../a", "a/../../b", "..", "/etc/passwd", "//host/share", "C:\\a\\b", "C:a", "c:/a",
    "..\\..\\a", "\\\\host\\share", "a\\..\\..\\b", "", ".", "a\0b", "a\nb", "a\x1b[2Jb",
)  # fmt: skip


@pytest.mark.parametrize("text", FOREIGN)
def test_a_foreign_name_is_refused_in_one_sentence(text):
    with pytest.raises(ValueError, match=r"val\.txt names .*; name files within it") as caught:
        scene_name(text, "val.txt")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("photo 1", "photo 1"),
        ("seq/0001", "seq/0001"),
        ("seq\\0001", "seq/0001"),
        ("./a", "a"),
        ("a//b", "a/b"),
        ("..a", "..a"),
        ("a..b", "a..b"),
        ("12:30", "12:30"),
        ("été", "été"),
    ],
)
def test_other_names_are_brought_to_one_form(text, name):
    assert scene_name(text, "val.txt") == name


def test_links_do_not_lead_out(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    assert within(inside, inside / "a" / "b.png") == inside / "a" / "b.png"
    for path in (inside / "link" / "b.png", inside / ".." / "b.png", outside / "b", inside / "\0"):
        with pytest.raises(ValueError, match="is outside"):
            within(inside, path)


def test_a_folder_that_is_itself_a_link_is_written_to(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    assert within(tmp_path / "link", tmp_path / "link" / "a.png")
