"""`scene pseudo-label`: a dataset of weak masks that training takes like any other."""

import json

import pytest
import torch

from scene.datasets.folders.voc import VOCScenes
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.labels import VOID

CPU = ("--device", "cpu")


def scenes(folder, split):
    return VOCScenes(folder, split, (16, 16))


def test_the_result_is_a_complete_dataset(scene, trained, place):
    run = trained("segmenter")
    result = scene("pseudo-label", "--run", run, "--confidence", 0.1, *CPU)
    assert result.code == 0, result.err
    assert result.out.splitlines() == [
        "weak: train 8 with masks of mask (0.0% of pixels void); tune 4, val 4, test 6 with "
        "true ones",
        "scene train telbo --data weak",
    ]
    for split, count in {"tune": 4, "val": 4, "test": 6}.items():
        true = SyntheticScenes(split, size=(16, 16))
        actual = scenes(place / "weak", split)
        assert len(actual) == count
        assert all(actual[i].mask.equal(true[i].mask) for i in range(count))
    train, true = scenes(place / "weak", "train"), SyntheticScenes("train", size=(16, 16))
    assert all(train[i].image.equal(true[i].image) for i in range(8))
    assert not all(train[i].mask.equal(true[i].mask) for i in range(8))
    words = ("--steps", 1, "--batch-size", 2, "--size", "16x16", "--latent", 4, "--width", 4)
    result = scene("train", "telbo", "--data", "weak", "--guide-width", 4, *words, *CPU)
    assert result.code == 0, result.err


def test_masks_keep_to_the_known_labels_by_default(scene, trained, place, voc_folder):
    size = ("--size", "32x32", "--steps", 1, "--width", 2)
    assert scene("train", "segmenter", "--data", voc_folder, *size, *CPU).code == 0
    run = next(place.parent.joinpath("runs").iterdir())
    words = ("--run", run, "--confidence", 0, *CPU)
    assert scene("pseudo-label", *words).code == 0
    assert scene("pseudo-label", *words, "--labels", "predicted", "--out", "free").code == 0
    known, free = (VOCScenes(place / name, "train", (32, 32)) for name in ("weak", "free"))
    source = VOCScenes(voc_folder, "train", (32, 32))
    allowed = [
        set(known.schema.labels.decode(source.original(i).classes)) for i in range(len(source))
    ]
    names = known.schema.labels.names

    def seen(dataset, i):
        return {names[label] for label in dataset.original(i).mask.unique().tolist()}

    assert all(seen(known, i) - {"background"} <= allowed[i] for i in range(len(source)))
    assert not all(seen(free, i) - {"background"} <= allowed[i] for i in range(len(source)))
    assert [e.name for e in known.entries] == [e.name for e in source.entries]
    about = json.loads((place / "weak" / "about.json").read_text())
    assert about["scenes"] == {"train": len(source), "tune": 1, "val": 4}
    signs = (place / "weak" / "ImageSets" / "Main" / "cat_train.txt").read_text().split("\n")
    reported = {line.split()[0]: line.split()[1] == "1" for line in signs if line}
    assert all(reported[e.name] == ("cat" in allowed[i]) for i, e in enumerate(source.entries))


def test_a_few_scenes_keep_their_true_masks(scene, trained, place):
    run = trained("segmenter")
    words = ("pseudo-label", "--run", run, "--confidence", 0, *CPU)
    result = scene(*words, "--true", 3)
    assert result.code == 0, result.err
    assert result.out.splitlines()[0].startswith(
        "weak: train 8 with masks of mask (0.0% of pixels void) but for 3 true ones; tune 4,"
    )
    listed = (place / "weak" / "ImageSets" / "Segmentation" / "weak.txt").read_text().split()
    actual, true = scenes(place / "weak", "train"), SyntheticScenes("train", size=(16, 16))
    assert actual.weak == len(listed) == 5
    assert [e.name for e in actual.entries if e.weak] == listed
    for i, entry in enumerate(actual.entries):
        assert actual[i].classes.equal(true[i].classes)
        assert entry.weak or actual[i].mask.equal(true[i].mask)
    kept = {e.name for e in actual.entries if not e.weak}
    assert scene(*words, "--true", 4, "--out", "more").code == 0
    assert scene(*words, "--true", 3, "--seed", 1, "--out", "other").code == 0
    more, other = (
        {e.name for e in scenes(place / name, "train").entries if not e.weak}
        for name in ("more", "other")
    )
    assert kept < more
    assert len(other) == 3
    assert other != kept


def test_weak_and_true_masks_and_none_are_learned_together(scene, trained, place, refused):
    run = trained("segmenter")
    assert scene("pseudo-label", "--run", run, "--true", 2, *CPU).code == 0
    small = ("--size", "16x16", "--width", 4, "--steps", 1, "--batch-size", 8)
    telbo = ("train", "telbo", "--latent", 4, "--guide-width", 4, *small, *CPU)
    for weight in (0.3, 0):
        result = scene(*telbo, "--data", "weak", "--weak-weight", weight)
        assert result.code == 0, result.err
    sentence = refused(*telbo, "--weak-weight", 0.3)
    assert sentence.startswith("The split 'train' of synthetic-default has no weak masks for")
    sentence = refused("train", "sec", "--data", "weak", "--weak-weight", 0.3, *CPU)
    assert sentence == "The recipe sec does not use --weak-weight; leave it out."


def test_what_is_unsure_is_void(scene, trained, place):
    run = trained("segmenter")
    result = scene("pseudo-label", "--run", run, "--confidence", 1, "--limit", 3, "--json", *CPU)
    report = json.loads(result.out)
    assert report["scenes"]["train"] == 3
    actual = scenes(place / "weak", "train")
    masks = torch.stack([actual[i].mask for i in range(3)])
    assert report["void"] == pytest.approx((masks == VOID).float().mean().item())
    assert report["void"] > 0.9


def test_nothing_is_left_of_what_failed(refused, trained, monkeypatch, place):
    run = trained("segmenter")
    for words, sentence in (
        (("--confidence", 2), "--confidence is a probability, 0 to 1, not 2.0."),
        (("--limit", 0), "--limit must be 1 or more, not 0."),
        (("--true", -1), "--true must be 0 or more, not -1."),
        (("--true", 9), "--true 9 asks for more scenes than there are: only"),
        (("--split", "trian"), "No split is called 'trian'. Did you mean 'train'?"),
        (("--data", "nowhere"), "There is no data at 'nowhere'."),
        (("--stage", "sec"), f"{run} is a run of segmenter; choose one of its stages: mask,"),
    ):
        assert refused("pseudo-label", "--run", run, *words, *CPU).startswith(sentence)
    (place / "weak").mkdir()
    (place / "weak" / "thesis.tex").write_text("")
    sentence = refused("pseudo-label", "--run", run, "--force", *CPU)
    assert sentence == (
        "weak holds thesis.tex, which is no part of a dataset; choose another --out."
    )

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scene.datasets.folders.writer.write_mask", full)
    sentence = refused("pseudo-label", "--run", run, "--out", "new", *CPU)
    assert sentence == "No space left on device."
