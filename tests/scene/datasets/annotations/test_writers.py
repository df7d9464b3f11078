"""Masks that are written for labelling tools are read back as they were, pixel by pixel."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from scene.datasets.annotations.convert import convert
from scene.datasets.annotations.writers import FORMATS, UNSPLIT, writer_of
from scene.datasets.catalogue import open_data, splits_of
from scene.labels import VOID, Labels

PETS = Labels(("background", "cat", "dog", "bird"))
LABELS = st.sampled_from(
    [PETS, Labels(("sky", "grass", "cat", "dog")), Labels(("a", "b", "background", "c"))]
)
MASKS = st.tuples(st.integers(1, 24), st.integers(1, 24), st.integers(0, 2**32 - 1), st.booleans())


def _mask(height, width, seed, void):
    """Draw blocks of labels, some of one pixel, with holes, and perhaps void pixels."""
    source = np.random.default_rng(seed)
    mask = source.integers(0, 4, (height, width), dtype=np.uint8)
    for _ in range(4):
        top, left = source.integers(0, height), source.integers(0, width)
        mask[top : top + 9, left : left + 9] = source.integers(0, 4)
    if void:
        mask[source.random((height, width)) < 0.1] = VOID
    return torch.from_numpy(mask)


def _named(mask, labels):
    names = np.array([*labels.names, *["?"] * (256 - len(labels.names))])
    return names[mask.numpy()].tolist()


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=40, deadline=None)
@given(LABELS, st.lists(MASKS, min_size=1, max_size=2))
def test_every_pixel_is_read_back(kind, labels, drawn):
    masks = {f"photo {i}": _mask(*one) for i, one in enumerate(drawn)}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "out")
        folder.mkdir()
        writer = writer_of(kind, folder, labels)
        for name, mask in masks.items():
            image = torch.zeros(3, *mask.shape, dtype=torch.uint8)
            assert writer.add(UNSPLIT, name, image, mask)
            assert not writer.add(UNSPLIT, name, image, mask)
        writer.finish({})
        if kind != "voc" and not any(_annotated(mask, labels) for mask in masks.values()):
            return  # there is no class, and so nothing to read
        actual = {}
        for split in splits_of(str(folder)):
            dataset = open_data(str(folder), split, (16, 16))
            for i, entry in enumerate(dataset.entries):
                scene = dataset.original(i)
                actual[entry.name.removeprefix("images/")] = _named(
                    scene.mask, dataset.schema.labels
                )
    assert actual == {name: _named(mask, labels) for name, mask in masks.items()}


def _annotated(mask, labels):
    """Return whether a class is in a mask: with void or background alone there are no labels."""
    return bool(((mask != VOID) & (mask != labels.background)).any())


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of pycocotools
def test_pycocotools_reads_the_same_pixels(tmp_path):
    writer, mask = writer_of("coco", tmp_path, PETS), _mask(20, 24, 3, False)
    writer.add(UNSPLIT, "a", torch.zeros(3, 20, 24), mask)
    writer.finish({})
    file = tmp_path / "annotations" / "instances_default.json"
    coco = COCO(str(file))
    read = torch.zeros(20, 24, dtype=torch.uint8)
    for annotation in coco.loadAnns(coco.getAnnIds()):
        inside = torch.from_numpy(coco.annToMask(annotation)).bool()
        read[inside] = PETS.names.index(coco.cats[annotation["category_id"]]["name"])
        x, y, width, height = annotation["bbox"]
        assert annotation["area"] == int(inside.sum())
        assert inside[y : y + height, x : x + width].sum() == inside.sum()
    assert read.equal(mask)


def test_labelme_finds_photographs_and_sizes(tmp_path):
    writer, mask = writer_of("labelme", tmp_path, PETS), _mask(20, 24, 3, True)
    writer.add("val", "seq/a", torch.zeros(3, 20, 24), mask)
    content = json.loads((tmp_path / "val" / "seq" / "a.json").read_text())
    assert content["imagePath"] == "a.png"
    assert (content["imageHeight"], content["imageWidth"]) == (20, 24)
    assert {shape["shape_type"] for shape in content["shapes"]} == {"mask"}
    assert {shape["label"] for shape in content["shapes"]} <= {*PETS.classes, "__ignore__"}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_dataset_is_converted_with_its_splits(voc_folder, tmp_path, kind):
    scenes = convert(str(voc_folder), tmp_path / "out", kind)
    assert scenes == {"train": 7, "tune": 1, "val": 4}
    assert splits_of(str(tmp_path / "out")) == tuple(scenes)
    for split, count in scenes.items():
        before, after = (open_data(str(f), split) for f in (voc_folder, tmp_path / "out"))
        masked = [s for i in range(len(before)) if (s := before.original(i)).mask is not None]
        assert len(masked) == len(after) == count
        images = {scene.name: scene for scene in masked}
        for i in range(count):
            scene = after.original(i)
            same = images[scene.name.rpartition("/")[2]]
            assert scene.image.equal(same.image)
            labels = after.schema.labels
            assert _named(scene.mask, labels) == _named(same.mask, before.schema.labels)


def test_nothing_is_left_of_a_conversion_that_fails(voc_folder, class_folder, tmp_path):
    with pytest.raises(LookupError, match="has no masks, so there is nothing to convert;"):
        convert(str(class_folder), tmp_path / "out")
    (voc_folder / "SegmentationClass" / "photo_14.png").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match=r"photo_14.png cannot be read as a picture"):
        convert(str(voc_folder), tmp_path / "out", "coco")
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    for force in (False, True):
        with pytest.raises(ValueError, match=r"holds mine.txt, which is no part of a dataset"):
            convert(str(voc_folder), tmp_path / "out", "labelme", force=force)


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(LookupError, match=r"labelm"):
        writer_of("labelm", tmp_path, PETS)
