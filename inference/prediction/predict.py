"""Any view from any others: draw z from the posterior, decode the views to predict."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyro.distributions as dist
import torch
from torch import Tensor

from scene.detailed import DetailedPixels
from scene.labels import Labels
from scene.likelihoods import ClassVector, LabelMap, entropy
from scene.views import Views

from ..build import Assembly
from ..flows import FlowGuide
from .outputs import as_arrays

DRAWS = 8
"""Draws of z that a prediction averages, by default."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Views predicted from others, averaged over draws of z.

    Shapes are those of B scenes; of one scene that was given alone they lack the B.

    Attributes:
        views: Mean image ``(B, 3, H, W)`` in [0, 1]; class probabilities ``(B, C)``; label
            probabilities ``(B, L, H, W)``: whichever were predicted.
        labels: The vocabulary; None where nobody said it.
        observed: The views that it was predicted from.
    """

    views: dict[str, Tensor]
    labels: Labels | None = None
    observed: Views | None = None

    @property
    def image(self) -> Tensor:
        """The mean image, ``(B, 3, H, W)`` in [0, 1]."""
        return self._view("image")

    @property
    def classes(self) -> Tensor:
        """The probability of each class, ``(B, C)``."""
        return self._view("classes")

    @property
    def probs(self) -> Tensor:
        """The probability of each label at every pixel, ``(B, L, H, W)``."""
        return self._view("mask")

    @property
    def mask(self) -> Tensor:
        """The most probable label of every pixel, ``(B, H, W)`` int64."""
        return self.probs.argmax(-3)

    @property
    def entropy(self) -> Tensor:
        """How uncertain the label of every pixel is, ``(B, H, W)``: 0 = certain, 1 = uniform."""
        return entropy(self.probs)

    def numpy(self) -> dict[str, np.ndarray]:
        """Return arrays: ``image`` (…, H, W, 3) in [0, 1], ``classes``, ``probs``, ``mask``."""
        if "mask" not in self.views:
            return as_arrays(self.views)
        return {**as_arrays({**self.views, "mask": self.mask}), "probs": self.probs.cpu().numpy()}

    def save(self, path: str | Path, *, force: bool = False) -> list[Path]:
        """Write a picture (``.png``), or a folder of one file for each view of each scene.

        Args:
            path: Where to; the suffix says which of the two.
            force: Replace what is there.

        Returns:
            The files that were written.

        Raises:
            FileExistsError: If it exists, and ``force`` does not allow replacing it.
        """
        from .outputs import save_views

        return save_views(path, self._scenes(), self._labels(), draw=self._draw, force=force)

    def _repr_png_(self) -> bytes:
        from .outputs import png_of

        return png_of(self._draw)

    def _draw(self, path: Path) -> None:
        from scene.figures.grid import draw_prediction

        draw_prediction(path, self.observed, self._scenes(), self._labels())

    def _scenes(self) -> dict[str, Tensor]:
        """Return images, class probabilities and masks with a dimension for scenes, on the CPU."""
        alone = {"image": 3, "classes": 1, "mask": 2}
        views = {name: view for name, view in self.views.items() if name in alone}
        if "mask" in views:
            views["mask"] = self.mask
        return {
            name: (view[None] if view.ndim == alone[name] else view).cpu()
            for name, view in views.items()
        }

    def _labels(self) -> Labels:
        if self.labels is None:
            raise ValueError("This prediction does not know its labels; set them with replace().")
        return self.labels

    def _view(self, name: str) -> Tensor:
        if name not in self.views:
            raise LookupError(
                f"The {name} was not predicted; this prediction holds {', '.join(self.views)}."
            )
        return self.views[name]


def able(assembly: Assembly, observed: Collection[str], target: str) -> bool:
    """Return whether the model explains ``target`` and z has a posterior given these views.

    A view the model conditions on must be given; if nothing else is, its prior stands in.
    """
    model, evidence = assembly.model, _evidence(assembly, observed)
    if target not in model.views or not set(model.conditions) <= set(observed):
        return False
    return not evidence or assembly.guide.accepts(observed)


def trained(assembly: Assembly, observed: Collection[str]) -> bool:
    """Return whether a term of the objective trained the posterior given just these views."""
    if not _evidence(assembly, observed):
        return True
    return frozenset(observed) in assembly.objective.conditionings(assembly.guide)


def draw(
    assembly: Assembly, observed: Views | None, draws: int, scenes: int, at_mean: bool = False
) -> Tensor | None:
    """Draw z given some views, or from the prior.

    Args:
        assembly: Model and guide.
        observed: The views to condition on; None = none.
        draws: K.
        scenes: B, which only matters where nothing is given.
        at_mean: Take the mean of the posterior, once, in place of draws.

    Returns:
        ``(K, B, L)``, or None if the model has no latent.

    Raises:
        ValueError: If there is no posterior given just these views.
    """
    q = posterior(assembly, observed, scenes)
    if q is None:
        return None
    return _mean(q)[None] if at_mean else q.sample(torch.Size((draws,)))


def drawing(assembly: Assembly) -> Assembly:
    """Return what scenes are drawn with: flows in the places of guide and model, if there are."""
    return replace(
        assembly,
        guide=assembly.flow or assembly.guide,
        model=assembly.detailed or assembly.model,
    )


def posterior(
    assembly: Assembly, observed: Views | None, scenes: int = 1
) -> dist.Distribution | None:
    """Return q(z | views), or the prior where only the model's conditions are given.

    Args:
        assembly: Model and guide.
        observed: The views to condition on; None = none: the prior.
        scenes: B, where nothing is given.

    Returns:
        Batch shape ``(B,)``, event shape ``(L,)``; None if the model has no latent.

    Raises:
        ValueError: If there is no posterior given just these views.
    """
    if isinstance(assembly.guide, FlowGuide):
        return assembly.guide.posterior(observed, scenes)
    if observed is None:
        return assembly.model.prior(None, scenes)
    if not _evidence(assembly, observed.names):
        return assembly.model.prior(observed)
    assembly.guide.require(observed.names)
    return assembly.guide.posterior(observed)


def predict(
    assembly: Assembly,
    observed: Views | None,
    names: Iterable[str],
    *,
    draws: int = DRAWS,
    scenes: int = 1,
    at_mean: bool = False,
) -> Prediction:
    """Predict views from others: probabilities averaged over draws of z.

    Args:
        assembly: Model and guide, in evaluation mode.
        observed: The views to condition on; None = predict from the prior.
        names: The views to predict.
        draws: K, the draws of z.
        scenes: B, where nothing is given.
        at_mean: Use the mean of the posterior in place of draws.

    Raises:
        ValueError: If there is no posterior given just these views.
    """
    with torch.no_grad():
        z = draw(assembly, observed, draws, scenes, at_mean)
        decoded = assembly.model.decode(z, observed, names)
        return Prediction({name: _average(expected(x), z) for name, x in decoded.items()})


def expected(likelihood: object) -> Tensor:
    """Return a likelihood's mean image, or its probabilities."""
    if isinstance(likelihood, LabelMap | ClassVector):
        return likelihood.probs
    return likelihood.mean  # type: ignore[attr-defined,no-any-return]


def drawn(likelihood: object) -> Tensor:
    """Return the image that stands for a draw: one with details, or else the mean image."""
    if isinstance(likelihood, DetailedPixels):
        return likelihood.sample()
    return expected(likelihood)


def _evidence(assembly: Assembly, observed: Collection[str]) -> set[str]:
    return set(observed) - set(assembly.model.conditions)


def _average(value: Tensor, z: Tensor | None) -> Tensor:
    return value.mean(0) if z is not None else value


def _mean(q: dist.Distribution) -> Tensor:
    try:
        return q.mean  # type: ignore[no-any-return]
    except NotImplementedError:
        return q.sample(torch.Size((64,))).mean(0)  # type: ignore[no-any-return]
