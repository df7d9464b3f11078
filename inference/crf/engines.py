"""The engines of the dense CRF: one interface, several ways of filtering, found by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import cast

import torch
from torch import Tensor

from .kernels import Kernel

ENGINES = {
    "exact": "inference.crf.exact:Exact",
    "lattice": "inference.crf.lattice:Lattice",
    "fused": "inference.crf.fused:Fused",
    "pydensecrf": "inference.crf.reference:Reference",
}
"""Engines by name: dense products, a lattice in torch, one in numba, the reference's C++."""

SMALL = 64 * 64
"""Pixels up to which a dense product is the fastest differentiable engine."""

Filter = Callable[[Tensor], Tensor]
"""Multiplies values ``(B, L, N)`` by an ``(N, N)`` matrix an image."""


@dataclass(frozen=True, eq=False)
class Field:
    """A batch of random fields over pixels of one size: everything mean field is told.

    Attributes:
        logits: ``(B, L, H, W)``: minus the unary energies, float.
        image: ``(B, H, W, 3)``, on the scale 0-255, or None.
        kernels: The pairwise terms.
        void: ``(B, H, W)`` bool, pixels that say nothing: they pull no other pixel and count
            in no normalisation, but are pulled; None = there are none.
        spent: Nobody reads the logits again: an engine may write its answer in their place.
    """

    logits: Tensor
    image: Tensor | None
    kernels: tuple[Kernel, ...]
    void: Tensor | None = None
    spent: bool = False

    @cached_property
    def speaking(self) -> Tensor | None:
        """1 where a pixel is heard, 0 where it is void, ``(B, 1, N)``; None = all are heard."""
        if self.void is None:
            return None
        return (~self.void).to(self.logits).flatten(1).unsqueeze(1)

    def differentiable(self) -> bool:
        """Say whether a gradient is wanted of anything here."""
        held = [self.logits, *(part for kernel in self.kernels for part in vars(kernel).values())]
        return torch.is_grad_enabled() and any(
            isinstance(part, Tensor) and part.requires_grad for part in _flat(held)
        )


class Engine:
    """A way of doing mean field: subclasses say `marginals`, and `filtered` for measuring it.

    Attributes:
        gradients: Whether gradients flow to logits, weights and compatibilities.
    """

    gradients = False

    def marginals(self, field: Field, iterations: int) -> Tensor:
        """Iterate Q ← softmax(logits + Σ weight · compatibility · K Q) from softmax(logits).

        Returns:
            ``(B, L, H, W)`` of the type of the field's logits.
        """
        raise NotImplementedError

    def filtered(self, field: Field, kernel: Kernel, values: Tensor) -> Tensor:
        """Multiply ``values``, ``(B, L, H, W)``, by the normalised matrix of one kernel."""
        raise NotImplementedError


class TorchEngine(Engine):
    """Mean field in torch, given `raw`: a way to multiply by K. Gradients flow through it."""

    gradients = True

    def raw(self, features: Tensor) -> Filter:
        """Prepare to multiply by K, unnormalised, with its self term.

        Args:
            features: ``(B, D, N)``, or ``(1, D, N)`` if all images share them.
        """
        raise NotImplementedError

    def marginals(self, field: Field, iterations: int) -> Tensor:
        """Iterate as the base class says; see there."""
        logits = field.logits.flatten(2)
        filters = [(kernel, self._normalised(field, kernel)) for kernel in field.kernels]
        q = logits.softmax(1)
        for _ in range(iterations):
            total = logits
            for kernel, filtered in filters:
                total = total + pull(kernel, filtered(q))
            q = total.softmax(1)
        return q.reshape(field.logits.shape)

    def filtered(self, field: Field, kernel: Kernel, values: Tensor) -> Tensor:
        """Multiply by one normalised kernel; see the base class."""
        return self._normalised(field, kernel)(values.flatten(2)).reshape(values.shape)

    def _normalised(self, field: Field, kernel: Kernel) -> Filter:
        raw = self.raw(kernel.features(field.image, field.logits).flatten(2))
        speaking = field.speaking
        ones = torch.ones_like(field.logits[:, :1]).flatten(2)
        mass = raw(ones if speaking is None else speaking)
        before, after = scaling(kernel, mass)

        def filtered(values: Tensor) -> Tensor:
            heard = values * before if speaking is None else values * (before * speaking)
            found = raw(heard)
            return (found if kernel.self_term else found - heard) * after

        return filtered


def scaling(kernel: Kernel, mass: Tensor) -> tuple[Tensor, Tensor]:
    """Give what values are multiplied by before and after K, by the kernel's normalisation.

    Args:
        kernel: Says the normalisation.
        mass: D = K·1, ``(B, 1, N)``.
    """
    mass = mass.clamp_min(1e-20)
    one = torch.ones_like(mass)
    match kernel.normalization:
        case "symmetric":
            return mass.rsqrt(), mass.rsqrt()
        case "before":
            return mass.reciprocal(), one
        case "after":
            return one, mass.reciprocal()
        case "mean":
            return one, mass.mean(-1, keepdim=True).reciprocal().expand_as(mass)
        case "none":
            return one, one


def pull(kernel: Kernel, found: Tensor) -> Tensor:
    """Say what filtered marginals ``(B, L, N)`` add to the logits."""
    weight = torch.as_tensor(kernel.weight, dtype=found.dtype, device=found.device)
    if kernel.compatibility is None:
        return weight * found
    compatibility = kernel.compatibility.to(found)
    if compatibility.ndim == 1:
        return weight * compatibility.unsqueeze(-1) * found
    return weight * torch.einsum("lm,bmn->bln", compatibility, found)


def engine(name: str, field: Field) -> Engine:
    """Find an engine by name; ``auto`` is the fastest that can do what the field wants.

    Raises:
        LookupError: If there is none of that name; the message suggests the nearest.
        ValueError: If gradients are wanted of an engine that has none.
    """
    found = _made(_auto(field) if name == "auto" else name)
    if field.differentiable() and not found.gradients:
        raise ValueError(
            f"The engine {name!r} gives no gradients; use exact or lattice, or torch.no_grad()."
        )
    return found


def _made(name: str) -> Engine:
    """Make an engine; ours need nothing of `scene`, so that refining works beside any module."""
    if name in ENGINES:
        module, _, kind = ENGINES[name].partition(":")
        return cast(Engine, getattr(import_module(module), kind)())
    from scene.registry import load

    return cast(Engine, load(name, ENGINES, "engine")())


def _auto(field: Field) -> str:
    logits = field.logits
    small = logits.shape[-2] * logits.shape[-1] <= SMALL
    if logits.is_cuda or field.differentiable():
        return "exact" if small else "lattice"
    return "fused" if logits.device.type == "cpu" else "lattice"


def _flat(parts: list[object]) -> list[object]:
    return [p for part in parts for p in (part if isinstance(part, tuple) else (part,))]
