"""What several tests stand on: scenes of pets, as tensors and in a folder, and generated ones."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

sys.dont_write_bytecode = False  # else each process that a test starts compiles torch for itself

import pytest
import torch

from scene.datasets.synthetic.dataset import COUNTS
from scene.images.io import write_image, write_mask
from scene.labels import VOID, Labels
from scene.views import Schema, Views

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # workers share the cores; threads of theirs would queue for them

for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # nohup ignores some, as does &
    if signal.getsignal(_number) is signal.SIG_IGN:
        usual = signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL
        signal.signal(_number, usual)


def pytest_terminal_summary(terminalreporter):
    """Say aloud that no browser was there; a mere count of skipped tests is overlooked."""
    skipped = terminalreporter.stats.get("skipped", [])
    if any("NO BROWSER" in str(report.longrepr) for report in skipped):
        terminalreporter.write_line(
            "NO BROWSER: scene studio's page was not tested; install chromium and chromedriver",
            red=True,
            bold=True,
        )


@pytest.fixture(autouse=True)
def _seed():
    """Draw alike whichever tests came before, in whatever order workers take them."""
    torch.manual_seed(0)


PETS = Labels(("background", "cat", "dog", "bird"))
SHADES = torch.tensor([[90, 90, 90], [220, 40, 40], [40, 200, 40], [40, 40, 220]])


@pytest.fixture
def schema():
    """Make labels of two pets, and a size that no grid divides."""
    return Schema(Labels(("background", "cat", "dog")), (20, 18))


@pytest.fixture
def pets_views():
    """Make B scenes of that schema: every view of each, with void pixels."""

    def draw(count):
        source = torch.Generator().manual_seed(3)
        mask = torch.randint(3, (count, 20, 18), generator=source)
        mask[:, :2] = VOID
        classes = torch.randint(2, (count, 2), generator=source).float()
        image = torch.rand(count, 3, 20, 18, generator=source)
        return Views({"image": image, "classes": classes, "mask": mask})

    return draw


@pytest.fixture
def few(monkeypatch):
    """Make every split of generated scenes a handful."""
    for split, count in {"train": 8, "tune": 4, "val": 4, "test": 6}.items():
        monkeypatch.setitem(COUNTS, split, count)


@pytest.fixture
def voc_folder(tmp_path, _voc_folder):
    """Give a folder: train has 8 scenes with masks and 4 without, val 4 with; no test, no tune.

    Upright and lying pictures; each pet is a rectangle of its own colour on grey; scene 0 has a
    void border, and dogs are noted as difficult (0) in ImageSets/Main.
    """
    return shutil.copytree(_voc_folder, tmp_path / "pets")


@pytest.fixture(scope="session")
def _voc_folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("voc") / "pets"
    lines = ["# label:color_rgb:parts:actions"]
    lines += [
        f"{n}:{','.join(map(str, c))}::" for n, c in zip(PETS.names, PETS.colours, strict=True)
    ]
    _write(root / "labelmap.txt", lines)
    names = [f"photo_{i:02d}" for i in range(16)]
    present = {name: _paint(root, name, i) for i, name in enumerate(names)}
    splits = {"train": (names[:8], names[:12]), "val": (names[12:], names[12:])}
    for split, (masked, listed) in splits.items():
        _write(root / "ImageSets" / "Segmentation" / f"{split}.txt", masked)
        _write(root / "ImageSets" / "Main" / f"{split}.txt", listed)
        for c, pet in enumerate(PETS.classes, start=1):
            values = [f"{n} {'1' if c in present[n] else '-1':>2}" for n in listed]
            values = [v.replace(" 1", " 0") if pet == "dog" else v for v in values]
            _write(root / "ImageSets" / "Main" / f"{pet}_{split}.txt", values)
    for name in names[8:12]:
        (root / "SegmentationClass" / f"{name}.png").unlink()
    return root


@pytest.fixture
def class_folder(tmp_path):
    """Make a folder per class: 10 photographs of each of three pets, of many sizes."""
    root = tmp_path / "photos"
    for c, pet in enumerate(PETS.classes, start=1):
        for i in range(10):
            mask = torch.zeros(32 + i, 40, dtype=torch.long)
            mask[8:24, 10:30] = c
            image = SHADES[mask].permute(2, 0, 1).to(torch.uint8)
            write_image(root / pet / f"{i:02d}.jpg", image)
    return root


@pytest.fixture
def full_disk():
    """Make writing of more than so many bytes to one file fail, as on a disk that is full."""

    @contextmanager
    def limited(size=1000):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


@pytest.fixture(scope="session")
def command():
    """Give a way to run a command in a folder, and to send it a signal meanwhile."""
    root = Path(__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, root / "tests" / "killing.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    ) as server:

        def run(words, folder, limit=None, number=signal.SIGKILL, file=None):
            folder.mkdir(exist_ok=True)
            arguments = {"words": list(words), "folder": str(folder)}
            arguments |= {"limit": limit, "number": number, "file": file}
            server.stdin.write(json.dumps(arguments) + "\n")
            server.stdin.flush()
            return json.loads(server.stdout.readline())

        yield run
        server.stdin.close()


def _paint(root: Path, name: str, i: int) -> set[int]:
    """Draw scene ``i`` and its mask; say which labels are in it."""
    height, width = (40, 32) if i % 2 else (32, 48)
    mask = torch.zeros(height, width, dtype=torch.uint8)
    mask[12:22, 8:16] = 1 + i % 3
    if i % 4 == 0:
        mask[14:26, 18:24] = 1 + (i + 1) % 3
    image = SHADES[mask.long()].permute(2, 0, 1).to(torch.uint8)
    if i == 0:
        mask[:2] = VOID
    write_image(root / "JPEGImages" / f"{name}.jpg", image)
    write_mask(root / "SegmentationClass" / f"{name}.png", mask, PETS)
    return set(mask.unique().tolist())


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
