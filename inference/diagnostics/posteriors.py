"""Beliefs about z over a whole split: given which views there are any, and what they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.views import Views

from ..build import Assembly
from ..objectives.telbo import divergence
from ..prediction.predict import posterior

Given = tuple[str, ...]

TOGETHER = 512
"""Decoded scenes, or scenes read, at once."""

_MEAN_DRAWS = 1024  # their scatter, 1/1024, must lie well below the variance of an active unit


@dataclass(frozen=True)
class Beliefs:
    """The posteriors of N scenes given some of their views.

    Attributes:
        given: The views.
        means: E_q[z] of each scene, ``(N, L)``.
        drawn: One draw from each posterior, ``(N, L)``: together, draws from their mixture.
        kl: KL(q ‖ prior) of each scene, ``(N,)`` in nats.
        kl_by_unit: The same for each latent dimension, ``(N, L)``; None where posterior or prior
            does not factorise, so that there is no such thing.
        start: Mean of each scene's prior, ``(N, L)``.
        unit: Its standard deviation, ``(N, L)``.
    """

    given: Given
    means: Tensor
    drawn: Tensor
    kl: Tensor
    kl_by_unit: Tensor | None
    start: Tensor
    unit: Tensor

    @property
    def alike(self) -> bool:
        """Whether every scene has the same prior, N(0, I)."""
        return bool((self.start == 0).all() and (self.unit == 1).all())

    def standardised(self, z: Tensor) -> Tensor:
        """Say where z of each scene lies in its prior, ``(N, L)``, in standard deviations.

        Draws from any priors are then draws from N(0, I), and scenes compare.
        """
        return (z - self.start) / self.unit


def conditionings(assembly: Assembly) -> tuple[Given, ...]:
    """List the sets of views given which there is a posterior, smaller ones first.

    Sets without what the model conditions on are left out, and so is that alone.
    """
    conditions = set(assembly.model.conditions)
    names = tuple(dict.fromkeys((*assembly.model.conditions, *assembly.guide.views)))
    sets = (s for size in range(1, len(names) + 1) for s in combinations(names, size))
    return tuple(s for s in sets if conditions < set(s) and assembly.guide.accepts(s))


def predictive(assembly: Assembly) -> tuple[Given, ...]:
    """List the same, and before them what the model conditions on: then the prior is believed."""
    conditions = tuple(assembly.model.conditions)
    return (conditions, *conditionings(assembly)) if conditions else conditionings(assembly)


def named(given: Given) -> str:
    """Write a set of views, as ``image + classes``."""
    return " + ".join(given)


def complete_scenes(assembly: Assembly, dataset: SceneDataset, limit: int | None = None) -> Views:
    """Gather the scenes of a split that have every view the model or the guide knows.

    Args:
        assembly: Model and guide.
        dataset: The split.
        limit: Look at its first so many scenes only.

    Raises:
        ValueError: If there are fewer than two; no variance over scenes would exist.
    """
    model, guide = assembly.model, assembly.guide
    needed = tuple(dict.fromkeys((*model.conditions, *guide.views, *model.views)))
    count = len(dataset) if limit is None else min(limit, len(dataset))
    if count:
        found = dataset.views(range(count)).only(needed)
        found = found.rows(found.having(needed))
        if len(found) > 1:
            return found
    raise ValueError(
        f"Of {count} scenes in {dataset.name} ({dataset.split}) fewer than 2 have "
        f"{', '.join(needed)}; choose another split."
    )


def parts(views: Views, device: torch.device, each: int = 1) -> Iterator[Views]:
    """Cut a batch so that ``each`` copies of a part's scenes are not too many at once."""
    size = max(1, TOGETHER // each)
    for rows in torch.arange(len(views)).split(size):
        yield views.rows(rows).to(device)


def beliefs(assembly: Assembly, views: Views, given: Given) -> Beliefs:
    """Find the posterior of every scene given some views.

    Args:
        assembly: Model and guide, in evaluation mode.
        views: N scenes that have these views.
        given: One of `conditionings`.

    Raises:
        ValueError: If there is no posterior given just these views.
    """
    with torch.no_grad():
        found = [_looked(assembly, part.only(given)) for part in parts(views, assembly.device)]
    means, drawn, kl, by_unit, start, unit = zip(*found, strict=True)
    known = [kl for kl in by_unit if kl is not None]
    return Beliefs(
        given,
        torch.cat(means),
        torch.cat(drawn),
        torch.cat(kl),
        torch.cat(known) if known else None,
        torch.cat(start),
        torch.cat(unit),
    )


def believed_before(assembly: Assembly, views: Views) -> Tensor:
    """Draw z of every scene from the prior, ``(N, L)``, which may be that of its conditions."""
    found = []
    with torch.no_grad():
        for part in parts(views, assembly.device):
            prior = assembly.model.prior(part)
            assert prior is not None
            found.append(prior.sample())
    return torch.cat(found)


def _looked(
    assembly: Assembly, seen: Views
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor, Tensor]:
    q, prior = posterior(assembly, seen), assembly.model.prior(seen)
    assert q is not None
    assert prior is not None
    by_unit = _kl_by_unit(q, prior)
    kl = divergence(q, prior) if by_unit is None else by_unit.sum(-1)
    return _mean(q), q.sample(), kl, by_unit, prior.mean, prior.stddev


def _mean(q: torch.distributions.Distribution) -> Tensor:
    try:
        return q.mean
    except NotImplementedError:
        return q.sample(torch.Size((_MEAN_DRAWS,))).mean(0)


def _kl_by_unit(q: object, prior: object) -> Tensor | None:
    independent = torch.distributions.Independent
    if not (isinstance(q, independent) and isinstance(prior, independent)):
        return None
    try:
        kl: Tensor = torch.distributions.kl_divergence(q.base_dist, prior.base_dist)
    except NotImplementedError:
        return None
    return kl if kl.shape == (*q.batch_shape, *q.event_shape) else None
