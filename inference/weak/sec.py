"""SEC: a coarse network that learns masks from image-level labels and the cues they give."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from scene.coarse import CoarseScene
from scene.labels import VOID
from scene.views import Views

from ..crf.kernels import Appearance, Kernel, Smoothness
from ..crf.meanfield import refine_logits
from ..objectives.bounds import Objective, Term
from .losses import CELLS, constrain_loss, expand_loss, probabilities, seed_loss

CUES = "cues"
"""What a batch calls its cues, ``(B, L, h, w)`` bool at the model's grid."""


class SEC(Objective):
    """Minus the sum of the losses of `inference.weak.losses`: terms seed, expand and constrain.

    A batch needs images and image-level labels, and scenes without either are left out. Where it
    carries no cues, as in validation, there is no seed term.

    Args:
        kernels: Of the CRF, on the model's grid.
        iterations: Of its mean field.
        engine: What computes it.

    Source:
        Kolesnikov & Lampert (2016), eq. 1, https://arxiv.org/abs/1603.06098
    """

    def __init__(
        self, kernels: tuple[Kernel, ...], iterations: int = 10, engine: str = "exact"
    ) -> None:
        super().__init__()
        self.kernels, self.iterations, self.engine = kernels, iterations, engine

    def terms(self, model: CoarseScene, guide: Any, views: Views) -> dict[str, Term]:
        """Score a batch on the grid; gradients flow to the network's p only."""
        batch = views.rows(views.having(("image", "classes")))
        if not len(batch):
            return {}
        logits = model.scores(batch["image"])
        p, labels = probabilities(logits), model.labels
        present = torch.zeros(len(batch), len(labels.names), dtype=torch.bool, device=p.device)
        present[:, list(labels.ids)] = batch["classes"] > 0.5
        losses = {
            "expand": expand_loss(p, present, labels.background),
            "constrain": constrain_loss(p, self.refined(logits, model.shrunk(batch["image"]))),
        }
        if CUES in batch:
            losses = {"seed": seed_loss(p, batch[CUES]), **losses}
        return {name: _term(loss, len(batch)) for name, loss in losses.items()}

    def total(self, terms: Mapping[str, Term], views: Views) -> Tensor:
        """Add the terms up."""
        if not terms:
            return super().total(terms, views)
        return torch.stack([term.bound for term in terms.values()]).sum()

    @torch.no_grad()
    def refined(self, logits: Tensor, images: Tensor) -> Tensor:
        """Refine logits ``(B, L, h, w)`` by images ``(B, 3, h, w)`` in [0, 1], without gradients.

        Returns:
            Marginals ``(B, L, h, w)``.
        """
        colours = 255 * images.permute(0, 2, 3, 1)
        with torch.autocast(logits.device.type, enabled=False):
            found: Tensor = refine_logits(
                logits,
                colours,
                kernels=self.kernels,
                iterations=self.iterations,
                engine=self.engine,
            )
        return found


class OnMasks(Objective):
    """Minus the cross-entropy of true masks: what the network of SEC learns if it sees them.

    The mean log probability of the pixels that are not void, at the size of the image, so that
    rates that suit SEC suit this too; each scene's times what its mask counts.
    """

    def terms(self, model: CoarseScene, guide: Any, views: Views) -> dict[str, Term]:
        """Score the masks of the scenes that have one."""
        batch = views.rows(views.having(("image", "mask")))
        if not len(batch):
            return {}
        masks = batch["mask"]
        found = batch.weights["mask"] * model.decode(None, batch, ["mask"])["mask"].log_prob(masks)
        return {"mask": _term(-found.sum() / (masks != VOID).sum().clamp(min=1), len(batch))}


def grid_kernels(
    cells: tuple[int, int],
    weight: float = 10.0,
    sigma_xy: float = 80 / 12,
    sigma_rgb: float = 13.0,
) -> tuple[Kernel, ...]:
    """Give the kernels of SEC's CRF on a coarse grid.

    Args:
        cells: Rows and columns of the grid.
        weight: Of the appearance kernel.
        sigma_xy: Its width in cells of a grid of 41×41; on others it is scaled to cover the same
            share of the image, as the smoothness kernel's (w 3, σ 3 / 12) is.
        sigma_rgb: Its width in colour, 0-255.

    >>> [round(kernel.sigma, 3) for kernel in grid_kernels((82, 82))[:1]]
    [0.5]
    """
    scale = math.sqrt(math.prod(cells) / CELLS)
    return (
        Smoothness(sigma=scale * 3 / 12, weight=3.0),
        Appearance(sigma_xy=scale * sigma_xy, sigma_rgb=sigma_rgb, weight=weight),
    )


def _term(loss: Tensor, scenes: int) -> Term:
    return Term(-loss, scenes, {"loss": loss.detach()})
