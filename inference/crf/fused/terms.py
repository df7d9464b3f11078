"""The kernels of some scenes as arrays: lattices, convolutions, normalisation, compatibility.

The counterpart in torch is `inference.crf.lattice.csr`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..engines import Field, scaling
from ..gaussian import FINE, coarse_taps, taps
from ..kernels import Appearance, Kernel, Smoothness, pair, too_narrow
from .cpu.jit import Float32s, Span, ThreadPool, spans
from .permutohedral.lattice import (
    PermutohedralLattice,
    build_lattice,
    normalise_symmetrically,
    scale_weights,
)

SMALL = 2**14
"""Pixels of a scene up to which features of all scenes are worked out at once."""

CUT = 6.1
"""Standard deviations after which an exact convolution is cut: there the kernel is 1e-8."""

LEAST_TAP = 1e-8
"""Taps of an exact convolution up to this are left out; the one in the centre is about 1."""

LEAST_COARSE_TAP = 1e-4
"""Taps at half the resolution up to this are left out; the resampling itself is no nearer."""

FEW = 2**15
"""Numbers that torch works on without threads of its own."""


@dataclass(eq=False)
class Term:
    """One kernel, as arrays over the P pixels of some scenes.

    Attributes:
        splat_weights: ``(P, D + 1)`` for a lattice, else ``(P,)``: what marginals are multiplied
            by when they are splatted.
        slice_weights: ``(P, D + 1)`` for a lattice, else ``(P,)``: what values are multiplied by
            when they are sliced.
        lattice: The lattice, or None for a convolution.
        taps: The taps of a convolution, downwards and to the right from its centre; None for a
            lattice.
        half_resolution: Whether the convolution is done at half the resolution.
        gain: What all sums are multiplied by.
        label_scales: ``(L,)``: what each label's sums are multiplied by too; None is ones.
        mixing: ``(L, L)``: what labels (columns) then add to labels (rows); None is the identity.
    """

    splat_weights: Float32s
    slice_weights: Float32s
    lattice: PermutohedralLattice | None = None
    taps: tuple[Float32s, Float32s] | None = None
    half_resolution: bool = False
    gain: float = 1.0
    label_scales: Float32s | None = None
    mixing: Float32s | None = None


class PixelFactors(NamedTuple):
    """What the pixels of one scene are multiplied by, to normalise a convolution.

    Attributes:
        before: ``(H W,)``.
        after: ``(H W,)``; the same object as ``before`` where they are equal.
    """

    before: Float32s
    after: Float32s


Prepared = Float32s | PixelFactors | None
"""Features of a kernel on a lattice, factors of a convolution, or None for nothing."""


def flatten(values: Tensor) -> Float32s:
    """Return numbers as a flat float32 array, without a copy where there need be none."""
    flat: Float32s = values.detach().to(torch.float32).contiguous().numpy().reshape(-1)
    return flat


def prepare(kernel: Kernel, field: Field) -> Prepared:
    """Work out once for all scenes what threads would otherwise repeat, or wait for.

    Returns:
        For a kernel on a lattice its features, ``(B or 1, D, N)``, or None where scenes are so
        large that features are worked out one scene at a time, to save memory. For a convolution
        the factors of one scene, or None if some pixels are void.
    """
    like = field.logits[:1, :1].to(torch.float32)
    height, width = like.shape[2:]
    if isinstance(kernel, Smoothness):
        if field.valid is not None:
            return None
        before, after = _scaling(kernel, _masses(kernel, height, width), 1)
        same = kernel.normalization == "symmetric"
        return PixelFactors(before, before if same else after)
    if type(kernel) is Appearance and field.image is not None:
        return _appearance(kernel, field.image) if height * width <= SMALL else None
    features: Float32s = (
        kernel.features(field.image, like).detach().flatten(2).contiguous().numpy()
    )
    return features


def build_terms(
    kernel: Kernel,
    field: Field,
    prepared: Prepared,
    scenes: Span,
    pool: ThreadPool,
    run: Callable[[Term, Float32s, Float32s], None],
) -> list[Term]:
    """Turn a kernel into a normalised term, and one that subtracts its self term if it has none.

    Its weight and compatibility are left out: `weight_term` applies them.

    Args:
        kernel: The kernel.
        field: The batch.
        prepared: What `prepare` returned for the kernel.
        scenes: Which of the batch.
        pool: Threads to use.
        run: Multiplies one number a pixel, ``(P,)``, by a term as it is so far; sets its last
            argument.

    Raises:
        ValueError: If a width is so small that the keys of a lattice would overflow.
    """
    if isinstance(kernel, Smoothness):
        term = _convolution(kernel, field, scenes)
    else:
        term = _lattice(kernel, field, prepared, scenes, pool)
    if isinstance(prepared, PixelFactors):
        before, after = prepared
        if scenes[1] - scenes[0] > 1:  # of a large scene no copy is made
            before, after = (np.tile(factors, scenes[1] - scenes[0]) for factors in prepared)
        same = prepared.before is prepared.after
        term.splat_weights, term.slice_weights = before, before if same else after
    elif term.lattice and kernel.normalization == "symmetric" and field.valid is None:
        before = after = normalise_symmetrically(term.lattice, pool)
    else:
        before, after = _normalise(term, kernel, field, scenes, pool, run)
    return [term] if kernel.self_term else [term, _self_term(before, after)]


def weight_term(term: Term, kernel: Kernel) -> None:
    """Multiply a term by its kernel's weight and compatibility, in place."""
    weight = kernel.weight
    weight = float(weight) if isinstance(weight, Tensor) else float(np.float32(weight))
    if kernel.compatibility is None:
        term.gain *= weight
    elif kernel.compatibility.ndim == 1:
        term.label_scales = kernel.compatibility.detach().float().numpy() * np.float32(weight)
    else:
        term.mixing = kernel.compatibility.detach().float().numpy() * np.float32(weight)


def all_taps(terms: Sequence[Term]) -> Float32s:
    """Return the taps of all terms down and right, ``(terms, 2, R)``, padded with zeros."""
    lines = [line for term in terms for line in term.taps or ()]
    table = np.zeros((len(lines), max(map(len, lines), default=1)), np.float32)
    for line, row in zip(lines, table, strict=True):
        row[: len(line)] = line
    return table.reshape(-1, 2, table.shape[1])


def _self_term(before: Float32s, after: Float32s) -> Term:
    """Return the term that takes off what each pixel sends to itself."""
    one = np.ones(1, np.float32)
    return Term(splat_weights=before, slice_weights=-after, taps=(one, one))


def _normalise(
    term: Term,
    kernel: Kernel,
    field: Field,
    scenes: Span,
    pool: ThreadPool,
    run: Callable[[Term, Float32s, Float32s], None],
) -> PixelFactors:
    """Normalise a term in any of the ways, with any pixels void."""
    count, (height, width) = scenes[1] - scenes[0], field.logits.shape[-2:]
    valid = np.ones(count * height * width, np.float32)
    if field.valid is not None:
        valid = flatten(field.valid[scenes[0] : scenes[1]])
    mass = np.empty_like(valid)
    run(term, valid, mass)
    before, after = _scaling(kernel, mass, count)
    before = before * valid
    if term.lattice is None:
        term.splat_weights, term.slice_weights = before, after
        return PixelFactors(before, after)
    term.splat_weights = term.slice_weights.copy()
    for weights, factors in ((term.slice_weights, after), (term.splat_weights, before)):
        parts = spans(len(before), pool.threads, 1)
        pool.map(partial(_scale_part, weights, factors), parts)
    return PixelFactors(before, after)


def _scale_part(weights: Float32s, factors: Float32s, part: Span) -> None:
    scale_weights(weights, factors, *part)


def _scaling(kernel: Kernel, mass: Float32s, count: int) -> PixelFactors:
    """Return what pixels are multiplied by before and after K, given their D = K·1.

    Few pixels at a time, so that torch works on each on one thread: its own threads wait busily,
    and long where other programs run.
    """
    before, after = np.empty_like(mass), np.empty_like(mass)
    unit = mass.size // count if kernel.normalization == "mean" else FEW
    for first in range(0, mass.size, unit):
        part = slice(first, first + unit)
        some = torch.from_numpy(mass[part]).reshape(1, 1, -1)
        before[part], after[part] = (factors.numpy()[0, 0] for factors in scaling(kernel, some))
    return PixelFactors(before, after)


def _masses(kernel: Smoothness, height: int, width: int) -> Float32s:
    """Return D = K·1 of a smoothness kernel, ``(H W,)``."""
    sigmas = zip(pair(kernel.sigma), (height, width), strict=True)
    down, right = (_line_masses(float(sigma), size) for sigma, size in sigmas)
    masses: Float32s = (down[:, None] * right).reshape(-1)
    return masses


def _line_masses(sigma: float, size: int) -> Float32s:
    """Sum a Gaussian over a line of pixels, about each of them."""
    line = taps(sigma, CUT)
    middle = len(line) // 2
    reach = min(middle, size - 1)
    near = line[middle - reach : middle + reach + 1]
    sums: Float32s = np.convolve(np.ones(size), near)[reach : reach + size].astype(np.float32)
    return sums


def _convolution(kernel: Smoothness, field: Field, scenes: Span) -> Term:
    """Turn a smoothness kernel into a term without normalisation."""
    height, width = field.logits.shape[-2:]
    ones = np.ones((scenes[1] - scenes[0]) * height * width, np.float32)
    sigmas = tuple(float(sigma) for sigma in pair(kernel.sigma))
    half = min(sigmas) >= FINE
    sides = zip(sigmas, (height, width), strict=True)
    down, right = (_taps_from_centre(sigma, half)[: size + 2] for sigma, size in sides)
    return Term(ones, ones, taps=(down, right), half_resolution=half)


@lru_cache(64)
def _taps_from_centre(sigma: float, half: bool) -> Float32s:
    """Return the taps of a convolution from its centre that are not negligible; do not change."""
    line = coarse_taps(sigma, 2) if half else taps(sigma, CUT)
    side = line[len(line) // 2 :]
    count = np.count_nonzero(side > (LEAST_COARSE_TAP if half else LEAST_TAP))
    return np.ascontiguousarray(side[:count], np.float32)


def _lattice(
    kernel: Kernel, field: Field, prepared: Prepared, scenes: Span, pool: ThreadPool
) -> Term:
    """Turn a kernel into a term without normalisation, on a lattice."""
    count, (height, width) = scenes[1] - scenes[0], field.logits.shape[-2:]
    if prepared is None:
        assert isinstance(kernel, Appearance)
        assert field.image is not None
        features = _appearance(kernel, field.image[scenes[0] : scenes[1]])
    else:
        assert not isinstance(prepared, tuple)
        shared = len(prepared) == 1
        features = prepared.repeat(count, 0) if shared else prepared[scenes[0] : scenes[1]]
    complete = None if kernel.normalization == "symmetric" else True
    try:
        lattice = build_lattice(features, pool, complete)
    except OverflowError as error:
        shaped = torch.from_numpy(features).reshape(count, -1, height, width)
        raise ValueError(too_narrow(kernel, shaped, str(error))) from None
    return Term(lattice.weights, lattice.weights, lattice=lattice, gain=lattice.gain)


def _appearance(kernel: Appearance, image: Tensor) -> Float32s:
    """Return what `Appearance.features` does, ``(B, 5, H W)``, one channel at a time.

    Permuting the channels of an image is slow.
    """
    scenes, height, width, _ = image.shape
    features = np.empty((scenes, 5, height, width), np.float32)
    down, right = (
        (np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2)) / np.float32(float(sigma))
        for n, sigma in zip((height, width), pair(kernel.sigma_xy), strict=True)
    )
    features[:, 0], features[:, 1] = down[:, None], right
    colours = image.detach().numpy()
    for channel in range(3):
        sigma = np.float32(kernel.sigma_rgb)
        np.divide(colours[..., channel], sigma, out=features[:, 2 + channel])
    return features.reshape(scenes, 5, -1)
