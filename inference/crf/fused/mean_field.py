"""Mean field over the pixels of some scenes: fused passes and blurs by turns.

The counterpart in torch is the loop of `inference.crf.lattice.engine.Lattice.marginals`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from .blur import VertexRange, blur_grid, blur_lattice, blur_pixels
from .cpu.jit import Float32s, Int64s, Span, ThreadPool
from .cpu.simd import WIDE, WIDTH
from .fused_pass import fused_pass, scratch_size
from .layout import Shape, to_channels_last
from .permutohedral.lattice import PermutohedralLattice, join_chains
from .separable import Plane
from .single_thread import GridBlurs, LatticeBlurs, PixelBlurs, iterate
from .tables import GridArrays, LatticeArrays, Mode, PixelArrays, share_rows
from .terms import Term, all_taps

CHANNELS_LAST_BYTES = 2**28
"""Bytes up to which logits are copied to channels last; larger ones are transposed each time."""


class LatticeTerm(NamedTuple):
    """A term on a lattice.

    Attributes:
        term: The term.
        lattice: Its lattice.
        base: The row of the lattice's first vertex in the tables of values and sums.
    """

    term: Term
    lattice: PermutohedralLattice
    base: int


class MeanField:
    """Arrays for B scenes of one size and some terms, and the steps of mean field on them.

    Args:
        size: B, L, H, W.
        terms: The kernels.
        pool: Threads, which share the rows of pixels.
    """

    def __init__(
        self, size: tuple[int, int, int, int], terms: Sequence[Term], pool: ThreadPool
    ) -> None:
        batch, labels, height, width = size
        self.pool, self.terms = pool, terms
        self.shape = Shape(batch, height, width, labels, -(-labels // WIDTH) * WIDTH)
        self.grid_size = ((height + 1) // 2 + 2, (width + 1) // 2 + 2)
        self.rows, self.edges = share_rows(batch, height, pool.threads)
        pixels = batch * height * width
        self._lay_out_lattices([term for term in terms if term.lattice], pixels)
        convolutions = [term for term in terms if term.taps]
        self._lay_out_grids([term for term in convolutions if term.half_resolution], pixels)
        self._lay_out_pixels([term for term in convolutions if not term.half_resolution], pixels)
        each = scratch_size(width, self.shape.padded, len(self.grid_terms))
        self.scratch = _zeros(len(self.rows), -(-each // 16) * 16)

    def marginals(self, logits: Float32s, iterations: int, out: Float32s) -> None:
        """Run mean field from the softmax of the logits.

        Args:
            logits: ``(B, L, H, W)``, flat.
            iterations: Number of iterations.
            out: ``(B, L, H, W)``, flat, set; it may be the logits themselves.
        """
        pixels = len(logits) // self.shape.labels
        channels_first = pixels * self.shape.padded * 4 > CHANNELS_LAST_BYTES
        unaries = logits if channels_first else self._to_channels_last(logits)
        mixed = any(term.mixing is not None for term in self.terms)
        apart = self.shape.batch == 1 or all(one.lattice.by_scene for one in self.lattice_terms)
        if len(self.rows) == 1 and apart and not mixed:
            self._iterate(unaries, iterations, channels_first, out)
            return
        for i in range(iterations + 1):
            last = i == iterations
            self._pass(unaries, out, Mode(channels_first, i > 0, True, not last, last))
            if not last:
                self._blur()

    def filtered(self, values: Float32s, out: Float32s) -> None:
        """Multiply values by the sum of all terms.

        Args:
            values: ``(B, L, H, W)``, flat.
            out: ``(B, L, H, W)``, flat; set.
        """
        self._pass(values, out, Mode(True, False, False, True, False))
        self._blur()
        zeros = np.zeros_like(values)
        self._pass(zeros, out, Mode(True, True, False, False, True))

    def _lay_out_lattices(self, terms: list[Term], pixels: int) -> None:
        self.lattice_terms: list[LatticeTerm] = []
        vertices, rows = [], 0
        for term in terms:
            if term.lattice is not None:
                self.lattice_terms.append(LatticeTerm(term, term.lattice, rows))
                own = term.lattice.vertices
                vertices.append(own + np.int32(rows) if rows else own)
                rows += term.lattice.size
        rows += rows % 2  # so that no vector straddles two cache lines
        empty = np.empty((pixels, 0), np.float32)
        total = rows * self.shape.padded
        side_by_side = _side_by_side(vertices, np.empty((pixels, 0), np.int32))
        self.sums = _zeros(len(self.rows), total)
        self.lattice = LatticeArrays(
            side_by_side.reshape(-1),
            _side_by_side([term.slice_weights for term in terms], empty).reshape(-1),
            _side_by_side([term.splat_weights for term in terms], empty).reshape(-1),
            _zeros(total),
            self.sums[0],
            side_by_side.shape[1],
        )

    def _lay_out_grids(self, terms: list[Term], pixels: int) -> None:
        self.grid_terms = terms
        row = self.grid_size[1] * self.shape.padded
        rows = self.shape.batch * self.grid_size[0]
        empty = np.empty((0, pixels), np.float32)
        slice_weights = np.stack([term.slice_weights for term in terms]) if terms else empty
        same = all(term.splat_weights is term.slice_weights for term in terms)
        splat_weights = slice_weights if same else np.stack([term.splat_weights for term in terms])
        self.grid_values = _zeros(len(terms), rows * row)
        self.grid_sums = _zeros(len(terms), (rows + 2 * len(self.rows)) * row)
        self.grid = GridArrays(
            slice_weights.reshape(-1),
            splat_weights.reshape(-1),
            self.grid_values.reshape(-1),
            self.grid_sums.reshape(-1),
            len(terms),
        )

    def _lay_out_pixels(self, terms: list[Term], pixels: int) -> None:
        self.pixel_terms = terms
        count = pixels * self.shape.padded if terms else 0
        self.pixels = PixelArrays(messages=_zeros(count), marginals=_zeros(count))

    def _to_channels_last(self, logits: Float32s) -> Float32s:
        shape = self.shape
        packed = _zeros(shape.batch * shape.height * shape.width * shape.padded)
        self.pool.map(
            lambda rows: to_channels_last(logits, shape, rows.first, rows.last, packed), self.rows
        )
        return packed

    def _pass(self, logits: Float32s, out: Float32s, mode: Mode) -> None:
        """Take a fused pass over all pixels, each thread over its rows."""

        def one(t: int) -> None:
            lattice = self.lattice._replace(sums=self.sums[t])
            fused_pass(
                self.rows[t],
                self.shape,
                mode,
                logits,
                lattice,
                self.grid,
                self.pixels,
                out,
                self.scratch[t],
            )

        self.pool.map(one, range(len(self.rows)))

    def _iterate(
        self, logits: Float32s, iterations: int, channels_first: bool, out: Float32s
    ) -> None:
        """Take all passes and blurs in one call, on this thread."""
        pixels = self.shape.batch * self.shape.height * self.shape.width
        lattices = [one.lattice for one in self.lattice_terms]
        lattice_blurs = LatticeBlurs(
            self._vertex_table(),
            join_chains([lattice.chains for lattice in lattices]),
            self._all_scales([one.term for one in self.lattice_terms]),
            np.array([lattice.spacing.side for lattice in lattices], np.float64),
            self.sums,
        )
        grid_blurs = GridBlurs(
            all_taps(self.grid_terms),
            self._all_scales(self.grid_terms),
            *self.grid_size,
            self.grid_values,
            self.grid_sums,
        )
        empty = np.empty((0, pixels), np.float32)
        terms = self.pixel_terms
        pixel_blurs = PixelBlurs(
            all_taps(terms),
            self._all_scales(terms),
            np.stack([term.splat_weights for term in terms]) if terms else empty,
            np.stack([term.slice_weights for term in terms]) if terms else empty,
        )
        iterate(
            iterations,
            self.shape,
            logits,
            channels_first,
            self.lattice,
            self.grid,
            self.pixels,
            out,
            self.scratch[0],
            lattice_blurs,
            grid_blurs,
            pixel_blurs,
        )

    def _vertex_table(self) -> Int64s:
        """Return the row of each lattice's first vertex, and the vertex range of each scene."""
        batch, offset = self.shape.batch, 0
        table = np.empty((len(self.lattice_terms), 1 + 5 * batch), np.int64)
        for row, one in zip(table, self.lattice_terms, strict=True):
            lattice, bounds = one.lattice, one.lattice.bounds(batch)
            axes, row[0] = len(lattice.neighbours), one.base
            for scene, (first, last) in enumerate(pairwise(bounds)):
                occupied = min(last, lattice.occupied)
                row[1 + 5 * scene :][:5] = first, occupied, last, offset + scene * axes, axes
            offset += len(lattice.chains.offsets) - 1
        return table

    def _blur(self) -> None:
        """Blur all that was splatted, labels in parallel; then mix labels."""
        padded = self.shape.padded
        unit = WIDE if len(self.rows) > 1 else padded
        blocks = [(c, min(c + unit, padded)) for c in range(0, padded, unit)]
        tasks: list[Any] = []
        for block in blocks:  # the widest first
            tasks += [partial(self._blur_lattice, one, block) for one in self.lattice_terms]
            tasks += [
                partial(self._blur_grid, *grid, block) for grid in enumerate(self.grid_terms)
            ]
        self.pool.map(lambda task: task(), tasks)
        for one in self.lattice_terms:
            part = slice(one.base, one.base + one.lattice.size)
            self._mix(one.term, [block[part] for block in self._label_blocks(self.lattice.values)])
        for g, term in enumerate(self.grid_terms):
            self._mix(term, [self.grid_values[g].reshape(-1, padded)])
        messages = self.pixels.messages
        for i, term in enumerate(self.pixel_terms):
            if term.mixing is None or i == 0:
                self.pool.map(partial(self._blur_pixels, term, messages, i > 0), blocks)
                self._mix(term, [messages.reshape(-1, padded)])
            else:
                mixed = np.empty_like(messages)
                self.pool.map(partial(self._blur_pixels, term, mixed, False), blocks)
                self._mix(term, [mixed.reshape(-1, padded)])
                messages += mixed

    def _blur_lattice(self, one: LatticeTerm, labels: Span) -> None:
        chains = one.lattice.chains
        blur_lattice(
            labels,
            self.shape.padded,
            one.base,
            VertexRange(0, one.lattice.occupied, one.lattice.size, 0, len(chains.offsets) - 1),
            chains,
            self._scales(one.term),
            one.lattice.spacing.side,
            self.sums,
            self.lattice.values,
        )

    def _blur_grid(self, g: int, term: Term, labels: Span) -> None:
        assert term.taps is not None
        blur_grid(
            labels,
            self.shape.padded,
            Plane(self.shape.batch, *self.grid_size),
            self.edges,
            *term.taps,
            self._scales(term),
            self.grid_sums[g],
            self.grid_values[g],
        )

    def _blur_pixels(self, term: Term, messages: Float32s, add: bool, labels: Span) -> None:
        assert term.taps is not None
        blur_pixels(
            labels,
            self.shape.padded,
            Plane(self.shape.batch, self.shape.height, self.shape.width),
            *term.taps,
            self._scales(term),
            term.splat_weights,
            term.slice_weights,
            self.pixels.marginals,
            messages,
            add,
        )

    def _label_blocks(self, table: Float32s) -> list[Float32s]:
        """View a table of vertex values as ``(rows, labels)``, block by block."""
        padded = self.shape.padded
        rows = table.size // padded
        cuts = [*range(0, padded, WIDE), padded]
        return [
            table[rows * c : rows * stop].reshape(rows, stop - c) for c, stop in pairwise(cuts)
        ]

    def _mix(self, term: Term, blocks: list[Float32s]) -> None:
        """Multiply the labels of values, ``(rows, labels)`` by blocks, by the term's mixing."""
        if term.mixing is None:
            return
        mixed = np.concatenate(blocks, axis=1)[:, : self.shape.labels] @ term.mixing.T
        first = 0
        for block in blocks:
            part = mixed[:, first : first + block.shape[1]]
            block[:, : part.shape[1]] = part
            first += block.shape[1]

    def _all_scales(self, terms: Sequence[Term]) -> Float32s:
        """Return the scales of all terms, ``(terms, padded)``."""
        empty = np.empty((0, self.shape.padded), np.float32)
        return np.stack([self._scales(term) for term in terms]) if terms else empty

    def _scales(self, term: Term) -> Float32s:
        """Return what each label is multiplied by, ``(padded,)``."""
        scales = np.zeros(self.shape.padded, np.float32)
        by_label = term.label_scales
        scales[: self.shape.labels] = term.gain if by_label is None else term.gain * by_label
        return scales


def _zeros(*shape: int) -> Float32s:
    """Return an array that begins with a cache line, so that no vector straddles two."""
    count = math.prod(shape)
    numbers = np.zeros(count + 16, np.float32)
    first = -(numbers.ctypes.data // 4) % 16
    return numbers[first : first + count].reshape(shape)


def _side_by_side(parts: list[Any], empty: Any) -> Any:
    if len(parts) < 2:
        return parts[0] if parts else empty
    return np.ascontiguousarray(np.concatenate(parts, axis=1))
