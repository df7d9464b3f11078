"""Scenes generated from a seed: no files, exact masks, and difficulty by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ...labels import Colour, Labels
from ...registry import unknown
from ...sizes import STOCK_SIZE, require_size
from ...views import Scene, Schema, Views, batch
from ..base import SPLITS, SceneDataset
from .presets import PRESETS
from .rendering import paint

COUNTS = {"train": 6000, "tune": 400, "val": 400, "test": 500}
"""How many scenes each split has unless told otherwise."""

MOST = 1_000_000
"""The most scenes of a split: of 64 × 64 pixels, 16 GB."""

_CHUNK = 50  # scenes drawn from one seed; another number would be other scenes

_COLOURS: tuple[Colour, ...] = (
    (0, 0, 0), (230, 97, 82), (74, 144, 217), (244, 178, 62), (96, 179, 112),
    (158, 111, 196), (64, 190, 190), (226, 130, 180),
)  # fmt: skip


class SyntheticScenes(SceneDataset):
    """Scenes of 1 to 3 shapes on a textured ground, painted when they are first asked for.

    Scene i depends on the preset and its version, the split, i and the size only: not on
    ``count``, nor on what was asked for before.

    Args:
        split: ``train``, ``tune``, ``val`` or ``test``; their seeds are disjoint.
        preset: A name of `scene.datasets.synthetic.presets.PRESETS`.
        size: Height and width in pixels; one layout is drawn at any size.
        count: How many scenes the split has; `COUNTS` says if None.

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
        self._painted = [False] * -(-count // _CHUNK)
        self._images = torch.empty(count, 3, *size, dtype=torch.uint8)
        self._masks = torch.empty(count, *size, dtype=torch.uint8)
        self._classes = torch.empty(count, len(self.difficulty.classes))

    def __len__(self) -> int:
        """Count the scenes."""
        return len(self._images)

    def __getitem__(self, index: int) -> Scene:
        """Give one scene, painting it and its neighbours if they are new."""
        i = range(len(self))[index]
        self._paint(i // _CHUNK)
        name = f"{self.name} {self.split} {i}"
        return Scene(self._images[i], self._classes[i], self._masks[i], name)

    def views(self, indices: Sequence[int]) -> Views:
        """Give a batch of scenes, in the order of ``indices``."""
        rows = [range(len(self))[i] for i in indices]
        for chunk in {i // _CHUNK for i in rows}:
            self._paint(chunk)
        return batch(self._images[rows], self._classes[rows], self._masks[rows])

    def _paint(self, chunk: int) -> None:
        """Fill the arrays with a chunk of scenes, all from one seed of its own."""
        if self._painted[chunk]:
            return
        seed = (*self._seed, SPLITS.index(self.split), chunk)
        rng = np.random.default_rng(seed)
        arrays = paint(self.difficulty, rng, _CHUNK, self.schema.size)
        rows = slice(chunk * _CHUNK, min((chunk + 1) * _CHUNK, len(self)))
        images, masks = (torch.from_numpy(array)[: rows.stop - rows.start] for array in arrays)
        self._images[rows], self._masks[rows] = images, masks
        self._classes[rows] = self.schema.labels.vector(masks)
        self._painted[chunk] = True
