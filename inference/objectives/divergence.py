"""KL divergences between distributions of z: in closed form, level by level, or sampled."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Independent, Normal


def divergence(q: Any, p: Any) -> Tensor:
    """Work out KL(q ‖ p), ``(B,)`` in nats.

    In closed form; where one of them has levels, in closed form for each level at one draw from q
    of the levels above it; or else from one draw of q.
    """
    try:
        return torch.distributions.kl_divergence(q, p)
    except NotImplementedError:
        z = q.rsample()
        try:
            return kl_by_unit(q, p, z).sum(-1)
        except NotImplementedError:
            return q.log_prob(z) - p.log_prob(z)  # type: ignore[no-any-return]


def divergence_at(q: Any, p: Any, z: Tensor) -> Tensor:
    """Work out KL(q ‖ p) in closed form, or at a draw of q if one of them has levels.

    Args:
        q: Batch shape ``(…, B)``.
        p: Batch shape ``(…, B)``.
        z: A draw of q, ``(…, B, L)``.

    Returns:
        ``(…, B)`` in nats. Of levels the mean over draws is the divergence.

    Raises:
        NotImplementedError: If there is no closed form, nor one for each level.
    """
    try:
        return torch.distributions.kl_divergence(q, p)
    except NotImplementedError:
        return kl_by_unit(q, p, z).sum(-1)


def kl_by_unit(q: Any, p: Any, z: Tensor) -> Tensor:
    """Return the KL of each number of z, given those of the levels above it: ``(…, B, L)`` nats.

    Args:
        q: As `given_levels_above`.
        p: As `given_levels_above`.
        z: A draw of q; without levels, it does not matter.

    Raises:
        NotImplementedError: As `given_levels_above`.
    """
    return torch.distributions.kl_divergence(given_levels_above(q, z), given_levels_above(p, z))


def given_levels_above(distribution: Any, z: Tensor) -> Normal:
    """Return the Normal of each number of z, given those of the levels above it.

    Args:
        distribution: A diagonal Normal, all of one level; or one with a method ``at(z)`` that
            returns this, as `scene.priors.ladder.Ladder` has.
        z: ``(…, B, L)``.

    Returns:
        Batch shape ``(…, B, L)``, or ``(B, L)``.

    Raises:
        NotImplementedError: If the distribution is of neither kind.
    """
    if hasattr(distribution, "at"):
        normal: Normal = distribution.at(z)
        return normal
    if isinstance(distribution, Independent) and isinstance(distribution.base_dist, Normal):
        if distribution.reinterpreted_batch_ndims == 1:
            return distribution.base_dist
    raise NotImplementedError(f"{type(distribution).__name__} is not a Normal at each level.")
