"""Charts: heights of bars are means, cells of heat maps have their numbers."""

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from scene.figures.charts import Bars, draw_bars, draw_heatmap, draw_log_bars


@pytest.fixture
def drawn(monkeypatch):
    """Collect the figures that are saved."""
    kept, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (kept.append(self), save(self, *a, **k))
    )
    return kept


def test_a_bar_is_as_high_as_the_mean_and_says_so(tmp_path, drawn):
    bars = Bars(
        ("SEC", "SEC + CRF"), {"report": [(30, 40), (50, 60)], "best": [(70, 70), (80, 82)]}
    )
    draw_bars(tmp_path / "new" / "bars.png", bars, scale="mIoU, %", title="pets")
    assert (tmp_path / "new" / "bars.png").read_bytes().startswith(b"\x89PNG")
    (axis,) = drawn[0].axes
    assert [bar.get_height() for bar in axis.patches] == [35, 55, 70, 81]
    assert [text.get_text() for text in axis.texts] == ["35.0", "55.0", "70.0", "81.0"]
    dots = [sorted(line.get_ydata()) for line in axis.lines]
    assert dots == [[30, 40], [50, 60], [70, 70], [80, 82]]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["report", "best"]
    middles = [bar.get_x() + bar.get_width() / 2 for bar in axis.patches]
    assert [round(x) for x in middles] == [0, 1, 0, 1]


def test_one_series_of_one_run_needs_no_legend_and_no_dots(tmp_path, drawn):
    draw_bars(tmp_path / "bars.png", Bars(("a",), {"only": [(5.0,)]}), scale="m")
    (axis,) = drawn[0].axes
    assert (axis.get_legend(), list(axis.lines)) == (None, [])


def test_figures_of_others_are_marked_where_they_are_known(tmp_path, drawn):
    bars = Bars(("a", "b"), {"ours": [(5.0,), (6.0,)]}, (None, 4.5), "theirs")
    draw_bars(tmp_path / "bars.png", bars, scale="m")
    (axis,) = drawn[0].axes
    (marks,) = [c for c in axis.collections if c.get_label() == "theirs"]
    assert marks.get_offsets().tolist() == [[1.0, 4.5]]


def test_rows_of_panels_share_a_scale_of_decades(tmp_path, drawn):
    panels = {"left": Bars(("a", "b"), {"x": [(1.0,), (1e3,)]})}
    panels["right"] = Bars(("a", "b"), {"x": [(10.0,), (0.0,)]})
    draw_log_bars(tmp_path / "bars.png", {"variance": panels, "ratio": panels}, title="noise")
    axes = drawn[0].axes
    assert [axis.get_yscale() for axis in axes] == ["log"] * 4
    assert axes[0].get_ylim() == axes[1].get_ylim()
    assert [axis.get_title() for axis in axes] == ["left", "right"] * 2
    assert [axes[0].get_ylabel(), axes[2].get_ylabel()] == ["variance", "ratio"]
    assert axes[0].yaxis.get_major_formatter().format_ticks([1, 1e5]) == [
        "1",
        "100000",
    ]


TABLE = {"rows": (20, 40), "columns": (3, 5, 10), "down": "θα", "across": "θβ", "scale": "mIoU"}


def test_each_cell_says_its_number_and_the_best_is_framed(tmp_path, drawn):
    draw_heatmap(tmp_path / "new" / "grid.png", [[1, 2, 3], [4, 9, 6]], **TABLE)
    assert (tmp_path / "new" / "grid.png").read_bytes().startswith(b"\x89PNG")
    axis = drawn[0].axes[0]
    assert [text.get_text() for text in axis.texts] == ["1.0", "2.0", "3.0", "4.0", "9.0", "6.0"]
    (frame,) = (patch for patch in axis.patches if isinstance(patch, Rectangle))
    assert frame.get_xy() == (0.5, 0.5)
    assert [tick.get_text() for tick in axis.get_yticklabels()] == ["20", "40"]


def test_a_table_of_equal_numbers_can_be_drawn(tmp_path):
    draw_heatmap(tmp_path / "grid.png", [[5.0] * 3] * 2, **TABLE)
