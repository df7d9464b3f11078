"""A report as one page of HTML that needs no other file and no network."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from scene.storage.files import replace_file

from .contents import Report, RunReport, headline, measure, scored_cells

TEMPLATE = "page.html.j2"


def write_page(report: Report, path: Path) -> None:
    """Write a report; the file is complete, or as it was.

    Args:
        report: What it says.
        path: Where to; replaced if it exists.
    """
    text = page(report)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda part: part.write_text(text, encoding="utf-8"))


def page(report: Report) -> str:
    """Return a report as HTML."""
    source = files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    names = [one.run.folder.name for one in report.runs]
    return environment.from_string(source).render(
        report=report,
        title=f"Report of {names[0]}" if len(names) == 1 else f"Report of {len(names)} runs",
        comparison=[(title, _scores_of(report, title)) for title in report.directions],
        labels_of=_labels_of,
        scored_cells=scored_cells,
        headline=headline,
        measure=measure,
    )


def _scores_of(report: Report, title: str) -> list[tuple[str, bool]]:
    """Return the score of each run in one direction, and which is the best."""
    values: list[float | None] = []
    for one in report.runs:
        cells = [cell for cell in scored_cells(one.evaluation) if cell.title == title]
        values.append(headline(cells[0]) if cells else None)
    numbers = [value for value in values if value is not None]
    best = max(numbers) if len(numbers) > 1 else None
    return [("–" if v is None else f"{v:.1f}", v is not None and v == best) for v in values]


def _labels_of(one: RunReport) -> list[tuple[str, list[tuple[str, float]]]]:
    """Return, for each label, its score in each direction: text, and percent."""
    cells = scored_cells(one.evaluation)
    rows = []
    for name in one.run.schema.labels.names:
        row = []
        for cell in cells:
            score: Any = cell.score
            value = (score.iou if cell.target == "mask" else score.f1).get(name)
            row.append(("–", 0.0) if value is None else (f"{value:.1f}", float(value)))
        rows.append((name, row))
    return rows
