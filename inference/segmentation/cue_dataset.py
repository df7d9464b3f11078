"""Training scenes with cues: worked out once by a classifier, kept in the run, shown by batch."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.storage.files import replace_file
from scene.views import Scene, Views

from ..objectives.sec import CUES

FILE = "cues.npz"
"""Where a run keeps its cues."""

MOST = 2**31
"""The most bytes of cues: a million scenes have fewer."""

_AT_ONCE = 50  # scenes whose cues are worked out together


class Cues:
    """The cues of N scenes on a grid, packed eight to a byte.

    Args:
        packed: ``(N, ⌈L · h · w / 8⌉)`` uint8, as `numpy.packbits` makes it.
        shape: L, h and w.
    """

    def __init__(self, packed: np.ndarray, shape: tuple[int, int, int]) -> None:
        self.packed, self.shape = packed, shape

    def __len__(self) -> int:
        return len(self.packed)

    def of(self, indices: Sequence[int]) -> Tensor:
        """Give the cues of some scenes, ``(B, L, h, w)`` bool."""
        bits = np.unpackbits(self.packed[list(indices)], axis=1, count=int(np.prod(self.shape)))
        return torch.from_numpy(bits).bool().view(-1, *self.shape)

    def save(self, path: Path) -> None:
        """Write them, compressed, whole or not at all."""

        def write(part: Path) -> None:
            with part.open("wb") as file:
                np.savez_compressed(file, packed=self.packed, shape=np.array(self.shape))

        replace_file(path, write)

    @classmethod
    def load(cls, path: Path) -> Cues:
        """Read what `save` wrote.

        Raises:
            LookupError: If there is no such file.
            ValueError: If it is damaged.
        """
        if not path.is_file():
            raise LookupError(f"There is no {path}, the cues that this run learns from.")
        try:
            with zipfile.ZipFile(path) as archive:
                sizes = [entry.file_size for entry in archive.infolist()]
            if sum(sizes) > MOST:
                raise ValueError(f"{sum(sizes)} bytes are more than cues take.")
            with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
                packed, (labels, rows, columns) = held["packed"], held["shape"].tolist()
            _require_cues(packed, (labels, rows, columns))
        except MemoryError:
            raise
        except Exception as error:  # by the compression, a damaged file raises anything
            raise ValueError(f"{path} is truncated or damaged; train anew.") from error
        return cls(packed, (labels, rows, columns))

    @classmethod
    def computed(
        cls,
        scenes: int,
        cues_of: Callable[[range], Tensor],
        watch: Callable[[int], None] = lambda done: None,
    ) -> Cues:
        """Work out the cues of N scenes, some at a time.

        Args:
            scenes: N.
            cues_of: Gives the cues of the scenes of a range, ``(B, L, h, w)`` bool.
            watch: Told how many scenes are done.
        """
        packed, shape = [], (0, 0, 0)
        for first in range(0, scenes, _AT_ONCE):
            some = range(first, min(scenes, first + _AT_ONCE))
            cues = cues_of(some).cpu()
            _, *(labels, rows, columns) = cues.shape
            shape = (labels, rows, columns)
            packed.append(np.packbits(cues.flatten(1).numpy(), axis=1))
            watch(some.stop)
        return cls(np.concatenate(packed), shape)


def _require_cues(packed: np.ndarray, shape: tuple[int, ...]) -> None:
    """Refuse what are not the bits of cues of some shape."""
    bits = math.prod(shape)
    whole = all(isinstance(extent, int) and extent > 0 for extent in shape)
    if not whole or packed.dtype != np.uint8 or packed.shape != (len(packed), -(-bits // 8)):
        raise ValueError(f"{packed.dtype} of {packed.shape} are no cues of {shape}.")


class CuedScenes(SceneDataset):
    """Scenes whose batches hold their cues too.

    Cues are of the scenes as they are, so that these are not augmented.

    Args:
        scenes: A dataset.
        cues: Of each of its scenes.

    Raises:
        ValueError: If there are not as many cues as scenes.
    """

    augmentation = "none"

    def __init__(self, scenes: SceneDataset, cues: Cues) -> None:
        if len(scenes) != len(cues):
            raise ValueError(
                f"The cues are of {len(cues)} scenes, but {scenes.name} has {len(scenes)} to "
                "train on; did it change since?"
            )
        self.scenes, self.cues = scenes, cues
        self.name, self.split, self.source = scenes.name, scenes.split, scenes.source
        self.schema = scenes.schema

    def __len__(self) -> int:
        """Count the scenes."""
        return len(self.scenes)

    def __getitem__(self, index: int) -> Scene:
        """Give one scene, without its cues."""
        return self.scenes[index]

    def views(self, indices: Sequence[int]) -> Views:
        """Give a batch of scenes; ``views["cues"]`` is ``(B, L, h, w)`` bool."""
        views = self.scenes.views(indices)
        tensors = {**dict(views.items()), CUES: self.cues.of(indices)}
        return Views(tensors, views.present, views.likelihood_weights)
