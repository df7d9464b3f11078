"""Searches from end to end: scored, resumable, told of what failed, and refused in time."""

import json

import pytest

from inference.experiments.tune import trial as module
from inference.experiments.tune.journal import Journal
from inference.experiments.tune.plan import Plan
from inference.experiments.tune.search import tune
from inference.experiments.tune.space import space
from inference.settings.settings import Settings
from inference.training import session

FIXED = {"size": "16x16", "steps": 2, "width": 4, "guide_width": 4, "latent": 4, "batch_size": 4}


@pytest.fixture(autouse=True)
def plain(few, monkeypatch, tmp_path):
    """Learn from a handful of scenes, and draw none."""
    monkeypatch.setattr(session, "draw_predictions", lambda *_, **__: None)
    monkeypatch.setenv("SCENE_RUNS", str(tmp_path / "runs"))


def _plan(*over, **more):
    fixed = {k: v for k, v in FIXED.items() if k not in {t.partition("=")[0] for t in over}}
    return Plan("jvae", tuple(map(space, over)), fixed, **more)


def test_a_second_call_continues_and_repeats_nothing(tmp_path, monkeypatch):
    trained, do = [], module.obtain

    def counted(settings, *words, **more):
        trained.append(settings.optimizer.learning_rate)
        return do(settings, *words, **more)

    monkeypatch.setattr(module, "obtain", counted)
    plan, folder = _plan("learning-rate=0.001,0.01,0.1", sampler="grid"), tmp_path / "search"
    tune(plan, trials=1, folder=folder, device="cpu")
    result = tune(plan, folder=folder, device="cpu")
    assert len(trained) == 3 == len(set(trained))
    assert tune(plan, folder=folder, device="cpu") == result
    assert len(trained) == 3
    report = json.loads((folder / "tune.json").read_text())
    assert report["best"]["score"] == max(trial["score"] for trial in report["trials"])
    assert Settings.from_json(report["best"]["settings"]) == plan.settings(result.best.point)
    assert (folder / "tune.png").stat().st_size > 1000
    kept = {path.parent.name for path in folder.glob("*/weights.safetensors")}
    assert kept == {result.best.name}


def test_a_journal_cut_in_a_line_continues_and_a_damaged_one_is_refused(tmp_path):
    plan, folder = _plan("learning-rate=0.001,0.01", sampler="grid"), tmp_path / "s"
    tune(plan, trials=1, folder=folder, device="cpu")
    journal = folder / "trials.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole + whole.splitlines()[-1][:20])  # as a kill leaves it
    assert [trial.state for trial in tune(plan, folder=folder, device="cpu").trials] == [
        "done"
    ] * 2
    whole = journal.read_bytes()
    for harmed in (b"\xff\n" + whole, whole.replace(b"distribution", b"distr"), b"[]\n" + whole):
        journal.write_bytes(harmed)
        with pytest.raises(ValueError, match=r"trials\.log is damaged; choose another --out, or"):
            tune(plan, folder=folder, device="cpu")
        assert journal.read_bytes() == harmed


@pytest.mark.parametrize("wrong", [{"jobs": 10**9}, {"trials": 10**9}])
def test_more_than_can_be_is_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match=rf"--{next(iter(wrong))} is at most \d+, not 1000000000"):
        tune(_plan("beta=1,2"), folder=tmp_path / "s", **wrong)
    with pytest.raises(ValueError, match="--seeds is at most 1000, not 1001"):
        _plan("beta=1,2", seeds=1001)


def test_a_trial_is_scored_on_tune_as_its_run_says(tmp_path):
    result = tune(_plan("beta=0.5,2"), trials=1, folder=tmp_path / "s", device="cpu")
    summary = json.loads((tmp_path / "s" / "trial-000" / "summary.json").read_text())
    assert summary["split"] == "tune"
    assert result.best.score == summary["headline"]["score"]["miou"]
    assert result.best.about == "image + classes → mask, tune, 4 scenes"


@pytest.mark.parametrize(("metric", "over"), [("loss", "learning-rate"), ("elbo", "beta")])
def test_other_metrics_choose_the_right_end(tmp_path, metric, over):
    plan = _plan(f"{over}=0.001,0.01", metric=metric)
    result = tune(plan, trials=2, folder=tmp_path / "s", device="cpu")
    scores = [trial.score for trial in result.trials]
    assert result.best.score == (min if metric == "loss" else max)(scores)


def test_an_interrupted_trial_is_run_again(tmp_path):
    plan, folder = _plan("learning-rate=0.001,0.01"), tmp_path / "s"

    def stop(trial, report):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(plan, trials=2, folder=folder, device="cpu", watch=stop)
    (begun,) = Journal(folder, plan).trials()
    assert begun.state == "begun"
    result = tune(plan, trials=2, folder=folder, device="cpu")
    assert [trial.state for trial in result.trials] == ["done", "done"]
    assert result.trials[0].point == begun.point


def test_each_point_is_scored_by_the_mean_over_its_seeds(tmp_path):
    plan = _plan("beta=0.5,2", sampler="grid", seeds=2)
    plan.fixed["seed"] = 3
    result = tune(plan, folder=tmp_path / "s", device="cpu")
    for trial in result.trials:
        runs = [tmp_path / "s" / name for name in plan.runs(trial.name)]
        assert [run.name for run in runs] == ["seed-3", "seed-4"]
        report = [json.loads((run / "summary.json").read_text()) for run in runs]
        scores = [one["headline"]["score"]["miou"] for one in report]
        configs = [json.loads((run / "config.json").read_text())["settings"] for run in runs]
        assert [one["training"]["seed"] for one in configs] == [3, 4]
        assert list(trial.scores) == scores
        assert trial.score == pytest.approx(sum(scores) / 2)
        assert trial.deviation == pytest.approx(abs(scores[0] - scores[1]) / 2**0.5)
        assert trial.about.endswith("4 scenes, 2 seeds")
    assert result.best.score == max(trial.score for trial in result.trials)
    kept = {path.parent for path in (tmp_path / "s").rglob("weights.safetensors")}
    assert kept == set(result.runs)
    best = json.loads((tmp_path / "s" / "tune.json").read_text())["best"]
    assert (best["run"], best["settings"]["training"]["seed"]) == (str(result.runs[0]), 3)
    assert tune(plan, folder=tmp_path / "s", device="cpu") == result


def test_a_trial_continues_with_the_interrupted_seed(tmp_path, monkeypatch):
    plan, trained, do = _plan("beta=1,2", seeds=2), [], module.obtain
    whole = tune(plan, trials=1, folder=tmp_path / "whole", device="cpu").trials

    def counted(settings, folder, **more):
        trained.append((settings.training.seed, (folder / "weights.safetensors").is_file()))
        return do(settings, folder, **more)

    def stop(trial, report):
        assert report.steps == 4
        if report.step == 3:  # the first of the second seed
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(plan, trials=1, folder=tmp_path / "s", device="cpu", watch=stop)
    monkeypatch.setattr(module, "obtain", counted)
    result = tune(plan, trials=1, folder=tmp_path / "s", device="cpu").trials
    assert trained == [(0, True), (1, False)]
    assert [trial.scores for trial in result] == [trial.scores for trial in whole]


def test_a_trial_of_which_one_seed_fails_has_failed(tmp_path, monkeypatch):
    def failing(settings, *words, **more):
        if settings.training.seed == 1 and settings.objective.beta == 2:
            raise ArithmeticError("The loss became nan.")
        return do(settings, *words, **more)

    do = module.obtain
    monkeypatch.setattr(module, "obtain", failing)
    plan = _plan("beta=1,2", sampler="grid", seeds=2)
    result = tune(plan, folder=tmp_path / "s", device="cpu")
    failed = next(trial for trial in result.trials if trial.point["beta"] == 2)
    assert (failed.state, failed.why) == ("failed", "Seed 1: The loss became nan.")
    assert (failed.score, failed.scores) == (None, ())


def test_another_number_of_seeds_is_another_search(tmp_path):
    folder = tmp_path / "s"
    tune(_plan("beta=1,2"), trials=1, folder=folder, device="cpu")
    with pytest.raises(ValueError, match="is a search with seeds 1, not 2; choose"):
        tune(_plan("beta=1,2", seeds=2), trials=1, folder=folder, device="cpu")
    study = json.loads((folder / "study.json").read_text())
    assert study.pop("seeds") == 1
    (folder / "study.json").write_text(json.dumps(study))  # as it was before there were several
    assert len(tune(_plan("beta=1,2"), trials=1, folder=folder, device="cpu").trials) == 1


def test_one_that_diverges_has_failed_and_says_why(tmp_path):
    calls = []
    plan = _plan("learning-rate=0.001,1e38", sampler="grid")
    result = tune(plan, folder=tmp_path / "s", device="cpu", on_trial=calls.append)
    failed = next(trial for trial in calls if trial.point["learning-rate"] == 1e38)
    assert failed.state == "failed"
    assert "became" in failed.why
    assert result.best.point == {"learning-rate": 0.001}


@pytest.mark.parametrize("encode", ["image|image,classes", "image,classes|image"])
def test_models_that_read_different_views_are_compared_by_what_all_can_do(tmp_path, encode):
    plan = _plan(f"encode={encode}")
    plan.fixed["guide"] = "poe"
    result = tune(plan, trials=1, folder=tmp_path / "s", device="cpu")
    assert result.best.about == "image → mask, tune, 4 scenes"
    with pytest.raises(
        ValueError, match=r"in which all trials are compared; choose --guide poe, which"
    ):
        tune(_plan(f"encode={encode}"), trials=1, folder=tmp_path / "t", device="cpu")


def test_another_search_is_refused_and_force_begins_anew(tmp_path):
    folder = tmp_path / "s"
    tune(_plan("learning-rate=0.001,0.01"), trials=1, folder=folder, device="cpu")
    other = _plan("learning-rate=0.001,0.1")
    with pytest.raises(ValueError, match=r"is a search with learning-rate 0.001,0.01, not"):
        tune(other, trials=1, folder=folder, device="cpu")
    assert len(tune(other, trials=1, folder=folder, device="cpu", force=True).trials) == 1


def test_what_is_no_search_is_left_alone(tmp_path):
    (tmp_path / "chapter.tex").write_text("dear")
    with pytest.raises(ValueError, match="is not empty and is not a search"):
        tune(_plan("beta=1,2"), folder=tmp_path, device="cpu", force=True)


def test_processes_share_a_search(tmp_path):
    """Each point is tried once, whoever tries it."""
    plan = _plan("learning-rate=0.001,0.01", sampler="grid", metric="loss")
    result = tune(plan, folder=tmp_path / "s", device="cpu", jobs=2)
    assert {trial.point["learning-rate"] for trial in result.trials} == {0.001, 0.01}
    assert all(trial.state == "done" for trial in result.trials)
