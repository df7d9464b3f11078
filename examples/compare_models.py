"""How well each model labels pixels it has not seen labelled: the table of the README.

Every row trains for equally many steps on the same scenes, once per seed, and is scored as
``scene evaluate`` scores it. Each result is written as soon as it is there and reused by a later
call with the same settings, so a comparison can be stopped and resumed; results know nothing of
the code, so after changing that choose another ``--out``.

    python examples/compare_models.py --seeds 3 --jobs 2
    python examples/compare_models.py --steps 300 --rows telbo-own-k5,telbo-all-k5
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any

import torch

from inference.evaluate import DRAWS, evaluate
from inference.recipes import recipe
from inference.restore import restore
from inference.runs import home, write_json
from inference.session import train
from inference.settings import Settings, option
from inference.train import launch
from scene.datasets.catalogue import evaluation_split, open_data
from scene.registry import unknown
from scene.sizes import parse_size

ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "cvae": ("cvae", {}),
    "jvae-image": ("jvae", {"encode": ("image",)}),
    "jvae-both": ("jvae", {"encode": ("image", "classes")}),
    "jmvae": ("jmvae", {}),
    "telbo-own-k1": ("telbo", {"retrofit": "own", "particles": 1}),
    "telbo-own-k5": ("telbo", {"retrofit": "own", "particles": 5}),
    "telbo-all-k1": ("telbo", {"retrofit": "predict-all", "particles": 1}),
    "telbo-all-k5": ("telbo", {"retrofit": "predict-all", "particles": 5}),
    "segmenter": ("segmenter", {}),
}
"""For each row: its recipe, and the settings that differ from that recipe's own."""

DIRECTIONS = ((("image",), "mask"), (("image", "classes"), "mask"), (("mask",), "mask"))

Job = tuple[str, Settings]


def main(argv: Sequence[str] | None = None) -> None:
    """Train what is missing, then print the table in Markdown."""
    asked = _arguments().parse_args(argv)
    rows = [row.strip() for row in asked.rows.split(",")]
    for row in rows:
        if row not in ROWS:
            raise SystemExit(unknown(row, ROWS, "row") + ".")
    if min(asked.seeds, asked.jobs) < 1:
        raise SystemExit("--seeds and --jobs are 1 or more.")
    steps = asked.steps or recipe("telbo").settings().steps
    common = {"data": asked.data, "count": asked.count, "size": parse_size(asked.size)}
    jobs = [
        (row, recipe(ROWS[row][0]).settings(**ROWS[row][1], **common, steps=steps, seed=seed))
        for seed in range(asked.seeds)
        for row in rows
    ]
    out = asked.out or home() / f"compare-{asked.data.replace(':', '-').replace('/', '-')}"
    results = _all_results(jobs, asked.jobs, partial(_result, out=out, device=asked.device))
    print(f"\n{_title(results[0], asked.seeds, steps)}\n\n{_table(rows, results)}\n\n{_NOTES}")


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many: 0, 1, …")
    parser.add_argument("--steps", type=int, help="of every row; by default telbo's own")
    parser.add_argument("--data", default="synthetic:default")
    parser.add_argument("--count", type=int, help="training scenes, if they are generated")
    parser.add_argument("--size", default="64x64")
    parser.add_argument("--rows", default=",".join(ROWS), help="default: %(default)s")
    parser.add_argument("--out", type=Path, help="folder of runs and results")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once; they share the cores")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    return parser


def _all_results(jobs: list[Job], at_once: int, work: Callable[[Job], dict[str, Any]]) -> Any:
    """Do every job, here or in processes of their own with an equal share of the cores."""
    if at_once == 1:
        return [_told(work(job)) for job in jobs]
    share = max(1, (os.cpu_count() or 1) // at_once)
    with ProcessPoolExecutor(
        at_once, multiprocessing.get_context("spawn"), torch.set_num_threads, (share,)
    ) as pool:
        return [_told(done.result()) for done in as_completed(pool.submit(work, j) for j in jobs)]


def _told(result: dict[str, Any]) -> dict[str, Any]:
    scores = ", ".join(f"{cell['title']} {_spread([cell])}" for cell in result["cells"])
    print(f"{result['row']}, seed {result['settings']['seed']}: {scores}", flush=True)
    return result


def _result(job: Job, out: Path, device: Any) -> dict[str, Any]:
    """Read the result of a job, or train and score it and write that down."""
    row, settings = job
    chosen = json.loads(json.dumps(settings.to_json()))
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:8]
    folder = out / f"{row}-seed{settings.seed}-{digest}"
    written = folder / "result.json"
    if written.is_file():
        found: dict[str, Any] = json.loads(written.read_text())
        return found
    outcome = train(settings, folder=folder, force=True, device=device)  # over an interrupted job
    assembly = restore(outcome.run, device=launch(device).device)
    scored = open_data(settings.data, evaluation_split(settings.data), settings.size)
    cells = evaluate(assembly, scored, directions=DIRECTIONS)
    result = {
        "row": row,
        "settings": chosen,
        "scored": f"{scored.name} {scored.split}, {len(scored)} scenes",
        "cells": [cell.to_json() for cell in cells],
    }
    write_json(written, result)
    return json.loads(written.read_text())  # type: ignore[no-any-return]


def _title(result: dict[str, Any], seeds: int, steps: int) -> str:
    height, width = result["settings"]["size"]
    return (
        f"mIoU in % on {result['scored']} of {height}×{width}, {DRAWS} draws, "
        f"{steps} steps; mean ± standard deviation over seeds {', '.join(map(str, range(seeds)))}."
    )


def _table(rows: list[str], results: list[dict[str, Any]]) -> str:
    titles = [cell["title"] for cell in results[0]["cells"]]
    lines = [f"| `scene train` | {' | '.join(titles)} |", "|---" + "|--:" * 3 + "|"]
    for row in rows:
        own = [result for result in results if result["row"] == row]
        by_direction = zip(*(result["cells"] for result in own), strict=True)
        cells = " | ".join(_spread(cells) for cells in by_direction)
        lines.append(f"| {_words(row)} | {cells} |")
    return "\n".join(lines)


_NOTES = (
    "† no term of the objective trained this posterior on its own; – the model cannot go this way."
)


def _words(row: str) -> str:
    """Say a row as one would type it."""
    name, changes = ROWS[row]
    values = {k: ",".join(v) if isinstance(v, tuple) else v for k, v in changes.items()}
    return " ".join([f"`{name}", *(f"{option(k)} {v}" for k, v in values.items())]) + "`"


def _spread(cells: Sequence[dict[str, Any]]) -> str:
    if any(cell["score"] is None for cell in cells):
        return "–"
    scores = [cell["score"]["miou"] for cell in cells]
    around = f" ± {statistics.stdev(scores):.1f}" if len(scores) > 1 else ""
    return f"{statistics.mean(scores):.1f}{around}" + ("" if cells[0]["trained"] else " †")


if __name__ == "__main__":
    main()
