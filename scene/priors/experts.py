"""Products of Gaussian experts: how several densities over z become one."""

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
        present: Which expert has an opinion of which scene, ``(E, B)`` bool; the others
            contribute no precision. None = all of them.

    Returns:
        Mean and standard deviation of the product, each ``(B, L)``.

    Raises:
        ValueError: If a scale is not positive; the message names the first offending expert.

    Source:
        Wu & Goodman (2018), Multimodal Generative Models, https://arxiv.org/abs/1802.05335

    >>> product_of_experts(torch.tensor([[[0.0]], [[3.0]]]), torch.ones(2, 1, 1))
    (tensor([[1.5000]]), tensor([[0.7071]]))
    """
    shift, precision = sum_of_experts(locs, scales, present)
    return shift / precision, precision.rsqrt()


def sum_of_experts(
    locs: Tensor | Sequence[Tensor],
    scales: Tensor | Sequence[Tensor],
    present: Tensor | Sequence[Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Multiply E Gaussian densities over z; the product may be of none, and then is flat.

    Args:
        locs: As in `product_of_experts`.
        scales: As in `product_of_experts`.
        present: As in `product_of_experts`.

    Returns:
        Precision times mean, and precision, each ``(B, L)``; both are 0 where no expert has an
        opinion.

    Raises:
        ValueError: As `product_of_experts`.
    """
    loc, scale = torch.stack(tuple(locs)), torch.stack(tuple(scales))
    exporting = torch.compiler.is_compiling()  # a graph holds no question about its numbers
    if not exporting and not (positive := (scale > 0).flatten(1).all(1)).all():
        first = int((~positive).nonzero()[0])
        raise ValueError(
            f"Expert {first} has a scale that is not positive; pass standard "
            "deviations, not logarithms or variances."
        )
    precision = scale.square().reciprocal()
    if present is not None:
        precision = precision * torch.stack(tuple(present)).unsqueeze(-1)
    return (precision * loc).sum(0), precision.sum(0)


def with_standard(
    locs: Sequence[Tensor], scales: Sequence[Tensor], present: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Multiply N(0, I), which always counts, and E Gaussian densities over z, and renormalise.

    Args:
        locs: As in `product_of_experts`.
        scales: As in `product_of_experts`.
        present: As in `product_of_experts`.

    Returns:
        Mean and standard deviation of the product, each ``(B, L)``.

    Raises:
        ValueError: As `product_of_experts`, N(0, I) being expert 0.
    """
    zero, everywhere = torch.zeros_like(locs[0]), torch.ones_like(present[0])
    return product_of_experts(
        [zero, *locs], [torch.ones_like(zero), *scales], [everywhere, *present]
    )
