"""Where unaries come from: a run's predictions, a folder of arrays, or true labels made noisy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from zlib import crc32

import torch
from torch import Tensor
from torch.nn import functional

from scene.datasets.base import SceneDataset
from scene.datasets.catalogue import open_data
from scene.datasets.folders.scenes import FolderScenes
from scene.labels import VOID
from scene.views import Scene

from ...crf.arrays import float_array, read_probs
from ...crf.checks import check_probs
from ..cache import dataset_digest, digest


@dataclass(frozen=True)
class Example:
    """One scene at its stored pixels, or those of them that the unaries cover.

    Attributes:
        probs: ``(L, H, W)`` float32: the unaries.
        image: ``(H, W, 3)`` uint8.
        mask: ``(H, W)`` uint8 true labels, 255 = void.
        name: What to call it in messages.
    """

    probs: Tensor
    image: Tensor
    mask: Tensor
    name: str


@dataclass(frozen=True)
class Scenes:
    """Which scenes, and where their unaries are: plain data, so that every process opens its own.

    Attributes:
        data: The data, as for ``--data``.
        split: Split of the data.
        unaries: Where probabilities come from.
        size: At which the data are framed; only predictions of a run care.
        limit: Take so many scenes only; None = all.
        seed: Seed of the choice of these scenes; None = the first.
    """

    data: str
    split: str
    unaries: Unaries
    size: tuple[int, int] | None = None
    limit: int | None = None
    seed: int | None = None

    def open(self) -> SceneDataset:
        """Open the data; raises what `scene.datasets.catalogue.open_data` does."""
        return open_data(self.data, self.split, self.size)

    def rows(self, dataset: SceneDataset) -> list[int]:
        """Return the indices of the scenes to use, in order."""
        return rows(dataset, self.limit, self.seed)

    def fingerprint(self, dataset: SceneDataset) -> str:
        """Change whenever the scenes or their unaries do."""
        chosen = self.rows(dataset)
        return digest(dataset_digest(dataset, chosen), chosen, self.unaries.fingerprint())

    def example(self, dataset: SceneDataset, index: int) -> Example | None:
        """Read one scene; None if it has no image or no mask.

        Raises:
            ValueError: If its unaries do not fit it; the message names the file.
        """
        scene = dataset.original(index)
        if scene.image is None or scene.mask is None:
            return None
        probs, covered = self.unaries.probs(dataset, index, scene)
        rows, columns = (covered.any(axis).nonzero().squeeze(-1) for axis in (1, 0))
        down = slice(int(rows[0]), int(rows[-1]) + 1)
        across = slice(int(columns[0]), int(columns[-1]) + 1)
        image = scene.image[:, down, across].permute(1, 2, 0).contiguous()
        probs = probs[:, down, across].contiguous()
        return Example(probs, image, scene.mask[down, across].contiguous(), scene.name)

    def examples(self) -> Iterator[Example]:
        """Read every scene taken that has a mask, one by one."""
        dataset = self.open()
        for index in self.rows(dataset):
            if (example := self.example(dataset, index)) is not None:
                yield example


def rows(dataset: SceneDataset, limit: int | None, seed: int | None) -> list[int]:
    """Choose at most ``limit`` scenes with masks: the first, or a sample drawn from a seed.

    Raises:
        ValueError: If the limit is below 1, or no scene has a mask.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"--limit must be 1 or more, not {limit}.")
    indices = list(range(len(dataset)))
    if isinstance(dataset, FolderScenes):
        indices = [i for i, entry in enumerate(dataset.entries) if entry.mask is not None]
    if not indices:
        raise ValueError(f"No scene of {dataset.name} {dataset.split} has a mask.")
    if limit is None or seed is None:
        return indices[:limit]
    order = torch.randperm(len(indices), generator=torch.Generator().manual_seed(seed))
    return sorted(indices[i] for i in order[:limit].tolist())


class Unaries(Protocol):
    """Something that gives per-pixel probabilities; plain data, so that it can be sent about."""

    @property
    def title(self) -> str:
        """The name of the unaries in a table."""

    def probs(self, dataset: SceneDataset, index: int, scene: Scene) -> tuple[Tensor, Tensor]:
        """Return probabilities of one scene at its stored pixels, and which of those they cover.

        Returns:
            ``(L, H, W)`` float32 and ``(H, W)`` bool.
        """

    def fingerprint(self) -> str:
        """Change whenever the probabilities may."""


@dataclass(frozen=True)
class Arrays:
    """``<scene>.npy`` or ``.npz`` files of probabilities ``(L, H, W)`` at the stored pixels.

    Attributes:
        folder: Where they are.
    """

    folder: Path

    @property
    def title(self) -> str:
        """The folder's name."""
        return self.folder.name

    def probs(self, dataset: SceneDataset, index: int, scene: Scene) -> tuple[Tensor, Tensor]:
        """Read one scene's file; see `Unaries`."""
        assert scene.image is not None
        path = _array_of(self.folder, scene.name)
        expected = (len(dataset.schema.labels.names), *scene.image.shape[1:])

        def check(shape: tuple[int, ...]) -> None:
            if shape != expected:
                came, want = ("×".join(map(str, extents)) for extents in (shape, expected))
                raise ValueError(f"{path} is {came}, but {scene.name} needs {want} (L, H, W).")

        array = torch.from_numpy(float_array(read_probs(path, check)))
        try:
            check_probs(array)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        return array, torch.ones(expected[1:], dtype=torch.bool)

    def fingerprint(self) -> str:
        """Hash names, sizes and times of change: contents may be many gigabytes."""
        if not self.folder.is_dir():
            raise FileNotFoundError(f"There is no folder {self.folder} of probabilities.")
        files = sorted(p for p in self.folder.iterdir() if p.suffix in (".npy", ".npz"))
        if not files:
            raise FileNotFoundError(f"{self.folder} holds no .npy or .npz files.")
        contents = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files]
        return digest("arrays", contents)


@dataclass(frozen=True)
class Noise:
    """The ground-truth masks made wrong in places and blurred: a stand-in for a segmenter.

    Attributes:
        wrong: Share of patches whose label is drawn anew from all labels.
        grain: Side of a patch in pixels: errors that neighbours share are harder to mend.
        blur: Pixels by which each label is smeared, as the side of a box applied twice.
        seed: Seed of the choice of pixels; each scene has its own draw.
    """

    wrong: float = 0.4
    grain: int = 4
    blur: int = 5
    seed: int = 0

    @property
    def title(self) -> str:
        """The name of the unaries in a table."""
        return f"noisy truth ({self.wrong:.0%} of labels)"

    def probs(self, dataset: SceneDataset, index: int, scene: Scene) -> tuple[Tensor, Tensor]:
        """Spoil one scene's mask; see `Unaries`."""
        assert scene.mask is not None
        count = len(dataset.schema.labels.names)
        draw = torch.Generator().manual_seed(crc32(f"{self.seed} {scene.name}".encode()))
        mask = scene.mask.long()
        patches = [-(-side // self.grain) for side in mask.shape]
        coarse = torch.rand(patches, generator=draw) < self.wrong
        wrong = self._spread(coarse, mask) | (mask == VOID)
        guess = self._spread(torch.randint(count, patches, generator=draw), mask)
        hot = functional.one_hot(torch.where(wrong, guess, mask), count).permute(2, 0, 1)
        smooth = hot.float()[None]
        for _ in range(2):
            smooth = functional.avg_pool2d(
                functional.pad(smooth, [self.blur // 2] * 4, mode="replicate"), self.blur, 1
            )
        floored = smooth[0] + 1e-3
        return floored / floored.sum(0), torch.ones(mask.shape, dtype=torch.bool)

    def fingerprint(self) -> str:
        """Hash the settings."""
        return digest("noise", self)

    def _spread(self, patches: Tensor, mask: Tensor) -> Tensor:
        """Return a map with the value of its patch at every pixel of a mask."""
        height, width = mask.shape
        whole = patches.repeat_interleave(self.grain, 0).repeat_interleave(self.grain, 1)
        return whole[:height, :width]


def _array_of(folder: Path, name: str) -> Path:
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder} of probabilities.")
    for suffix in (".npy", ".npz"):
        if (path := folder / f"{name}{suffix}").is_file():
            return path
    raise FileNotFoundError(f"{folder} has no {name}.npy or .npz, the unaries of that scene.")
