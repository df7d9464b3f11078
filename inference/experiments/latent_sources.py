"""Sources of z for generated scenes: the prior, posteriors, or points between two of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from scene.datasets.base import SceneDataset

from ..build import Assembly
from ..prediction.predict import draw

Origin = Literal["prior", "posterior", "walk"]

LatentSampler = Callable[[int], Tensor]
"""Samples 1 to so many z: ``(B, L)``."""

_TRIES = 50


def latent_sampler(origin: Origin, assembly: Assembly, scenes: SceneDataset) -> LatentSampler:
    """Return a function that samples z.

    Args:
        origin: ``prior``; ``posterior``: of random scenes given all views of the guide, so that z
            is sampled from the aggregate posterior; ``walk``: uniformly on the line between
            samples of two scenes' posteriors.
        assembly: Model and guide, in evaluation mode.
        scenes: For posteriors; scenes that lack a view of the guide are skipped.
    """
    if origin == "prior":
        return lambda count: _one(draw(assembly, None, 1, count))
    if origin == "posterior":
        return lambda count: _sample_posterior(assembly, scenes, count)

    def walk(count: int) -> Tensor:
        ends = [_sample_posterior(assembly, scenes, count) for _ in range(2)]
        both = min(map(len, ends))
        along = torch.rand(both, 1).to(ends[0].device)
        return torch.lerp(ends[0][:both], ends[1][:both], along)

    return walk


def _sample_posterior(assembly: Assembly, scenes: SceneDataset, count: int) -> Tensor:
    """Sample scenes, and z of each from its posterior; scenes that lack a view are skipped."""
    names = assembly.guide.views
    for _ in range(_TRIES):
        indices = torch.randint(len(scenes), (count,)).tolist()
        views = scenes.views(indices).only(names)
        views = views.rows(views.having(names))
        if len(views):
            return _one(draw(assembly, views.to(assembly.device), 1, len(views)))
    raise ValueError(
        f"Hardly any scene of {scenes.name} ({scenes.split}) has {', '.join(names)}, which this "
        "guide reads; draw --from prior."
    )


def _one(z: Tensor | None) -> Tensor:
    assert z is not None
    return z[0]
