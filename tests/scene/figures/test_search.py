"""The picture of a search: whatever was tried, it is drawn without a complaint."""

import pytest

from scene.figures.search import Axis, SearchTrials, draw_search
from scene.images.io import read_image


@pytest.mark.parametrize("deviations", [(), (0.0, 1.5, 0.0)])
@pytest.mark.parametrize("importances", [{}, {"rate": 0.7, "kind": 0.2, "size": 0.1}])
def test_every_kind_of_option_is_drawn(tmp_path, importances, deviations):
    """Log and plain numbers, words, a single score, and trials without one."""
    axes = [
        Axis("rate", (1e-3, 1e-2, 1e-1), log=True),
        Axis("kind", ("a", "b", "a"), words=("a", "b")),
        Axis("size", (1, 2, 3)),
    ]
    scores = (None, 4.0, None)
    searched = SearchTrials(axes, scores, 1, "mIoU, %", importances, "failed", deviations)
    draw_search(tmp_path / "tune.png", searched, title="$x$")
    picture = read_image(tmp_path / "tune.png")
    assert picture.float().std() > 0
