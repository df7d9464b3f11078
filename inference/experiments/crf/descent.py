"""Descent: L-BFGS with a strong Wolfe line search, that never ends worse than it began."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

ENOUGH = 1e-6
"""Stop once an iteration lessens the loss by less than this share of it."""

BROKEN = 1e30
"""What a loss that is no number counts as: so high that the line search turns back."""


def descend(
    leaves: Sequence[Tensor],
    loss: Callable[[], float],
    steps: int,
    watch: Callable[[int, float], None] = lambda done, loss: None,
) -> list[float]:
    """Lessen a loss; the leaves then hold the best values found.

    Args:
        leaves: Tensors that require gradients, changed in place.
        loss: Gives the loss at the leaves, and adds its gradient to theirs. It may be dear: no
            point is asked for twice.
        steps: Iterations at most; it stops sooner where little is to be gained.
        watch: Told how many are done, and the loss.

    Returns:
        The loss at the start and after each iteration, never rising.

    >>> x = torch.tensor([3.0], requires_grad=True)
    >>> def square():
    ...     found = (x - 1).square().sum()
    ...     found.backward()
    ...     return found.item()
    >>> losses = descend([x], square, 10)
    >>> losses[0], round(x.item(), 3)
    (4.0, 1.0)
    """
    known: dict[bytes, tuple[float, list[Tensor]]] = {}

    def closure() -> float:
        key = b"".join(leaf.detach().cpu().numpy().tobytes() for leaf in leaves)
        for leaf in leaves:
            leaf.grad = None
        if key not in known:
            found = loss()
            found = found if math.isfinite(found) else BROKEN
            known[key] = found, [_gradient(leaf) for leaf in leaves]
        found, gradients = known[key]
        for leaf, gradient in zip(leaves, gradients, strict=True):
            leaf.grad = gradient.clone()
        return found

    optimizer = torch.optim.LBFGS(
        list(leaves), max_iter=1, max_eval=25, history_size=20, line_search_fn="strong_wolfe"
    )
    losses = [closure()]
    for step in range(1, steps + 1):
        before = [leaf.detach().clone() for leaf in leaves]
        optimizer.step(closure)
        now = closure()
        if not now < losses[-1]:  # the line search found nothing
            _put(leaves, before)
            break
        losses.append(now)
        watch(step, now)
        if losses[-2] - now < ENOUGH * abs(now):
            break
    return losses


def _gradient(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad.detach().clone()


@torch.no_grad()
def _put(leaves: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for leaf, value in zip(leaves, values, strict=True):
        leaf.copy_(value)
