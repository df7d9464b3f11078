"""Laws of Gaussian sums along a line: exact or coarse, they mean the same."""

import numpy as np
import pytest

from inference.crf.gaussian import coarse_taps, hat, nodes, spacing, taps


def dense(sigma, pixels):
    """Write K down: exp(−x² / 2σ²) between pixels of a line."""
    place = np.arange(pixels)
    return np.exp(-0.5 * ((place[:, None] - place) / sigma) ** 2)


def resampled(sigma, pixels, step):
    """Write Aᵀ G A down, slowly."""
    count, weights, narrow = nodes(pixels, step), hat(step), coarse_taps(sigma, step)
    down = np.zeros((count, pixels))
    for j in range(count):
        first = j if step == 1 else (j - 1) * step - step // 2
        for k, weight in enumerate(weights):
            if 0 <= first + k < pixels:
                down[j, first + k] = weight
    between = np.zeros((count, count))
    radius = len(narrow) // 2
    for j in range(count):
        for i in range(max(0, j - radius), min(count, j + radius + 1)):
            between[j, i] = narrow[i - j + radius]
    return down, between


@pytest.mark.parametrize(
    ("sigma", "step", "error"),
    [(0.25, 1, 1e-4), (2.4, 1, 1e-3), (2.5, 2, 0.02), (3, 2, 0.01), (4, 2, 0.005), (8, 4, 0.011)],
)
def test_the_coarse_line_has_the_kernel_of_the_fine_one(sigma, step, error):
    down, between = resampled(sigma, 150, step)
    result, expected = down.T @ between @ down, dense(sigma, 150)
    assert np.linalg.norm(result - expected) < error * np.linalg.norm(expected)


@pytest.mark.parametrize("pixels", [1, 2, 15, 16, 33, 101])
@pytest.mark.parametrize("sigma", [0.1, 1.0, 3.0, 10.0, 1e6])
def test_the_spacing_chosen_keeps_the_kernel_and_its_mass(pixels, sigma):
    down, between = resampled(sigma, pixels, spacing(sigma, pixels))
    result, expected = down.T @ between @ down, dense(sigma, pixels)
    assert np.linalg.norm(result - expected) < 0.03 * np.linalg.norm(expected)
    np.testing.assert_allclose(result.sum(1), expected.sum(1), rtol=0.03)


@pytest.mark.parametrize("pixels", [16, 17, 18, 19, 50])
@pytest.mark.parametrize("step", [1, 2, 4])
def test_hats_over_every_pixel_sum_to_one(pixels, step):
    down, _ = resampled(step * 2.0, pixels, step)
    np.testing.assert_allclose(down.sum(0), 1.0)
    assert (down[[0, -1]].sum(1) >= 0).all()


def test_the_middle_tap_is_one_for_k_is_not_normalised():
    for sigma in (0.01, 1.0, 7.5):
        result = taps(sigma)
        assert result[len(result) // 2] == 1.0
        np.testing.assert_array_equal(result, result[::-1])
