"""The three losses of SEC: believe the cues (seed), fill (expand), keep to edges (constrain).

All of them read p, label probabilities ``(B, L, H, W)`` over the H · W cells of a coarse grid,
as `probabilities` forms them: none is zero, so that every logarithm is finite.

Source:
    Kolesnikov & Lampert (2016), Seed, Expand and Constrain: Three Principles for
    Weakly-Supervised Image Segmentation, https://arxiv.org/abs/1603.06098
"""

from __future__ import annotations

import torch
from torch import Tensor

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
    said = (cues * p.log()).flatten(1).sum(1)
    return -(said / cues.flatten(1).sum(1).clamp(min=1)).mean()


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
