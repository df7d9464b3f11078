"""Seed cues on disk: those of a dataset, with a picture, and those that SEC learns from."""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.datasets.folders.writer import new_folder
from scene.labels import VOID, Labels
from scene.storage.files import replace_file
from scene.storage.names import within
from scene.storage.outputs import require_free, without
from scene.views import Scene, Views

from ..build import Assembly
from ..objectives.sec import CUES
from ..runs.run import write_json
from .cues import CueSettings, find_cues
from .figures import draw_cues

REPORT, PICTURE = "cues.json", "cues.png"
"""What a folder of cues holds beside its archives; the former marks it as one."""

LABELLED = ("train", "tune")
"""The splits whose own labels say which classes are present; elsewhere the classifier does."""

_AT_ONCE, _DRAWN = 32, 6


@dataclass(frozen=True)
class CueScore:
    """How right cues are, wherever masks exist, in percent of pixels that are not void.

    Attributes:
        precision: Of the pixels cued as a label, those that are it; None where none is cued.
        coverage: Of the pixels that are a label, those cued as it; None where there are none.
        scenes: Number of scenes with a mask.
        weak: Number of those masks that are pseudo-labels.
    """

    precision: dict[str, float | None]
    coverage: dict[str, float | None]
    scenes: int
    weak: int = 0


class CueScorer:
    """Counts cued, right and true pixels over any number of scenes.

    >>> scorer = CueScorer(Labels(("background", "cat")))
    >>> cues = torch.tensor([[[True, False]], [[False, True]]])
    >>> scorer.add(cues, torch.tensor([[0, 1, 1, 1]]))
    >>> scorer.score().precision["background"], scorer.score().coverage["all"]
    (50.0, 75.0)
    """

    def __init__(self, labels: Labels) -> None:
        self.labels, self.scenes, self.weak = labels, 0, 0
        self.counts = torch.zeros(3, len(labels.names), dtype=torch.int64)

    def add(self, cues: Tensor, mask: Tensor, weak: bool = False) -> None:
        """Count a scene: cues ``(L, h, w)`` bool, laid over its mask ``(H, W)`` of label ids."""
        self.weak += weak
        height, width = mask.shape
        rows = torch.arange(height) * cues.shape[1] // height
        columns = torch.arange(width) * cues.shape[2] // width
        laid = cues[:, rows][:, :, columns] & (mask != VOID)
        true = mask == torch.arange(len(cues))[:, None, None]
        both = torch.stack([laid, laid & true, true])
        self.counts += both.flatten(2).sum(-1)
        self.scenes += 1

    def score(self) -> CueScore:
        """Score all that was counted, each label and ``all`` together."""
        cued, right, true = torch.cat([self.counts, self.counts.sum(1, True)], 1).tolist()
        names = (*self.labels.names, "all")
        return CueScore(
            dict(zip(names, map(_percent, right, cued), strict=True)),
            dict(zip(names, map(_percent, right, true), strict=True)),
            self.scenes,
            self.weak,
        )


@dataclass(frozen=True)
class CueFiles:
    """A folder of cues: where it is, of how many scenes, and how right they are."""

    folder: Path
    scenes: int
    score: CueScore


def write_cues(
    folder: Path,
    assembly: Assembly,
    dataset: SceneDataset,
    settings: CueSettings,
    *,
    limit: int | None = None,
    force: bool = False,
    about: dict[str, Any] | None = None,
    watch: Callable[[int, int], None] = lambda done, scenes: None,
) -> CueFiles:
    """Write maps and cues of a split, whole or not at all.

    Each scene's ``<name>.npz`` holds ``maps`` ``(C, h, w)``, each divided by its maximum;
    ``seeds`` ``(L, h, w)`` bool; ``present``, the classes looked for; ``labels`` and ``classes``,
    the names of both dimensions.

    Args:
        folder: Where to.
        assembly: A classifier.
        dataset: The split.
        settings: The settings of cues.
        limit: Only the first so many scenes.
        force: Replace cues that are in ``folder``.
        about: More for the report.
        watch: Called with the number of scenes done, and their total.

    Raises:
        FileExistsError: If there is something in ``folder`` that may not be replaced.
        ValueError: If the split is empty, or background is to be cued and there is none.
    """
    require_cues_folder(folder, force)
    count = len(dataset) if limit is None else min(limit, len(dataset))
    if count < 1:
        raise ValueError(f"There is no scene of {dataset.name} {dataset.split} to find cues in.")
    with new_folder(folder) as part:
        scorer = _fill(part, assembly, dataset, settings, count, watch)
        report = {"scenes": count, "settings": asdict(settings), **asdict(scorer.score())}
        write_json(part / REPORT, {**(about or {}), **report})
    return CueFiles(folder, count, scorer.score())


def require_cues_folder(folder: Path, force: bool) -> None:
    """Refuse a folder that cues may not be written to, see `require_free`."""
    require_free(folder, force, folder="a set of cues", foreign=without(REPORT))


def _fill(
    folder: Path,
    assembly: Assembly,
    dataset: SceneDataset,
    settings: CueSettings,
    count: int,
    watch: Callable[[int, int], None],
) -> CueScorer:
    """Write the archives and the picture into a folder, scoring on the way."""
    labels = dataset.schema.labels
    labelled = dataset.split in LABELLED
    scorer, stems = CueScorer(labels), set[str]()
    for first in range(0, count, _AT_ONCE):
        rows = range(first, min(count, first + _AT_ONCE))
        cues = find_cues(assembly, dataset, rows, settings=settings, labelled=labelled)
        scenes = [dataset[i] for i in rows]
        for scene, maps, seeds, present in zip(
            scenes, cues.maps, cues.seeds, cues.present, strict=True
        ):
            np.savez_compressed(
                within(folder, folder / f"{_stem(scene.name, stems)}.npz"),
                maps=maps.numpy(),
                seeds=seeds.numpy(),
                present=present.numpy(),
                labels=np.array(labels.names),
                classes=np.array(labels.classes),
            )
            if scene.mask is not None:
                scorer.add(seeds, scene.mask, "mask" in scene.weak)
        if first == 0:
            draw_cues(folder / PICTURE, scenes[:_DRAWN], cues, labels)
        watch(rows.stop, count)
    return scorer


def _stem(name: str, stems: set[str]) -> str:
    """Make a file's name of a scene's, one that no other scene has."""
    stem = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "scene"
    choices = (stem if n == 1 else f"{stem}-{n}" for n in range(1, len(stems) + 2))
    stem = next(choice for choice in choices if choice not in stems)
    stems.add(stem)
    return stem


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


FILE = "cues.npz"
"""Where a run keeps its cues."""

MOST = 2**31
"""The most bytes of cues: a million scenes have fewer."""

_TOGETHER = 50  # scenes whose cues are worked out together


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
        """Return the cues of some scenes, ``(B, L, h, w)`` bool."""
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
                raise ValueError(f"The file holds {sum(sizes)} bytes, more than cues can have.")
            with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
                packed, (labels, rows, columns) = held["packed"], held["shape"].tolist()
            _require_cues(packed, (labels, rows, columns))
        except MemoryError:
            raise
        except Exception as error:  # by the compression, a damaged file raises anything
            raise ValueError(f"{path} is truncated or damaged; train again.") from error
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
            watch: Called with the number of scenes done.
        """
        packed, shape = [], (0, 0, 0)
        for first in range(0, scenes, _TOGETHER):
            some = range(first, min(scenes, first + _TOGETHER))
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
        raise ValueError(
            f"Cues of shape {shape} cannot be read from {packed.dtype} of shape {packed.shape}."
        )


class CuedScenes(SceneDataset):
    """Scenes whose batches hold their cues too.

    Those of a mirrored scene are mirrored; no other augmentation is possible.

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
                f"The run has cues for {len(cues)} scenes, but {scenes.name} now has "
                f"{len(scenes)} training scenes; restore the data, or train again."
            )
        self.scenes, self.cues = scenes, cues
        self.name, self.split, self.source = scenes.name, scenes.split, scenes.source
        self.schema = scenes.schema

    def __len__(self) -> int:
        """Count the scenes."""
        return len(self.scenes)

    def __getitem__(self, index: int) -> Scene:
        """Return one scene, without its cues."""
        return self.scenes[index]

    def views(self, indices: Sequence[int]) -> Views:
        """Return a batch of scenes; ``views["cues"]`` is ``(B, L, h, w)`` bool."""
        return self._with_cues(self.scenes.views(indices), self.cues.of(indices))

    def augmented_views(self, scenes: Sequence[Scene], indices: Sequence[int]) -> Views:
        """Return a batch of scenes, of which some are mirrored, with cues that fit."""
        cues = self.cues.of(indices)
        mirrored = torch.tensor([scene.mirrored for scene in scenes])
        cues[mirrored] = cues[mirrored].flip(-1)
        return self._with_cues(self.scenes.augmented_views(scenes, indices), cues)

    def _with_cues(self, views: Views, cues: Tensor) -> Views:
        tensors = {**dict(views.items()), CUES: cues}
        return Views(tensors, views.present, views.likelihood_weights)
