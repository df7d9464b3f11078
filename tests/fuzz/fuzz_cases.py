"""Cases: a command, one of its files made wrong by a seed, and what must hold whatever happens."""

import io
import json
import os
import random
import re
import resource
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fuzz_files import PICTURES, make
from fuzz_mutations import mutated
from PIL import Image
from torch import nn

from cli.app import main
from inference.segmentation.cue_files import Cues
from scene.images.io import picture_size
from scene.networks import backbones

SECONDS, BYTES = 10, 2 * 2**30
"""The most that a case may take of a clock, and of memory."""

REFUSALS = (LookupError, ValueError, OSError)
FILE = "FILE"


def _weights(path: Path) -> None:
    backbones.load_weights(nn.Linear(1, 1), "linear", path)


@dataclass(frozen=True)
class Target:
    """A command that takes a file, or a reader of the library.

    Attributes:
        file: What is made wrong.
        words: The command; ``FILE`` stands for the file.
        reader: What reads the file where there is no command.
        writes: The folders that may change.
        often: How many of a round's cases are this target's.
    """

    file: str
    words: tuple[str, ...] = ()
    reader: Callable[[Path], object] | None = None
    writes: tuple[str, ...] = ("out",)
    often: int = 4


def _of(often: int, files: str, words: str, *writes: str) -> list[Target]:
    return [
        Target(file, tuple(words.split()), writes=("out", *writes), often=often)
        for file in files.split()
    ]


_REFINE = "--labelmap labelmap.txt --iterations 1 --engine exact --out out"
_ARRAYS = "--probs arrays --data pets --split val --engine exact"
_TUNE = "--data pets --size 16x16 --steps 1 --width 4 --batch-size 4 --trials 2 --device cpu"
_PHOTOS = " ".join(f"photo.{suffix}" for suffix in PICTURES) + " clear.png turned.jpg deep.png"
_LISTS = " ".join(f"pets/ImageSets/{name}.txt" for name in (
    "Segmentation/train", "Segmentation/val", "Segmentation/weak", "Main/train", "Main/cat_train",
))  # fmt: skip

TARGETS = [
    *_of(4, _PHOTOS, "segment FILE --run segmenter --stage mask --out out --device cpu"),
    *_of(2, "photo.png photo.jpg clear.png", f"crf refine FILE --labels mask.png {_REFINE}"),
    *_of(6, "mask.png colours.png grey.png", f"crf refine photo.png --labels FILE {_REFINE}"),
    *_of(8, "probs.npy probs.npz packed.npz", f"crf refine photo.png --probs FILE {_REFINE}"),
    *_of(8, "crf.json", f"crf refine photo.png --labels mask.png --params FILE {_REFINE}"),
    *_of(8, "labelmap.txt", f"crf refine photo.png --labels colours.png {_REFINE}"),
    *_of(1, "mask.png", "sample --run telbo --from-mask FILE -n 1 --picture out/a.png"),
    *_of(1, "photo.png", "sample --run telbo --from-image FILE -n 1 --picture out/a.png"),
    *_of(6, "list.txt", "segment FILE --run segmenter --stage mask --out out --device cpu"),
    *_of(4, f"{_LISTS} pets/labelmap.txt", "data info pets --size 16x16"),
    *_of(2, "pets/JPEGImages/photo_00.jpg", "data info pets --size 16x16"),
    *_of(2, "pets/SegmentationClass/photo_00.png", "data info pets --size 16x16"),
    *_of(6, "tables/labels.csv tables/labels.tsv tables/annotations.json", "data info FILE"),
    *_of(2, "tables/labels.csv tables/annotations.json",
         "data preview FILE --size 16x16 -n 2 --out out/a.png"),
    *_of(6, "tools/coco.json tools/cvat.xml tools/studio.json tools/min.json tools/labelme.json",
         "data info FILE --size 16x16"),
    *_of(1, "tools/coco.json tools/studio.json", "data convert FILE --out out/voc"),
    *_of(3, "cvat/annotations.xml", "data info cvat --size 16x16"),
    *_of(3, "labelme/photo.json", "data convert labelme --out out/coco --format coco"),
    *_of(2, "classes/cat/0.jpg", "data info classes"),
    *_of(1, "classes/cat/0.jpg", "data preview classes --size 16x16 -n 2 --out out/a.png"),
    *_of(1, f"{_LISTS} pets/labelmap.txt", "data preview pets --size 16x16 -n 2 --out out/a.png"),
    *_of(6, "segmenter/config.json segmenter/weights.safetensors",
         "segment photo.png --run segmenter --stage mask --out out --device cpu"),
    *_of(3, "segmenter/config.json", "evaluate segmenter --split val --device cpu"),
    *_of(1, "telbo/config.json telbo/weights.safetensors",
         "sample --run telbo -n 1 --picture out/a.png --device cpu"),
    *_of(1, "segmenter/config.json pets/labelmap.txt pets/ImageSets/Main/train.txt",
         "pseudo-label --run segmenter --data pets --out out/weak --no-crf --device cpu"),
    *_of(1, "arrays/photo_04.npy pets/ImageSets/Segmentation/val.txt",
         f"crf ablate {_ARRAYS} --choose-on none --alphas 8 --betas 3 --out out/ablate"),
    *_of(1, "arrays/photo_04.npy",
         f"crf fit {_ARRAYS} --held-out train --steps 1 --out out/crf.json"),
    *_of(1, "telbo/config.json telbo/weights.safetensors",
         "generate --run telbo -n 2 --out out/made --device cpu"),
    *_of(2, "half/config.json", "train --resume half --device cpu", "half"),
    *_of(3, "half/checkpoint.safetensors", "train --resume half --device cpu", "half"),
    *_of(3, "half/metrics.jsonl", "train --resume half --device cpu", "half"),
    *_of(2, "study/study.json study/trials.log",
         f"tune segmenter {_TUNE} --over learning-rate=0.1,0.2 --out study", "study"),
    Target("photo.jpg", reader=picture_size),
    Target("photo.png", reader=picture_size),
    Target("cues.npz", reader=Cues.load, often=8),
    Target("segmenter/weights.safetensors", reader=_weights, often=6),
]  # fmt: skip

ROUND = [target for target in TARGETS for _ in range(target.often)]


@dataclass
class World:
    """A folder of files that can be used, put back after every case.

    Attributes:
        folder: Where it is; commands are run in it.
        kept: The bytes of each file.
        most: The most memory that this process may come to, in bytes: what a case may take, and
            more only in a process that has had more before.
    """

    folder: Path
    kept: dict[Path, bytes] = field(default_factory=dict)
    most: int = BYTES

    def __post_init__(self) -> None:
        make(self.folder)
        os.chdir(self.folder)
        tune = f"tune segmenter {_TUNE} --over learning-rate=0.1,0.2 --out study"
        code, _, err = said(tuple(tune.split()))
        assert code == 0, err
        for name in ("tune.png",):
            (self.folder / "study" / name).unlink(missing_ok=True)
        shutil.rmtree("out", ignore_errors=True)
        self.kept = {p: p.read_bytes() for p in self.folder.rglob("*") if p.is_file()}
        self.most = max(BYTES, _peak() + BYTES // 2)

    def look(self) -> dict[Path, tuple[int, int]]:
        """Say what is there, and when it was last changed."""
        result = {}
        for path in self.folder.rglob("*"):
            about = path.lstat()
            result[path] = (about.st_size, about.st_mtime_ns) if not path.is_dir() else (0, 0)
        return result

    def put_back(self) -> None:
        """Make everything as it was."""
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if path.is_symlink() or (
                path.exists() and not path.is_dir() and path not in self.kept
            ):
                path.unlink()
        shutil.rmtree("out", ignore_errors=True)
        for path, data in self.kept.items():
            if path.is_fifo():
                path.unlink()
            elif path.is_dir():
                shutil.rmtree(path)
            if not path.is_file() or path.read_bytes() != data:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)


def _peak() -> int:
    """Say how much memory this process has ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run(world: World, number: int) -> str | None:
    """Do a case, and say what was wrong with what the command did; None if nothing was.

    Args:
        world: Put back afterwards.
        number: Of the case, from 0; it decides everything.
    """
    target, draw = ROUND[number % len(ROUND)], random.Random(number)
    path = world.folder / target.file
    _harm(path, world.kept[path], draw)
    before, began = world.look(), time.monotonic()
    try:
        fault = _read(target, path) if target.reader else _command(world, target, path, draw)
        took = time.monotonic() - began
        most = _peak()
        if fault is None and took > SECONDS:
            fault = f"it took {took:.1f} s"
        if fault is None and most > world.most:
            fault = f"it took {most / 2**30:.1f} GiB"
        return fault or _changed(world, target, before)
    finally:
        world.put_back()


def said(words: tuple[str, ...]) -> tuple[int, str, str]:
    """Run a command in this process; give its exit status and what it wrote."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
    usual, code = (sys.argv, sys.stdout, sys.stderr), 0
    sys.argv, sys.stdout, sys.stderr = ["scene", *words], *streams
    try:
        main()
    except SystemExit as stop:
        code = stop.code or 0
    finally:
        sys.argv, sys.stdout, sys.stderr = usual
    for stream in streams:
        stream.flush()
    out, err = (stream.buffer.getvalue().decode("utf-8", "replace") for stream in streams)
    return code, out, err


def _harm(path: Path, data: bytes, draw: random.Random) -> None:
    """Write a file made wrong, or put something else in its place."""
    if draw.random() < 0.97:
        path.write_bytes(mutated(data, path.suffix[1:], draw))
        return
    path.unlink()
    kind = draw.choice(["pipe", "folder", "device", "loop", "nothing"])
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind != "nothing":
        path.symlink_to("/dev/zero" if kind == "device" else path.name)


def _read(target: Target, path: Path) -> str | None:
    assert target.reader is not None
    try:
        target.reader(path)
    except (KeyError, IndexError) as error:
        return f"it raised {error!r}"
    except REFUSALS as error:
        return _unclear(str(error.args[0] if len(error.args) == 1 else error))
    return None


def _command(world: World, target: Target, path: Path, draw: random.Random) -> str | None:
    words = tuple(word.replace(FILE, target.file) for word in target.words)
    code, out, err = said(words)
    if code not in (0, 1, 2):
        return f"it ended with {code}"
    if noise := re.search(r"Traceback|Warning|Errno|\bError\b", err):
        return f"it said {noise[0]}: {err[-500:]}"
    if code and not err.strip():
        return "it refused without a word"
    if code == 1 and (fault := _unclear(err.splitlines()[-1])):
        return fault
    if code == 0 and not out.strip():
        return "it did something without a word"
    return None


def _unclear(sentence: str) -> str | None:
    """Say why a refusal is no clear sentence."""
    if len(sentence) > 1200:
        return f"its sentence has {len(sentence)} letters: {sentence[:200]}…"
    if not sentence.rstrip().endswith((".", "?")):
        return f"its sentence has no end: {sentence}"
    return None


def _changed(world: World, target: Target, before: dict[Path, tuple[int, int]]) -> str | None:
    """Say what was written that should not have been, or not wholly."""
    roots = [world.folder / name for name in target.writes]
    after = world.look()
    for path in sorted({*before, *after}):
        inside = any(path == root or root in path.parents for root in roots)
        if before.get(path) != after.get(path) and not inside:
            return f"it changed {path}"
    for path in (world.folder / "out").rglob("*"):
        if path.name.endswith(".part"):
            return f"it left {path}"
        try:
            if path.suffix == ".png":
                with Image.open(path) as picture:
                    picture.load()
            elif path.suffix == ".json":
                json.loads(path.read_text())
        except (OSError, ValueError, SyntaxError) as error:
            return f"{path} is half written: {error}"
    return None
