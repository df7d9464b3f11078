"""A prior of two levels: p(vector) p(grid | vector), and the posteriors that it makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from torch import Tensor

from ..networks.spatial import GridFromVector, Latent
from ..sizes import STOCK_WIDTH
from .experts import sum_of_experts, with_standard
from .prior import Prior

VAGUE = 3.0
"""Standard deviation of an expert that says hardly anything."""

Level = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From vectors ``(…, V)``, the mean and the standard deviation of their grids, ``(…, G)`` each."""


class Ladder(dist.TorchDistribution):
    """A Normal over z's vector; given the vector, a Normal over its grid.

    The Normal of the grid is the ``level`` at the vector times a Gaussian expert, renormalised.

    Args:
        loc: Mean of the vector, ``(B, V)``.
        scale: Standard deviation of the vector, ``(B, V)``.
        level: p(grid | vector).
        shift: Of the grid's expert: precision times mean, ``(B, G)``.
        precision: Of the grid's expert, ``(B, G)``; 0 where there is none.

    Shape:
        Batch ``(B,)``, event ``(V + G,)``.
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, loc: Tensor, scale: Tensor, level: Level, shift: Tensor, precision: Tensor
    ) -> None:
        self.loc, self.scale, self.level = loc, scale, level
        self.shift, self.precision = shift, precision
        length = loc.shape[-1] + shift.shape[-1]
        super().__init__(loc.shape[:-1], torch.Size((length,)), validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Ladder:
        """Return it with another batch shape."""
        loc, scale, shift, precision = (
            tensor.expand(*batch_shape, tensor.shape[-1])
            for tensor in (self.loc, self.scale, self.shift, self.precision)
        )
        return Ladder(loc, scale, self.level, shift, precision)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw vectors, then their grids: ``(…, B, L)``."""
        shape = self._extended_shape(torch.Size(sample_shape))
        noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        vector = self.loc + self.scale * noise[..., : self.loc.shape[-1]]
        loc, scale = self._grid(vector)
        return torch.cat([vector, loc + scale * noise[..., self.loc.shape[-1] :]], dim=-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density, ``(…, B)``, in nats."""
        log_p: Tensor = self.at(value).log_prob(value).sum(-1)
        return log_p

    def at(self, z: Tensor) -> torch.distributions.Normal:
        """Return what each number of z is distributed as, given those of the levels above it.

        Args:
            z: ``(…, B, L)``, of which only the vectors count.

        Returns:
            Batch shape ``(…, B, L)``.
        """
        vector = z[..., : self.loc.shape[-1]]
        loc, scale = self._grid(vector)
        return torch.distributions.Normal(
            torch.cat([self.loc.expand_as(vector), loc], dim=-1),
            torch.cat([self.scale.expand_as(vector), scale], dim=-1),
            validate_args=False,
        )

    @property
    def gaussians(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the vector and of the grid's expert, ``(B, L)`` each.

        Where there is no expert, that is one as vague as `VAGUE`.
        """
        precision = self.precision.clamp(min=VAGUE**-2)
        loc = torch.cat([self.loc, self.shift / precision], dim=-1)
        return loc, torch.cat([self.scale, precision.rsqrt()], dim=-1)

    def with_gaussians(self, loc: Tensor, scale: Tensor) -> Ladder:
        """Return the same levels with other `gaussians`."""
        vector = self.loc.shape[-1]
        precision = scale[..., vector:].square().reciprocal()
        shift = precision * loc[..., vector:]
        return Ladder(loc[..., :vector], scale[..., :vector], self.level, shift, precision)

    @property
    def mean(self) -> Tensor:
        """The mean of the vector, and the mean of the grid given that: ``(B, L)``."""
        return torch.cat([self.loc, self._grid(self.loc)[0]], dim=-1)

    @property
    def variance(self) -> Tensor:
        """The variance of the vector, and that of the grid given the vector's mean: ``(B, L)``."""
        return torch.cat([self.scale, self._grid(self.loc)[1]], dim=-1).square()

    def _grid(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Return the grid's mean and standard deviation given the vector."""
        loc, scale = self.level(vector)
        own = scale.square().reciprocal()
        total = own + self.precision
        return (own * loc + self.shift) / total, total.rsqrt()


class LadderPrior(Prior):
    """p(vector) p(grid | vector): N(0, I), and a Normal that a network computes from the vector.

    It begins as N(0, I) at both levels. Inference multiplies experts at both: q(vector | views) is
    N(0, I) times experts of the vector, and q(grid | vector, views) is p(grid | vector), at the
    vector drawn, times experts of the grid.

    Args:
        parts: The layout of z.
        width: Channels of the finest layer of the model's networks.

    Raises:
        ValueError: If z has no grid.

    Source:
        Sønderby et al. (2016), Ladder Variational Autoencoders,
        https://arxiv.org/abs/1602.02282; with products of experts at each level: Dorent et al.
        (2023), Unified Brain MR-Ultrasound Synthesis using Multi-Modal Hierarchical
        Representations, https://arxiv.org/abs/2309.08747
    """

    def __init__(self, parts: Latent, width: int = STOCK_WIDTH) -> None:
        super().__init__(parts, width)
        if not parts.channels:
            raise ValueError(
                "The prior ladder is of z's vector, then of its grid given the vector, and this z "
                "has no grid; add --spatial, such as --spatial 8."
            )
        self.level = GridFromVector(parts, width)

    def forward(self, scenes: int) -> Ladder:
        """Return p(z): batch shape ``(scenes,)``, event shape ``(L,)``."""
        zero = self.origin.expand(scenes, -1)
        vector, grid = self._split(zero)
        return Ladder(vector, torch.ones_like(vector), self.level, grid, grid)

    def posterior(self, loc: Tensor, scale: Tensor) -> Ladder:
        """Return q(z | views): the Gaussian of the vector, and p(grid | vector) times the grid's.

        Args:
            loc: Mean, ``(B, L)``.
            scale: Standard deviation, ``(B, L)``.
        """
        (vector, grid), (scale, deviation) = self._split(loc), self._split(scale)
        return Ladder(vector, scale, self.level, *sum_of_experts([grid], [deviation]))

    def product(
        self, locs: Sequence[Tensor], scales: Sequence[Tensor], present: Sequence[Tensor]
    ) -> Ladder:
        """Return q(z | views): N(0, I) and p(grid | vector), each times its views' experts."""
        parts = [self._split(loc) for loc in locs], [self._split(scale) for scale in scales]
        (vectors, grids), (widths, deviations) = (zip(*one, strict=True) for one in parts)
        loc, scale = with_standard(vectors, widths, present)
        return Ladder(loc, scale, self.level, *sum_of_experts(grids, deviations, present))

    def _split(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z[..., : self.parts.vector], z[..., self.parts.vector :]
