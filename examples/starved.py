"""Do generated scenes help where masks are few? A segmenter with and without them, fairly.

For each number of masks and each seed, so many training scenes keep their masks; the others keep
image and image-level labels only. Both arms see the same masks:

- *real*: a segmenter on the scenes with masks;
- *generated*: the same segmenter on these and on scenes drawn from a TELBO that was trained on all
  scenes, with the masks of these only.

Segmenters take equally many steps, with the same augmentation. Each arm chooses its settings from
the same grid, with as many tune scenes as it has masks. Finished runs are kept, so that an
interrupted call continues.

    python examples/starved.py --size 32x32 --jobs 2
    python examples/starved.py --data FOLDER --size 96x64 --masks 50,500 --seeds 3
"""

import argparse
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch

from inference.api.datasets import GenerationSettings, generate
from inference.api.train import train
from inference.experiments.compare import Row, Training, format_mean, train_and_score
from inference.runs.run import home, read, write_json
from scene.datasets.catalogue import evaluation_split, open_data
from scene.datasets.folders.writer import ABOUT, VOCWriter, copy_split, new_folder, picture_of
from scene.sizes import parse_size

GENERATOR: dict[str, Any] = {
    "particles": 5,
    "spatial": 8,
    "cell": 4,
    "mask_first": True,
    "turns": "scene",
    "weak_weight": 0.0,
    "view_weights": {"mask": 10.0},
    "batch_size": 32,
}
"""Settings of the TELBO; masks of weight 0 are hidden."""

GRID = [
    {"augment": augment, "learning_rate": rate}
    for augment, rate in product(("flip", "crop"), (4e-3, 1e-3))
]
"""The settings that each arm chooses from."""

ARMS = ("real", "generated")

DIRECTIONS = ((("image",), "mask"),)


def main(argv: Sequence[str] | None = None) -> None:
    """Train what is missing, and print a table in Markdown."""
    arguments = _arguments().parse_args(argv)
    counts = [int(count) for count in arguments.masks.split(",")]
    if min(arguments.seeds, arguments.jobs, arguments.steps, arguments.generated, *counts) < 1:
        raise SystemExit("--seeds, --jobs, --steps, --generated and --masks are 1 or more.")
    name = arguments.data.replace(":", "-").replace("/", "-")
    out = arguments.out or home() / f"starved-{name}"
    rows = []
    for masks, seed in product(counts, range(arguments.seeds)):
        folders = _datasets(out / f"{masks}-masks-seed-{seed}", masks, seed, arguments)
        scores = {arm: _score(folders[arm], out, seed, arguments) for arm in ARMS}
        rows.append({"masks": masks, "seed": seed, **scores})
        gain = scores["generated"]["miou"] - scores["real"]["miou"]
        print(f"{masks} masks, seed {seed}: {_line(scores)}: {gain:+.1f}", flush=True)
        write_json(out / "starved.json", {"data": arguments.data, "rows": rows})
    print(f"\n{_table(counts, rows)}")


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--data", default="synthetic:default")
    parser.add_argument("--size", default="32x32")
    parser.add_argument(
        "--count", type=int, help="training scenes; default: all, or 2000 generated"
    )
    parser.add_argument("--masks", default="20,50,100,500", help="default: %(default)s")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds: 0, 1, …")
    parser.add_argument("--steps", type=int, default=400, help="of a segmenter: %(default)s")
    parser.add_argument(
        "--generator-steps", type=int, default=1500, help="of a TELBO: %(default)s"
    )
    parser.add_argument("--flow-steps", type=int, default=1500, help="of its flow: %(default)s")
    parser.add_argument("--generated", type=int, default=1000, help="scenes drawn: %(default)s")
    parser.add_argument("--out", type=Path, help="folder for datasets and runs")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once; they share the cores")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    return parser


def _datasets(
    folder: Path, masks: int, seed: int, arguments: argparse.Namespace
) -> dict[str, Path]:
    """Make the dataset of each arm where it is not there yet."""
    scenes, run = folder / "scenes", folder / "telbo"
    if not (scenes / ABOUT).exists():
        _hide_masks(scenes, masks, seed, arguments)
    folders = {arm: folder / arm for arm in ARMS}
    if not folders["generated"].exists():
        if not _complete(run):
            settings = {
                "size": parse_size(arguments.size),
                "steps": arguments.generator_steps,
                "flow_steps": arguments.flow_steps,
                "seed": seed,
            }
            train(
                "telbo", data=scenes, out=run, force=True, device=arguments.device,
                **GENERATOR, **settings,
            )  # fmt: skip
        for arm, count in zip(ARMS, (0, arguments.generated), strict=True):
            wanted = GenerationSettings(count, keep=masks, seed=seed)
            generate(
                read(run), wanted, folders[arm], source=str(scenes), device=arguments.device,
                force=True,
            )  # fmt: skip
    return folders


def _complete(run: Path) -> bool:
    return (run / "config.json").exists() and read(run).concluded


def _hide_masks(folder: Path, masks: int, seed: int, arguments: argparse.Namespace) -> None:
    """Write a dataset in which only some training scenes have masks that are not called weak."""
    size = parse_size(arguments.size)
    most = arguments.count or (2000 if arguments.data.startswith("synthetic") else None)
    training = open_data(arguments.data, "train", size, count=most)
    order = torch.randperm(len(training), generator=torch.Generator().manual_seed(seed)).tolist()
    with new_folder(folder) as part:
        writer, count = VOCWriter(part, training.schema.labels), 0
        for index in order:
            scene = training.original(index)
            if scene.image is None or scene.mask is None:
                continue
            name, picture = picture_of(training, index, scene.image)
            weak = count >= masks
            writer.add("train", name, picture, scene.mask, scene.classes, weak=weak)
            count += 1
        copy_split(writer, open_data(arguments.data, "tune", size), _silent, masks)
        copy_split(writer, open_data(arguments.data, "val", size), _silent, masks)
        test = evaluation_split(arguments.data)
        if test != "val":
            copy_split(writer, open_data(arguments.data, test, size), _silent)
        writer.finish({"masks": masks, "seed": seed, "data": arguments.data})


def _silent(title: str, done: int, total: int) -> None:
    """Watch nothing."""


def _score(data: Path, out: Path, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Choose the settings of a segmenter on tune, and score it on the reported split."""
    common = {
        "data": str(data), "size": parse_size(arguments.size), "steps": arguments.steps,
        "seed": seed,
    }  # fmt: skip
    trainings = [
        Training(str(point), Row("segmenter").settings(**common, **point)) for point in GRID
    ]
    work = partial(
        train_and_score, out=out / "segmenters", directions=DIRECTIONS, jobs=arguments.jobs,
        device=arguments.device,
    )  # fmt: skip
    tuned = [result.miou("image → mask") or 0.0 for result in work(trainings, split="tune")]
    best = max(range(len(GRID)), key=tuned.__getitem__)
    (result,) = work([trainings[best]], split=evaluation_split(str(data)))
    return {"chosen": GRID[best], "tune": tuned[best], "miou": result.miou("image → mask") or 0.0}


def _line(scores: dict[str, Any]) -> str:
    return ", ".join(f"{arm} {scores[arm]['miou']:.1f}" for arm in ARMS)


def _table(counts: list[int], rows: list[dict[str, Any]]) -> str:
    lines = ["| masks | real | and generated | gain | each seed |", "|--:|--:|--:|--:|---|"]
    for masks in counts:
        own = [row for row in rows if row["masks"] == masks]
        each = {arm: [row[arm]["miou"] for row in own] for arm in ARMS}
        gains = [new - old for old, new in zip(*each.values(), strict=True)]
        cells = " | ".join(format_mean(values) for values in (*each.values(), gains))
        lines.append(f"| {masks} | {cells} | {', '.join(f'{gain:+.1f}' for gain in gains)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
