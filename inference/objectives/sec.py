"""SEC: a coarse network that learns masks from image-level labels and the cues they give."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from scene.discriminative import CoarseScene
from scene.labels import VOID
from scene.views import Views

from ..crf.kernels import Appearance, Kernel, Smoothness
from ..crf.meanfield import refine_logits
from .bounds import Objective, Term

FLOOR = 1e-4
"""What is added to each probability before it is renormalised; the least the CRF may say."""

CELLS = 41 * 41
"""The cells of the grid for which `FOREGROUND` and `BACKGROUND` were chosen."""

FOREGROUND, BACKGROUND = 0.996, 0.999
"""How much less each next cell counts, from the likeliest down: near 0 the maximum, 1 the mean."""


def probabilities(logits: Tensor) -> Tensor:
    """Form p from logits, ``(B, L, H, W)``: softmax, lifted by `FLOOR` and renormalised.

    >>> probabilities(torch.tensor([[[[0.0]], [[100.0]]]])).flatten()
    tensor([9.9980e-05, 9.9990e-01])
    """
    return lifted(logits.softmax(1))


def lifted(probs: Tensor) -> Tensor:
    """Add `FLOOR` to each probability over labels, dim 1, and renormalise."""
    return (probs + FLOOR) / (1 + FLOOR * probs.shape[1])


def seed_loss(p: Tensor, cues: Tensor) -> Tensor:
    """Average −log p over the cues of each image, then over images.

    Args:
        p: ``(B, L, H, W)``.
        cues: ``(B, L, H, W)`` bool: which cells are known to be which label. A cell may be cue
            of no label. An image without cues counts as one whose cues are met.

    Returns:
        A scalar in nats.
    """
    log_p = (cues * p.log()).flatten(1).sum(1)
    return -(log_p / cues.flatten(1).sum(1).clamp(min=1)).mean()


def expand_loss(p: Tensor, present: Tensor, background: int | None = 0) -> Tensor:
    """Ask that labels which are in an image fill a part of it, and that no others are in it.

    Of each image, −log of the pooled p of a present label, averaged over those; −log(1 − max p)
    of an absent one, averaged over those; and −log of the pooled p of the background, which is
    taken to be everywhere. Pooling is `rank_pool`. A group without labels adds nothing.

    Args:
        p: ``(B, L, H, W)``.
        present: ``(B, L)`` bool: which labels are in each image; the background's column is not
            read.
        background: Its label id; None = the labels have none, and there is no such term.

    Returns:
        A scalar in nats, averaged over images.
    """
    cells = p.flatten(2)
    there = present.bool()
    if background is not None:
        foreground = torch.arange(p.shape[1], device=p.device) != background
        there, absent = there & foreground, ~there & foreground
    else:
        absent = ~there
    loss = _average(-rank_pool(cells, FOREGROUND).log(), there)
    loss = loss + _average(-torch.log1p(-cells.amax(-1)), absent)
    if background is not None:
        loss = loss - rank_pool(cells[:, background], BACKGROUND).log()
    return loss.mean()


def constrain_loss(p: Tensor, crf: Tensor) -> Tensor:
    """Average KL(CRF ‖ p) over cells and images.

    Args:
        p: ``(B, L, H, W)``.
        crf: ``(B, L, H, W)``, what the CRF makes of the same logits; not differentiated. It is
            raised to `FLOOR` and renormalised here.

    Returns:
        A scalar in nats.
    """
    q = crf.detach().clamp(min=FLOOR)
    q = q / q.sum(1, keepdim=True)
    return (q * (q.log() - p.log())).sum(1).mean()


def rank_pool(values: Tensor, decay: float) -> Tensor:
    """Average values after sorting them, each weighing less than the next larger one.

    Args:
        values: ``(..., N)``.
        decay: Ratio of neighbouring weights on a grid of `CELLS`. On N cells it is raised to
            ``CELLS / N``, so that the same share of the image counts.

    Returns:
        ``(...)``: between the mean (decay 1) and the maximum (decay near 0).

    >>> rank_pool(torch.tensor([1.0, 3.0]), 1.0)
    tensor(2.)
    """
    count = values.shape[-1]
    ranks = torch.arange(count, dtype=values.dtype, device=values.device)
    weights: Tensor = (decay ** (CELLS / count)) ** ranks
    ordered: Tensor = values.sort(dim=-1, descending=True).values
    return (ordered * weights).sum(-1) / weights.sum()  # a product of matrices could be bf16


def _average(values: Tensor, chosen: Tensor) -> Tensor:
    """Average over the labels chosen, ``(B, L)`` to ``(B,)``; 0 where there are none."""
    return (values * chosen).sum(1) / chosen.sum(1).clamp(min=1)


CUES = "cues"
"""What a batch calls its cues, ``(B, L, h, w)`` bool at the model's grid."""

_EQUAL = {"expand": 1.0, "constrain": 1.0}
"""Weights in validation where those of training leave nothing to validate."""


class SEC(Objective):
    """Minus the weighted sum of the losses of this module: terms seed, expand and constrain.

    A batch needs images and image-level labels, and scenes without either are left out. Where it
    carries no cues, as in validation, there is no seed term, and the other two count even if
    both weigh nothing in training.

    Args:
        kernels: Kernels of the CRF, on the model's grid.
        iterations: Iterations of its mean field.
        engine: What computes it.
        expand: Weight of the term expand, 0 or more; that of the term seed is 1.
        constrain: Weight of the term constrain, 0 or more.

    Source:
        Kolesnikov & Lampert (2016), eq. 1, https://arxiv.org/abs/1603.06098
    """

    def __init__(
        self,
        kernels: tuple[Kernel, ...],
        iterations: int = 10,
        engine: str = "exact",
        expand: float = 1.0,
        constrain: float = 1.0,
    ) -> None:
        super().__init__()
        self.kernels, self.iterations, self.engine = kernels, iterations, engine
        self.weights = {"expand": expand, "constrain": constrain}

    def terms(self, model: CoarseScene, guide: Any, views: Views) -> dict[str, Term]:
        """Score a batch on the grid; gradients flow to the network's p only."""
        batch = views.rows(views.having(("image", "classes")))
        if not len(batch):
            return {}
        logits = model.scores(batch["image"])
        p, labels = probabilities(logits), model.labels
        present = torch.zeros(len(batch), len(labels.names), dtype=torch.bool, device=p.device)
        present[:, list(labels.ids)] = batch["classes"] > 0.5
        losses: dict[str, Tensor] = {}
        if CUES in batch:
            losses["seed"] = seed_loss(p, batch[CUES])
        weights = self.weights if losses or any(self.weights.values()) else _EQUAL
        if weights["expand"]:
            losses["expand"] = weights["expand"] * expand_loss(p, present, labels.background)
        if weights["constrain"]:
            crf = self.refined(logits, model.downsample(batch["image"]))
            losses["constrain"] = weights["constrain"] * constrain_loss(p, crf)
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
            marginals: Tensor = refine_logits(
                logits,
                colours,
                kernels=self.kernels,
                iterations=self.iterations,
                engine=self.engine,
            )
        return marginals


class OnMasks(Objective):
    """Minus the cross-entropy of ground-truth masks: the objective of the recipe supervised.

    The mean log probability of the pixels that are not void, at the size of the image, so that
    rates that suit SEC suit this too; each scene's times what its mask counts.
    """

    def terms(self, model: CoarseScene, guide: Any, views: Views) -> dict[str, Term]:
        """Score the masks of the scenes that have one."""
        batch = views.rows(views.having(("image", "mask")))
        if not len(batch):
            return {}
        masks = batch["mask"]
        log_likelihood = batch.likelihood_weights["mask"] * model.decode(None, batch, ["mask"])[
            "mask"
        ].log_prob(masks)
        return {
            "mask": _term(-log_likelihood.sum() / (masks != VOID).sum().clamp(min=1), len(batch))
        }


def grid_kernels(
    cells: tuple[int, int],
    weight: float = 10.0,
    sigma_xy: float = 80 / 12,
    sigma_rgb: float = 13.0,
) -> tuple[Kernel, ...]:
    """Return the kernels of SEC's CRF on a coarse grid.

    Args:
        cells: Rows and columns of the grid.
        weight: Weight of the appearance kernel.
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
