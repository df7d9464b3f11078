"""The kernels of a dense CRF: which pixels are similar, and how strongly they agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor

from .limits import WIDEST

Normalization = Literal["symmetric", "before", "after", "mean", "none"]
Width = float | Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Kernel:
    """k(i, j) = exp(−|f_i − f_j|² / 2) over all pairs of pixels, and what it does to labels.

    With D = K·1, the matrix that filters the marginals is, by ``normalization``: D^-½ K D^-½
    (``symmetric``), K D⁻¹ (``before``), D⁻¹ K (``after``), K / mean D (``mean``) or K itself
    (``none``). One iteration of mean field then adds ``weight`` · compatibility · (K Q) to the
    logits.

    Attributes:
        weight: w, the strength of the kernel; a tensor with one element if it is to be learned.
        compatibility: ``(L, L)``: what a neighbour labelled m (column) adds to the logit of label
            l (row); or ``(L,)``, its diagonal; None is Potts, the identity. The penalty μ of
            papers is −compatibility; a row that is added to every row changes nothing.
        normalization: One of ``symmetric``, ``before``, ``after``, ``mean`` and ``none``.
        self_term: Keep a pixel's message to itself, as the reference C++ does. Without it, K − 1
            takes the place of K; D is unchanged.

    Source:
        Krähenbühl & Koltun (2011), Efficient Inference in Fully Connected CRFs with Gaussian Edge
        Potentials, equations 2 and 3, https://arxiv.org/abs/1210.5644
    """

    weight: float | Tensor = 1.0
    compatibility: Tensor | None = None
    normalization: Normalization = "symmetric"
    self_term: bool = True

    def __post_init__(self) -> None:
        if self.normalization not in get_args(Normalization):
            known = ", ".join(get_args(Normalization))
            raise ValueError(f"No normalization is called {self.normalization!r}; known: {known}.")
        weight = torch.as_tensor(self.weight)
        if weight.numel() != 1 or not bool(torch.isfinite(weight).all()):
            raise ValueError(f"A kernel's weight must be one finite number, not {self.weight}.")
        if self.compatibility is not None:
            _check_compatibility(self.compatibility)

    def features(self, image: Tensor | None, like: Tensor) -> Tensor:
        """Return the feature vector of each pixel, in which distances are measured.

        Args:
            image: ``(B, H, W, 3)`` on the scale 0-255, or None if there is none.
            like: ``(..., H, W)``; says the size, the device and the float type.

        Returns:
            ``(B, D, H, W)``, or ``(1, D, H, W)`` if all images share them; divided by σ.

        Raises:
            ValueError: If the kernel needs an image and there is none.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, eq=False)
class Smoothness(Kernel):
    """Near pixels agree: features are positions.

    Attributes:
        sigma: σ_γ in pixels; or two, vertical and horizontal.
    """

    sigma: Width | tuple[Width, Width] = 3.0
    weight: float | Tensor = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for width in pair(self.sigma):
            _positive("sigma", width)

    def features(self, image: Tensor | None, like: Tensor) -> Tensor:
        """Return positions divided by σ, ``(1, 2, H, W)``."""
        return positions(self.sigma, like).unsqueeze(0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Appearance(Kernel):
    """Near pixels of like colour agree: features are positions and colours.

    Attributes:
        sigma_xy: σ_α in pixels; or two, vertical and horizontal.
        sigma_rgb: σ_β in units of colour, 0-255.
    """

    sigma_xy: Width | tuple[Width, Width] = 80.0
    sigma_rgb: Width = 13.0
    weight: float | Tensor = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for width in pair(self.sigma_xy):
            _positive("sigma_xy", width)
        _positive("sigma_rgb", self.sigma_rgb)

    def features(self, image: Tensor | None, like: Tensor) -> Tensor:
        """Return positions and colours divided by their σ, ``(B, 5, H, W)``."""
        if image is None:
            raise ValueError(
                "An appearance kernel compares colours; pass an image, or leave the kernel out."
            )
        colours = image.to(like).permute(0, 3, 1, 2) / _like(self.sigma_rgb, like)
        places = positions(self.sigma_xy, like).expand(len(image), -1, -1, -1)
        return torch.cat((places, colours), dim=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureMap(Kernel):
    """Pixels with like features agree: depth, infrared, further channels, positions in 3-D.

    Attributes:
        values: ``(D, H, W)``, or ``(B, D, H, W)`` for a batch, in any units.
        sigma: One width for all D, or one for each, in those units.
        sigma_xy: Width in pixels of the position, which joins the features; None leaves it out.
    """

    values: Tensor = field(kw_only=True)
    sigma: Width | Sequence[float] = 1.0
    sigma_xy: Width | tuple[Width, Width] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_tensor("The values of a feature map", self.values)
        if self.values.ndim not in (3, 4) or self.values.shape[-3] == 0:
            raise ValueError(
                "A feature map is (D, H, W) or (B, D, H, W) with D ≥ 1, "
                f"not {tuple(self.values.shape)}."
            )
        if not bool(torch.isfinite(self.values).all()):
            raise ValueError("A feature map holds a NaN or an infinity; replace these values.")
        _positive("sigma", self.sigma)
        if (count := torch.as_tensor(self.sigma).numel()) not in (1, self.values.shape[-3]):
            raise ValueError(
                f"A feature map has {self.values.shape[-3]} features but {count} widths; give one "
                "for all, or one for each."
            )
        for width in pair(self.sigma_xy) if self.sigma_xy is not None else ():
            _positive("sigma_xy", width)

    def features(self, image: Tensor | None, like: Tensor) -> Tensor:
        """Return positions, if ``sigma_xy`` is set, and the map: ``(B, D + 2 or D, H, W)``."""
        values = self.values if self.values.ndim == 4 else self.values.unsqueeze(0)
        if values.shape[-2:] != like.shape[-2:]:
            raise ValueError(
                f"A feature map is {values.shape[-2]}×{values.shape[-1]} (height × width), but "
                f"the scene is {like.shape[-2]}×{like.shape[-1]}."
            )
        widths = torch.as_tensor(self.sigma, dtype=like.dtype, device=like.device)
        values = values.to(like) / widths.reshape(-1, 1, 1)
        if self.sigma_xy is None:
            return values
        places = positions(self.sigma_xy, like).expand(len(values), -1, -1, -1)
        return torch.cat((places, values), dim=1)


def positions(sigma: Width | tuple[Width, Width], like: Tensor) -> Tensor:
    """Return rows and columns from the image's centre divided by σ, ``(2, H, W)``."""
    across = [
        (torch.arange(n, dtype=like.dtype, device=like.device) - (n - 1) / 2) / _like(width, like)
        for n, width in zip(like.shape[-2:], pair(sigma), strict=True)
    ]
    return torch.stack(torch.meshgrid(*across, indexing="ij"))


def pair(width: Width | tuple[Width, Width]) -> tuple[Width, Width]:
    """Return the widths of positions: vertical, horizontal."""
    return width if isinstance(width, tuple) else (width, width)


def too_narrow(kernel: Kernel, features: Tensor, most: str) -> str:
    """Return the error message for a width that is too small for the keys of a lattice.

    Args:
        kernel: Whose width it is.
        features: Its features, ``(B, D, H, W)``.
        most: How many widths features may span at most.
    """
    spans = (features.amax((0, 2, 3)) - features.amin((0, 2, 3))).tolist()
    widest = spans.index(max(spans))
    name = "a width"
    if isinstance(kernel, Appearance):
        name = "sigma_xy" if widest < 2 else "sigma_rgb"
    elif isinstance(kernel, FeatureMap):
        name = "sigma_xy" if kernel.sigma_xy is not None and widest < 2 else "sigma"
    value = f" = {vars(kernel)[name]}" if name in vars(kernel) else ""
    return (
        f"{name}{value} of {type(kernel).__name__} is so small that the features span "
        f"{spans[widest]:.1e} widths and lattice keys would overflow (at most about {most}); "
        f'use a larger {name}, or engine="exact".'
    )


def _like(width: Width, like: Tensor) -> Width:
    return width.to(like) if isinstance(width, Tensor) else width


def _check_compatibility(compatibility: Tensor) -> None:
    _require_tensor("A label compatibility", compatibility)
    shape = tuple(compatibility.shape)
    if len(shape) not in (1, 2) or len(set(shape)) != 1 or 0 in shape:
        raise ValueError(f"A label compatibility is (L, L), or (L,) its diagonal, not {shape}.")
    if not bool(torch.isfinite(compatibility).all()):
        raise ValueError("A label compatibility holds a NaN or an infinity.")


def _require_tensor(what: str, values: object) -> None:
    if not isinstance(values, Tensor):
        raise ValueError(
            f"{what} must be a tensor, not {type(values).__name__}; use torch.tensor."
        )


def _positive(name: str, width: object) -> None:
    huge = isinstance(width, int) and width > WIDEST  # of which torch may make no number
    values = torch.as_tensor(math.inf if huge else width)
    if not bool((torch.isfinite(values) & (values > 0)).all()) and not huge:
        raise ValueError(f"{name} must be positive (a width of the kernel), not {width}.")
    if bool((values > WIDEST).any()):
        raise ValueError(
            f"{name} is at most {WIDEST:g}, where a kernel is flat over any picture, not {width}."
        )


DEFAULT = (Smoothness(), Appearance())
"""σ 3, w 3 and σ_xy 80, σ_rgb 13, w 10: the kernels the reference engine's users start from."""
