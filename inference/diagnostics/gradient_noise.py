"""Gradient noise: the variance of the decoders' gradients, term by term of the objective."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations
from statistics import fmean

import torch
from torch import Tensor, nn

from scene.datasets.base import SceneDataset
from scene.seeds import seeded
from scene.views import Views

from ..build import Assembly
from ..training.batches import batches
from .gradient_statistics import (
    ALL,
    TOTAL,
    Agreement,
    GradientNoise,
    GradientStatistics,
    TermNoise,
)


class Moments:
    """Streaming means, total variances and inner products of vectors of several kinds.

    A draw has a vector of each kind, or of some kinds. One mean is kept for each kind. Estimates
    are unbiased: the noise that remains in a mean does not count as length.

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

    def add(self, draw: Mapping[str, Tensor]) -> None:
        """Add one draw: a vector ``(P,)`` for each kind in it."""
        vectors = {name: vector.detach().cpu().double() for name, vector in draw.items()}
        for name, x in vectors.items():
            self._add(name, x)
            for other, y in vectors.items():
                if other < name:
                    pair = (other, name)
                    self._products[pair] = self._products.get(pair, 0.0) + float(x @ y)
                    self._shared[pair] = self._shared.get(pair, 0) + 1

    def mean(self, name: str) -> Tensor:
        """Return the mean of a kind, ``(P,)`` double."""
        return self._means[name]

    def variance(self, name: str) -> float:
        """Return the trace of the covariance of a kind; NaN with fewer than two draws."""
        count = self.counts[name]
        return self._scatter[name] / (count - 1) if count > 1 else float("nan")

    def inner(self, name: str, other: str) -> float:
        """Estimate the inner product of two expectations, from pairs of different draws.

        Of a kind with itself it is the squared length, which can be negative where noise
        dominates. NaN if there are no two different draws.
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


def gradient_noise(
    assembly: Assembly,
    dataset: SceneDataset,
    *,
    repeats: int = 32,
    batch_size: int = 16,
    held: int = 2,
    seed: int = 0,
    watch: Callable[[str], None] = lambda title: None,
) -> GradientNoise:
    """Measure the gradients of minus each term, and of the loss, for the model's parameters.

    ``repeats`` gradients are sampled for each of ``held`` fixed batches, and as many with a new
    batch each, in the order of training and without augmentation. They are the gradients of
    training: with the view weights and β of the objective, and batch normalisation by the batch.
    Parameters, running statistics and modes of both networks are restored.

    Args:
        assembly: Model, guide and objective.
        dataset: The scenes.
        repeats: R, gradients for one estimate.
        batch_size: Scenes a batch.
        held: Number of fixed batches for which z is sampled repeatedly.
        seed: Seed of batches and of z.
        watch: Called with the name of each step.

    Raises:
        ValueError: If ``repeats`` is below 2, ``held`` below 1, there is no scene, or none that a
            term can use.
    """
    if repeats < 2 or held < 1:
        raise ValueError(
            f"A variance needs 2 gradients or more, of 1 batch or more, not {repeats} of {held}."
        )
    steps = batches(dataset, batch_size, seed, range(held + repeats))
    fixed, fresh = [], _empty(assembly.model)
    with _as_in_training(assembly), seeded(seed, assembly.device):
        for step, views in enumerate(steps):
            watch(f"gradients, batch {step + 1} of {held + repeats}")
            if step >= held:
                _draw(assembly, views, fresh)
                continue
            fixed.append(_empty(assembly.model))
            for _ in range(repeats):
                _draw(assembly, views, fixed[-1])
    if not any(moments.counts for moments in fresh.values()):
        raise ValueError(
            f"No scene of {dataset.name} ({dataset.split}) has the views that the objective "
            "learns from; choose another split."
        )
    return _summary(fixed, fresh, repeats, batch_size)


GeneratorMoments = dict[str, Moments]
"""For each part of the model, the moments of each term's gradients."""


def _empty(model: nn.Module) -> GeneratorMoments:
    return {name: Moments() for name in _generators(model)}


def _generators(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Group the trainable parameters by the part of the model that holds them."""
    groups: dict[str, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(name.split(".")[0], []).append(parameter)
    return groups


def _draw(assembly: Assembly, views: Views, moments_of: GeneratorMoments) -> None:
    """Sample z once for a batch, and add the gradient of each term and of their total."""
    views = views.to(assembly.device)
    terms = assembly.objective.terms(assembly.model, assembly.guide, views)
    if not terms:
        return
    losses = {name: -term.bound for name, term in terms.items()}
    losses[TOTAL] = -assembly.objective.total(terms, views)
    groups = _generators(assembly.model)
    slopes = {name: _slopes(loss, groups) for name, loss in losses.items()}
    for generator, moments in moments_of.items():
        moments.add({name: slope[generator] for name, slope in slopes.items()})


def _slopes(loss: Tensor, groups: dict[str, list[nn.Parameter]]) -> dict[str, Tensor]:
    """Return the gradient for each group as one vector; zeros for parameters without one."""
    every = [parameter for group in groups.values() for parameter in group]
    gradients: Sequence[Tensor | None] = [None] * len(every)
    if loss.requires_grad:
        gradients = torch.autograd.grad(loss, every, retain_graph=True, allow_unused=True)
    flat = iter(
        torch.zeros(p.numel()) if slope is None else slope.flatten().cpu()
        for p, slope in zip(every, gradients, strict=True)
    )
    return {name: torch.cat([next(flat) for _ in group]) for name, group in groups.items()}


@contextmanager
def _as_in_training(assembly: Assembly) -> Iterator[None]:
    """Set both networks to training mode within; restore modes and buffers afterwards."""
    networks = (assembly.model, assembly.guide)
    modes = [(module, module.training) for net in networks for module in net.modules()]
    buffers = [(buffer, buffer.clone()) for net in networks for buffer in net.buffers()]
    for net in networks:
        net.train()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for buffer, before in buffers:
            buffer.copy_(before)


def _summary(
    fixed: list[GeneratorMoments], fresh: GeneratorMoments, repeats: int, batch_size: int
) -> GradientNoise:
    names = [term for term in next(iter(fresh.values())).counts if term != TOTAL]
    parts: dict[str, Sequence[str]] = {generator: (generator,) for generator in fresh}
    if len(parts) > 1:
        parts[ALL] = tuple(fresh)
    rows = [
        TermNoise(term, name, _scatter(fixed, group, term), _scatter([fresh], group, term))
        for term in (names if len(names) == 1 else [*names, TOTAL])
        for name, group in parts.items()
    ]
    agreements = [
        Agreement((first, second), name, _cosine(fresh, group, first, second))
        for first, second in combinations(names, 2)
        for name, group in parts.items()
    ]
    return GradientNoise(repeats, batch_size, rows, agreements)


def _scatter(
    several: list[GeneratorMoments], group: Sequence[str], term: str
) -> GradientStatistics:
    """Average the moments over batches, summed over the parts of a group."""
    measured = [one for one in several if one[group[0]].counts.get(term, 0) > 1]
    if not measured:
        return GradientStatistics(0.0, 0.0, 0)
    square = fmean(sum(one[part].inner(term, term) for part in group) for one in measured)
    variance = fmean(sum(one[part].variance(term) for part in group) for one in measured)
    draws = sum(one[group[0]].counts[term] for one in measured)
    return GradientStatistics(max(0.0, square) ** 0.5, variance, draws)


def _cosine(
    moments: GeneratorMoments, group: Sequence[str], first: str, second: str
) -> float | None:
    lengths = [_scatter([moments], group, term) for term in (first, second)]
    if not all(length.clear for length in lengths):
        return None
    across = sum(moments[part].inner(first, second) for part in group)
    cosine = across / (lengths[0].norm * lengths[1].norm)
    return max(-1.0, min(1.0, cosine)) if cosine == cosine else None
