"""Starting from another run: what fits is taken, the rest is said, and nothing else is read."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from inference.runs.checkpoints import restore
from inference.runs.run import CONFIG, WEIGHTS
from inference.training.initial import take_weights
from inference.training.session import train


@pytest.fixture
def run(fitted):
    return fitted("telbo", "first")[0]


def _weights(assembly):
    parts = (("model", assembly.model), ("guide", assembly.guide))
    return {f"{k}/{n}": t for k, part in parts for n, t in part.state_dict().items()}


def test_the_same_settings_take_every_tensor(run, built):
    torch.manual_seed(7)
    fresh = built(run.schema)
    result = take_weights(fresh, run)
    assert result.missing == ()
    theirs = _weights(restore(run))
    assert set(result.copied) == set(theirs)
    assert all(tensor.equal(theirs[name]) for name, tensor in _weights(fresh).items())
    assert str(result) == f"{len(theirs)} of {len(theirs)} tensors from {run.folder}"


def test_what_has_another_shape_stays_as_it_was_drawn(run, built):
    fresh = built(run.schema, latent=6)
    drawn = {name: tensor.clone() for name, tensor in _weights(fresh).items()}
    result = take_weights(fresh, run)
    theirs = _weights(restore(run))
    assert result.missing
    assert set(result.copied) | set(result.missing) == set(drawn)
    for name, tensor in _weights(fresh).items():
        assert tensor.equal((theirs if name in result.copied else drawn)[name])
    assert all(theirs[name].shape != drawn[name].shape for name in result.missing)
    assert f"not {result.missing[0]}" in str(result)


def test_a_run_of_another_recipe_lends_what_is_alike(fitted, built):
    trained, _ = fitted("jvae", "jvae")
    fresh = built(trained.schema)
    result = take_weights(fresh, trained)
    assert any(name.startswith("model/") for name in result.copied)


def test_of_weights_that_do_not_fit_or_are_no_numbers_nothing_is_trained(
    fitted, run, tiny, tmp_path
):
    other, _ = fitted("segmenter", "other")
    with pytest.raises(
        ValueError, match=r"No weight of .*other \(recipe segmenter\) matches this model"
    ):
        train(tiny(), folder=tmp_path / "new", start=other, device="cpu")
    tensors = load_file(run.path(WEIGHTS))
    first = next(name for name in sorted(tensors) if tensors[name].is_floating_point())
    tensors[first] = torch.full_like(tensors[first], float("nan"))
    save_file(tensors, run.path(WEIGHTS), metadata={"recipe": "telbo"})
    with pytest.raises(ValueError, match=f"holds NaN or infinite values in {first}; use --from"):
        train(tiny(), folder=tmp_path / "new", start=run, device="cpu")
    run.path(WEIGHTS).write_bytes(run.path(WEIGHTS).read_bytes()[:100])
    with pytest.raises(ValueError, match="is truncated or damaged; start from another run"):
        train(tiny(), folder=tmp_path / "new", start=run, device="cpu")
    run.path(WEIGHTS).unlink()
    with pytest.raises(LookupError, match="is not complete, so nothing starts from it; finish"):
        train(tiny(), folder=tmp_path / "new", start=run, device="cpu")
    assert not (tmp_path / "new").exists()


def test_a_session_begins_with_them_and_its_config_says_so(run, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("inference.training.session.draw_predictions", lambda *_, **__: None)
    calls = []
    still = tiny(steps=1, learning_rate=1e-30, optimizer="sgd")
    new = train(
        still, folder=tmp_path / "new", start=run, initialised=calls.append, device="cpu"
    ).run
    theirs, ours = load_file(run.path(WEIGHTS)), load_file(new.path(WEIGHTS))
    learned = [name for name in theirs if "running_" not in name and "num_batches" not in name]
    assert all(ours[name].equal(theirs[name]) for name in learned)
    config = json.loads(new.path(CONFIG).read_text())
    assert config["start"] == calls[0].to_json()
    assert config["start"]["run"] == str(run.folder)
