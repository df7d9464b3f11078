"""Networks that write a view: pictures from a vector, and classes; a grid may tell them more."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .encoders import STRIDE, Norm, grid, pixels_last, refine


class Painter(nn.Module):
    """Draw a picture from a vector: a linear layer to the coarsest grid, then deconvolutions.

    All but the last are fed batch-normalised, as in `Stem`. Coarse layers are wide, since that is
    where a shape is decided and where width is cheap; fine ones are narrow.

    Args:
        inputs: Length of the vector.
        channels: Channels of the picture.
        size: Its height and width in pixels.
        width: Channels before the last deconvolution; they double at each coarser grid.
        told: Channels of a grid that is told halfway; 0 = there is none.
        cell: Height and width in pixels of a cell of that grid: 2, 4 or 8.

    Shape:
        ``(..., inputs)``, and ``(..., told, rows, columns)``, to ``(..., channels, H, W)``.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        size: tuple[int, int],
        width: int,
        told: int = 0,
        cell: int = 4,
    ) -> None:
        super().__init__()
        self.size, self.coarse = size, (8 * width, *grid(size))
        self.spread = nn.Linear(inputs, math.prod(self.coarse))
        layers: list[nn.Module] = [Norm(8 * width), nn.ReLU()]
        widths = (8 * width, 4 * width, 2 * width, width)
        for inner, outer in pairwise(widths):
            layers += [nn.ConvTranspose2d(inner, outer, 4, stride=2, padding=1, bias=False)]
            layers += [Norm(outer), nn.ReLU()]
        layers += [nn.ConvTranspose2d(width, channels, 2, stride=2)]
        self.deconvolutions = pixels_last(nn.Sequential(*layers))
        halvings = (STRIDE // cell).bit_length() - 1
        self.halfway = 2 + 3 * halvings
        here = widths[halvings]
        self.inlet = refine(here + told, here) if told else None

    def forward(self, vector: Tensor, cells: Tensor | None = None) -> Tensor:
        """Draw pictures."""
        coarse = self.spread(vector).reshape(-1, *self.coarse)
        x = coarse.contiguous(memory_format=torch.channels_last)
        if self.inlet is not None and cells is not None:
            x = self.deconvolutions[: self.halfway](x)
            flat = cells.reshape(-1, *cells.shape[-3:])
            bottom, right = x.shape[-2] - flat.shape[-2], x.shape[-1] - flat.shape[-1]
            x = self.inlet(torch.cat([x, F.pad(flat, (0, right, 0, bottom))], dim=1))
            picture: Tensor = self.deconvolutions[self.halfway :](x).float()
        else:
            picture = self.deconvolutions(x).float()
        picture = picture[..., : self.size[0], : self.size[1]]
        return picture.reshape(*vector.shape[:-1], *picture.shape[-3:])


class ClassHead(nn.Module):
    """Two layers from z to the log odds of each class.

    Args:
        inputs: Length of the vector.
        hidden: Length of what lies between.
        classes: How many there are.
        told: Channels of a grid, of which each class sees the cells that speak for it most.

    Shape:
        ``(..., inputs)``, and ``(..., told, rows, columns)``, to ``(..., C)``.
    """

    def __init__(self, inputs: int, hidden: int, classes: int, told: int = 0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs + (hidden if told else 0), hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )
        self.look = nn.Conv2d(told, hidden, 3, padding=1) if told else None

    def forward(self, vector: Tensor, cells: Tensor | None = None) -> Tensor:
        """Judge each class."""
        if self.look is not None and cells is not None:
            seen = self.look(cells.reshape(-1, *cells.shape[-3:])).amax((-2, -1))
            vector = torch.cat([vector, seen.reshape(*vector.shape[:-1], -1)], dim=-1)
        logits: Tensor = self.layers(vector)
        return logits.float()
