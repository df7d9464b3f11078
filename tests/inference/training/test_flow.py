"""A flow of a run: trained after it or with it, found beside it, and gone on with."""

import shutil

import pytest
import torch

from inference.api.load import find_run, load
from inference.flows import FlowGuide
from inference.prediction.sample import sample
from inference.runs.checkpoints import FLOW, has_part, restore
from inference.runs.run import CHECKPOINT, SUMMARY, WEIGHTS, read
from inference.settings.recipes import recipe
from inference.training.afterwards import taken_from_run
from inference.training.session import resume, train


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("SCENE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "runs"


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Leave out the pictures, which take longer than the rest."""
    for draw in ("draw_predictions", "draw_drawn"):
        monkeypatch.setattr(f"inference.training.session.{draw}", lambda *_, **__: None)


FLOW_STEPS = {"flow_steps": 4, "flow_width": 8}


@pytest.fixture
def with_flow(tiny):
    """Train a run whose prior is a flow."""

    def make(name="telbo", watch=lambda report: None, **choices):
        settings = tiny(name, prior="flow", **FLOW_STEPS, **choices)
        return train(settings, device="cpu", watch=watch).run

    return make


def of(run, **choices):
    chosen = {"steps": 4, "batch_size": 4, "flow_width": 8, "validate_every": 2, **choices}
    return recipe("prior").settings(run=str(run.folder), **chosen)


def tensors(run):
    return restore(run).guide.state_dict()


@pytest.mark.parametrize("grid", [{}, {"spatial": 2, "cell": 8}])
@pytest.mark.parametrize("name", ["telbo", "jvae", "jmvae"])
def test_a_run_with_a_flow_draws_scenes_by_it(with_flow, name, grid):
    run = with_flow(name, **grid)
    assert has_part(run, FLOW)
    assert read(run.path(FLOW)).concluded
    assembly, plain = restore(run), restore(run, parts=False)
    assert isinstance(assembly.flow, FlowGuide)
    assert plain.flow is None
    labels = run.schema.labels
    drawn, before = (sample(one, None, labels, n=3, seed=1) for one in (assembly, plain))
    assert drawn.image.shape == (3, 3, 16, 16)
    assert not torch.equal(drawn.image, before.image)
    assert torch.equal(drawn.image, sample(assembly, None, labels, n=3, seed=1).image)


def test_predictions_are_the_guide_s(with_flow):
    run = with_flow()
    fitted = load(run, device="cpu")
    masks = fitted.predict(image="test:0").mask
    shutil.rmtree(run.path(FLOW))
    assert torch.equal(load(run, device="cpu").predict(image="test:0").mask, masks)


def test_a_flow_draws_given_views_that_the_guide_cannot_read(with_flow):
    run = with_flow("jvae", encode=("image", "classes"))
    fitted = load(run, device="cpu")
    assert len(fitted.sample(2, mask="test:0")) == 2
    with pytest.raises(ValueError, match="no posterior given just mask"):
        fitted.predict(mask="test:0")
    assert find_run(task="sample", observed=("mask",)).folder == run.folder


def test_a_walk_ends_where_draws_would_and_turns_round(with_flow):
    fitted = load(with_flow(), device="cpu")
    walk = fitted.sample(5, walk=True, seed=3)
    assert len(walk) == 5
    assert walk.title == "drawn from the prior by the flow, a walk"
    assert not torch.equal(walk.image[0], walk.image[4])
    given = fitted.sample(4, classes="circle", walk=True)
    assert len(given) == 4


def test_a_flow_is_trained_for_a_run_that_has_none(tiny):
    run = train(tiny("telbo"), device="cpu").run
    assert restore(run).flow is None
    outcome = train(of(run), device="cpu")
    assert outcome.run.folder == run.path(FLOW)
    assert outcome.cell is None
    ours, theirs = restore(outcome.run), restore(run)
    for name, tensor in theirs.model.state_dict().items():
        assert torch.equal(ours.model.state_dict()[name], tensor)
    for name, tensor in theirs.guide.state_dict().items():
        assert torch.equal(ours.guide.source.state_dict()[name], tensor)
    assert theirs.flow is not None
    assert outcome.run.settings.flow.of == "telbo"
    assert outcome.run.settings.model.latent == run.settings.model.latent


def test_without_a_name_it_is_the_newest_joint_model_s(tiny):
    with pytest.raises(LookupError, match="There is no complete run of a joint model"):
        train(recipe("prior").settings(), device="cpu")
    older = train(tiny("telbo"), device="cpu").run
    train(tiny("segmenter"), device="cpu")
    settings, found = taken_from_run(recipe("prior").settings())
    assert found.folder == older.folder
    assert settings.data == older.settings.data.__class__(**{
        **vars(older.settings.data), "augment": "none"
    })  # fmt: skip


@pytest.mark.parametrize("name", ["cvae", "segmenter"])
def test_a_run_without_a_joint_z_is_refused(tiny, name):
    run = train(tiny(name), device="cpu").run
    with pytest.raises(ValueError, match=f"is a run of {name}; a flow learns after telbo"):
        train(of(run), device="cpu")
    assert not run.path(FLOW).exists()


def test_a_run_that_is_not_complete_is_refused(with_flow):
    run = with_flow()
    run.path(WEIGHTS).unlink()
    with pytest.raises(LookupError, match="is not complete; finish it with `scene train --resu"):
        train(of(run), force=True, device="cpu")


def test_a_flow_is_replaced_by_force_even_if_it_is_damaged(with_flow):
    run = with_flow()
    with pytest.raises(FileExistsError):
        train(of(run), device="cpu")
    (run.path(FLOW) / WEIGHTS).write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="truncated or damaged"):
        restore(run)
    train(of(run), force=True, device="cpu")
    assert restore(run).flow is not None


@pytest.mark.parametrize("at", [2, 6])
def test_what_was_cut_short_ends_as_if_it_had_not_been(with_flow, runs, at):
    whole = with_flow()
    expected = tensors(read(whole.path(FLOW)))
    seen = []

    def pull(report):
        seen.append(report)
        if len(seen) == at + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        with_flow(watch=pull)
    (folder,) = (f for f in runs.iterdir() if f != whole.folder)
    assert (folder / CHECKPOINT).is_file()
    assert not (folder / SUMMARY).is_file()
    run = resume(read(folder), device="cpu").run
    assert run.concluded
    again = tensors(read(run.path(FLOW)))
    assert all(torch.equal(again[name], tensor) for name, tensor in expected.items())


def test_a_flow_alone_is_gone_on_with(tiny):
    run = train(tiny("telbo"), device="cpu").run
    expected = tensors(train(of(run), device="cpu").run)

    def pull(report):
        if report.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(of(run), force=True, device="cpu", watch=pull)
    ended = tensors(resume(read(run.path(FLOW)), device="cpu").run)
    assert all(torch.equal(ended[name], tensor) for name, tensor in expected.items())


def test_a_copy_of_a_run_has_its_flow(with_flow, tmp_path):
    run = with_flow()
    copy = load(run, device="cpu").save(tmp_path / "copy")
    first, second = (load(one, device="cpu").sample(2, seed=4).image for one in (run, copy))
    assert torch.equal(first, second)


def test_a_folder_of_another_run_is_no_flow(with_flow, tiny):
    run = with_flow()
    shutil.rmtree(run.path(FLOW))
    train(tiny("segmenter"), folder=run.path(FLOW), device="cpu")
    with pytest.raises(ValueError, match="holds a run of segmenter, not of prior; remove it"):
        restore(run)
