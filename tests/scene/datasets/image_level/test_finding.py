"""Photographs that a list names are found, or all missing ones are named."""

from pathlib import Path

import pytest

from scene.datasets.image_level.finding import ImageFinder

LIST = Path("/data/labels.csv")


def test_the_first_place_that_has_a_file_is_taken(photographs):
    root = photographs("a.jpg", "images/a.jpg", "images/b.jpg")
    finder = ImageFinder([root, root / "images", root / "gone"])
    assert finder.find("a.jpg") == root / "a.jpg"
    assert finder.find("b.jpg") == finder.find("b") == root / "images" / "b.jpg"
    assert finder.find("b.JPG") == root / "images" / "b.jpg"
    assert finder.find("b.png") is finder.find("c.jpg") is None
    assert finder.find("a.jpg/b.jpg") is finder.find("images") is None


def test_a_file_in_another_folder_and_a_similar_name_are_near(photographs):
    root = photographs("images/far.jpg", "img-01.jpg")
    with pytest.raises(FileNotFoundError) as caught:
        ImageFinder([root]).all_of(["far.jpg", "IMG_1.png", "else.jpg"], LIST)
    assert str(caught.value) == (
        f"{root} has no picture 'far.jpg', 'IMG_1.png', 'else.jpg', which labels.csv lists (there "
        "is 'images/far.jpg', 'img-01.jpg'); add them, or take them off the list."
    )


def test_of_many_missing_files_the_first_few_are_named(photographs):
    with pytest.raises(
        FileNotFoundError, match=r"'4.jpg' and 95 more, which labels.csv lists; add"
    ):
        ImageFinder([photographs()]).all_of([f"{i}.jpg" for i in range(100)], LIST)
