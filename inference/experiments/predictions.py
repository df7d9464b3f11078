"""Predictions of masks, cached on disk as unaries for a dense CRF: of a run, or of a stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.notices import SceneCount
from scene.seeds import seeded
from scene.views import Scene

from ..crf.arrays import read_probs
from ..prediction.evaluate import DRAWS
from ..prediction.predict import able, predict
from ..runs.checkpoints import restore
from ..runs.run import Run
from ..segmentation.segmenter import Segmenter, upsample
from ..segmentation.stages import STAGES
from .cache import dataset_digest, digest, read_result, weights_digest, write_result

BATCH = 50
"""Scenes of which a run predicts masks at once, as in `evaluate`, so that both agree exactly."""

STAGE_BATCH = 32
"""Scenes of which a stage predicts masks at once."""


@dataclass(frozen=True)
class Predictions:
    """Predicted probabilities of masks, cached at the model's size.

    They are `inference.experiments.crf.unaries.Unaries`: brought to the stored pixels when they
    are read.

    Attributes:
        folder: Files ``<index>.npy``, ``(L, H, W)``.
        key: The digest of everything that they depend on.
        title: Their name in tables: the recipe, or the stage.
        cropped: Whether the model saw the dataset's crop of each image, so that the prediction
            covers that crop only; else it saw the whole image, resized.
    """

    folder: Path
    key: str
    title: str
    cropped: bool

    def probs(self, dataset: SceneDataset, index: int, scene: Scene) -> tuple[Tensor, Tensor]:
        """Return one scene's probabilities at its stored pixels, and which of those they cover.

        Returns:
            ``(L, H, W)`` float32 and ``(H, W)`` bool.
        """
        probs = torch.from_numpy(read_probs(self.folder / f"{index}.npy"))
        if self.cropped:
            return dataset.restore(probs, index)
        assert scene.image is not None
        size = (scene.image.shape[-2], scene.image.shape[-1])
        return upsample(probs, size), torch.ones(size, dtype=torch.bool)

    def fingerprint(self) -> str:
        """Return the digest of everything that they depend on."""
        return self.key


def predict_run(
    run: Run,
    dataset: SceneDataset,
    rows: Sequence[int],
    folder: Path,
    *,
    device: torch.device | str = "cpu",
    trust: bool = False,
    seed: int = 0,
    watch: SceneCount = lambda done, total: None,
) -> Predictions:
    """Predict masks of a dataset from its images by a run, as `evaluate` does, and cache them.

    Args:
        run: A complete run that predicts masks from images.
        dataset: Of the run's labels and size.
        rows: The indices of the scenes.
        folder: Where to; what is cached there is used if it depends on the same.
        device: The device to compute on.
        trust: As in `inference.runs.checkpoints.restore`.
        seed: Seed of the draws of z, if the run has a z.
        watch: Called with the number of scenes done, and their total.

    Raises:
        ValueError: If the run cannot predict masks from images, or has other labels.
    """
    run.schema.labels.require(dataset.schema.labels, dataset.name)
    settings = run.settings.to_json()
    key = digest(
        weights_digest(run), settings, dataset_digest(dataset, rows), tuple(rows), seed, DRAWS
    )
    predictions = Predictions(folder.absolute(), key, run.settings.recipe, cropped=True)
    if _cached(predictions):
        return predictions
    assembly = restore(run, device=device, trust=trust)
    if not able(assembly, ("image",), "mask"):
        raise ValueError(f"{run.folder} predicts no masks from images; take a segmenter's run.")

    def some(indices: list[int]) -> Iterable[tuple[int, Tensor]]:
        views = dataset.views(indices)
        having = views.having(("image", "mask"))
        if not bool(having.any()):
            return []
        images = views.rows(having).only(("image",)).to(device)
        masks = predict(assembly, images, ["mask"], draws=DRAWS).views["mask"].cpu()
        return zip(torch.tensor(indices)[having].tolist(), masks, strict=True)

    with seeded(seed, device):
        _fill(predictions, rows, BATCH, some, watch)
    return predictions


def predict_stage(
    segmenter: Segmenter,
    run: Run,
    dataset: SceneDataset,
    rows: Sequence[int],
    folder: Path,
    watch: SceneCount = lambda done, total: None,
) -> Predictions:
    """Predict masks of whole images by a stage, before any CRF, and cache them.

    Args:
        segmenter: The stage.
        run: The run that it has its weights from.
        dataset: Of the same labels; its masks are not read.
        rows: The indices of the scenes, each of which has an image.
        folder: Where to; what is cached there is used if it depends on the same.
        watch: Called with the number of scenes done, and their total.

    Raises:
        ValueError: If the dataset has other labels.
    """
    segmenter.schema.labels.require(dataset.schema.labels, dataset.name)
    source = STAGES[segmenter.stage].source
    stage = (source, segmenter.class_maps if source == "gradcam" else None, segmenter.seed)
    key = digest(weights_digest(run), stage, dataset_digest(dataset, rows), tuple(rows))
    predictions = Predictions(folder.absolute(), key, source, cropped=False)
    if _cached(predictions):
        return predictions

    def some(indices: list[int]) -> Iterable[tuple[int, Tensor]]:
        images = [dataset.original(index).image for index in indices]
        framed = torch.stack([segmenter.resized(image) for image in images if image is not None])
        return zip(indices, segmenter.probabilities(framed).float().cpu(), strict=True)

    _fill(predictions, rows, STAGE_BATCH, some, watch)
    return predictions


def _cached(predictions: Predictions) -> bool:
    return read_result(_note(predictions), predictions.key) is not None


def _fill(
    predictions: Predictions,
    rows: Sequence[int],
    batch: int,
    some: Callable[[list[int]], Iterable[tuple[int, Tensor]]],
    watch: SceneCount,
) -> None:
    """Save the prediction of each scene; the note that all are there comes last."""
    predictions.folder.mkdir(parents=True, exist_ok=True)
    _note(predictions).unlink(missing_ok=True)
    for first in range(0, len(rows), batch):
        indices = list(rows[first : first + batch])
        for index, probs in some(indices):
            np.save(predictions.folder / f"{index}.npy", probs.numpy())
        watch(first + len(indices), len(rows))
    write_result(_note(predictions), predictions.key, {"scenes": len(rows)})


def _note(predictions: Predictions) -> Path:
    return predictions.folder / "about.json"
