"""The inventory: counts add up, and broken photographs are named."""

import os

import pytest

from scene.datasets.image_level.formats import read_image_labels
from scene.datasets.image_level.inventory import take_inventory


def test_counts_add_up(class_folder):
    (class_folder / "cat" / "00.jpg").unlink()
    (class_folder / "dog").rename(class_folder / "background")
    taken = take_inventory(read_image_labels(class_folder))
    assert taken.totals == {"bird": 10, "cat": 9}
    assert sum(taken.splits.values()) == 29
    assert all(sum(taken.counts[name].values()) == taken.totals[name] for name in taken.totals)
    assert taken.imbalance == pytest.approx(10 / 9)
    assert taken.unlabelled == 10
    assert (taken.checked, taken.broken) == (29, {})


def test_a_class_of_no_photograph_is_no_part_of_the_imbalance(photographs):
    root = photographs("a.jpg", "b.jpg", "c.jpg")
    (root / "labels.csv").write_text("file,cat,dog,cow\na.jpg,1,0,0\nb.jpg,1,0,0\nc.jpg,0,1,0\n")
    taken = take_inventory(read_image_labels(root))
    assert (taken.totals["cow"], taken.imbalance) == (0, 2)


def test_broken_photographs_are_named_without_stopping(class_folder):
    (class_folder / "cat" / "01.jpg").write_bytes(b"no picture")
    (class_folder / "cat" / "02.jpg").unlink()
    (class_folder / "cat" / "02.jpg").symlink_to("gone")
    (class_folder / "cat" / "03.jpg").unlink()
    os.mkfifo(class_folder / "cat" / "03.jpg")
    taken = take_inventory(read_image_labels(class_folder))
    assert taken.broken.keys() == {"cat/01.jpg", "cat/02.jpg", "cat/03.jpg"}
    assert "cannot be read as a picture" in taken.broken["cat/01.jpg"]
    assert "is a pipe" in taken.broken["cat/03.jpg"]


@pytest.mark.parametrize(("most", "checked"), [(30, 30), (15, 15), (10, 10), (7, 6), (1, 1)])
def test_the_check_is_bounded(class_folder, most, checked):
    assert take_inventory(read_image_labels(class_folder), most).checked == checked
