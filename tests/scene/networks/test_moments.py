"""Means and deviations over batches."""

import pytest
import torch

from scene.networks.moments import LEAST, Moments


@pytest.mark.parametrize("shape", [(), (3, 4)])
def test_what_was_counted_comes_to_be_standard(shape):
    torch.manual_seed(0)
    moments = Moments(2)
    values = torch.randn(40, 2, *shape) * 0.01 + 4
    assert torch.equal(moments(values), values)
    for some in values.split(8):
        moments.count_rows(some)
    standard = moments(values).transpose(0, 1).flatten(1)
    assert torch.allclose(standard.mean(1), torch.zeros(2), atol=2e-2)
    assert torch.allclose(standard.std(1), torch.ones(2), atol=3e-2)


def test_no_row_changes_nothing_and_what_never_varies_stays_finite():
    moments = Moments(2)
    moments.count_rows(torch.zeros(0, 2))
    assert float(moments.batches) == 0
    moments.count_rows(torch.full((5, 2), 3.0))
    assert moments.deviation.tolist() == pytest.approx([LEAST, LEAST])
    assert moments(torch.full((1, 2), 3.0)).abs().max() == 0
