"""Trackers: every one receives the lines of metrics.jsonl, and none of them stops a training."""

import csv
import json
import warnings
from importlib.util import find_spec

import pytest

from inference.training import trackers
from inference.training.log import Log, Report
from inference.training.trackers import require_trackers
from scene.notices import Notice

NEEDED = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            find_spec(name) is None or trackers._lightning() is None,
            reason=f"{name} is of the extra trackers",
        ),
    )
    for name in ("wandb", "mlflow")
]


def _lines(run):
    return [json.loads(line) for line in run.path("metrics.jsonl").read_text().splitlines()]


def _table(run):
    """Read the CSV: the values of each step, without the cells that are empty."""
    with run.path("csv/metrics.csv").open(newline="") as file:
        rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    return [{**row, "step": int(row["step"])} for row in rows]


def test_csv_holds_the_lines_of_the_metrics(fitted):
    run, _ = fitted(steps=20, validate_every=7, log=("csv",))
    assert _table(run) == _lines(run)
    assert not list(run.folder.glob("events.*"))


def test_csv_goes_on_where_the_run_does(fitted):
    run, _ = fitted(steps=20, validate_every=7, log=("csv", "tensorboard"))
    log = Log(run, 10)
    log.write(Report(20, 20, 0.5, {"joint/new": 2.0}))
    log.close()
    assert [row["step"] for row in _table(run)] == [7, 10, 20]
    assert _table(run) == _lines(run)
    assert list(run.folder.glob("events.*"))


def test_without_a_tracker_there_are_metrics_alone(fitted):
    run, _ = fitted(log=("none",))
    assert _lines(run)
    assert not run.path("csv").exists()
    assert not list(run.folder.glob("events.*"))


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_absent_packages_are_refused_in_one_sentence(monkeypatch, name):
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    require_trackers(["tensorboard", "csv", "none"])
    with pytest.raises(LookupError, match=rf"--log {name} needs packages .*--extra trackers"):
        require_trackers(["csv", name])


class _Failing:
    """A logger that takes one step and no more."""

    version = "id-1"

    def __init__(self):
        self.steps = []

    def log_metrics(self, values, step):
        if self.steps:
            raise RuntimeError("no connection\nto anywhere")
        self.steps.append(step)

    def finalize(self, status):
        raise RuntimeError("still no connection")


def test_a_tracker_that_fails_is_left_out_and_the_training_goes_on(monkeypatch, fitted):
    logger, asked = _Failing(), []
    monkeypatch.setattr(
        trackers, "_remote", lambda name, run, known: asked.append(known) or logger
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", Notice)
        run, _ = fitted(steps=20, validate_every=7, log=("mlflow", "csv"))
    (message,) = [str(w.message) for w in caught if "mlflow" in str(w.message)]
    assert message.startswith("mlflow is not written to any more (no connection.); training")
    assert logger.steps == [7]
    assert len(_table(run)) == 4
    assert json.loads(run.path("trackers.json").read_text()) == {"mlflow": "id-1"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Notice)
        Log(run, 10).close()
    assert asked == [None, "id-1"]


@pytest.mark.filterwarnings("ignore")  # of packages that are not ours
@pytest.mark.parametrize("name", NEEDED)
def test_wandb_and_mlflow_hold_the_lines_of_the_metrics(fitted, tmp_path, monkeypatch, name):
    """W&B offline, MLflow in a local database; a run that goes on is the same run there."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    run, _ = fitted(steps=20, validate_every=7, log=(name,))
    key = json.loads(run.path("trackers.json").read_text())[name]
    log = Log(run, 10)
    log.write(Report(20, 20, 0.5))
    log.close()
    assert json.loads(run.path("trackers.json").read_text())[name] == key
    if name == "wandb":
        folders = list(run.path("wandb").glob(f"offline-run-*-{key}"))
        assert len(folders) >= 1
        return
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    there = client.get_run(key)
    assert there.info.run_name == run.folder.name
    assert there.data.params["steps"] == "20"
    steps = {metric.step for metric in client.get_metric_history(key, "loss")}
    assert steps == {line["step"] for line in _lines(run)} | {14}


@pytest.mark.parametrize("text", ["tensorbord", "csv,none", ""])
def test_unknown_trackers_are_refused(text):
    from inference.settings.recipes import recipe
    from inference.settings.settings import OPTIONS

    with pytest.raises(LookupError, match="--log: "):
        recipe("segmenter").settings(log=OPTIONS["log"].parse(text))
