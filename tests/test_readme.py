"""The README's Python runs as it stands, and is as short as it says."""

import re
from pathlib import Path

import pytest

from scene.datasets.synthetic.dataset import COUNTS
from scene.images.io import read_mask
from scene.labels import Labels

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch, few):
    """Be in a folder of the test's own, with a handful of scenes."""
    monkeypatch.setenv("SCENE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("number", range(1, len(BLOCKS)))
def test_a_block_of_python_runs(number, monkeypatch):
    monkeypatch.setitem(COUNTS, "train", 16)
    exec(compile(BLOCKS[number], str(README), "exec"), {})


def test_the_first_block_does_the_main_job_in_twelve_lines(place, capsys):
    """It trains, samples from a mask, segments and evaluates."""
    first = BLOCKS[0]
    assert len(first.strip().splitlines()) <= 12
    exec(compile(first, str(README), "exec"), {})
    assert (place / "scenes.png").read_bytes().startswith(b"\x89PNG")
    labels = Labels(("background", "circle", "square", "triangle", "star", "ring", "cross"))
    assert read_mask(place / "mask.png", labels).shape == (32, 32)
    said = capsys.readouterr().out
    assert "synthetic-default test, 6 scenes\nimage → mask: mIoU" in said
