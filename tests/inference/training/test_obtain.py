"""Runs that are wanted: nothing is done twice, and nothing else is passed off as them."""

import pytest

from inference.runs.run import CHECKPOINT, CONFIG, WEIGHTS
from inference.training.session import obtain


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """Draw no pictures of scenes: they are slow."""
    monkeypatch.setattr("inference.training.session.draw_predictions", lambda *_, **__: None)


@pytest.fixture
def ask(tmp_path, tiny):
    def run(watch=lambda report: None, **choices):
        settings = tiny("segmenter", **choices)
        return obtain(settings, tmp_path / "run", device="cpu", watch=watch)

    return run


def test_it_is_trained_once(ask):
    steps = []
    first = ask(steps.append)
    assert first.complete
    assert len(steps) == 4
    assert ask(steps.append) == first
    assert len(steps) == 4


@pytest.mark.parametrize(("until", "left"), [(1, 4), (3, 2)])
def test_it_continues_from_its_last_checkpoint(ask, until, left):
    """They are written every two steps; an interruption before the first leaves nothing."""

    def stop(report):
        if report.step == until:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(stop)
    steps = []
    assert ask(steps.append).complete
    assert len(steps) == left


def test_one_that_was_killed_early_is_begun_anew(ask):
    run, steps = ask(), []
    for name in (WEIGHTS, CHECKPOINT):
        run.path(name).unlink()
    assert run.path(CONFIG).is_file()
    assert ask(steps.append).complete
    assert len(steps) == 4


def test_another_run_is_refused(ask):
    weights = ask().path(WEIGHTS)
    before = weights.read_bytes()
    with pytest.raises(ValueError, match=r"trained with --learning-rate 0\.004, not 0\.5; choose"):
        ask(learning_rate=0.5)
    assert weights.read_bytes() == before
