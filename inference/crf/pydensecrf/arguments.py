"""Arguments in pydensecrf's form, converted to those of our kernels."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..kernels import Normalization

Array = NDArray[Any]
Pair = float | tuple[float, float]
Triple = float | tuple[float, float, float]


class KernelType(IntEnum):
    """Which precision matrix of features the C++ would learn; inference does not read it."""

    CONST_KERNEL = 0
    DIAG_KERNEL = 1
    FULL_KERNEL = 2


class NormalizationType(IntEnum):
    """How a kernel matrix K is normalised, with D = K·1.

    Attributes:
        NO_NORMALIZATION: Refused: pydensecrf then multiplies by its own lattice's scale, which was
            measured at 0.5 to 0.9 of K's, by kernel.
        NORMALIZE_BEFORE: K D⁻¹.
        NORMALIZE_AFTER: D⁻¹ K.
        NORMALIZE_SYMMETRIC: D^-½ K D^-½.
    """

    NO_NORMALIZATION = 0
    NORMALIZE_BEFORE = 1
    NORMALIZE_AFTER = 2
    NORMALIZE_SYMMETRIC = 3


_NORMALIZATIONS: dict[int, Normalization] = {1: "before", 2: "after", 3: "symmetric"}


def kernel_options(
    compat: float | Array, kernel: int, normalization: int, labels: int
) -> dict[str, Any]:
    """Return the weight, compatibility and normalisation of one of our kernels.

    Args:
        compat: A number w rewards equal labels by w (Potts). An array ``(L,)`` or ``(L, L)`` is a
            penalty: its diagonal, or all of it, made symmetric.
        kernel: A `KernelType`.
        normalization: A `NormalizationType`.
        labels: L.

    Raises:
        ValueError: If the shape does not fit, or the kernel or normalisation is none of ours.
    """
    KernelType(kernel)
    if int(normalization) not in _NORMALIZATIONS:
        raise ValueError(
            "NO_NORMALIZATION multiplies by the scale of pydensecrf's own lattice, which other "
            "engines do not share; use NORMALIZE_SYMMETRIC, NORMALIZE_BEFORE or NORMALIZE_AFTER."
        )
    options: dict[str, Any] = {"normalization": _NORMALIZATIONS[int(normalization)]}
    penalties: Array = np.array(compat, np.float32)
    if not penalties.ndim:
        return options | {"weight": float(penalties)}
    if penalties.shape not in ((labels,), (labels, labels)):
        raise ValueError(
            f"compat must be a number, {labels} numbers or {labels}×{labels} numbers, not an "
            f"array of shape {penalties.shape}."
        )
    if penalties.ndim == 2:
        penalties = (penalties + penalties.T) / 2  # as the C++ does
    return options | {"weight": 1.0, "compatibility": torch.from_numpy(-penalties)}


def down_right(sxy: Pair) -> tuple[float, float]:
    """Return the widths of positions as our kernels take them, vertical first.

    Args:
        sxy: One width; or two, horizontal and vertical.

    Raises:
        ValueError: If there are more or fewer.
    """
    across, down = _repeated(sxy, 2, "sxy")
    return down, across


def colour_widths(srgb: Triple) -> tuple[float, ...]:
    """Return the widths of three colour channels.

    Args:
        srgb: One width, or three.

    Raises:
        ValueError: If there are more or fewer.
    """
    return _repeated(srgb, 3, "srgb")


def to_colours(rgbim: Array, size: tuple[int, int]) -> Tensor:
    """Return a copy of an image, ``(1, H, W, 3)`` uint8.

    Args:
        rgbim: ``(H, W, 3)`` uint8.
        size: H and W.

    Raises:
        ValueError: If the image has another shape or type.
    """
    image, expected = np.asarray(rgbim), (*size, 3)
    if image.shape != expected:
        turned = image.shape == (size[1], size[0], 3)
        advice = (
            "DenseCRF2D(w, h, nlabels) takes the width first"
            if turned
            else "pass (H, W, 3), or other channels by create_pairwise_bilateral"
        )
        raise ValueError(
            f"Bad shape for pairwise bilateral (Need {expected}, got {image.shape}); {advice}."
        )
    if image.dtype != np.uint8:
        raise ValueError(
            f"rgbim must be uint8 on the scale 0-255, not {image.dtype}; convert it by "
            "rgbim.round().astype(np.uint8)."
        )
    return torch.from_numpy(image.copy()).unsqueeze(0)


def _repeated(widths: Any, count: int, name: str) -> tuple[float, ...]:
    """Return as many widths as wanted, from one number or all of them."""
    listed = np.ravel(widths).tolist()
    if len(listed) not in (1, count):
        raise ValueError(f"{name} must be one number or {count}, not {len(listed)}.")
    return tuple(map(float, listed * count if len(listed) == 1 else listed))
