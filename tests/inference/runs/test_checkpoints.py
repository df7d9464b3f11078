"""Checkpoints: everything comes back bit for bit, and what does not fit is refused."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.optim import SGD, Adam, AdamW

from inference.runs.checkpoints import (
    Learning,
    load_learning,
    load_weights,
    save_learning,
    save_weights,
)
from inference.runs.tensor_files import digest_of
from scene.labels import Labels
from scene.views import Schema


@pytest.fixture
def build(built, schema):
    return lambda name="telbo", **choices: built(schema, name, **choices)


def _learning(assembly, kind=Adam, views=None, steps=0):
    """Make what learns, after some steps."""
    more = {"momentum": 0.9} if kind is SGD else {}
    optimizer = kind(assembly.module.parameters(), lr=1e-3, **more)
    for _ in range(steps):
        optimizer.zero_grad()
        assembly.module(views).backward()
        optimizer.step()
    return Learning(assembly, optimizer, steps)


def _same(one, other):
    a, b = one.module.state_dict(), other.module.state_dict()
    return a.keys() == b.keys() and all(a[name].equal(b[name]) for name in a)


@pytest.mark.parametrize("name", ["telbo", "segmenter"])
def test_weights_come_back_bit_for_bit(build, tmp_path, name):
    one, other = build(name, seed=1), build(name, seed=2)
    assert not _same(one, other)
    save_weights(tmp_path / "w", one, name)
    load_weights(tmp_path / "w", other, name)
    assert _same(one, other)


@pytest.mark.parametrize("kind", [Adam, AdamW, SGD])
def test_a_resumed_training_equals_an_uninterrupted_one(build, views, tmp_path, kind):
    torch.manual_seed(0)
    one = _learning(build(), kind, views, steps=2)
    one.step, one.best, one.waited = 2, -1.5, 3
    save_learning(tmp_path / "c", one, "telbo")
    ahead = torch.rand(3)
    other = _learning(build(seed=5), kind)
    load_learning(tmp_path / "c", other, "telbo")
    assert (other.step, other.best, other.waited) == (2, -1.5, 3)
    assert torch.rand(3).equal(ahead)
    for learning in (one, other):
        torch.manual_seed(1)
        learning.optimizer.zero_grad()
        learning.assembly.module(views).backward()
        learning.optimizer.step()
    assert _same(one.assembly, other.assembly)


def test_a_best_loss_of_infinity_is_restored(build, tmp_path):
    save_learning(tmp_path / "c", _learning(build()), "telbo")
    other = _learning(build())
    load_learning(tmp_path / "c", other, "telbo")
    assert other.best == float("inf")


def test_files_hold_tensors_and_text_only(build, views, tmp_path):
    save_learning(tmp_path / "c", _learning(build(), Adam, views, steps=1), "telbo")
    with safe_open(tmp_path / "c", framework="pt") as file:
        about = json.loads(file.metadata()["scene"])
        assert {key.partition("/")[0] for key in file.keys()} == {
            "model", "guide", "optimizer", "random",
        }  # fmt: skip
    assert about["recipe"] == "telbo"
    assert about["progress"]["step"] == 1
    assert about["groups"][0]["lr"] == 1e-3


def test_the_same_learning_gives_the_same_bytes(build, tmp_path):
    """In every process: a file says all of itself in one entry, since several have no order."""
    for name in ("a", "b"):
        save_learning(tmp_path / name, _learning(build()), "telbo")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with safe_open(tmp_path / "a", framework="pt") as file:
        assert len(file.metadata()) == 1


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-10], lambda b: b[:20], lambda b: b"", lambda b: b"x" * 99]
)
@pytest.mark.parametrize("what", ["weights", "checkpoint"])
def test_a_truncated_file_is_a_sentence(build, tmp_path, damage, what):
    path, assembly = tmp_path / f"{what}.safetensors", build()
    if what == "weights":
        save_weights(path, assembly, "telbo")
    else:
        save_learning(path, _learning(assembly), "telbo")
    learning = _learning(assembly)
    read = {
        "weights": lambda: load_weights(path, assembly, "telbo"),
        "checkpoint": lambda: load_learning(path, learning, "telbo"),
    }[what]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"{what}\.safetensors is truncated or damaged; copy"):
        read()


def test_weights_of_another_recipe_are_refused(build, tmp_path):
    save_weights(tmp_path / "w", build("cvae"), "cvae")
    with pytest.raises(ValueError, match="holds weights of 'cvae', not of 'telbo'"):
        load_weights(tmp_path / "w", build(), "telbo")
    save_learning(tmp_path / "c", _learning(build("cvae")), "cvae")
    with pytest.raises(ValueError, match="holds weights of 'cvae', not of 'telbo'"):
        load_learning(tmp_path / "c", _learning(build()), "telbo")


def test_a_users_tensors_are_refused(build, tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "w")
    with pytest.raises(ValueError, match="holds weights of None, not of 'telbo'"):
        load_weights(tmp_path / "w", build(), "telbo")


def test_weights_are_no_checkpoint(build, tmp_path):
    save_weights(tmp_path / "w", build(), "telbo")
    with pytest.raises(ValueError, match="holds no state of training to resume from"):
        load_learning(tmp_path / "w", _learning(build()), "telbo")


@pytest.mark.parametrize(
    "choices", [{"latent": 5}, {"width": 3}, {"guide_width": 3}, {"guide": "retrofit"}]
)
def test_weights_of_another_shape_are_refused(build, tmp_path, choices):
    save_weights(tmp_path / "w", build(), "telbo")
    with pytest.raises(ValueError, match=r"w does not fit this (model|guide): .") as caught:
        load_weights(tmp_path / "w", build(**choices), "telbo")
    assert "\n" not in str(caught.value)


def test_weights_for_other_labels_are_refused(build, built, tmp_path):
    save_weights(tmp_path / "w", build(), "telbo")
    other = Schema(Labels(("background", "cat", "dog", "bird")), (20, 18))
    with pytest.raises(ValueError, match="does not fit this model"):
        load_weights(tmp_path / "w", built(other), "telbo")


def test_a_missing_file_is_named(build, tmp_path):
    with pytest.raises(LookupError, match=r"There is no w\.safetensors in "):
        load_weights(tmp_path / "w.safetensors", build(), "telbo")


def test_a_save_that_fails_leaves_the_old_file(build, tmp_path, full_disk):
    save_weights(tmp_path / "w", build(), "telbo")
    before = (tmp_path / "w").read_bytes()
    with full_disk(), pytest.raises(OSError, match="File too large") as caught:
        save_weights(tmp_path / "w", build(seed=2), "telbo")
    assert caught.value.filename == str(tmp_path / "w")
    assert [path.name for path in tmp_path.iterdir()] == ["w"]
    assert (tmp_path / "w").read_bytes() == before


def _changed(path, tensors=lambda held: held, about=lambda reported: reported, sealed=False):
    """Write a file again with other content, and a digest that fits if it is ``sealed``."""
    with safe_open(path, framework="pt") as file:
        held = {name: file.get_tensor(name) for name in file.keys()}
        reported = json.loads(file.metadata()["scene"])
    held, reported = tensors(held), about(reported)
    if sealed:
        reported.pop("digest")
        reported["digest"] = digest_of(held, reported)
    save_file(held, path, {"scene": json.dumps(reported)})


def _told(**change):
    def about(told):
        progress = {**told["progress"], **change}
        kept = {key: value for key, value in progress.items() if value is not None}
        return {**told, "progress": kept}

    return about


def _without(start):
    return lambda held: {name: t for name, t in held.items() if not name.startswith(start)}


def _with(name):
    return lambda held: {**held, name: torch.zeros(3)}


@pytest.fixture
def checkpoint(build, views, tmp_path):
    """Save a checkpoint after a step, and give its path."""
    save_learning(tmp_path / "c", _learning(build(), Adam, views, steps=1), "telbo")
    return tmp_path / "c"


@pytest.mark.parametrize(
    "change",
    [
        {"about": _told(step=999)},
        {"about": _told(best=None)},
        {"about": lambda told: {key: told[key] for key in told if key != "digest"}},
        {"tensors": _without("optimizer/")},
        {"tensors": _without("random/")},
        {"tensors": _with("optimizer/99999/exp_avg")},
        {"tensors": lambda held: {name: 0 * t for name, t in held.items()}},
    ],
)
def test_what_was_changed_since_it_was_written_is_refused(build, checkpoint, change):
    _changed(checkpoint, **change)
    with pytest.raises(ValueError, match="c does not hold what was written to it; copy it again"):
        load_learning(checkpoint, _learning(build()), "telbo")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"about": _told(step=-1)}, "does not record a valid training step"),
        ({"about": _told(step="7")}, "does not record a valid training step"),
        ({"about": _told(step=True)}, "does not record a valid training step"),
        ({"about": _told(best=None)}, "does not record a valid training step"),
        ({"about": _told(best=float("nan"))}, "does not record a valid training step"),
        ({"about": lambda told: {**told, "progress": []}}, "does not record a valid"),
        ({"about": lambda told: {**told, "progress": "{"}}, "does not record a valid"),
        ({"about": lambda told: {**told, "groups": 7}}, "does not fit the optimizer of this run"),
        ({"about": lambda told: {**told, "groups": [{}]}}, "does not fit the optimizer of this"),
        ({"tensors": _with("optimizer/99999/exp_avg")}, "optimizer state for parameter 99999"),
        ({"tensors": _with("optimizer/x")}, "optimizer state for parameter x"),
        ({"tensors": _without("random/")}, "holds no state of training"),
    ],
)
def test_what_was_written_so_is_refused_too(build, checkpoint, change, sentence):
    _changed(checkpoint, **change, sealed=True)
    with pytest.raises(ValueError, match=sentence):
        load_learning(checkpoint, _learning(build()), "telbo")


def test_weights_that_are_no_numbers_are_refused(build, tmp_path):
    broken = build()
    with torch.no_grad():
        next(broken.guide.parameters()).fill_(float("nan"))
    save_weights(tmp_path / "w", broken, "telbo")
    with pytest.raises(ValueError, match=r"holds NaN or infinite weights \(.+\); train again"):
        load_weights(tmp_path / "w", build(), "telbo")


def test_a_file_has_the_mode_of_any_other(build, tmp_path):
    save_weights(tmp_path / "w", build(), "telbo")
    (tmp_path / "other").touch()
    assert (tmp_path / "w").stat().st_mode == (tmp_path / "other").stat().st_mode
