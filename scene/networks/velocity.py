"""Networks of flows: features of whichever views are given, the velocity of z, and of an image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .spatial import Latent

FREQUENCIES = 16
"""Sines, and as many cosines, by which the time is read."""

GROUPS = 8
"""Groups of channels that are normalised together; widths are multiples of it."""

HEAD = 32
"""Channels of a head of attention."""

MULTIPLE = 8
"""Sides of images are filled up to a multiple of it."""


class ViewFeatures(nn.Module):
    """Features of the views that a scene has, of the whole and, where z has a grid, of its cells.

    They are made of readings: what an encoder says of a view, a vector or maps on z's grid.
    Features of several views are added. Those of a view that a scene lacks are zero, and the
    whole's tell which views were there.

    Args:
        readings: For each reading of a view, its channels, and whether these are maps. It is named
            as the view, or, if there are several of one, ``view.what``.
        latent: The layout of z.
        features: F, the number of features.

    Shape:
        B scenes to ``(B, F)`` and ``(B, F, rows, columns)``; the latter is None without a grid.
    """

    def __init__(
        self, readings: Mapping[str, tuple[int, bool]], latent: Latent, features: int
    ) -> None:
        super().__init__()
        self.latent, self.features, self.names = latent, features, tuple(readings)
        self.views = tuple(dict.fromkeys(name.partition(".")[0] for name in readings))
        self.whole = nn.ModuleDict(
            {
                key_of(name): nn.Sequential(nn.Linear(size * (1 + maps), features), nn.SiLU())
                for name, (size, maps) in readings.items()
            }
        )
        self.cells = nn.ModuleDict(
            {
                key_of(name): nn.Sequential(
                    nn.Conv2d(size, features, 1),
                    nn.SiLU(),
                    nn.Conv2d(features, features, 3, padding=1),
                )
                for name, (size, maps) in readings.items()
                if maps
            }
        )
        self.given = nn.Linear(len(self.views), features)

    def forward(
        self, readings: Mapping[str, Tensor], present: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Return the features.

        Args:
            readings: Those of each view that any scene has, ``(B, channels)`` or
                ``(B, channels, rows, columns)``.
            present: Which scenes have which views, ``(B, V)`` bool, in the order of ``views``.
        """
        whole = self.given(present.float())
        _, rows, columns = self.latent.grid
        cells = torch.zeros(len(present), self.features, rows, columns, device=present.device)
        for name in self.names:
            if name not in readings:
                continue
            here = present[:, self.views.index(name.partition(".")[0])].float()
            reading = readings[name]
            maps = reading.dim() > 2
            pooled = (
                torch.cat([reading.mean((-2, -1)), reading.amax((-2, -1))], -1)
                if maps
                else reading
            )
            whole = whole + self.whole[key_of(name)](pooled) * here[:, None]
            if maps:
                cells = cells + self.cells[key_of(name)](reading) * here[:, None, None, None]
        return whole, cells if self.latent.channels else None


class Velocity(nn.Module):
    """The velocity of z at a time between 0 (noise) and 1 (z), given features of the views.

    A small U-Net over the grid, two resolutions deep, each of which ends with attention among all
    cells, so that these agree on what an object is; its layers are scaled and shifted by an
    embedding of the time, of the vector and of the whole scene's features. Without a grid, a
    multilayer perceptron.

    Args:
        latent: The layout of z.
        width: Channels at the grid's resolution, twice as many below it; a multiple of `GROUPS`.
        features: F, the length of the features of views.
        depth: Residual blocks at each resolution.

    Shape:
        z ``(B, L)``, times ``(B,)``, features ``(B, F)`` and ``(B, F, rows, columns)``, to
        ``(B, L)``.
    """

    def __init__(self, latent: Latent, width: int, features: int, depth: int = 2) -> None:
        super().__init__()
        self.latent = latent
        embedding = 4 * width
        inputs = 2 * FREQUENCIES + latent.vector + features
        self.embed = nn.Sequential(
            nn.Linear(inputs, embedding),
            nn.SiLU(),
            nn.Linear(embedding, embedding),
            nn.SiLU(),
        )
        channels, rows, columns = latent.grid
        pooled = 0
        if channels:
            pooled = 2 * width
            self.enter = nn.Conv2d(channels + features, width, 3, padding=1)
            self.place = nn.Parameter(torch.zeros(width, rows, columns))
            self.fine = _blocks(depth, width, embedding)
            self.attention = nn.ModuleList(_Attention(n) for n in (width, 2 * width, width))
            self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
            self.coarse = _blocks(depth + 1, 2 * width, embedding)
            self.up = nn.Conv2d(2 * width, width, 1)
            self.last = _blocks(depth, width, embedding)
            self.leave = nn.Conv2d(width, channels, 3, padding=1)
            nn.init.zeros_(self.leave.weight)
        self.vector = nn.Sequential(
            nn.Linear(embedding + pooled, embedding),
            nn.SiLU(),
            nn.Linear(embedding, embedding),
            nn.SiLU(),
            nn.Linear(embedding, latent.vector),
        )
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, time: Tensor, whole: Tensor, cells: Tensor | None) -> Tensor:
        """Return the velocity of z."""
        vector, grid = self.latent.split(z)
        e = self.embed(torch.cat([waves(time), vector, whole], dim=-1))
        if grid is None or cells is None:
            return cast(Tensor, self.vector(e))
        x = torch.cat([grid, cells], dim=1).contiguous(memory_format=torch.channels_last)
        x = self.enter(x) + self.place
        for block in self.fine:
            x = block(x, e)
        x = self.attention[0](x)
        deep = self.down(x)
        for block in self.coarse:
            deep = block(deep, e)
        deep = self.attention[1](deep)
        x = x + F.interpolate(self.up(deep), size=x.shape[-2:])
        for block in self.last:
            x = block(x, e)
        x = self.attention[2](x)
        of_vector = self.vector(torch.cat([e, deep.mean((-2, -1))], dim=-1))
        return torch.cat([of_vector, self.leave(F.silu(x)).flatten(1)], dim=-1)


class ImageVelocity(nn.Module):
    """The velocity of an image at a time between 0 (noise) and 1, given other pictures of it.

    A U-Net, three resolutions deep, of which the finest has cells of 2×2 pixels and the coarsest
    attention among all cells, so that an object has one colour; its layers are scaled and shifted
    by an embedding of the time.

    Args:
        conditions: Channels of the other pictures.
        width: Channels at the finest resolution, 2 and 3 times as many below; a multiple of
            `GROUPS`.
        depth: Residual blocks at each resolution, on the way down and on the way up.

    Shape:
        An image ``(B, 3, H, W)``, times ``(B,)``, pictures ``(B, conditions, H, W)``, to
        ``(B, 3, H, W)``.
    """

    def __init__(self, conditions: int, width: int, depth: int = 2) -> None:
        super().__init__()
        embedding, widths = 4 * width, (width, 2 * width, 3 * width)
        self.embed = nn.Sequential(
            nn.Linear(2 * FREQUENCIES, embedding),
            nn.SiLU(),
            nn.Linear(embedding, embedding),
            nn.SiLU(),
        )
        self.enter = nn.Conv2d(4 * (3 + conditions), width, 3, padding=1)
        self.down = nn.ModuleList(
            nn.Conv2d(fine, coarse, 3, stride=2, padding=1) for fine, coarse in pairwise(widths)
        )
        self.up = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in pairwise(widths))
        self.before = nn.ModuleList(_blocks(depth, channels, embedding) for channels in widths)
        self.attention = nn.ModuleList(_Attention(widths[-1]) for _ in range(depth))
        self.after = nn.ModuleList(_blocks(depth, channels, embedding) for channels in widths[:-1])
        self.leave = nn.Conv2d(width, 12, 3, padding=1, bias=False)
        nn.init.zeros_(self.leave.weight)
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor, time: Tensor, conditions: Tensor) -> Tensor:
        """Return the velocity of the image."""
        height, width = image.shape[-2:]
        margins = (0, -width % MULTIPLE, 0, -height % MULTIPLE)
        whole = F.pad(torch.cat([image, conditions], dim=1), margins, mode="replicate")
        x = F.pixel_unshuffle(whole, 2).contiguous(memory_format=torch.channels_last)
        e, x, skips = self.embed(waves(time)), self.enter(x), list[Tensor]()
        for level, blocks in enumerate(self.before):
            for place, block in enumerate(cast(nn.ModuleList, blocks)):
                x = block(x, e)
                if level == len(self.down):
                    x = self.attention[place](x)
            if level < len(self.down):
                skips.append(x)
                x = self.down[level](x)
        for level in reversed(range(len(self.up))):
            x = skips[level] + F.interpolate(self.up[level](x), scale_factor=2.0)
            for block in cast(nn.ModuleList, self.after[level]):
                x = block(x, e)
        velocity = F.pixel_shuffle(self.leave(F.silu(x)), 2)
        return velocity[..., :height, :width]


class _Block(nn.Module):
    """Two normalised convolutions beside the identity, at first the identity alone."""

    def __init__(self, channels: int, embedding: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.GroupNorm(GROUPS, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1)
        )
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.film = nn.Linear(embedding, 2 * channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.film(embedding)[..., None, None].chunk(2, dim=1)
        inner = self.norm(self.first(x)) * (1 + scale) + shift
        return x + cast(Tensor, self.second(F.silu(inner)))


class _Attention(nn.Module):
    """Self-attention over cells, beside the identity, at first the identity alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = max(1, channels // HEAD)
        self.enter = nn.Sequential(
            nn.GroupNorm(GROUPS, channels), nn.Conv2d(channels, 3 * channels, 1)
        )
        self.leave = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.leave.weight)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.enter(x).flatten(2).unflatten(1, (3 * self.heads, -1)).transpose(2, 3)
        mixed = F.scaled_dot_product_attention(*parts.chunk(3, dim=1))
        whole = mixed.transpose(2, 3).flatten(1, 2).unflatten(2, x.shape[-2:])
        return x + cast(Tensor, self.leave(whole))


def _blocks(count: int, channels: int, embedding: int) -> nn.ModuleList:
    return nn.ModuleList(_Block(channels, embedding) for _ in range(count))


def key_of(name: str) -> str:
    """Return a name without dots, which names of modules may not hold."""
    return name.replace(".", "_")


def waves(time: Tensor) -> Tensor:
    """Return sines and cosines of times in [0, 1]: ``(B,)`` to ``(B, 2 · FREQUENCIES)``."""
    rates = torch.linspace(0, math.log(1000), FREQUENCIES, device=time.device).exp()
    angles = time[..., None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
