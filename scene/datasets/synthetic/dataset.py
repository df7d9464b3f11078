"""Synthetic scenes: generated from a seed, with exact masks and presets of difficulty."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...labels import Colour, Labels
from ...registry import unknown
from ...sizes import STOCK_SIZE, require_size
from ...views import Scene, Schema, Views, batch
from ..base import SPLITS, Readings, SceneDataset
from .ambiguity import ambiguous_layout, render_ambiguous
from .presets import PRESETS, Ambiguity
from .rendering import render

COUNTS = {"train": 6000, "tune": 400, "val": 400, "test": 500}
"""Default number of scenes of each split."""

MOST = 1_000_000
"""The most scenes of a split: 16 GB at 64×64 pixels."""

_CHUNK = 50  # scenes from one seed; another number would give other scenes

_COLOURS: tuple[Colour, ...] = (
    (0, 0, 0), (230, 97, 82), (74, 144, 217), (244, 178, 62), (96, 179, 112),
    (158, 111, 196), (64, 190, 190), (226, 130, 180),
)  # fmt: skip


class SyntheticScenes(SceneDataset):
    """Scenes of 1 to 3 shapes on a textured ground, rendered at their first use.

    Scene i depends on the preset and its version, the split, i and the size only, not on
    ``count`` or on earlier scenes.

    Args:
        split: ``train``, ``tune``, ``val`` or ``test``; their seeds are disjoint.
        preset: A name of `scene.datasets.synthetic.presets.PRESETS`.
        size: Height and width in pixels; the layout of a scene is the same at every size.
        count: Number of scenes; None = as in `COUNTS`.

    Raises:
        LookupError: If there is no such split or preset; the message suggests the nearest.
        ValueError: If there are no scenes, or they are too small.

    >>> scenes = SyntheticScenes("test", count=10)
    >>> scenes[3].image.shape, scenes.schema.labels.classes[:2]
    (torch.Size([3, 64, 64]), ('circle', 'square'))
    """

    def __init__(
        self,
        split: str = "train",
        preset: str = "default",
        size: tuple[int, int] = STOCK_SIZE,
        count: int | None = None,
    ) -> None:
        if split not in SPLITS:
            raise LookupError(unknown(split, SPLITS, "split") + ".")
        if preset not in PRESETS:
            raise LookupError(unknown(preset, PRESETS, "preset of synthetic scenes") + ".")
        count = COUNTS[split] if count is None else count
        if count < 1:
            raise ValueError(f"A dataset has at least one scene, not {count}.")
        if count > MOST:
            raise ValueError(f"At most {MOST} scenes are generated, not {count}.")
        require_size(size)
        self.difficulty = PRESETS[preset]
        names = ("background", *self.difficulty.classes)
        self.name, self.source = f"synthetic-{preset}", f"synthetic:{preset}"
        self.split = split
        self.schema = Schema(Labels(names, _COLOURS[: len(names)]), size)
        self.augmentation = self.difficulty.augmentation
        self._seed = (self.difficulty.version, int.from_bytes(preset.encode(), "big"))
        self._last_readings: tuple[int, Tensor, Tensor] | None = None
        self._rendered = [False] * -(-count // _CHUNK)
        self._images = torch.empty(count, 3, *size, dtype=torch.uint8)
        self._masks = torch.empty(count, *size, dtype=torch.uint8)
        self._classes = torch.empty(count, len(self.difficulty.classes))

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self._images)

    def __getitem__(self, index: int) -> Scene:
        """Return one scene; it is rendered together with its chunk."""
        i = range(len(self))[index]
        self._render(i // _CHUNK)
        name = f"{self.name} {self.split} {i}"
        return Scene(self._images[i], self._classes[i], self._masks[i], name)

    def views(self, indices: Sequence[int]) -> Views:
        """Return a batch of scenes, in the order of ``indices``."""
        rows = [range(len(self))[i] for i in indices]
        for chunk in {i // _CHUNK for i in rows}:
            self._render(chunk)
        return batch(self._images[rows], self._classes[rows], self._masks[rows])

    def readings(self, index: int) -> Readings:
        """Return every mask that the image of one scene may have; only of an `Ambiguity`.

        They are p(mask | image) for whoever sees from the image where the object lies, which noise
        leaves uncertain by a fraction of a pixel.

        Raises:
            LookupError: If each scene of the preset has one mask.
        """
        if not isinstance(self.difficulty, Ambiguity):
            return super().readings(index)
        chunk, row = divmod(range(len(self))[index], _CHUNK)
        if self._last_readings is None or self._last_readings[0] != chunk:
            scenes = ambiguous_layout(self.difficulty, self._generator(chunk), _CHUNK)
            masks = torch.from_numpy(scenes.masks(self.schema.size))
            self._last_readings = chunk, masks, torch.from_numpy(scenes.probabilities)
        _, masks, probabilities = self._last_readings
        known = probabilities[row] > 0
        return Readings(masks[row, known], probabilities[row, known])

    def _generator(self, chunk: int) -> np.random.Generator:
        """Return the source of all random numbers of a chunk of scenes."""
        return np.random.default_rng((*self._seed, SPLITS.index(self.split), chunk))

    def _render(self, chunk: int) -> None:
        """Render a chunk of scenes from the chunk's own seed."""
        if self._rendered[chunk]:
            return
        rng, size = self._generator(chunk), self.schema.size
        arrays = (
            render_ambiguous(self.difficulty, rng, _CHUNK, size)
            if isinstance(self.difficulty, Ambiguity)
            else render(self.difficulty, rng, _CHUNK, size)
        )
        rows = slice(chunk * _CHUNK, min((chunk + 1) * _CHUNK, len(self)))
        images, masks = (torch.from_numpy(array)[: rows.stop - rows.start] for array in arrays)
        self._images[rows], self._masks[rows] = images, masks
        self._classes[rows] = self.schema.labels.vector(masks)
        self._rendered[chunk] = True
