"""Refining what each pixel is by what similar pixels are: the front door of the dense CRF."""

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
    taken,
)
from .engines import Field, engine
from .kernels import DEFAULT, Kernel

FLOOR = 1e-5
"""The least probability of a label before its logarithm is taken."""

HUGE = 1e30
"""Logits beyond it are measured from the largest of their pixel, lest differences overflow."""

VOID = 255
"""The label of a pixel of which nothing is known."""


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

    Tensors and NumPy arrays are taken alike, and the answer is what ``probs`` is: its kind, type
    and device, and its gradient if the engine has one. Lists of scenes of different sizes give
    lists.

    A process that called this and then forks (as `multiprocessing.Pool` does on Linux) leaves its
    children without torch's threads, for which they would wait for ever. Let them begin with
    ``torch.set_num_threads(1)``, or start them by ``multiprocessing.get_context("spawn")``.

    Args:
        probs: ``(L, H, W)`` or ``(B, L, H, W)``, in [0, 1], summing to one over labels.
        image: ``(H, W, 3)`` or ``(B, H, W, 3)``, uint8, or float on the scale 0-255; None if no
            kernel looks at it.
        kernels: The pairwise terms, by default smoothness (σ 3, w 3) and appearance (σ_xy 80,
            σ_rgb 13, w 10).
        iterations: Of mean field; 0 gives ``probs`` back.
        engine: ``auto``, or a key of `inference.crf.engines.ENGINES`, or ``path/file.py:Name``.
        void: ``(H, W)`` or ``(B, H, W)`` bool: pixels that say nothing, to themselves or others.

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
    found = taken(probs, "probs")
    check_probs(found)
    logits = _float(found).clamp_min(FLOOR).log_()
    return _like(_refined(logits, image, void, kernels, iterations, engine, spent=True), probs)


def refine_logits(
    logits: Any,
    image: Any = None,
    *,
    kernels: Sequence[Kernel] = DEFAULT,
    iterations: int = 10,
    engine: str = "auto",
    void: Any = None,
) -> Any:
    """Refine logits, that is minus the unary energies: otherwise as `refine`."""
    options: dict[str, Any] = {"kernels": kernels, "iterations": iterations, "engine": engine}
    if isinstance(logits, (list, tuple)):
        return _each(refine_logits, logits, image, void, options)
    given = taken(logits, "logits")
    found = _refined(given, image, void, kernels, iterations, engine, spent=False)
    return _like(found, logits)


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
    """Refine hard labels, each believed with some confidence.

    Args:
        labels: ``(H, W)`` or ``(B, H, W)`` integer, 0 to ``count`` − 1; 255 where nothing is
            known: such pixels start uniform, and are pulled by the others.
        image: As in `refine`.
        count: L, how many labels there are.
        confidence: Probability that a given label is right, above 1 / L and below 1; the rest is
            spread evenly over the others.
        kernels: As in `refine`.
        iterations: As in `refine`.
        engine: As in `refine`.

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
    ids = taken(labels, "labels")
    check_labels(ids, count, confidence)
    logits = logits_of_labels(ids.long(), count, confidence)
    marginals = refine_logits(logits, image, **options)
    return marginals if isinstance(labels, Tensor) else marginals.numpy()


def logits_of_labels(labels: Tensor, count: int, confidence: float) -> Tensor:
    """Give the logits of labels believed with some confidence.

    Args:
        labels: ``(..., H, W)`` integer below ``count``, or 255, which says nothing.
        count: L.
        confidence: Probability of the label given; the others share the rest.

    Returns:
        ``(..., L, H, W)`` float32.
    """
    if count == 1:
        return torch.zeros(*labels.shape[:-2], 1, *labels.shape[-2:], device=labels.device)
    ids = torch.arange(count, device=labels.device).view(-1, 1, 1)
    right = labels.unsqueeze(-3) == ids
    known = (labels != VOID).unsqueeze(-3)
    other = math.log((1 - confidence) / (count - 1))
    said = torch.where(right, math.log(confidence), other)
    return torch.where(known, said, -math.log(count))


_engine = engine


def _refined(
    given: Tensor,
    image: Any,
    void: Any,
    kernels: Sequence[Kernel],
    iterations: int,
    engine: str,
    spent: bool,
) -> Tensor:
    """Refine a tensor of logits, which may be written over if it is ``spent``."""
    largest = check_logits(given)
    check_iterations(iterations)
    single = given.ndim == 3
    batch = _float(given).unsqueeze(0) if single else _float(given)
    if largest > HUGE:
        batch = (batch - batch.amax(1, keepdim=True)).clamp_min(-HUGE)
    colours = _image(image, batch, single)
    check_kernels(kernels, batch, colours)
    quiet = _void(void, batch, single)
    field = Field(batch, colours, tuple(kernels), quiet, spent and not batch.requires_grad)
    if quiet is not None:
        field = replace(field, logits=batch.masked_fill(quiet.unsqueeze(1), 0.0))
    found = _engine(engine, field).marginals(field, iterations)
    return found[0] if single else found


def _each(do: Any, scenes: Any, images: Any, voids: Any, options: dict[str, Any]) -> list[Any]:
    """Refine scenes one by one, for they may differ in size."""
    for name, others in (("images", images), ("void masks", voids)):
        if others is not None and len(others) != len(scenes):
            raise ValueError(f"There are {len(scenes)} scenes but {len(others)} {name}.")
    images = [None] * len(scenes) if images is None else images
    more = [{}] * len(scenes) if voids is None else [{"void": void} for void in voids]
    return [
        do(scene, image, **options, **void)
        for scene, image, void in zip(scenes, images, more, strict=True)
    ]


def _float(values: Tensor) -> Tensor:
    """Let double stay double; everything else is float32."""
    return values if values.dtype == torch.float64 else values.float()


def _like(found: Tensor, given: Any) -> Any:
    """Give the answer as what was given: an array for an array, and of its float type."""
    if isinstance(given, Tensor):
        return found.to(given.dtype) if given.is_floating_point() else found
    numbers = found.detach().cpu().numpy()
    given = np.asarray(given)
    return numbers.astype(given.dtype, copy=False) if given.dtype.kind == "f" else numbers


def _image(image: Any, batch: Tensor, single: bool) -> Tensor | None:
    if image is None:
        return None
    found = taken(image, "the image").to(batch.device)
    check_image(found, batch, single)
    return found.unsqueeze(0) if single else found


def _void(void: Any, batch: Tensor, single: bool) -> Tensor | None:
    if void is None:
        return None
    found = taken(void, "void").to(batch.device)
    check_void(found, batch, single)
    return found.unsqueeze(0) if single else found
