"""Latent traversals: one scene, decoded as one dimension of z varies at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from scene.figures.grid import Panel, draw_grid, named
from scene.labels import Labels
from scene.views import Views

from ..build import Assembly
from ..prediction.predict import draw, expected
from ..prediction.sample import decided
from .posteriors import Units, moments_at

REACH, STEPS, ROWS = 3.0, 7, 6
"""Range of a traversal in standard deviations of the prior, its steps, and number of units."""


def traverse(
    z: Tensor,
    units: Sequence[int],
    prior: tuple[Tensor, Tensor],
    reach: float = REACH,
    steps: int = STEPS,
) -> Tensor:
    """Return latents in which one unit varies over its prior and all others are constant.

    Args:
        z: The latent that is varied, ``(L,)``.
        units: U dimensions of z.
        prior: Mean and standard deviation of the prior, ``(L,)`` each.
        reach: Largest distance from the prior's mean, in standard deviations.
        steps: Number of values.

    Returns:
        ``(U, steps, L)``.

    >>> prior = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.5])
    >>> traverse(torch.tensor([5.0, 7.0]), [1], prior, reach=1, steps=3)
    tensor([[[5.0000, 1.5000],
             [5.0000, 2.0000],
             [5.0000, 2.5000]]])
    """
    walks = z.repeat(len(units), steps, 1)
    start, scale = prior
    for row, unit in enumerate(units):
        along = torch.linspace(-reach, reach, steps, device=z.device)
        walks[row, :, unit] = start[unit] + scale[unit] * along
    return walks


def draw_traversals(
    path: Path,
    assembly: Assembly,
    scene: Views,
    given: Sequence[str],
    activity: Units,
    labels: Labels,
) -> list[int]:
    """Plot traversals of the most active units, from a scene's posterior mean.

    Args:
        path: Where the PNG goes.
        assembly: Model and guide, in evaluation mode.
        scene: A batch of one scene.
        given: The views that its posterior conditions on.
        activity: The units, for their order.
        labels: The vocabulary.

    Returns:
        The units, in the order of the rows.
    """
    scene = scene.to(assembly.device)
    with torch.no_grad():
        z = draw(assembly, scene.only(given), 1, 1, at_mean=True)
        prior = assembly.model.prior(scene)
    assert z is not None
    assert prior is not None
    condition_names = assembly.model.conditions
    conditions = scene.only(condition_names) if condition_names else None
    rows = activity.order[:ROWS]
    with torch.no_grad():
        loc, scale = moments_at(prior, z[0])
    walks = traverse(z.flatten(), rows, (loc[0], scale[0]))
    own = " of its own prior" if bool((loc != 0).any()) else " of the prior"
    panels, names = [], []
    for unit, walk in zip(rows, walks, strict=True):
        with torch.no_grad():
            likelihoods = assembly.model.compose(walk[:, None], conditions)
        decoded = decided({name: expected(x) for name, x in likelihoods.items()})
        views = {name: view.squeeze(1) for name, view in decoded.items()}
        for view in (name for name in ("image", "mask") if name in views):
            panels.append(_line(view, views, labels))
            names.append(f"z{unit} {view}\nE[z] varies {float(activity.variance[unit]):.2f}")
    draw_grid(
        path,
        panels,
        labels,
        columns=[
            f"{at:+g}" if at else "0" for at in torch.linspace(-REACH, REACH, STEPS).tolist()
        ],
        rows=names,
        title="one unit of z at a time, from a scene's posterior mean;\n"
        f"columns: standard deviations{own} from its mean",
    )
    return rows


def _line(view: str, views: dict[str, Tensor], labels: Labels) -> list[Panel]:
    captions = [""] * len(views[view])
    if view == "mask" and "classes" in views:
        captions = [named(labels, vector) for vector in views["classes"]]
    return [Panel(p.cpu(), text) for p, text in zip(views[view], captions, strict=True)]
