"""Log-likelihoods by importance sampling: of all views, of any set, of one given others."""

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
from .posteriors import Given, parts, predictive

LOOSE = 2.0
"""Effective draws below which an importance-weighted bound may lie far from what it bounds."""


@dataclass(frozen=True)
class Mean:
    """An average over scenes, in nats, and its standard error."""

    value: float
    error: float


@dataclass(frozen=True)
class Marginal:
    """Bounds on log p(scored | conditions), averaged over N scenes.

    Attributes:
        scored: The views whose density it is.
        conditions: Those the model takes as given.
        given: What q saw; the conditions alone stand for the prior.
        elbo: Mean log weight.
        iwae: Log mean weight: never below the ELBO on average, exact as K grows.
        effective: Effective number of the K particles, median over scenes.
    """

    scored: Given
    conditions: Given
    given: Given
    elbo: Mean
    iwae: Mean
    effective: float

    @property
    def loose(self) -> bool:
        """Whether so few draws count that the IWAE bound may lie far below."""
        return self.effective < LOOSE

    @property
    def title(self) -> str:
        """The density, as ``image, mask`` or ``mask | image``."""
        return " | ".join(", ".join(names) for names in (self.scored, self.conditions) if names)

    def to_json(self) -> dict[str, Any]:
        """Give plain data."""
        return {"title": self.title, **asdict(self), "loose": self.loose}


@dataclass(frozen=True)
class Conditional:
    """Estimates of log p(target | given), averaged over N scenes.

    Attributes:
        target: The view predicted.
        given: The views it is predicted from.
        difference: IWAE of both together less that of ``given``; no bound, but right as K grows.
            None where one of the two cannot be had.
        loose: Whether one of the two bounds is loose: the difference may then be far off, either
            way.
        through: log E_{q(z | given)} p(target | z): how well the prediction that is really made,
            by K draws from q, does.
    """

    target: str
    given: Given
    difference: Mean | None
    loose: bool
    through: Mean

    @property
    def title(self) -> str:
        """The density, as ``mask | image, classes``."""
        return f"{self.target} | {', '.join(self.given)}"

    def to_json(self) -> dict[str, Any]:
        """Give plain data."""
        return {"title": self.title, **asdict(self)}


def log_likelihoods(
    assembly: Assembly, views: Views, *, particles: int = 64
) -> tuple[list[Marginal], list[Conditional]]:
    """Estimate every log-likelihood that the model and the guide allow.

    One pass a set of views: K draws from q(z | set) score every view, and all else is a
    reduction of those scores.

    Args:
        assembly: Model and guide, in evaluation mode.
        views: N scenes that have every view.
        particles: K, the draws per scene.

    Raises:
        ValueError: If there is not one particle.

    Source:
        Burda et al. (2016), Importance Weighted Autoencoders, eq. 8.
    """
    if particles < 1:
        raise ValueError(f"An estimate needs 1 particle or more, not {particles}.")
    passes = {given: weigh(assembly, views, given, particles) for given in predictive(assembly)}
    marginals, known = [], {}
    for given, found in passes.items():
        for scored in _scored(assembly, given):
            log_w = replace(
                found, likelihoods={name: found.likelihoods[name] for name in scored}
            ).log_weights()
            marginal = Marginal(
                scored,
                tuple(assembly.model.conditions),
                given,
                mean(elbo(log_w)),
                mean(iwae(log_w)),
                float(effective(log_w).median()),
            )
            known[frozenset(scored)] = marginal, iwae(log_w)
            marginals.append(marginal)
    conditions = set(assembly.model.conditions)
    conditionals = [
        _conditional(target, given, found, known, conditions)
        for given, found in passes.items()
        for target in assembly.model.views
        if target not in given and not set(given) <= conditions
    ]
    return marginals, conditionals


def _scored(assembly: Assembly, given: Given) -> list[Given]:
    """List what draws given some views shall score: these views, and all where all were read."""
    every = tuple(assembly.model.views)
    own = tuple(name for name in every if name in given)
    everything = set(given) == {*assembly.guide.views, *assembly.model.conditions}
    return [own, every] if own and own != every and everything else [own or every]


def _conditional(
    target: str,
    given: Given,
    found: Evidence,
    known: Mapping[frozenset[str], tuple[Marginal, Tensor]],
    conditions: Collection[str],
) -> Conditional:
    seen = frozenset(given) - set(conditions)
    through = mean(iwae(found.likelihoods[target]))
    if seen not in known or seen | {target} not in known:
        return Conditional(target, given, None, False, through)
    (one, both), (other, alone) = known[seen | {target}], known[seen]
    return Conditional(target, given, mean(both - alone), one.loose or other.loose, through)


def weigh(assembly: Assembly, views: Views, given: Given, particles: int) -> Evidence:
    """Score every view of N scenes by draws from the belief given some: ``(K, N)`` each."""
    found = []
    model = assembly.model
    shown = tuple(dict.fromkeys((*model.conditions, *model.views)))
    with torch.no_grad():
        for part in parts(views, assembly.device, each=particles):
            seen, all_views = part.only(given), part.only(shown)
            found.append(
                evidence(
                    partial(model, all_views), partial(_draw, assembly, seen), particles=particles
                )
            )
    names = found[0].likelihoods
    return Evidence(
        {n: torch.cat([part.likelihoods[n] for part in found], dim=1) for n in names},
        torch.cat([part.log_prior for part in found], dim=1),
        torch.cat([part.log_q for part in found], dim=1),
        None,
        {},
    )


def effective(log_w: Tensor) -> Tensor:
    """Work out (Σ w)² / Σ w², the effective number of particles: ``(K, B)`` to ``(B,)``.

    >>> effective(torch.zeros(4, 1))
    tensor([4.])
    """
    return (2 * log_w.logsumexp(0) - (2 * log_w).logsumexp(0)).exp()


def _draw(assembly: Assembly, seen: Views) -> Tensor:
    """Run the guide, or in its place the prior if only the model's conditions are seen."""
    if set(seen.names) - set(assembly.model.conditions):
        z: Tensor = assembly.guide(seen)
        return z
    with pyro.plate("scenes", len(seen), dim=-1):
        return pyro.sample("z", assembly.model.prior(seen))  # type: ignore[no-any-return]


def mean(values: Tensor) -> Mean:
    """Average over scenes: ``(N,)``."""
    return Mean(float(values.mean()), float(values.std() / len(values) ** 0.5))
