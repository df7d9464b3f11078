"""The exponential of eight numbers, and sums and peaks of them, against NumPy's."""

import numpy as np
import pytest

from inference.crf.compiled import compiled
from inference.crf.lanes import WIDTH, exponential, greatest, load, store, total


@compiled
def exponentials(given, out):
    for i in range(0, len(given), WIDTH):
        store(out, i, exponential(load(given, i)))


@compiled
def sum_and_peak(given):
    return total(load(given, 0)), greatest(load(given, 0))


def test_exponentials_are_right_to_seven_digits():
    given = -np.linspace(0, 86, 80_000, dtype=np.float32)
    out = np.empty_like(given)
    exponentials(given, out)
    np.testing.assert_allclose(out, np.exp(given.astype(np.float64)), rtol=4e-7)
    assert out[0] == 1


@pytest.mark.parametrize("least", [-87.0, -1e4, -3e38])
def test_far_below_zero_nothing_is_left(least):
    out = np.empty(WIDTH, np.float32)
    exponentials(np.full(WIDTH, least, np.float32), out)
    assert 0 <= out.min() <= out.max() < 1e-37


def test_sums_and_peaks_are_over_all_eight():
    given = np.random.default_rng(0).permutation(WIDTH).astype(np.float32)
    assert sum_and_peak(given) == (28, 7)
