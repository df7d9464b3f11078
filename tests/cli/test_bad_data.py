"""Bad data: one sentence, a non-zero exit, and every folder as it was."""

import pytest
import torch

from scene.images.io import write_mask
from scene.labels import Labels

TINY = ("--size", "16x16", "--steps", "1", "--device", "cpu")
PETS = Labels(("background", "cat", "dog", "bird"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["info", "sinthetic"], "There is no data at 'sinthetic'. Did you mean 'synthetic'?"),
        (["info", "gone/folder"], "There is no data at 'gone/folder'."),
        (["info", "--split", "tests"], "No split is called 'tests'. Did you mean 'test'?"),
        (["info", "--size", "0x0"], "0x0 is too small;"),
        (["info", "--count", "0"], "A dataset has at least one scene, not 0."),
        (["preview", "-n", "0"], "-n must be 1 or more, not 0."),
        (["preview", "--out", "a.gif"], "a.gif must end in .png; call it a.png."),
    ],
)
def test_data_that_are_none(refused, words, sentence):
    assert sentence in refused("data", *words)


def _no_splits(root):
    for path in (root / "ImageSets").rglob("*.txt"):
        path.unlink()


def _empty_split(root):
    for kind in ("Segmentation", "Main"):
        (root / "ImageSets" / kind / "train.txt").write_text("")


def _turned(root):
    write_mask(root / "SegmentationClass" / "photo_00.png", torch.zeros(48, 32), PETS)


def _high(root):
    labels = Labels(tuple("abcdefghij"))
    write_mask(root / "SegmentationClass" / "photo_00.png", torch.full((32, 48), 9), labels)


HARMS = {
    "splits": (_no_splits, " has no splits; list its scenes,"),
    "empty": (_empty_split, "The split 'train' of "),
    "turned": (_turned, "photo_00.jpg is 48×32 but its mask is 32×48; were they exported with"),
    "range": (_high, "photo_00.png has "),
    "image": (
        lambda root: (root / "JPEGImages" / "photo_00.jpg").write_bytes(b"no picture"),
        "photo_00.jpg cannot be read as a picture, it may be damaged;",
    ),
    "mask": (
        lambda root: (root / "SegmentationClass" / "photo_00.png").write_bytes(b"no picture"),
        "photo_00.png cannot be read as a picture, it may be damaged;",
    ),
    "no image": (
        lambda root: (root / "JPEGImages" / "photo_00.jpg").unlink(),
        "JPEGImages has no picture of 'photo_00'; add it,",
    ),
    "no mask": (
        lambda root: (root / "SegmentationClass" / "photo_00.png").unlink(),
        "has no mask of 'photo_00'; add it, or list it in ImageSets/Main only.",
    ),
    "labels": (lambda root: (root / "labelmap.txt").unlink(), "labelmap.txt"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_folder_that_was_harmed(refused, scene, voc_folder, tmp_path, harm):
    change, sentence = HARMS[harm]
    change(voc_folder)
    assert sentence in refused("data", "info", voc_folder)
    assert sentence in refused("data", "preview", voc_folder)
    result = scene("train", "telbo", "--data", voc_folder, *TINY, "--batch-size", "16")
    assert result.code == 1
    assert sentence in result.last
    assert not list((tmp_path / "runs").glob("*"))
