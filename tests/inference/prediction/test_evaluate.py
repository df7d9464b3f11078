"""Evaluation: one protocol, at the stored pixels, seeded, honest about what was not trained."""

import json

import pytest
import torch
from torch import nn

from inference.build import Assembly
from inference.guides import EmptyGuide
from inference.objectives.bounds import IWAE
from inference.prediction.evaluate import CLASSES, MASKS, Cell, evaluate
from inference.prediction.predict import predict
from inference.settings.recipes import RECIPES
from scene.datasets.folders.voc import VOCScenes
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.likelihoods import ClassVector, LabelMap
from scene.models import SceneModel
from scene.views import VIEWS


class Oracle(SceneModel):
    """A model that is told the mask, and repeats it."""

    views, conditions = ("mask", "classes"), ("mask",)

    def __init__(self, schema, wrong=0):
        super().__init__()
        self.count, self.wrong = len(schema.labels.names), wrong
        self.labels = schema.labels
        self.weight = nn.Parameter(torch.zeros(()))

    def prior(self, views):
        return None

    def decode(self, z, views, names):
        ids = views["mask"].clamp(max=self.count - 1)
        ids = (ids + self.wrong) % self.count
        sure = torch.nn.functional.one_hot(ids, self.count).movedim(-1, 1) * 50.0
        classes = (self.labels.vector(views["mask"]) - 0.5) * 50
        result = {"mask": LabelMap(sure), "classes": ClassVector(classes)}
        return {name: result[name] for name in names}


@pytest.fixture
def oracle():
    def make(schema, wrong=0):
        return Assembly(Oracle(schema, wrong), EmptyGuide(schema, ("mask",)), IWAE())

    return make


@pytest.fixture
def scenes():
    return SyntheticScenes("test", size=(16, 16), count=6)


def test_a_perfect_predictor_scores_100(oracle, scenes):
    cells = evaluate(oracle(scenes.schema), scenes)
    result = {cell.title: cell.score for cell in cells if cell.score is not None}
    assert set(result) == {"mask → mask", "mask → classes"}
    assert result["mask → mask"].miou == result["mask → mask"].accuracy == 100
    assert result["mask → classes"].macro_f1 == result["mask → classes"].map == 100


def test_a_predictor_that_is_always_wrong_scores_0(oracle, scenes):
    (cell,) = evaluate(oracle(scenes.schema, 1), scenes, directions=((("mask",), "mask"),))
    assert cell.score.miou == cell.score.accuracy == 0


def test_the_crop_is_scored_at_the_stored_pixels_and_the_rest_left_out(oracle, voc_folder):
    """Scenes of 40×32 and 32×48 at 32×32 are cropped, not scaled: perfect is still perfect."""
    scenes = VOCScenes(voc_folder, "val", (32, 32))
    (cell,) = evaluate(oracle(scenes.schema), scenes, directions=((("mask",), "mask"),))
    assert cell.score.miou == 100
    assert cell.scenes == 4


def test_masks_are_scored_as_a_slow_count_scores_them(built, voc_folder):
    scenes = VOCScenes(voc_folder, "val", (16, 16))
    assembly, names = built(scenes.schema), scenes.schema.labels.names
    direction = (("image",), "mask")
    (cell,) = evaluate(assembly, scenes, draws=2, seed=3, batch_size=4, directions=(direction,))
    torch.manual_seed(3)
    probs = predict(assembly, scenes.views(range(4)).only(["image"]), ["mask"], draws=2)
    hits, unions = [0] * len(names), [0] * len(names)
    for index in range(4):
        restored, covered = scenes.restore(probs.views["mask"][index], index)
        guess, true = restored.argmax(0), scenes.original(index).mask
        assert guess.shape == true.shape
        for g, t, inside in zip(
            *(x.flatten().tolist() for x in (guess, true, covered)), strict=True
        ):
            if inside and t != 255:
                for label in {g, t}:
                    unions[label] += 1
                    hits[label] += g == t
    expected = {
        name: 100 * hit / union if union else None
        for name, hit, union in zip(names, hits, unions, strict=True)
    }
    assert cell.score.iou == pytest.approx(expected)


def test_the_same_seed_gives_the_same_scores(built, scenes):
    assembly = built(scenes.schema)
    one, two, other = (evaluate(assembly, scenes, seed=seed, draws=1) for seed in (1, 1, 2))
    assert one.cells == two.cells
    assert one.cells != other.cells


def test_the_global_random_state_is_not_touched(built, scenes):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    evaluate(built(scenes.schema), scenes)
    assert torch.rand(3).equal(expected)


def test_scores_at_the_mean_do_not_depend_on_the_seed(built, scenes):
    assembly = built(scenes.schema)
    one, two = (evaluate(assembly, scenes, at_mean=True, seed=seed) for seed in (1, 2))
    assert one.cells == two.cells


POSSIBLE = {
    "cvae": {"image → mask": True},
    "segmenter": {"image → mask": True},
    "sec": {"image → mask": True},
    "supervised": {"image → mask": True},
    "classifier": {"image → classes": True},
    "jvae": {"image + classes → mask": True},
    "telbo": {
        "image → mask": False, "image + classes → mask": True, "mask → mask": True,
        "all → mask": True, "image → classes": False, "mask → classes": True,
        "image + mask → classes": False,
    },
    "jmvae": {
        "image → mask": True, "image + classes → mask": False, "mask → mask": True,
        "all → mask": True, "image → classes": True, "mask → classes": True,
        "image + mask → classes": False,
    },
    "prior": dict.fromkeys(
        [
            "image → mask", "image + classes → mask", "mask → mask", "all → mask",
            "image → classes", "mask → classes", "image + mask → classes",
        ],
        True,
    ),
    "details": {
        "image → mask": False, "image + classes → mask": False, "mask → mask": False,
        "all → mask": True, "image → classes": False, "mask → classes": False,
        "image + mask → classes": False,
    },
}  # fmt: skip
"""The cells each recipe can fill, and whether their posteriors were trained on their own."""


@pytest.mark.parametrize("name", RECIPES)
def test_impossible_cells_are_empty_and_untrained_ones_known(built, scenes, name):
    more = {"subsets": "report"} if name == "telbo" else {}
    cells = evaluate(built(scenes.schema, name, **more), scenes, draws=1)
    assert [(c.given, c.target) for c in cells] == [
        *((inputs, "mask") for inputs in MASKS), *((inputs, "classes") for inputs in CLASSES),
    ]  # fmt: skip
    assert {c.title: c.trained for c in cells if c.score is not None} == POSSIBLE[name]
    assert all(cell.scenes == (6 if cell.score is not None else 0) for cell in cells)


def test_a_scene_that_lacks_a_view_is_left_out(built, voc_folder):
    scenes = VOCScenes(voc_folder, "train", (16, 16))
    masks = sum(scenes[i].mask is not None for i in range(len(scenes)))
    classes = sum(scenes[i].classes is not None for i in range(len(scenes)))
    assert masks < classes
    cells = {c.title: c.scenes for c in evaluate(built(scenes.schema), scenes, draws=1)}
    assert cells["image → mask"] == cells["mask → classes"] == masks
    assert cells["image → classes"] == classes


def test_no_scene_with_the_views_is_no_score(built, voc_folder):
    for split in ("train", "val"):
        (voc_folder / "ImageSets" / "Segmentation" / f"{split}.txt").unlink()
    scenes = VOCScenes(voc_folder, "val", (16, 16))
    cells = {c.title: c for c in evaluate(built(scenes.schema), scenes, draws=1)}
    assert cells["image → mask"].score is None
    assert cells["image → classes"].scenes == 4


def test_cells_are_json_even_where_nothing_is_known(built, scenes):
    from scene.metrics import MaskScorer

    cells = evaluate(built(scenes.schema), scenes, draws=1)
    assert json.loads(json.dumps([cell.to_json() for cell in cells], allow_nan=False))
    nothing = Cell(("image",), "mask", True, 0, MaskScorer(scenes.schema.labels).score())
    score = nothing.to_json()["score"]
    assert score["miou"] is score["accuracy"] is None
    assert set(score["iou"].values()) == {None}


def test_not_one_draw_is_refused(built, scenes):
    with pytest.raises(ValueError, match="averages 1 draw or more, not 0"):
        evaluate(built(scenes.schema), scenes, draws=0)


def test_all_is_short_for_every_view():
    assert Cell(VIEWS, "mask", True, 0, None).title == "all → mask"
    assert Cell(("image", "classes"), "mask", True, 0, None).source == "image + classes"
