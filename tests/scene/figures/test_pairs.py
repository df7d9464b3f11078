"""Clouds: every panel shows both samples, on axes that all share."""

import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from scene.figures.pairs import Cloud, draw_clouds


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
