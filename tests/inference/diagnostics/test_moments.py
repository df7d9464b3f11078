"""Moments of a stream are those of all its vectors side by side, and unbiased."""

import pytest
import torch

from inference.diagnostics.gradient_noise import Moments


def _filled(draws):
    moments = Moments()
    for draw in draws:
        moments.add(draw)
    return moments


def test_a_stream_has_the_mean_and_variance_of_its_vectors():
    x = torch.randn(9, 4, generator=torch.Generator().manual_seed(0)).double() + 1e4
    moments = _filled([{"a": row} for row in x])
    torch.testing.assert_close(moments.mean("a"), x.mean(0))
    assert moments.variance("a") == pytest.approx(float(x.var(0).sum()), rel=1e-6)


def test_equal_vectors_have_no_variance_at_all():
    x = torch.randn(5, generator=torch.Generator().manual_seed(0))
    moments = _filled([{"a": x}] * 7)
    assert moments.variance("a") == 0
    assert moments.inner("a", "a") == pytest.approx(float(x.double().square().sum()))


def test_an_inner_product_is_the_mean_over_pairs_of_unlike_draws():
    """Whether kinds come together or not, no draw is multiplied by itself."""
    source = torch.Generator().manual_seed(0)
    x, y = (torch.randn(6, 3, generator=source).double() for _ in range(2))
    moments = _filled(
        [
            {"x": a} if i % 3 == 0 else {"x": a, "y": b}
            for i, (a, b) in enumerate(zip(x, y, strict=True))
        ]
    )
    kept = [i for i in range(6) if i % 3]
    across = [float(x[i] @ y[j]) for i in range(6) for j in kept if i != j]
    assert moments.inner("x", "y") == pytest.approx(sum(across) / len(across))
    assert moments.inner("y", "x") == moments.inner("x", "y")
    own = [float(x[i] @ x[j]) for i in range(6) for j in range(6) if i != j]
    assert moments.inner("x", "x") == pytest.approx(sum(own) / len(own))


def test_what_cannot_be_known_is_no_number():
    moments = _filled([{"x": torch.ones(2), "y": torch.ones(2)}])
    assert moments.variance("x") != moments.variance("x")
    assert moments.inner("x", "y") != moments.inner("x", "y")
