"""Proposals: a function of the seed, the number and what was tried; nothing is tried twice."""

import optuna
import pytest

from inference.experiments.tune.journal import Journal, Trial, distributions, proposal
from inference.experiments.tune.plan import Plan
from inference.experiments.tune.space import grid, space

WIDE = tuple(map(space, ("lr=1e-4..1:log", "latent=4,8,16", "width=4..8")))
SMALL = tuple(map(space, ("latent=4,8", "width=4..6")))


def _proposed(plan, count, tried=()):
    """Ask for points one by one, each scored by something that a search can climb."""
    tried = list(tried)
    for number in range(len(tried), count):
        point = proposal(plan, tried)
        if point is None:
            break
        tried.append(
            optuna.trial.create_trial(
                params=point, distributions=distributions(plan.spaces), value=float(number % 5)
            )
        )
    return tried


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_same_seed_proposes_the_same_trials(sampler):
    def points(seed):
        plan = Plan("jvae", WIDE, {"seed": seed}, sampler=sampler)
        return [trial.params for trial in _proposed(plan, 13)]

    assert points(3) == points(3) != points(4)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_search_in_two_calls_is_the_search_in_one(sampler):
    plan = Plan("jvae", WIDE, sampler=sampler)
    whole, half = _proposed(plan, 13), _proposed(plan, 6)
    assert [t.params for t in _proposed(plan, 13, half)] == [t.params for t in whole]


@pytest.mark.parametrize("sampler", ["grid", "random", "tpe"])
def test_every_point_of_a_small_space_is_tried_once(sampler):
    plan = Plan("jvae", SMALL, sampler=sampler, points=3 if sampler == "grid" else None)
    tried = [trial.params for trial in _proposed(plan, 99)]
    key = lambda point: sorted(point.items())  # noqa: E731
    assert sorted(map(key, tried)) == sorted(map(key, grid(SMALL, 3)))


def test_what_was_begun_and_what_it_came_to_are_read_back(tmp_path):
    plan = Plan("jvae", SMALL)
    journal = Journal(tmp_path, plan)
    first, second, third = (journal.propose() for _ in range(3))
    journal.tell(Trial(0, first.point, "done", 4.0, seconds=2.0, about="image → mask"))
    journal.tell(Trial(1, second.point, "failed", why="It diverged."))
    done, failed, begun = Journal(tmp_path, plan).trials()
    assert (done.state, done.score, done.about) == ("done", 4.0, "image → mask")
    assert (failed.state, failed.score, failed.why) == ("failed", None, "It diverged.")
    assert begun == third


def test_the_median_stops_what_is_worse(tmp_path):
    plan = Plan("jvae", WIDE, {"steps": 10}, metric="loss", prune=True)
    journal = Journal(tmp_path, plan)
    for number in range(4):
        trial = journal.propose()
        assert not journal.report(number, 8, 1.0 + number / 10)
        journal.tell(Trial(number, trial.point, "done", 1.0))
    better, worse = journal.propose(), journal.propose()
    assert not journal.report(better.number, 8, 0.5)
    assert not journal.report(worse.number, 2, 9.0)  # too early to say
    assert journal.report(worse.number, 8, 9.0)


def test_the_median_is_of_means_over_the_same_seeds(tmp_path):
    """One that is worse with its first seed only may be better on average, and goes on."""
    plan = Plan("jvae", WIDE, {"steps": 10}, metric="loss", prune=True, seeds=3)
    journal = Journal(tmp_path, plan)
    for _ in range(4):
        trial = journal.propose()
        for repeat, val in enumerate((1.0, 3.0, 2.0)):
            assert not journal.report(trial.number, 8, val, repeat)
            assert not journal.report(trial.number, 10, 0.1, repeat)
        journal.tell(Trial(trial.number, trial.point, "done", 2.0, scores=(1.0, 3.0, 2.0)))
    lucky, unlucky, silent = (journal.propose().number for _ in range(3))
    assert not journal.report(lucky, 2, 0.7)
    assert not journal.report(lucky, 8, 0.5)
    assert not journal.report(lucky, 10, 0.1)
    assert not journal.report(lucky, 2, 99.0, 1)  # too early to say
    assert not journal.report(lucky, 8, 3.4, 1)  # 1.95 of two seeds, where others have 2
    assert journal.report(lucky, 8, 2.2, 2) is True  # 2.03, where others have 2
    assert journal.report(unlucky, 8, 1.1)
    assert not journal.report(silent, 8, 9.0, 1)  # its first seed did not say
    assert journal.trials()[0].scores == (1.0, 3.0, 2.0)


def test_importance_goes_to_what_matters(tmp_path):
    journal = Journal(tmp_path, Plan("jvae", WIDE, sampler="random"))
    assert journal.importances() == {}
    for number in range(30):
        point = journal.propose().point
        journal.tell(Trial(number, point, "done", float(point["latent"])))
    result = journal.importances()
    assert max(result, key=result.get) == "latent"
    assert sum(result.values()) == pytest.approx(1)
