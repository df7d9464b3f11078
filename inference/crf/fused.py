"""The fused engine: mean field compiled for the CPU, all its steps in one pass over the pixels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from .compiled import Floats, announced
from .crew import Crew, flushing, spans
from .engines import Engine, Field, scaling
from .job import Job
from .kernels import Appearance, Kernel, Smoothness, pair, too_narrow
from .permutohedral import balance, mesh, scale
from .smoothing import FINE, coarse_taps, taps
from .terms import Term

SURE = 6.1
"""Standard deviations after which an exact convolution is cut: there it is 1e-8."""

NOTHING = 1e-8
"""What is no more than this, of a tap in the middle that is about 1, is left out."""

COARSE = 1e-4
"""Likewise at half the resolution, which is itself no nearer than that."""

SMALL = 2**14
"""Pixels of a job below which more threads cost more than they bring."""

GROUP = 2**12
"""Pixels of small scenes done together: few, so that their vertices stay in the cache."""

FEW = 2**15
"""Numbers that torch works on without threads of its own."""


Prepared = Floats | tuple[Floats, Floats] | None


class Fused(Engine):
    """Slice, softmax and splat fused; smoothness as a convolution, all else on a lattice.

    Results do not depend on the number of threads but for rounding, and with one number are the
    same each time. Numbers are float32 within, whatever the field's type.

    Args:
        threads: How many; None is as many as torch uses.
    """

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or torch.get_num_threads()

    def marginals(self, field: Field, iterations: int) -> Tensor:
        """Do mean field; see the base class."""
        given = _flat(field.logits)
        out = given if field.spent else np.empty(given.size, np.float32)
        labels, height, width = field.logits.shape[1:]
        each = labels * height * width
        ready = [_prepared(kernel, field) for kernel in field.kernels]

        def do(first: int, last: int, crew: Crew) -> None:
            terms = []
            for kernel, found in zip(field.kernels, ready, strict=True):
                for term in _terms(kernel, field, found, (first, last), crew):
                    terms.append(_weighted(term, kernel))
            job = Job((last - first, labels, height, width), terms, crew)
            part = slice(first * each, last * each)
            job.marginals(given[part], iterations, out[part])

        with announced(), flushing():
            self._share(len(field.logits), height * width, do)
        return torch.from_numpy(out).reshape(field.logits.shape).to(field.logits.dtype)

    def filtered(self, field: Field, kernel: Kernel, values: Tensor) -> Tensor:
        """Multiply by one normalised kernel; see the base class."""
        batch, labels, height, width = values.shape
        out = np.empty(values.numel(), np.float32)
        with announced(), flushing(), Crew(self.threads) as crew:
            terms = _terms(kernel, field, _prepared(kernel, field), (0, batch), crew)
            Job((batch, labels, height, width), terms, crew).filtered(_flat(values), out)
        return torch.from_numpy(out).reshape(values.shape).to(values.dtype)

    def _share(self, scenes: int, pixels: int, do: Callable[[int, int, Crew], None]) -> None:
        """Do small scenes several at once, each group by one thread; large ones one by one."""
        if scenes > 1 and pixels <= SMALL:
            parts = max(min(self.threads, scenes), -(-scenes * pixels // GROUP))
            parts = -(-parts // self.threads) * self.threads
            with Crew(self.threads) as crew, Crew(1) as alone:
                crew.map(lambda part: do(*part, alone), spans(scenes, parts, 1))
            return
        with Crew(self.threads if pixels > SMALL else 1) as crew:
            for scene in range(scenes):
                do(scene, scene + 1, crew)


def _flat(values: Tensor) -> Floats:
    found: Floats = values.detach().to(torch.float32).contiguous().numpy().reshape(-1)
    return found


def _prepared(kernel: Kernel, field: Field) -> Prepared:
    """Do at once for all scenes what many threads would else do for each, or wait for.

    Returns:
        The features of a kernel that goes on a lattice, ``(B or 1, D, N)``, or None if they are
        found when they are needed, for they take room. Of a convolution what pixels of a scene
        are multiplied by before and after, unless some are void.
    """
    like = field.logits[:1, :1].to(torch.float32)
    height, width = like.shape[2:]
    if isinstance(kernel, Smoothness):
        if field.speaking is not None:
            return None
        before, after = _scaling(kernel, _masses(kernel, height, width), 1)
        return (before, before) if kernel.normalization == "symmetric" else (before, after)
    if type(kernel) is Appearance and field.image is not None:
        return _appearance(kernel, field.image) if height * width <= SMALL else None
    found: Floats = kernel.features(field.image, like).detach().flatten(2).contiguous().numpy()
    return found


def _appearance(kernel: Appearance, image: Tensor) -> Floats:
    """Give what `Appearance.features` does, plane by plane: copying colours apart is slow."""
    scenes, height, width, _ = image.shape
    found = np.empty((scenes, 5, height, width), np.float32)
    down, right = (
        (np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2)) / np.float32(float(sigma))
        for n, sigma in zip((height, width), pair(kernel.sigma_xy), strict=True)
    )
    found[:, 0], found[:, 1] = down[:, None], right
    colours = image.detach().numpy()
    for channel in range(3):
        np.divide(colours[..., channel], np.float32(kernel.sigma_rgb), out=found[:, 2 + channel])
    return found.reshape(scenes, 5, -1)


def _terms(
    kernel: Kernel, field: Field, ready: Prepared, scenes: tuple[int, int], crew: Crew
) -> list[Term]:
    """Turn a kernel into a normalised term, and one that takes its self term back if need be."""
    if isinstance(kernel, Smoothness):
        term = _convolution(kernel, field, scenes)
    else:
        term = _lattice(kernel, field, ready, scenes, crew)
    if isinstance(ready, tuple):
        before, after = ready
        if scenes[1] - scenes[0] > 1:  # of a large scene no copy is made
            before, after = (np.tile(factors, scenes[1] - scenes[0]) for factors in ready)
        term.push, term.pull = before, before if ready[0] is ready[1] else after
    elif term.mesh and kernel.normalization == "symmetric" and field.speaking is None:
        before = after = balance(term.mesh, crew)
    else:
        before, after = _weigh(term, kernel, field, scenes, crew)
    if kernel.self_term:
        return [term]
    one = np.ones(1, np.float32)
    return [term, Term(push=before, pull=-after, taps=(one, one))]


def _weigh(
    term: Term, kernel: Kernel, field: Field, scenes: tuple[int, int], crew: Crew
) -> tuple[Floats, Floats]:
    """Normalise a term in any way, with any pixels void; give factors before and after."""
    count, (height, width) = scenes[1] - scenes[0], field.logits.shape[-2:]
    heard = np.ones(count * height * width, np.float32)
    if field.speaking is not None:
        heard = _flat(field.speaking[scenes[0] : scenes[1]])
    mass = np.empty_like(heard)
    Job((count, 1, height, width), [term], crew).filtered(heard, mass)
    before, after = _scaling(kernel, mass, count)
    before = before * heard
    if term.mesh is None:
        term.push, term.pull = before, after
        return before, after
    term.push = term.pull.copy()
    for weights, factors in ((term.pull, after), (term.push, before)):
        parts = spans(len(before), crew.threads, 1)
        crew.map(partial(_scaled, weights, factors), parts)
    return before, after


def _scaled(weights: Floats, factors: Floats, part: tuple[int, int]) -> None:
    scale(weights, factors, *part)


def _masses(kernel: Smoothness, height: int, width: int) -> Floats:
    """Sum a smoothness kernel around each pixel of a scene."""
    sigmas = zip(pair(kernel.sigma), (height, width), strict=True)
    down, right = (_sums(float(sigma), size) for sigma, size in sigmas)
    found: Floats = (down[:, None] * right).reshape(-1)
    return found


def _convolution(kernel: Smoothness, field: Field, scenes: tuple[int, int]) -> Term:
    """Turn a smoothness kernel into a term without normalisation."""
    height, width = field.logits.shape[-2:]
    ones = np.ones((scenes[1] - scenes[0]) * height * width, np.float32)
    sigmas = tuple(float(sigma) for sigma in pair(kernel.sigma))
    halved = min(sigmas) >= FINE
    found = [coarse_taps(s, 2) if halved else taps(s, SURE) for s in sigmas]
    least = COARSE if halved else NOTHING
    down, right = (
        np.ascontiguousarray(half[: min(np.count_nonzero(half > least), size + 2)], np.float32)
        for half, size in zip(
            (line[len(line) // 2 :] for line in found), (height, width), strict=True
        )
    )
    return Term(push=ones, pull=ones, taps=(down, right), halved=halved)


def _lattice(
    kernel: Kernel, field: Field, ready: Prepared, scenes: tuple[int, int], crew: Crew
) -> Term:
    """Turn a kernel into a term without normalisation, on a lattice."""
    count, (height, width) = scenes[1] - scenes[0], field.logits.shape[-2:]
    if ready is None:
        assert isinstance(kernel, Appearance)
        assert field.image is not None
        own = _appearance(kernel, field.image[scenes[0] : scenes[1]])
    else:
        assert not isinstance(ready, tuple)
        own = ready[scenes[0] : scenes[1]] if len(ready) > 1 else ready.repeat(count, 0)
    try:
        laid = mesh(own, crew, complete=None if kernel.normalization == "symmetric" else True)
    except OverflowError as error:
        given = torch.from_numpy(own).reshape(count, -1, height, width)
        raise ValueError(too_narrow(kernel, given, str(error))) from None
    return Term(push=laid.weights, pull=laid.weights, mesh=laid, gain=laid.gain)


def _scaling(kernel: Kernel, mass: Floats, count: int) -> tuple[Floats, Floats]:
    """Give what pixels are multiplied by before and after, found by few pixels at a time.

    So few that torch does each on one thread: its own threads wait busily, and long where other
    programs run.
    """
    before, after = np.empty_like(mass), np.empty_like(mass)
    unit = mass.size // count if kernel.normalization == "mean" else FEW
    for first in range(0, mass.size, unit):
        part = slice(first, first + unit)
        given = torch.from_numpy(mass[part]).reshape(1, 1, -1)
        before[part], after[part] = (found.numpy()[0, 0] for found in scaling(kernel, given))
    return before, after


def _sums(sigma: float, size: int) -> Floats:
    """Sum a Gaussian over a line of pixels, from each of them."""
    line = taps(sigma, SURE)
    middle = len(line) // 2
    reach = min(middle, size - 1)
    near = line[middle - reach : middle + reach + 1]
    found: Floats = np.convolve(np.ones(size), near)[reach : reach + size].astype(np.float32)
    return found


def _weighted(term: Term, kernel: Kernel) -> Term:
    """Let a term pull with its kernel's weight and compatibility."""
    weight = float(torch.as_tensor(kernel.weight))
    if kernel.compatibility is None:
        term.gain *= weight
    elif kernel.compatibility.ndim == 1:
        term.scales = kernel.compatibility.detach().float().numpy() * np.float32(weight)
    else:
        term.mix = kernel.compatibility.detach().float().numpy() * np.float32(weight)
    return term
