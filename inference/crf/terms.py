"""The kernels of a job of the fused engine, as arrays: lattices, convolutions, what labels add."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .compiled import Floats
from .permutohedral import Mesh


@dataclass(eq=False)
class Term:
    """One kernel of a job, as arrays over its P pixels.

    Attributes:
        push: ``(P, S)`` by vertex if there is a mesh, else ``(P,)``: weights to hand on by.
        pull: Likewise: weights to collect by.
        mesh: The lattice, if it is one.
        taps: Else the convolution: its kernel downwards and to the right, from the centre.
        halved: Whether it is done at half the resolution.
        gain: By what all sums are multiplied.
        scales: ``(L,)``: and each label's.
        mix: ``(L, L)``: what labels then add to others (rows), if not themselves alone.
    """

    push: Floats
    pull: Floats
    mesh: Mesh | None = None
    taps: tuple[Floats, Floats] | None = None
    halved: bool = False
    gain: float = 1.0
    scales: Floats | None = None
    mix: Floats | None = None


def all_taps(terms: Sequence[Term]) -> Floats:
    """Give the taps of all terms down and right, ``(terms, 2, R)``, filled up with zeros."""
    lines = [line for term in terms for line in term.taps or ()]
    found = np.zeros((len(lines), max(map(len, lines), default=1)), np.float32)
    for line, into in zip(lines, found, strict=True):
        into[: len(line)] = line
    return found.reshape(-1, 2, found.shape[1])
