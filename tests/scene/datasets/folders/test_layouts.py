"""Folders as people have them: layouts, suffixes and lists that are nearly VOC's."""

import shutil

import pytest
import torch
from PIL import Image

from scene.datasets.catalogue import evaluation_split, labels_in, open_data, splits_of
from scene.datasets.folders.index import entries, labels_of
from scene.datasets.folders.voc import VOCScenes
from scene.images.io import write_image, write_mask
from scene.notices import Notice

SIZE = (24, 32)
COLOURS = ["background:0,0,0::", "cat:128,0,0::", "dog:0,128,0::", "bird:128,128,0::"]


def _scenes(root, split="train"):
    """Give the views of every scene, whatever it is called."""
    scenes = VOCScenes(root, split, SIZE)
    return {s.name.split("/")[-1]: s for s in (scenes[i] for i in range(len(scenes)))}


def _same(one, other):
    assert one.keys() == other.keys()
    for name, scene in one.items():
        assert torch.equal(scene.mask, other[name].mask)
        assert torch.equal(scene.classes, other[name].classes)


@pytest.fixture
def val(voc_folder):
    return _scenes(voc_folder, "val")


def _lists(root, line, split="val"):
    """Write the list of a split anew, each scene as ``line`` says."""
    path = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    path.write_text("".join(f"{line(name)}\n" for name in path.read_text().split()))


LINES = {
    "suffix": lambda n: f"{n}.jpg",
    "other case": lambda n: f"{n}.JPG",
    "path": lambda n: f"JPEGImages/{n}.jpg",
    "path of the folder": lambda n: f"pets/JPEGImages/{n}",
    "path from the root": lambda n: f"/JPEGImages/{n}.jpg /SegmentationClass/{n}.png",
    "pair": lambda n: f"JPEGImages/{n}.jpg SegmentationClass/{n}.png",
    "pair of names": lambda n: f"{n}.jpg,{n}.png",
    "backslashes": lambda n: f"JPEGImages\\{n}.jpg",
    "quotes": lambda n: f'"{n}"',
    "here": lambda n: f"./{n}",
}


@pytest.mark.parametrize("kind", LINES)
def test_lists_name_scenes_as_people_do(voc_folder, val, kind):
    _lists(voc_folder, LINES[kind])
    _same(_scenes(voc_folder, "val"), val)


def test_image_level_lists_name_scenes_likewise(voc_folder):
    known = {e.name: e.classes for e in entries(voc_folder, "train", labels_of(voc_folder))}
    for path in (voc_folder / "ImageSets" / "Main").glob("*_train.txt"):
        path.write_text(path.read_text().replace(" ", ".jpg ").replace(".jpg .jpg", ".jpg"))
    again = {e.name: e.classes for e in entries(voc_folder, "train", labels_of(voc_folder))}
    assert again.keys() == known.keys()
    for name, classes in known.items():
        assert (classes is None) == (again[name] is None)
        assert classes is None or torch.equal(classes, again[name])


def test_a_pair_may_name_a_mask_of_another_name(voc_folder, val):
    masks = voc_folder / "SegmentationClass"
    for path in masks.glob("photo_1[2-5].png"):
        path.rename(masks / f"gt-{path.name}")
    _lists(voc_folder, lambda n: f"JPEGImages/{n}.jpg SegmentationClass/gt-{n}.png")
    _same(_scenes(voc_folder, "val"), val)


@pytest.mark.parametrize(
    "suffix", [".bmp", ".tif", ".webp", ".jfif", ".Jpg", ".gif", ".ppm", ".jp2", ".JPEG", ".PNG"]
)
def test_images_may_have_any_suffix(voc_folder, val, suffix):
    kind = {".jfif": "JPEG", ".jp2": "JPEG2000", ".gif": "GIF"}.get(suffix)
    for path in (voc_folder / "JPEGImages").glob("*.jpg"):
        with Image.open(path) as picture:
            picture.save(path.with_suffix(suffix), format=kind)
        if not path.with_suffix(suffix).samefile(path):
            path.unlink()
    _same(_scenes(voc_folder, "val"), val)


@pytest.mark.filterwarnings("ignore::scene.notices.Notice")  # GIF sorts palettes anew
@pytest.mark.parametrize("suffix", [".PNG", ".bmp", ".tiff", ".gif"])
def test_masks_may_have_any_suffix_that_keeps_them(voc_folder, val, suffix):
    for path in (voc_folder / "SegmentationClass").glob("*.png"):
        with Image.open(path) as picture:
            picture.save(path.with_suffix(suffix))
        path.unlink()
    _same(_scenes(voc_folder, "val"), val)


def test_companions_of_macos_are_no_pictures_and_no_splits(voc_folder, val):
    for path in [p for p in voc_folder.rglob("*") if p.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7\xff")
    assert splits_of(str(voc_folder)) == ("train", "tune", "val")
    _same(_scenes(voc_folder, "val"), val)


@pytest.fixture
def listless(voc_folder):
    """Make the 12 scenes with masks a folder without lists."""
    for name in (f"photo_{i:02d}" for i in range(8, 12)):
        (voc_folder / "JPEGImages" / f"{name}.jpg").unlink()
    every = _scenes(voc_folder, "val")
    (voc_folder / "ImageSets" / "Main" / "train.txt").unlink()
    every |= _scenes(voc_folder, "train") | _scenes(voc_folder, "tune")
    shutil.rmtree(voc_folder / "ImageSets")
    return voc_folder, every


def _whole(root):
    return _scenes(root, "train") | _scenes(root, "tune")


def test_without_lists_every_scene_with_a_mask_is_train_and_tune_is_held_out(listless):
    root, every = listless
    assert splits_of(str(root)) == ("train", "tune")
    assert len(every) == 12
    _same(_whole(root), every)


@pytest.mark.parametrize("masks", ["SegmentationClass", "SegmentationClassPNG"])
def test_what_labelme2voc_writes_is_read(listless, masks):
    root, every = listless
    (root / "labelmap.txt").unlink()
    names = ["__ignore__", "_background_", "cat", "dog", "bird"]
    (root / "class_names.txt").write_text("".join(f"{name}\n" for name in names))
    if masks != "SegmentationClass":
        (root / "SegmentationClass").rename(root / masks)
        (root / "SegmentationClass").mkdir()
        (root / "SegmentationClass" / "photo_00.npy").touch()
    (root / "SegmentationClassVisualization").mkdir()
    labels = labels_in(str(root))
    assert labels.names == ("_background_", "cat", "dog", "bird")
    assert labels.background == 0
    _same(_whole(root), every)


@pytest.mark.parametrize("ending", ["", "_mask"])
def test_images_beside_masks_are_read(listless, ending):
    root, every = listless
    (root / "JPEGImages").rename(root / "images")
    (root / "SegmentationClass").rename(root / "Masks")
    for path in (root / "Masks").glob("*.png"):
        path.rename(path.with_stem(f"{path.stem}{ending}"))
    _same(_whole(root), every)


def test_folders_of_images_may_be_splits(listless):
    root, every = listless
    for kind, folder in (("JPEGImages", "images"), ("SegmentationClass", "masks")):
        (root / kind).rename(root / folder)
        for split, numbers in (("train", range(8)), ("valid", range(12, 16))):
            (root / folder / split).mkdir()
            for path in [p for i in numbers for p in (root / folder).glob(f"photo_{i:02d}.*")]:
                path.rename(root / folder / split / path.name)
    assert splits_of(str(root)) == ("train", "tune", "val")
    assert VOCScenes(root, "val", SIZE)[0].name == "valid/photo_12"
    _same(_whole(root) | _scenes(root, "val"), every)


def test_what_roboflow_exports_is_read(listless, tmp_path):
    root, every = listless
    out = tmp_path / "export"
    for split, numbers in (("train", range(6)), ("valid", range(6, 8)), ("test", range(12, 16))):
        (out / split).mkdir(parents=True)
        for i in numbers:
            name = f"photo_{i:02d}"
            shutil.copy(root / "JPEGImages" / f"{name}.jpg", out / split)
            shutil.copy(
                root / "SegmentationClass" / f"{name}.png", out / split / f"{name}_mask.png"
            )
        rows = ["Pixel Value, Class", *(f"{i}, {c.split(':')[0]}" for i, c in enumerate(COLOURS))]
        (out / split / "_classes.csv").write_text("\n".join(rows))
    assert splits_of(str(out)) == ("train", "tune", "val", "test")
    _same(_whole(out) | _scenes(out, "val") | _scenes(out, "test"), every)
    (out / "train" / "_classes.csv").write_text("Pixel Value, Class\n1, cat\n2, dog\n")
    for split in ("test", "valid"):
        (out / split / "_classes.csv").unlink()
    with pytest.raises(
        ValueError, match="gives 'cat' the id '1', not 0; list ids from 0 in order"
    ):
        labels_in(str(out))


def _nested(root, tmp_path):
    return root.parent


def _zip_only(root, tmp_path):
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "pets.zip").touch()
    return tmp_path / "z"


def _misspelt(root, tmp_path):
    (root / "JPEGImages").rename(root / "JpegImage")
    return root


def _loose(root, tmp_path):
    return (root / "JPEGImages").rename(tmp_path / "loose")


def _zip(root, tmp_path):
    (tmp_path / "pets.zip").touch()
    return tmp_path / "pets.zip"


NEAR = {
    "nested": (_nested, "pets is in a layout that is read: give that"),
    "an archive in it": (_zip_only, r"the archive pets\.zip: unpack that, and give its folder"),
    "misspelt": (_misspelt, "is it 'JpegImage'. Call that JPEGImages"),
    "loose": (_loose, "the 16 pictures in it belong there"),
    "an archive": (_zip, r"pets\.zip is an archive; unpack it first, and give the folder 'pets'"),
}


@pytest.mark.parametrize("case", NEAR)
def test_what_comes_near_is_named(voc_folder, tmp_path, case):
    change, message = NEAR[case]
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        open_data(str(change(voc_folder, tmp_path)), "train")


def test_all_that_is_missing_is_named_at_once(voc_folder):
    images, masks = voc_folder / "JPEGImages", voc_folder / "SegmentationClass"
    (images / "photo_12.jpg").rename(images / "PHOTO-12.raw")
    (images / "photo_13.jpg").unlink()
    (masks / "photo_14.png").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        entries(voc_folder, "val", labels_of(voc_folder))
    message = str(caught.value)
    assert (
        "has no picture of 'photo_12', 'photo_13' (there is 'PHOTO-12.raw'); add them" in message
    )
    assert "has no mask of 'photo_14'; add it" in message


def test_a_scene_alone_has_no_tune_and_nobody_looks_for_it(voc_folder):
    for kind in ("Segmentation", "Main"):
        (voc_folder / "ImageSets" / kind / "train.txt").write_text("photo_00\n")
        for path in (voc_folder / "ImageSets" / kind).glob("*val.txt"):
            path.unlink()
    assert splits_of(str(voc_folder)) == ("train",)
    with pytest.raises(LookupError, match=r"it has train \(of one scene of train, none is held"):
        open_data(str(voc_folder), "tune")
    with pytest.raises(LookupError, match="has no masks to score against"):
        evaluation_split(str(voc_folder))


@pytest.mark.parametrize("few", [0, 2])
def test_images_without_masks_of_their_name_are_named(listless, few):
    root, _ = listless
    for path in sorted((root / "SegmentationClass").iterdir())[few:]:
        path.rename(path.with_stem(f"{path.stem}_seg"))
    if few:
        with pytest.warns(Notice, match=r"'photo_02', .* and 5 more; each is read as an image al"):
            assert len(open_data(str(root), "train")) == 10
    else:
        with pytest.raises(
            LookupError, match=r"no mask of .*there is 'photo_00_seg\.png'.*call ea"
        ):
            open_data(str(root), "train")


@pytest.mark.parametrize("name", ["Background", "_background_", "BACKGROUND", "__background__"])
def test_background_is_background_however_it_is_written(voc_folder, val, name):
    text = (voc_folder / "labelmap.txt").read_text()
    (voc_folder / "labelmap.txt").write_text(text.replace("background", name))
    (voc_folder / "ImageSets" / "Main" / f"{name}_train.txt").write_text("photo_00 1\n")
    again = _scenes(voc_folder, "val")
    _same(again, val)
    assert labels_of(voc_folder).classes == ("cat", "dog", "bird")
    assert len(_scenes(voc_folder, "train")) > 1


FOREIGN = ("../../logo", "/etc/hosts", "C:\\logo", "..\\logo", "a\0b")
PLACES = ("Segmentation/val", "Segmentation/train", "Segmentation/weak", "Main/train",
          "Main/cat_train", "Segmentation/unturned")  # fmt: skip


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("place", PLACES)
def test_foreign_names_are_refused_in_every_list(voc_folder, foreign, place):
    path = voc_folder / "ImageSets" / f"{place}.txt"
    line = f"{foreign} 1\n" if "cat_" in place else f"{foreign}\n"
    path.write_text((path.read_text() if path.exists() else "") + line)
    with pytest.raises(ValueError, match=rf"{path.name} names .*; name files within it"):
        open_data(str(voc_folder), "val" if place.endswith("val") else "train", SIZE)


@pytest.mark.parametrize("name", ["../../evil", "/evil", "a\0b", "#cat", "C:cat"])
def test_labels_that_could_name_foreign_files_are_refused(voc_folder, name):
    (voc_folder / "labelmap.txt").unlink()
    (voc_folder / "class_names.txt").write_text(f"background\n{name}\n")
    with pytest.raises(ValueError, match=r"class_names\.txt names "):
        labels_of(voc_folder)


def test_a_list_may_say_that_masks_are_drawn_on_stored_pixels(voc_folder):
    """Scene 12 lies on its head by EXIF; whether its mask does, sizes do not tell."""
    exif = Image.Exif()
    exif[0x0112] = 3
    path = voc_folder / "JPEGImages" / "photo_12.jpg"
    with Image.open(path) as picture:
        picture.save(path, exif=exif)
    unturned = voc_folder / "ImageSets" / "Segmentation" / "unturned.txt"
    masks = {}
    for text in ("", "photo_12\n", "*\n"):
        unturned.write_text(text)
        assert splits_of(str(voc_folder)) == ("train", "tune", "val")
        masks[text] = VOCScenes(voc_folder, "val", SIZE).original(0).mask
    assert torch.equal(masks[""].flip(0, 1), masks["*\n"])
    assert torch.equal(masks["photo_12\n"], masks["*\n"])


def test_scenes_in_folders_within_are_read_as_ever(voc_folder):
    for kind, write, values in (
        ("JPEGImages", write_image, torch.zeros(3, 32, 48, dtype=torch.uint8)),
        ("SegmentationClass", None, torch.ones(32, 48, dtype=torch.uint8)),
    ):
        path = voc_folder / kind / "seq" / "0001.png"
        if write:
            write(path, values)
        else:
            write_mask(path, values, labels_of(voc_folder))
    _lists(voc_folder, lambda n: "seq/0001")
    (scene,) = [s for s in VOCScenes(voc_folder, "val", SIZE) if s.name == "seq/0001"]
    assert (scene.mask == 1).all()
