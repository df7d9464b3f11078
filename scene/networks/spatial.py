"""A spatial z: the part of the latent that lies on a grid over the scene, and its networks.

A latent with a grid is still one vector, so that priors, products of experts and traversals need
not know of the grid: first the numbers about the scene as a whole, then the channels of each cell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..views import Views
from .encoders import STRIDE, Encoder, channels_last, convolution_block
from .image_encoders import TrunkEncoder

CELLS = (2, 4, 8)
"""Height and width, in pixels, that a cell can have."""

_TWICE, _SLOWLY = math.log(2), 0.1


@dataclass(frozen=True)
class Latent:
    """The layout of z.

    Args:
        vector: Numbers that describe the scene as a whole.
        channels: Numbers for each cell of the grid; 0 = there is no grid.
        cell: Height and width of a cell in pixels, one of `CELLS`.
        size: Height and width of the scene in pixels.

    Raises:
        ValueError: If a cell cannot have that size.

    >>> Latent(8, channels=2, cell=4, size=(16, 18)).length
    48
    """

    vector: int
    channels: int = 0
    cell: int = 4
    size: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            known = ", ".join(map(str, CELLS))
            raise ValueError(f"--cell is the side of a cell in pixels: {known}, not {self.cell}.")

    @property
    def grid(self) -> tuple[int, int, int]:
        """Channels, rows and columns of the grid."""
        return self.channels, -(-self.size[0] // self.cell), -(-self.size[1] // self.cell)

    @property
    def length(self) -> int:
        """Length of z as one vector."""
        channels, rows, columns = self.grid
        return self.vector + channels * rows * columns

    def split(self, z: Tensor) -> tuple[Tensor, Tensor | None]:
        """Split z, ``(..., length)``, into ``(..., vector)`` and ``(..., C, rows, columns)``.

        The second is None if there is no grid.
        """
        if not self.channels:
            return z, None
        return z[..., : self.vector], z[..., self.vector :].unflatten(-1, self.grid)


class GridGaussian(nn.Module):
    """Mean and standard deviation of z at each cell of the grid, from one or more views.

    Images and masks are encoded as by a U-Net, down to the coarsest grid and back up to the
    cells; the features of a class vector are repeated in every cell.

    Args:
        encoders: Encoder of each view. Where a scene lacks a view, its features are zero.
        latent: The layout of z.
        width: Channels of the encoders' first convolution.

    Shape:
        Two of ``(B, channels · rows · columns)``; standard deviations lie above 1e-4.
    """

    def __init__(self, encoders: Mapping[str, nn.Module], latent: Latent, width: int) -> None:
        super().__init__()
        self.latent = latent
        self.encoders = nn.ModuleDict(
            {name: _on_grid(encoder, latent, width) for name, encoder in encoders.items()}
        )
        features = sum(cast(int, encoder.features) for encoder in self.encoders.values())
        self.mix = convolution_block(features, 2 * width)
        self.head = nn.Conv2d(2 * width, 2 * latent.channels, 1)

    def forward(self, views: Views) -> tuple[Tensor, Tensor]:
        """Return the mean and the standard deviation from the views held, float32."""
        return self.gaussian([self._encode(name, views) for name in self.encoders])

    def gaussian(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the mean and the standard deviation from the features of each view, in order."""
        loc, raw = self.head(self.mix(torch.cat([*features], dim=1))).float().chunk(2, dim=1)
        return loc.flatten(1), (F.softplus(raw) + 1e-4).flatten(1)

    def _encode(self, name: str, views: Views) -> Tensor:
        encoder = self.encoders[name]
        if name in views and bool(views.present[name].all()):
            return cast(Tensor, views.recall(name, encoder, partial(encoder, views[name])))
        features, grid = cast(int, encoder.features), self.latent.grid[1:]
        blank = torch.zeros(len(views), features, *grid, device=views.device)
        if name not in views or not bool(views.present[name].any()):
            return blank
        rows = views.present[name].nonzero().squeeze(-1)
        some = cast(Tensor, views.recall(name, encoder, lambda: encoder(views[name][rows])))
        return blank.to(some.dtype).index_copy(0, rows, some)


class GridFromVector(nn.Module):
    """Mean and standard deviation of z at each cell of the grid, from the vector of z.

    At first it says 0 and 1, whatever the vector is. Scales are relative to the average one of
    their channel, within a factor of 2, and learned slowly: a channel that says nothing would
    else shrink to a constant, which suits the decoders, and never say anything.

    Args:
        latent: The layout of z.
        width: Half the channels of the last convolution, a quarter of those of the first.

    Shape:
        ``(…, V)`` to two of ``(…, G)``; standard deviations lie between 1/2 and 2.
    """

    def __init__(self, latent: Latent, width: int) -> None:
        super().__init__()
        self.latent = latent
        _, rows, columns = latent.grid
        self.coarse = 4 * width, -(-rows // 4), -(-columns // 4)
        self.linear = nn.Linear(latent.vector, math.prod(self.coarse))
        layers: list[nn.Module] = []
        for inner, outer in ((4 * width, 4 * width), (4 * width, 2 * width)):
            layers += [nn.GroupNorm(1, inner), nn.SiLU(), nn.Upsample(scale_factor=2)]
            layers += [nn.Conv2d(inner, outer, 3, padding=1)]
        self.layers = channels_last(
            nn.Sequential(*layers, nn.GroupNorm(1, 2 * width), nn.SiLU())
        )  # no batch normalisation: a density must not depend on which others it is asked with
        self.head = nn.Conv2d(2 * width, 2 * latent.channels, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(cast(Tensor, self.head.bias))

    def forward(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the standard deviation, float32."""
        _, rows, columns = self.latent.grid
        x = self.layers(self.linear(vector).reshape(-1, *self.coarse))
        gaussian = self.head(x[..., :rows, :columns]).float()
        loc, raw = gaussian.reshape(*vector.shape[:-1], *gaussian.shape[-3:]).chunk(2, dim=-3)
        surer = _SLOWLY * (raw - raw.mean((-2, -1), keepdim=True))
        scale = (_TWICE * (surer / _TWICE).tanh()).exp()
        return loc.flatten(-3), scale.flatten(-3)


class FeaturePyramid(nn.Module):
    """An encoder's convolutions, then up-convolutions with skips to the grid's cells.

    It is the contracting half of a U-Net and as much of the expanding half as the cells need.

    Args:
        encoder: Encoder of images or masks; None = only `expand` is used, on the maps of one that
            belongs to another network.
        latent: The layout of z, which says where cells lie.
        width: Channels of the encoder's first convolution.

    Attributes:
        features: Channels of the output.

    Shape:
        ``(B, …, H, W)`` to ``(B, features, rows, columns)``.
    """

    def __init__(self, encoder: Encoder | TrunkEncoder | None, latent: Latent, width: int) -> None:
        super().__init__()
        self.encoder, self.latent = encoder, latent
        ups = [(4, 4, 4), (4, 2, 2), (2, 1, 2)][: (STRIDE // latent.cell).bit_length() - 1]
        self.up = nn.ModuleList(
            convolution_block((inner + skip) * width, outer * width) for inner, skip, outer in ups
        )
        self.features = ups[-1][-1] * width

    def forward(self, image: Tensor) -> Tensor:
        """Return the features of each cell."""
        assert self.encoder is not None
        return self.expand(self.encoder.feature_maps(image))

    def expand(self, maps: list[Tensor]) -> Tensor:
        """Return the features of each cell from an encoder's maps, finest first."""
        *finer, x = maps
        for block, skip in zip(self.up, reversed(finer), strict=False):
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0), skip], dim=1))
        _, rows, columns = self.latent.grid
        return x[..., :rows, :columns]


class _Repeated(nn.Module):
    """Features of a vector, repeated in every cell: ``(B, …)`` to ``(B, F, rows, columns)``."""

    def __init__(self, encoder: nn.Module, latent: Latent) -> None:
        super().__init__()
        self.encoder, self.latent = encoder, latent
        self.features = cast(int, encoder.features)

    def forward(self, vector: Tensor) -> Tensor:
        features: Tensor = self.encoder(vector)
        return features[..., None, None].expand(-1, -1, *self.latent.grid[1:])


def _on_grid(encoder: nn.Module, latent: Latent, width: int) -> FeaturePyramid | _Repeated:
    if isinstance(encoder, Encoder | TrunkEncoder):
        return FeaturePyramid(encoder, latent, width)
    return _Repeated(encoder, latent)
