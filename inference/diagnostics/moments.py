"""Moments of long vectors that arrive one by one: only their means are kept."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class Moments:
    """Means, total variances and inner products of vectors of several kinds, as a stream.

    A draw brings one vector of each kind, or of some; memory holds one mean a kind. Estimates
    are unbiased: the noise that is left in a mean does not count as length.

    Source:
        Welford (1962), Note on a Method for Calculating Corrected Sums of Squares and Products.

    >>> moments = Moments()
    >>> for x in (1.0, 3.0):
    ...     moments.add({"a": torch.tensor([x, 5.0])})
    >>> moments.mean("a").tolist(), moments.variance("a")
    ([2.0, 5.0], 2.0)
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._means: dict[str, Tensor] = {}
        self._scatter: dict[str, float] = {}
        self._products: dict[tuple[str, str], float] = {}
        self._shared: dict[tuple[str, str], int] = {}

    def add(self, found: Mapping[str, Tensor]) -> None:
        """Take in one draw: for each kind in it a vector ``(P,)``."""
        vectors = {name: vector.detach().cpu().double() for name, vector in found.items()}
        for name, x in vectors.items():
            self._add(name, x)
            for other, y in vectors.items():
                if other < name:
                    pair = (other, name)
                    self._products[pair] = self._products.get(pair, 0.0) + float(x @ y)
                    self._shared[pair] = self._shared.get(pair, 0) + 1

    def mean(self, name: str) -> Tensor:
        """Give the mean of a kind, ``(P,)`` double."""
        return self._means[name]

    def variance(self, name: str) -> float:
        """Give the trace of the covariance of a kind; NaN of fewer than two draws."""
        count = self.counts[name]
        return self._scatter[name] / (count - 1) if count > 1 else float("nan")

    def inner(self, name: str, other: str) -> float:
        """Estimate the inner product of two expectations, by pairs of unlike draws.

        Of a kind with itself it is the squared length, which may come out below 0 where there is
        little but noise; NaN where no two draws are unlike.
        """
        if name == other:
            square = float(self._means[name].square().sum())
            return square - self.variance(name) / self.counts[name]
        pair = (min(name, other), max(name, other))
        pairs = self.counts[name] * self.counts[other]
        unlike = pairs - self._shared.get(pair, 0)
        together = pairs * float(self._means[name] @ self._means[other])
        return (together - self._products.get(pair, 0.0)) / unlike if unlike else float("nan")

    def _add(self, name: str, x: Tensor) -> None:
        count = self.counts[name] = self.counts.get(name, 0) + 1
        mean = self._means.setdefault(name, torch.zeros_like(x))
        before = x - mean
        mean += before / count
        self._scatter[name] = self._scatter.get(name, 0.0) + float(before @ (x - mean))
