"""Ablation: rows that mean what they say, settings chosen elsewhere, and nothing done twice."""

from dataclasses import replace

import pytest
import torch

from inference.crf.parameters import Parameters
from inference.experiments.crf.ablate import Ablation, ablate, variants, write
from inference.experiments.crf.measure import measure
from inference.experiments.crf.unaries import Noise, Scenes
from scene.images.io import read_mask, write_mask
from scene.labels import VOID
from scene.metrics import MaskScorer

FEW = {"alphas": (8.0, 20.0), "betas": (5.0, 20.0), "engine": "exact"}
QUICK = Parameters(iterations=2)


@pytest.fixture
def scenes(voc_folder):
    return Scenes(str(voc_folder), "val", Noise())


@pytest.fixture
def tune(voc_folder):
    return Scenes(str(voc_folder), "tune", Noise())


@pytest.fixture
def asked():
    """Collect how often something was worked out."""
    return []


def test_the_unary_row_is_plain_evaluation(scenes):
    rows = ablate(scenes, QUICK, alphas=(), engine="exact").rows
    scorer = MaskScorer(scenes.open().schema.labels)
    nats = pixels = 0
    for example in scenes.examples():
        scorer.add(example.probs.argmax(0), example.mask)
        known = example.mask != VOID
        right = example.probs.gather(0, example.mask.long().where(known, 0)[None])[0][known]
        nats, pixels = nats + float(right.log().sum()), pixels + int(known.sum())
    assert rows["unary"].score(scorer.labels) == scorer.score()
    assert rows["unary"].log_likelihood == pytest.approx(nats / pixels, rel=1e-4)


def test_each_row_has_the_kernels_it_names(scenes):
    kinds = {name: len(base.kernels()) for name, base in variants(QUICK).items()}
    assert kinds == {"unary": 0, "smoothness": 1, "appearance": 1, "both": 2}
    rows = ablate(scenes, QUICK, alphas=(), engine="exact").rows
    (alone,) = measure(scenes, [replace(QUICK, smoothness_weight=0.0)], engine="exact")
    assert rows["appearance"] == alone
    assert len({row.counts for row in rows.values()}) == 4


def test_the_grid_is_chosen_from_on_other_scenes(scenes, tune):
    result = ablate(scenes, QUICK, tune=tune, **FEW)
    assert result.grid_split == "tune"
    best = max(value for row in result.miou for value in row)
    (again,) = measure(tune, [result.best], engine="exact")
    assert again.score(result.labels).miou == best
    assert result.rows["chosen"] == measure(scenes, [result.best], engine="exact")[0]


def test_without_other_scenes_nothing_is_chosen(scenes):
    result = ablate(scenes, QUICK, **FEW)
    assert result.grid_split == "val"
    assert "chosen" not in result.rows


def test_choosing_on_what_is_reported_is_refused(scenes):
    with pytest.raises(ValueError, match="chosen on val cannot be reported on val"):
        ablate(scenes, tune=replace(scenes, limit=2), **FEW)


def test_a_resumed_ablation_recomputes_nothing(scenes, tune, tmp_path, asked):
    def count(title, done, total):
        asked.append(title)

    first = ablate(scenes, QUICK, tune=tune, folder=tmp_path / "kept", watch=count, **FEW)
    assert len(asked) == 5 * len(scenes.rows(scenes.open())) + 4 * len(tune.rows(tune.open()))
    asked.clear()
    again = ablate(scenes, QUICK, tune=tune, folder=tmp_path / "kept", watch=count, **FEW)
    assert asked == []
    assert again.to_json() == first.to_json()


def test_what_was_lost_or_damaged_is_done_again(scenes, tmp_path, asked):
    settings = list(variants(QUICK).values())
    first = measure(scenes, settings, engine="exact", folder=tmp_path / "kept")
    lost, damaged, *_ = sorted((tmp_path / "kept").glob("*.json"))
    lost.unlink()
    damaged.write_text(damaged.read_text()[:40])
    again = measure(
        scenes, settings, engine="exact", folder=tmp_path / "kept",
        watch=lambda done, total: asked.append(total),
    )  # fmt: skip
    assert again == first
    assert asked == [2 * len(scenes.open())] * (2 * len(scenes.open()))


@pytest.mark.parametrize("change", ["setting", "unaries", "limit", "mask", "engine"])
def test_what_changed_is_done_anew(scenes, voc_folder, tmp_path, asked, change):
    settings, engine = [QUICK], "exact"
    measure(scenes, settings, engine=engine, folder=tmp_path / "kept")
    if change == "setting":
        settings = [replace(QUICK, appearance_sigma_rgb=14.0)]
    elif change == "unaries":
        scenes = replace(scenes, unaries=Noise(seed=1))
    elif change == "limit":
        scenes = replace(scenes, limit=2)
    elif change == "engine":
        engine = "inference.crf.exact:Exact"
    else:
        path = voc_folder / "SegmentationClass" / "photo_12.png"
        labels = scenes.open().schema.labels
        write_mask(path, torch.full_like(read_mask(path, labels), 2), labels)
    watch = lambda done, total: asked.append(done)  # noqa: E731
    measure(scenes, settings, engine=engine, folder=tmp_path / "kept", watch=watch)
    assert asked == list(range(1, len(scenes.rows(scenes.open())) + 1))


def test_processes_that_share_the_work_find_the_same(scenes):
    settings = list(variants(QUICK).values())[2:]
    alone = measure(scenes, settings, engine="exact")
    shared = measure(scenes, settings, engine="exact", jobs=2)
    assert [result.counts for result in shared] == [result.counts for result in alone]
    for one, other in zip(alone, shared, strict=True):
        assert other.nats == pytest.approx(one.nats, rel=1e-5)


def test_everything_is_written(scenes, tmp_path):
    written, picture = write(ablate(scenes, QUICK, **FEW), tmp_path / "new")
    assert written.read_text().startswith("{")
    assert picture.read_bytes().startswith(b"\x89PNG")
    bare: Ablation = ablate(scenes, QUICK, alphas=(), engine="exact")
    assert write(bare, tmp_path / "bare")[1] is None


def test_scenes_without_masks_are_refused(voc_folder):
    split = "ImageSets/Segmentation/train.txt"
    (voc_folder / split).write_text("")
    with pytest.raises(ValueError, match="No scene of pets train has a mask"):
        measure(Scenes(str(voc_folder), "train", Noise()), [QUICK], engine="exact")
