"""Does TELBO cost accuracy? Scores of each model after equal steps, and after equal compute.

A j-VAE is trained for each set of views that it reads; one TELBO or JMVAE reads any set. Every
model is first tuned over the same few settings, with one seed that is not used again, on scenes
held out from training (``tune``). Then each model is trained once per seed, and models are
compared seed by seed, given the same views. Equal compute means as many multiplications as
TELBO's steps take, counted by torch: first for each model, then for all j-VAEs together, because
they need one model for each set of views and TELBO needs one in all.

    python examples/close_the_gap.py --size 32x32 --jobs 2
    python examples/close_the_gap.py --data FOLDER --size 96x64 --steps 200 --seeds 3 --jobs 2

Trained runs are kept; a later call with the same settings reuses them.
"""

import argparse
import statistics
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from inference.devices import device_of
from inference.experiments.cache import digest, read_result, weights_digest, write_result
from inference.experiments.compare import (
    Row,
    Training,
    TrainingScores,
    flops,
    format_mean,
    train_and_score,
)
from inference.prediction.predict import predict
from inference.runs.checkpoints import restore
from inference.runs.run import home, read, write_json
from inference.training.batches import batches
from scene.datasets.catalogue import open_data, splits_of
from scene.metrics import MaskScorer
from scene.registry import unknown
from scene.seeds import seeded
from scene.sizes import parse_size
from scene.views import Views

OURS = "TELBO (default)"
CHEAP = "TELBO (one term a scene)"

ROWS = {
    "j-VAE (image)": Row("jvae", {"encode": ("image",)}),
    "j-VAE (image + classes)": Row("jvae", {"encode": ("image", "classes")}),
    "TELBO (report's form)": Row(
        "telbo", {"guide": "retrofit", "subsets": "report", "retrofit": "own"}
    ),
    OURS: Row("telbo"),
    CHEAP: Row("telbo", {"turns": "scene"}),
    "JMVAE": Row("jmvae"),
}
"""The models to compare, in the order of the tables."""

SHARING = ("j-VAE (image)", "j-VAE (image + classes)")
"""The models that together cover the directions of one of the others."""

GRID = [
    {"learning_rate": rate, "view_weights": {"mask": weight}}
    for rate, weight in ((1e-2, 10.0), (1e-2, 1.0), (2e-3, 10.0), (2e-3, 1.0))
]
"""The settings over which each model is tuned."""

IMAGE, BOTH, MASK, ALL = "image → mask", "image + classes → mask", "mask → mask", "all → mask"

DIRECTIONS = (
    (("image",), "mask"),
    (("image", "classes"), "mask"),
    (("mask",), "mask"),
    (("image", "classes", "mask"), "mask"),
)

DRAWN = "mask → image"
"""mIoU in % of a segmenter's mask of an image, against the mask it was sampled given."""

Rows = dict[str, Row]

REPORT = "TELBO (report's form)"

PAIRS = (
    (OURS, "j-VAE (image)", IMAGE),
    (OURS, "j-VAE (image + classes)", BOTH),
    *((OURS, REPORT, title) for title in (IMAGE, BOTH, ALL, DRAWN)),
    (CHEAP, "j-VAE (image)", IMAGE),
    (CHEAP, "j-VAE (image + classes)", BOTH),
)
"""Pairs of rows to compare, and the direction of inference."""

TUNING = 1000
"""The seed used for tuning."""


def main(argv: Sequence[str] | None = None) -> None:
    """Tune, train missing runs, and print the tables in Markdown."""
    arguments = _arguments().parse_args(argv)
    if min(arguments.seeds, arguments.jobs, arguments.steps, arguments.points) < 1:
        raise SystemExit("--seeds, --jobs, --steps and --points are 1 or more.")
    rows = {name.strip(): _row(name.strip()) for name in f"{arguments.rows}; {OURS}".split(";")}
    out = arguments.out or home() / f"gap-{arguments.data.replace(':', '-').replace('/', '-')}"
    common: dict[str, Any] = {"data": arguments.data, "size": parse_size(arguments.size)}
    for name in ("count", "width", "guide_width", "spatial", "batch_size"):
        if (value := getattr(arguments, name)) is not None:
            common[name] = value
    work = partial(
        train_and_score, out=out, jobs=arguments.jobs, device=arguments.device, watch=_tell
    )
    chosen = _tuned(rows, common, arguments, work)
    steps = dict.fromkeys(rows, arguments.steps)
    each, together = _equal_compute(rows, chosen, arguments.steps)
    tables = [("Equal steps", steps), ("Equal compute", each)]
    if together != each:
        tables.append(("Equal compute, j-VAEs together", together))
    held_out = [name for name in ("test", "val") if name in splits_of(arguments.data)]
    report: dict[str, Any] = {"chosen": {r: dict(s) for r, s in chosen.items()}, "tables": []}
    for (title, counts), split in product(tables, held_out):
        results = work(
            _jobs(rows, chosen, counts, arguments.seeds), split=split, directions=DIRECTIONS
        )
        eyes = _segmenter(common, arguments.steps, work, split)
        scores = partial(_scores, eyes=eyes, split=split, device=arguments.device)
        table = [(r.row, r.settings.training.seed, scores(r)) for r in results]
        print(f"\n{title}, {results[0].dataset}, mIoU in %", flush=True)
        print(f"\n{_table(table, counts)}\n\n{_differences(table)}", flush=True)
        report["tables"].append({"title": title, "split": split, "steps": counts, "scores": table})
    write_json(out / "gap.json", report)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--data", default="synthetic:default")
    parser.add_argument("--size", default="64x64")
    parser.add_argument(
        "--steps",
        type=int,
        default=720,
        help="steps of TELBO, in every table; default: %(default)s",
    )
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds: 0, 1, …")
    parser.add_argument("--rows", default="; ".join(ROWS), help="default: %(default)s")
    parser.add_argument("--tuning-steps", type=int, help="default: as --steps")
    parser.add_argument(
        "--points", type=int, default=len(GRID), help="number of settings to tune over"
    )
    for name in ("count", "width", "guide-width", "spatial", "batch-size"):
        parser.add_argument(f"--{name}", type=int, help=f"as in scene train: --{name}")
    parser.add_argument("--out", type=Path, help="folder for the runs")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once; they share the cores")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    return parser


def _row(name: str) -> Row:
    if name not in ROWS:
        raise SystemExit(unknown(name, ROWS, "row") + ".")
    return ROWS[name]


def _tuned(
    rows: Rows, common: dict[str, Any], arguments: argparse.Namespace, work: Any
) -> dict[str, Any]:
    """Choose the settings of each row."""
    steps = arguments.tuning_steps or arguments.steps
    points = [{**common, **point, "steps": steps} for point in GRID[: arguments.points]]
    jobs = [
        Training(name, row.settings(**p, seed=TUNING))
        for name, row in rows.items()
        for p in points
    ]
    results = work(jobs, split="tune", directions=DIRECTIONS)
    chosen = {}
    for name in rows:
        own = [_mean(r) for r in results if r.row == name]
        best = max(range(len(own)), key=own.__getitem__)
        chosen[name] = {**common, **GRID[best]}
        print(f"{name}: of {', '.join(f'{s:.1f}' for s in own)} chose {GRID[best]}", flush=True)
    return chosen


def _mean(result: TrainingScores) -> float:
    """Average the scores of image → mask and image + classes → mask, where the model has them."""
    known = [s for s in map(result.miou, (IMAGE, BOTH)) if s is not None]
    return statistics.mean(known) if known else 0.0


def _jobs(
    rows: Rows, chosen: dict[str, Any], counts: dict[str, int], seeds: int
) -> list[Training]:
    return [
        Training(name, row.settings(**chosen[name], steps=counts[name], seed=seed))
        for seed in range(seeds)
        for name, row in rows.items()
    ]


def _equal_compute(
    rows: Rows, chosen: dict[str, Any], steps: int
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the steps of each model at TELBO's compute: each alone, and j-VAEs together."""
    cost: dict[str, float] = {}
    for name, row in rows.items():
        settings = row.settings(**chosen[name])
        data = open_data(settings.data.source, "train", settings.data.size)
        drawn = batches(
            data, settings.training.batch_size, TUNING, range(8)
        )  # some may lack views
        cost[name] = statistics.mean(flops(settings, data.schema, batch) for batch in drawn)
    shared = sum(cost[name] for name in SHARING if name in cost)
    together = {name: shared if name in SHARING else own for name, own in cost.items()}
    each, all_in_all = (
        {name: round(steps * cost[OURS] / own) for name, own in costs.items()}
        for costs in (cost, together)
    )
    return each, all_in_all


def _segmenter(common: dict[str, Any], steps: int, work: Any, split: str) -> Any:
    """Train the segmenter that judges sampled images, on ground-truth masks."""
    options = {k: v for k, v in common.items() if k in ("data", "size", "count")}
    job = Training("segmenter", Row("segmenter").settings(**options, steps=steps, seed=TUNING))
    (results,) = work([job], split=split, directions=DIRECTIONS[:1])
    return results


def _scores(
    result: TrainingScores, eyes: TrainingScores, split: str, device: Any
) -> dict[str, float | None]:
    """Return the scores of one run, including the score of images sampled given masks."""
    scores = {title: result.miou(title) for title in (IMAGE, BOTH, MASK, ALL)}
    return {**scores, DRAWN: _drawn(result, eyes, split, device) if scores[MASK] else None}


def _drawn(result: TrainingScores, eyes: TrainingScores, split: str, device: Any) -> float:
    """Sample an image given each mask, and score the mask that the segmenter predicts from it."""
    path = result.folder / f"drawn-{split}.json"
    key = digest(weights_digest(read(result.folder)), weights_digest(read(eyes.folder)), split)
    if (miou := read_result(path, key)) is not None:
        return float(miou)
    where = device_of(device)
    model, segmenter = (restore(read(r.folder), device=where) for r in (result, eyes))
    data = open_data(result.settings.data.source, split, result.settings.data.size)
    scorer = MaskScorer(data.schema.labels)
    with seeded(0, where):
        for first in range(0, len(data), 50):
            views = data.views(range(first, min(len(data), first + 50))).to(where)
            drawn = Views(predict(model, views.only(["mask"]), ["image"], draws=1).views)
            for guess, true in zip(
                predict(segmenter, drawn, ["mask"]).views["mask"], views["mask"], strict=True
            ):
                scorer.add(guess.argmax(0).cpu(), true.cpu())
    return float(write_result(path, key, scorer.score().miou))


def _table(table: list[Any], counts: dict[str, int]) -> str:
    titles = (IMAGE, BOTH, MASK, ALL, DRAWN)
    lines = [f"| model | steps | {' | '.join(titles)} |", "|---" + "|--:" * 6 + "|"]
    for row in counts:
        own = [scores for name, _, scores in table if name == row]
        cells = " | ".join(format_mean(scores[title] for scores in own) for title in titles)
        lines.append(f"| {row} | {counts[row]} | {cells} |")
    return "\n".join(lines)


def _differences(table: list[Any]) -> str:
    """Return a table of TELBO's gains over other models, paired by seed."""
    scores = {(name, seed): score for name, seed, score in table}
    seeds = sorted({seed for _, seed, _ in table})
    lines = [
        "| of | less | in | mean ± standard deviation | each seed |",
        "|---|---|---|--:|---|",
    ]
    for ours, other, title in PAIRS:
        if not {(ours, seeds[0]), (other, seeds[0])} <= scores.keys():
            continue
        pairs = [(scores[ours, s][title], scores[other, s][title]) for s in seeds]
        if any(own is None or theirs is None for own, theirs in pairs):
            continue
        gaps = [own - theirs for own, theirs in pairs]
        each = ", ".join(f"{gap:+.1f}" for gap in gaps)
        lines.append(f"| {ours} | {other} | {title} | {format_mean(gaps)} | {each} |")
    return "\n".join(lines)


def _tell(result: TrainingScores) -> None:
    scores = ", ".join(
        f"{c['title']} {format_mean([result.miou(c['title'])])}" for c in result.cells
    )
    changes = f"{result.settings.training.steps} steps, seed {result.settings.training.seed}"
    print(f"{result.row}, {changes}: {scores or 'diverged'}", flush=True)


if __name__ == "__main__":
    main()
