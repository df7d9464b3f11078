"""Generation: drawn scenes against true ones."""

import pytest
import torch

from inference.build import assemble
from inference.diagnostics import generation as module
from inference.diagnostics.coherence import PRIOR, TRUE
from inference.diagnostics.generation import (
    distance_ratio,
    generation,
    kernel_distance,
    label_shares,
    region_colours,
    sets_of_views,
)
from inference.settings.recipes import recipe
from scene.datasets.catalogue import open_data
from scene.views import Views

SIZE = (16, 16)


@pytest.fixture(scope="module")
def scenes():
    return open_data("synthetic", "val", SIZE, count=8)


def assembled(name, scenes, **settings):
    torch.manual_seed(0)
    result = assemble(recipe(name).settings(size=SIZE, width=4, **settings), scenes.schema)
    result.model.eval()
    result.guide.eval()
    return result


def test_samples_of_one_distribution_are_as_far_apart_as_halves_of_it():
    torch.manual_seed(0)
    ratios = [distance_ratio(torch.randn(200, 5), torch.randn(200, 5)) for _ in range(20)]
    assert 0.7 < sum(ratios) / 20 < 1.4
    assert distance_ratio(torch.randn(200, 5) + 1, torch.randn(200, 5)) > 5
    assert distance_ratio(3 * torch.randn(200, 5), torch.randn(200, 5)) > 5


def test_the_kernel_distance_is_that_of_the_formula():
    torch.manual_seed(0)
    x, y = torch.randn(6, 3), torch.randn(6, 3)

    def mean(a, b):
        return sum(((p @ q / 3 + 1) ** 3).item() for p in a for q in b) / 36

    expected = mean(x, x) + mean(y, y) - 2 * mean(x, y)
    assert kernel_distance(x, y).item() == pytest.approx(expected, rel=1e-5)


def test_label_shares_count_pixels_of_cells_and_no_void():
    mask = torch.tensor([[[0, 0, 1, 1], [0, 255, 1, 1], [2, 2, 2, 2], [2, 2, 2, 2]]])
    shares = label_shares(mask, 3, cells=2).view(3, 2, 2)
    assert shares[0].tolist() == [[0.75, 0], [0, 0]]
    assert shares[1].tolist() == [[0, 1], [0, 0]]
    assert shares[2].tolist() == [[0, 0], [1, 1]]


def test_colours_of_regions():
    image = torch.zeros(1, 3, 4, 4)
    image[0, 0, :2] = 1
    image[0, 2, 2:] = 0.5
    mask = torch.zeros(1, 4, 4, dtype=torch.int64)
    mask[0, 2:] = 2
    colours, there = region_colours(image, mask, 3)
    assert there.tolist() == [[True, False, True]]
    assert colours[0, 0].tolist() == [1, 0, 0]
    assert colours[0, 2].tolist() == [0, 0, 0.5]


def test_each_set_of_views_has_a_row_and_true_scenes_agree(scenes, monkeypatch):
    telbo, judge = assembled("telbo", scenes), assembled("segmenter", scenes)
    rows = generation(telbo, scenes, scenes, judge)
    sources = [PRIOR, "mask", "classes", "image", "image + classes", TRUE]
    assert [row.source for row in rows] == sources
    assert [row.given is not None for row in rows] == [False, True, False, False, False, False]
    assert [row.given_f1 is not None for row in rows] == [False, False, True, False, True, False]
    assert [row.spread is not None for row in rows] == [False, True, True, True, True, False]
    assert rows[-1].f1 == 100
    assert all(row.scenes == 8 for row in rows)
    again = generation(telbo, scenes, scenes, judge, limit=8)
    assert again == rows


def test_true_scenes_agree_and_spread_like_the_data(scenes, monkeypatch):
    """A model that draws the true scenes: agreement and spread are theirs."""
    telbo, judge = assembled("telbo", scenes), assembled("segmenter", scenes)
    views = scenes.views(range(8))

    class Drawn:
        def __init__(self, views):
            self.views = views

    def copies(assembly, observed, labels, *, n, seed, batched=False):
        rows = torch.arange(8)
        if batched:
            own = views.rows(torch.arange(len(observed)))
            count = len(observed)
            shuffled = [views.rows((torch.arange(count) + k) % 8) for k in range(n)]
            shuffled[0] = own
            return Drawn({v: torch.stack([s[v] for s in shuffled]) for v in views.names})
        return Drawn({name: views[name][rows] for name in views.names})

    monkeypatch.setattr(module, "sample", copies)
    rows = {row.source: row for row in generation(telbo, scenes, scenes, judge)}
    true = rows[TRUE]
    assert rows[PRIOR].f1 == 100
    assert rows[PRIOR].own == pytest.approx(true.own)
    assert rows["mask"].given == pytest.approx(true.own)
    assert rows["classes"].given_f1 == 100
    assert rows["image"].spread == pytest.approx(1, abs=0.35)


def test_one_copy_of_training_scenes_has_no_spread_and_is_near(scenes, monkeypatch):
    """A model that learned training scenes by heart and draws the same ones each time."""
    telbo, judge = assembled("telbo", scenes), assembled("segmenter", scenes)
    training = open_data("synthetic", "train", SIZE, count=8)
    views = training.views(range(8))

    class Drawn:
        def __init__(self, views):
            self.views = views

    def copies(assembly, observed, labels, *, n, seed, batched=False):
        one = {name: views[name] for name in views.names}
        return Drawn({k: v.expand(n, *v.shape) for k, v in one.items()} if batched else one)

    monkeypatch.setattr(module, "sample", copies)
    rows = {row.source: row for row in generation(telbo, scenes, training, judge)}
    assert rows[PRIOR].nearest < 0.05
    assert rows["image"].spread == pytest.approx(0, abs=1e-3)


def test_what_cannot_be_judged_is_refused(scenes):
    telbo, judge = assembled("telbo", scenes), assembled("segmenter", scenes)
    with pytest.raises(ValueError, match="judged by a segmenter"):
        generation(telbo, scenes, scenes, telbo)
    with pytest.raises(ValueError, match="draws images and masks"):
        generation(judge, scenes, scenes, judge)
    with pytest.raises(ValueError, match="fewer than 4 complete scenes"):
        generation(telbo, open_data("synthetic", "val", SIZE, count=3), scenes, judge)


def test_a_model_with_conditions_has_no_prior_row(scenes):
    cvae = assembled("cvae", scenes)
    assert sets_of_views(cvae) == []
    assert () in sets_of_views(assembled("telbo", scenes))
    assert isinstance(scenes.views(range(1)), Views)
