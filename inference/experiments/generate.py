"""A dataset of scenes drawn from a model: decoded, sieved, and written in VOC layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from scene.datasets.catalogue import open_data
from scene.datasets.folders.writer import (
    VOCWriter,
    Watch,
    bring,
    bring_others,
    claim_folder,
    new_folder,
)
from scene.figures.grid import draw_scenes
from scene.labels import Labels
from scene.seeds import seeded
from scene.views import VIEWS, Scene, Views

from ..build import Assembly
from ..devices import Device, device_of
from ..prediction.predict import able, predict
from ..runs.restore import restore
from ..runs.run import Run
from .latent_sources import Origin, Places, origin


def overlap(first: Tensor, second: Tensor, labels: Labels) -> Tensor:
    """Give the mean intersection over union of two masks, over the labels in either.

    Args:
        first: ``(B, H, W)`` label ids.
        second: The same.
        labels: The vocabulary.

    Returns:
        ``(B,)`` in [0, 1]; 1 only if they are alike.

    >>> overlap(torch.tensor([[[0, 0, 1, 1]]]), torch.tensor([[[0, 0, 0, 1]]]), Labels(("a", "b")))
    tensor([0.5833])
    """
    ids = torch.arange(len(labels.names), device=first.device).view(-1, 1, 1)
    a, b = first.flatten(1) == ids, second.flatten(1) == ids  # (labels, B, pixels)
    union = (a | b).sum(-1)
    ratios = (a & b).sum(-1) / union.clamp(min=1)
    return ratios.sum(0) / (union > 0).sum(0)


TOGETHER = 64
"""Scenes drawn at once; the least likely share is dropped from each such batch."""

PREVIEW = "preview.png"
"""The picture in the folder."""

_PATIENCE = 2000  # draws after which one in five hundred must have been kept


@dataclass(frozen=True)
class GenerationSettings:
    """What to generate.

    Attributes:
        count: How many scenes.
        origin: Where z comes from: the ``prior``; the ``posterior`` of training scenes, each
            drawn at random; or a place on the ``walk`` between two such.
        sampled: Draw the label of each pixel; else it is the most probable one.
        drop: The share of each batch that is least likely, and dropped.
        least_area: The share of the pixels that a class covers, or it is not in the mask.
        overlap: The least mean IoU of a mask and what the judge sees in the image.
        keep: How many training scenes of the source to take along, with their true masks.
        seed: Of every draw.

    Raises:
        ValueError: If a number is out of range, or no scene is asked for.
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
class Sieved:
    """How many scenes were drawn, and how many of them fell for which reason.

    ``improbable``: among the least likely of their batch. ``empty``: no class covers enough of
    the mask. ``incoherent``: the classes decoded are not those of the mask. ``misjudged``: the
    judge sees another mask in the image.
    """

    drawn: int = 0
    kept: int = 0
    dropped: dict[Reason, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("improbable", "empty", "incoherent", "misjudged"), 0
        )
    )


@dataclass(frozen=True)
class Generated:
    """What was written: the folder, its splits, what the sieve did, and the picture."""

    folder: Path
    scenes: dict[str, int]
    sieved: Sieved
    picture: Path

    def to_json(self) -> dict[str, Any]:
        """Give plain data."""
        return {"folder": str(self.folder), "scenes": self.scenes, **asdict(self.sieved)}


def generate(
    run: Run,
    asked: GenerationSettings,
    folder: Path,
    *,
    judge: Run | None = None,
    source: str | None = None,
    device: Device = "auto",
    trust: bool = False,
    force: bool = False,
    watch: Watch = lambda title, done, total: None,
) -> Generated:
    """Write a dataset in VOC layout whose ``train`` was drawn from a run's model.

    The other splits of the source come along with their true masks. Nothing is there until all
    of it is.

    Args:
        run: Of a joint model.
        asked: What to generate.
        folder: Where to; its parent may have to be made.
        judge: A run that segments images, such as one of segmenter; None = nobody judges.
        source: As ``--data``; the run's own if left out.
        device: Where to compute.
        trust: Run code that the run carries.
        force: Replace a dataset that was written so before.
        watch: Told how far it has come.

    Raises:
        FileExistsError: If the folder is there.
        ValueError: If the model has no such scenes, the judge other labels or another size, or
            next to nothing passes the sieve.
    """
    claim_folder(folder, force)
    at = device_of(device)
    assembly, judging = restore(run, device=at, trust=trust), None
    _require_joint(assembly, run)
    if judge is not None:
        judging = restore(judge, device=at, trust=trust)
        _require_judge(judging, judge, run)
    source = source or run.settings.data.source
    real = open_data(source, "train", run.schema.size, count=run.settings.data.count)
    run.schema.labels.require(real.schema.labels, real.name)
    labels, sieved, shown = run.schema.labels, Sieved(), list[Scene]()
    with new_folder(folder) as part:
        writer = VOCWriter(part, labels)
        kept = bring(writer, real, watch, asked.keep) if asked.keep else {}
        with seeded(asked.seed, at):
            places = origin(asked.origin, assembly, real)
            for scene in _passing(assembly, places, asked, judging, labels, sieved):
                assert scene.image is not None
                assert scene.mask is not None
                writer.add("train", scene.name, scene.image, scene.mask, scene.classes)
                shown = [*shown, scene] if len(shown) < 16 else shown
                watch("drawing", sieved.kept, asked.count)
        scenes = {"train": asked.count + kept.get("train", 0)}
        scenes |= bring_others(writer, source, run.schema.size, "train", watch)
        draw_scenes(part / PREVIEW, shown or [real[i] for i in range(min(16, asked.keep))], labels)
        judged = str(judge.folder) if judge is not None else None
        about = {"run": str(run.folder), "judge": judged, "data": source, "asked": asdict(asked)}
        writer.finish({**about, "scenes": scenes, **asdict(sieved)})
    return Generated(folder, scenes, sieved, folder / PREVIEW)


def _passing(
    assembly: Assembly,
    places: Places,
    asked: GenerationSettings,
    judge: Assembly | None,
    labels: Labels,
    sieved: Sieved,
) -> Iterator[Scene]:
    """Draw batch after batch, and give what passes the sieve, until there is enough."""
    while sieved.kept < asked.count:
        if sieved.drawn >= _PATIENCE and 500 * sieved.kept < sieved.drawn:
            fallen = ", ".join(f"{n} {reason}" for reason, n in sieved.dropped.items() if n)
            raise ValueError(
                f"Of {sieved.drawn} scenes drawn only {sieved.kept} passed ({fallen}); train the "
                "model for longer, take another --from, or lower --min-area or --agreement."
            )
        with torch.no_grad():
            views, log_p = _decoded(assembly, places(TOGETHER), asked.sampled)
            reasons = _reasons(views, log_p, asked, judge, labels)
        for row, reason in enumerate(reasons):
            if sieved.kept == asked.count:
                return
            sieved.drawn += 1
            if reason is not None:
                sieved.dropped[reason] += 1
            else:
                sieved.kept += 1
                yield _scene(views, row, f"generated_{sieved.kept:06d}")


def _decoded(assembly: Assembly, z: Tensor, sampled: bool) -> tuple[Views, Tensor]:
    """Decode z, and say how likely what came out is given it: log p of all three, ``(B,)``."""
    found: dict[str, Any] = dict(assembly.model.decode(z, None, VIEWS))
    views = {
        "image": found["image"].mean.clamp(0, 1),
        "classes": (found["classes"].probs >= assembly.model.threshold).float(),
        "mask": found["mask"].sample() if sampled else found["mask"].logits.argmax(1),
    }
    likely = [found[name].log_prob(view) for name, view in views.items()]
    return Views(views), torch.stack(likely).sum(0)


def _reasons(
    views: Views, log_p: Tensor, asked: GenerationSettings, judge: Assembly | None, labels: Labels
) -> list[Reason | None]:
    """Say of each scene why it is dropped, the first reason that holds; None = it is kept."""
    ranks = log_p.argsort().argsort()
    seen = labels.vector(views["mask"], asked.least_area).bool()
    falls: dict[Reason, Tensor] = {
        "improbable": ranks < round(asked.drop * len(views)),
        "empty": ~seen.any(-1),
        "incoherent": (seen != views["classes"].bool()).any(-1),
    }
    if judge is not None:
        judged = predict(judge, views.only(("image",)), ["mask"]).mask
        falls["misjudged"] = overlap(judged, views["mask"], labels) < asked.overlap
    columns = {reason: fallen.tolist() for reason, fallen in falls.items()}
    return [
        next((reason for reason, fallen in columns.items() if fallen[row]), None)
        for row in range(len(views))
    ]


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
        raise ValueError(f"The judge {judge.folder} finds no masks in images; take a segmenter.")
    if judge.schema.size != run.schema.size:
        (tall, wide), (h, w) = judge.schema.size, run.schema.size
        raise ValueError(f"The judge {judge.folder} sees {tall}x{wide}, not the run's {h}x{w}.")
