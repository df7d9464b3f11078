"""Log-likelihoods of observed views, by importance sampling from the posterior."""

from __future__ import annotations

from functools import partial

import pyro
import torch
from torch import Tensor

from scene.views import Views

from ..build import Assembly
from ..objectives.bounds import iwae
from ..objectives.importance_weights import evidence

_TOGETHER = 512  # decoded scenes at once


def log_likelihood(assembly: Assembly, views: Views, particles: int = 64) -> Tensor:
    """Estimate log p(views), or log p(views | conditions), of each scene.

    The estimate is the importance-weighted bound with draws from q(z | views): never above the
    truth on average, and exact as K grows. A model without z needs no draws: it is exact. A view
    that a scene lacks is integrated out.

    Args:
        assembly: Model and guide, in evaluation mode.
        views: B scenes; what the model explains of them is scored.
        particles: K, the draws for each scene.

    Returns:
        ``(B,)`` in nats, on the CPU.

    Raises:
        ValueError: If there is no posterior given these views, nothing to score, or no particle.

    Source:
        Burda et al. (2016), Importance Weighted Autoencoders, eq. 8.
    """
    if particles < 1:
        raise ValueError(f"An estimate needs 1 particle or more, not {particles}.")
    model = assembly.model
    if missing := [name for name in model.conditions if name not in views]:
        raise ValueError(f"This model takes the {missing[0]} as given; give that, too.")
    if not set(views.names) & set(model.views):
        raise ValueError(
            f"This model explains {', '.join(model.views)}, but none of them is among the views."
        )
    draws = particles if model.latent else 1
    seen = _read(assembly, views)
    step = max(1, _TOGETHER // draws)
    parts = []
    with torch.no_grad():
        for rows in torch.arange(len(views)).split(step):
            part = views.rows(rows.to(views.device)).to(assembly.device)
            guide = partial(_draw, assembly, part, part.only(seen))
            weights = evidence(partial(model, part), guide, particles=draws).log_weights()
            parts.append(iwae(weights).cpu())
    return torch.cat(parts)


def _read(assembly: Assembly, views: Views) -> tuple[str, ...]:
    """Choose the views that q reads: all that the guide can."""
    guide, conditions = assembly.guide, assembly.model.conditions
    if not assembly.model.latent or not set(views.names) - set(conditions):
        return views.names
    seen = tuple(name for name in views.names if name in guide.views)
    guide.require(seen)
    return seen


def _draw(assembly: Assembly, views: Views, seen: Views) -> Tensor | None:
    """Run the guide; the prior where only the model's conditions are held; nothing without z."""
    if not assembly.model.latent:
        return None
    if set(views.names) - set(assembly.model.conditions):
        z: Tensor = assembly.guide(seen)
        return z
    with pyro.plate("scenes", len(views), dim=-1):
        return pyro.sample("z", assembly.model.prior(views))  # type: ignore[no-any-return]
