"""Coverage: whether the posteriors of all scenes together fill the prior, as samples tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scene.figures.pairs import Cloud, draw_clouds

from .posteriors import Beliefs, Given, named

PERMUTATIONS = 1000
"""Relabellings that a p-value rests on."""


@dataclass(frozen=True)
class TwoSample:
    """A test of whether two samples come from one distribution.

    Attributes:
        squared: The squared maximum mean discrepancy, unbiased: about 0, or even below, if so.
        p: Share of relabellings with at least this discrepancy.
        bandwidth: Of the kernel, in units of z.
    """

    squared: float
    p: float
    bandwidth: float


def mmd_test(
    x: Tensor, y: Tensor, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> TwoSample:
    """Compare two samples by their maximum mean discrepancy under a Gaussian kernel.

    The kernel is as wide as the median distance between any two points; the p-value counts
    random relabellings of the points, so it holds at any size of sample.

    Args:
        x: ``(N, L)``.
        y: ``(N, L)``, as many.
        permutations: How many relabellings.
        seed: Of them.

    Raises:
        ValueError: If the samples differ in shape, or hold fewer than two points.

    Source:
        Gretton et al. (2012), A Kernel Two-Sample Test, eq. 3 and section 5,
        https://jmlr.org/papers/v13/gretton12a.html
    """
    if x.shape != y.shape or len(x) < 2:
        raise ValueError(
            f"Two samples of equally many points, 2 or more, can be compared; not {len(x)} of "
            f"{x.shape[-1]} numbers and {len(y)} of {y.shape[-1]}."
        )
    points = torch.cat([x, y]).double().cpu()
    distances = torch.cdist(points, points)
    above = torch.ones_like(distances).triu(1).bool()
    bandwidth = float(distances[above].median()) or 1.0
    kernel = (-distances.square() / (2 * bandwidth**2)).exp().fill_diagonal_(0)
    draw = torch.Generator().manual_seed(seed)
    first = torch.zeros(permutations + 1, len(points), dtype=torch.double)
    first[0, : len(x)] = 1
    order = torch.rand(permutations, len(points), generator=draw).argsort(1)
    first[1:].scatter_(1, order[:, : len(x)], 1.0)
    found = _discrepancies(kernel, first, len(x))
    extreme = int((found[1:] >= found[0]).sum())
    return TwoSample(float(found[0]), (1 + extreme) / (1 + permutations), bandwidth)


def _discrepancies(kernel: Tensor, first: Tensor, count: int) -> Tensor:
    """Work out the squared discrepancy for each choice ``(P, 2N)`` of the first sample."""
    sums = first @ kernel
    within = (sums * first).sum(1)
    across = sums.sum(1) - within
    others = kernel.sum() - within - 2 * across
    return (within + others) / (count * (count - 1)) - 2 * across / count**2


@dataclass(frozen=True)
class Coverage:
    """How the mixture of all scenes' posteriors compares with the prior.

    Attributes:
        given: The views that the posteriors were given.
        test: Draws from the mixture against draws from the prior.
        spread: The mixture's standard deviation, root mean square over dimensions; the prior's
            is 1. Of scenes with priors of their own, everything is in standard deviations of
            these from their means.
    """

    given: Given
    test: TwoSample
    spread: float

    def to_json(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "given": list(self.given),
            "title": named(self.given),
            "mmd_squared": self.test.squared,
            "p": self.test.p,
            "bandwidth": self.test.bandwidth,
            "spread": self.spread,
        }


def coverage(found: Beliefs, prior: Tensor, seed: int = 0) -> Coverage:
    """Compare one draw from each of N posteriors with one from each prior, ``(N, L)``."""
    drawn, prior = found.standardised(found.drawn), found.standardised(prior)
    spread = float(drawn.var(0).mean().sqrt())
    return Coverage(found.given, mmd_test(drawn, prior, seed=seed), spread)


def draw_coverage(
    path: Path, found: list[Beliefs], prior: Tensor, results: list[Coverage]
) -> None:
    """Draw the mixtures over the prior, seen along the two directions that say most.

    The axes are principal ones of E_q[z] given the most views: of z itself they would be
    those of units that say nothing, whose scatter is the prior's. All panels share them. Where
    the image says the prior, each draw is seen from its own.
    """
    most = found[-1]
    axes = principal(most.standardised(most.means))
    where = (
        "" if most.alike else ", in standard deviations of each scene's own prior from its mean"
    )
    clouds = [
        Cloud(
            f"{named(belief.given)}\nMMD² {result.test.squared:.3f}, p {result.test.p:.3f}",
            belief.standardised(prior).cpu() @ axes,
            belief.standardised(belief.drawn).cpu() @ axes,
        )
        for belief, result in zip(found, results, strict=True)
    ]
    draw_clouds(
        path,
        clouds,
        labels=("prior", "posteriors of all scenes"),
        axes=("first principal direction of E[z]", "second"),
        title=f"z given …, one draw a scene, over draws from the prior{where}",
    )


def principal(points: Tensor) -> Tensor:
    """Find two orthonormal directions of greatest variance: ``(N, L)`` to ``(L, 2)``.

    Of one dimension there is only one; the second is then zero.
    """
    centred = (points - points.mean(0)).cpu()
    directions = torch.linalg.svd(centred, full_matrices=True).Vh.T[:, :2]
    missing = 2 - directions.shape[1]
    return torch.nn.functional.pad(directions, (0, missing)) if missing else directions
