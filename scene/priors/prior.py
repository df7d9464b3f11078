"""What every prior of z is: a density, and what it makes of the Gaussians that guides infer.

A prior of your own is a subclass of `Prior` with a method ``forward(scenes)``::

    scene train telbo --prior lab/mixture.py:MixturePrior
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from ..networks.spatial import Latent
from ..sizes import STOCK_WIDTH
from .experts import with_standard


class Prior(nn.Module):
    """p(z), learned with the model that holds it.

    Args:
        parts: The layout of z.
        width: Channels of the finest layer of the model's networks.

    Attributes:
        origin: Zeros, ``(L,)``, where the model lives.
    """

    origin: Tensor

    def __init__(self, parts: Latent, width: int = STOCK_WIDTH) -> None:
        super().__init__()
        self.parts, self.width = parts, width
        self.register_buffer("origin", torch.zeros(parts.length), persistent=False)

    def forward(self, scenes: int) -> dist.Distribution:
        """Return p(z): batch shape ``(scenes,)``, event shape ``(L,)``."""
        raise NotImplementedError

    def posterior(self, loc: Tensor, scale: Tensor) -> dist.Distribution:
        """Return the q(z | views) of a guide that infers one Gaussian from all its views.

        Here that Gaussian is q. A prior of several levels may take its part of the deeper ones.

        Args:
            loc: Mean, ``(B, L)``.
            scale: Standard deviation, ``(B, L)``.

        Returns:
            Batch shape ``(B,)``, event shape ``(L,)``.
        """
        return dist.Normal(loc, scale).to_event(1)

    def product(
        self, locs: Sequence[Tensor], scales: Sequence[Tensor], present: Sequence[Tensor]
    ) -> dist.Distribution:
        """Return the q(z | views) of a guide that infers a Gaussian from each view: their product.

        Here N(0, I) is one more expert, which always counts. That is p(z) itself where it is
        standard; where it is not, q is a Gaussian all the same.

        Args:
            locs: Mean of each view's expert, ``(B, L)`` each.
            scales: Standard deviation of each, ``(B, L)``.
            present: Which scenes have the view, ``(B,)`` bool each.

        Returns:
            Batch shape ``(B,)``, event shape ``(L,)``.
        """
        return dist.Normal(*with_standard(locs, scales, present)).to_event(1)


class StandardPrior(Prior):
    """N(0, I)."""

    def forward(self, scenes: int) -> dist.Distribution:
        """Return N(0, I): batch shape ``(scenes,)``, event shape ``(L,)``."""
        zero = self.origin.expand(scenes, -1)
        return dist.Normal(zero, torch.ones_like(zero)).to_event(1)


PriorMaker = Callable[[Latent, int], Prior]
"""Makes a prior from the layout of z and the width."""
