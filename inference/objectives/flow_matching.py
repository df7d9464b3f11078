"""Flow matching: a flow learns where a model's latents lie, given any of the views."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from scene.datasets.base import SceneDataset
from scene.networks.memory import BYTES
from scene.views import Scene, Views

from ..flows import FlowGuide
from .bounds import Objective, Term

NOTHING, ALONE = 0.2, 0.3
"""Shares of scenes of which no view is given, and one; of others, each is given half the time."""

MEAN, DEVIATION, READING = "z.mean", "z.deviation", "reading."
"""What batches of `EncodedScenes` call the posterior given all views, and readings of views."""

TOGETHER = 100
"""Scenes that are encoded at once."""


class FlowMatching(Objective):
    """Minus the squared error of the velocity from noise to a latent, a number of z on average.

    Latents are drawn from the posterior of the guide's ``source`` given all views of a scene. What
    the flow is given is drawn for each scene: nothing, or a random subset of those views. Times
    are drawn as the sigmoid of a standard Normal, since those in the middle are the hardest.
    Errors of numbers of z that tell much of scenes weigh more, see
    `FlowGuide.informative_shares`: most of the others are noise, and the velocity of noise alone
    is soon learned.

    Source:
        Lipman et al. (2023), Flow Matching for Generative Modeling, eq. 22 and 23 with
        σ_min = 0, https://arxiv.org/abs/2210.02747; the times: Esser et al. (2024), Scaling
        Rectified Flow Transformers, section 3.1, https://arxiv.org/abs/2403.03206; one network
        for any subset of views: Bounoua et al. (2023), Multi-modal Latent Diffusion,
        https://arxiv.org/abs/2306.04445
    """

    def conditionings(self, guide: Any) -> frozenset[frozenset[str]]:
        """List every set of views that scenes may have."""
        names = guide.views
        sizes = range(1, len(names) + 1)
        return frozenset(frozenset(s) for size in sizes for s in combinations(names, size))

    def terms(self, model: Any, guide: nn.Module, views: Views) -> dict[str, Term]:
        """Work out the one term, on the scenes that have a posterior."""
        assert isinstance(guide, FlowGuide)
        if MEAN not in views:
            views = encoded(guide, views)
        usable = views.present[MEAN]
        if not bool(usable.any()):
            return {}
        views = views.rows(usable)
        end = guide.standardised(torch.normal(views[MEAN], views[DEVIATION]))
        start, time = torch.randn_like(end), torch.randn(len(end), device=end.device).sigmoid()
        present = guide.present(views)
        given = _given(present)
        readings = {n: views[READING + n].float() for n in guide.sizes if READING + n in views}
        readings |= guide.read(views, guide.own)
        whole, cells = guide.seen(readings, given, present)
        velocity = guide.velocity(torch.lerp(start, end, time[:, None]), time, whole, cells)
        shares = guide.informative_shares(views[DEVIATION])
        error = ((velocity - (end - start)).square() * (shares / shares.mean())).mean()
        return {"flow": Term(-error, len(end), {"loss": error.detach()})}


def _given(present: Tensor) -> Tensor:
    """Choose for each scene which of its views, ``(B, V)`` bool, are given."""
    chance = torch.rand(len(present), 1, device=present.device)
    order = torch.rand(present.shape, device=present.device) + present
    first = order == order.amax(1, keepdim=True)
    half = torch.rand(present.shape, device=present.device) < 0.5
    return present & torch.where(chance < ALONE, first, half & (chance < 1 - NOTHING))


def encoded(guide: FlowGuide, views: Views) -> Views:
    """Add to a batch the posterior given all views of each scene, and what is read of each view.

    ``views["z.mean"]`` and ``views["z.deviation"]`` are ``(B, L)``; a scene whose views the source
    has no posterior given lacks them. Of a posterior that is no diagonal Normal they are a draw,
    and 0.
    """
    source = guide.source
    mean = torch.zeros(len(views), guide.latent, device=views.device)
    deviation, known = torch.ones_like(mean), torch.zeros_like(mean[:, 0], dtype=torch.bool)
    patterns = guide.present(views)
    for pattern in patterns.unique(dim=0):
        has = [name for name, here in zip(guide.views, pattern.tolist(), strict=True) if here]
        given = [name for name in has if name in source.views]
        if not given or not source.accepts(given):
            continue
        rows = (patterns == pattern).all(1)
        with torch.no_grad():
            q = source.posterior(views.rows(rows).only(given))
        mean[rows], deviation[rows] = _as_normal(q)
        known[rows] = True
    still = [name for name in guide.views if name not in guide.own]
    readings = {READING + name: reading for name, reading in guide.read(views, still).items()}
    tensors = {**dict(views.items()), MEAN: mean, DEVIATION: deviation, **readings}
    return Views(tensors, {**views.present, MEAN: known, DEVIATION: known})


def _as_normal(q: Any) -> tuple[Tensor, Tensor]:
    if isinstance(q, Independent) and isinstance(q.base_dist, Normal):
        return q.mean, q.stddev
    drawn = q.sample()
    return drawn, torch.zeros_like(drawn)


class EncodedScenes(SceneDataset):
    """Scenes whose batches hold what a flow is learned from, worked out once.

    Maps are kept as float16.

    Args:
        scenes: A dataset.
        guide: The flow, whose encoders stay as they are.
    """

    augmentation = "none"

    def __init__(self, scenes: SceneDataset, guide: FlowGuide) -> None:
        self.scenes = scenes
        self.name, self.split, self.source = scenes.name, scenes.split, scenes.source
        self.schema = scenes.schema
        device = guide.latents.mean.device
        parts: dict[str, list[Tensor]] = {}
        places = range(len(scenes))
        blank = _blank(guide)
        for first in places[::TOGETHER]:
            views = scenes.views(places[first : first + TOGETHER]).to(device)
            whole = encoded(guide, views)
            held = {name: whole[name] for name in (MEAN, DEVIATION)}
            held["known"] = whole.present[MEAN]
            for name, shape in blank.items():
                empty = torch.zeros(len(views), *shape, device=device)
                reading = whole[name] if name in whole else empty
                held[name] = reading.half() if reading.dim() > 2 else reading
            for name, tensor in held.items():
                parts.setdefault(name, []).append(tensor.cpu())
        self._held = {name: torch.cat(tensors) for name, tensors in parts.items()}

    def __len__(self) -> int:
        """Count the scenes."""
        return len(self.scenes)

    def __getitem__(self, index: int) -> Scene:
        """Return one scene."""
        return self.scenes[index]

    def views(self, indices: Sequence[int]) -> Views:
        """Return a batch of scenes, with what was worked out."""
        views, rows = self.scenes.views(indices), torch.as_tensor(indices)
        held = {name: tensor[rows] for name, tensor in self._held.items()}
        known = held.pop("known")
        tensors = {**dict(views.items()), **held}
        return Views(tensors, {**views.present, MEAN: known, DEVIATION: known})


def encoded_once(scenes: SceneDataset, guide: FlowGuide, augmentation: str) -> SceneDataset:
    """Return scenes that are encoded once, if there is room and that is all one needs of them.

    They must stay as they are, and their posteriors be diagonal Normals.
    """
    size = 2 * guide.latent * 4 + sum(2 * shape.numel() for shape in _blank(guide).values())
    if augmentation != "none" or not len(scenes) or len(scenes) * size > BYTES:
        return scenes
    first = encoded(guide, scenes.views(range(1)).to(guide.latents.mean.device))
    if not bool(first[DEVIATION].all()):  # then every batch wants draws of its own
        return scenes
    return EncodedScenes(scenes, guide)


def _blank(guide: FlowGuide) -> dict[str, torch.Size]:
    """Return the shape of the reading of each view, of one scene."""
    grid = guide.parts.grid[1:]
    return {
        READING + name: torch.Size((size, *grid) if maps else (size,))
        for name, (size, maps) in guide.sizes.items()
        if name not in guide.own
    }
