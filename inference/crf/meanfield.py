"""Mean field of the dense CRF for probabilities, logits or labels: the functions to call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .checks import (
    check_image,
    check_iterations,
    check_kernels,
    check_labels,
    check_logits,
    check_probs,
    check_void,
    to_tensor,
)
from .engines import Field, choose_engine
from .kernels import DEFAULT, Kernel

FLOOR = 1e-5
"""The least probability of a label before its logarithm is taken."""

HUGE = 1e30
"""Logits beyond it are measured from the largest of their pixel, lest differences overflow."""

VOID = 255
"""The label of a pixel whose label is unknown."""


def refine(
    probs: Any,
    image: Any = None,
    *,
    kernels: Sequence[Kernel] = DEFAULT,
    iterations: int = 10,
    engine: str = "auto",
    void: Any = None,
) -> Any:
    """Refine probabilities: marginals of a dense CRF whose unaries are −log ``probs``.

    Tensors and NumPy arrays are accepted; the result is of the kind, dtype and device of
    ``probs``, with its gradient if the engine has one. Lists of scenes of different sizes return
    lists.

    If a process calls this and then forks (as `multiprocessing.Pool` does on Linux), its children
    lack torch's threads and would wait for them for ever. Let children call
    ``torch.set_num_threads(1)`` first, or start them by ``multiprocessing.get_context("spawn")``.

    Args:
        probs: ``(L, H, W)`` or ``(B, L, H, W)``, in [0, 1], summing to one over labels.
        image: ``(H, W, 3)`` or ``(B, H, W, 3)``, uint8, or float on the scale 0-255; None if no
            kernel compares colours.
        kernels: The pairwise terms, by default smoothness (σ 3, w 3) and appearance (σ_xy 80,
            σ_rgb 13, w 10).
        iterations: Of mean field, 0 to 10,000; with 0 the result is ``probs``, floored at 1e-5.
        engine: ``auto``, or a key of `inference.crf.engines.ENGINES`, or ``path/file.py:Name``.
        void: ``(H, W)`` or ``(B, H, W)`` bool: pixels whose ``probs`` are ignored; they send no
            messages and receive them from the others.

    Returns:
        Marginals in the shape of ``probs``.

    Raises:
        ValueError: If the shapes do not fit, or ``probs`` are not probabilities; one sentence.
        LookupError: If there is no such engine.

    Source:
        Krähenbühl & Koltun (2011), algorithm 1, https://arxiv.org/abs/1210.5644

    >>> import numpy as np
    >>> probs = np.full((2, 4, 4), 0.5, dtype=np.float32)
    >>> probs[:, 0, 0] = 0.9, 0.1
    >>> refined = refine(probs, np.zeros((4, 4, 3), dtype=np.uint8))
    >>> refined.shape, bool((refined[0] > 0.5).all())
    ((2, 4, 4), True)
    """
    options: dict[str, Any] = {"kernels": kernels, "iterations": iterations, "engine": engine}
    if isinstance(probs, (list, tuple)):
        return _each(refine, probs, image, void, options)
    tensor = to_tensor(probs, "probs")
    check_probs(tensor)
    logits = _float(tensor).clamp_min(FLOOR).log_()
    marginals = _refined(logits, image, void, kernels, iterations, engine, in_place=True)
    return _like(marginals, probs)


def refine_logits(
    logits: Any,
    image: Any = None,
    *,
    kernels: Sequence[Kernel] = DEFAULT,
    iterations: int = 10,
    engine: str = "auto",
    void: Any = None,
) -> Any:
    """Refine logits, that is minus the unary energies.

    Args:
        logits: ``(L, H, W)`` or ``(B, L, H, W)``, finite; a list of ``(L, H, W)`` returns a list.
        image: ``(H, W, 3)`` or ``(B, H, W, 3)``, uint8, or float on the scale 0-255; None if no
            kernel compares colours.
        kernels: The pairwise terms, by default smoothness (σ 3, w 3) and appearance (σ_xy 80,
            σ_rgb 13, w 10).
        iterations: Iterations of mean field, 0 to 10,000; with 0 the result is the softmax.
        engine: ``auto``, or a key of `inference.crf.engines.ENGINES`, or ``path/file.py:Name``.
        void: ``(H, W)`` or ``(B, H, W)`` bool: pixels whose logits are ignored; they send no
            messages and receive them from the others.

    Returns:
        Marginals, probabilities, in the shape, kind and dtype of ``logits``.

    Raises:
        ValueError: If the shapes do not fit, or a logit is not finite; one sentence.
        LookupError: If there is no such engine.

    >>> refine_logits(torch.zeros(2, 3, 3), kernels=())[0, 0, 0]
    tensor(0.5000)
    """
    options: dict[str, Any] = {"kernels": kernels, "iterations": iterations, "engine": engine}
    if isinstance(logits, (list, tuple)):
        return _each(refine_logits, logits, image, void, options)
    tensor = to_tensor(logits, "logits")
    marginals = _refined(tensor, image, void, kernels, iterations, engine, in_place=False)
    return _like(marginals, logits)


def refine_labels(
    labels: Any,
    image: Any = None,
    *,
    count: int,
    confidence: float = 0.7,
    kernels: Sequence[Kernel] = DEFAULT,
    iterations: int = 10,
    engine: str = "auto",
) -> Any:
    """Refine hard labels, each right with some probability.

    Args:
        labels: ``(H, W)`` or ``(B, H, W)`` integer, 0 to ``count`` − 1; 255 where nothing is
            known: such pixels start uniform, and take their labels from the others.
        image: ``(H, W, 3)`` or ``(B, H, W, 3)``, uint8, or float on the scale 0-255; None if no
            kernel compares colours.
        count: L, how many labels there are.
        confidence: Probability that a label is right, above 1 / L and below 1; the rest is
            spread evenly over the others.
        kernels: The pairwise terms, by default smoothness (σ 3, w 3) and appearance (σ_xy 80,
            σ_rgb 13, w 10).
        iterations: Iterations of mean field, 0 to 10,000.
        engine: ``auto``, or a key of `inference.crf.engines.ENGINES`, or ``path/file.py:Name``.

    Returns:
        Marginals, ``(L, H, W)`` or ``(B, L, H, W)``, float32.

    Raises:
        ValueError: If a label is out of range, or nothing fits; one sentence.

    >>> refine_labels(np.array([[0, 1], [0, 255]]), count=2, iterations=0, kernels=())[0].round(3)
    array([[0.7, 0.3],
           [0.7, 0.5]], dtype=float32)
    """
    options: dict[str, Any] = {"kernels": kernels, "iterations": iterations, "engine": engine}
    if isinstance(labels, (list, tuple)):
        more = {"count": count, "confidence": confidence}
        return _each(refine_labels, labels, image, None, {**options, **more})
    ids = to_tensor(labels, "labels")
    check_labels(ids, count, confidence)
    logits = logits_of_labels(ids.long(), count, confidence)
    marginals = refine_logits(logits, image, **options)
    return marginals if isinstance(labels, Tensor) else marginals.numpy()


def logits_of_labels(labels: Tensor, count: int, confidence: float) -> Tensor:
    """Return the logits of labels that are right with some probability.

    Args:
        labels: ``(..., H, W)`` integer below ``count``, or 255 where nothing is known.
        count: L.
        confidence: Probability of the label; the others share the rest.

    Returns:
        ``(..., L, H, W)`` float32.
    """
    if count == 1:
        return torch.zeros(*labels.shape[:-2], 1, *labels.shape[-2:], device=labels.device)
    ids = torch.arange(count, device=labels.device).view(-1, 1, 1)
    right = labels.unsqueeze(-3) == ids
    known = (labels != VOID).unsqueeze(-3)
    other = math.log((1 - confidence) / (count - 1))
    logits = torch.where(right, math.log(confidence), other)
    return torch.where(known, logits, -math.log(count))


def _refined(
    logits: Tensor,
    image: Any,
    void: Any,
    kernels: Sequence[Kernel],
    iterations: int,
    engine: str,
    in_place: bool,
) -> Tensor:
    """Refine a tensor of logits, which may be overwritten if ``in_place``."""
    largest = check_logits(logits)
    check_iterations(iterations)
    single = logits.ndim == 3
    batch = _float(logits).unsqueeze(0) if single else _float(logits)
    if largest > HUGE:
        batch = (batch - batch.amax(1, keepdim=True)).clamp_min(-HUGE)
    colours = _image(image, batch, single)
    check_kernels(kernels, batch, colours)
    mask = _void(void, batch, single)
    field = Field(batch, colours, tuple(kernels), mask, in_place and not batch.requires_grad)
    if mask is not None:
        field = replace(field, logits=batch.masked_fill(mask.unsqueeze(1), 0.0))
    marginals = choose_engine(engine, field).marginals(field, iterations)
    return marginals[0] if single else marginals


def _each(
    refine_one: Any, scenes: Any, images: Any, voids: Any, options: dict[str, Any]
) -> list[Any]:
    """Refine scenes one by one, for they may differ in size."""
    for name, others in (("images", images), ("void masks", voids)):
        if others is not None and len(others) != len(scenes):
            raise ValueError(f"There are {len(scenes)} scenes but {len(others)} {name}.")
    images = [None] * len(scenes) if images is None else images
    more = [{}] * len(scenes) if voids is None else [{"void": void} for void in voids]
    return [
        refine_one(scene, image, **options, **void)
        for scene, image, void in zip(scenes, images, more, strict=True)
    ]


def _float(values: Tensor) -> Tensor:
    """Return float64 as it is, and everything else as float32."""
    return values if values.dtype == torch.float64 else values.float()


def _like(result: Tensor, like: Any) -> Any:
    """Return the result as an array where ``like`` is one, and of its float dtype."""
    if isinstance(like, Tensor):
        return result.to(like.dtype) if like.is_floating_point() else result
    numbers = result.detach().cpu().numpy()
    dtype = np.asarray(like).dtype
    return numbers.astype(dtype, copy=False) if dtype.kind == "f" else numbers


def _image(image: Any, batch: Tensor, single: bool) -> Tensor | None:
    if image is None:
        return None
    colours = to_tensor(image, "the image").to(batch.device)
    check_image(colours, batch, single)
    return colours.unsqueeze(0) if single else colours


def _void(void: Any, batch: Tensor, single: bool) -> Tensor | None:
    if void is None:
        return None
    mask = to_tensor(void, "void").to(batch.device)
    check_void(mask, batch, single)
    return mask.unsqueeze(0) if single else mask
