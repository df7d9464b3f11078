"""Ambiguity: the generalised energy distance, exact draws, and models beside them."""

import itertools

import pytest
import torch

from inference.build import assemble
from inference.diagnostics import ambiguity as module
from inference.diagnostics.ambiguity import (
    ambiguity,
    energy_distance,
    expected_share_error,
    mask_distances,
)
from inference.settings.recipes import recipe
from scene.datasets.base import Readings
from scene.datasets.catalogue import open_data
from scene.labels import Labels

SIZE = (16, 16)
PETS = Labels(("background", "cat", "dog"))


@pytest.fixture(scope="module")
def scenes():
    return open_data("synthetic:ambiguous", "val", SIZE, count=40)


def assembled(name, scenes, **settings):
    result = assemble(recipe(name).settings(size=SIZE, width=4, **settings), scenes.schema)
    result.model.eval()
    result.guide.eval()
    return result


class Drawn:
    def __init__(self, mask):
        self.mask = mask


@pytest.fixture
def draws_of(monkeypatch, scenes):
    """Let a model draw what a function returns for each scene's readings, ``(n, H, W)``."""

    def measure(draw, draws=16, count=40):
        start = itertools.count()

        def sample(assembly, part, labels, *, n, seed, batched):
            rows = [next(start) for _ in range(len(part))]
            return Drawn(torch.stack([draw(scenes.readings(i), n) for i in rows], dim=1))

        monkeypatch.setattr(module, "sample", sample)
        return ambiguity(assembled("segmenter", scenes), scenes, draws=draws, limit=count)

    return measure


def exact(readings, n):
    return readings.masks[torch.multinomial(readings.probabilities, n, replacement=True)].long()


def top(readings, n):
    return readings.masks[readings.probabilities.argmax()].long().expand(n, -1, -1)


def test_the_distance_is_that_of_loops_over_pixels():
    generator = torch.Generator().manual_seed(1)
    ours = torch.randint(3, (4, 3, 5), generator=generator)
    theirs = torch.randint(3, (5, 3, 5), generator=generator)
    ours[0], theirs[0], theirs[1, 0] = 0, 0, 255
    result = mask_distances(ours, theirs, PETS)

    def slow(a, b):
        pairs = [(x, y) for x, y in zip(a.flatten(), b.flatten(), strict=True) if y != 255]
        ious = []
        for label in (1, 2):
            both = sum(bool(x == label and y == label) for x, y in pairs)
            either = sum(bool(x == label or y == label) for x, y in pairs)
            ious += [both / either] if either else []
        return 1 - sum(ious) / len(ious) if ious else 0

    for (i, a), (j, b) in itertools.product(enumerate(ours), enumerate(theirs)):
        assert result[i, j] == pytest.approx(slow(a, b))
    torch.testing.assert_close(mask_distances(theirs, ours, PETS), result.T)
    assert result[0, 0] == 0  # empty both
    assert result[0, 2] == 1  # empty one


def test_the_energy_distance_is_symmetric_and_that_of_its_three_terms():
    generator = torch.Generator().manual_seed(0)
    masks = torch.randint(3, (6, 4, 4), generator=generator)
    d = mask_distances(masks, masks, PETS)
    p, q = torch.rand(2, 6, generator=generator, dtype=torch.float64).softmax(1)
    terms = 2 * sum(p[i] * q[j] * d[i, j] for i in range(6) for j in range(6)) - sum(
        (p[i] * p[j] + q[i] * q[j]) * d[i, j] for i in range(6) for j in range(6)
    )
    torch.testing.assert_close(energy_distance(d, p, q), terms)
    torch.testing.assert_close(energy_distance(d, q, p), energy_distance(d, p, q))
    assert energy_distance(d, p, p) == 0


def test_exact_draws_have_the_distance_that_is_stated_on_average(draws_of):
    """Brute force: 1,200 sets of draws from the readings, within 4 standard errors."""
    results = [draws_of(exact, draws=4) for _ in range(30)]
    for name, expected in (("energy", "exact"), ("nearest", "exact"),
                           ("share_error", "exact_share_error")):  # fmt: skip
        values = torch.tensor([getattr(result, name) for result in results])
        error = values.std() / len(values) ** 0.5
        assert abs(values.mean() - getattr(results[0], expected)) < 4 * error
    assert all(result.outline == 0 for result in results)


def test_the_share_error_of_exact_draws_is_that_of_all_outcomes():
    p, n = 0.3, 5
    outcomes = itertools.product((0, 1), repeat=n)
    expected = sum(p ** sum(o) * (1 - p) ** (n - sum(o)) * abs(sum(o) / n - p) for o in outcomes)
    assert expected_share_error(p, n) == pytest.approx(expected)


def test_a_model_that_always_says_the_most_probable_reading(draws_of, scenes):
    """By hand: readings of different classes are 1 apart, so D² is Σ (p − q)² over readings."""
    result = draws_of(top)
    expected, errors = 0.0, []
    for i in range(40):
        q = scenes.readings(i).probabilities
        gap = q - torch.nn.functional.one_hot(q.argmax(), len(q))
        expected += float(gap.square().sum()) / 40
        errors += gap.abs().tolist() if len(q) > 1 else []
    assert result.energy == pytest.approx(expected)
    assert result.nearest == result.best_single == pytest.approx(expected)
    assert result.share_error == pytest.approx(sum(errors) / len(errors))
    assert result.outline == 0
    assert result.ratio > 5


def test_a_point_mass_that_is_exact_has_distance_0(draws_of, scenes, monkeypatch):
    one = {i: Readings(scenes.readings(i).masks[:1], torch.ones(1)) for i in range(40)}
    monkeypatch.setattr(scenes, "readings", one.__getitem__)
    result = draws_of(top)
    assert result.energy == result.nearest == result.exact == result.best_single == 0
    assert result.ratio is None
    assert result.share_error is None
    assert result.shares == ()
    assert result.to_json()["ratio"] is None


def test_imprecise_outlines_cost_distance_but_not_that_of_readings(draws_of):
    def shifted(readings, n):
        return exact(readings, n).roll(1, dims=-1)

    result = draws_of(shifted, draws=64)
    assert 0.05 < result.outline < 0.3
    assert result.energy > 0.05
    assert result.nearest < 2 * result.exact + 0.01


def test_draws_near_no_reading_are_astray(draws_of, scenes):
    """Half of the draws have a label that no reading has. By hand: all are 1 apart, so Σ gap²."""

    def half_wrong(readings, n):
        masks = top(readings, n).clone()
        masks[: n // 2] = torch.where(masks[: n // 2] > 0, 77, 0)
        return masks

    result = draws_of(half_wrong)
    assert result.astray == 0.5
    assert result.outline == 0
    gaps = [
        q - torch.nn.functional.one_hot(q.argmax(), len(q)) / 2
        for q in (scenes.readings(i).probabilities for i in range(40))
    ]
    expected = sum(float(gap.square().sum()) + 0.25 for gap in gaps) / 40
    assert result.nearest == pytest.approx(expected)


def test_shares_are_collected_by_probability(draws_of):
    result = draws_of(exact, draws=100)
    assert [round(share.probability, 6) for share in result.shares] == sorted(
        {0.1, 0.2, 0.3, 0.5, 0.6, 0.8, 0.9} & {round(s.probability, 6) for s in result.shares}
    )
    for share in result.shares:
        assert share.share == pytest.approx(share.probability, abs=0.06)


@pytest.mark.parametrize("name", ["cvae", "telbo", "segmenter"])
def test_models_that_draw_masks_given_an_image_are_measured(name, scenes):
    """Seeds decide the draws."""
    assembly = assembled(name, scenes)
    result = ambiguity(assembly, scenes, draws=3, limit=6, seed=1)
    assert result.scenes == 6
    assert 0 <= result.energy <= 2
    assert ambiguity(assembly, scenes, draws=3, limit=6, seed=1) == result


def test_a_model_without_z_draws_one_mask_again_and_again(scenes):
    """One draw has the distance of many, but is compared with as many exact ones."""
    assembly = assembled("segmenter", scenes)
    one, many = (ambiguity(assembly, scenes, draws=n, limit=6) for n in (1, 16))
    assert one.energy == pytest.approx(many.energy)
    assert one.exact == pytest.approx(16 * many.exact)


def test_what_cannot_be_measured_is_refused(scenes):
    with pytest.raises(LookupError, match="synthetic-default has no readings"):
        ambiguity(assembled("cvae", scenes), open_data("synthetic", "val", SIZE, count=2))
    with pytest.raises(ValueError, match="Only a model that draws masks"):
        ambiguity(assembled("classifier", scenes), scenes)
    with pytest.raises(ValueError, match="no posterior given just image"):
        ambiguity(assembled("jvae", scenes), scenes)
