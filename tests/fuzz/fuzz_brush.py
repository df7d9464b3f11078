"""A brush of Label Studio, written bit by bit as its format says."""

import numpy as np


def brush_of(mask, lengths=(3, 4, 6, 16), literal=0):
    """Encode a mask as Label Studio's brush does: RGBA bytes, in runs of equal or other words.

    Args:
        mask: ``(H, W)`` bool.
        lengths: Bits of the four kinds of run lengths.
        literal: Write so many bytes at a time one by one; 0 = write runs of equal bytes.
    """
    values = np.repeat(mask.reshape(-1), 4).astype(np.uint8) * 255
    bits = f"{values.size:032b}{8 - 1:05b}" + "".join(f"{n - 1:04b}" for n in lengths)
    start = 0
    while start < values.size:
        run = 1
        while start + run < values.size and values[start + run] == values[start]:
            run += 1
        run = min(literal or run, values.size - start, 1 << lengths[-1])
        kind = next(k for k, n in enumerate(lengths) if run - 1 < 1 << n)
        words = values[start : start + run] if literal else values[start : start + 1]
        bits += f"{0 if literal else 1}{kind:02b}{run - 1:0{lengths[kind]}b}"
        bits += "".join(f"{word:08b}" for word in words)
        start += run
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
