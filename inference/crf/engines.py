"""The engines of the dense CRF by name: one interface, several ways of filtering."""

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
    "lattice": "inference.crf.lattice.engine:Lattice",
    "fused": "inference.crf.fused.engine:Fused",
    "pydensecrf": "inference.crf.reference:Reference",
}
"""Engines by name: exact products, a lattice in torch, a lattice in Numba, the reference C++."""

SMALL = 64 * 64
"""Pixels up to which the exact engine is the fastest with gradients."""

Filter = Callable[[Tensor], Tensor]
"""Multiplies values ``(B, L, N)`` by an ``(N, N)`` matrix an image."""


@dataclass(frozen=True, eq=False)
class Field:
    """A batch of random fields over images of one size: the input of mean field.

    Attributes:
        logits: ``(B, L, H, W)``: minus the unary energies, float.
        image: ``(B, H, W, 3)``, on the scale 0-255, or None.
        kernels: The pairwise terms.
        void: ``(B, H, W)`` bool: pixels that send no messages and count in no normalisation, but
            receive messages; None is no such pixels.
        in_place: Whether an engine may overwrite the logits with the marginals.
    """

    logits: Tensor
    image: Tensor | None
    kernels: tuple[Kernel, ...]
    void: Tensor | None = None
    in_place: bool = False

    @cached_property
    def valid(self) -> Tensor | None:
        """0 where a pixel is void, else 1, ``(B, 1, N)``; None if no pixel is void."""
        if self.void is None:
            return None
        return (~self.void).to(self.logits).flatten(1).unsqueeze(1)

    def differentiable(self) -> bool:
        """Return whether a gradient with respect to any part of the field is wanted."""
        parts = [self.logits, *(part for kernel in self.kernels for part in vars(kernel).values())]
        return torch.is_grad_enabled() and any(
            isinstance(part, Tensor) and part.requires_grad for part in _flat(parts)
        )


class Engine:
    """An implementation of mean field: `marginals`, and `filtered` to measure its accuracy.

    Attributes:
        gradients: Whether gradients flow to logits, weights and compatibilities.
    """

    gradients = False

    def marginals(self, field: Field, iterations: int) -> Tensor:
        """Iterate Q ← softmax(logits + Σ weight · compatibility · K Q) from softmax(logits).

        Args:
            field: Scenes, kernels and void pixels.
            iterations: Number of iterations; with 0 the softmax of the logits.

        Returns:
            Q, ``(B, L, H, W)``, of the type of the field's logits.
        """
        raise NotImplementedError

    def filtered(self, field: Field, kernel: Kernel, values: Tensor) -> Tensor:
        """Multiply values by the normalised matrix of one kernel.

        Args:
            field: Says the size, the images and the void pixels.
            kernel: The kernel; its weight and compatibility count for nothing.
            values: ``(B, L, H, W)``.

        Returns:
            ``(B, L, H, W)``, of the type of the values.
        """
        raise NotImplementedError


class TorchEngine(Engine):
    """Mean field in torch from one method, `raw`, which multiplies by K; it has gradients."""

    gradients = True

    def raw(self, features: Tensor) -> Filter:
        """Return a function that multiplies by K, unnormalised, with its self term.

        Args:
            features: ``(B, D, N)``, or ``(1, D, N)`` if all images share them.
        """
        raise NotImplementedError

    def marginals(self, field: Field, iterations: int) -> Tensor:
        """Run mean field, as `Engine.marginals` says."""
        logits = field.logits.flatten(2)
        filters = [(kernel, self._normalised(field, kernel)) for kernel in field.kernels]
        q = logits.softmax(1)
        for _ in range(iterations):
            total = logits
            for kernel, filtered in filters:
                total = total + message(kernel, filtered(q))
            q = total.softmax(1)
        return q.reshape(field.logits.shape)

    def filtered(self, field: Field, kernel: Kernel, values: Tensor) -> Tensor:
        """Multiply values by the normalised matrix of one kernel, as `Engine.filtered` says."""
        return self._normalised(field, kernel)(values.flatten(2)).reshape(values.shape)

    def _normalised(self, field: Field, kernel: Kernel) -> Filter:
        raw = self.raw(kernel.features(field.image, field.logits).flatten(2))
        valid = field.valid
        ones = torch.ones_like(field.logits[:, :1]).flatten(2)
        mass = raw(ones if valid is None else valid)
        before, after = scaling(kernel, mass)

        def filtered(values: Tensor) -> Tensor:
            scaled = values * before if valid is None else values * (before * valid)
            product = raw(scaled)
            return (product if kernel.self_term else product - scaled) * after

        return filtered


def scaling(kernel: Kernel, mass: Tensor) -> tuple[Tensor, Tensor]:
    """Return what values are multiplied by before and after K, to normalise it.

    Args:
        kernel: Says the normalisation.
        mass: D = K·1, ``(B, 1, N)``.

    Returns:
        Two tensors, each ``(B, 1, N)``; a mass of 0 counts as 1e-20.
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


def message(kernel: Kernel, filtered: Tensor) -> Tensor:
    """Return what a kernel adds to the logits: weight · compatibility · filtered marginals.

    Args:
        kernel: Says weight and compatibility.
        filtered: K Q, ``(B, L, N)``.
    """
    weight = torch.as_tensor(kernel.weight, dtype=filtered.dtype, device=filtered.device)
    if kernel.compatibility is None:
        return weight * filtered
    compatibility = kernel.compatibility.to(filtered)
    if compatibility.ndim == 1:
        return weight * compatibility.unsqueeze(-1) * filtered
    return weight * torch.einsum("lm,bmn->bln", compatibility, filtered)


def choose_engine(name: str, field: Field) -> Engine:
    """Return an engine by name.

    Args:
        name: A key of `ENGINES`, ``path/file.py:Name``, or ``auto``: with gradients or on a GPU
            exact up to 64×64 pixels and lattice above; otherwise fused.
        field: What it is for.

    Raises:
        LookupError: If no engine has that name; the message suggests the nearest.
        ValueError: If gradients are wanted and the engine has none.
    """
    chosen = _load(_auto(field) if name == "auto" else name)
    if field.differentiable() and not chosen.gradients:
        raise ValueError(
            f"The engine {name!r} gives no gradients; use exact or lattice, or torch.no_grad()."
        )
    return chosen


def _load(name: str) -> Engine:
    """Load an engine; ours need nothing of `scene`, so that refining works beside any module."""
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
