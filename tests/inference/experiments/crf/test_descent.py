"""Descent: it never rises, asks for no point twice, and survives a loss that breaks."""

import math
from itertools import pairwise

import pytest
import torch

from inference.experiments.crf.fit import descend


@pytest.fixture
def valley():
    """Make Rosenbrock's banana, and a list of the points it was asked for."""
    leaves = [torch.tensor([-1.2], requires_grad=True), torch.tensor([1.0], requires_grad=True)]
    evaluations = []

    def loss():
        x, y = leaves
        evaluations.append((x.item(), y.item()))
        result = ((1 - x).square() + 100 * (y - x.square()).square()).sum()
        result.backward()
        return result.item()

    return leaves, loss, evaluations


def test_it_finds_the_floor_of_a_bent_valley_and_never_rises(valley):
    leaves, loss, evaluations = valley
    losses = descend(leaves, loss, 60)
    assert all(later < earlier for earlier, later in pairwise(losses))
    assert losses[-1] < 1e-5
    assert torch.cat(leaves).tolist() == pytest.approx([1, 1], abs=1e-2)
    assert len(set(evaluations)) == len(evaluations)


def test_no_steps_change_nothing(valley):
    leaves, loss, _ = valley
    assert len(descend(leaves, loss, 0)) == 1
    assert [leaf.item() for leaf in leaves] == [pytest.approx(-1.2), 1.0]


def test_where_the_loss_breaks_the_search_turns_back():
    x = torch.tensor([1.0], requires_grad=True)

    def loss():
        if x.item() < 0.5:
            return math.nan
        x.sum().backward()
        return x.item()

    losses = descend([x], loss, 5)
    assert all(later < earlier for earlier, later in pairwise(losses))
    assert losses[-1] == x.item() >= 0.5


def test_where_nothing_is_better_the_start_is_kept():
    x = torch.tensor([1.0], requires_grad=True)

    def loss():
        if x.item() != 1.0:
            return math.nan
        x.sum().backward()
        return x.item()

    assert descend([x], loss, 5) == [1.0]
    assert x.item() == 1.0
