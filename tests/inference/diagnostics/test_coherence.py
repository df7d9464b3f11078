"""Coherence: full where views tell of one scene, no more than chance where they do not."""

import pytest
import torch

from inference.diagnostics.coherence import LARGE, PRIOR, TRUE, coherence, f1_score, segmenter_of
from scene.labels import VOID
from scene.likelihoods import ClassVector, LabelMap, Pixels
from scene.views import VIEWS, Views


class Told:
    """A model that draws what it is told to: scene ⌊z⌋ of the ones it knows."""

    views, conditions, threshold = VIEWS, (), 0.5

    def __init__(self, scenes, schema):
        self.scenes, self.labels = scenes, schema.labels

    def decode(self, z, views, names):
        rows = self.scenes.rows(z[:, 0].long())
        hot = torch.nn.functional.one_hot(rows["mask"] % VOID, len(self.labels.names))
        return {
            "image": Pixels(rows["image"], 0.1),
            "classes": ClassVector(20 * rows["classes"] - 10),
            "mask": LabelMap(20.0 * hot.movedim(-1, 1)),
        }


class Whole:
    """An assembly, of a model alone."""

    device = torch.device("cpu")

    def __init__(self, model):
        self.model = model


@pytest.fixture
def agreeing(views, schema):
    """Make 6 scenes whose classes are those of their masks: none, one, the other or both."""
    mask = views["mask"] % VOID
    for scene, lacking in enumerate([(1, 2), (1,), (2,), (), (2,), (1,)]):
        for label in lacking:
            mask[scene][mask[scene] == label] = 0
    classes = schema.labels.vector(mask)
    return Views({"image": views["image"], "classes": classes, "mask": mask})


def _lookup(scenes):
    """Segment by knowing: the mask of the image that looks the same."""

    def segment(images):
        apart = torch.cdist(images.flatten(1), scenes["image"].flatten(1))
        return scenes["mask"][apart.argmin(1)]

    return segment


def test_views_of_one_scene_agree(agreeing, schema):
    latents = {(): torch.arange(6.0)[:, None], ("mask",): torch.arange(6.0)[:, None]}
    rows = coherence(
        Whole(Told(agreeing, schema)), agreeing, latents, schema.labels, _lookup(agreeing)
    )
    assert [row.source for row in rows] == [PRIOR, "mask", TRUE]
    for row in rows:
        assert (row.f1, row.alike, row.own, row.scenes) == (100, 100, 100, 6)
        assert row.chance < 100
    assert [row.given for row in rows] == [None, 100, None]


def test_views_of_other_scenes_do_not(agreeing, schema):
    """Drawn from the next scene's z, all agree but with the mask that was given."""
    latents = {("mask",): torch.arange(6.0).roll(1)[:, None]}
    (drawn, _) = coherence(
        Whole(Told(agreeing, schema)), agreeing, latents, schema.labels, _lookup(agreeing)
    )
    assert (drawn.f1, drawn.own) == (100, 100)
    assert drawn.given < 60
    swapped = Views({**dict(agreeing.items()), "classes": 1 - agreeing["classes"]})
    (drawn, _) = coherence(Whole(Told(swapped, schema)), agreeing, latents, schema.labels)
    assert drawn.f1 == 0
    assert drawn.alike == 0
    assert drawn.own is None


def test_small_classes_are_not_large(agreeing, schema):
    mask = torch.zeros_like(agreeing["mask"])
    mask[:, 0, 0] = 1  # one pixel of 360, less than LARGE
    assert 1 / mask[0].numel() < LARGE
    scenes = Views(
        {"image": agreeing["image"], "classes": schema.labels.vector(mask), "mask": mask}
    )
    (row,) = coherence(Whole(Told(scenes, schema)), scenes, {}, schema.labels)
    assert (row.f1, row.large, row.alike) == (100, 0, 100)


def test_without_any_class_there_is_no_score():
    assert f1_score(torch.zeros(3, 2).bool(), torch.zeros(3, 2).bool()) is None


def test_a_conditional_model_is_held_against_the_image_given(built, schema, views):
    cvae, segmenter = built(schema, "cvae"), built(schema, "segmenter")
    z = {("image",): torch.randn(6, 4), ("image", "mask"): torch.randn(6, 4)}
    rows = coherence(cvae, views, z, schema.labels, segmenter_of(segmenter))
    assert [row.source for row in rows] == [PRIOR, "image + mask", TRUE]
    assert all(row.f1 is None and row.given is None for row in rows[:2])
    assert all(0 <= row.own <= 100 for row in rows)
