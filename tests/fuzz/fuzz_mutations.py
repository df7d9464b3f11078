"""Mutations: whole files made a little wrong, or a lot, by a seed alone."""

import io
import json
import random
import re
import struct
import warnings
import zipfile
import zlib
from copy import deepcopy

NUMBERS = [
    "0", "-1", "1", "255", "256", "65536", "-9223372036854775809", "99999999999999999999", "1e30",
    "1e-320", "1e999", "NaN", "Infinity", "0.5", "٣", "1_0", "0x10", "", "true", "9" * 5000,
]  # fmt: skip
VALUES = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**40, 1e30, -1e-300, float("nan"), float("inf"),
    "", "x", "x" * 9999, "\ud800", "../..", "\x00", [], {}, [[]], [None], {"a": 1}, [1, [2, [3]]],
    "1", "this:s", [True, 1.5, "a"],
]  # fmt: skip
WORDS = [
    "", "#", ":", "::", "a:1,2,3::", "a:1,2,3::", "background:0,0,0::", "x:999,0,0", "/etc/passwd",
    "../../a", "-", "~", "~nobody/a", "*", "[", "**/*", "a\x00b", "\ufeff", "猫", "\u202e", "%s",
    " 1", "photo_00 2", '"', "'", "\\", "photo_00\tx", "a" * 5000, "{}", "list.txt", ".", "..",
]  # fmt: skip


def mutated(data: bytes, kind: str, draw: random.Random) -> bytes:
    """Give a file's bytes made wrong.

    Args:
        data: Of a file that can be used.
        kind: Its suffix, by which its insides are known.
        draw: By which the mutation is chosen.
    """
    inside = {"png": _png, "json": _json, "txt": _lines, "csv": _lines, "tsv": _lines,
              "npy": _header, "npz": _archive, "safetensors": _tensors}.get(kind)  # fmt: skip
    if inside is not None and draw.random() < 0.6:
        return inside(data, draw)
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        data = draw.choice(_BYTES)(data, draw)
    return data


def _flip(data, draw):
    held = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 8, 32])):
        if held:
            held[draw.randrange(len(held))] ^= 1 << draw.randrange(8)
    return bytes(held)


def _overwrite(data, draw):
    place, size = _span(data, draw)
    filling = draw.choice([bytes(size), b"\xff" * size, draw.randbytes(size), b"\x7f" * size])
    return data[:place] + filling + data[place + size :]


def _number(data, draw):
    code = draw.choice("BHIQ")
    value = draw.choice([0, 1, 2**7, 2**15 - 1, 2**31 - 1, 2**32 - 1, 2**63]) % 2 ** (
        8 * struct.calcsize(code)
    )
    piece = struct.pack(draw.choice("<>") + code, value)
    place = draw.randrange(len(data) + 1)
    return data[:place] + piece + data[place + len(piece) :]


def _remove(data, draw):
    place, size = _span(data, draw)
    return data[:place] + data[place + size :]


def _repeat(data, draw):
    place, size = _span(data, draw)
    return data[:place] + data[place : place + size] * draw.choice([2, 3, 50]) + data[place:]


def _cut(data, draw):
    return data[: draw.randrange(len(data) + 1)]


def _insert(data, draw):
    place = draw.randrange(len(data) + 1)
    return data[:place] + draw.randbytes(draw.choice([1, 4, 100])) + data[place:]


def _other(data, draw):
    return draw.choice([
        b"", b"\x00", b"[" * 100_000, b"\xff\xfe", b"{}", b"[]", b"null", b"\x89PNG\r\n\x1a\n",
        b"PK",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"\x93NUMPY\x01\x00", b"\n" * 9999,
        data + data, draw.randbytes(500), b"GIF89a\xff\xff\xff\xff", b"BM" + b"\xff" * 60,
    ])  # fmt: skip


_BYTES = [_flip, _flip, _overwrite, _number, _number, _remove, _repeat, _cut, _insert, _other]


def _span(data, draw):
    place = draw.randrange(len(data) + 1)
    return place, min(draw.choice([1, 2, 4, 16, 200]), len(data) - place)


def _png(data, draw):
    """Change a chunk and sign it again, so that a reader believes it."""
    chunks, place = [], 8
    while place + 12 <= len(data):
        size = int.from_bytes(data[place : place + 4])
        chunks.append([data[place + 4 : place + 8], data[place + 8 : place + 8 + size]])
        place += size + 12
    for _ in range(draw.choice([1, 2])):
        chosen = draw.choice(chunks)
        if chosen[0] == b"IDAT" and draw.random() < 0.7:
            chosen[1] = zlib.compress(draw.choice(_BYTES)(_inflated(chosen[1]), draw))
        else:
            chosen[1] = draw.choice(_BYTES)(chosen[1], draw)[: 2**16]
    if draw.random() < 0.2:
        draw.shuffle(chunks)
    signed = [
        len(body).to_bytes(4) + name + body + zlib.crc32(name + body).to_bytes(4)
        for name, body in chunks
    ]
    return data[:8] + b"".join(signed)


def _inflated(data):
    try:
        return zlib.decompress(data)
    except zlib.error:
        return data


def _json(data, draw):
    """Change values, names and numbers."""
    if draw.random() < 0.4:
        return _lines(data, draw)
    held = json.loads(data)
    for _ in range(draw.choice([1, 1, 2])):
        parent, key = None, None
        here = held
        while isinstance(here, dict | list) and here and (parent is None or draw.random() < 0.8):
            parent = here
            key = draw.choice(list(here)) if isinstance(here, dict) else draw.randrange(len(here))
            here = here[key]
        if parent is None:
            return json.dumps(draw.choice(VALUES)).encode()
        if isinstance(parent, dict) and draw.random() < 0.15:
            parent[draw.choice(["", "zeal", "code", key + "_"])] = parent.pop(key)
        else:
            parent[key] = deepcopy(draw.choice(VALUES))  # which a later change may alter
    return json.dumps(held).encode()


def _lines(data, draw):
    """Change lines and the numbers in them."""
    text = data.decode("utf-8", "replace")
    for _ in range(draw.choice([1, 1, 2, 5])):
        numbers = list(re.finditer(r"-?\d+(\.\d+)?", text))
        lines = text.split("\n")
        choice = draw.randrange(5)
        if choice == 0 and numbers:
            one = draw.choice(numbers)
            text = text[: one.start()] + draw.choice(NUMBERS) + text[one.end() :]
            continue
        place = draw.randrange(len(lines))
        if choice == 1:
            lines.insert(place, draw.choice(WORDS))
        elif choice == 2:
            lines[place] = draw.choice(WORDS)
        elif choice == 3:
            lines[place] = lines[place] * 2 + draw.choice(WORDS)
        else:
            lines.insert(place, draw.choice(lines))
        text = draw.choice(["\n", "\n", "\n", "\r\n", "\r"]).join(lines)
    return text.encode(draw.choice(["utf-8"] * 8 + ["utf-16", "utf-8-sig"]), "replace")


def _header(data, draw):
    """Change what an array says of itself, at its own length."""
    size = int.from_bytes(data[8:10], "little")
    text = data[10 : 10 + size].decode("latin-1").rstrip()
    changes = [
        ("(3, ", "(True, "), ("(3, ", "(-3, "), ("(3, ", "(99999999999, "), ("(3, ", "(3.0, "),
        (", )", ""), ("}", ""), ("'", '"'), ("<f4", "|O"), ("<f4", "<U9"), ("<f4", ">f8"),
        ("<f4", "<f2"), ("<f4", "|b1"), ("<f4", "|V4"), ("<f4", "<M8[ns]"), ("False", "True"),
        ("False", "None"), ("{", "("), ("shape", "shap"), ("(3, ", "((3), "), ("{", "{" * 50),
        ("<f4", "[('a', '<f4')]"), ("(3, ", "(0, "), ("(3, ", "(3, 1, "), ("(3, ", "(10**9, "),
    ]  # fmt: skip
    text = text.replace(*draw.choice(changes))
    body = text.encode("latin-1", "replace").ljust(size - 1)[: max(size - 1, 0)] + b"\n"
    return data[:8] + size.to_bytes(2, "little") + body + data[10 + size :]


def _archive(data, draw):
    """Change an array inside, and pack it again."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as held:
        arrays = {name: held.read(name) for name in held.namelist()}
    with (
        zipfile.ZipFile(buffer, "w", draw.choice([0, 8, 12, 14])) as archive,
        warnings.catch_warnings(action="ignore"),  # of two members of one name
    ):
        for name, array in arrays.items():
            member = draw.choice([name, name, name, "other.npy", "../../x.npy", "猫", "probs"])
            archive.writestr(member, mutated(array, "npy", draw))
    return buffer.getvalue()


def _tensors(data, draw):
    """Change the header of a safetensors file, at its own length or a new one."""
    size = int.from_bytes(data[:8], "little")
    header = _json(data[8 : 8 + size], draw) if draw.random() < 0.7 else data[8 : 8 + size]
    size = draw.choice([len(header)] * 9 + [size])
    return size.to_bytes(8, "little") + header + data[8 + size :]
