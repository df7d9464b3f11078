"""Gibbs sampling and mean field against every labelling there is, and against each other."""

from dataclasses import replace
from itertools import product

import pytest
import torch

from inference.crf.exact import Exact
from inference.crf.gibbs import gibbs
from inference.crf.kernels import Appearance, Smoothness

MILD = (
    Smoothness(sigma=1.0, weight=0.8, self_term=False),
    Appearance(sigma_xy=4.0, sigma_rgb=40.0, weight=1.2, self_term=False),
)


def enumerated(field):
    """Add up exp(score) of every labelling, pair by pair: L^N of them."""
    _, labels, height, width = field.logits.shape
    logits = field.logits[0].flatten(1).T
    ones = torch.eye(height * width, dtype=logits.dtype).reshape(-1, 1, height, width)
    pairs = [(kernel, columns(field, kernel, ones)) for kernel in field.kernels]
    total = torch.zeros_like(logits)
    for labelling in product(range(labels), repeat=height * width):
        x = torch.tensor(labelling)
        score = logits.gather(1, x.unsqueeze(1)).sum()
        for kernel, k in pairs:
            mu = torch.eye(labels) if kernel.compatibility is None else kernel.compatibility
            score = score + 0.5 * kernel.weight * (k * mu[x][:, x]).sum()  # each pair twice
        total[range(len(x)), x] += score.exp()
    return (total / total.sum(1, keepdim=True)).T.reshape(field.logits.shape)


def columns(field, kernel, ones):
    """Filter one pixel at a time, to read off the normalised matrix."""
    one = replace(field, logits=field.logits[:, :1])
    return torch.stack([Exact().filtered(one, kernel, pixel[None]).flatten() for pixel in ones])


def variation(one, other):
    return float((one - other).abs().sum(1).mean() / 2)


@pytest.fixture
def tiny(scene):
    """Make a scene of 2×3 pixels with 3 labels: 729 labellings."""
    field = scene(MILD, (2, 3), labels=3, dtype=torch.float64)
    return replace(field, logits=0.5 * field.logits)


def test_on_a_mild_model_both_are_near_the_truth(tiny):
    """Over seeds Gibbs is 0.0006 ± 0.0003 off, mean field a sixth ± 0.05 of what unaries are."""
    truth = enumerated(tiny)
    alone = variation(tiny.logits.softmax(1), truth)
    assert alone > 0.02
    assert variation(gibbs(tiny, 200, chains=64), truth) < 3e-3
    assert variation(Exact().marginals(tiny, 50), truth) < 0.4 * alone


def test_on_a_bistable_model_only_gibbs_is(tiny):
    """Two pixels that must agree, and lean neither way but a little: mean field picks a side."""
    kernels = (replace(MILD[0], weight=7.0, sigma=3.0, normalization="mean"),)
    logits = torch.zeros(1, 2, 1, 4, dtype=torch.float64)
    logits[:, 0] = 0.02
    field = replace(tiny, logits=logits, image=None, kernels=kernels)
    truth = enumerated(field)
    assert variation(gibbs(field, 300, chains=400), truth) < 0.04
    assert variation(Exact().marginals(field, 50), truth) > 0.3


def test_label_compatibilities_are_part_of_the_energy(tiny):
    mu = torch.tensor([[1.0, 0.5, -1.0], [0.5, 0.2, 0.0], [-1.0, 0.0, 2.0]])
    some = (replace(MILD[0], compatibility=mu), MILD[1])
    field = replace(tiny, kernels=some)
    assert variation(gibbs(field, 200, chains=64), enumerated(field)) < 3e-3


def test_gibbs_and_mean_field_agree_where_the_model_is_mild(scene):
    field = scene(MILD, (8, 9), labels=3)
    result, near = gibbs(field, 40, chains=32), Exact().marginals(field, 20)
    assert variation(field.logits.softmax(1), near) > 0.05
    assert variation(result, near) < 0.02


def test_the_same_seed_gives_the_same_marginals(scene):
    field = scene(MILD, (3, 4), batch=2)
    result = [gibbs(field, 2, burn_in=1, chains=3, seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(result[0], result[1])
    assert not torch.equal(result[0], result[2])
    torch.testing.assert_close(result[0].sum(1), torch.ones(2, 3, 4))


@pytest.mark.parametrize(
    ("kernel", "sentence"),
    [
        (Smoothness(normalization="after"), "symmetric pairwise"),
        (Smoothness(compatibility=torch.tensor([[0.0, 1.0], [0.0, 0.0]])), "symmetric compat"),
    ],
)
def test_what_has_no_energy_is_refused(scene, kernel, sentence):
    with pytest.raises(ValueError, match=sentence):
        gibbs(scene([kernel], (2, 2), labels=2))


def test_void_pixels_have_no_energy(scene):
    with pytest.raises(ValueError, match="one-way messages have no energy"):
        gibbs(scene(MILD, (2, 2), void=torch.ones(1, 2, 2, dtype=torch.bool)))


def test_nothing_cannot_be_averaged(scene):
    with pytest.raises(ValueError, match="must be 1 or more, not 0 and 32"):
        gibbs(scene(MILD, (2, 2)), 0)
