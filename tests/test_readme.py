"""The Python of README and docs runs as it stands, and the README's is as short as it says."""

import re
from pathlib import Path

import pytest

from scene.datasets.synthetic.dataset import COUNTS
from scene.images.io import read_mask
from scene.labels import Labels

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = {
    f"{page.name}:{number}": block
    for page in PAGES
    for number, block in enumerate(
        re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL), start=1
    )
}
"""Blocks of Python by page and number."""

FIRST = "README.md:1"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, few):
    """Be in a folder of the test's own, with a handful of scenes."""
    monkeypatch.setenv("SCENE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setitem(COUNTS, "train", 16)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", [name for name in BLOCKS if name != FIRST])
def test_a_block_of_python_runs(name):
    exec(compile(BLOCKS[name], name, "exec"), {})


def test_the_first_block_does_the_main_job_in_twelve_lines(place, capsys):
    """It trains, samples from a mask, segments and evaluates."""
    assert len(BLOCKS[FIRST].strip().splitlines()) <= 12
    exec(compile(BLOCKS[FIRST], FIRST, "exec"), {})
    assert (place / "scenes.png").read_bytes().startswith(b"\x89PNG")
    labels = Labels(("background", "circle", "square", "triangle", "star", "ring", "cross"))
    assert read_mask(place / "mask.png", labels).shape == (32, 32)
    message = capsys.readouterr().out
    assert "synthetic-default test, 6 scenes\nimage → mask: mIoU" in message
