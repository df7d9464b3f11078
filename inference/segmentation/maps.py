"""From class maps to probabilities of labels: normalisation, background, present classes."""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from scene.labels import Labels
from scene.registry import unknown

from .gradcam import normalised, resized

BackgroundMap = Literal["sum", "max", "none"]

FLOOR = 1e-5
"""The least probability of a label before its logarithm is taken."""


def present_classes(probs: Tensor, labels: Labels, threshold: float = 0.5) -> Tensor:
    """Return the classes that are predicted: those of a probability above the threshold.

    Where there is none and the dataset has no background, the most probable one is: every pixel
    must be something.

    Args:
        probs: Class probabilities, ``(B, C)``.
        labels: The vocabulary.
        threshold: Above which a class counts as present.

    Returns:
        ``(B, C)`` bool.

    >>> present_classes(torch.tensor([[0.1, 0.2]]), Labels(("cat", "dog")))
    tensor([[False,  True]])
    """
    present = probs > threshold
    if labels.background is None:
        best = torch.zeros_like(present).scatter_(1, probs.argmax(1, keepdim=True), True)
        present = torch.where(present.any(1, keepdim=True), present, best)
    return present


def background_of(
    maps: Tensor, present: Tensor, kind: BackgroundMap = "sum", exponent: float = 1.0
) -> Tensor:
    """Map the background: what the present classes leave.

    Args:
        maps: ``(B, C, h, w)`` in [0, 1].
        present: ``(B, C)``, 1 where the class is present.
        kind: ``sum``: max(0, 1 − Σ maps), as the report has it; ``max``: 1 − the largest map;
            ``none``: 0.
        exponent: The background is that to this power.

    Returns:
        ``(B, h, w)`` in [0, 1].

    Raises:
        LookupError: If there is no such kind.
    """
    present_maps = maps * (present > 0.5)[..., None, None]
    present_maps = F.pad(present_maps, (0, 0, 0, 0, 0, 1))  # a map of 0, where there is no class
    match kind:
        case "sum":
            return (1 - present_maps.sum(1)).clamp(min=0) ** exponent
        case "max":
            return (1 - present_maps.amax(1)) ** exponent
        case "none":
            return torch.zeros_like(present_maps[:, 0])
    raise LookupError(unknown(kind, get_args(BackgroundMap), "background map") + ".")


def probs(
    maps: Tensor,
    present: Tensor,
    labels: Labels,
    size: tuple[int, int] | None = None,
    background: BackgroundMap = "sum",
    exponent: float = 1.0,
    factors: Tensor | None = None,
) -> Tensor:
    """Turn class maps into probabilities of every label at every pixel.

    Maps are divided by their maximum, multiplied by their factors, and resized; classes that are
    not present have none of it; background is added, and every pixel normalised. A pixel that
    nothing claims belongs to the present classes equally, or to the background if there is none.

    Args:
        maps: ``(B, C, h, w)``, zero or more.
        present: ``(B, C)``, 1 where the class is present.
        labels: The vocabulary.
        size: Height and width of the result; None = those of the maps.
        background: As `background_of` takes it.
        exponent: Exponent of the background map.
        factors: ``(B, C)`` in [0, 1], such as how probable each class is; None = 1.

    Returns:
        ``(B, L, H, W)``, summing to one over labels.

    Raises:
        ValueError: If a background map is named, but the dataset has no such label.
    """
    require_background(labels, background != "none", "--background-map none")
    height, width = size or (maps.shape[-2], maps.shape[-1])
    maps = normalised(maps) if factors is None else normalised(maps) * factors[..., None, None]
    whole = resized(maps, (height, width))
    present_labels = (present > 0.5).to(maps.dtype)
    shares = maps.new_zeros(len(maps), len(labels.names), height, width)
    shares[:, list(labels.ids)] = whole * present_labels[..., None, None]
    if labels.background is not None:
        shares[:, labels.background] = background_of(whole, present_labels, background, exponent)
    return _shared(shares, present_labels, labels)


def log_probs(probs: Tensor) -> Tensor:
    """Take the logarithm of probabilities, floored at `FLOOR`: minus it are the CRF's unaries."""
    return probs.clamp(min=FLOOR).log()


def require_background(labels: Labels, needed: bool, otherwise: str) -> None:
    """Refuse to find background in a dataset that has none.

    Raises:
        ValueError: If it is needed but not there; the message names the option to give.
    """
    if needed and labels.background is None:
        raise ValueError(
            f"None of the labels ({', '.join(labels.names)}) is named background, so no "
            f"background cues can be computed; use {otherwise}."
        )


def _shared(shares: Tensor, present_labels: Tensor, labels: Labels) -> Tensor:
    """Normalise ``(B, L, H, W)`` per pixel, and share out pixels that nothing claims."""
    fallback = shares.new_zeros(shares.shape[:2])
    fallback[:, list(labels.ids)] = present_labels
    nobody = present_labels.sum(1) == 0
    if labels.background is not None:
        fallback[nobody, labels.background] = 1
    else:
        fallback[nobody] = 1
    fallback = fallback / fallback.sum(1, keepdim=True)
    total = shares.sum(1, keepdim=True)
    return torch.where(
        total > 0, shares / torch.where(total > 0, total, 1), fallback[..., None, None]
    )
