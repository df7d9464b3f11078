"""Calibration: nothing to complain of where chances are what they are said to be."""

import pytest
import torch
from torchmetrics.functional.classification import (
    binary_calibration_error,
    multiclass_calibration_error,
)

from scene.calibration import BINS, ReliabilityCounter
from scene.labels import VOID


def _random_probs(count, seed=0):
    return torch.rand(count, generator=torch.Generator().manual_seed(seed))


def test_it_is_the_published_error():
    """For classes, the share present; for pixels, of the most probable label; void left out."""
    forecast, true = _random_probs(500), _random_probs(500, 1) < 0.4
    counter = ReliabilityCounter()
    counter.add(forecast[:200], true[:200])
    counter.add(forecast[200:], true[200:])
    expected = binary_calibration_error(forecast, true.long(), n_bins=BINS)
    assert counter.score().error == pytest.approx(100 * float(expected), abs=1e-4)

    draw = torch.Generator().manual_seed(2)
    probs = torch.randn(3, 4, 8, 9, generator=draw).softmax(1)
    mask = torch.randint(4, (3, 8, 9), generator=draw)
    mask[:, 0] = VOID
    counter = ReliabilityCounter()
    counter.add_masks(probs, mask)
    expected = multiclass_calibration_error(
        probs, mask, num_classes=4, n_bins=BINS, ignore_index=VOID
    )
    assert counter.score().error == pytest.approx(100 * float(expected), abs=1e-4)
    assert counter.score().count == 3 * 7 * 9


def test_events_as_frequent_as_predicted_are_calibrated():
    forecast = _random_probs(50_000)
    counter = ReliabilityCounter()
    counter.add(forecast, _random_probs(50_000, 1) < forecast)
    assert counter.score().error < 1
    assert abs(counter.score().overconfidence) < 1


def test_who_is_too_sure_has_an_excess():
    counter = ReliabilityCounter()
    counter.add(torch.full((10,), 0.95), torch.arange(10) < 5)
    result = counter.score()
    assert (result.error, result.overconfidence) == (pytest.approx(45), pytest.approx(45))
    counter = ReliabilityCounter()
    counter.add(torch.full((10,), 0.05), torch.arange(10) < 5)
    assert counter.score().overconfidence == pytest.approx(-45)


def test_certainty_falls_into_the_last_bin():
    counter = ReliabilityCounter()
    counter.add(torch.tensor([0.0, 1.0]), torch.tensor([False, True]))
    result = counter.score()
    assert (result.counts[0], result.counts[-1], result.error) == (1, 1, 0)


def test_of_nothing_nothing_is_known():
    result = ReliabilityCounter().score()
    assert result.error != result.error
    assert result.to_json()["error"] is None
