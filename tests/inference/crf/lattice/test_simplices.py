"""Laws of the permutohedral lattice: every point lies between the corners it is given."""

import math

import pytest
import torch

from inference.crf.lattice.permutohedral import elevate, enclosing_simplex, refinement


def points(d, count=400, seed=0, scale=5.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(d, count, generator=generator, dtype=torch.float64)


def corners(first, turns):
    """Walk from the first corner, a step an axis: D + 1 lists of D + 1 numbers over D + 1."""
    size = len(first)
    walked = [[float(x) for x in first]]
    for turn in range(size - 1):
        axis = turns.index(turn)
        # all coordinates grow by one, the axis's own falls by D: over D + 1
        walked.append([x + 1 / size - (i == axis) for i, x in enumerate(walked[-1])])
    return walked


@pytest.mark.parametrize("d", [1, 2, 3, 5, 8, 16])
def test_weights_are_shares_and_give_the_point_back(d):
    at = elevate(points(d))
    first, turns, weights = enclosing_simplex(at)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(0), torch.ones(400, dtype=torch.float64))
    for n in range(5):
        walked = torch.tensor(corners(first[:, n].tolist(), turns[:, n].tolist()))
        assert len({tuple(round(x * (d + 1)) for x in row) for row in walked.tolist()}) == d + 1
        torch.testing.assert_close(weights[:, n] @ walked.to(at), at[:, n], atol=1e-6, rtol=0)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_corners_are_those_of_a_slow_transcription(d):
    """Adams et al., section 3.1: the nearest point of remainder 0, then ranks of differences."""
    at = elevate(points(d, 30, seed=1))
    first, turns, weights = enclosing_simplex(at)
    for n in range(30):
        high = [x * (d + 1) for x in at[:, n].tolist()]
        nearest = [(d + 1) * round(x / (d + 1)) for x in high]
        excess = sum(nearest) // (d + 1)
        order = sorted(range(d + 1), key=lambda i: -(high[i] - nearest[i]))
        if excess > 0:
            for i in order[len(order) - excess :]:
                nearest[i] -= d + 1
        for i in order[: max(0, -excess)]:
            nearest[i] += d + 1
        order = sorted(range(d + 1), key=lambda i: -(high[i] - nearest[i]))
        assert sum(nearest) == 0
        assert [round(x) * (d + 1) for x in first[:, n].tolist()] == nearest
        # corner k is reached by raising all by k, and the k least by −(D + 1)
        assert [turns[:, n].tolist().index(k) for k in range(d + 1)] == order[::-1]
        differences = [(high[i] - nearest[i]) / (d + 1) for i in order]
        slow = [1 - differences[0] + differences[-1]]
        slow += [differences[d - k] - differences[d + 1 - k] for k in range(1, d + 1)]
        torch.testing.assert_close(weights[:, n].tolist(), slow, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("d", [1, 3, 7])
def test_elevation_keeps_the_ratios_of_distances_and_sums_to_zero(d):
    flat = points(d, 50)
    high = elevate(flat)
    torch.testing.assert_close(high.sum(0), torch.zeros(50).double(), atol=1e-9, rtol=0)
    scale = math.sqrt(2 / 3) * refinement(d)
    apart = [(x.unsqueeze(1) - x.unsqueeze(2)).norm(dim=0) for x in (high, flat)]
    torch.testing.assert_close(apart[0], scale * apart[1])
