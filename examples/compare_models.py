"""Segmentation scores of each model on test scenes: the first table of docs/results.md.

Every row trains for the same number of steps on the same scenes, once per seed, and is scored as
by ``scene evaluate``. Trained runs are kept, and a later call with the same settings reuses them,
so an interrupted comparison can continue. After changing the code, choose another ``--out``.

    python examples/compare_models.py --seeds 3 --jobs 2
    python examples/compare_models.py --steps 300 --rows telbo-own-k5,telbo-all-k5
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from inference.experiments.compare import (
    Row,
    Training,
    TrainingScores,
    format_mean,
    train_and_score,
)
from inference.prediction.evaluate import DRAWS
from inference.runs.run import home
from scene.datasets.catalogue import evaluation_split
from scene.registry import unknown
from scene.sizes import parse_size

GUIDE = {"guide": "retrofit"}
"""A joint network in addition to the experts, as in the report."""

K5 = {"particles": 5, "retrofit_particles": 5}
"""Draws of z in the joint term and in those of subsets."""

ROWS = {
    "cvae": Row("cvae"),
    "jvae-image": Row("jvae", {"encode": ("image",)}),
    "jvae-both": Row("jvae", {"encode": ("image", "classes")}),
    "jmvae": Row("jmvae"),
    "telbo-own-k1": Row("telbo", {**GUIDE, "retrofit": "own", "particles": 1}),
    "telbo-own-k5": Row("telbo", {**GUIDE, "retrofit": "own", **K5}),
    "telbo-all-k1": Row("telbo", {**GUIDE, "retrofit": "predict-all", "particles": 1}),
    "telbo-all-k5": Row("telbo", {**GUIDE, "retrofit": "predict-all", **K5}),
    "segmenter": Row("segmenter"),
}
"""The rows of the table."""

DIRECTIONS = ((("image",), "mask"), (("image", "classes"), "mask"), (("mask",), "mask"))


def main(argv: Sequence[str] | None = None) -> None:
    """Train missing runs, then print the table in Markdown."""
    arguments = _arguments().parse_args(argv)
    rows = [row.strip() for row in arguments.rows.split(",")]
    for row in rows:
        if row not in ROWS:
            raise SystemExit(unknown(row, ROWS, "row") + ".")
    if min(arguments.seeds, arguments.jobs) < 1:
        raise SystemExit("--seeds and --jobs are 1 or more.")
    steps = arguments.steps
    common = {"data": arguments.data, "count": arguments.count, "size": parse_size(arguments.size)}
    results = train_and_score(
        [
            Training(row, ROWS[row].settings(**common, steps=steps, seed=seed))
            for seed in range(arguments.seeds)
            for row in rows
        ],
        arguments.out or home() / f"compare-{arguments.data.replace(':', '-').replace('/', '-')}",
        split=evaluation_split(arguments.data),
        directions=DIRECTIONS,
        jobs=arguments.jobs,
        device=arguments.device,
        watch=_tell,
    )
    print(f"\n{_title(results[0], arguments.seeds, steps)}\n\n{_table(rows, results)}\n\n{_NOTES}")


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds: 0, 1, …")
    parser.add_argument("--steps", type=int, default=720, help="steps of every row; %(default)s")
    parser.add_argument("--data", default="synthetic:default")
    parser.add_argument("--count", type=int, help="number of generated training scenes")
    parser.add_argument("--size", default="64x64")
    parser.add_argument("--rows", default=",".join(ROWS), help="default: %(default)s")
    parser.add_argument("--out", type=Path, help="folder for runs and results")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once; they share the cores")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    return parser


def _tell(result: TrainingScores) -> None:
    scores = ", ".join(
        f"{c['title']} {format_mean([result.miou(c['title'])])}" for c in result.cells
    )
    print(
        f"{result.row}, seed {result.settings.training.seed}: {scores or 'diverged'}", flush=True
    )


def _title(result: TrainingScores, seeds: int, steps: int) -> str:
    height, width = result.settings.data.size
    return (
        f"mIoU in % on {result.dataset} of {height}×{width}, {DRAWS} draws, "
        f"{steps} steps; mean ± standard deviation over seeds {', '.join(map(str, range(seeds)))}."
    )


def _table(rows: list[str], results: list[TrainingScores]) -> str:
    cells = next(result.cells for result in results if result.cells)
    titles = [cell["title"] for cell in cells]
    lines = [f"| `scene train` | {' | '.join(titles)} |", "|---" + "|--:" * len(titles) + "|"]
    for row in rows:
        own = [result for result in results if result.row == row]
        scores = " | ".join(_cell(own, title) for title in titles)
        lines.append(f"| `{ROWS[row].command}` | {scores} |")
    return "\n".join(lines)


_NOTES = (
    "† no term of the objective trained this posterior on its own; – the model cannot go this way."
)


def _cell(own: list[TrainingScores], title: str) -> str:
    trained = all(c["trained"] for r in own for c in r.cells if c["title"] == title)
    text = format_mean(result.miou(title) for result in own)
    return text if trained or text == "–" else text + " †"


if __name__ == "__main__":
    main()
