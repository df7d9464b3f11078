"""Hash tables of the keys of lattice vertices: numbering them, and finding neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import Ints, Keys, compiled
from .lanes import item, pointer, put


@compiled
def fresh(capacity: int) -> Keys:
    """Lay out an empty hash table: a key and its number, −1 for none, by turns."""
    table = np.empty(2 * capacity, np.int64)
    for i in range(2 * capacity):
        table[i] = -1
    return table


@compiled
def find(table: Keys, key: Any) -> Any:
    """Give the place of a key in a table, or the empty one where it would go."""
    return seek(table, len(table) // 2 - 1, key)


@compiled
def seek(table: Any, mask: int, key: Any) -> Any:
    """Do so in a table of ``mask + 1`` places."""
    slot = _mixed(key) & mask
    while item(table, 2 * slot + 1) >= 0 and item(table, 2 * slot) != key:
        slot = (slot + 1) & mask
    return 2 * slot


@compiled
def longer(keys: Any) -> Any:
    """Make room for as many numbers again."""
    more = np.empty(2 * len(keys), keys.dtype)
    for i in range(len(keys)):
        more[i] = keys[i]
    return more


@compiled
def tabled(keys: Keys, used: int, capacity: int) -> Keys:
    """Number the first keys."""
    table = fresh(capacity)
    for i in range(used):
        slot = find(table, keys[i])
        table[slot], table[slot + 1] = keys[i], i
    return table


@compiled
def numbered(keys: Keys) -> Keys:
    """Number all keys, with room for as many again."""
    capacity: Any = np.int64(4096)
    while capacity < 4 * len(keys):
        capacity *= 2
    return tabled(keys, len(keys), capacity)


@compiled
def join(keys: Keys, more: Keys) -> tuple[Keys, Ints]:
    """Add keys to others; say what number each has among all."""
    capacity: Any = np.int64(4096)
    while capacity < 2 * (len(keys) + len(more)):
        capacity *= 2
    used = len(keys)
    every = np.empty(used + len(more), np.int64)
    for i in range(used):
        every[i] = keys[i]
    table = tabled(every, used, capacity)
    renamed = np.empty(len(more), np.int32)
    for i in range(len(more)):
        slot = find(table, more[i])
        if table[slot + 1] < 0:
            table[slot], table[slot + 1], every[used] = more[i], used, more[i]
            used += 1
        renamed[i] = table[slot + 1]
    return every[:used], renamed


@compiled
def link(
    keys: Keys, table: Keys, marks: Keys, moves: Keys, first: int, last: int, found: Ints
) -> None:
    """Find the neighbours of each vertex along some axes, both ways.

    Most have none: those whose bit is not among the `marks` of all keys are not looked up.
    """
    size, mask = len(keys), len(table) // 2 - 1
    some, bits = np.empty(size, np.int32), 64 * len(marks) - 1
    here, seen, maybe = pointer(keys, 0), pointer(marks, 0), pointer(some, 0)
    for axis in range(first, last):
        ahead, behind = pointer(found[axis, 0], 0), pointer(found[axis, 1], 0)
        move, count = moves[axis], 0
        for v in range(size):
            put(ahead, v, np.int32(size))
            put(behind, v, np.int32(size))
            bit = _mixed(item(here, v) + move) & bits
            put(maybe, count, np.int32(v))
            count += (item(seen, bit >> 6) >> (bit & 63)) & 1
        for i in range(count):
            v = item(maybe, i)
            w = item(table, seek(table, mask, item(here, v) + move) + 1)
            if w >= 0:
                put(ahead, v, np.int32(w))
                put(behind, w, v)


@compiled
def marked(keys: Keys) -> Keys:
    """Set a bit for each key, of four to eight times as many."""
    count = 64
    while 64 * count < 4 * len(keys):
        count *= 2
    marks = np.empty(count, np.int64)
    for i in range(count):
        marks[i] = 0
    for key in keys:
        bit = _mixed(key) & (64 * count - 1)
        marks[bit >> 6] |= np.int64(1) << (bit & 63)
    return marks


@compiled
def _mixed(key: Any) -> Any:
    mixed = key * np.int64(-7046029254386353131)
    return mixed ^ (mixed >> 32)


@compiled
def around(keys: Keys, moves: Keys, neighbours: Ints) -> Keys:
    """Find vertices that are missing, but have at least two neighbours that are not."""
    size = len(keys)
    absent = 0
    for a in range(len(moves)):
        for way in range(2):
            for v in range(size):
                absent += neighbours[a, way, v] == size
    capacity: Any = np.int64(4096)
    while capacity < 2 * absent:
        capacity *= 2
    table, more = fresh(capacity), np.empty(absent, np.int64)
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
