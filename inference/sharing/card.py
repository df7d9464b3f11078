"""Model cards: what a shared run is, how it was trained and scored, and what it cannot do.

The head is that of the Hugging Face Hub: https://huggingface.co/docs/hub/model-cards
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scene.storage.files import read_json, replace_file

from ..prediction.evaluate import Evaluation
from ..report.contents import command_of
from ..runs.checkpoints import PARTS, has_part
from ..runs.plugins import CODE, is_foreign
from ..runs.run import CONFIG, SUMMARY, Run
from ..settings.recipes import recipe

CARD = "README.md"
"""The name of a model card in its folder."""

_MEASURES = {"mask": ("mean_iou", "miou", "mIoU"), "classes": ("f1", "macro_f1", "macro F1")}
"""For each target: the hub's name of its score, ours, and that in tables."""

_SUPERVISED_BY_LABELS = ("sec", "classifier")


@dataclass(frozen=True)
class CardChoices:
    """What a model card says that the run does not know.

    Attributes:
        license: An identifier of the hub, such as ``mit`` or ``cc-by-4.0``.
        half: Whether matrices and kernels are stored with 16 bits.
        scores: Scores of every direction; None = those that the run was given after training.
        name: The name on the hub; None = it is in a folder.
    """

    license: str = "unknown"
    half: bool = False
    scores: Evaluation | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", self.license):
            raise ValueError(
                f"A licence is an identifier such as mit or cc-by-4.0, not {self.license!r}."
            )


@dataclass(frozen=True)
class Row:
    """A score in a model card.

    Attributes:
        title: The direction, as ``image → mask``.
        target: ``mask`` or ``classes``.
        value: In percent.
        scenes: How many were scored.
        each: The IoU or F1 of each label, in percent.
    """

    title: str
    target: str
    value: float
    scenes: int
    each: Mapping[str, float | None]


def write_card(run: Run, original: Run, choices: CardChoices, *, scored: bool) -> None:
    """Write the model card of a run into its folder.

    Args:
        run: The copy that is shared.
        original: The run that it is a copy of.
        choices: What the run does not know.
        scored: Whether its weights are those that were scored after training.
    """
    text = card(run, original, choices, scored=scored)
    replace_file(run.path(CARD), lambda part: part.write_text(text, encoding="utf-8"))


def card(run: Run, original: Run, choices: CardChoices, *, scored: bool) -> str:
    """Return the text of a model card, see `write_card`."""
    rows, data, split, draws = _scores(original, choices, scored)
    parts = [name for name in PARTS if has_part(original, name)]
    sections = [
        _head(run, choices, rows, data, split),
        f"# {_title(run, data)}",
        _about(run, parts),
        f"## Use\n\n{_use(run, choices)}",
        f"## Data\n\n{_data(run, data)}",
        f"## Scores\n\n{_table(run, rows, data, split, draws)}",
        f"## Training\n\n{_training(run, original)}",
        "## Limits\n\n" + "\n".join(f"- {limit}" for limit in _limits(run, choices, parts)),
        f"## Licence\n\n{_licence(choices)}",
    ]
    return "\n\n".join(sections) + "\n"


def _scores(
    original: Run, choices: CardChoices, scored: bool
) -> tuple[list[Row], str, str, int | None]:
    """Return scores, the name of the data and of their split, and draws of z."""
    if choices.scores is not None:
        one = choices.scores
        cells: list[Any] = [cell.to_json() for cell in one.cells]
        return [*_rows(cells)], one.data, one.split, one.draws
    summary: dict[str, Any] = {}
    if scored and original.path(SUMMARY).is_file():
        summary = read_json(original.path(SUMMARY))
    data = str(summary.get("data") or _slug(original.settings.data.source))
    cells = [summary["headline"]] if "headline" in summary else []
    return [*_rows(cells)], data, str(summary.get("split", "")), summary.get("draws")


def _rows(cells: list[Any]) -> Iterator[Row]:
    for cell in cells:
        score, target = cell.get("score"), cell.get("target")
        value = (score or {}).get(_MEASURES[target][1]) if target in _MEASURES else None
        if value is not None:
            each = score.get("iou" if target == "mask" else "f1", {})
            yield Row(cell["title"], target, value, cell["scenes"], each)


def _head(run: Run, choices: CardChoices, rows: list[Row], data: str, split: str) -> str:
    """Return the YAML that the hub reads, each value written as JSON, which is YAML, too."""
    masks = "mask" in recipe(run.settings.recipe).explains
    task = "image-segmentation" if masks else "image-classification"
    tags = ["scene", "pyro", _slug(run.settings.title), "safetensors"]
    if run.settings.recipe in _SUPERVISED_BY_LABELS:
        tags.append("weak-supervision")
    if recipe(run.settings.recipe).takes("latent"):
        tags.append("variational-autoencoder")
    entries: dict[str, Any] = {
        "license": choices.license,
        "library_name": "scene-suite",
        "pipeline_tag": task,
        "tags": tags,
        "datasets": [_slug(data)],
    }
    if rows:
        entries["metrics"] = list(dict.fromkeys(_MEASURES[row.target][0] for row in rows))
        dataset = {"name": data, "type": _slug(data), "split": split}
        metrics = [
            {"type": _MEASURES[row.target][0], "name": row.title, "value": round(row.value, 2)}
            for row in rows
        ]
        result = {"task": {"type": task}, "dataset": dataset, "metrics": metrics}
        entries["model-index"] = [{"name": _slug(_title(run, data)), "results": [result]}]
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in entries.items()]
    return "\n".join(["---", *lines, "---"])


def _title(run: Run, data: str) -> str:
    return f"{run.settings.title} of {data}"


def _about(run: Run, parts: list[str]) -> str:
    (height, width), labels = run.schema.size, ", ".join(run.schema.labels.names)
    learned = {
        "prior": "a flow over z, which draws scenes",
        "details": "a flow of details, which draws textures and noise of images",
    }
    after = "".join(f" With it comes {learned[name]}." for name in parts if name in learned)
    about = recipe(run.settings.recipe).about.rstrip(".") if not is_foreign(run.settings) else (
        "A model with code of its own"
    )  # fmt: skip
    return (
        f"{about}. It reads images of {height}×{width} pixels and knows the labels {labels}."
        f"{after}"
    )


def _use(run: Run, choices: CardChoices) -> str:
    name = choices.name or "this-folder"
    trust = ", trust=True" if is_foreign(run.settings) else ""
    calls = ['model.segment("photo.jpg").save("mask.png")']
    if recipe(run.settings.recipe).takes("latent"):
        calls = ['model.sample(16).save("scenes.png")', *calls]
    if run.settings.recipe == "classifier":
        calls = ['print(model.predict(image="photo.jpg").classes)']
    lines = ["from inference import Fitted", "",
             f'model = Fitted.from_pretrained("{name}"{trust})', *calls]  # fmt: skip
    return "```python\n" + "\n".join(lines) + "\n```"


def _data(run: Run, data: str) -> str:
    count = run.settings.data.count
    first = f" (the first {count:,} scenes of its training split)" if count else ""
    return f"Trained on {data}{first}, from `--data {_shown(run.settings.data.source)}`."


def _table(run: Run, rows: list[Row], data: str, split: str, draws: int | None) -> str:
    if not rows:
        return "These weights have not been scored."
    seed = run.settings.training.seed
    lines = ["| direction | score | % | scenes | seed of training |", "|---|---|--:|--:|--:|"]
    for row in rows:
        measure = _MEASURES[row.target][2]
        lines.append(f"| {row.title} | {measure} | {row.value:.1f} | {row.scenes:,} | {seed} |")
    note = f"On {data}, split {split}"
    if recipe(run.settings.recipe).takes("latent"):
        note += f", averaged over {draws} draws of z" if draws else ", at the mean of z"
    first = rows[0]
    each = ", ".join(f"{name} {value:.1f}" for name, value in first.each.items() if value)
    return "\n".join([*lines, "", f"{note}. By label ({first.title}): {each}."])


def _training(run: Run, original: Run) -> str:
    versions = read_json(original.path(CONFIG)).get("versions", {})
    trained = ", ".join(f"{name} {value}" for name, value in versions.items())
    return f"```sh\n{command_of(run.settings)}\n```\n\nTrained with {trained}."


def _limits(run: Run, choices: CardChoices, parts: list[str]) -> Iterator[str]:
    height, width = run.schema.size
    yield "Every pixel gets one of the labels above, whatever the image shows."
    yield f"Images are scaled to {height}×{width} pixels; smaller things are not seen."
    if run.settings.data.source.startswith("synthetic"):
        yield "It was trained on generated scenes only: it is not for photographs."
    yield (
        f"The scores are of one training with seed {run.settings.training.seed}; other seeds give "
        "other scores. Nothing here measures calibration, or data other than those named."
    )
    if run.settings.recipe in _SUPERVISED_BY_LABELS:
        yield "It learned from image-level labels; its borders are coarse without a dense CRF."
    if parts:
        yield "Scenes are drawn by integrating a flow, which takes longer than one decoding."
    if choices.half:
        yield "Matrices and kernels are stored with 16 bits a number, and used with 32."
    if is_foreign(run.settings):
        yield (
            f"It contains code of its own (`{CODE}/`), which runs only with `trust=True`. Read it "
            "first."
        )


def _licence(choices: CardChoices) -> str:
    if choices.license == "unknown":
        return "Whoever shared this model did not state its licence."
    return f"`{choices.license}`, of the weights. The data may have other terms."


def _shown(source: str) -> str:
    return source.rpartition(":")[2] if source.startswith(f"{CODE}/") else source


def _slug(name: str) -> str:
    """Return a name as the hub takes it: letters, digits, dots and hyphens.

    >>> _slug("synthetic:default"), _slug("/home/jane/My photos/")
    ('synthetic-default', 'My-photos')
    """
    last = name.rstrip("/").rpartition("/")[2] or name
    return re.sub(r"[^\w.-]+", "-", last).strip("-") or "data"
