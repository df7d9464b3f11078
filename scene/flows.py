"""The density that noise becomes along a field of velocities: a continuous normalising flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from torch import Tensor

STEPS = 16
"""Steps from noise to a draw; each asks the network twice."""

EXACT = 64
"""Longest draw of which log p is worked out exactly; of a longer one it is estimated."""

TOGETHER = 512
"""Draws that are made at once, at most."""

Field = Callable[[Tensor, Tensor], Tensor]
"""The velocity of latents ``(N, B, L)`` at a time, a scalar."""


class Flow(dist.TorchDistribution):
    """The density of z that noise, N(0, I), becomes along a field of velocities.

    Args:
        field: Velocity of standardised latents ``(N, B, L)`` at a time from 0 to 1.
        shift: Added to standardised latents after they were scaled, ``(L,)``.
        scale: What they are multiplied by, ``(L,)``, positive.
        scenes: B.
        steps: Steps from noise to a draw.

    Shape:
        Batch ``(B,)``, event ``(L,)``.

    Source:
        Lipman et al. (2023), Flow Matching for Generative Modeling, eq. 1 to 3,
        https://arxiv.org/abs/2210.02747; the density: Grathwohl et al. (2019), FFJORD,
        https://arxiv.org/abs/1810.01367
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, field: Field, shift: Tensor, scale: Tensor, scenes: int, steps: int = STEPS
    ) -> None:
        self.field, self.shift, self.scale, self.steps = field, shift, scale, steps
        super().__init__(torch.Size((scenes,)), shift.shape, validate_args=False)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw latents: ``(…, B, L)``, by Heun's method."""
        shape = torch.Size(sample_shape)
        noise = torch.randn(*shape, *self.batch_shape, *self.event_shape, device=self.shift.device)
        return self.moved(noise)

    def moved(self, noise: Tensor) -> Tensor:
        """Follow the field from noise, ``(…, B, L)``, to latents, by Heun's method."""
        x = noise.reshape(-1, *self.batch_shape, *self.event_shape)
        copies = max(1, TOGETHER // max(1, self.batch_shape[0]))
        moved = torch.cat([self._moved(some) for some in x.split(copies)])
        return (moved * self.scale + self.shift).reshape(noise.shape)

    def noise_of(self, z: Tensor) -> Tensor:
        """Follow the field back from latents, ``(…, B, L)``, to the noise that `moved` starts at.

        The two are each other's inverse up to the error of Heun's method.
        """
        x = ((z - self.shift) / self.scale).reshape(-1, *self.batch_shape, *self.event_shape)
        return self._moved(x, back=True).reshape(z.shape)

    def _moved(self, x: Tensor, back: bool = False) -> Tensor:
        step = (-1 if back else 1) / self.steps
        for n in range(self.steps):
            start = torch.tensor(n * step + (1 if back else 0), device=x.device)
            here = self.field(start, x)
            there = self.field(start + step, x + step * here)
            x = x + step * (here + there) / 2
        return x

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log p(z), ``(…, B)``, in nats.

        Solved to a tolerance of 1e-5, and so many times the work of a draw. The divergence of the
        field is exact where z is no longer than `EXACT`, else estimated by one random projection
        without bias (Hutchinson's).
        """
        from zuko.transforms import FreeFormJacobianTransform

        x = ((value - self.shift) / self.scale).reshape(-1, *self.batch_shape, *self.event_shape)
        exact = self.event_shape[0] <= EXACT
        back = FreeFormJacobianTransform(self.field, 1.0, 0.0, atol=1e-5, rtol=1e-5, exact=exact)
        noise, change = back.call_and_ladj(x)
        standard = dist.Normal(torch.zeros_like(noise), 1.0).to_event(1)
        log_p = standard.log_prob(noise) + change - self.scale.log().sum()
        return cast(Tensor, log_p).reshape(value.shape[:-1])
