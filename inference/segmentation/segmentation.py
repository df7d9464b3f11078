"""A segmentation: the label probabilities of a photograph, its mask, its confidence, its files.

Photographs may be much larger than the grid their probabilities are kept on. Results are
then computed in bands of rows, so that no array of labels × pixels is ever held.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scene.images.io import write_grey, write_image, write_mask
from scene.images.overlay import overlaid
from scene.labels import Labels
from scene.likelihoods import entropy
from scene.storage.files import replace_file

BAND = 2**24
"""Probabilities held at once while a large photograph is read off, 64 MiB of them."""

_ROWS = 256  # of pixels whose best label is looked for at once


@dataclass(frozen=True)
class LabelShare:
    """A label that is present, and how much of the photograph it takes.

    Attributes:
        name: Of the label.
        id: Its number in the mask.
        pixels: Share of the pixels, 0 to 1.
        confidence: Mean probability of the label where it was chosen.
        presence: Probability that the photograph has the class at all, by the classifier that
            guessed it; None where none did.
    """

    name: str
    id: int
    pixels: float
    confidence: float
    presence: float | None = None

    def __str__(self) -> str:
        """The name and the share, and what the classifier gives the class.

        >>> str(LabelShare("cart", 44, 0.5357, 0.99, 0.14))
        'cart 53.6% (guessed with p = 0.14)'
        """
        guess = "" if self.presence is None else f" (guessed with p = {self.presence:.2f})"
        return f"{self.name} {self.pixels:.1%}{guess}"


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The label probabilities of every pixel of one photograph.

    Attributes:
        grid: ``(N, h, w)`` probabilities, on the CPU; the photograph's own pixels, or fewer.
        size: Height and width of the photograph.
        labels: The vocabulary.
        image: The photograph, ``(3, H, W)`` uint8; None where nobody kept it.
        name: What files of it are called, such as the stem of the photograph's own.
        ids: The N labels of ``grid``, in its order; all others have probability 0. None = all L
            labels of the vocabulary.
        presence: Probability of each label that a classifier guessed, by its id.
    """

    grid: Tensor
    size: tuple[int, int]
    labels: Labels
    image: Tensor | None = None
    name: str = "photo"
    ids: tuple[int, ...] | None = None
    presence: Mapping[int, float] = field(default_factory=dict)

    @property
    def probs(self) -> Tensor:
        """Every probability at the photograph's pixels, ``(L, H, W)``: large for large ones."""
        present = torch.cat([band for _, band in self.bands()], dim=1)
        if self.ids is None:
            return present
        whole = present.new_zeros(len(self.labels.names), *self.size)
        whole[list(self.ids)] = present
        return whole

    @property
    def mask(self) -> Tensor:
        """The most probable label of every pixel, ``(H, W)`` uint8 ids."""
        return self._chosen[0]

    @property
    def confidence(self) -> Tensor:
        """The probability of that label, ``(H, W)``."""
        return torch.cat([band.amax(0) for _, band in self.bands()])

    @cached_property
    def entropy(self) -> Tensor:
        """How uncertain every pixel is, ``(H, W)``: 0 = certain, 1 = all labels equally likely."""
        return torch.cat([entropy(band, len(self.labels.names)) for _, band in self.bands()])

    @cached_property
    def shares(self) -> tuple[LabelShare, ...]:
        """The labels that are present, the largest first."""
        mask, total = self._chosen
        count = torch.bincount(mask.flatten(), minlength=len(self.labels.names))
        present = [
            LabelShare(name, i, int(n) / mask.numel(), float(t / n), self.presence.get(i))
            for i, (name, n, t) in enumerate(zip(self.labels.names, count, total, strict=True))
            if n
        ]
        return tuple(sorted(present, key=lambda share: -share.pixels))

    def bands(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield bands of rows: their slice, and their probabilities ``(N, rows, W)``.

        Bilinear between the centres of the grid's cells, as torch's ``interpolate``.
        """
        height, width = self.size
        if self.grid.shape[1:] == self.size:
            yield slice(0, height), self.grid
            return
        step = max(1, BAND // (len(self.grid) * max(width, self.grid.shape[2])))
        place = ((torch.arange(height) + 0.5) * (self.grid.shape[1] / height) - 0.5).clamp(min=0)
        above = place.long()
        below = (above + 1).clamp(max=self.grid.shape[1] - 1)
        part = (place - above)[:, None]
        for first in range(0, height, step):
            some = slice(first, min(height, first + step))
            rows = torch.lerp(self.grid[:, above[some]], self.grid[:, below[some]], part[some])
            shape = (rows.shape[1], width)
            yield (
                some,
                F.interpolate(rows[None], shape, mode="bilinear", align_corners=False)[0],
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain data: size, labels with their shares, mean confidence."""
        return {
            "size": list(self.size),
            "classes": [vars(share) for share in self.shares],
            "confidence": sum(share.pixels * share.confidence for share in self.shares),
        }

    def numpy(self) -> np.ndarray:
        """Return the mask as an array, ``(H, W)`` uint8 label ids."""
        return self.mask.numpy()

    def save(self, path: str | Path, *, force: bool = False) -> list[Path]:
        """Write the mask (``.png``), the probabilities (``.npz``), or a folder of files.

        The folder gets ``NAME_mask.png`` and, where the photograph is held, ``NAME_overlay.png``.

        Args:
            path: Where to; the suffix says which of the three.
            force: Replace files that are there.

        Returns:
            The files that were written.

        Raises:
            FileExistsError: If one exists, and ``force`` does not allow replacing it.
        """
        place = Path(path)
        files = {"probs" if place.suffix == ".npz" else "mask": place}
        if not place.suffix or place.is_dir():
            kinds = ("mask",) if self.image is None else ("mask", "overlay")
            files = {kind: place / f"{self.name}_{kind}.png" for kind in kinds}
        for file in files.values():
            if file.exists() and not force:
                raise FileExistsError(f"{file} exists; choose another, or --force to replace it.")
        for kind, file in files.items():
            write(kind, file, self)
        return list(files.values())

    def _repr_png_(self) -> bytes:
        from io import BytesIO

        from PIL import Image

        colours = torch.from_numpy(self.labels.palette)[self.mask.long()].permute(2, 0, 1)
        pixels = colours if self.image is None else overlay_of(self)
        buffer = BytesIO()
        Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy()).save(buffer, format="PNG")
        return buffer.getvalue()

    @cached_property
    def _chosen(self) -> tuple[Tensor, Tensor]:
        """The mask, and the sum of each label's probability where it was chosen, ``(L,)``."""
        mask = torch.empty(self.size, dtype=torch.uint8)
        total = torch.zeros(len(self.labels.names), dtype=torch.float64)
        label_of = torch.tensor(self.ids if self.ids is not None else range(len(self.grid)))
        for rows, band in self.bands():
            for best, ids in zip(band.split(_ROWS, 1), mask[rows].split(_ROWS), strict=True):
                top = best.max(0)
                chosen = label_of[top.indices]
                ids.copy_(chosen)
                total.index_add_(0, chosen.flatten(), top.values.flatten().double())
        return mask, total


KINDS = {"mask": ".png", "overlay": ".png", "uncertainty": ".png", "probs": ".npz"}
"""What may be written of a photograph, ``<stem>_<kind><suffix>``, with its suffix."""

_OVERLAY_ROWS = 64  # at once

_COMPRESSION = 3  # of overlays: a third of the time of Pillow's 6, and files 5 % larger


def write(kind: str, path: Path, segmentation: Segmentation, opacity: float = 0.5) -> None:
    """Write one kind of file, whole or not at all.

    Args:
        kind: A key of `KINDS`.
        path: Where to; missing folders are made.
        segmentation: What to write of; an overlay needs its photograph.
        opacity: Opacity of overlays, 0 to 1.

    Raises:
        ValueError: If the suffix does not fit, or an overlay has no photograph.
    """
    if kind == "mask":
        write_mask(path, segmentation.mask, segmentation.labels)
    elif kind == "overlay":
        write_image(path, overlay_of(segmentation, opacity), _COMPRESSION)
    elif kind == "uncertainty":
        write_grey(path, segmentation.entropy)
    else:
        write_probs(path, segmentation)


def overlay_of(segmentation: Segmentation, opacity: float = 0.5) -> Tensor:
    """Lay a segmentation over its photograph, with a legend of the labels present.

    Args:
        segmentation: With its photograph.
        opacity: Opacity of the mask, 0 to 1.

    Returns:
        ``(3, H', W')`` uint8, see `scene.images.legend.with_legend`.

    Raises:
        ValueError: If it does not hold its photograph.
    """
    from scene.images.legend import with_legend  # which loads matplotlib

    image = segmentation.image
    if image is None:
        raise ValueError("This segmentation does not store its photograph, so it has no overlay.")
    whole = torch.empty_like(image)
    parts = zip(
        *(x.split(_OVERLAY_ROWS, -2) for x in (whole, image, segmentation.mask)), strict=True
    )
    for there, rows, ids in parts:
        there.copy_(overlaid(rows, ids, segmentation.labels, opacity))
    return with_legend(whole, segmentation.labels, [share.id for share in segmentation.shares])


def write_probs(path: Path, segmentation: Segmentation) -> None:
    """Write the probabilities of a segmentation as an ``.npz`` that is either whole or not there.

    Args:
        path: Where to; its folder is made.
        segmentation: Its ``grid`` becomes ``probs``, ``(N, h, w)`` float32: at the photograph's
            own pixels, or where it has more than the segmenter's ``pixels``, at those that the
            CRF worked on, and without a CRF at the model's own. ``labels`` are the names of its N
            labels, ``ids`` their numbers in masks, and ``size`` is the photograph's height and
            width.
    """
    probs = segmentation.grid.numpy()
    ids = segmentation.ids if segmentation.ids is not None else range(len(probs))
    labels = np.array([segmentation.labels.names[i] for i in ids])
    size = np.array(segmentation.size)

    def save(part: Path) -> None:
        with part.open("wb") as file:
            np.savez(file, probs=probs, labels=labels, ids=np.array(ids), size=size)

    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, save)
