"""Scenes with image-level labels: photographs of any kind, framed, with class vectors."""

import numpy as np
import pytest
import torch
from PIL import Image

from scene.datasets.catalogue import open_data
from scene.datasets.folders.writer import picture_of
from scene.datasets.image_level.dataset import ImageLevelScenes
from scene.datasets.image_level.formats import read_image_labels

RED = (220, 40, 40)


def _kinds(root):
    """Write one red photograph in many ways; their names tell how."""
    picture = Image.new("RGB", (30, 20), RED)
    picture.save(root / "plain.jpg", quality=100)
    turned = Image.Exif()
    turned[0x0112] = 6
    picture.save(root / "turned.jpg", exif=turned)
    Image.new("CMYK", (30, 20), (0, 209, 209, 35)).save(root / "cmyk.jpg")
    Image.new("RGBA", (30, 20), (*RED, 0)).save(root / "alpha.png")
    Image.fromarray(np.full((20, 30), 65535, np.uint16)).save(root / "deep.png")
    picture.convert("P").save(root / "palette.gif")
    picture.save(root / "tall.bmp")


@pytest.mark.parametrize("form", ["folders", "table", "coco"])
def test_photographs_of_every_kind_pass_through(photographs, form):
    root = photographs("cat/x.jpg", "dog/y.jpg")
    _kinds(root / "cat")
    files = sorted(f"cat/{path.name}" for path in (root / "cat").iterdir())
    if form == "table":
        rows = "".join(f"{name},cat,train\n" for name in files)
        (root / "labels.csv").write_text(f"file,labels,split\n{rows}dog/y.jpg,dog,train\n")
    if form == "coco":
        images = ", ".join(f'{{"id": {i}, "file_name": "{name}"}}' for i, name in enumerate(files))
        (root / "annotations.json").write_text(
            f'{{"images": [{images}], "annotations": [{{"image_id": 0, "category_id": 1}}], '
            '"categories": [{"id": 1, "name": "cat"}]}'
        )
    index = read_image_labels(root)
    sets = [ImageLevelScenes(index, split, (16, 24)) for split in index.by_split]
    sizes, means = {}, {}
    for scenes in sets:
        for i in range(len(scenes)):
            assert scenes[i].image.shape == (3, 16, 24)
            assert scenes[i].mask is None
            kind = scenes[i].name.split("/")[-1]
            original = scenes.original(i)
            sizes[kind] = tuple(original.image.shape[1:])
            means[kind] = original.image.float().mean((1, 2))
    assert sizes["turned"] == (30, 20)
    assert sizes["plain"] == sizes["cmyk"] == sizes["deep"] == (20, 30)
    for kind in ("plain", "turned", "cmyk", "palette", "tall"):
        torch.testing.assert_close(means[kind], torch.tensor(RED).float(), atol=30, rtol=0)
    assert (means["alpha"] == 255).all()
    assert (means["deep"] == 255).all()


def test_the_class_vector_says_which_classes_are_there(class_folder):
    scenes = open_data(str(class_folder), "train", (32, 32))
    assert scenes.schema.labels.names == ("background", "bird", "cat", "dog")
    for i in range(len(scenes)):
        assert scenes.schema.labels.decode(scenes[i].classes) == (scenes[i].name.split("/")[0],)
        assert picture_of(scenes, i, scenes[i].image)[0] == scenes[i].name


def test_a_split_or_a_number_of_scenes_that_is_not_there_is_refused(class_folder):
    index = read_image_labels(class_folder)
    assert len(ImageLevelScenes(index, count=2)) == 2
    with pytest.raises(LookupError, match="has no split 'test'; its 30 photographs are of train"):
        ImageLevelScenes(index, "test")
    with pytest.raises(ValueError, match="at least one scene, not 0"):
        ImageLevelScenes(index, count=0)
    with pytest.raises(ValueError, match="too small"):
        ImageLevelScenes(index, size=(1, 1))
