"""Learning from end to end: compared elsewhere, and nothing is called better that is not."""

from dataclasses import replace

import pytest

from inference.crf.parameters import NO_CRF, USUAL, Parameters, load, load_stored
from inference.experiments.crf.learning import Learned, candidates, learn, write
from inference.experiments.crf.measure import Result, measure
from inference.experiments.crf.unaries import Noise, Scenes

START = Parameters(iterations=2)
WIDTHS = {"alphas": (8.0,), "betas": (5.0, 20.0), "weights": (1.0, 3.0)}


@pytest.fixture
def train(voc_folder):
    return Scenes(str(voc_folder), "train", Noise(), limit=3, seed=0)


@pytest.fixture
def held(voc_folder):
    return Scenes(str(voc_folder), "val", Noise(), limit=2)


@pytest.fixture
def learned(train, held):
    """Make what was learned from how many of 100 pixels were right, and from their nats."""
    labels = held.open().schema.labels

    def make(before, after):
        results = [
            Result(parameters, ((right, 100 - right, 0, 0), *[(0, 0, 0, 0)] * 3), nats, 1)
            for parameters, (right, nats) in zip(
                (START, Parameters()), (before, after), strict=True
            )
        ]
        return Learned(results[0], results[0], *results, {}, train, held, labels, "lbfgs")

    return make


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (
            (50, -90.0),
            (60, -80.0),
            "Better held out: mIoU +5.00, log p +0.1000 nats a pixel on val",
        ),
        ((60, -80.0), (50, -90.0), "NO better held out: mIoU -5.00, log p -0.1000"),
        ((50, -90.0), (50, -90.0), "NO better held out"),
        ((60, -90.0), (50, -80.0), "Better held out in one way, NOT in the other"),
    ],
)
def test_the_verdict_is_what_the_held_out_scenes_say(learned, before, after, verdict):
    assert learned(before, after).verdict.startswith(verdict)


def test_a_grid_takes_the_best_on_its_own_scenes_where_it_began_included(train, held):
    grid = candidates(START, **WIDTHS)
    result = learn(train, held, START, method="grid", grid=grid, engine="exact")
    labels = held.open().schema.labels
    scores = [r.score(labels).miou for r in measure(train, [START, *grid], engine="exact")]
    (own,) = measure(train, [result.parameters], engine="exact")
    assert own.score(labels).miou == max(scores)
    assert result.before == measure(held, [START], engine="exact")[0]


def test_learning_twice_from_one_seed_is_learning_once(train, held, tmp_path):
    ask = {"steps": 2, "engine": "exact"}
    result = learn(train, held, START, **ask)
    assert learn(train, held, START, **ask) == result
    assert result.parameters != START
    write(result, tmp_path / "crf.json")
    assert load(tmp_path / "crf.json") == result.parameters


def test_unaries_and_the_default_are_scored_beside_what_was_learned(train, held):
    result = learn(train, held, START, steps=1, engine="exact")
    alone, usual = measure(held, [NO_CRF, USUAL], engine="exact")
    assert (result.unaries, result.default) == (alone, usual)


@pytest.mark.parametrize(("after", "helps"), [(60, True), (50, False), (40, False)])
def test_the_file_says_whether_the_crf_is_better_than_none(learned, tmp_path, after, helps):
    result = learned((50, -90.0), (after, -80.0))
    write(result, tmp_path / "crf.json")
    stored = load_stored(tmp_path / "crf.json")
    assert stored.parameters == result.parameters
    assert stored.helps is helps
    assert stored.note == f"mIoU on val is 25.00 without, {after / 2:.2f} with it"


def test_what_is_learned_from_is_not_what_is_compared_on(train):
    with pytest.raises(ValueError, match="fitted on train, so they cannot be scored there"):
        learn(train, replace(train, limit=None), START)
