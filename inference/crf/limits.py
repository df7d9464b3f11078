"""Limits of a dense CRF: beyond them a number is a slip, and the work would never end."""

WIDEST = 1e6
"""The largest width of a kernel, in pixels or units of colour: by then it is flat."""

HEAVIEST = 1e6
"""The largest weight, and the largest entry of a label compatibility."""

MOST_ITERATIONS = 10_000
"""The most iterations of mean field, which converges in tens."""

MOST_VALUES = 2**29
"""The most probabilities, labels × pixels, that files are refined with: 2 GiB, several times."""
