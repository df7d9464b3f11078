"""Where the z of a generated scene comes from: the prior, posteriors, or between two of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from scene.datasets.base import SceneDataset

from ..build import Assembly
from ..prediction.predict import draw

Origin = Literal["prior", "posterior", "walk"]

Places = Callable[[int], Tensor]
"""Gives up to so many z, at least one: ``(B, L)``."""

_TRIES = 50


def origin(name: Origin, assembly: Assembly, scenes: SceneDataset) -> Places:
    """Say where z is drawn from.

    Args:
        name: ``prior``; ``posterior``: that of a scene chosen at random, given all that the guide
            reads, so that all draws together are from the aggregate posterior; ``walk``: a place
            chosen evenly on the straight line between draws of two scenes' posteriors.
        assembly: Model and guide, in evaluation mode.
        scenes: Whose posteriors; those that lack a view the guide reads are passed over.
    """
    if name == "prior":
        return lambda count: _one(draw(assembly, None, 1, count))
    if name == "posterior":
        return lambda count: _remembered(assembly, scenes, count)

    def walk(count: int) -> Tensor:
        ends = [_remembered(assembly, scenes, count) for _ in range(2)]
        both = min(map(len, ends))
        along = torch.rand(both, 1).to(ends[0].device)
        return torch.lerp(ends[0][:both], ends[1][:both], along)

    return walk


def _remembered(assembly: Assembly, scenes: SceneDataset, count: int) -> Tensor:
    """Draw scenes, and z of each from its posterior; those that lack a view are passed over."""
    names = assembly.guide.views
    for _ in range(_TRIES):
        chosen = torch.randint(len(scenes), (count,)).tolist()
        seen = scenes.views(chosen).only(names)
        seen = seen.rows(seen.having(names))
        if len(seen):
            return _one(draw(assembly, seen.to(assembly.device), 1, len(seen)))
    raise ValueError(
        f"Hardly any scene of {scenes.name} ({scenes.split}) has {', '.join(names)}, which this "
        "guide reads; draw --from prior."
    )


def _one(z: Tensor | None) -> Tensor:
    assert z is not None
    return z[0]
