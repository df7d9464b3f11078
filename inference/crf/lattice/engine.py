"""The lattice engine: mean field in torch with factored kernels, on any device, with gradients."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ..engines import Engine, Field, scaling
from ..kernels import Kernel, Smoothness, too_narrow
from .csr import FactoredKernel
from .grid import build_grid
from .messages import Messages, NormalisedKernel
from .permutohedral import build_lattice


class Lattice(Engine):
    """Mean field with K ≈ Aᵀ G A: smoothness on a grid, all else on a permutohedral lattice.

    Marginals are channels last, one row a pixel, and every product is one with a sparse matrix
    (CSR). One product slices the values of all kernels. Gradients flow to logits, weights and
    compatibilities, not to widths, features or images.
    """

    gradients = True

    def marginals(self, field: Field, iterations: int) -> Tensor:
        """Run mean field, as `Engine.marginals` says.

        Args:
            field: Scenes, kernels and void pixels.
            iterations: Number of iterations; with 0 the softmax of the logits.

        Returns:
            Marginals, ``(B, L, H, W)``, of the type of the field's logits.

        Raises:
            ValueError: If a width is so small that the keys of a lattice would overflow, or a
                gradient with respect to it is wanted.
        """
        with torch.autocast(field.logits.device.type, enabled=False):
            logits = _channels_last(field.logits)
            messages = Messages(tuple(normalised(field, kernel) for kernel in field.kernels))
            mixings = [mixing(kernel, logits) for kernel in field.kernels]
            q = logits.softmax(1)
            for _ in range(iterations):
                q = _softmax(messages(q, mixings), logits, q)
            return _channels_first(q, field.logits)

    def filtered(self, field: Field, kernel: Kernel, values: Tensor) -> Tensor:
        """Multiply values by the normalised matrix of one kernel.

        Args:
            field: Says the size, the images and the void pixels.
            kernel: The kernel; its weight and compatibility count for nothing.
            values: ``(B, L, H, W)``.

        Returns:
            ``(B, L, H, W)``, of the type of the values.

        Raises:
            ValueError: If a width is so small that the keys of a lattice would overflow.
        """
        with torch.autocast(values.device.type, enabled=False):
            product = Messages((normalised(field, kernel),))
            rows = product(_channels_last(values), [values.new_tensor(1.0)])
            return _channels_first(rows, values)


def normalised(field: Field, kernel: Kernel) -> NormalisedKernel:
    """Factor one kernel of a field, and normalise it.

    Raises:
        ValueError: If a width is so small that the keys of a lattice would overflow, or a
            gradient is wanted that this engine does not have.
    """
    _refuse_gradients(kernel, vars(kernel).items())
    factored = _factored(field, kernel)
    valid = None if field.valid is None else field.valid.flatten()
    ones = torch.ones_like(factored.weights[:, :1])
    mass = _multiply(factored, ones if valid is None else valid.unsqueeze(1))
    before, after = scaling(kernel, mass.view(len(field.logits), 1, -1))
    before, after = before.flatten(), after.flatten()
    if kernel.normalization == "symmetric":
        after = before
    if valid is not None:
        before = before * valid
    diagonal = None
    if not kernel.self_term:
        diagonal = torch.minimum(factored.diagonal(), mass.squeeze(1))
    return NormalisedKernel(factored, before, after, diagonal)


def mixing(kernel: Kernel, like: Tensor) -> Tensor:
    """Return weight · compatibility: a number for Potts, a diagonal ``(L,)``, or ``(L, L)``."""
    weight = torch.as_tensor(kernel.weight).to(like).reshape(())
    return weight if kernel.compatibility is None else weight * kernel.compatibility.to(like)


def _factored(field: Field, kernel: Kernel) -> FactoredKernel:
    batch = len(field.logits)
    if isinstance(kernel, Smoothness):
        down, right = kernel.sigma if isinstance(kernel.sigma, tuple) else (kernel.sigma,) * 2
        return build_grid((float(down), float(right)), field.logits).repeated(batch)
    features = kernel.features(field.image, field.logits)
    _refuse_gradients(kernel, [("features", features)])
    try:
        lattice = build_lattice(features.flatten(2))
    except OverflowError as error:
        raise ValueError(too_narrow(kernel, features, str(error))) from None
    return lattice.repeated(batch if len(features) == 1 else 1)


def _multiply(kernel: FactoredKernel, rows: Tensor) -> Tensor:
    """Multiply rows by K, unnormalised."""
    ones = torch.ones_like(kernel.weights[:, 0])
    plain = NormalisedKernel(kernel, ones, ones, None)
    return Messages((plain,))(rows, [rows.new_tensor(1.0)])


def _refuse_gradients(kernel: Kernel, parts: Iterable[tuple[str, object]]) -> None:
    """Refuse to differentiate by what only the exact engine can."""
    for name, value in parts:
        among = value if isinstance(value, tuple) else (value,)
        required = any(isinstance(one, Tensor) and one.requires_grad for one in among)
        if required and torch.is_grad_enabled() and name not in ("weight", "compatibility"):
            raise ValueError(
                f"The lattice gives no gradient to {name} of {type(kernel).__name__}; use "
                'engine="exact", or torch.no_grad().'
            )


def _softmax(messages: Tensor, logits: Tensor, q: Tensor) -> Tensor:
    """Return the new marginals; where no gradient needs the old ones, in their memory."""
    if messages.requires_grad or logits.requires_grad:
        return (messages + logits).softmax(1)
    return torch.softmax(messages.add_(logits), 1, out=q)


def _channels_last(values: Tensor) -> Tensor:
    """Permute ``(B, L, H, W)`` to one row of L numbers a pixel, ``(B H W, L)``."""
    return values.permute(0, 2, 3, 1).reshape(-1, values.shape[1]).contiguous()


def _channels_first(rows: Tensor, like: Tensor) -> Tensor:
    """Permute ``(B H W, L)`` to the shape of ``like``, ``(B, L, H, W)``."""
    batch, labels, height, width = like.shape
    return rows.view(batch, height, width, labels).permute(0, 3, 1, 2).contiguous()
