"""Posteriors of z over a split, given each set of views, and how active each dimension is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.views import Views

from ..build import Assembly
from ..objectives.divergence import divergence, given_levels_above, kl_by_unit
from ..prediction.predict import posterior

ViewNames = tuple[str, ...]
"""Names of views, in the order of `scene.views.VIEWS`."""

TOGETHER = 512
"""Scenes that are decoded, or encoded, at once."""

_MEAN_DRAWS = 1024  # its variance, 1/1024, must be well below that of an active unit


@dataclass(frozen=True)
class Posteriors:
    """The posteriors of N scenes given some of their views.

    Attributes:
        given: The views.
        means: E_q[z] of each scene, ``(N, L)``.
        drawn: One sample of each posterior, ``(N, L)``: together, samples of the mixture.
        kl: KL(q ‖ prior) of each scene, ``(N,)`` in nats.
        kl_by_unit: KL(q ‖ prior) of each latent dimension, ``(N, L)`` in nats, given those of the
            levels above it; None where the posterior or the prior does not factorise.
        priors: The priors of the scenes, N in all, batch by batch.
    """

    given: ViewNames
    means: Tensor
    samples: Tensor
    kl: Tensor
    kl_by_unit: Tensor | None
    priors: tuple[Any, ...]

    @property
    def has_standard_prior(self) -> bool:
        """Whether every scene has the same prior, N(0, I)."""
        if any(hasattr(prior, "at") for prior in self.priors):
            return False
        return all(bool((p.mean == 0).all() and (p.stddev == 1).all()) for p in self.priors)

    def standardised(self, z: Tensor) -> Tensor:
        """Return z of each scene standardised by its prior, ``(N, L)``.

        Samples of any Gaussian priors become samples of N(0, I), so that scenes compare; also of
        priors whose every level is Gaussian given those above it.
        """
        sizes = [prior.batch_shape[0] for prior in self.priors]
        parts = zip(self.priors, z.split(sizes), strict=True)
        return torch.cat([standardised(prior, part) for prior, part in parts])


def standardised(prior: Any, z: Tensor) -> Tensor:
    """Return z, ``(N, L)``, minus its mean and divided by its deviation under a prior.

    Both are those given the levels above, if the prior has levels.
    """
    with torch.no_grad():
        loc, scale = moments_at(prior, z)
    return (z - loc) / scale


def moments_at(prior: Any, z: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of each number of z, given those of the levels above it."""
    try:
        prior = given_levels_above(prior, z)
    except NotImplementedError:
        pass
    return prior.mean, prior.stddev


def conditioning_sets(assembly: Assembly) -> tuple[ViewNames, ...]:
    """Return the sets of views given which there is a posterior, smaller sets first.

    Each set holds the model's conditions and at least one more view.
    """
    conditions = set(assembly.model.conditions)
    names = tuple(dict.fromkeys((*assembly.model.conditions, *assembly.guide.views)))
    sets = (s for size in range(1, len(names) + 1) for s in combinations(names, size))
    return tuple(s for s in sets if conditions < set(s) and assembly.guide.accepts(s))


def predictive_sets(assembly: Assembly) -> tuple[ViewNames, ...]:
    """Return `conditioning_sets`, and before them the model's conditions, which give the prior."""
    conditions = tuple(assembly.model.conditions)
    return (
        (conditions, *conditioning_sets(assembly)) if conditions else conditioning_sets(assembly)
    )


def join_names(given: ViewNames) -> str:
    """Return a set of views as text, such as ``image + classes``."""
    return " + ".join(given)


def complete_scenes(assembly: Assembly, dataset: SceneDataset, limit: int | None = None) -> Views:
    """Return the scenes of a split that have every view of the model and the guide.

    Args:
        assembly: Model and guide.
        dataset: The split.
        limit: Use the first so many scenes only.

    Raises:
        ValueError: If there are fewer than two, over which there is no variance.
    """
    model, guide = assembly.model, assembly.guide
    needed = tuple(dict.fromkeys((*model.conditions, *guide.views, *model.views)))
    count = len(dataset) if limit is None else min(limit, len(dataset))
    if count:
        views = dataset.views(range(count)).only(needed)
        views = views.rows(views.having(needed))
        if len(views) > 1:
            return views
    raise ValueError(
        f"Of {count} scenes in {dataset.name} ({dataset.split}) fewer than 2 have "
        f"{', '.join(needed)}; choose another split."
    )


def chunks(views: Views, device: torch.device, each: int = 1) -> Iterator[Views]:
    """Split a batch so that ``each`` copies of a chunk's scenes are at most `TOGETHER`."""
    size = max(1, TOGETHER // each)
    for rows in torch.arange(len(views)).split(size):
        yield views.rows(rows).to(device)


def posteriors(assembly: Assembly, views: Views, given: ViewNames) -> Posteriors:
    """Compute the posterior of every scene given some views.

    Args:
        assembly: Model and guide, in evaluation mode.
        views: N scenes that have these views.
        given: One of `conditioning_sets`.

    Raises:
        ValueError: If there is no posterior given just these views.
    """
    with torch.no_grad():
        parts = [_infer(assembly, part.only(given)) for part in chunks(views, assembly.device)]
    means, samples, kl, by_unit, priors = zip(*parts, strict=True)
    known = [kl for kl in by_unit if kl is not None]
    return Posteriors(
        given,
        torch.cat(means),
        torch.cat(samples),
        torch.cat(kl),
        torch.cat(known) if known else None,
        priors,
    )


def sample_prior(assembly: Assembly, views: Views) -> Tensor:
    """Sample z of every scene from p(z | conditions), ``(N, L)``."""
    samples = []
    with torch.no_grad():
        for part in chunks(views, assembly.device):
            prior = assembly.model.prior(part)
            assert prior is not None
            samples.append(prior.sample())
    return torch.cat(samples)


def _infer(
    assembly: Assembly, observed: Views
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Any]:
    q, prior = posterior(assembly, observed), assembly.model.prior(observed)
    assert q is not None
    assert prior is not None
    z = q.sample()
    by_unit = _kl_by_unit(q, prior, z)
    kl = divergence(q, prior) if by_unit is None else by_unit.sum(-1)
    return _mean(q), z, kl, by_unit, prior


def _mean(q: torch.distributions.Distribution) -> Tensor:
    try:
        return q.mean
    except NotImplementedError:
        return q.sample(torch.Size((_MEAN_DRAWS,))).mean(0)


def _kl_by_unit(q: Any, prior: Any, z: Tensor) -> Tensor | None:
    independent = torch.distributions.Independent
    try:
        if isinstance(q, independent) and isinstance(prior, independent):
            kl: Tensor = torch.distributions.kl_divergence(q.base_dist, prior.base_dist)
        else:
            kl = kl_by_unit(q, prior, z)
    except NotImplementedError:
        return None
    return kl if kl.shape == (*q.batch_shape, *q.event_shape) else None


ACTIVE = 0.01
"""A unit is active if its posterior mean varies more than this over scenes."""


@dataclass(frozen=True)
class Units:
    """The dimensions of z given some views.

    Attributes:
        given: The views.
        variance: Variance over scenes of E_q[z], ``(L,)``, standardised by each scene's prior, so
            that what the prior already depends on does not count.
        kl: KL(q ‖ prior) of each dimension, ``(L,)`` in nats a scene; None where q does not
            factorise.
        total: KL(q ‖ prior) of all dimensions together, nats a scene.
        error: Standard error of ``total``, nats.
    """

    given: ViewNames
    variance: Tensor
    kl: Tensor | None
    total: float
    error: float

    @property
    def active(self) -> Tensor:
        """Which units are active, ``(L,)`` bool."""
        return self.variance > ACTIVE

    @property
    def order(self) -> list[int]:
        """All units, in order of falling variance."""
        order: list[int] = self.variance.argsort(descending=True).tolist()
        return order

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "given": list(self.given),
            "title": join_names(self.given),
            "active": int(self.active.sum()),
            "units": len(self.variance),
            "kl": self.total,
            "kl_error": self.error,
            "kl_by_unit": None if self.kl is None else self.kl.tolist(),
            "variance": self.variance.tolist(),
        }


def units(posteriors: Posteriors) -> Units:
    """Summarise the posteriors of N scenes for each dimension of z.

    Source:
        Burda et al. (2016), Importance Weighted Autoencoders, section 5.2 (the statistic A_u and
        its threshold), https://arxiv.org/abs/1509.00519
    """
    by_unit = None if posteriors.kl_by_unit is None else posteriors.kl_by_unit.mean(0).cpu()
    return Units(
        posteriors.given,
        posteriors.standardised(posteriors.means).var(0).cpu(),
        by_unit,
        float(posteriors.kl.mean()),
        float(posteriors.kl.std() / len(posteriors.kl) ** 0.5),
    )
