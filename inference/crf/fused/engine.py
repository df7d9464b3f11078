"""The fused engine: mean field compiled for the CPU, with slice, softmax and splat in one pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ...devices import flush_denormals
from ..engines import Engine, Field
from ..kernels import Kernel
from .cpu.jit import Float32s, Span, ThreadPool, announce_compilation, spans
from .mean_field import MeanField
from .terms import SMALL, Prepared, Term, build_terms, flatten, prepare, weight_term

GROUP = 2**13
"""Pixels of small scenes that are worked on together: so few that vertices stay in the cache."""


class Fused(Engine):
    """Mean field with smoothness as a convolution and all other kernels on a lattice.

    Results do not depend on the number of threads but for rounding; with one number of threads
    they are the same each time. Numbers are float32 within, whatever the field's type.

    Args:
        threads: Number of threads; None is as many as torch uses.
    """

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or torch.get_num_threads()

    def marginals(self, field: Field, iterations: int) -> Tensor:
        """Run mean field, as `Engine.marginals` says.

        Args:
            field: Scenes, kernels and void pixels.
            iterations: Number of iterations; with 0 the softmax of the logits.

        Returns:
            Marginals, ``(B, L, H, W)``, of the type of the field's logits.

        Raises:
            ValueError: If a width is so small that the keys of a lattice would overflow.
        """
        logits = flatten(field.logits)
        out = logits if field.in_place else np.empty(logits.size, np.float32)
        labels, height, width = field.logits.shape[1:]
        each = labels * height * width
        prepared = [prepare(kernel, field) for kernel in field.kernels]

        def run(first: int, last: int, pool: ThreadPool) -> None:
            terms = []
            for kernel, ready in zip(field.kernels, prepared, strict=True):
                for term in _terms(kernel, field, ready, (first, last), pool):
                    weight_term(term, kernel)
                    terms.append(term)
            mean_field = MeanField((last - first, labels, height, width), terms, pool)
            part = slice(first * each, last * each)
            mean_field.marginals(logits[part], iterations, out[part])

        with announce_compilation(), flush_denormals():
            self._run_all(len(field.logits), height * width, run)
        return torch.from_numpy(out).reshape(field.logits.shape).to(field.logits.dtype)

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
        batch, labels, height, width = values.shape
        out = np.empty(values.numel(), np.float32)
        with announce_compilation(), flush_denormals(), ThreadPool(self.threads) as pool:
            terms = _terms(kernel, field, prepare(kernel, field), (0, batch), pool)
            mean_field = MeanField((batch, labels, height, width), terms, pool)
            mean_field.filtered(flatten(values), out)
        return torch.from_numpy(out).reshape(values.shape).to(values.dtype)

    def _run_all(
        self, scenes: int, pixels: int, run: Callable[[int, int, ThreadPool], None]
    ) -> None:
        """Work on small scenes in groups, each on one thread; on large ones one after another."""
        if scenes > 1 and pixels <= SMALL:
            parts = max(min(self.threads, scenes), -(-scenes * pixels // GROUP))
            parts = -(-parts // self.threads) * self.threads
            with ThreadPool(self.threads) as pool, ThreadPool(1) as alone:
                pool.map(lambda part: run(*part, alone), spans(scenes, parts, 1))
            return
        with ThreadPool(self.threads if pixels > SMALL else 1) as pool:
            for scene in range(scenes):
                run(scene, scene + 1, pool)


def _terms(
    kernel: Kernel, field: Field, prepared: Prepared, scenes: Span, pool: ThreadPool
) -> list[Term]:
    """Turn a kernel into terms, with a `MeanField` to sum its matrix where that is needed."""
    size = (scenes[1] - scenes[0], 1, *field.logits.shape[-2:])

    def run(term: Term, values: Float32s, out: Float32s) -> None:
        MeanField(size, [term], pool).filtered(values, out)

    return build_terms(kernel, field, prepared, scenes, pool, run)
