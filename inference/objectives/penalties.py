"""Penalties: how far the posterior given fewer views is from that given all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from scene.views import Views

from .bounds import Term
from .turns import Subset


def penalties(guide: Any, views: Views, subsets: Sequence[Subset]) -> dict[str, Term]:
    """Say how far each subset's posterior is from the joint one, on scenes that have every view.

    Returns:
        For each subset −KL(q(z | all) ‖ q(z | subset)); nothing if there is no such scene.
    """
    rows = views.having(guide.views)
    if not bool(rows.any()):
        return {}
    complete, found = views.rows(rows), {}
    everything = guide.posterior(complete.only(guide.views))
    for subset in subsets:
        gap = divergence(everything, guide.posterior(complete.only(subset))).mean()
        found["+".join(subset)] = Term(-gap, len(complete), {"kl": gap.detach()})
    return found


def divergence(q: Any, p: Any) -> Tensor:
    """Work out KL(q ‖ p), ``(B,)`` in nats: in closed form, or else from one draw of q."""
    try:
        return torch.distributions.kl_divergence(q, p)
    except NotImplementedError:
        z = q.rsample()
        return q.log_prob(z) - p.log_prob(z)  # type: ignore[no-any-return]
