import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.build import Assembly
from inference.segmentation.cues import CueSettings, crf_cues, cues_of, find_cues, maps_of, seeds
from scene.datasets.base import ImageLevel
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.discriminative import ClassifiedScene, SegmentedScene
from scene.labels import Labels

PETS = Labels(("background", "cat", "dog"))
ROADS = Labels(("road", "sky"))


def one(cats, dogs, present=(1, 1), labels=PETS, **how):
    maps = torch.stack([torch.tensor(cats), torch.tensor(dogs)])[None, :, None]
    return seeds(maps, torch.tensor([present]), labels, **how)[0, :, 0].int().tolist()


def test_a_class_is_cued_where_its_map_is_near_its_maximum():
    result = one([0.0, 0.3, 0.7, 2.0], [0.0] * 4, (1, 0), foreground=0.2, background=None)
    assert result == [[0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]]


def test_an_absent_class_is_never_cued():
    assert one([1.0, 1.0], [3.0, 1.0], (1, 0), background=None)[2] == [0, 0]


def test_background_is_cued_in_the_least_salient_share():
    result = one([0.9, 0.1, 0.2, 1.0], [0.0, 0.3, 0.0, 0.1], background=0.25)
    assert result[0] == [0, 0, 1, 0]  # largest present map: 0.9, 1, 0.2, 1


def test_saliency_may_be_a_sum():
    cats, dogs = [0.9, 0.5, 0.7, 1.0], [0.8, 1.0, 0.95, 1.0]
    assert one(cats, dogs, foreground=0.95, background=0.25)[0] == [1, 0, 0, 0]
    assert one(cats, dogs, foreground=0.95, background=0.25, saliency="sum")[0] == [0, 1, 0, 0]


def test_cells_that_tie_are_all_background():
    assert one([0.0, 0.0, 0.0, 1.0], [0.0] * 4, background=0.1)[0] == [1, 1, 1, 0]


def test_where_the_classifier_is_blind_nothing_is_background():
    assert one([0.0, 0.0], [0.0, 0.0], (1, 0), background=0.5)[0] == [0, 0]
    assert one([0.0, 0.0], [0.0, 0.0], (0, 0), background=0.5)[0] == [1, 1]


def test_the_smaller_region_wins_a_cell_that_two_claim():
    result = one([1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 1.0, 1.0], background=None)
    assert result == [[0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]]


def refined(present=(1, 0), background=0.1, foreground=0.7):
    """Cue an image of two colours, whose map is low in one column of four on the left."""
    images = torch.zeros(1, 3, 16, 32)
    images[..., :16] = 0.8
    maps = torch.zeros(1, 2, 4, 8)
    maps[..., :4], maps[..., 1:4] = 0.3, 1.0
    how = CueSettings(foreground=foreground, background=background, crf=(10.0, 20.0, 10.0))
    return crf_cues(maps, torch.tensor([present]), PETS, images, (4, 8), how)[0]


def test_a_crf_leads_cues_to_the_edges_of_what_is_alike():
    result = refined()
    assert result[1, :, :4].all()
    assert result[0, :, 4:].all()
    assert result.sum(0).max() == 1


def test_a_crf_cues_no_absent_class_and_no_background_unless_asked():
    assert not refined()[2].any()
    assert not refined((0, 0))[1:].any()
    assert not refined(background=None)[0].any()


def test_a_crf_cues_less_the_surer_it_has_to_be():
    maps, images = torch.rand(1, 2, 8, 8), torch.rand(1, 3, 16, 16)
    more, less = (
        crf_cues(
            maps, torch.ones(1, 2), PETS, images, (8, 8), CueSettings(foreground=t, crf=(1, 2, 30))
        )
        for t in (0.3, 0.6)
    )
    assert (more | ~less).all()
    assert more.sum() > less.sum()


def test_cues_of_background_may_be_surer_than_those_of_classes():
    """A larger exponent leaves less background; what is background with one only is not cued."""
    torch.manual_seed(0)
    maps, images, present = torch.rand(4, 2, 8, 8), torch.rand(4, 3, 16, 16), torch.ones(4, 2)

    def cued(**more):
        how = CueSettings(foreground=0.4, background_map="max", crf=(1, 2, 30), **more)
        return crf_cues(maps, present, PETS, images, (8, 8), how)

    low, high = cued(exponent=0.5), cued(exponent=2.0)
    both = cued(exponent=0.5, background_exponent=2.0)
    assert torch.equal(both[:, 1:], low[:, 1:])
    assert torch.equal(both[:, 0], low[:, 0] & high[:, 0])
    assert 0 < both[:, 0].sum() < low[:, 0].sum()
    assert torch.equal(cued(exponent=0.5, background_exponent=0.5), low)


@given(st.integers(0, 999), st.sampled_from([None, 0.1, 0.5]), st.floats(0, 0.9))
def test_a_cell_has_one_label_at_most_and_each_is_one_that_claims_it(seed, background, threshold):
    draw = torch.Generator().manual_seed(seed)
    maps, present = torch.rand(3, 2, 4, 5, generator=draw), torch.tensor([[1, 1], [0, 1], [0, 0]])
    result = seeds(maps, present, PETS, foreground=threshold, background=background)
    assert result.dtype == torch.bool
    assert result.sum(1).max() <= 1
    claims = maps / maps.amax((-2, -1), keepdim=True) > threshold
    assert not (result[:, 1:] & ~claims).any()
    assert not result[2, 1:].any()
    scaled = seeds(7 * maps, present, PETS, foreground=threshold, background=background)
    assert torch.equal(result, scaled)


def test_background_labels_need_not_come_first():
    late = Labels(("cat", "background", "dog"))
    first = one([0.1, 1.0], [0.0, 0.0], (1, 0), background=0.5)
    assert one([0.1, 1.0], [0.0, 0.0], (1, 0), late, background=0.5) == [
        first[1], first[0], first[2],
    ]  # fmt: skip


def test_cues_of_a_background_that_is_no_label_are_refused():
    with pytest.raises(ValueError, match=r"road, sky\) is named background.* --background none"):
        one([0.1, 1.0], [0.0, 0.0], labels=ROADS)
    assert one([0.1, 1.0], [0.0, 0.0], (1, 0), ROADS, background=None) == [[0, 1], [0, 0]]


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"foreground": 1.0}, "--foreground is 0 or more and below 1, not 1.0"),
        ({"background": 0.0}, "--background is a share of the image"),
        ({"background": 1.5}, "--background is a share of the image"),
        ({"scenery": 0.5}, "--scenery goes with --imagenet-maps; add it."),
        ({"exponent": 0.0}, "--exponent is above 0, not 0.0"),
        ({"exponent": math.nan}, "--exponent is above 0, not nan"),
        (
            {"exponent": 2.0, "background_exponent": 1.0, "crf": (1, 2, 3)},
            "--background-exponent is no less than --exponent 2, not 1",
        ),
        ({"background_exponent": 2.0}, "--background-exponent goes with --cue-crf; add it."),
        ({"certainty": -0.5}, "--certainty is 0 or more, not -0.5"),
    ],
)
def test_settings_that_cannot_be_are_refused(choice, sentence):
    with pytest.raises(ValueError, match=sentence):
        CueSettings(**choice)


@pytest.fixture(scope="module")
def scenes():
    return SyntheticScenes("train", "confounded", (32, 32), 6)


@pytest.fixture(scope="module")
def believer(scenes):
    torch.manual_seed(0)
    return Assembly(ClassifiedScene(scenes.schema, width=4).eval(), None, None)


HOW = CueSettings(layer="stride4", foreground=0.5, background=0.3)


def test_cues_of_training_scenes_are_of_the_classes_they_are_labelled_with(scenes, believer):
    result = cues_of(believer, scenes, [4, 1, 2], size=(5, 7), settings=HOW)
    assert (result.shape, result.dtype) == ((3, 8, 5, 7), torch.bool)
    labelled = scenes.views([4, 1, 2])["classes"].bool()
    assert not result[:, 1:].any(-1).any(-1)[~labelled].any()
    assert result[:, 1:].any(-1).any(-1)[labelled].any()
    assert result[:, 0].any()


def test_cues_do_not_look_at_masks(scenes, believer):
    seen = cues_of(believer, scenes, range(6), size=(8, 8), settings=HOW)
    blind = cues_of(believer, ImageLevel(scenes), range(6), size=(8, 8), settings=HOW)
    assert torch.equal(seen, blind)


def test_a_scene_whose_classes_are_not_known_gets_no_cues(believer, scenes):
    class Partly(ImageLevel):
        def views(self, indices):
            result = super().views(indices)
            result.present["classes"][0] = False
            return result

    result = cues_of(believer, Partly(scenes), range(3), size=(8, 8), settings=HOW)
    assert not result[0].any()
    assert result[1:].flatten(1).any(1).all()


def test_beyond_training_the_classes_are_those_the_classifier_believes_in(scenes, believer):
    with torch.no_grad():
        probs = believer.model.net(scenes.views(range(6))["image"]).sigmoid()
    ordered = probs.flatten().sort().values
    widest = ordered.diff().argmax()  # where no rounding decides
    threshold = float(ordered[widest : widest + 2].mean())
    believer.model.threshold = threshold
    try:
        result = find_cues(believer, scenes, range(6), settings=HOW, labelled=False)
    finally:
        believer.model.threshold = 0.5
    assert torch.equal(result.present, probs > threshold)
    assert result.maps.shape == (6, 7, 8, 8)
    assert not result.seeds[:, 1:].any(-1).any(-1)[~result.present].any()


def test_settings_reach_the_maps(scenes, believer):
    images = scenes.views(range(2))["image"]
    plain = maps_of(believer, images, HOW)
    for choice in ({"layer": "stride2"}, {"scales": (2.0,)}, {"flip": True}):
        other = maps_of(believer, images, replace(HOW, **choice))
        assert other.shape != plain.shape or not torch.allclose(other, plain)


def test_only_a_classifier_gives_cues(scenes):
    other = Assembly(SegmentedScene(scenes.schema, 2), None, None)
    with pytest.raises(ValueError, match="scene train classifier"):
        cues_of(other, scenes, [0], size=(8, 8), settings=HOW)
