"""Products of Gaussian experts: how several partial beliefs about z become one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def product_of_experts(
    locs: Tensor | Sequence[Tensor],
    scales: Tensor | Sequence[Tensor],
    present: Tensor | Sequence[Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Multiply E Gaussian densities over z and renormalise.

    Precisions add and the mean is their precision-weighted average, so one sharp expert
    outvotes many vague ones. Include the prior as an expert to keep the product proper.

    Args:
        locs: Expert means, ``(E, B, L)``, in latent units.
        scales: Expert standard deviations, ``(E, B, L)``, positive, same units.
        present: Which experts have spoken of which scene, ``(E, B)`` bool; the others
            contribute no precision. All of them, if left out.

    Returns:
        Mean and standard deviation of the product, each ``(B, L)``.

    Raises:
        ValueError: If a scale is not positive; the message names the first offending expert.

    Source:
        Wu & Goodman (2018), Multimodal Generative Models, https://arxiv.org/abs/1802.05335

    >>> product_of_experts(torch.tensor([[[0.0]], [[3.0]]]), torch.ones(2, 1, 1))
    (tensor([[1.5000]]), tensor([[0.7071]]))
    """
    loc, scale = torch.stack(tuple(locs)), torch.stack(tuple(scales))
    if not (positive := (scale > 0).flatten(1).all(1)).all():
        first = int((~positive).nonzero()[0])
        raise ValueError(f"Expert {first} has a scale that is not positive; pass deviations.")
    precision = scale.square().reciprocal()
    if present is not None:
        precision = precision * torch.stack(tuple(present)).unsqueeze(-1)
    total = precision.sum(0)
    return (precision * loc).sum(0) / total, total.rsqrt()
