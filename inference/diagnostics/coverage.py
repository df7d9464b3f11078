"""Coverage: whether the mixture of all scenes' posteriors is the prior, tested by samples."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scene.figures.charts import Cloud, draw_clouds
from scene.seeds import seeded
from scene.views import Views

from ..build import Assembly
from .posteriors import Posteriors, ViewNames, chunks, join_names

TINY = 1e-6
"""The least deviation that draws are divided by."""

PERMUTATIONS = 1000
"""Random permutations for a p-value."""


@dataclass(frozen=True)
class TwoSample:
    """The result of a two-sample test.

    Attributes:
        squared: The squared maximum mean discrepancy, unbiased: about 0, also below 0, if both
            samples have one distribution.
        p: p-value: the share of permutations with at least this discrepancy.
        bandwidth: Bandwidth of the kernel, in units of z.
    """

    squared: float
    p: float
    bandwidth: float


def mmd_test(
    x: Tensor, y: Tensor, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> TwoSample:
    """Test whether two samples have one distribution, by maximum mean discrepancy.

    The kernel is Gaussian, its bandwidth the median distance between two points. The p-value is
    that of a permutation test, so it is exact at any sample size.

    Args:
        x: ``(N, L)``.
        y: ``(N, L)``.
        permutations: Number of random permutations.
        seed: Seed of the permutations.

    Raises:
        ValueError: If the samples differ in shape, or hold fewer than two points.

    Source:
        Gretton et al. (2012), A Kernel Two-Sample Test, eq. 3 and section 5,
        https://jmlr.org/papers/v13/gretton12a.html
    """
    if x.shape != y.shape or len(x) < 2:
        raise ValueError(
            "The two-sample test needs two samples of the same shape, with 2 points or more; "
            f"not {len(x)}×{x.shape[-1]} and {len(y)}×{y.shape[-1]}."
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
    squared = _discrepancies(kernel, first, len(x))
    extreme = int((squared[1:] >= squared[0]).sum())
    return TwoSample(float(squared[0]), (1 + extreme) / (1 + permutations), bandwidth)


def _discrepancies(kernel: Tensor, first: Tensor, count: int) -> Tensor:
    """Return the squared discrepancy for each assignment ``(P, 2N)`` to the first sample."""
    sums = first @ kernel
    within = (sums * first).sum(1)
    across = sums.sum(1) - within
    others = kernel.sum() - within - 2 * across
    return (within + others) / (count * (count - 1)) - 2 * across / count**2


@dataclass(frozen=True)
class Coverage:
    """How the mixture of all scenes' posteriors compares with the prior.

    Everything is standardised by each scene's prior.

    Attributes:
        given: The views that the posteriors condition on.
        test: Samples of the mixture against samples of the prior.
        deviation: Standard deviation of the mixture, root mean square over dimensions; that of
            the prior is 1.
    """

    given: ViewNames
    test: TwoSample
    deviation: float

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "given": list(self.given),
            "title": join_names(self.given),
            "mmd_squared": self.test.squared,
            "p": self.test.p,
            "bandwidth": self.test.bandwidth,
            "deviation": self.deviation,
        }


def coverage(posteriors: Posteriors, prior: Tensor, seed: int = 0) -> Coverage:
    """Compare one sample of each of N posteriors with one of each prior, ``(N, L)``."""
    samples, prior = posteriors.standardised(posteriors.samples), posteriors.standardised(prior)
    deviation = float(samples.var(0).mean().sqrt())
    return Coverage(posteriors.given, mmd_test(samples, prior, seed=seed), deviation)


def flow_coverage(
    assembly: Assembly, views: Views, complete: Posteriors, seed: int = 0
) -> list[Coverage]:
    """Compare draws of the flow, one for each of N scenes, with draws given all of their views.

    Whatever the flow is given of each scene, its draws over all scenes lie where those do.

    Args:
        assembly: A model with a flow.
        views: The N scenes.
        complete: Their posteriors given all views.
        seed: Seed of the draws and of the permutations.

    Returns:
        A row for nothing given, and for each set of views; deviations are in those of the draws
        given all views.
    """
    flow = assembly.flow
    assert flow is not None
    centre, scale = complete.samples.mean(0), complete.samples.std(0).clamp(min=TINY)
    rows = []
    with seeded(seed, assembly.device), torch.no_grad():
        for size in range(len(flow.views) + 1):
            for given in combinations(flow.views, size):
                parts = [
                    flow.posterior(part.only(given) if given else None, len(part)).sample()
                    for part in chunks(views, assembly.device)
                ]
                drawn, true = ((z - centre) / scale for z in (torch.cat(parts), complete.samples))
                deviation = float(drawn.var(0).mean().sqrt())
                rows.append(Coverage(given, mmd_test(drawn, true, seed=seed), deviation))
    return rows


def draw_coverage(
    path: Path, inferred: list[Posteriors], prior: Tensor, results: list[Coverage]
) -> None:
    """Plot samples of the mixtures over samples of the prior, in two principal directions.

    The directions are those of E_q[z] given the most views, in all panels. Those of z itself
    would be the inactive units, whose variance is that of the prior. Samples are standardised by
    each scene's prior.
    """
    most = inferred[-1]
    axes = principal(most.standardised(most.means))
    where = (
        ""
        if most.has_standard_prior
        else ", in standard deviations of each scene's own prior from its mean"
    )
    clouds = [
        Cloud(
            f"{join_names(posterior.given)}\n"
            f"MMD² {result.test.squared:.3f}, p {result.test.p:.3f}",
            posterior.standardised(prior).cpu() @ axes,
            posterior.standardised(posterior.samples).cpu() @ axes,
        )
        for posterior, result in zip(inferred, results, strict=True)
    ]
    draw_clouds(
        path,
        clouds,
        labels=("prior", "posteriors of all scenes"),
        axes=("first principal direction of E[z]", "second"),
        title=f"z given …, one sample a scene, over samples of the prior{where}",
    )


def principal(points: Tensor) -> Tensor:
    """Return the two principal directions of points: ``(N, L)`` to orthonormal ``(L, 2)``.

    With L = 1 the second is zero.
    """
    centred = (points - points.mean(0)).cpu()
    directions = torch.linalg.svd(centred, full_matrices=True).Vh.T[:, :2]
    missing = 2 - directions.shape[1]
    return torch.nn.functional.pad(directions, (0, missing)) if missing else directions
