"""Panels of points: both samples on shared axes; a bin of a reliability diagram is a dot."""

import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from scene.calibration import ReliabilityCounter
from scene.figures.charts import Cloud, draw_clouds, draw_reliability


@pytest.fixture
def drawn(monkeypatch):
    """Collect the figures that are saved."""
    kept, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (kept.append(self), save(self, *a, **k))
    )
    return kept


def _cloud(seed, title="", shift=0.0):
    draw = torch.Generator().manual_seed(seed)
    return Cloud(
        title, torch.randn(30, 2, generator=draw), shift + torch.randn(20, 2, generator=draw)
    )


def _draw(path, clouds):
    draw_clouds(path, clouds, labels=("before", "after"), axes=("across", "up"), title="all")


def test_a_panel_shows_both_samples_and_two_circles(tmp_path, drawn):
    cloud = _cloud(0, "given $x$")
    _draw(tmp_path / "new" / "clouds.png", [cloud])
    assert (tmp_path / "new" / "clouds.png").read_bytes().startswith(b"\x89PNG")
    (axis,) = drawn[0].axes
    behind, front = (torch.tensor(c.get_offsets().tolist()) for c in axis.collections)
    torch.testing.assert_close((behind, front), (cloud.behind, cloud.front))
    radii = [patch.get_radius() for patch in axis.patches if isinstance(patch, Circle)]
    assert radii == [1, 2]
    assert axis.get_title() == "given $x$"
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("across", "up")
    (legend,) = drawn[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["before", "after"]


def test_panels_share_their_axes_and_those_left_over_are_blank(tmp_path, drawn):
    _draw(tmp_path / "clouds.png", [_cloud(i, str(i), shift=i) for i in range(7)])
    axes = drawn[0].axes
    assert len(axes) == 8
    assert len({axis.get_xlim() for axis in axes[:7]}) == 1
    assert len({axis.get_ylim() for axis in axes[:7]}) == 1
    assert [axis.axison for axis in axes] == [True] * 7 + [False]


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
