"""Any view from any others: draw z from what was seen, decode what was asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import pyro.distributions as dist
import torch
from torch import Tensor

from scene.likelihoods import ClassVector, LabelMap
from scene.models import standard_normal
from scene.views import Views

from ..build import Assembly


@dataclass(frozen=True)
class Prediction:
    """What is believed of B scenes, averaged over draws of z.

    Attributes:
        views: Mean image ``(B, 3, H, W)``; class probabilities ``(B, C)``; label probabilities
            ``(B, labels, H, W)``.
    """

    views: dict[str, Tensor]

    @property
    def mask(self) -> Tensor:
        """The most probable label of every pixel, ``(B, H, W)`` int64."""
        return self.views["mask"].argmax(1)


def able(assembly: Assembly, given: Collection[str], target: str) -> bool:
    """Say whether the model explains ``target`` and has a belief about z given these views.

    A view the model conditions on must be given; if nothing else is, its prior is the belief.
    """
    model, evidence = assembly.model, _evidence(assembly, given)
    if target not in model.views or not set(model.conditions) <= set(given):
        return False
    return not evidence or assembly.guide.accepts(given)


def trained(assembly: Assembly, given: Collection[str]) -> bool:
    """Say whether a term of the objective trained the belief given just these views."""
    if not _evidence(assembly, given):
        return True
    return frozenset(given) in assembly.objective.conditionings(assembly.guide)


def draw(
    assembly: Assembly, given: Views | None, draws: int, scenes: int, at_mean: bool = False
) -> Tensor | None:
    """Draw z given some views, or from the prior.

    Args:
        assembly: Model and guide.
        given: The views to condition on; None = none.
        draws: K.
        scenes: B, which only matters where nothing is given.
        at_mean: Take the mean of the belief, once, in place of draws.

    Returns:
        ``(K, B, L)``, or None if the model has no latent.

    Raises:
        ValueError: If there is no belief given just these views.
    """
    if given is not None:
        found = belief(assembly, given)
    else:
        latent = assembly.model.latent
        found = standard_normal(scenes, latent, assembly.device) if latent else None
    if found is None:
        return None
    return _mean(found)[None] if at_mean else found.sample(torch.Size((draws,)))


def belief(assembly: Assembly, given: Views) -> dist.Distribution | None:
    """Say what is believed of z given some views: the posterior, or the prior.

    The prior it is where nothing is given but what the model conditions on.

    Returns:
        Batch shape ``(B,)``, event shape ``(L,)``; None if the model has no latent.

    Raises:
        ValueError: If there is no belief given just these views.
    """
    if not _evidence(assembly, given.names):
        return assembly.model.prior(given)
    assembly.guide.require(given.names)
    return assembly.guide.posterior(given)


def predict(
    assembly: Assembly,
    given: Views | None,
    names: Iterable[str],
    *,
    draws: int = 8,
    scenes: int = 1,
    at_mean: bool = False,
) -> Prediction:
    """Predict views from others: probabilities averaged over draws of z.

    Args:
        assembly: Model and guide, in evaluation mode.
        given: The views to condition on; None = predict from the prior.
        names: The views to predict.
        draws: K, the draws of z.
        scenes: B, where nothing is given.
        at_mean: Use the mean of the belief in place of draws.

    Raises:
        ValueError: If there is no belief given just these views.
    """
    with torch.no_grad():
        z = draw(assembly, given, draws, scenes, at_mean)
        decoded = assembly.model.decode(z, given, names)
        return Prediction({name: _average(expected(x), z) for name, x in decoded.items()})


def expected(likelihood: object) -> Tensor:
    """Give a likelihood's mean image, or its probabilities."""
    if isinstance(likelihood, LabelMap | ClassVector):
        return likelihood.probs
    return likelihood.mean  # type: ignore[attr-defined,no-any-return]


def _evidence(assembly: Assembly, given: Collection[str]) -> set[str]:
    return set(given) - set(assembly.model.conditions)


def _average(value: Tensor, z: Tensor | None) -> Tensor:
    return value.mean(0) if z is not None else value


def _mean(found: dist.Distribution) -> Tensor:
    try:
        return found.mean  # type: ignore[no-any-return]
    except NotImplementedError:
        return found.sample(torch.Size((64,))).mean(0)  # type: ignore[no-any-return]
