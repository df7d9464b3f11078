"""Scenes with several masks: the image never tells which was drawn, and the shares are exact."""

import numpy as np
import pytest
import torch

from scene.datasets.synthetic.ambiguity import ambiguous_layout, render_ambiguous
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.datasets.synthetic.layout import HALVES, SHAPES
from scene.datasets.synthetic.presets import PRESETS

AMBIGUOUS = PRESETS["ambiguous"]


@pytest.fixture(scope="module")
def scenes():
    return SyntheticScenes("val", "ambiguous", (24, 24), 120)


@pytest.mark.parametrize("size", [(16, 16), (32, 48), (64, 64)])
def test_an_image_is_the_same_to_the_bit_whichever_reading_was_drawn(size):
    images, masks = zip(
        *(
            render_ambiguous(AMBIGUOUS, np.random.default_rng(5), 60, size, reading)
            for reading in (None, 0, 1, 2)
        ),
        strict=True,
    )
    assert all(np.array_equal(images[0], image) for image in images[1:])
    differ = (masks[1] != masks[2]).any((1, 2)) | (masks[1] != masks[3]).any((1, 2))
    assert 0.6 < differ.mean() < 1


def test_nothing_but_the_last_choice_follows_from_the_reading():
    """The readings of a scene share its pose, colours and board."""
    layout = ambiguous_layout(AMBIGUOUS, np.random.default_rng(1), 500)
    one, *others = layout.objects
    for other in others:
        for name in ("colour", "radius", "centre", "angle", "tone", "patch", "period", "texture"):
            assert np.array_equal(getattr(one, name), getattr(other, name))


def test_probabilities_of_readings_sum_to_1_and_their_masks_differ(scenes):
    counts = set()
    for i in range(len(scenes)):
        readings = scenes.readings(i)
        counts.add(len(readings.masks))
        assert readings.masks.shape[1:] == (24, 24)
        assert readings.probabilities.min() > 0
        assert readings.probabilities.sum() == pytest.approx(1, abs=1e-12)
        assert len({mask.numpy().tobytes() for mask in readings.masks}) == len(readings.masks)
    assert counts == {1, 2, 3}


def test_the_mask_of_a_scene_is_one_of_its_readings(scenes):
    for i in (*range(len(scenes)), -1):
        masks = scenes.readings(i).masks
        assert (masks == scenes[i].mask).flatten(1).all(1).sum() == 1


def test_readings_do_not_depend_on_what_was_asked_before(scenes):
    late = SyntheticScenes("val", "ambiguous", (24, 24), 120).readings(110)
    scenes.readings(0)
    again = scenes.readings(110)
    assert torch.equal(late.masks, again.masks)
    assert torch.equal(late.probabilities, again.probabilities)


def test_masks_are_drawn_as_often_as_stated():
    """Each reading of each probability, within 4 standard deviations over 20,000 scenes."""
    layout = ambiguous_layout(AMBIGUOUS, np.random.default_rng(2), 20_000)
    drawn = layout.drawn[:, None] == np.arange(layout.probabilities.shape[1])
    for p in np.unique(layout.probabilities):
        hits = drawn[layout.probabilities == p]
        assert abs(hits.mean() - p) <= 4 * np.sqrt(p * (1 - p) / len(hits))


def test_the_colour_of_a_cue_tells_the_probabilities():
    """The nearest cue to what the image shows is the right one, and other objects have none."""
    layout = ambiguous_layout(AMBIGUOUS, np.random.default_rng(3), 2000)
    cues = np.array([cue.colour for cue in AMBIGUOUS.cues], dtype=np.float32)
    board = layout.board.present
    nearest = abs(layout.board.colour[:, None] - cues).max(-1).argmin(1)
    halves = np.array([cue.halves for cue in AMBIGUOUS.cues])
    assert np.array_equal(layout.probabilities[board], halves[nearest[board]])
    squircle = layout.objects[0].shape == "squircle"
    names = np.array([(*cue.names, 0) for cue in AMBIGUOUS.cues])
    assert np.array_equal(layout.probabilities[squircle], names[nearest[squircle]])
    assert layout.probabilities[~board & ~squircle].tolist() == [[1, 0, 0]] * sum(
        ~board & ~squircle
    )


def test_a_board_hides_one_half_and_nothing_of_the_other():
    axis = np.linspace(-1.5, 1.5, 101, dtype=np.float32)
    u, v = np.meshgrid(axis, axis)
    covered = SHAPES["board"](u, v)
    for left in HALVES:
        visible = {(SHAPES[f"{left} {right}"](u, v) & ~covered).tobytes() for right in HALVES}
        assert len(visible) == 1
        assert SHAPES[f"{left} round"](u, v)[~covered].any()


def test_a_preset_with_one_mask_an_image_has_no_readings():
    with pytest.raises(LookupError, match=r"synthetic-default has no readings: .* which masks"):
        SyntheticScenes("val", count=2).readings(0)
