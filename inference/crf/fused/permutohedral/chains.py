"""Chains of vertices along each axis of a lattice: the order in which a blur runs in place.

Along an axis most vertices of a sparse lattice have no neighbour or one. A blur of [s, 1, s] that
runs from a chain's first vertex to its last needs each value once and can overwrite it; a vertex
without neighbours is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..cpu.jit import Float32s, Int32s, Int64s, jit


class Chains(NamedTuple):
    """All chains of a lattice, scene by scene and within a scene axis by axis.

    Attributes:
        order: ``(n + 1,)`` int32: the vertices of all chains, one chain after another; and 0.
        links: ``(n + 1,)`` float32: 1 where a vertex follows on the one before it in its chain, 0
            where it is the first; and 0.
        offsets: ``(scenes (D + 1) + 1,)``: where the chains of each scene's axes begin.
    """

    order: Int32s
    links: Float32s
    offsets: Int64s


@jit
def find_chains(neighbours: Int32s, bounds: Int64s) -> Chains:
    """Follow the neighbours of vertices that have one ahead, but none behind.

    Args:
        neighbours: ``(D + 1, 2, M)``, ahead and behind along each axis; M if there is none.
        bounds: ``(scenes + 1,)``: the first vertex of each scene, and M.
    """
    axes, size, scenes = len(neighbours), neighbours.shape[2], len(bounds) - 1
    order = np.empty(axes * size + 1, np.int32)
    links = np.empty(axes * size + 1, np.float32)
    offsets, firsts = np.empty(scenes * axes + 1, np.int64), np.empty(size + 1, np.int32)
    n = 0
    for scene in range(scenes):
        for axis in range(axes):
            offsets[scene * axes + axis] = n
            ahead, behind = neighbours[axis, 0], neighbours[axis, 1]
            count = 0
            for w in range(bounds[scene], bounds[scene + 1]):  # without a branch
                firsts[count] = w
                count += (behind[w] == size) & (ahead[w] < size)
            for i in range(count):
                v: Any = np.int64(firsts[i])
                links[n] = 0
                while v < size:
                    order[n] = v
                    links[n + 1] = 1
                    n += 1
                    v = np.int64(ahead[v])
    offsets[scenes * axes] = n
    order[n], links[n] = 0, 0
    return Chains(order[: n + 1], links[: n + 1], offsets)


def join_chains(parts: Sequence[Chains]) -> Chains:
    """Put the chains of several lattices one after another; vertices keep their numbers."""
    if len(parts) == 1:
        return parts[0]
    orders, links, offsets = [], [], [np.zeros(1, np.int64)]
    start = 0
    for chains in parts:
        orders.append(chains.order[:-1])
        links.append(chains.links[:-1])
        offsets.append(chains.offsets[1:] + start)
        start += int(chains.offsets[-1])
    orders.append(np.zeros(1, np.int32))
    links.append(np.zeros(1, np.float32))
    return Chains(np.concatenate(orders), np.concatenate(links), np.concatenate(offsets))
