"""Pictures of a report, as PNG in memory, each with the words that stand for it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.figures.charts import Bars, draw_bars
from scene.figures.curves import Curve, draw_confusion, draw_curves
from scene.figures.grid import Panel, draw_grid
from scene.labels import Labels
from scene.metrics import MaskScorer
from scene.seeds import seeded
from scene.views import VIEWS, Views

from ..build import Assembly
from ..prediction.evaluate import Evaluation
from ..prediction.outputs import png_of
from ..prediction.predict import able, drawing, predict
from ..prediction.sample import sample
from ..training.log import METRICS, lines_of

SHOWN = 6
"""Worst scenes, and as many best, that are shown."""

TOGETHER = 50
"""Scenes that are predicted at once."""

MOST_CURVES = 12
"""The most curves in a panel of terms."""

_READ = (("image",), ("image", "classes"), ("mask",))
"""What masks are predicted from; the first of these that a model can."""

_DIAGNOSED = {
    "coverage": "Draws of the posteriors over the prior",
    "traversals": "Traversals of the most active units of z",
    "reliability": "Reliability of predicted probabilities",
    "gradients": "Noise of the generators' gradients",
}
"""The pictures of a diagnosis, and their titles."""


@dataclass(frozen=True)
class Picture:
    """A picture, and what it shows in words.

    Attributes:
        title: Its caption.
        words: What a person who does not see it should know of it.
        png: Its bytes.
    """

    title: str
    words: str
    png: bytes

    @property
    def address(self) -> str:
        """The picture itself as an address that needs no network."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


@dataclass(frozen=True)
class SceneRanking:
    """Masks predicted for the scenes of a split.

    Attributes:
        direction: From what they were predicted, as ``image → mask``.
        rows: Indices of the scenes, the worst first.
        scores: The mean IoU of each of these, in percent.
        masks: By index, the predicted mask of those that may be shown.
        counts: Pixels by true and predicted label.
    """

    direction: str
    rows: list[int]
    scores: list[float]
    masks: dict[int, Tensor]
    counts: Tensor


def curves_picture(folder: Path, title: str, unit: str) -> Picture:
    """Draw the loss of a training, and the terms of its objective.

    Args:
        folder: The run.
        title: What was trained.
        unit: Unit of the loss.
    """
    lines = lines_of(folder / METRICS)
    loss = {name: _curve(lines, name) for name in ("loss", "val")}
    panels = {f"loss, {unit}": {n: c for n, c in loss.items() if c[0]}}
    terms = list(dict.fromkeys(name for line in lines for name in line if "/" in name))
    kl = [name for name in terms if name.endswith("/kl")]
    views = [name for name in terms if name not in kl and not name.endswith("/loss")]
    for scale, names in (("log p of views, nats a scene", views), ("KL, nats a scene", kl)):
        if names:
            panels[scale] = {name: _curve(lines, name) for name in names[:MOST_CURVES]}
    words = f"Curves of the loss of {title}"
    if loss["loss"][1]:
        words += f", which goes from {loss['loss'][1][0]:.4g} to {loss['loss'][1][-1]:.4g}"
    if loss["val"][1]:
        words += f"; on validation scenes it ends at {loss['val'][1][-1]:.4g}"
    return Picture(title, f"{words}.", png_of(partial(draw_curves, panels=panels)))


def scores_picture(names: Sequence[str], each: Sequence[Evaluation | None]) -> Picture | None:
    """Draw the scores of several runs side by side, in the directions that all of them have."""
    tables = [{} if one is None else one.numpy() for one in each]
    titles = [
        title for title in tables[0] if all(float(table.get(title, -1)) >= 0 for table in tables)
    ]
    if not titles:
        return None
    series = {
        f"{place}: {name}": [[float(table[title])] for title in titles]
        for place, (name, table) in enumerate(zip(names, tables, strict=True), 1)
    }
    words = "; ".join(
        f"{title}: " + ", ".join(f"{float(table[title]):.1f}" for table in tables)
        for title in titles
    )
    draw = partial(draw_bars, bars=Bars(tuple(titles), series), scale="%")
    return Picture("Scores side by side", f"Bars of scores in percent, run by run. {words}.",
                   png_of(draw))  # fmt: skip


def scenes_by_score(
    assembly: Assembly, scenes: SceneDataset, seed: int, watch: Callable[[str], None]
) -> SceneRanking | None:
    """Predict the masks of all scenes that have one, and rank them; None if a model has none."""
    labels = scenes.schema.labels
    source = next((names for names in _READ if able(assembly, names, "mask")), None)
    if source is None:
        return None
    watch("masks of each scene")
    scorer, scores, masks = MaskScorer(labels), dict[int, float](), dict[int, Tensor]()
    for first in range(0, len(scenes), TOGETHER):
        rows = range(first, min(len(scenes), first + TOGETHER))
        views = scenes.views(rows)
        usable = views.having((*source, "mask"))
        if not bool(usable.any()):
            continue
        views = views.rows(usable)
        observed = views.only(source).to(assembly.device)
        with seeded(seed + first, assembly.device):
            predicted = predict(assembly, observed, ["mask"]).mask.cpu()
        indices = [row for row, complete in zip(rows, usable.tolist(), strict=True) if complete]
        for index, guess, true in zip(indices, predicted, views["mask"], strict=True):
            scorer.add(guess, true)
            scores[index] = _score(labels, guess, true)
            masks[index] = guess.to(torch.uint8)
    if not scores:
        return None
    order = sorted(scores, key=lambda index: scores[index])
    visible = {*order[:SHOWN], *order[-SHOWN:]}
    return SceneRanking(
        f"{' + '.join(source)} → mask",
        order,
        [scores[index] for index in order],
        {index: mask for index, mask in masks.items() if index in visible},
        scorer.counts,
    )


def confusion_picture(ranking: SceneRanking, labels: Labels) -> Picture:
    """Draw which labels are taken for which."""
    counts = ranking.counts.double()
    shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
    off = shares.clone().fill_diagonal_(0)
    true, taken = divmod(int(off.argmax()), len(labels.names))
    words = (
        f"Confusion matrix of {ranking.direction}. Most often mistaken: {labels.names[true]} for "
        f"{labels.names[taken]}, {100 * float(off[true, taken]):.0f} % of its pixels."
    )
    draw = partial(draw_confusion, counts=ranking.counts, names=labels.names)
    return Picture(f"Which label is taken for which ({ranking.direction})", words, png_of(draw))


def worst_and_best(ranking: SceneRanking, scenes: SceneDataset, labels: Labels) -> list[Picture]:
    """Draw the scenes of least and of highest mean IoU: image, true mask, predicted mask."""
    count = min(SHOWN, len(ranking.rows))
    parts = {"Worst": slice(0, count), "Best": slice(-count, None)}
    pictures = []
    for title, part in parts.items():
        rows, scores = ranking.rows[part], ranking.scores[part]
        views = scenes.views(rows)
        images = list(views["image"]) if "image" in views else [None] * len(rows)
        lines = [
            [Panel(image, f"{score:.0f} %") for image, score in zip(images, scores, strict=True)],
            [Panel(mask) for mask in views["mask"]],
            [Panel(ranking.masks[row]) for row in rows],
        ]
        draw = partial(draw_grid, panels=lines, labels=labels, rows=("image", "true", "predicted"))
        text = ", ".join(f"{score:.0f}" for score in scores)
        words = f"Image, true and predicted mask of scenes with a mean IoU of {text} percent."
        pictures.append(Picture(f"{title} {count} of {len(ranking.rows)}", words, png_of(draw)))
    return pictures


def sample_pictures(
    assembly: Assembly,
    scenes: SceneDataset,
    count: int,
    seed: int,
    watch: Callable[[str], None],
) -> list[Picture]:
    """Draw scenes from the prior, given each set of views of one scene, and along a walk."""
    labels = scenes.schema.labels
    if not assembly.model.latent:
        return []
    some = scenes.views(range(min(len(scenes), TOGETHER)))
    complete = some.rows(some.having(VIEWS).nonzero().squeeze(-1)[:1])
    pictures = []
    for given, walk in [*((given, False) for given in _subsets()), ((), True)]:
        if given and not len(complete):
            continue
        if not able(drawing(assembly), given, "mask"):
            continue
        watch(f"samples given {' + '.join(given) or 'nothing'}")
        observed: Views | None = complete.only(given) if given else None
        samples = sample(assembly, observed, labels, n=count, walk=walk, seed=seed)
        words = f"{count} scenes {samples.title}: images with their masks below."
        pictures.append(Picture(samples.title, words, samples._repr_png_()))
    return pictures


def diagnosis_pictures(folder: Path) -> list[Picture]:
    """Take the pictures of a diagnosis, if there was one."""
    return [
        Picture(title, f"{title}; figures are in {folder / 'diagnose.json'}.", path.read_bytes())
        for name, title in _DIAGNOSED.items()
        if (path := folder / f"{name}.png").is_file()
    ]


def _subsets() -> list[tuple[str, ...]]:
    return [some for size in range(len(VIEWS) + 1) for some in combinations(VIEWS, size)]


def _score(labels: Labels, guess: Tensor, true: Tensor) -> float:
    scorer = MaskScorer(labels)
    scorer.add(guess, true)
    miou = scorer.score().miou
    return miou if miou == miou else 0.0


def _curve(lines: Sequence[dict[str, Any]], name: str) -> Curve:
    points = [(line["step"], line[name]) for line in lines if name in line]
    return [step for step, _ in points], [value for _, value in points]
