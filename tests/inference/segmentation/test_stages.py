from dataclasses import replace
from types import SimpleNamespace
from typing import get_args

import pytest
import torch
import torch.nn.functional as F

from inference.build import Assembly
from inference.guides import EmptyGuide
from inference.objectives.bounds import IWAE
from inference.segmentation import maps as label_maps
from inference.segmentation.cues import CueSettings
from inference.segmentation.gradcam import cams
from inference.segmentation.stages import (
    STAGES,
    Name,
    gradcam,
    masks,
    recipes_of,
    restricted,
    stage_of,
)
from scene.discriminative import ClassifiedScene, SegmentedScene
from scene.labels import Labels
from scene.views import Schema

LOOK = CueSettings()
PETS = Labels(("background", "cat", "dog"))


def run_of(recipe):
    return SimpleNamespace(
        folder="runs/one", settings=SimpleNamespace(recipe=recipe, title=recipe)
    )


@pytest.fixture
def classified():
    """Make a classifier of two pets that looks at 32×24 pixels."""
    return untrained(ClassifiedScene(Schema(PETS, (32, 24)), width=4))


@pytest.fixture
def segmented():
    """Make a segmenter likewise."""
    return untrained(SegmentedScene(Schema(PETS, (32, 24)), width=4))


def untrained(model):
    return Assembly(model.eval(), EmptyGuide(Schema(PETS, (32, 24)), ("image",)), IWAE(1))


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def images():
    return torch.rand(2, 3, 32, 24, generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize(
    ("recipe", "last", "first"),
    [
        ("classifier", "gradcam+crf", "gradcam"), ("sec", "sec+crf", "sec"),
        ("segmenter", "mask", "mask"), ("telbo", "mask", "mask"),
    ],
)  # fmt: skip
def test_a_run_that_is_named_no_stage_takes_its_last(recipe, last, first):
    assert stage_of(run_of(recipe)) == last
    assert stage_of(run_of(recipe), crf=False) == first
    assert stage_of(run_of(recipe), crf=True) == f"{first}+crf"


def test_a_stage_of_another_recipe_is_refused():
    with pytest.raises(ValueError, match=r"of sec; choose one of its stages: sec, sec\+crf\."):
        stage_of(run_of("sec"), "gradcam")
    with pytest.raises(LookupError, match=r"No stage is called 'sec-crf'\. Did you mean 'sec"):
        stage_of(run_of("sec"), "sec-crf")


def test_the_command_line_offers_the_table():
    assert get_args(Name) == tuple(STAGES)


def test_every_stage_has_its_recipes():
    known = ("classifier", "sec", "segmenter", "cvae")
    assert {s: recipes_of(s, known) for s in STAGES if not STAGES[s].crf} == {
        "gradcam": ("classifier",), "sec": ("sec",), "mask": ("segmenter", "cvae"),
    }  # fmt: skip


def test_class_maps_become_probabilities_as_the_paper_has_it(classified, images):
    """Divide by the maximum, resize, drop who is absent, fill up with background, normalise."""
    model = classified.model
    model.threshold = model.net(images).detach().sigmoid().mean().item()
    result = gradcam(classified, images, PETS, None, LOOK)
    assert result.shape == (2, 3, 32, 24)
    for image, probs in zip(images, result, strict=True):
        maps = model.net.maps(image[None]).detach().requires_grad_()
        logits = model.net.head(maps)[0]
        class_maps = torch.zeros(3, 32, 24)
        for c, label in enumerate(PETS.ids):
            (slope,) = torch.autograd.grad(logits[c], maps, retain_graph=True)
            cam = (slope.mean((2, 3), keepdim=True) * maps).sum(1).relu()
            cam = cam / cam.max() if cam.max() > 0 else cam
            whole = F.interpolate(cam[None], (32, 24), mode="bilinear", align_corners=False)
            class_maps[label] = whole[0, 0] * (logits[c].sigmoid() > model.threshold)
        class_maps[0] = (1 - class_maps.sum(0)).clamp(min=0)
        torch.testing.assert_close(
            probs, (class_maps / class_maps.sum(0)).detach(), atol=2e-5, rtol=0
        )


def test_maps_of_doubtful_classes_are_lower_where_nothing_is_known(classified, images):
    model = classified.model
    model.threshold = 0.0
    look = replace(LOOK, certainty=0.5, background_map="max")
    maps = cams(model.net, images)
    p = model.net(images).detach().sigmoid()
    torch.testing.assert_close(
        gradcam(classified, images, PETS, None, look),
        label_maps.probs(maps, torch.ones(2, 2), PETS, (32, 24), "max", factors=p.sqrt()),
    )
    known = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    torch.testing.assert_close(
        gradcam(classified, images, PETS, known, look),
        gradcam(classified, images, PETS, known, replace(look, certainty=0.0)),
    )


def test_one_look_is_many_looks_of_one(classified, images):
    """Maps found beside the logits are those that `cams` finds."""
    twice = CueSettings(scales=(1.0, 1.0))
    torch.testing.assert_close(
        gradcam(classified, images, PETS, None, LOOK),
        gradcam(classified, images, PETS, None, twice),
    )


@pytest.mark.parametrize("source", [gradcam, masks])
def test_what_is_known_to_be_absent_is_nowhere(classified, segmented, images, source):
    model = classified if source is gradcam else segmented
    if source is gradcam:
        model.model.threshold = 0.0
    known = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    free = source(model, images, PETS, None, LOOK)
    assert (free.amax((2, 3)) > 0).all()
    result = source(model, images, PETS, known, LOOK)
    torch.testing.assert_close(result.sum(1), torch.ones(2, 32, 24))
    assert (result[0, 2] == 0).all()
    assert (result[1, 0] == 1).all()


def test_pixels_that_believed_in_nobody_left_believe_in_all():
    probs = torch.tensor([0.0, 1.0, 0.0]).view(1, 3, 1, 1)
    result = restricted(probs, torch.tensor([[0.0, 1.0]]), PETS)
    assert result.flatten().tolist() == [0.5, 0.0, 0.5]
    things = Labels(("cat", "dog", "bird"))
    assert restricted(probs, torch.zeros(1, 3), things).equal(probs)
