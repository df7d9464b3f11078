"""Powers of two of eight numbers, and sums and peaks of them, against NumPy's."""

import numpy as np
import pytest

from inference.crf.fused.cpu.jit import jit
from inference.crf.fused.cpu.simd import WIDE, WIDTH, load, load_wide, store
from inference.crf.fused.cpu.simd_math import (
    add_halves,
    exp2,
    max_halves,
    row_maxima,
    row_sums,
    transpose8,
)


@jit
def exponentials(given, out):
    for i in range(0, len(given), WIDTH):
        store(out, i, exp2(load(given, i)))


@jit
def wide_exponentials(given, out):
    for i in range(0, len(given), WIDE):
        store(out, i, exp2(load_wide(given, i)))


@jit
def sums_and_peaks(given, out):
    store(out, 0, row_sums(given, 0))
    store(out, WIDTH, row_maxima(given, 0))


@jit
def halves(given, out):
    store(out, 0, add_halves(load_wide(given, 0)))
    store(out, WIDTH, max_halves(load_wide(given, 0)))


@jit
def turned(given, stride, out, pitch):
    transpose8(given, 1, stride, out, 2, pitch)


def test_exponentials_are_right_to_seven_digits():
    inputs = -np.linspace(0, 125, 80_000, dtype=np.float32)
    out = np.empty_like(inputs)
    exponentials(inputs, out)
    np.testing.assert_allclose(out, np.exp2(inputs.astype(np.float64)), rtol=3e-7)
    assert out[0] == 1


@pytest.mark.parametrize("least", [-126.0, -1e4, -3e38])
def test_far_below_zero_nothing_is_left(least):
    out = np.empty(WIDTH, np.float32)
    exponentials(np.full(WIDTH, least, np.float32), out)
    assert 0 <= out.min() <= out.max() < 1e-37


def test_sixteen_are_as_eight():
    inputs = -np.geomspace(1e-3, 1e3, 160, dtype=np.float32)
    one, other = np.empty_like(inputs), np.empty_like(inputs)
    exponentials(inputs, one)
    wide_exponentials(inputs, other)
    np.testing.assert_array_equal(one, other)


def test_sums_and_peaks_of_eight_rows():
    inputs = np.random.default_rng(0).permutation(WIDTH**2).astype(np.float32)
    out = np.empty(2 * WIDTH, np.float32)
    sums_and_peaks(inputs, out)
    np.testing.assert_array_equal(out[:WIDTH], inputs.reshape(WIDTH, WIDTH).sum(1))
    np.testing.assert_array_equal(out[WIDTH:], inputs.reshape(WIDTH, WIDTH).max(1))


def test_halves_of_lanes():
    inputs = np.random.default_rng(0).permutation(WIDE).astype(np.float32)
    out = np.empty(2 * WIDTH, np.float32)
    halves(inputs, out)
    np.testing.assert_array_equal(out[:WIDTH], inputs[:WIDTH] + inputs[WIDTH:])
    np.testing.assert_array_equal(out[WIDTH:], np.maximum(inputs[:WIDTH], inputs[WIDTH:]))


def test_turned_rows_are_columns_and_nothing_else_is_touched():
    inputs = np.random.default_rng(0).normal(size=120).astype(np.float32)
    out = np.full(120, 7, np.float32)
    turned(inputs, 11, out, 13)
    rows, right = inputs[1:89].reshape(8, 11)[:, :8], np.full(120, 7, np.float32)
    right[2:106].reshape(8, 13)[:, :8] = rows.T
    np.testing.assert_array_equal(out, right)
