"""Run lengths of binary masks: COCO's, compressed or not, CVAT's, and Label Studio's bits."""

from __future__ import annotations

import numpy as np

_OFFSET, _MORE, _SIGN = (
    48,
    0x20,
    0x10,
)  # of COCO's characters: 5 bits each, and a flag that more follow


def runs_of(mask: np.ndarray) -> np.ndarray:
    """Return the run lengths of a flat mask, those of False first.

    >>> runs_of(np.array([True, True, False])).tolist(), runs_of(np.array([False])).tolist()
    ([0, 2, 1], [1])
    """
    flat = mask.reshape(-1).astype(bool)
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]]))
    return np.concatenate([[0], counts]) if flat.size and flat[0] else counts


def filled_runs(counts: np.ndarray, pixels: int) -> np.ndarray:
    """Return the flat mask of run lengths, those of False first.

    Args:
        counts: Run lengths.
        pixels: The number of pixels that they must cover.

    Raises:
        ValueError: If they are negative, or cover another number.
    """
    whole = np.asarray(counts, dtype=np.int64)
    if whole.size and not 0 <= whole.min() <= whole.max() <= pixels:
        raise ValueError("its run lengths are out of range")
    if (covered := int(whole.sum())) != pixels:
        raise ValueError(f"its run lengths cover {covered} pixels, not {pixels}")
    return np.repeat(np.arange(whole.size) % 2 == 1, whole)


def compress(counts: np.ndarray) -> str:
    """Return COCO's compressed text of run lengths.

    Each number, less the one two before it from the fourth on, is written in groups of five bits,
    the lowest first, as characters from ``0`` on.

    Source:
        pycocotools, ``rleToString``, https://github.com/cocodataset/cocoapi

    >>> compress(np.array([4, 3, 2]))
    '432'
    """
    letters = bytearray()
    for i, count in enumerate(counts.tolist()):
        rest = count - (int(counts[i - 2]) if i > 2 else 0)
        while True:
            bits, rest = rest & 0x1F, rest >> 5
            more = rest != (-1 if bits & _SIGN else 0)
            letters.append(_OFFSET + bits + (_MORE if more else 0))
            if not more:
                break
    return letters.decode()


def decompress(text: str) -> np.ndarray:
    """Return the run lengths of COCO's compressed text, see `compress`.

    Raises:
        ValueError: If it holds other characters, ends within a number, or a number is too large.

    >>> decompress(compress(np.array([0, 1000, 3, 7, 0]))).tolist()
    [0, 1000, 3, 7, 0]
    """
    codes = np.frombuffer(text.encode("utf-8", "replace"), dtype=np.uint8).astype(np.int64)
    codes -= _OFFSET
    if not codes.size:
        return codes
    if codes.min() < 0 or codes.max() >= 2 * _MORE or codes[-1] & _MORE:
        raise ValueError("its compressed run lengths are damaged")
    ends = np.flatnonzero(codes & _MORE == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 8:  # 40 bits
        raise ValueError("its compressed run lengths are damaged")
    place = np.arange(codes.size) - np.repeat(starts, lengths)
    values = np.add.reduceat((codes & 0x1F) << (5 * place), starts)
    values -= np.where(codes[ends] & _SIGN, np.int64(1) << (5 * lengths), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def label_studio_alpha(data: bytes, pixels: int) -> np.ndarray:
    """Return which pixels a brush of Label Studio has painted: those that are not transparent.

    The bits are: 32 of the number of bytes, which is four per pixel (RGBA); 5 of the length of a
    word less 1; four times 4 of the lengths of run lengths less 1. Then, until all bytes are
    there: 1 bit, whether a word is repeated; 2 bits that choose one of the four lengths; the run
    length less 1; and one word, or as many as the run is long.

    Source:
        Label Studio's converter, ``brush.decode_rle``; @thi.ng/rle-pack.

    Args:
        data: The bytes of ``rle``.
        pixels: Number of pixels of the photograph.

    Returns:
        ``(pixels,)`` bool, row after row.

    Raises:
        ValueError: If they are damaged, or of another number of pixels.
    """
    bits = _Bits(data)
    count, word = bits.read(32), bits.read(5) + 1
    lengths = [bits.read(4) + 1 for _ in range(4)]
    if count != 4 * pixels:
        raise ValueError(f"its brush is of {count // 4} pixels, not {pixels}")
    if word > 8:
        raise ValueError("its brush has words of more than 8 bits")
    values, start = np.zeros(count, dtype=np.uint8), 0
    while start < count:
        repeated, choice = bits.read(1), bits.read(2)
        end = start + 1 + bits.read(lengths[choice])
        if end > count:
            raise ValueError("its brush is damaged")
        values[start:end] = bits.read(word) if repeated else bits.words(end - start, word)
        start = end
    return values[3::4] > 0


class _Bits:
    """A reader of bits, the highest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def read(self, count: int) -> int:
        """Return the number in the next bits."""
        start, end = self.place, self.place + count
        if end > 8 * len(self.data):
            raise ValueError("its brush ends too early")
        self.place = end
        last = -(-end // 8)
        number = int.from_bytes(self.data[start // 8 : last])
        return number >> (8 * last - end) & ((1 << count) - 1)

    def words(self, number: int, count: int) -> np.ndarray:
        """Return the numbers in the next bits, each of ``count`` bits, at most 8."""
        start, end = self.place, self.place + number * count
        if end > 8 * len(self.data):
            raise ValueError("its brush ends too early")
        self.place = end
        part = np.frombuffer(self.data[start // 8 : -(-end // 8)], dtype=np.uint8)
        bits = np.unpackbits(part)[start % 8 :][: number * count].reshape(number, count)
        return np.asarray(bits @ (1 << np.arange(count - 1, -1, -1)), dtype=np.uint8)
