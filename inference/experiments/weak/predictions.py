"""What a stage believes of a split's scenes, kept on disk for a dense CRF to be measured on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.storage.files import replace_file
from scene.views import Scene

from ...crf.arrays import read_probs
from ...runs.run import WEIGHTS, Run
from ...segmentation.segmenter import Segmenter, upsample
from ...segmentation.stages import STAGES
from ..fingerprints import digest, fingerprint

_ABOUT = "about.txt"
_AT_ONCE = 32


@dataclass(frozen=True)
class Beliefs:
    """Unaries of whole scenes as `Segmenter.segment` has them before its CRF.

    They are kept at the model's size and brought to the stored pixels when they are asked for;
    nothing is cropped away.

    Attributes:
        folder: Files ``<index>.npy``; `believed` fills it.
        about: What they were made from, as a digest.
        title: What to call them.
    """

    folder: Path
    about: str
    title: str

    def probs(self, dataset: SceneDataset, index: int, scene: Scene) -> tuple[Tensor, Tensor]:
        """Read one scene's; see `inference.experiments.crf.unaries.Unaries`."""
        assert scene.image is not None
        size = (scene.image.shape[-2], scene.image.shape[-1])
        kept = torch.from_numpy(read_probs(self.folder / f"{index}.npy"))
        return upsample(kept, size), torch.ones(size, dtype=torch.bool)

    def fingerprint(self) -> str:
        """Give the digest of what they were made from."""
        return self.about


def believed(
    segmenter: Segmenter,
    run: Run,
    dataset: SceneDataset,
    rows: Sequence[int],
    folder: Path,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> Beliefs:
    """Ask a stage about scenes and keep what it believes before any CRF.

    Args:
        segmenter: The stage.
        run: Whose weights it has.
        dataset: Of the same labels; a scene's truth is not looked at.
        rows: The indices of the scenes, each of which has an image.
        folder: Where beliefs go; those that are there already and still fit are kept.
        watch: Told how many scenes are done, of how many.

    Raises:
        ValueError: If the dataset has other labels.
    """
    segmenter.schema.labels.require(dataset.schema.labels, dataset.name)
    source = STAGES[segmenter.stage].source
    told = (source, segmenter.look if source == "gradcam" else None, segmenter.seed)
    about = digest(weights_of(run), told, fingerprint(dataset, rows), tuple(rows))
    found = Beliefs(folder.absolute(), about, source)
    note = folder / _ABOUT
    if note.is_file() and note.read_bytes().strip() == about.encode():
        return found
    folder.mkdir(parents=True, exist_ok=True)
    note.unlink(missing_ok=True)
    for first in range(0, len(rows), _AT_ONCE):
        some = rows[first : first + _AT_ONCE]
        images = [dataset.original(index).image for index in some]
        framed = torch.stack([segmenter.resized(image) for image in images if image is not None])
        for index, probs in zip(some, segmenter.probabilities(framed).float().cpu(), strict=True):
            np.save(folder / f"{index}.npy", probs.numpy())
        watch(first + len(some), len(rows))
    replace_file(note, lambda part: part.write_text(about + "\n"))
    return found


def weights_of(run: Run) -> str:
    """Hash what a run learned; of one that is not complete, nothing."""
    path = run.path(WEIGHTS)
    return hashlib.blake2b(path.read_bytes() if path.is_file() else b"").hexdigest()[:32]
