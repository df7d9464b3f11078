"""Drawn masks beside those that an image may have: `scene evaluate --ambiguity`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .console import about, console, heading
from .options import choose_run, fitted
from .progress import bar

if TYPE_CHECKING:
    from inference.api.diagnose import AmbiguityScore


def evaluate_ambiguity(run: Path | None, arguments: dict[str, Any]) -> None:
    """Compare masks drawn given images with the readings of these images; print tables or JSON.

    Args:
        run: The run; None = the newest that predicts masks from images.
        arguments: The arguments of `cli.evaluate.evaluate` by name.
    """
    from inference.api.diagnose import ambiguity

    folder = choose_run(run, "predict", ("image",)).folder
    model = fitted(folder, device=arguments["device"], trust=arguments["trust"])
    dataset = model.dataset(
        arguments["split"], data=arguments["data"], download=arguments["download"]
    )
    with bar() as watch:
        score = ambiguity(
            model,
            dataset,
            limit=arguments["limit"] or 300,
            seed=arguments["seed"],
            watch=lambda done, total: watch("drawing", done, total),
        )
    report = about(model.run, dataset)
    if arguments["json"]:
        console.print_json(data={**report, "ambiguity": score.to_json()})
        return
    console.print(heading(report, score.scenes))
    show_ambiguity(score)
    if not model.model.latent:
        console.print("This model has no z: each draw is the most probable label of each pixel.")


def show_ambiguity(score: AmbiguityScore) -> None:
    """Print the distances as a table, and the shares of readings as another."""
    from rich.table import Table

    table = Table("masks", padding=(0, 1, 0, 0))
    for title in ("D²", "ratio", "of readings", "ratio", "astray", "outline", "share error"):
        table.add_column(title, justify="right")
    single = score.best_single, score.best_single / score.exact if score.exact else None
    one = 1.0 if score.exact else None
    rows = {
        f"{score.draws} draws": (
            *(score.energy, score.ratio, score.nearest, score.nearest_ratio),
            *(score.astray, score.outline, score.share_error),
        ),
        f"{score.draws} exact": (
            *(score.exact, one, score.exact, one),
            *(0.0, 0.0, score.exact_share_error),
        ),
        "best single": (*single, *single, 0.0, 0.0, None),
    }
    for title, values in rows.items():
        table.add_row(title, *map(_three_digits, values))
    console.print(table)
    if score.shares:
        shares = Table("probability of a reading", *(f"{s.probability:.2f}" for s in score.shares))
        shares.add_row("share of draws", *(f"{s.share:.2f}" for s in score.shares))
        console.print(shares)
    console.print(
        f"{score.ambiguous} of {score.scenes} images have several masks (readings), of known "
        "probabilities. D²: generalised energy distance between draws and readings, 0 at best; of "
        "readings: after each draw is replaced by its nearest reading. ratio: to the D² of as "
        "many exact draws. astray: share of draws near no reading. outline: distance of the "
        "others to their nearest reading. share error: difference of a reading's share among "
        "draws and its probability. best single: the most probable reading alone."
    )


def _three_digits(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.{3 if value < 1 else 2 if value < 10 else 1}f}"
