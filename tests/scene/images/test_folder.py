"""Picture files: known by suffix in any case, found by name, and near misses named."""

import pytest

from scene.images.folder import SUFFIXES, PictureFolder, is_picture


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "seq").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    names = ("a.JPG", "b.tif", "b.png", "._a.JPG", "notes.txt", "seq/c.webp", "__MACOSX/d.png")
    for name in (*names, "IMG-007.raw"):
        (tmp_path / name).touch()
    return PictureFolder(tmp_path)


def test_every_suffix_counts_in_any_case_and_companions_never(tmp_path):
    for suffix in SUFFIXES:
        assert is_picture(tmp_path / f"a{suffix}")
        assert is_picture(tmp_path / f"a{suffix.title()}")
        assert not is_picture(tmp_path / f"._a{suffix}")
    assert not is_picture(tmp_path / "a.txt")


def test_a_picture_is_found_by_its_name_without_suffix(folder):
    assert folder.find("a").name == "a.JPG"
    assert folder.find("seq/c").name == "c.webp"
    assert folder.find("b").name == "b.png"  # PNG before TIFF, whatever the disk says first
    assert folder.find("notes") is None
    assert folder.find("gone/a") is None


def test_a_name_may_come_with_its_suffix(folder):
    assert folder.named("a.JPG") == folder.named("a.jpg") == folder.named("a") == "a"
    assert folder.named("a.v2") is None


def test_every_picture_is_named_but_for_what_systems_leave(folder):
    assert folder.every() == ["a", "b", "seq/c"]


def test_the_nearest_file_differs_in_spelling_only(folder):
    assert folder.near("img_007") == "IMG-007.raw"
    assert folder.near("img_008") is None  # another number is another picture
    assert folder.near("seq/C") == "c.webp"
    assert folder.near("seq/C", {folder.find("seq/c")}) is None
