"""Training: the same seed gives the same numbers, interrupted or not, and nothing bad is kept."""

import json
import math

import pyro
import pytest
import torch

from inference.build import assemble
from inference.runs.checkpoints import load_weights
from inference.runs.run import read
from inference.settings.recipes import RECIPES
from inference.training.fit import Diverged, Step, rate
from scene.views import Views


class Interrupted(Exception):
    """Somebody pulled the plug."""


def _same(one, other):
    a, b = one.module.state_dict(), other.module.state_dict()
    return all(a[name].equal(b[name]) for name in a)


def _stop(step):
    def watch(report):
        if report.step == step:
            raise Interrupted

    return watch


def _lines(run):
    return [json.loads(line) for line in run.path("metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("telbo", {"particles": 2, "warmup": 3}),
        ("cvae", {"optimizer": "adamw", "augment": "crop"}),
        ("jvae", {"optimizer": "sgd", "learning_rate": 1e-6, "clip": 1.0}),
        ("segmenter", {"augment": "flip", "patience": 3}),
        ("jmvae", {"precision": "bf16", "schedule": "cosine"}),
        ("telbo", {"prior": "ladder", "spatial": 2, "cell": 8, "particles": 2}),
    ],
)
@pytest.mark.parametrize("step", [2, 3])
def test_a_resumed_run_is_bit_identical_to_one_that_never_stopped(fitted, name, choices, step):
    whole, expected = fitted(name, "whole", steps=6, **choices)
    with pytest.raises(Interrupted):
        fitted(name, "broken", _stop(step), steps=6, **choices)
    assert not read(whole.folder.parent / "broken").complete
    torch.manual_seed(99)
    resumed, result = fitted(name, "broken", resume=True, steps=6, **choices)
    assert resumed.complete
    assert _same(result, expected)
    assert _lines(resumed) == _lines(whole)


def test_resuming_after_early_stopping_takes_no_further_step(fitted):
    choices = {"patience": 1, "learning_rate": 1e-12, "schedule": "constant", "steps": 50}
    _, expected = fitted(folder="whole", **choices)
    steps = []
    with pytest.raises(Interrupted):
        fitted(folder="broken", watch=_never_better(steps), **choices)
    fitted(folder="broken", watch=lambda report: steps.append(report.step), resume=True, **choices)
    assert steps == sorted(set(steps))
    assert expected is not None


def _never_better(steps):
    """Interrupt once the wait is over, before training can act on it."""
    seen = []

    def watch(report):
        steps.append(report.step)
        if report.val is not None:
            seen.append(report.val)
            if len(seen) > 1 and seen[-1] >= min(seen[:-1]):
                raise Interrupted

    return watch


def test_the_same_seed_gives_the_same_numbers(fitted):
    losses = {}
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        losses[folder] = []
        fitted(folder=folder, watch=lambda r, f=folder: losses[f].append(r.loss), seed=seed)
    assert losses["a"] == losses["b"]
    assert losses["a"] != losses["c"]


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_learns(fitted, name):
    before = fitted(name, "a", steps=1, learning_rate=1e-12)[1]
    after = fitted(name, "b", steps=3)[1]
    assert not _same(before, after)
    assert not after.model.training
    assert not after.guide.training
    assert all(p.isfinite().all() for p in after.module.parameters())


@pytest.mark.parametrize("name", ["telbo", "jvae", "cvae", "segmenter", "jmvae"])
def test_partly_labelled_scenes_are_learned_from(fitted, voc_folder, name):
    reports = []
    run, _ = fitted(name, watch=reports.append, data=str(voc_folder), batch_size=3)
    assert run.complete
    assert all(math.isfinite(report.loss) for report in reports)


def test_the_folder_holds_data_and_no_pickle(fitted):
    run, _ = fitted(patience=3)
    names = {path.name for path in run.folder.iterdir()}
    (events,) = [name for name in names if name.startswith("events.out.tfevents.")]
    assert names - {events} == {
        "config.json", "metrics.jsonl", "checkpoint.safetensors", "weights.safetensors",
        "best.safetensors",
    }  # fmt: skip
    for path in run.folder.glob("*.safetensors"):
        head = path.read_bytes()
        size = int.from_bytes(head[:8], "little")
        about = json.loads(head[8 : 8 + size])["__metadata__"]["scene"]
        assert json.loads(about)["recipe"] == "telbo"
    assert run.path(events).stat().st_size > 200


def test_pyros_parameter_store_stays_empty(fitted):
    pyro.clear_param_store()
    fitted()
    assert not list(pyro.get_param_store().keys())


def _poison(monkeypatch, good):
    """Make the loss no number after some good steps."""
    calls, forward = [], Step.forward

    def step(self, views):
        loss, parts = forward(self, views)
        calls.append(torch.is_grad_enabled())
        return loss * (1.0 if sum(calls) <= good else math.nan), parts

    monkeypatch.setattr(Step, "forward", step)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_checkpoint(
    fitted, monkeypatch, tmp_path
):
    _, good = fitted(folder="good", steps=2, schedule="constant")
    sentence = "The loss became nan at step 4, the last good checkpoint is kept; try a smaller"
    with monkeypatch.context() as patch:
        _poison(patch, good=3)
        with pytest.raises(Diverged, match=sentence):
            fitted(folder="bad", steps=9, schedule="constant")
    run = read(tmp_path / "bad")
    assert not run.complete
    kept = assemble(run.settings, run.schema)
    load_weights(run.path("checkpoint.safetensors"), kept, "telbo")
    assert _same(kept, good)
    assert fitted(folder="bad", resume=True)[0].complete


def test_before_the_first_checkpoint_none_is_promised(fitted, monkeypatch):
    _poison(monkeypatch, good=0)
    with pytest.raises(Diverged, match=r"at step 1, before the first checkpoint; try a smaller"):
        fitted()


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_an_infinite_step_is_never_written_to_the_checkpoint(fitted, monkeypatch, tmp_path, clip):
    """The loss is still finite when the gradient explodes; the weights after it are not."""
    forward = Step.forward

    def explode(self, views):
        loss, parts = forward(self, views)
        if torch.is_grad_enabled() and len(seen) == 3:
            loss.register_hook(lambda gradient: gradient * math.inf)
        return loss, parts

    seen = []
    monkeypatch.setattr(Step, "forward", explode)
    with pytest.raises(Diverged, match=r"The (weights|gradient) became (nan|inf) at step 4"):
        fitted(steps=8, clip=clip, watch=seen.append)
    run = read(tmp_path / "run")
    kept = assemble(run.settings, run.schema)
    load_weights(run.path("checkpoint.safetensors"), kept, "telbo")
    assert all(p.isfinite().all() for p in kept.module.parameters())


def test_early_stopping_restores_the_best_weights(fitted, monkeypatch, tmp_path):
    """Validation worsens after the second time; what was best then is what remains."""
    values = iter([3.0, 2.0, 2.5, 2.6, 2.7])
    monkeypatch.setattr("inference.training.fit._loss", lambda *_: next(values))
    steps = []
    choices = {"schedule": "constant", "steps": 10}
    run, stopped = fitted(folder="a", watch=lambda r: steps.append(r.step), patience=2, **choices)
    assert steps[-1] == 8
    assert run.complete
    values = iter([3.0, 2.0])
    _, best = fitted(folder="b", **{**choices, "steps": 4})
    assert _same(stopped, best)


def test_a_validation_that_is_no_number_stops(fitted, monkeypatch):
    values = iter([3.0, math.nan])
    monkeypatch.setattr("inference.training.fit._loss", lambda *_: next(values))
    with pytest.raises(Diverged, match=r"The validation loss became nan at step 4, the last good"):
        fitted(steps=8)


def test_validation_changes_nothing_that_training_sees(fitted):
    """The noise of training is the same however often it is validated."""
    losses = {2: [], 3: []}
    for every, seen in losses.items():
        fitted(folder=str(every), watch=lambda r, s=seen: s.append(r.loss), validate_every=every)
    assert losses[2] == losses[3]


def test_bf16_trains_and_weights_stay_fp32(fitted):
    losses = []
    _, assembly = fitted(precision="bf16", watch=lambda report: losses.append(report.loss))
    assert all(map(math.isfinite, losses))
    assert {p.dtype for p in assembly.module.parameters()} == {torch.float32}


@pytest.mark.parametrize(("clip", "moved"), [(1e-3, 1e-3), (0.0, 1.0)])
def test_clipping_bounds_the_norm_of_the_gradient(fitted, clip, moved):
    """One step of plain SGD at rate 1e-6 moves the weights by that times the gradient's norm."""
    start = fitted("jvae", "a", steps=1, optimizer="sgd", learning_rate=1e-30)[1]
    end = fitted("jvae", "b", steps=1, optimizer="sgd", learning_rate=1e-3, clip=clip,
                 schedule="constant")[1]  # fmt: skip
    a, b = (torch.cat([p.detach().flatten() for p in x.module.parameters()]) for x in (start, end))
    distance = float((a - b).double().norm()) / 1e-3
    if clip:
        assert distance == pytest.approx(moved, rel=0.05)
    else:
        assert distance > moved


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "layerwise"])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "onecycle", "stairs"])
def test_every_optimizer_learns_under_every_schedule(fitted, optimizer, schedule):
    """All scenes in every batch, unaugmented: each small step goes down the same loss."""
    losses, peak = [], 1e-6 if optimizer in ("sgd", "layerwise") else 1e-3
    fitted(
        "segmenter", watch=lambda r: losses.append(r.loss), steps=10, batch_size=8, count=8,
        augment="none", optimizer=optimizer, schedule=schedule, learning_rate=peak,
    )  # fmt: skip
    assert len(losses) == 10
    assert losses[-1] < losses[0]


def test_schedules(tiny):
    """Constant stays, cosine falls from the peak to nothing, onecycle rises first.

    Stairs lead down to a tenth after each quarter.
    """
    inputs = {"steps": 100, "learning_rate": 2.0}
    constant, cosine, onecycle, stairs = (
        [rate(tiny(schedule=name, **inputs), step) for step in range(101)]
        for name in ("constant", "cosine", "onecycle", "stairs")
    )
    assert stairs[:100] == pytest.approx([2.0] * 25 + [0.2] * 25 + [0.02] * 25 + [0.002] * 25)
    assert set(constant) == {2.0}
    assert cosine[0] == 2.0
    assert cosine[50] == pytest.approx(1.0)
    assert cosine == sorted(cosine, reverse=True)
    assert onecycle[0] == pytest.approx(0.08)
    assert onecycle[10] == pytest.approx(2.0)
    assert onecycle[:11] == sorted(onecycle[:11])
    assert onecycle[10:] == sorted(onecycle[10:], reverse=True)
    assert cosine[100] == pytest.approx(0.0)
    assert onecycle[100] == pytest.approx(0.0)


def test_the_warm_up_rises_to_full_and_validation_is_at_full(fitted, monkeypatch):
    warmth, forward = [], Step.forward

    def step(self, views: Views):
        warmth.append(
            (torch.is_grad_enabled(), self.objective.warmth, self.objective.joint.warmth)
        )
        return forward(self, views)

    monkeypatch.setattr(Step, "forward", step)
    fitted(steps=6, warmup=4)
    assert [w for training, w, _ in warmth if training] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert {w for training, w, _ in warmth if not training} == {1.0}
    assert all(own == joint for _, own, joint in warmth)
