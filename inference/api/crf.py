"""The dense CRF from one place: refine a mask, measure each kernel, learn the parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scene.datasets.catalogue import open_data, splits_of

from ..crf.files import refine_files as refine_files
from ..devices import Device, device_of
from ..experiments.crf.ablate import Ablation as Ablation
from ..experiments.crf.ablate import ablate as ablate
from ..experiments.crf.ablate import write as write_ablation
from ..experiments.crf.learning import Learned as Learned
from ..experiments.crf.learning import candidates as candidates
from ..experiments.crf.learning import learn as learn
from ..experiments.crf.learning import write as write_parameters
from ..experiments.crf.unaries import Arrays, Noise, Scenes, Unaries, rows
from ..experiments.predictions import predict_run, predict_stage
from ..runs.run import Run
from ..segmentation.fitted_crf import FILE
from ..segmentation.segmenter import load

__all__ = [
    "Ablation",
    "Learned",
    "Source",
    "ablate",
    "candidates",
    "learn",
    "refine_files",
    "source_of",
    "write_ablation",
    "write_parameters",
]


@dataclass(frozen=True)
class Source:
    """Data, and the unaries of its scenes.

    Attributes:
        run: Predicts the unaries; None = they are noise, or read.
        unaries: Noise, or read from a folder.
        data: The data, as for ``--data``.
        size: Height and width at which the data are framed; None = their own.
        device: Where a run predicts.
        trust: Run code that came with the run.
        seed: Seed of its draws.
    """

    run: Run | None
    unaries: Unaries | None
    data: str
    size: tuple[int, int] | None
    device: Device
    trust: bool
    seed: int

    @property
    def file(self) -> Path:
        """The file of parameters fitted to these unaries: the run's own, if there is a run."""
        return Path(FILE) if self.run is None else self.run.output(FILE)

    def require(self, *splits: str) -> None:
        """Refuse splits that are not there, before anything is done with those that are.

        Raises:
            LookupError: If there is no such split.
            ValueError: If its labels are not the run's.
        """
        for split in splits:
            dataset = open_data(self.data, split, self.size)
            if self.run is not None:
                self.run.schema.labels.require(dataset.schema.labels, dataset.name)

    def scenes(
        self,
        split: str,
        folder: Path,
        watch: Callable[[str, int, int], None],
        *,
        limit: int | None = None,
        sample: int | None = None,
    ) -> Scenes:
        """Name some scenes of a split and their unaries; a run predicts them into ``folder``.

        Those of a classifier are its class maps, the stage ``gradcam``.

        Args:
            split: Split of the data.
            folder: Where predictions are kept.
            watch: Called with the step of the work, the number of scenes done, and their total.
            limit: Only so many scenes.
            sample: A seed that draws them; None = the first ones.
        """
        if self.unaries is not None:
            return Scenes(self.data, split, self.unaries, self.size, limit, sample)
        assert self.run is not None
        dataset = open_data(self.data, split, self.size)
        some, place = rows(dataset, limit, sample), folder / split
        report, device = partial(watch, f"predictions on {split}"), device_of(self.device)
        if self.run.settings.recipe == "classifier":
            maps = load(self.run, "gradcam", device=device, trust=self.trust)
            predictions = predict_stage(maps, self.run, dataset, some, place, report)
        else:
            predictions = predict_run(
                self.run, dataset, some, place,
                device=device, trust=self.trust, seed=self.seed, watch=report,
            )  # fmt: skip
        return Scenes(self.data, split, predictions, self.size, limit, sample)


def source_of(
    run: Run | None,
    probs: Path | None,
    data: str | None,
    *,
    seed: int = 0,
    device: Device = "auto",
    trust: bool = False,
    download: bool = False,
) -> Source:
    """Choose where unaries come from: a run, else a folder of arrays, else noisy true labels.

    Args:
        run: Predicts them.
        probs: A folder of one ``.npy`` or ``.npz`` a scene.
        data: The data, as for ``--data``; the run's own, or ``synthetic``, if left out.
        seed: Seed of draws and of noise.
        device: Where a run predicts.
        trust: Run code that came with the run.
        download: Let ``voc2012`` be fetched.

    Raises:
        LookupError: If there are no such data.
        ValueError: If the device is not there.
    """
    if run is not None:
        data = data or run.settings.data.source
        device_of(device)
        splits_of(data, download=download)
        return Source(run, None, data, run.settings.data.size, device, trust, seed)
    data = data or "synthetic"
    splits_of(data, download=download)
    unaries = Arrays(probs.absolute()) if probs is not None else Noise(seed=seed)
    return Source(None, unaries, data, None, device, trust, seed)
