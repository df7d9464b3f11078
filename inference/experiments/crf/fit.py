"""Learning a dense CRF from masks by L-BFGS: weights of kernels, compatibility, widths.

What is lessened is the mean negative log marginal of the true label, over pixels that are not
void. Weights and compatibility have gradients through any engine that has some; widths have
theirs through dense products, on scenes scaled down until those fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from scene.labels import VOID

from ...crf.kernels import Appearance, Kernel, Smoothness
from ...crf.meanfield import FLOOR, refine_logits
from ...crf.parameters import Compatibility, Parameters
from .measure import LEAST
from .unaries import Example

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
            point is evaluated twice.
        steps: Iterations at most; it stops sooner where little is to be gained.
        watch: Called with the number of iterations done, and the loss.

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
            value = loss()
            value = value if math.isfinite(value) else BROKEN
            known[key] = value, [_gradient(leaf) for leaf in leaves]
        value, gradients = known[key]
        for leaf, gradient in zip(leaves, gradients, strict=True):
            leaf.grad = gradient.clone()
        return value

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


Form = Literal["potts", "diagonal", "full"]

DENSE = 2500
"""Pixels to which scenes are scaled down where widths are learned: 50 × 50."""

_BOUND = 9.0  # |log| of a parameter over where it starts: no line search may run off to infinity

LossCallback = Callable[[str, int, float], None]
"""A callback with the stage, the number of iterations done, and the loss."""


@dataclass(frozen=True)
class Fit:
    """The learned parameters.

    Attributes:
        parameters: Parameters of the CRF.
        losses: Of each stage, the loss in nats a pixel at its start and after every iteration.
    """

    parameters: Parameters
    losses: dict[str, list[float]]


def fit(
    examples: Sequence[Example],
    start: Parameters | None = None,
    *,
    compatibility: Form = "potts",
    widths: bool = False,
    engine: str = "auto",
    steps: int = 15,
    watch: LossCallback = lambda stage, done, loss: None,
) -> Fit:
    """Learn by L-BFGS on log-parameters, from where ``start`` says.

    With ``widths``, they are learned first, together with the rest, on scenes scaled down to
    `DENSE` pixels, with the dense engine: σ in pixels shrinks with a scene and is scaled back
    afterwards; σ of colours is what it is. A σ_γ of few pixels becomes less than one there and
    says little: trust it on small scenes only. Then the widths stay, and the rest is learned
    again at full size. Kernels of weight 0 stay out.

    Args:
        examples: Scenes with unaries and truth; all are held in memory.
        start: Where to begin.
        compatibility: ``potts`` (as ``start`` has it, not learned), ``diagonal`` or ``full``,
            which is symmetric. It is scaled to a mean diagonal of 1, and the weights with it.
        widths: Learn them.
        engine: For weights and compatibility, as in `inference.crf.meanfield.refine`; where that
            has no gradients, or is ``auto``, the dense one up to `DENSE` pixels, else the lattice.
        steps: Iterations at most, of each stage.
        watch: Called after each.

    Raises:
        ValueError: If there is nothing to learn from, or nothing to learn.

    Source:
        Krähenbühl & Koltun (2011), section 4.1, https://arxiv.org/abs/1210.5644; and (2013),
        Parameter Learning and Convergent Inference for Dense Random Fields.
    """
    start = start or Parameters()
    if compatibility not in get_args(Form):
        known = ", ".join(get_args(Form))
        raise ValueError(f"No compatibility is called {compatibility!r}; known: {known}.")
    if not (start.smoothness_weight or start.appearance_weight):
        raise ValueError("Both weights are 0: there is no kernel to fit; start from some weight.")
    seen = [e for e in examples if bool((e.mask != VOID).any())]
    if not seen:
        raise ValueError("There is no scene with a labelled pixel to fit to.")
    start.require(len(seen[0].probs))
    parameters, losses = start, dict[str, list[float]]()
    if widths:
        stage = "widths and weights"
        small = [scaled(example, DENSE) for example in seen]
        parameters, losses[stage] = _stage(
            stage, small, parameters, compatibility, True, "exact", steps, watch
        )
    large = any(e.mask.numel() > DENSE for e in seen)
    if engine in ("auto", "fused", "pydensecrf"):
        engine = "lattice" if large else "exact"
    if not widths or large:
        stage = "weights"
        whole = [(example, (1.0, 1.0)) for example in seen]
        parameters, losses[stage] = _stage(
            stage, whole, parameters, compatibility, False, engine, steps, watch
        )
    return Fit(parameters, losses)


def log_loss(
    example: Example, kernels: tuple[Kernel, ...], iterations: int, engine: str
) -> Tensor:
    """Return the sum over labelled pixels of −log marginal of the true label, differentiable."""
    logits = example.probs.clamp_min(FLOOR).log()
    image = example.image
    q = refine_logits(logits, image, kernels=kernels, iterations=iterations, engine=engine)
    true = example.mask.long()
    right = q.gather(0, true.masked_fill(true == VOID, 0)[None])[0][true != VOID]
    log_p: Tensor = right.clamp_min(LEAST).log().sum()
    return -log_p


_Scaled = tuple[Example, tuple[float, float]]


def scaled(example: Example, pixels: int) -> _Scaled:
    """Scale a scene down to so many pixels; give by how much it shrank down and across."""
    height, width = example.mask.shape
    shrink = min(1.0, math.sqrt(pixels / (height * width)))
    if shrink == 1.0:
        return example, (1.0, 1.0)
    size = max(1, int(height * shrink)), max(1, int(width * shrink))

    def smooth(values: Tensor) -> Tensor:
        return functional.interpolate(values[None], size, mode="bilinear", antialias=True)[0]

    image = smooth(example.image.permute(2, 0, 1).float()).permute(1, 2, 0).contiguous()
    mask = functional.interpolate(example.mask[None, None].float(), size, mode="nearest-exact")
    probs = smooth(example.probs)
    small = replace(example, probs=probs, image=image, mask=mask[0, 0].to(example.mask.dtype))
    return small, (size[0] / height, size[1] / width)


class _Theta:
    """What is learned, as leaves, and the kernels it makes."""

    def __init__(self, start: Parameters, count: int, form: Form, widths: bool) -> None:
        self.start = start
        names = [f"{k}_weight" for k in ("smoothness", "appearance")]
        self.names = [name for name in names if getattr(start, name)]
        if widths and start.smoothness_weight:
            self.names += ["smoothness_sigma"]
        if widths and start.appearance_weight:
            self.names += ["appearance_sigma_xy", "appearance_sigma_rgb"]
        self.logs = torch.zeros(len(self.names), requires_grad=True)
        self.form = form
        self.table = _table(start.compatibility, count, form)
        if form != "potts":
            assert self.table is not None
            self.table.requires_grad_()

    def leaves(self) -> list[Tensor]:
        tables = [] if self.form == "potts" or self.table is None else [self.table]
        return [self.logs, *tables]

    def value(self, name: str) -> float | Tensor:
        initial: float = getattr(self.start, name)
        if name not in self.names:
            return initial
        return initial * self.logs[self.names.index(name)].clamp(-_BOUND, _BOUND).exp()

    def compatibility(self) -> Tensor | None:
        table = self.table
        return (table + table.T) / 2 if table is not None and table.ndim == 2 else table

    def kernels(self, shrunk: tuple[float, float]) -> tuple[Kernel, ...]:
        shared = self.compatibility()
        terms: list[Kernel] = []
        if self.start.smoothness_weight:
            sigma = self.value("smoothness_sigma")
            terms.append(
                Smoothness(
                    sigma=(sigma * shrunk[0], sigma * shrunk[1]),
                    weight=self.value("smoothness_weight"),
                    compatibility=shared,
                )
            )
        if self.start.appearance_weight:
            sigma = self.value("appearance_sigma_xy")
            terms.append(
                Appearance(
                    sigma_xy=(sigma * shrunk[0], sigma * shrunk[1]),
                    sigma_rgb=self.value("appearance_sigma_rgb"),
                    weight=self.value("appearance_weight"),
                    compatibility=shared,
                )
            )
        return tuple(terms)

    def parameters(self) -> Parameters:
        values: dict[str, Any] = {name: float(self.value(name)) for name in self.names}
        table = self.compatibility()
        if self.form == "potts" or table is None:
            return replace(self.start, **values)
        mean = float((table if table.ndim == 1 else table.diagonal()).mean())
        scale = mean if mean > 0 else 1.0
        for name in self.names:
            if name.endswith("weight"):
                values[name] *= scale
        plain = (table / scale).tolist()
        shared: Compatibility = tuple(plain if table.ndim == 1 else map(tuple, plain))
        return replace(self.start, compatibility=shared, **values)


def _stage(
    stage: str,
    examples: Sequence[_Scaled],
    start: Parameters,
    form: Form,
    widths: bool,
    engine: str,
    steps: int,
    watch: LossCallback,
) -> tuple[Parameters, list[float]]:
    """Learn from one set of scenes; give what was learned, and the losses on the way."""
    theta = _Theta(start, len(examples[0][0].probs), form, widths)
    pixels = sum(int((e.mask != VOID).sum()) for e, _ in examples)

    def loss() -> float:
        total = 0.0
        for example, shrunk in examples:  # one graph at a time: memory is that of one scene
            kernels = theta.kernels(shrunk)
            part = log_loss(example, kernels, start.iterations, engine) / pixels
            part.backward()
            total += float(part.detach())
        return total

    losses = descend(theta.leaves(), loss, steps, lambda n, value: watch(stage, n, value))
    with torch.no_grad():
        return theta.parameters(), losses


def _table(start: Compatibility | None, count: int, form: Form) -> Tensor | None:
    """Return the compatibility to begin from, in the form to be learned; None is Potts."""
    if form == "potts":
        return None if start is None else torch.tensor(start)
    table = torch.ones(count) if start is None else torch.tensor(start)
    if form == "diagonal":
        return table if table.ndim == 1 else table.diagonal().clone()
    return table.diag() if table.ndim == 1 else table.clone()
