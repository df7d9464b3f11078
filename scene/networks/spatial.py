"""A spatial z: the part of the latent that lies on a grid over the scene, and how it is read.

A latent with a grid is still one vector, so that priors, products of experts and walks need not
know of it: first what concerns the scene as a whole, then the channels of each cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..views import Views
from .encoders import STRIDE, Stem, refine

CELLS = (2, 4, 8)
"""Height and width, in pixels, that a cell can have."""


@dataclass(frozen=True)
class Latent:
    """The parts of z.

    Args:
        vector: How many numbers concern the scene as a whole.
        channels: How many there are for each cell of the grid; 0 = there is no grid.
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
        """Part z, ``(..., length)``, into ``(..., vector)`` and ``(..., C, rows, columns)``."""
        if not self.channels:
            return z, None
        return z[..., : self.vector], z[..., self.vector :].unflatten(-1, self.grid)


class GridBelief(nn.Module):
    """What some views say about each cell of the grid: one network for all of them together.

    Pictures are read as by a U-Net, down to the coarsest grid and back up to the cells; classes
    are told to every cell.

    Args:
        stems: The networks that read views, by the names of these; where a scene lacks a view,
            that says nothing.
        latent: The parts of z.
        width: Channels of the stems' first convolution.

    Shape:
        Mean and scale, each ``(B, channels · rows · columns)``; scales lie above 1e-4.
    """

    def __init__(self, stems: Mapping[str, nn.Module], latent: Latent, width: int) -> None:
        super().__init__()
        self.latent = latent
        self.readers = nn.ModuleDict(
            {name: _reader(stem, latent, width) for name, stem in stems.items()}
        )
        features = sum(cast(int, reader.features) for reader in self.readers.values())
        self.mix = refine(features, 2 * width)
        self.head = nn.Conv2d(2 * width, 2 * latent.channels, 1)

    def forward(self, views: Views) -> tuple[Tensor, Tensor]:
        """Form the belief about cells from the views held."""
        found = [self._read(name, views) for name in self.readers]
        loc, raw = self.head(self.mix(torch.cat(found, dim=1))).float().chunk(2, dim=1)
        return loc.flatten(1), (F.softplus(raw) + 1e-4).flatten(1)

    def _read(self, name: str, views: Views) -> Tensor:
        reader = self.readers[name]
        if name in views and bool(views.present[name].all()):
            return cast(Tensor, views.recall(name, reader, partial(reader, views[name])))
        features, grid = cast(int, reader.features), self.latent.grid[1:]
        blank = torch.zeros(len(views), features, *grid, device=views.device)
        if name not in views or not bool(views.present[name].any()):
            return blank
        rows = views.present[name].nonzero().squeeze(-1)
        read = cast(Tensor, views.recall(name, reader, lambda: reader(views[name][rows])))
        return blank.to(read.dtype).index_copy(0, rows, read)


class Pyramid(nn.Module):
    """A stem's convolutions, and the way back up to the cells, with skips: half a U-Net.

    Args:
        stem: Reads pictures.
        latent: Says where cells lie.
        width: Channels of the stem's first convolution.
    """

    def __init__(self, stem: Stem, latent: Latent, width: int) -> None:
        super().__init__()
        self.stem, self.latent = stem, latent
        ups = [(4, 4, 4), (4, 2, 2), (2, 1, 2)][: (STRIDE // latent.cell).bit_length() - 1]
        self.up = nn.ModuleList(
            refine((inner + skip) * width, outer * width) for inner, skip, outer in ups
        )
        self.features = ups[-1][-1] * width

    def forward(self, picture: Tensor) -> Tensor:
        """Read pictures, ``(B, …, H, W)``, into ``(B, features, rows, columns)``."""
        *finer, x = self.stem.pyramid(picture)
        for mend, skip in zip(self.up, reversed(finer), strict=False):
            x = mend(torch.cat([F.interpolate(x, scale_factor=2.0), skip], dim=1))
        _, rows, columns = self.latent.grid
        return x[..., :rows, :columns]


class _Everywhere(nn.Module):
    """What a vector's stem reads, told to every cell."""

    def __init__(self, stem: nn.Module, latent: Latent) -> None:
        super().__init__()
        self.stem, self.latent, self.features = stem, latent, cast(int, stem.features)

    def forward(self, vector: Tensor) -> Tensor:
        """Read vectors, ``(B, …)``, into ``(B, features, rows, columns)``."""
        read: Tensor = self.stem(vector)
        return read[..., None, None].expand(-1, -1, *self.latent.grid[1:])


def _reader(stem: nn.Module, latent: Latent, width: int) -> Pyramid | _Everywhere:
    return Pyramid(stem, latent, width) if isinstance(stem, Stem) else _Everywhere(stem, latent)
