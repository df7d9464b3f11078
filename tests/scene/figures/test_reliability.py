"""Reliability diagrams: a dot a bin, at what was said and what came true."""

import pytest
import torch
from matplotlib.figure import Figure

from scene.calibration import ReliabilityCounter
from scene.figures.reliability import draw_reliability


@pytest.fixture
def drawn(monkeypatch):
    """Collect the figures that are saved."""
    kept, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (kept.append(self), save(self, *a, **k))
    )
    return kept


def test_a_bin_is_a_dot_and_an_empty_one_is_none(tmp_path, drawn):
    counter = ReliabilityCounter()
    counter.add(torch.tensor([0.1, 0.9, 0.9, 0.9]), torch.tensor([0, 1, 1, 0]))
    panels = {"a\nb": counter.score(), "none": ReliabilityCounter().score()}
    draw_reliability(tmp_path / "new" / "r.png", panels, title="pets")
    assert (tmp_path / "new" / "r.png").read_bytes().startswith(b"\x89PNG")
    first, second = drawn[0].axes
    assert first.get_title() == "a\nb"
    dots = first.lines[1].get_xydata().tolist()
    assert dots == [pytest.approx([0.1, 0.0]), pytest.approx([0.9, 2 / 3])]
    assert sum(bar.get_height() for bar in first.patches) == pytest.approx(1)
    assert len(second.lines[1].get_xydata()) == 0
