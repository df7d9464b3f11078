"""Heat maps: every number is said, and the best is framed."""

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from scene.figures.heatmap import draw_heatmap

TABLE = {"rows": (20, 40), "columns": (3, 5, 10), "down": "θα", "across": "θβ", "scale": "mIoU"}


@pytest.fixture
def drawn(monkeypatch):
    """Collect the figures that are saved."""
    kept, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (kept.append(self), save(self, *a, **k))
    )
    return kept


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
