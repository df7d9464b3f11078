"""Log-likelihoods by importance sampling: of all views, of a set, of one view given others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import pyro
import torch
from torch import Tensor

from scene.views import Views

from ..build import Assembly
from ..objectives.bounds import elbo, iwae
from ..objectives.importance_weights import Evidence, evidence
from .posteriors import ViewNames, chunks, predictive_sets

LOOSE = 2.0
"""Effective sample size below which an IWAE bound may be far below the log-likelihood."""


@dataclass(frozen=True)
class Mean:
    """A mean over scenes and its standard error, in nats."""

    value: float
    error: float


@dataclass(frozen=True)
class Marginal:
    """Bounds on log p(scored | conditions), averaged over N scenes.

    Attributes:
        scored: The views whose density it is.
        conditions: The views that the model conditions on.
        given: The views that q conditions on; with the conditions alone, q is the prior.
        elbo: Mean log weight.
        iwae: Log mean weight: on average not below the ELBO, and exact as K grows.
        effective: Effective sample size of the K particles, median over scenes.
    """

    scored: ViewNames
    conditions: ViewNames
    given: ViewNames
    elbo: Mean
    iwae: Mean
    effective: float

    @property
    def loose(self) -> bool:
        """Whether the effective sample size is so small that the bound may be far off."""
        return self.effective < LOOSE

    @property
    def title(self) -> str:
        """The density, such as ``image, mask`` or ``mask | image``."""
        return " | ".join(", ".join(names) for names in (self.scored, self.conditions) if names)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"title": self.title, **asdict(self), "loose": self.loose}


@dataclass(frozen=True)
class Conditional:
    """Estimates of log p(target | given), averaged over N scenes.

    Attributes:
        target: The view that is predicted.
        given: The views that it is predicted from.
        difference: IWAE of ``given`` and ``target`` together minus IWAE of ``given``. It is no
            bound, but consistent as K grows. None where one of the two does not exist.
        loose: Whether one of the two bounds is loose: the difference may then be far off, in
            either direction.
        through: log E_{q(z | given)} p(target | z) with K samples: the log-likelihood of the
            prediction as it is made.
    """

    target: str
    given: ViewNames
    difference: Mean | None
    loose: bool
    through: Mean

    @property
    def title(self) -> str:
        """The density, such as ``mask | image, classes``."""
        return f"{self.target} | {', '.join(self.given)}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"title": self.title, **asdict(self)}


def log_likelihoods(
    assembly: Assembly, views: Views, *, particles: int = 64
) -> tuple[list[Marginal], list[Conditional]]:
    """Estimate every log-likelihood that the model and the guide allow.

    For each set of views, K samples of q(z | set) score every view once; all estimates are
    reductions of those scores.

    Args:
        assembly: Model and guide, in evaluation mode.
        views: N scenes that have every view.
        particles: K, samples of z for each scene.

    Raises:
        ValueError: If ``particles`` is below 1.

    Source:
        Burda et al. (2016), Importance Weighted Autoencoders, eq. 8.
    """
    if particles < 1:
        raise ValueError(f"An estimate needs 1 particle or more, not {particles}.")
    passes = {
        given: score_views(assembly, views, given, particles)
        for given in predictive_sets(assembly)
    }
    marginals, bounds = [], {}
    for given, scores in passes.items():
        for scored in _scored(assembly, given):
            log_w = replace(
                scores, likelihoods={name: scores.likelihoods[name] for name in scored}
            ).log_weights()
            marginal = Marginal(
                scored,
                tuple(assembly.model.conditions),
                given,
                mean(elbo(log_w)),
                mean(iwae(log_w)),
                float(effective_sample_size(log_w).median()),
            )
            bounds[frozenset(scored)] = marginal, iwae(log_w)
            marginals.append(marginal)
    conditions = set(assembly.model.conditions)
    conditionals = [
        _conditional(target, given, scores, bounds, conditions)
        for given, scores in passes.items()
        for target in assembly.model.views
        if target not in given and not set(given) <= conditions
    ]
    return marginals, conditionals


def _scored(assembly: Assembly, given: ViewNames) -> list[ViewNames]:
    """Return the sets of views to score with samples given some views: these, or all of them."""
    every = tuple(assembly.model.views)
    own = tuple(name for name in every if name in given)
    everything = set(given) == {*assembly.guide.views, *assembly.model.conditions}
    return [own, every] if own and own != every and everything else [own or every]


def _conditional(
    target: str,
    given: ViewNames,
    scores: Evidence,
    bounds: Mapping[frozenset[str], tuple[Marginal, Tensor]],
    conditions: Collection[str],
) -> Conditional:
    observed = frozenset(given) - set(conditions)
    through = mean(iwae(scores.likelihoods[target]))
    if observed not in bounds or observed | {target} not in bounds:
        return Conditional(target, given, None, False, through)
    (one, both), (other, alone) = bounds[observed | {target}], bounds[observed]
    return Conditional(target, given, mean(both - alone), one.loose or other.loose, through)


def score_views(assembly: Assembly, views: Views, given: ViewNames, particles: int) -> Evidence:
    """Score every view of N scenes by K samples of q(z | given): ``(K, N)`` each."""
    scores = []
    model = assembly.model
    names_held = tuple(dict.fromkeys((*model.conditions, *model.views)))
    with torch.no_grad():
        for part in chunks(views, assembly.device, each=particles):
            observed, all_views = part.only(given), part.only(names_held)
            scores.append(
                evidence(
                    partial(model, all_views),
                    partial(_draw, assembly, observed),
                    particles=particles,
                )
            )
    names = scores[0].likelihoods
    return Evidence(
        {n: torch.cat([part.likelihoods[n] for part in scores], dim=1) for n in names},
        torch.cat([part.log_prior for part in scores], dim=1),
        torch.cat([part.log_q for part in scores], dim=1),
        None,
        {},
    )


def effective_sample_size(log_w: Tensor) -> Tensor:
    """Return the effective sample size (Σ w)² / Σ w²: log weights ``(K, B)`` to ``(B,)``.

    >>> effective_sample_size(torch.zeros(4, 1))
    tensor([4.])
    """
    return (2 * log_w.logsumexp(0) - (2 * log_w).logsumexp(0)).exp()


def _draw(assembly: Assembly, observed: Views) -> Tensor:
    """Sample z from the guide, or from the prior if only the model's conditions are held."""
    if set(observed.names) - set(assembly.model.conditions):
        z: Tensor = assembly.guide(observed)
        return z
    with pyro.plate("scenes", len(observed), dim=-1):
        return pyro.sample("z", assembly.model.prior(observed))  # type: ignore[no-any-return]


def mean(values: Tensor) -> Mean:
    """Return mean and standard error over scenes: ``(N,)``."""
    return Mean(float(values.mean()), float(values.std() / len(values) ** 0.5))
