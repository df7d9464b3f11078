"""Hash tables of the keys of lattice vertices: numbering vertices, and finding neighbours.

A table is a flat int64 array of slots: a key and its number by turns, the number −1 where a slot
is empty; collisions go to the next slot. In torch, sorted keys do the same work
(`inference.crf.lattice.permutohedral`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..cpu.jit import Int32s, Int64s, jit
from ..cpu.simd import get, pointer, put


@jit
def empty_table(capacity: int) -> Int64s:
    """Return a table of ``capacity`` empty slots, a power of two."""
    table = np.empty(2 * capacity, np.int64)
    for i in range(2 * capacity):
        table[i] = -1
    return table


@jit
def find(table: Int64s, key: Any) -> Any:
    """Return the index of a key in a table, or of the empty slot where it would go."""
    return find_slot(table, len(table) // 2 - 1, key)


@jit
def find_slot(table: Any, mask: int, key: Any) -> Any:
    """Return the index of a key in a table of ``mask + 1`` slots, or of its empty slot."""
    slot = _hash(key) & mask
    while get(table, 2 * slot + 1) >= 0 and get(table, 2 * slot) != key:
        slot = (slot + 1) & mask
    return 2 * slot


@jit
def grown(array: Any) -> Any:
    """Copy an array into one of twice its length."""
    more = np.empty(2 * len(array), array.dtype)
    for i in range(len(array)):
        more[i] = array[i]
    return more


@jit
def table_of(keys: Int64s, used: int, capacity: int) -> Int64s:
    """Return a table in which the first ``used`` keys have their indices as numbers."""
    table = empty_table(capacity)
    for i in range(used):
        slot = find(table, keys[i])
        table[slot], table[slot + 1] = keys[i], i
    return table


@jit
def full_table(keys: Int64s) -> Int64s:
    """Return a table of all keys, a quarter to half of whose slots are empty at least."""
    capacity: Any = np.int64(4096)
    while capacity < 4 * len(keys):
        capacity *= 2
    return table_of(keys, len(keys), capacity)


@jit
def join(keys: Int64s, more: Int64s) -> tuple[Int64s, Int32s]:
    """Add keys to others, each once.

    Returns:
        All keys, those of ``keys`` first; and the number that each of ``more`` has among them.
    """
    capacity: Any = np.int64(4096)
    while capacity < 2 * (len(keys) + len(more)):
        capacity *= 2
    used = len(keys)
    every = np.empty(used + len(more), np.int64)
    for i in range(used):
        every[i] = keys[i]
    table = table_of(every, used, capacity)
    numbers = np.empty(len(more), np.int32)
    for i in range(len(more)):
        slot = find(table, more[i])
        if table[slot + 1] < 0:
            table[slot], table[slot + 1], every[used] = more[i], used, more[i]
            used += 1
        numbers[i] = table[slot + 1]
    return every[:used], numbers


@jit
def find_neighbours(
    keys: Int64s,
    table: Int64s,
    bits: Int64s,
    moves: Int64s,
    first: int,
    last: int,
    neighbours: Int32s,
) -> None:
    """Find the neighbours of each vertex along some axes, ahead and behind.

    Most have none: those whose bit is not set (`bloom_filter`) are not looked up.

    Args:
        keys: ``(M,)``.
        table: Of all keys.
        bits: The Bloom filter of all keys.
        moves: ``(D + 1,)``: what a step along each axis adds to a key.
        first: The first axis.
        last: The axis after the last.
        neighbours: ``(D + 1, 2, M)``, set for these axes; M where there is none.
    """
    size, mask = len(keys), len(table) // 2 - 1
    some, last_bit = np.empty(size, np.int32), 64 * len(bits) - 1
    here, seen, maybe = pointer(keys, 0), pointer(bits, 0), pointer(some, 0)
    for axis in range(first, last):
        ahead, behind = pointer(neighbours[axis, 0], 0), pointer(neighbours[axis, 1], 0)
        move, count = moves[axis], 0
        for v in range(size):
            put(ahead, v, np.int32(size))
            put(behind, v, np.int32(size))
            bit = _hash(get(here, v) + move) & last_bit
            put(maybe, count, np.int32(v))
            count += (get(seen, bit >> 6) >> (bit & 63)) & 1
        for i in range(count):
            v = get(maybe, i)
            w = get(table, find_slot(table, mask, get(here, v) + move) + 1)
            if w >= 0:
                put(ahead, v, np.int32(w))
                put(behind, w, v)


@jit
def bloom_filter(keys: Int64s) -> Int64s:
    """Return a Bloom filter with one hash function, of four to eight bits a key."""
    count = 64
    while 64 * count < 4 * len(keys):
        count *= 2
    bits = np.empty(count, np.int64)
    for i in range(count):
        bits[i] = 0
    for key in keys:
        bit = _hash(key) & (64 * count - 1)
        bits[bit >> 6] |= np.int64(1) << (bit & 63)
    return bits


@jit
def _hash(key: Any) -> Any:
    mixed = key * np.int64(-7046029254386353131)
    return mixed ^ (mixed >> 32)


@jit
def missing_vertices(keys: Int64s, moves: Int64s, neighbours: Int32s) -> Int64s:
    """Return the keys of vertices that are missing, but have two or more neighbours.

    Args:
        keys: ``(M,)``, of the vertices that there are.
        moves: ``(D + 1,)``: what a step along each axis adds to a key.
        neighbours: ``(D + 1, 2, M)``; M where there is none.
    """
    size = len(keys)
    absent = 0
    for a in range(len(moves)):
        for way in range(2):
            for v in range(size):
                absent += neighbours[a, way, v] == size
    capacity: Any = np.int64(4096)
    while capacity < 2 * absent:
        capacity *= 2
    table, more = empty_table(capacity), np.empty(absent, np.int64)
    kept = 0
    for a in range(len(moves)):
        for way in range(2):
            move = moves[a] if way == 0 else -moves[a]
            for v in range(size):
                if neighbours[a, way, v] == size:
                    key = keys[v] + move
                    slot = find(table, key)
                    if table[slot + 1] == 0:
                        more[kept] = key
                        kept += 1
                    table[slot] = key
                    table[slot + 1] += 1
    return more[:kept]
