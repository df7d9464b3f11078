"""Restoring: what was trained comes back ready to infer, or says why it cannot."""

import json

import pytest

from inference.runs.checkpoints import restore
from inference.runs.run import read
from inference.settings.recipes import RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_what_was_trained_comes_back(fitted, name):
    run, trained = fitted(name)
    restored = restore(read(run.folder))
    a, b = trained.module.state_dict(), restored.module.state_dict()
    assert a.keys() == b.keys()
    assert all(a[key].equal(b[key]) for key in a)
    assert not restored.model.training
    assert not restored.guide.training


def test_a_run_that_is_not_complete_is_a_sentence(fitted):
    run, _ = fitted()
    run.path("weights.safetensors").unlink()
    with pytest.raises(LookupError, match=r"finish it with `scene train --resume"):
        restore(run)


def test_weights_that_are_truncated_are_a_sentence(fitted):
    run, _ = fitted()
    path = run.path("weights.safetensors")
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"is truncated or damaged"):
        restore(run)


def test_weights_of_another_recipe_are_a_sentence(fitted):
    run, _ = fitted("cvae", "a")
    other, _ = fitted("telbo", "b")
    run.path("weights.safetensors").replace(other.path("weights.safetensors"))
    with pytest.raises(ValueError, match=r"holds weights of 'cvae', not of 'telbo'"):
        restore(other)


def test_weights_that_do_not_fit_the_config_are_a_sentence(fitted):
    run, _ = fitted()
    config = json.loads(run.path("config.json").read_text())
    config["settings"]["model"]["latent"] = 5
    run.path("config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"does not fit this (model|guide)"):
        restore(read(run.folder))
