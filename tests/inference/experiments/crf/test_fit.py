"""Fitting: likelihood that only rises, weights that vanish where neighbours do harm."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from inference.crf.parameters import Parameters
from inference.experiments.crf.fit import fit, log_loss, scaled
from inference.experiments.crf.unaries import Example
from scene.labels import VOID

START = Parameters(appearance_sigma_xy=10.0, iterations=3)


def _probs(mask, count, sure):
    """Believe the mask, with the rest spread evenly."""
    hot = torch.nn.functional.one_hot(mask.long(), count).permute(2, 0, 1).float()
    return hot * sure + (1 - hot) * (1 - sure) / (count - 1)


@pytest.fixture
def guesses():
    """Make smooth guesses that know nothing of the truth, in a picture that bears them out."""
    draw = torch.Generator().manual_seed(0)
    mask = torch.randint(3, (12, 12), generator=draw).byte()
    guess = torch.arange(12).div(4, rounding_mode="floor").expand(12, 12)
    image = (80 * guess).byte()[..., None].expand(-1, -1, 3).contiguous()
    return [Example(_probs(guess, 3, 0.5), image, mask, "guesses")]


@pytest.fixture
def blobs():
    """Make two scenes of halves in their own colours, and unaries wrong in a third of pixels."""
    draw = torch.Generator().manual_seed(1)
    cache = []
    for turn in range(2):
        mask = torch.zeros(12, 14, dtype=torch.uint8)
        mask[:, 7:] = 1
        mask[8:] = 2 * turn
        image = (30 * mask.float())[..., None].expand(-1, -1, 3)
        image = (image + 5 * torch.randn(12, 14, 3, generator=draw)).clamp(0, 255).byte()
        wrong = torch.rand(12, 14, generator=draw) < 0.33
        guess = torch.where(wrong, torch.randint(3, (12, 14), generator=draw), mask)
        mask[0] = VOID
        cache.append(Example(_probs(guess, 3, 0.7), image.contiguous(), mask, f"blobs {turn}"))
    return cache


def test_weights_vanish_where_neighbours_only_make_wrong_guesses_surer(guesses):
    result = fit(guesses, START, steps=30).parameters
    assert result.smoothness_weight < 0.05 * START.smoothness_weight
    assert result.appearance_weight < 0.05 * START.appearance_weight


@pytest.mark.parametrize("form", ["potts", "diagonal", "full"])
def test_the_likelihood_only_rises(blobs, form):
    result = fit(blobs, START, compatibility=form, steps=6)
    losses = result.losses["weights"]
    assert all(later < earlier for earlier, later in pairwise(losses))
    assert losses[-1] < losses[0]
    assert losses[-1] == pytest.approx(_loss(blobs, result.parameters), rel=1e-4)


def test_more_freedom_fits_no_worse(blobs):
    ends = [
        fit(blobs, START, compatibility=form, steps=12).losses["weights"][-1]
        for form in ("potts", "full")
    ]
    assert ends[1] <= ends[0] + 1e-3


def test_a_full_compatibility_is_symmetric_and_of_mean_diagonal_1(blobs):
    result = fit(blobs, START, compatibility="full", steps=4).parameters
    table = torch.tensor(result.compatibility)
    torch.testing.assert_close(table, table.T)
    assert float(table.diagonal().mean()) == pytest.approx(1)
    assert not table.equal(torch.eye(3))


def test_widths_are_learned_and_fit_better_than_weights_alone(blobs):
    wide = replace(START, appearance_sigma_rgb=80.0, smoothness_weight=0.0)
    alone = fit(blobs, wide, steps=10)
    result = fit(blobs, wide, widths=True, steps=10)
    assert result.parameters.appearance_sigma_rgb < 80
    assert result.losses["widths and weights"][-1] < alone.losses["weights"][-1]
    assert "weights" not in result.losses  # such small scenes are seen whole as it is


def test_a_kernel_left_out_stays_out(blobs):
    result = fit(blobs, replace(START, smoothness_weight=0.0), widths=True, steps=2).parameters
    assert result.smoothness_weight == 0
    assert result.smoothness_sigma == START.smoothness_sigma


def test_the_same_scenes_give_the_same_parameters(blobs):
    assert fit(blobs, START, steps=3) == fit(blobs, START, steps=3)


def test_a_scene_scaled_down_has_as_many_pixels_as_asked(blobs):
    small, (down, across) = scaled(blobs[0], 42)
    height, width = small.mask.shape
    assert height * width <= 42
    assert (down, across) == (height / 12, width / 14)
    assert small.image.shape == (height, width, 3)
    torch.testing.assert_close(small.probs.sum(0), torch.ones(height, width))
    assert scaled(blobs[0], 1000) == (blobs[0], (1.0, 1.0))


def test_the_lattice_is_taken_where_scenes_are_large(blobs, monkeypatch):
    kept = fit(blobs, START, steps=2, engine="exact")
    assert fit(blobs, START, steps=2, engine="fused") == kept
    lattice = fit(blobs, START, steps=2, engine="lattice")
    monkeypatch.setattr("inference.experiments.crf.fit.DENSE", 50)
    assert fit(blobs, START, steps=2) == lattice != kept


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"smoothness_weight": 0.0, "appearance_weight": 0.0}, "there is no kernel to fit"),
        ({"compatibility": (1.0, 1.0)}, "fitted to 2 labels, but here are 3"),
    ],
)
def test_nothing_to_fit(blobs, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        fit(blobs, replace(START, **change))


def test_nothing_to_fit_to(blobs):
    blank = replace(blobs[0], mask=torch.full_like(blobs[0].mask, VOID))
    with pytest.raises(ValueError, match="no scene with a labelled pixel"):
        fit([blank], START)


def _loss(examples, parameters):
    pixels = sum(int((e.mask != VOID).sum()) for e in examples)
    result = (log_loss(e, parameters.kernels(), parameters.iterations, "exact") for e in examples)
    return float(sum(result)) / pixels
