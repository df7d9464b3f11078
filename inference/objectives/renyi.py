"""Rényi bounds: all that lies between the importance-weighted bound and the ELBO."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from .bounds import Bound, elbo, iwae


class Renyi(Bound):
    """The variational Rényi bound: between the importance-weighted one and the ELBO.

    Args:
        particles: K, the draws per scene; at K = 1 every α is the ELBO.
        beta: Weight of log p(z) − log q(z | x).
        weights: Weight of each view's likelihood; 1 where not named.
        alpha: 0 = `IWAE`, 1 = the sampled `ELBO`, more = more sceptical of large weights.

    Raises:
        ValueError: If ``alpha`` is negative, which gives no lower bound, or not finite.

    Source:
        Li & Turner (2016), Rényi Divergence Variational Inference, eq. 14.
    """

    def __init__(
        self,
        particles: int = 1,
        beta: float = 1.0,
        weights: Mapping[str, float] | None = None,
        alpha: float = 0.5,
    ) -> None:
        super().__init__(particles, beta, weights)
        if not 0 <= alpha < math.inf:
            raise ValueError(f"Rényi's alpha must be 0 or more, not {alpha}.")
        self.alpha = alpha

    def reduce(self, log_w: Tensor) -> Tensor:
        """Take the log of the mean of weights to the power 1 − α, over 1 − α."""
        return renyi(log_w, self.alpha)


def renyi(log_w: Tensor, alpha: float) -> Tensor:
    """Average K weights to the power 1 − α, as a log: ``(K, B)`` to ``(B,)``, in nats.

    It falls as α rises: α = 0 is `iwae`, α = 1 `elbo`.

    Source:
        Li & Turner (2016), Rényi Divergence Variational Inference, eq. 14,
        https://arxiv.org/abs/1602.02311

    >>> import torch
    >>> renyi(torch.tensor([[0.0], [0.0]]), 0.5)
    tensor([0.])
    """
    power = 1 - alpha
    return iwae(power * log_w) / power if power else elbo(log_w)
