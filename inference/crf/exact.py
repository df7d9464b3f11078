"""The exact engine: mean field with every pair of pixels, as dense products."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from .engines import Field, Filter, TorchEngine, message, scaling
from .kernels import Kernel
from .tiles import BOUND, product, tile

LARGEST_MATRIX = 2**27
"""Elements of a matrix that may be stored; larger products are summed tile by tile."""


class Exact(TorchEngine):
    """Multiply by K itself: the oracle of all other engines, and the fastest where N is small.

    Up to 107×107 pixels K is stored (O(N²) memory), and the matrices of Potts kernels are added up
    once, so that an iteration is one batched product. Above, products are summed tile by tile
    (O(N) memory), and `inference.crf.tiles.tile` says what is left out: less than ``bound`` of any
    row or column of a normalised matrix.

    Gradients flow to all there is: logits, weights, compatibilities, kernel widths and features.

    Attributes:
        bound: Of each row and column of a normalised matrix, what may be left out.
        largest_matrix: Elements of a matrix that may be stored.
    """

    bound = BOUND
    largest_matrix = LARGEST_MATRIX

    def raw(self, features: Tensor) -> Filter:
        """Return a function that multiplies by K, as `TorchEngine.raw` says."""
        if self._fit(features.shape[-1]):
            matrix = gram(features)
            return lambda values: values @ matrix
        tiles = [tile(scene.detach(), self.bound) for scene in features]

        def summed(values: Tensor) -> Tensor:
            scenes = range(max(len(values), len(features)))
            each = ((features[i % len(features)], values[i % len(values)]) for i in scenes)
            return torch.stack(
                [product(f, v, tiles[i % len(tiles)]) for i, (f, v) in enumerate(each)]
            )

        return summed

    def marginals(self, field: Field, iterations: int) -> Tensor:
        """Run mean field, as `Engine.marginals` says, on as many scenes at once as fit."""
        with full_precision(field.logits.device):
            at_once = self._fit(field.logits[0, 0].numel())
            if not at_once:
                return super().marginals(field, iterations)
            logits, valid = field.logits.flatten(2), field.valid
            features = [k.features(field.image, field.logits).flatten(2) for k in field.kernels]
            marginals = []
            for first in range(0, len(logits), at_once):
                some = slice(first, first + at_once)
                terms = [
                    (kernel, matrix(kernel, f if len(f) == 1 else f[some], _of(valid, some)))
                    for kernel, f in zip(field.kernels, features, strict=True)
                ]
                marginals.append(_iterate(logits[some], terms, iterations))
            return torch.cat(marginals).reshape(field.logits.shape)

    def filtered(self, field: Field, kernel: Kernel, values: Tensor) -> Tensor:
        """Multiply values by the normalised matrix of one kernel, as `Engine.filtered` says."""
        with full_precision(field.logits.device):
            return super().filtered(field, kernel, values)

    def _fit(self, pixels: int) -> int:
        """Return of how many scenes the matrices may be stored at once."""
        return self.largest_matrix // pixels**2


def gram(features: Tensor) -> Tensor:
    """Return K, exp(−|f_i − f_j|²/2) of features ``(B, D, N)``, as ``(B, N, N)``.

    Squared distances are differences of large numbers, so they are worked out in double. What
    would underflow becomes the smallest normal number: many processors take 20 times as long for
    denormal ones.
    """
    centred = features.double()
    centred = centred - centred.mean(-1, keepdim=True)
    half = -0.5 * centred.square().sum(1, keepdim=True)
    one = torch.ones_like(half)
    exponent = torch.cat((centred, one, half), 1).mT @ torch.cat((centred, half, one), 1)
    least = math.log(torch.finfo(features.dtype).tiny) + 0.1
    return exponent.to(features.dtype).clamp(min=least).exp()


def matrix(kernel: Kernel, features: Tensor, valid: Tensor | None) -> Tensor:
    """Return the normalised matrix of a kernel, ``(B, N, N)``, for products ``values @ matrix``.

    Args:
        kernel: Says the normalisation, and whether the self term stays.
        features: ``(B, D, N)``.
        valid: 0 where a pixel is void, else 1, ``(B, 1, N)``; None if no pixel is void.
    """
    k = gram(features)
    mass = k.sum(1, keepdim=True) if valid is None else valid @ k
    before, after = scaling(kernel, mass)
    if not kernel.self_term:
        k = k - torch.eye(k.shape[-1]).to(k)
    return k * (before if valid is None else before * valid).mT * after


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Keep float32 products exact: no TF32, no bfloat16, no autocasting."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def _iterate(logits: Tensor, terms: list[tuple[Kernel, Tensor]], iterations: int) -> Tensor:
    """Run mean field on ``(B, L, N)`` with matrices; those of Potts kernels become one."""
    potts = [message(k, m) for k, m in terms if k.compatibility is None]
    others = [(kernel, m) for kernel, m in terms if kernel.compatibility is not None]
    alike = sum(potts[1:], potts[0]) if potts else None
    q = logits.softmax(1)
    for _ in range(iterations):
        total = logits if alike is None else logits + q @ alike
        for kernel, m in others:
            total = total + message(kernel, q @ m)
        q = total.softmax(1)
    return q


def _of(valid: Tensor | None, some: slice) -> Tensor | None:
    return None if valid is None else valid[some]
