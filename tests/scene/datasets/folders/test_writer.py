import json
import os

import pytest
import torch
from PIL import Image

from scene.datasets.folders.voc import VOCScenes
from scene.datasets.folders.writer import VOCWriter, new_folder, picture_of, require_dataset_folder
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.labels import VOID, Labels

PETS = Labels(("background", "cat", "dog"), ((0, 0, 0), (9, 9, 9), (200, 10, 10)))


def write(folder, scenes, split="val", copy=False):
    writer = VOCWriter(folder, scenes.schema.labels, copy)
    for i in range(len(scenes)):
        scene = scenes.original(i)
        if scene.mask is not None:
            name, picture = picture_of(scenes, i, scene.image)
            writer.add(split, name, picture, scene.mask, scene.classes)
    writer.finish({"by": "a test"})
    return VOCScenes(folder, split, scenes.schema.size)


def same(one, other):
    assert len(one) == len(other)
    assert one.schema.labels == other.schema.labels
    for a, b in zip((one[i] for i in range(len(one))), other, strict=True):
        assert all(getattr(a, v).equal(getattr(b, v)) for v in ("image", "classes", "mask"))


def test_a_generated_dataset_reads_as_it_was_written(tmp_path, few):
    scenes = SyntheticScenes("val", size=(16, 16))
    same(write(tmp_path / "out", scenes), scenes)
    assert json.loads((tmp_path / "out" / "about.json").read_text()) == {"by": "a test"}


def test_a_folder_is_linked_or_copied(tmp_path, voc_folder):
    scenes = VOCScenes(voc_folder, "val", (24, 24))
    same(write(tmp_path / "linked", scenes), scenes)
    same(write(tmp_path / "copied", scenes, copy=True), scenes)
    original = voc_folder / "JPEGImages" / "photo_12.jpg"
    assert os.path.samefile(original, tmp_path / "linked" / "JPEGImages" / "photo_12.jpg")
    assert not os.path.samefile(original, tmp_path / "copied" / "JPEGImages" / "photo_12.jpg")


def test_where_nothing_can_be_linked_pictures_are_copied(tmp_path, voc_folder, monkeypatch):
    def refused(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refused)
    scenes = VOCScenes(voc_folder, "val", (24, 24))
    same(write(tmp_path / "out", scenes), scenes)


def test_image_level_labels_are_those_passed_not_those_of_the_mask(tmp_path):
    writer = VOCWriter(tmp_path, PETS)
    image, mask = torch.zeros(3, 20, 20), torch.full((20, 20), VOID)
    writer.add("train", "a", image, mask, torch.tensor([1.0, 0.0]))
    writer.add("train", "b", image, mask)
    assert not writer.add("val", "a", image, mask)
    writer.finish({})
    main = tmp_path / "ImageSets" / "Main"
    assert (main / "cat_train.txt").read_text() == "a  1\n"
    assert (main / "dog_train.txt").read_text() == "a -1\n"
    assert (main / "train.txt").read_text() == "a\nb\n"
    assert not (main / "val.txt").exists()
    assert VOCScenes(tmp_path, "train", (16, 16)).schema.labels == PETS


def write_half(folder):
    (folder / "half").write_text("")
    (folder / "half" / "file").write_text("")


def test_a_folder_is_whole_or_not_there(tmp_path):
    target = tmp_path / "deep" / "out"
    with pytest.raises(NotADirectoryError), new_folder(target) as part:
        write_half(part)
    assert list((tmp_path / "deep").iterdir()) == []
    for text in ("first", "second"):
        with new_folder(target) as part:
            (part / "about.json").write_text(text)
        assert [p.name for p in (tmp_path / "deep").iterdir()] == ["out"]
        assert (target / "about.json").read_text() == text


@pytest.mark.parametrize("moved", [False, True])
def test_what_a_killed_process_left_is_removed_or_put_back(tmp_path, moved):
    """Killed while it wrote, or after it had set the former folder aside for its own."""
    target, work = tmp_path / "out", tmp_path / ".out.part"
    (work / "new").mkdir(parents=True)
    (work / "new" / "half.txt").touch()
    former = work / "old" if moved else target
    former.mkdir()
    (former / "about.json").write_text("former")
    with pytest.raises(NotADirectoryError), new_folder(target) as part:
        write_half(part)
    assert (target / "about.json").read_text() == "former"
    assert [p.name for p in target.iterdir()] == ["about.json"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_two_do_not_write_the_same_folder(tmp_path):
    with new_folder(tmp_path / "out") as part:
        (part / "mine.txt").touch()
        with pytest.raises(BlockingIOError, match="in use by process"):
            new_folder(tmp_path / "out").__enter__()
        assert (part / "mine.txt").exists()
    assert [p.name for p in tmp_path.rglob("*")] == ["out", "mine.txt"]


def test_only_what_was_written_so_is_replaced(tmp_path):
    require_dataset_folder(tmp_path / "new", force=False)
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(ValueError, match=r"holds mine\.txt, which is no part of a dataset"):
        require_dataset_folder(tmp_path, force=True)
    with pytest.raises(ValueError, match=r"mine\.txt is a file"):
        require_dataset_folder(tmp_path / "mine.txt", force=True)
    (tmp_path / "about.json").write_text("")
    with pytest.raises(FileExistsError, match="--force to replace"):
        require_dataset_folder(tmp_path, force=False)
    require_dataset_folder(tmp_path, force=True)


@pytest.mark.parametrize("name", ["../a", "/a", "b/../../a", "C:a", "a\0", "..\\a"])
def test_nothing_is_written_outside_the_folder(tmp_path, name):
    image, mask = torch.zeros(3, 20, 20), torch.zeros(20, 20)
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match="a scene names "):
        VOCWriter(tmp_path / "out", PETS).add("train", name, image, mask)
    assert list(tmp_path.rglob("*")) == [tmp_path / "out"]


def fill(writer, image, mask):
    writer.add("train", "a", image, mask)
    writer.finish({})


def test_nothing_is_written_through_a_link(tmp_path):
    image, mask = torch.zeros(3, 20, 20), torch.zeros(20, 20)
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    for kind in ("JPEGImages", "SegmentationClass", "ImageSets"):
        (elsewhere / kind).mkdir(parents=True)
        out.mkdir(exist_ok=True)
        (out / kind).symlink_to(elsewhere / kind)
        with pytest.raises(ValueError, match=r"is outside .*out, and is not written"):
            fill(VOCWriter(out, PETS), image, mask)
        (out / kind).unlink()
    assert not [path for path in elsewhere.rglob("*") if path.is_file()]


def test_labels_do_not_lead_out_of_the_folder_either(tmp_path):
    labels = Labels(("background", "../../../evil"))
    (tmp_path / "out").mkdir()
    writer = VOCWriter(tmp_path / "out", labels)
    writer.add("train", "a", torch.zeros(3, 20, 20), torch.zeros(20, 20), torch.ones(1))
    with pytest.raises(ValueError, match="is outside"):
        writer.finish({})
    assert not list(tmp_path.glob("*evil*"))


def test_a_label_may_name_a_folder_within(tmp_path):
    labels = Labels(("background", "car/truck"))
    writer = VOCWriter(tmp_path, labels)
    for name in ("a", "b"):
        writer.add("val", name, torch.zeros(3, 20, 20), torch.zeros(20, 20), torch.ones(1))
    writer.finish({})
    (tmp_path / "ImageSets" / "Segmentation" / "val.txt").write_text("a\n")
    known = VOCScenes(tmp_path, "val", (16, 16))[1].classes
    assert known.tolist() == [1]


def test_a_folder_that_is_a_link_stays_one(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with new_folder(tmp_path / "link") as part:
        (part / "about.json").write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "about.json").read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {"link", "real"}


def test_pictures_that_exif_turns_are_written_with_masks_of_the_turned_ones(tmp_path, voc_folder):
    """The folder says so itself, so that reading it leaves nothing to assume."""
    exif = Image.Exif()
    exif[0x0112] = 3
    for i in range(12, 16):
        path = voc_folder / "JPEGImages" / f"photo_{i}.jpg"
        with Image.open(path) as picture:
            picture.save(path, exif=exif)
    (voc_folder / "ImageSets" / "Segmentation" / "unturned.txt").write_text("*\n")
    scenes = VOCScenes(voc_folder, "val", (24, 24))
    same(write(tmp_path / "out", scenes), scenes)
