"""The fused engine: mean field compiled for the CPU, all its steps in one pass over the pixels."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from inference.crf.compiled import Floats
from inference.crf.crew import Crew, spans
from inference.crf.engines import Engine, Field, scaling
from inference.crf.job import Job, Term
from inference.crf.kernels import Kernel, Smoothness
from inference.crf.permutohedral import mesh

HALVED = 2.0
"""σ in pixels from which smoothness is convolved at half the resolution."""

SMALL = 2**14
"""Pixels of a job below which more threads cost more than they bring."""


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
        out = np.empty(given.size, np.float32)
        labels, height, width = field.logits.shape[1:]
        each = labels * height * width
        features = [_features(kernel, field) for kernel in field.kernels]

        def do(first: int, last: int, crew: Crew) -> None:
            terms = []
            for kernel, found in zip(field.kernels, features, strict=True):
                for term in _terms(kernel, field, found, (first, last), crew):
                    terms.append(_weighted(term, kernel))
            job = Job((last - first, labels, height, width), terms, crew)
            part = slice(first * each, last * each)
            job.marginals(given[part], iterations, out[part])

        self._share(len(field.logits), height * width, do)
        return torch.from_numpy(out).reshape(field.logits.shape).to(field.logits.dtype)

    def filtered(self, field: Field, kernel: Kernel, values: Tensor) -> Tensor:
        """Multiply by one normalised kernel; see the base class."""
        batch, labels, height, width = values.shape
        out = np.empty(values.numel(), np.float32)
        with Crew(self.threads) as crew:
            terms = _terms(kernel, field, _features(kernel, field), (0, batch), crew)
            Job((batch, labels, height, width), terms, crew).filtered(_flat(values), out)
        return torch.from_numpy(out).reshape(values.shape).to(values.dtype)

    def _share(self, scenes: int, pixels: int, do: Callable[[int, int, Crew], None]) -> None:
        """Do small scenes several at once, each group by one thread; large ones one by one."""
        if scenes > 1 and pixels <= SMALL:
            parts = max(min(self.threads, scenes), -(-scenes * pixels // (4 * SMALL)))
            with Crew(self.threads) as crew, Crew(1) as alone:
                crew.map(lambda part: do(*part, alone), spans(scenes, parts, 1))
            return
        with Crew(self.threads if pixels > SMALL else 1) as crew:
            for scene in range(scenes):
                do(scene, scene + 1, crew)


def _flat(values: Tensor) -> Floats:
    found: Floats = values.detach().to(torch.float32).contiguous().numpy().reshape(-1)
    return found


def _features(kernel: Kernel, field: Field) -> Floats | None:
    """Give the features of a kernel that goes on a lattice, ``(B or 1, D, N)``."""
    if isinstance(kernel, Smoothness):
        return None
    like = field.logits[:1, :1].to(torch.float32)
    found: Floats = kernel.features(field.image, like).detach().flatten(2).contiguous().numpy()
    return found


def _terms(
    kernel: Kernel, field: Field, features: Floats | None, scenes: tuple[int, int], crew: Crew
) -> list[Term]:
    """Turn a kernel into a normalised term, and one that takes its self term back if need be."""
    count = scenes[1] - scenes[0]
    height, width = field.logits.shape[-2:]
    heard = np.ones(count * height * width, np.float32)
    if field.speaking is not None:
        heard = _flat(field.speaking[scenes[0] : scenes[1]])
    term = _raw(kernel, count, height, width, features, scenes, crew)
    mass = np.empty_like(heard)
    Job((count, 1, height, width), [term], crew).filtered(heard, mass)
    before, after = (
        _flat(part) for part in scaling(kernel, torch.from_numpy(mass).reshape(count, 1, -1))
    )
    before = before * heard
    same = kernel.normalization == "symmetric" and field.speaking is None
    if term.mesh is None:
        term.push, term.pull = before, before if same else after
    else:
        term.pull = term.pull * after[:, None]
        term.push = term.pull if same else term.push * before[:, None]
    if kernel.self_term:
        return [term]
    one = np.ones(1, np.float32)
    return [term, Term(push=before, pull=-after, taps=(one, one))]


def _raw(
    kernel: Kernel,
    count: int,
    height: int,
    width: int,
    features: Floats | None,
    scenes: tuple[int, int],
    crew: Crew,
) -> Term:
    """Turn a kernel into a term without normalisation."""
    ones = np.ones(count * height * width, np.float32)
    if isinstance(kernel, Smoothness):
        both = kernel.sigma if isinstance(kernel.sigma, tuple) else (kernel.sigma, kernel.sigma)
        down, right = float(both[0]), float(both[1])
        if min(down, right) < HALVED:
            taps = _gaussian(down, height), _gaussian(right, width)
            return Term(push=ones, pull=ones, taps=taps)
        taps = _coarse(down, height), _coarse(right, width)
        return Term(push=ones, pull=ones, taps=taps, halved=True)
    assert features is not None
    own = features[scenes[0] : scenes[1]] if len(features) > 1 else features
    own = np.ascontiguousarray(np.broadcast_to(own, (count, *own.shape[1:])))
    found = mesh(own, crew)
    return Term(push=found.weights, pull=found.weights, mesh=found, gain=found.gain)


def _gaussian(sigma: float, size: int) -> Floats:
    """Sample a Gaussian of height 1 at whole pixels, from its centre to where it is 1e-8."""
    reach = min(math.ceil(6.1 * sigma), size)
    taps: Floats = np.exp(-0.5 * (np.arange(reach) / sigma) ** 2).astype(np.float32)
    return taps


def _coarse(sigma: float, size: int) -> Floats:
    """Give taps between cells of two pixels that, with the bilinear weights, make a Gaussian.

    Those weights spread a pixel with variance ¾ into the cells, and as much out of them.
    """
    narrow = math.sqrt((sigma**2 - 1.5) / 4)
    reach = min(math.ceil(5 * narrow) + 1, size // 2 + 3)
    shape = np.exp(-0.5 * (np.arange(reach) / narrow) ** 2)
    mass = math.sqrt(2 * math.pi) * sigma / 2
    taps: Floats = (shape * (mass / (2 * shape.sum() - shape[0]))).astype(np.float32)
    return taps


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
