"""Generated datasets: scenes sampled from a model, filtered, and written in VOC layout.

Each z comes from the prior, from the posterior of a scene, or lies between those of two scenes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.datasets.catalogue import open_data
from scene.datasets.folders.writer import (
    VOCWriter,
    copy_other_splits,
    copy_split,
    new_folder,
    require_dataset_folder,
)
from scene.figures.grid import draw_scenes
from scene.labels import Labels
from scene.notices import Progress
from scene.seeds import seeded
from scene.views import VIEWS, Scene, Views

from ..build import Assembly
from ..devices import Device, device_of
from ..prediction.predict import able, draw, drawing, predict
from ..runs.checkpoints import restore
from ..runs.run import Run

Origin = Literal["prior", "posterior", "walk"]

LatentSampler = Callable[[int], Tensor]
"""Samples 1 to so many z: ``(B, L)``."""

_TRIES = 50


def latent_sampler(origin: Origin, assembly: Assembly, scenes: SceneDataset) -> LatentSampler:
    """Return a function that samples z.

    Args:
        origin: ``prior``; ``posterior``: of random scenes given all views of the guide, so that z
            is sampled from the aggregate posterior; ``walk``: uniformly on the line between
            samples of two scenes' posteriors.
        assembly: Model and guide, in evaluation mode.
        scenes: For posteriors; scenes that lack a view of the guide are skipped.
    """
    if origin == "prior":
        return lambda count: _one(draw(drawing(assembly), None, 1, count))
    if origin == "posterior":
        return lambda count: _sample_posterior(assembly, scenes, count)

    def walk(count: int) -> Tensor:
        ends = [_sample_posterior(assembly, scenes, count) for _ in range(2)]
        both = min(map(len, ends))
        along = torch.rand(both, 1).to(ends[0].device)
        return torch.lerp(ends[0][:both], ends[1][:both], along)

    return walk


def _sample_posterior(assembly: Assembly, scenes: SceneDataset, count: int) -> Tensor:
    """Sample scenes, and z of each from its posterior; scenes that lack a view are skipped."""
    names = assembly.guide.views
    for _ in range(_TRIES):
        indices = torch.randint(len(scenes), (count,)).tolist()
        views = scenes.views(indices).only(names)
        views = views.rows(views.having(names))
        if len(views):
            return _one(draw(drawing(assembly), views.to(assembly.device), 1, len(views)))
    raise ValueError(
        f"Too few scenes of {scenes.name} ({scenes.split}) have {', '.join(names)}, which this "
        "guide reads; use --from prior."
    )


def _one(z: Tensor | None) -> Tensor:
    assert z is not None
    return z[0]


BATCH = 64
"""Scenes sampled at once; the least likely share of each batch is rejected."""

PREVIEW = "preview.png"
"""Name of the preview in the folder."""

_PATIENCE = 2000  # samples after which one in five hundred must be accepted


@dataclass(frozen=True)
class GenerationSettings:
    """What to generate.

    Attributes:
        count: Number of generated scenes.
        origin: Source of z: the ``prior``; the ``posterior`` of random training scenes; or a
            random point on the ``walk`` between two samples of such posteriors.
        sampled: Sample the label of each pixel; else use the most probable one.
        drop: The share of each batch, the least likely scenes, that is rejected.
        least_area: The smallest share of the pixels of a class in a mask; classes with fewer
            pixels do not count as present.
        overlap: The smallest mean IoU of a mask and the judge's prediction from the image.
        keep: Number of training scenes of the source that are copied, with ground-truth masks.
        seed: Seed of every random number.

    Raises:
        ValueError: If a number is out of range, or there would be no scene.
    """

    count: int
    origin: Origin = "prior"
    sampled: bool = False
    drop: float = 0.2
    least_area: float = 0.01
    overlap: float = 0.5
    keep: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 0 or self.keep < 0 or not self.count + self.keep:
            raise ValueError("Ask for 1 scene or more: -n 1000, or --keep-train 50.")
        for name, value in (("drop", self.drop), ("min-area", self.least_area)):
            if not 0 <= value < 1:
                raise ValueError(f"--{name} is a share from 0 to below 1, not {value}.")
        if not 0 <= self.overlap <= 1:
            raise ValueError(f"--agreement is a share from 0 to 1, not {self.overlap}.")


Reason = Literal["improbable", "empty", "incoherent", "misjudged"]


@dataclass
class SampleCounts:
    """Number of scenes sampled and accepted, and of those rejected by reason.

    Attributes:
        sampled: Scenes sampled.
        accepted: Scenes accepted.
        rejected: Scenes rejected, by reason. ``improbable``: among the least likely of their
            batch. ``empty``: no class has enough pixels. ``incoherent``: the decoded class vector
            is not that of the mask. ``misjudged``: the judge predicts another mask from the
            image.
    """

    sampled: int = 0
    accepted: int = 0
    rejected: dict[Reason, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("improbable", "empty", "incoherent", "misjudged"), 0
        )
    )


@dataclass(frozen=True)
class GeneratedDataset:
    """A generated dataset.

    Attributes:
        folder: Where it is.
        scenes: Number of scenes of each split.
        counts: Number of scenes sampled, accepted and rejected.
        picture: The preview.
    """

    folder: Path
    scenes: dict[str, int]
    counts: SampleCounts
    picture: Path

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"folder": str(self.folder), "scenes": self.scenes, **asdict(self.counts)}


def generate(
    run: Run,
    settings: GenerationSettings,
    folder: Path,
    *,
    judge: Run | None = None,
    source: str | None = None,
    device: Device = "auto",
    trust: bool = False,
    force: bool = False,
    watch: Progress = lambda title, done, total: None,
) -> GeneratedDataset:
    """Write a dataset in VOC layout whose ``train`` is sampled from a run's model.

    The other splits of the source are copied with their true masks. The folder appears when it is
    complete.

    Args:
        run: A run of a joint model.
        settings: The settings of the generation.
        folder: The new folder; missing parents are made.
        judge: A run that segments images, such as one of segmenter; None = scenes are not judged.
        source: The data, as for ``--data``; None = the data of the run.
        device: The device to compute on.
        trust: Whether to run code that the run contains.
        force: Replace an earlier dataset.
        watch: Called with the progress.

    Raises:
        FileExistsError: If the folder exists.
        ValueError: If the model decodes no such scenes, the judge has other labels or another
            size, or hardly any scene is accepted.
    """
    require_dataset_folder(folder, force)
    place = device_of(device)
    assembly, judging = restore(run, device=place, trust=trust), None
    _require_joint(assembly, run)
    if judge is not None:
        judging = restore(judge, device=place, trust=trust)
        _require_judge(judging, judge, run)
    source = source or run.settings.data.source
    real = open_data(source, "train", run.schema.size, count=run.settings.data.count)
    run.schema.labels.require(real.schema.labels, real.name)
    labels, counts, preview = run.schema.labels, SampleCounts(), list[Scene]()
    with new_folder(folder) as part:
        writer = VOCWriter(part, labels)
        copied = copy_split(writer, real, watch, settings.keep) if settings.keep else {}
        with seeded(settings.seed, place):
            sample = latent_sampler(settings.origin, assembly, real)
            for scene in _accepted(assembly, sample, settings, judging, labels, counts):
                assert scene.image is not None
                assert scene.mask is not None
                writer.add("train", scene.name, scene.image, scene.mask, scene.classes)
                preview = [*preview, scene] if len(preview) < 16 else preview
                watch("drawing", counts.accepted, settings.count)
        scenes = {"train": settings.count + copied.get("train", 0)}
        scenes |= copy_other_splits(writer, source, run.schema.size, "train", watch)
        draw_scenes(
            part / PREVIEW, preview or [real[i] for i in range(min(16, settings.keep))], labels
        )
        judged = str(judge.folder) if judge is not None else None
        about = {
            "run": str(run.folder),
            "judge": judged,
            "data": source,
            "settings": asdict(settings),
        }
        writer.finish({**about, "scenes": scenes, **asdict(counts)})
    return GeneratedDataset(folder, scenes, counts, folder / PREVIEW)


def _accepted(
    assembly: Assembly,
    sample: LatentSampler,
    settings: GenerationSettings,
    judge: Assembly | None,
    labels: Labels,
    counts: SampleCounts,
) -> Iterator[Scene]:
    """Sample batches and yield the scenes accepted, until there are enough."""
    while counts.accepted < settings.count:
        if counts.sampled >= _PATIENCE and 500 * counts.accepted < counts.sampled:
            rejected = ", ".join(f"{n} {reason}" for reason, n in counts.rejected.items() if n)
            raise ValueError(
                f"Of {counts.sampled} scenes drawn only {counts.accepted} passed ({rejected}); "
                "train the model for longer, take another --from, or lower --min-area or "
                "--agreement."
            )
        with torch.no_grad():
            views, log_p = _decode(assembly, sample(BATCH), settings.sampled)
            reasons = _rejection_reasons(views, log_p, settings, judge, labels)
        for row, reason in enumerate(reasons):
            if counts.accepted == settings.count:
                return
            counts.sampled += 1
            if reason is not None:
                counts.rejected[reason] += 1
            else:
                counts.accepted += 1
                yield _scene(views, row, f"generated_{counts.accepted:06d}")


def _decode(assembly: Assembly, z: Tensor, sampled: bool) -> tuple[Views, Tensor]:
    """Decode z; return the views and log p(image, classes, mask | z), ``(B,)``."""
    model = assembly.model
    likelihoods: dict[str, Any] = dict(model.decode(z, None, ("classes", "mask")))
    mask = likelihoods["mask"].sample() if sampled else likelihoods["mask"].logits.argmax(1)
    mask_alone = Views({"mask": mask})
    likelihoods |= model.decode(z, mask_alone, ("image",))
    views = {
        "image": likelihoods["image"].mean.clamp(0, 1),
        "classes": (likelihoods["classes"].probs >= model.threshold).float(),
        "mask": mask,
    }
    log_p = [likelihoods[name].log_prob(view) for name, view in views.items()]
    if assembly.detailed is not None:
        views["image"] = assembly.detailed.decode(z, mask_alone, ("image",))["image"].sample()
    return Views(views), torch.stack(log_p).sum(0)


def _rejection_reasons(
    views: Views,
    log_p: Tensor,
    settings: GenerationSettings,
    judge: Assembly | None,
    labels: Labels,
) -> list[Reason | None]:
    """Return the first reason to reject each scene, or None."""
    ranks = log_p.argsort().argsort()
    present = labels.vector(views["mask"], settings.least_area).bool()
    rejected: dict[Reason, Tensor] = {
        "improbable": ranks < round(settings.drop * len(views)),
        "empty": ~present.any(-1),
        "incoherent": (present != views["classes"].bool()).any(-1),
    }
    if judge is not None:
        judged = predict(judge, views.only(("image",)), ["mask"]).mask
        rejected["misjudged"] = overlap(judged, views["mask"], labels) < settings.overlap
    columns = {reason: rows.tolist() for reason, rows in rejected.items()}
    return [
        next((reason for reason, rows in columns.items() if rows[row]), None)
        for row in range(len(views))
    ]


def overlap(first: Tensor, second: Tensor, labels: Labels) -> Tensor:
    """Return the mean intersection over union of two masks, over the labels in either.

    Args:
        first: Label ids ``(B, H, W)``.
        second: Label ids ``(B, H, W)``.
        labels: The vocabulary.

    Returns:
        ``(B,)`` in [0, 1]; 1 only if the masks are equal.

    >>> overlap(torch.tensor([[[0, 0, 1, 1]]]), torch.tensor([[[0, 0, 0, 1]]]), Labels(("a", "b")))
    tensor([0.5833])
    """
    ids = torch.arange(len(labels.names), device=first.device).view(-1, 1, 1)
    a, b = first.flatten(1) == ids, second.flatten(1) == ids  # (labels, B, pixels)
    union = (a | b).sum(-1)
    ratios = (a & b).sum(-1) / union.clamp(min=1)
    return ratios.sum(0) / (union > 0).sum(0)


def _scene(views: Views, row: int, name: str) -> Scene:
    return Scene(
        (255 * views["image"][row]).round().to(torch.uint8).cpu(),
        views["classes"][row].cpu(),
        views["mask"][row].to(torch.uint8).cpu(),
        name,
    )


def _require_joint(assembly: Assembly, run: Run) -> None:
    if not assembly.model.latent or set(VIEWS) - set(assembly.model.views):
        raise ValueError(
            f"A {run.settings.recipe} does not draw an image with its classes and its mask; take "
            "a run of jvae, jmvae or telbo."
        )


def _require_judge(judging: Assembly, judge: Run, run: Run) -> None:
    judge.schema.labels.require(run.schema.labels, run.folder.name)
    if not able(judging, ("image",), "mask"):
        raise ValueError(
            f"The judge {judge.folder} does not predict masks from images; use a run of segmenter."
        )
    if judge.schema.size != run.schema.size:
        (tall, wide), (h, w) = judge.schema.size, run.schema.size
        raise ValueError(
            f"The judge {judge.folder} takes images of {tall}x{wide}, but the run "
            f"generates {h}x{w}; train a judge with --size {h}x{w}."
        )
