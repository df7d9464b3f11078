"""Checks of the input of mean field; each error is one sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .kernels import Appearance, FeatureMap, Kernel
from .limits import MOST_ITERATIONS

SLACK = 1e-2
"""How far from one probabilities may sum: rounding of half precision, not a missing softmax."""


def to_tensor(values: Any, name: str) -> Tensor:
    """Convert a tensor, an array or a picture to a tensor, sharing its memory where possible.

    Args:
        values: Numbers or booleans of any shape.
        name: What the values are, for the error message.

    Raises:
        ValueError: If these are not numbers.
    """
    if isinstance(values, Tensor):
        return _signed(values)
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be an array or a tensor of numbers, not {array.dtype}.")
    backwards = any(step < 0 for step in array.strides)
    if backwards or not (array.flags.writeable and array.dtype.isnative):
        array = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
    return _signed(torch.from_numpy(array))


def _signed(values: Tensor) -> Tensor:
    """Convert unsigned integers of more than 8 bits to signed ones, which torch supports fully."""
    wide = values.dtype in (torch.uint16, torch.uint32, torch.uint64)
    return (
        values.to(torch.int32 if values.dtype == torch.uint16 else torch.int64) if wide else values
    )


def check_probs(probs: Tensor) -> None:
    """Refuse values that are not probabilities over labels.

    Raises:
        ValueError: If they are refused; the message says what came and what to pass instead.
    """
    least, _ = _numbers(probs, "probs")
    values = probs.detach()
    if least < 0:
        raise ValueError(
            "probs hold negative numbers; if they are logits, use refine_logits instead."
        )
    total = values.sum(-3, dtype=torch.float32)
    worst = (total - 1).abs().max()
    if bool(worst > SLACK):
        for axis in (-1, -2):
            sums = values.sum(axis, dtype=torch.float32)
            if bool(((sums - 1).abs() < SLACK).all()):
                raise ValueError(
                    f"probs are {_shape(values)} and sum to one over axis {axis}, not over "
                    "labels: pass (L, H, W), for instance probs.transpose(2, 0, 1) of (H, W, L)."
                )
        odd = total.flatten()[(total - 1).abs().argmax()].item()
        raise ValueError(
            f"probs must sum to one over labels (axis -3), but somewhere sum to {odd:.3g}; "
            "pass logits to refine_logits, or normalise them."
        )


def check_logits(logits: Tensor) -> float:
    """Refuse logits that are not ``(L, H, W)`` or ``(B, L, H, W)`` of finite numbers.

    Returns:
        The largest magnitude.

    Raises:
        ValueError: If they are refused; the message says what came and what to pass instead.
    """
    return max(map(abs, _numbers(logits, "logits")))


def check_labels(labels: Tensor, count: int, confidence: float) -> None:
    """Refuse label ids and confidences out of range.

    Raises:
        ValueError: If they are refused; the message says what came and what to pass instead.
    """
    if labels.ndim not in (2, 3) or labels.numel() == 0:
        raise ValueError(f"labels must be (H, W) or (B, H, W), not {_shape(labels)}.")
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise ValueError(f"labels must be integers, not {labels.dtype}.")
    if not _whole(count) or count < 1:
        raise ValueError(f"count is how many labels there are, 1 or more, not {count!r}.")
    ids = labels.long()
    odd = (ids < 0) | ((ids >= count) & (ids != 255))
    if bool(odd.any()):
        raise ValueError(
            f"labels hold {int(ids[odd][0])}, but with {count} labels ids run from 0 to "
            f"{count - 1}, and 255 where nothing is known."
        )
    if count > 1 and not 1 / count < confidence < 1:
        raise ValueError(
            f"confidence must lie between 1/{count} (a guess) and 1 (certainty), not {confidence}."
        )


def check_iterations(iterations: Any) -> None:
    """Refuse a number of iterations that is not a whole number of 0 or more.

    Raises:
        ValueError: If it is refused; the message says what came.
    """
    if not _whole(iterations) or iterations < 0:
        raise ValueError(f"iterations must be a whole number, 0 or more, not {iterations!r}.")
    if iterations > MOST_ITERATIONS:
        raise ValueError(f"iterations are at most {MOST_ITERATIONS}, not {iterations}.")


def check_kernels(kernels: Any, batch: Tensor, image: Tensor | None) -> None:
    """Refuse kernels that do not fit a batch ``(B, L, H, W)`` of logits, or its image.

    Raises:
        ValueError: If they do not fit; the message says what came and what was expected.
    """
    if not isinstance(kernels, Sequence) or not all(isinstance(k, Kernel) for k in kernels):
        raise ValueError(
            "kernels must be a sequence of kernels, as (Smoothness(), Appearance()), not "
            f"{kernels!r}."
        )
    labels = batch.shape[1]
    for kernel in kernels:
        name, compatibility = type(kernel).__name__, kernel.compatibility
        if compatibility is not None and len(compatibility) != labels:
            raise ValueError(
                f"The compatibility of {name} is {_shape(compatibility)}, but there are {labels} "
                f"labels: {labels}×{labels} or {labels} numbers are expected."
            )
        if isinstance(kernel, FeatureMap) and kernel.values.ndim == 4:
            if len(kernel.values) not in (1, len(batch)):
                raise ValueError(
                    f"There are {len(kernel.values)} feature maps for {len(batch)} scenes."
                )
    if image is not None and any(isinstance(kernel, Appearance) for kernel in kernels):
        _require_scale(image)


def _require_scale(image: Tensor) -> None:
    """Refuse colours that are evidently on another scale than 0-255."""
    largest = float(image.amax())
    if image.is_floating_point() and 0 < largest <= 1:
        raise ValueError(
            "The image lies in [0, 1], but colours are on the scale 0-255; multiply it by 255."
        )
    if not image.is_floating_point() and largest > 255:
        raise ValueError(
            f"The image is of whole numbers up to {largest:.0f}, but colours are on the scale "
            "0-255; divide a 16-bit image by 257, or give it to a FeatureMap with a sigma of its "
            "own."
        )


def check_image(image: Tensor, batch: Tensor, single: bool) -> None:
    """Refuse an image that does not fit a batch ``(B, L, H, W)`` of logits.

    Raises:
        ValueError: If it does not fit; the message names axes that seem to be swapped.
    """
    size = tuple(batch.shape[-2:])
    expected = (*size, 3) if single else (len(batch), *size, 3)
    if tuple(image.shape) != expected:
        raise ValueError(_misfit(image, batch, expected))
    if not all(map(math.isfinite, _extremes(image))):
        raise ValueError("The image holds a NaN or an infinity.")


def check_void(void: Tensor, batch: Tensor, single: bool) -> None:
    """Refuse a void mask that is not bool or of another size.

    Raises:
        ValueError: If they do not fit; the message says what came and what was expected.
    """
    expected = tuple(batch.shape[-2:]) if single else (len(batch), *batch.shape[-2:])
    if void.dtype != torch.bool or tuple(void.shape) != expected:
        raise ValueError(
            f"void must be bool of shape {expected}, not {void.dtype} of {_shape(void)}."
        )


def _numbers(values: Tensor, name: str) -> tuple[float, float]:
    """Return the least and the largest number; refuse infinities, NaNs and other shapes."""
    if values.ndim not in (3, 4):
        raise ValueError(f"{name} must be (L, H, W) or (B, L, H, W), not {_shape(values)}.")
    if values.shape[-3] == 0:
        raise ValueError(f"{name} are {_shape(values)}: there must be 1 label or more.")
    if values.numel() == 0:
        raise ValueError(f"{name} are {_shape(values)}: there is no pixel to refine.")
    least, largest = _extremes(values)
    if not (math.isfinite(least) and math.isfinite(largest)):
        raise ValueError(
            f"{name} hold a NaN or an infinity; check the model or file that produced them."
        )
    return least, largest


def _extremes(values: Tensor) -> tuple[float, float]:
    """Return the least and the largest number, without a copy; both are NaN if one is."""
    if values.is_complex():
        return math.nan, math.nan
    least, largest = values.detach().aminmax()
    return float(least), float(largest)


def _whole(number: Any) -> bool:
    return isinstance(number, (int, np.integer)) and not isinstance(number, bool)


def _misfit(image: Tensor, batch: Tensor, expected: tuple[int, ...]) -> str:
    """Return a sentence on how an image of the wrong shape differs from the one wanted."""
    labels, height, width = batch.shape[-3:]
    shape = tuple(image.shape[-3:])
    scene = f"the probs are {labels}×{height}×{width} (L, H, W)"
    if shape != (3, height, width) and (channels := _channels(image, expected)):
        return (
            f"The image is {_shape(image)}, but colours are 3 channels, (H, W, 3): repeat a grey "
            "one 3 times, drop what is beside red, green and blue, or look at all of them by "
            f"FeatureMap(values=...), a tensor ({channels}, H, W), without image."
        )
    if image.ndim != len(expected):
        return f"The image has shape {_shape(image)}, but {expected} is expected, for {scene}."
    if shape == (3, height, width):
        return f"The image is {_shape(image)}, channels first: pass (H, W, 3), channels last."
    if shape == (width, height, 3):
        return (
            f"The image is {width}×{height} but {scene}: one of them is transposed; both are "
            "height × width."
        )
    if shape == (labels, height, 3) or (shape[:2] == (labels, height) and width != shape[1]):
        return f"T{scene[1:]}, but look like (H, W, L): pass them with labels first."
    if len(image) != len(batch) and len(expected) == 4:
        return f"There are {len(image)} images for {len(batch)} scenes."
    return f"The image is {_shape(image)} (H, W, 3), but {scene}; resize one of them to the other."


def _channels(image: Tensor, expected: tuple[int, ...]) -> int:
    """Count the channels of an image that differs in nothing else from the one wanted, or 0."""
    shape, pixels = tuple(image.shape), expected[:-1]
    if shape == pixels:
        return 1
    if shape[:-1] == pixels:
        return shape[-1]
    first = len(shape) > 2 and shape[-1] != 3 and (*shape[:-3], *shape[-2:]) == pixels
    return shape[-3] if first else 0


def _shape(values: Tensor) -> str:
    return "×".join(map(str, values.shape)) or "a number"
