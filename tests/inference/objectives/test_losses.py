"""SEC's losses, against slow literal transcriptions of their formulas, in numpy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.objectives.sec import (
    CELLS,
    FLOOR,
    constrain_loss,
    expand_loss,
    probabilities,
    rank_pool,
    seed_loss,
)

SHAPES = [(1, 2, 1, 1), (2, 3, 4, 5), (3, 5, 6, 6)]


def some(shape, seed=0):
    """Make p, cues, present labels and a CRF's answer; every image has cues."""
    draw = torch.Generator().manual_seed(seed)
    p = probabilities(3 * torch.randn(shape, generator=draw, dtype=torch.float64))
    cues = torch.rand(shape, generator=draw) < 0.3
    cues[:, 0, 0, 0] = True
    present = torch.rand(shape[:2], generator=draw) < 0.5
    crf = (4 * torch.randn(shape, generator=draw, dtype=torch.float64)).softmax(1)
    return p, cues, present, crf


def slow_seed(p, cues):
    images = []
    for b in range(len(p)):
        total = count = 0
        for c, i, j in np.ndindex(*p.shape[1:]):
            if cues[b, c, i, j]:
                total += math.log(p[b, c, i, j])
                count += 1
        images.append(-total / count)
    return np.mean(images)


def slow_pool(cells, q, power):
    total = weight_sum = 0
    for rank, value in enumerate(sorted(cells, reverse=True)):
        weight = q ** (power * rank)
        total += weight * value
        weight_sum += weight
    return total / weight_sum


def slow_expand(p, present, background):
    images = []
    for b in range(len(p)):
        n = p.shape[2] * p.shape[3]
        there, absent, ground = [], [], 0
        for c in range(p.shape[1]):
            cells = p[b, c].flatten()
            if c == background:
                ground = -math.log(slow_pool(cells, 0.999, 1681 / n))
            elif present[b, c]:
                there.append(-math.log(slow_pool(cells, 0.996, 1681 / n)))
            else:
                absent.append(-math.log(1 - max(cells)))
        images.append(sum(np.mean(x) for x in (there, absent) if x) + ground)
    return np.mean(images)


def slow_constrain(p, crf):
    cells = []
    for b, i, j in np.ndindex(len(p), *p.shape[2:]):
        q = np.maximum(crf[b, :, i, j], 1e-4)
        q /= q.sum()
        cells.append(sum(x * math.log(x / y) for x, y in zip(q, p[b, :, i, j], strict=True)))
    return np.mean(cells)


@pytest.mark.parametrize("shape", SHAPES)
def test_seed_is_what_the_paper_says(shape):
    p, cues, _, _ = some(shape)
    assert seed_loss(p, cues).item() == pytest.approx(slow_seed(p.numpy(), cues.numpy()))


@pytest.mark.parametrize("background", [0, 1, None])
@pytest.mark.parametrize("shape", SHAPES)
def test_expand_is_what_the_paper_says(shape, background):
    p, _, present, _ = some(shape)
    slow = slow_expand(p.numpy(), present.numpy(), background)
    assert expand_loss(p, present, background).item() == pytest.approx(slow)


@pytest.mark.parametrize("shape", SHAPES)
def test_constrain_is_what_the_paper_says(shape):
    p, _, _, crf = some(shape)
    slow = slow_constrain(p.numpy(), crf.numpy())
    assert constrain_loss(p, crf).item() == pytest.approx(slow)


def test_gradients_are_those_of_finite_differences():
    """Through the softmax too; sorting and the maximum have no ties here."""
    draw = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 3, 3, 3, generator=draw, dtype=torch.float64, requires_grad=True)
    _, cues, present, crf = some((2, 3, 3, 3))
    for loss in (
        lambda z: seed_loss(probabilities(z), cues),
        lambda z: expand_loss(probabilities(z), present),
        lambda z: expand_loss(probabilities(z), present, None),
        lambda z: constrain_loss(probabilities(z), crf),
    ):
        assert torch.autograd.gradcheck(loss, logits)


def test_no_gradient_reaches_the_crf():
    p, _, _, crf = some((2, 3, 4, 5))
    crf.requires_grad_()
    p.requires_grad_()
    constrain_loss(p, crf).backward()
    assert crf.grad is None
    assert p.grad is not None


def test_p_is_a_softmax_lifted_off_zero():
    logits = torch.tensor([0.0, 1.0, 200.0]).view(1, 3, 1, 1)
    p = probabilities(logits)
    soft = logits.softmax(1) + FLOOR
    torch.testing.assert_close(p, soft / soft.sum(1, keepdim=True))
    assert p.min() == pytest.approx(FLOOR / (1 + 3 * FLOOR))


def test_what_the_crf_agrees_with_costs_nothing():
    """Where both lie above the floor, KL is zero just where they are equal."""
    p, _, _, crf = some((2, 3, 4, 5))
    assert constrain_loss(p, p).item() == pytest.approx(0, abs=1e-7)
    assert constrain_loss(p, crf) > 0


def test_an_image_without_cues_is_no_reason_to_change():
    p, cues, _, _ = some((2, 3, 4, 5))
    p.requires_grad_()
    cues[0] = False
    seed_loss(p, cues).backward()
    assert p.grad[0].eq(0).all()
    assert p.grad[1].ne(0).any()
    assert seed_loss(p.detach(), torch.zeros_like(cues)) == 0


@pytest.mark.parametrize("value", [False, True])
def test_an_image_with_all_labels_or_none_has_a_finite_loss(value):
    p, _, present, _ = some((2, 3, 4, 5))
    assert expand_loss(p, torch.full_like(present, value)).isfinite()


def test_the_column_of_the_background_is_not_read():
    p, _, present, _ = some((2, 3, 4, 5))
    other = present.clone()
    other[:, 1] = ~other[:, 1]
    assert expand_loss(p, present, 1) == expand_loss(p, other, 1)


def test_filling_more_of_the_image_with_a_present_label_is_better():
    """And with an absent one worse."""
    p = torch.full((1, 2, 4, 4), 0.5, dtype=torch.float64)
    more = p.clone()
    more[0, 1, :2] += 0.3
    there, absent = torch.tensor([[True, True]]), torch.tensor([[True, False]])
    assert expand_loss(more, there, None) < expand_loss(p, there, None)
    assert expand_loss(more, absent, None) > expand_loss(p, absent, None)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(1e-6, 1))
def test_pooling_lies_between_the_mean_and_the_maximum(values, decay):
    cells = torch.tensor(values, dtype=torch.float64)
    pooled = rank_pool(cells, decay)
    assert cells.mean() - 1e-9 <= pooled <= cells.max() + 1e-9
    torch.testing.assert_close(rank_pool(cells, 1.0), cells.mean())


def test_pooling_weighs_the_same_share_of_any_grid():
    """A picture whose cells are each split in four pools to nearly the same."""
    draw = torch.Generator().manual_seed(0)
    values = torch.rand(CELLS, generator=draw, dtype=torch.float64)
    fine = rank_pool(values.repeat_interleave(4), 0.996)
    torch.testing.assert_close(fine, rank_pool(values, 0.996), rtol=1e-3, atol=0)


def test_on_its_own_grid_a_rate_is_the_papers():
    cells = torch.linspace(0, 1, CELLS, dtype=torch.float64)
    slow = slow_pool(cells.tolist(), 0.996, 1)
    torch.testing.assert_close(rank_pool(cells, 0.996).item(), slow)
