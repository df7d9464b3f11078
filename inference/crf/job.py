"""Mean field over the pixels of one job: sweeps and blurs in turn, on arrays laid out once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from .blur import blur_lattice
from .compiled import Floats
from .convolve import blur_grid, blur_pixels
from .crew import Crew
from .lanes import WIDE, WIDTH
from .permutohedral import Mesh
from .planes import pack
from .rounds import rounds
from .sweep import room_for, sweep
from .terms import Term, all_taps

ROOMY = 2**28
"""Bytes up to which logits are copied into rows of labels; beyond, planes are read each time."""


class Job:
    """Arrays for B scenes of one size and some terms, and what is done with them.

    Args:
        size: B, L, H, W.
        terms: The kernels.
        crew: Threads, which share the rows.
    """

    def __init__(self, size: tuple[int, int, int, int], terms: Sequence[Term], crew: Crew) -> None:
        scenes, labels, height, width = size
        self.crew, self.terms = crew, terms
        self.padded = -(-labels // WIDTH) * WIDTH
        self.size = (scenes, height, width, labels, self.padded)
        self.cells = ((height + 1) // 2 + 2, (width + 1) // 2 + 2)
        self._share_rows()
        pixels = scenes * height * width
        self._lattice([term for term in terms if term.mesh], pixels)
        self._grid([term for term in terms if term.taps and term.halved], pixels)
        self._pixels([term for term in terms if term.taps and not term.halved], pixels)
        each = room_for(width, self.padded, len(self.grids))
        self.room = _zeros(len(self.parts), -(-each // 16) * 16)

    def marginals(self, logits: Floats, iterations: int, out: Floats) -> None:
        """Do mean field.

        Args:
            logits: ``(B, L, H, W)``, flat.
            iterations: How many.
            out: Likewise; it may be the same array.
        """
        planar = len(logits) // self.size[3] * self.padded * 4 > ROOMY
        given = logits if planar else self._packed(logits)
        mixed = any(term.mix is not None for term in self.terms)
        apart = self.size[0] == 1 or all(mesh.apart for _, mesh, _ in self.meshes)
        if len(self.parts) == 1 and apart and not mixed:
            self._rounds(given, iterations, planar, out)
            return
        for i in range(iterations + 1):
            last = i == iterations
            self._sweep(given, out, planar, pulled=i > 0, soft=True, last=last)
            if not last:
                self._blur()

    def filtered(self, values: Floats, out: Floats) -> None:
        """Multiply values, ``(B, L, H, W)``, flat, by the sum of all terms."""
        self._sweep(values, out, planar=True, pulled=False, soft=False, last=False)
        self._blur()
        nothing = np.zeros_like(values)
        self._sweep(nothing, out, planar=True, pulled=True, soft=False, last=True)

    def _share_rows(self) -> None:
        """Give each thread rows, from an even row of a scene to another, and cells of its own."""
        scenes, height = self.size[:2]
        down = self.cells[0]
        rows = scenes * height
        cuts = [rows * t // self.crew.threads for t in range(self.crew.threads)]
        starts = sorted({cut - (cut % height) % 2 for cut in cuts})
        stops = [*starts[1:], rows]
        self.parts: list[tuple[int, ...]] = []
        edges = []
        for t, (first, stop) in enumerate(zip(starts, stops, strict=True)):
            before, after = scenes * down + 2 * t, scenes * down + 2 * t + 1
            low, high = (_cell(row, height, down) for row in (first, stop))
            if first % height:
                edges.append((before, low - 1))
            if stop % height:
                edges.append((after, high))
            self.parts.append((first, stop, low, high, before, after))
        self.edges = np.array(edges, np.int64).reshape(-1, 2)

    def _lattice(self, terms: list[Term], pixels: int) -> None:
        self.meshes: list[tuple[Term, Mesh, int]] = []
        vertices, rows = [], 0
        for term in terms:
            if term.mesh is not None:
                self.meshes.append((term, term.mesh, rows))
                vertices.append(
                    term.mesh.vertices + np.int32(rows) if rows else term.mesh.vertices
                )
                rows += term.mesh.size + 1
        self.vertices = _beside(vertices, np.empty((pixels, 0), np.int32))
        rows += rows % 2  # so that no `Lanes` straddles two lines of the cache
        empty = np.empty((pixels, 0), np.float32)
        self.collect = _beside([term.pull for term in terms], empty)
        self.hand_on = _beside([term.push for term in terms], empty)
        self.values = _zeros(rows * self.padded)
        self.spare = _zeros(2, rows * self.padded)
        self.sums = _zeros(len(self.parts), rows * self.padded)

    def _grid(self, terms: list[Term], pixels: int) -> None:
        self.grids = terms
        scenes, row = self.size[0], self.cells[1] * self.padded
        rows = scenes * self.cells[0]
        empty = np.empty((0, pixels), np.float32)
        self.near_pull = np.stack([term.pull for term in terms]) if terms else empty
        same = all(term.push is term.pull for term in terms)
        self.near_push = self.near_pull if same else np.stack([term.push for term in terms])
        self.cell_values = _zeros(len(terms), rows * row)
        self.cell_sums = _zeros(len(terms), (rows + 2 * len(self.parts)) * row)

    def _pixels(self, terms: list[Term], pixels: int) -> None:
        self.locals = terms
        count = pixels * self.padded if terms else 0
        self.own, self.extra = _zeros(count), _zeros(count)

    def _packed(self, logits: Floats) -> Floats:
        scenes, height, width, _, padded = self.size
        rows = _zeros(scenes * height * width * padded)
        self.crew.map(lambda part: pack(logits, self.size, part[0], part[1], rows), self.parts)
        return rows

    def _sweep(
        self, given: Floats, out: Floats, planar: bool, pulled: bool, soft: bool, last: bool
    ) -> None:
        mode = (planar, pulled, soft, not last, last)
        ways, grid, extra = self._ways()
        slots = self.vertices.shape[1]

        def one(t: int) -> None:
            lattice = (*ways, self.values, self.sums[t], slots)
            sweep(self.parts[t], self.size, mode, given, lattice, grid, extra, out, self.room[t])

        self.crew.map(one, range(len(self.parts)))

    def _ways(self) -> tuple[Any, Any, Any]:
        """Give what a sweep is told of vertices, of cells, and of pixels."""
        ways = [part.reshape(-1) for part in (self.vertices, self.collect, self.hand_on)]
        grid = [self.near_pull, self.near_push, self.cell_values, self.cell_sums]
        flat = (*(part.reshape(-1) for part in grid), len(self.grids))
        return ways, flat, (self.extra, self.own)

    def _rounds(self, given: Floats, iterations: int, planar: bool, out: Floats) -> None:
        """Do all sweeps and blurs in one call."""
        ways, grid, extra = self._ways()
        slots, pixels = self.vertices.shape[1], self.size[0] * self.size[1] * self.size[2]
        lattice = (*ways, self.values, self.sums, slots)
        scenes = self.size[0]
        table = [(base, mesh.size, *mesh.shares(scenes)) for _, mesh, base in self.meshes]
        near = [mesh.neighbours.reshape(-1) for _, mesh, _ in self.meshes]
        axes = len(self.meshes[0][1].neighbours) if self.meshes else 0
        meshes = (
            np.array(table, np.int64).reshape(-1, 2 + 3 * scenes),
            np.concatenate(near) if near else np.empty(0, np.int32),
            self._every([term for term, _, _ in self.meshes]),
            np.array([mesh.spacing.side for _, mesh, _ in self.meshes], np.float64),
            axes,
            self.spare,
        )
        scales = self._every(self.grids)
        grids = (all_taps(self.grids), scales, self.cells, self.cell_values, self.cell_sums)
        weights = [
            np.stack(found) if found else np.empty((0, pixels), np.float32)
            for found in zip(*((term.push, term.pull) for term in self.locals), strict=True)
        ] or [np.empty((0, pixels), np.float32)] * 2
        locals_ = (all_taps(self.locals), self._every(self.locals), *weights)
        room, more = self.room[0], (meshes, grids, locals_)
        rounds(iterations, self.size, given, planar, lattice, grid, extra, out, room, *more)

    def _blur(self) -> None:
        """Blur all that was handed on, labels in parallel."""
        unit = WIDE if len(self.parts) > 1 else self.padded
        blocks = [(c, min(c + unit, self.padded)) for c in range(0, self.padded, unit)]
        tasks: list[Any] = []
        for block in blocks:  # the widest first
            tasks += [partial(self._blur_lattice, *mesh, block) for mesh in self.meshes]
            tasks += [partial(self._blur_grid, *grid, block) for grid in enumerate(self.grids)]
        self.crew.map(lambda task: task(), tasks)
        for term, mesh, base in self.meshes:
            part = slice(base, base + mesh.size)
            self._mix(term, [block[part] for block in self._blocks(self.values)])
        for g, term in enumerate(self.grids):
            self._mix(term, [self.cell_values[g].reshape(-1, self.padded)])
        self.extra[:] = 0
        for term in self.locals:
            found = self.extra if term.mix is None else np.zeros_like(self.extra)
            self.crew.map(partial(self._blur_pixels, term, found), blocks)
            self._mix(term, [found.reshape(-1, self.padded)])
            if term.mix is not None:
                self.extra += found

    def _blur_lattice(self, term: Term, mesh: Mesh, base: int, block: tuple[int, int]) -> None:
        blur_lattice(
            block,
            self.padded,
            base,
            (0, mesh.occupied, mesh.size),
            mesh.neighbours,
            self._scales(term),
            mesh.spacing.side,
            self.sums,
            self.values,
            self.spare,
        )

    def _blur_grid(self, g: int, term: Term, block: tuple[int, int]) -> None:
        assert term.taps is not None
        shape = (self.size[0], *self.cells)
        sums, values = self.cell_sums[g], self.cell_values[g]
        blur_grid(
            block, self.padded, shape, self.edges, *term.taps, self._scales(term), sums, values
        )

    def _blur_pixels(self, term: Term, values: Floats, block: tuple[int, int]) -> None:
        assert term.taps is not None
        scales, own = self._scales(term), self.own
        size = self.size[:3]
        blur_pixels(
            block, self.padded, size, *term.taps, scales, term.push, term.pull, own, values
        )

    def _blocks(self, table: Floats) -> list[Floats]:
        """View what a sweep has of vertices as ``(rows, labels)``, block by block."""
        rows = table.size // self.padded
        cuts = [*range(0, self.padded, WIDE), self.padded]
        return [
            table[rows * c : rows * stop].reshape(rows, stop - c) for c, stop in pairwise(cuts)
        ]

    def _mix(self, term: Term, blocks: list[Floats]) -> None:
        if term.mix is None:
            return
        labels = self.size[3]
        mixed = np.concatenate(blocks, axis=1)[:, :labels] @ term.mix.T
        first = 0
        for block in blocks:
            part = mixed[:, first : first + block.shape[1]]
            block[:, : part.shape[1]] = part
            first += block.shape[1]

    def _every(self, terms: Sequence[Term]) -> Floats:
        """Give the scales of all terms, ``(terms, L padded)``."""
        empty = np.empty((0, self.padded), np.float32)
        return np.stack([self._scales(term) for term in terms]) if terms else empty

    def _scales(self, term: Term) -> Floats:
        scales = np.zeros(self.padded, np.float32)
        scales[: self.size[3]] = term.gain if term.scales is None else term.gain * term.scales
        return scales


def _zeros(*shape: int) -> Floats:
    """Make an array that begins with a line of the cache, so that no `Lanes` straddles two."""
    count = math.prod(shape)
    room = np.zeros(count + 16, np.float32)
    first = -(room.ctypes.data // 4) % 16
    return room[first : first + count].reshape(shape)


def _cell(row: int, height: int, down: int) -> int:
    """Give the first row of cells that belongs to rows of pixels from here on."""
    scene, inside = divmod(row, height)
    return scene * down + (1 + inside // 2 if inside else 0)


def _beside(parts: list[Any], empty: Any) -> Any:
    if len(parts) < 2:
        return parts[0] if parts else empty
    return np.ascontiguousarray(np.concatenate(parts, axis=1))
