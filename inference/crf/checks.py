"""What is refused before mean field begins, each in one sentence."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

SLACK = 1e-2
"""How far from one probabilities may sum: rounding of half precision, not a missing softmax."""


def check_probs(probs: Any) -> None:
    """Refuse what are not probabilities over labels.

    Raises:
        ValueError: Saying what came, and what to pass instead.
    """
    found = _numbers(probs, "probs")
    if bool((found < 0).any()):
        raise ValueError(
            "probs hold negative numbers; if they are logits, use refine_logits instead."
        )
    total = found.float().sum(-3)
    worst = (total - 1).abs().max()
    if bool(worst > SLACK):
        for axis in (-1, -2):
            if bool(((found.float().sum(axis) - 1).abs() < SLACK).all()):
                raise ValueError(
                    f"probs are {_shape(found)} and sum to one over axis {axis}, not over labels: "
                    "pass (L, H, W), for instance probs.transpose(2, 0, 1) of (H, W, L)."
                )
        odd = total.flatten()[(total - 1).abs().argmax()].item()
        raise ValueError(
            f"probs must sum to one over labels (axis -3), but somewhere sum to {odd:.3g}; "
            "pass logits to refine_logits, or normalise them."
        )


def check_logits(logits: Any) -> None:
    """Refuse what is not ``(L, H, W)`` or ``(B, L, H, W)`` of finite numbers.

    Raises:
        ValueError: Saying what came, and what to pass instead.
    """
    _numbers(logits, "logits")


def check_labels(labels: Any, count: int, confidence: float) -> None:
    """Refuse label ids out of range, and confidences that are none.

    Raises:
        ValueError: Saying what came, and what to pass instead.
    """
    found = torch.as_tensor(labels)
    if found.ndim not in (2, 3) or found.numel() == 0:
        raise ValueError(f"labels must be (H, W) or (B, H, W), not {_shape(found)}.")
    if found.is_floating_point() or found.dtype == torch.bool:
        raise ValueError(f"labels must be integers, not {found.dtype}.")
    if count < 1:
        raise ValueError(f"There must be 1 label or more, not {count}.")
    found = found.long()
    odd = (found < 0) | ((found >= count) & (found != 255))
    if bool(odd.any()):
        raise ValueError(
            f"labels hold {int(found[odd][0])}, but with {count} labels ids run from 0 to "
            f"{count - 1}, and 255 where nothing is known."
        )
    if count > 1 and not 1 / count < confidence < 1:
        raise ValueError(
            f"confidence must lie between 1/{count} (a guess) and 1 (certainty), not {confidence}."
        )


def check_image(image: Any, batch: Tensor, single: bool) -> None:
    """Refuse an image that does not fit a batch ``(B, L, H, W)`` of logits.

    Raises:
        ValueError: Saying which way round things are.
    """
    found = torch.as_tensor(image)
    size = tuple(batch.shape[-2:])
    wanted = (*size, 3) if single else (len(batch), *size, 3)
    if tuple(found.shape) != wanted:
        raise ValueError(_misfit(found, batch, wanted))
    if found.is_complex() or not bool(torch.isfinite(found).all()):
        raise ValueError("The image holds a NaN or an infinity.")


def check_void(void: Any, batch: Tensor, single: bool) -> None:
    """Refuse a void mask that is not bool or of another size.

    Raises:
        ValueError: Saying what came and what was wanted.
    """
    found = torch.as_tensor(void)
    wanted = tuple(batch.shape[-2:]) if single else (len(batch), *batch.shape[-2:])
    if found.dtype != torch.bool or tuple(found.shape) != wanted:
        raise ValueError(
            f"void must be bool of shape {wanted}, not {found.dtype} of {_shape(found)}."
        )


def _numbers(values: Any, name: str) -> Tensor:
    found = torch.as_tensor(values).detach()
    if found.ndim not in (3, 4):
        raise ValueError(f"{name} must be (L, H, W) or (B, L, H, W), not {_shape(found)}.")
    if found.shape[-3] == 0:
        raise ValueError(f"{name} are {_shape(found)}: there must be 1 label or more.")
    if found.numel() == 0:
        raise ValueError(f"{name} are {_shape(found)}: there is no pixel to refine.")
    if found.is_complex() or not bool(torch.isfinite(found).all()):
        raise ValueError(f"{name} hold a NaN or an infinity; look where they came from.")
    return found


def _misfit(image: Tensor, batch: Tensor, wanted: tuple[int, ...]) -> str:
    """Say how an image of the wrong shape differs from the one wanted."""
    labels, height, width = batch.shape[-3:]
    shape = tuple(image.shape[-3:])
    scene = f"the probs are {labels}×{height}×{width} (L, H, W)"
    if image.ndim != len(wanted):
        return f"The image has shape {_shape(image)}, but {wanted} is wanted, for {scene}."
    if shape == (3, height, width):
        return f"The image is {_shape(image)}, channels first: pass (H, W, 3), channels last."
    if shape == (width, height, 3):
        return (
            f"The image is {width}×{height} but {scene}: one of them is transposed; both are "
            "height × width."
        )
    if shape == (labels, height, 3) or (shape[:2] == (labels, height) and width != shape[1]):
        return f"T{scene[1:]}, but look like (H, W, L): pass them with labels first."
    if len(image) != len(batch) and len(wanted) == 4:
        return f"There are {len(image)} images for {len(batch)} scenes."
    return f"The image is {_shape(image)} (H, W, 3), but {scene}; resize one of them to the other."


def _shape(values: Tensor) -> str:
    return "×".join(map(str, values.shape)) or "a number"
