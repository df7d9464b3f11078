"""The object one holds: it samples, predicts, segments and scores as its parts do."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from inference import Fitted, load, train
from inference.prediction.evaluate import evaluate, log_likelihood
from inference.prediction.predict import predict
from inference.runs.checkpoints import restore
from inference.runs.places import DEMO
from scene.datasets.synthetic.dataset import COUNTS, SyntheticScenes
from scene.images.io import read_mask, write_image
from scene.metrics import MaskScorer
from scene.seeds import seeded

CPU = {"device": "cpu"}


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    """Keep runs and trust in the test's own folder."""
    monkeypatch.setenv("SCENE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def model(fitted):
    """Fit a small TELBO for a step."""
    return load(fitted(steps=1)[0], **CPU)


@pytest.fixture
def scenes(few):
    return SyntheticScenes("test", size=(16, 16))


def test_it_holds_what_the_run_holds(model):
    run = model.run
    other = restore(run)
    for mine, theirs in ((model.model, other.model), (model.guide, other.guide)):
        assert all(a.equal(b) for a, b in zip(mine.parameters(), theirs.parameters(), strict=True))
    assert model.settings == run.settings
    assert model.labels == run.schema.labels
    assert model.device.type == "cpu"
    assert not model.model.training
    assert repr(model) == f"<telbo of {run.folder}, 16x16, cpu>"


def test_a_prediction_is_that_of_its_parts(model, scenes):
    views = scenes.views(range(3))
    result = model.predict(image=views["image"], draws=4, seed=3)
    with seeded(3):
        expected = predict(model.assembly, views.only(["image"]), model.model.views, draws=4)
    assert result.probs.equal(expected.views["mask"])
    assert result.image.equal(expected.views["image"])
    assert result.classes.equal(expected.views["classes"])
    assert result.mask.equal(result.probs.argmax(1))


def test_a_long_batch_is_predicted_as_it_is_evaluated(model, monkeypatch):
    """In parts, one after the other: the same draws, so that the same masks are scored."""
    monkeypatch.setitem(COUNTS, "test", 70)
    scenes = SyntheticScenes("test", size=(16, 16))
    result = model.predict(image=scenes.views(range(70))["image"], views=["mask"], seed=1)
    scorer = MaskScorer(model.labels)
    for index, mask in enumerate(result.mask):
        scorer.add(mask, scenes[index].mask)
    direction = (["image"], "mask")
    assert scorer.score() == model.evaluate(scenes, seed=1, directions=[direction]).cells[0].score


def test_one_scene_has_no_dimension_of_scenes(model, scenes, tmp_path):
    alone = model.predict(image="test:1")
    batch = model.predict(image=[scenes[1].image])
    assert alone.mask.shape == (16, 16)
    assert batch.mask.shape == (1, 16, 16)
    assert alone.mask.equal(batch.mask[0])
    assert alone.entropy.shape == (16, 16)
    arrays = alone.numpy()
    assert arrays["image"].shape == (16, 16, 3)
    assert arrays["probs"].shape == (7, 16, 16)
    assert alone.save(tmp_path / "a.png") == [tmp_path / "a.png"]
    names = [path.name for path in alone.save(tmp_path / "views")]
    assert names == ["000_image.png", "000_mask.png", "classes.json"]
    mask = read_mask(tmp_path / "views" / "000_mask.png", model.labels)
    assert mask.long().equal(alone.mask)
    assert alone._repr_png_().startswith(b"\x89PNG")


def test_only_the_views_that_are_asked_for_are_predicted(model):
    result = model.predict(mask="test:0", views=["classes"])
    assert set(result.views) == {"classes"}
    with pytest.raises(LookupError, match="The mask was not predicted; this prediction holds cl"):
        result.mask  # noqa: B018
    assert result._repr_png_().startswith(b"\x89PNG")


def test_the_posterior_is_the_guides_and_the_prior_where_nothing_is_seen(model, scenes):
    views = scenes.views([0])
    q = model.posterior(image="test:0", classes="test:0")
    with torch.no_grad():
        expected = model.guide.posterior(views.only(["image", "classes"]))
    assert q.mean.equal(expected.mean)
    assert (q.batch_shape, q.event_shape) == ((1,), (4,))
    prior = model.posterior()
    assert prior.mean.equal(torch.zeros(1, 4))
    assert torch.distributions.kl_divergence(prior, model.model.prior(views)).item() == 0


def test_refining_raises_the_elbo_and_is_kept(model, tmp_path):
    refined = model.refine_posterior(mask="test:0", steps=30, draws=3)
    assert refined.elbo_after.item() > refined.elbo_before.item()
    assert refined.z.shape == (3, 1, 4)
    again = model.refine_posterior(mask="test:0", steps=30, draws=3)
    assert again.z.equal(refined.z)
    refined.save(tmp_path / "q.npz")
    with np.load(tmp_path / "q.npz") as held:
        assert np.array_equal(held["loc"], refined.posterior.mean.numpy())
    assert refined._repr_png_().startswith(b"\x89PNG")


def test_the_evaluation_is_that_of_the_dataset(model, scenes):
    result = model.evaluate("test", seed=2)
    expected = evaluate(model.assembly, scenes, seed=2)
    assert result.cells == expected.cells
    assert result.cell("image").score.miou == result.numpy()["image → mask"]
    assert result.cell("all").given == ("image", "classes", "mask")
    assert len(model.evaluate("val", directions=[(["mask"], "mask")])) == 1
    with pytest.raises(LookupError, match="classes → mask was not scored; image → mask;"):
        result.cell("classes")


def test_an_evaluation_is_saved_and_printed(model, tmp_path):
    result = model.evaluate("test", directions=[(("image",), "mask"), (("classes",), "mask")])
    assert str(result).splitlines()[0] == "synthetic-default test, 6 scenes"
    assert len(str(result).splitlines()) == 3
    result.save(tmp_path / "scores.json")
    with pytest.raises(FileExistsError, match="exists; choose another, or --force"):
        result.save(tmp_path / "scores.json")
    with pytest.raises(ValueError, match=r"kept as scores\.json or \.png"):
        result.save(tmp_path / "scores.txt")
    assert result._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["telbo", "jvae", "cvae", "segmenter", "classifier"])
def test_log_likelihoods_are_bounds_of_each_scene(fitted, scenes, name):
    model = load(fitted(name, steps=1)[0], **CPU)
    result = model.log_likelihood(scenes, particles=8)
    assert result.shape == (6,)
    assert result.isfinite().all()
    assert result.equal(model.log_likelihood(scenes.views(range(6)), particles=8))


def test_a_model_without_z_knows_its_log_likelihood_exactly(fitted, scenes):
    model = load(fitted("segmenter", steps=1)[0], **CPU)
    views = scenes.views(range(6))
    with torch.no_grad():
        expected = model.model.decode(None, views, ["mask"])["mask"].log_prob(views["mask"])
    result = model.log_likelihood(views, particles=1)
    torch.testing.assert_close(result, expected)
    assert result.equal(model.log_likelihood(views, particles=9, seed=4))


def test_more_particles_tighten_the_bound(model, scenes):
    """On average only: over 240 draws of log w the gap is some 15 standard errors."""

    def bound(particles, seeds):
        means = [model.log_likelihood(scenes, particles=particles, seed=n).mean() for n in seeds]
        return sum(means) / len(means)

    assert bound(40, range(5)) > bound(1, range(40))


def test_a_linear_gaussian_log_likelihood_is_exact(linear, exact, data):
    """With the exact posterior every weight is the evidence, whatever was drawn."""
    from inference.build import Assembly
    from inference.objectives.bounds import IWAE

    linear.latent, linear.conditions, exact.require = 3, (), lambda names: None
    result = log_likelihood(Assembly(linear, exact, IWAE(1)), data, particles=3)
    torch.testing.assert_close(result, linear.log_evidence(data).detach())


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda m: m.predict(image="test:0", draws=0), "averages 1 draw or more, not 0"),
        (lambda m: m.predict(image="test:0", views=["masc"]), "Did you mean 'mask'"),
        (lambda m: m.evaluate("tset"), "tset"),
        (lambda m: m.evaluate("test", directions=[(["imge"], "mask")]), "Did you mean 'image'"),
        (lambda m: m.refine_posterior(), "--refine needs views to condition on"),
        (lambda m: m.log_likelihood(SyntheticScenes("test"), particles=0), "1 particle or more"),
        (
            lambda m: m.segment(torch.rand(3, 9, 9), stage="sec"),
            "choose one of its stages: mask, mask",
        ),
        (lambda m: m.segment(torch.rand(3, 9, 9), stage="msk"), "Did you mean 'mask'"),
        (lambda m: m.segment(torch.rand(3, 9, 9), stage="mask", crf=True), "contradicts crf=True"),
        (lambda m: m.segment(torch.rand(3, 9, 9), crf={"weight": 3}), "No parameter of the CRF"),
        (lambda m: m.segment("gone.jpg"), "There is no picture gone.jpg"),
    ],
)
def test_what_it_cannot_do_is_a_sentence(model, call, sentence):
    with pytest.raises((ValueError, LookupError, OSError), match=sentence):
        call(model)


def test_a_model_without_z_has_no_posterior(fitted):
    model = load(fitted("segmenter", steps=1)[0], **CPU)
    with pytest.raises(ValueError, match="A segmenter has no z, so that it has no posterior"):
        model.posterior(image="test:0")
    with pytest.raises(ValueError, match="A segmenter conditions on the image; add --from-image"):
        model.predict(mask="test:0")


def test_a_photograph_of_any_form_is_segmented_alike(model, tmp_path):
    image = torch.randint(0, 256, (3, 20, 30), dtype=torch.uint8)
    write_image(tmp_path / "cat.png", image)
    one = model.segment(tmp_path / "cat.png")
    assert (one.mask.shape, one.name) == ((20, 30), "cat")
    array, tensor = model.segment([image.permute(1, 2, 0).numpy(), image])
    assert array.mask.equal(one.mask)
    assert tensor.mask.equal(one.mask)
    assert np.array_equal(one.numpy(), one.mask.numpy())
    assert [path.name for path in one.save(tmp_path / "out")] == [
        "cat_mask.png", "cat_overlay.png"
    ]  # fmt: skip
    assert read_mask(one.save(tmp_path / "m.png")[0], model.labels).equal(one.mask)
    with pytest.raises(FileExistsError, match="exists; choose another"):
        one.save(tmp_path / "m.png")
    assert one._repr_png_().startswith(b"\x89PNG")


def test_known_classes_are_the_only_ones_that_are_labelled(model):
    image = torch.rand(3, 20, 30)
    mask = model.segment(image, classes=["ring"]).mask
    ring = model.labels.names.index("ring")
    assert set(mask.unique().tolist()) <= {model.labels.background, ring}


def test_the_crf_can_be_asked_for_and_shaped(model):
    image = torch.rand(3, 12, 10)
    plain = model.segment(image, stage="mask").grid
    same = model.segment(
        image, crf={"smoothness_weight": 0, "appearance_weight": 0}, engine="exact"
    )
    assert same.grid.shape == (7, 12, 10)
    assert model.segment(image, crf=False).grid.equal(plain)
    other = model.segment(image, crf=True, engine="exact")
    assert not other.grid.allclose(same.grid)


def test_a_model_that_is_kept_elsewhere_is_the_same_model(model, tmp_path):
    copy = model.save(tmp_path / "kept")
    again = load(tmp_path / "kept", **CPU)
    assert again.run.settings == model.settings
    assert again.sample(2, mask="test:0").mask.equal(model.sample(2, mask="test:0").mask)
    assert (
        copy.path("weights.safetensors").read_bytes()
        == model.run.path("weights.safetensors").read_bytes()
    )
    with pytest.raises(FileExistsError, match="exists; choose another"):
        model.save(tmp_path / "kept")
    model.save(tmp_path / "kept", force=True)
    with pytest.raises(ValueError, match="is the run itself"):
        model.save(model.run.folder, force=True)


def test_weights_that_were_changed_are_kept_without_figures(model, tmp_path):
    model.run.path("summary.json").write_text("{}")
    model.save(tmp_path / "same")
    with torch.no_grad():
        next(model.model.parameters()).add_(1)
    model.save(tmp_path / "other")
    assert (tmp_path / "same" / "summary.json").is_file()
    assert not (tmp_path / "other" / "summary.json").exists()
    again = load(tmp_path / "other", **CPU)
    assert next(again.model.parameters()).equal(next(model.model.parameters()))


def test_training_returns_what_was_fitted(few, tmp_path):
    small = {"size": (16, 16), "steps": 2, "batch_size": 4, "latent": 4, "width": 4}
    reports, begun = [], []
    model = train(
        "telbo", data="synthetic", guide_width=4, seed=3, watch=reports.append,
        started=begun.append, **CPU, **small,
    )  # fmt: skip
    assert isinstance(model, Fitted)
    assert model.run.concluded
    assert model.settings.training.seed == 3
    assert [report.step for report in reports] == [1, 2, 1, 2, 3]  # the last ones of its flow
    assert begun[0].folder == model.run.folder
    more = {"start": model, "seed": 4, "prior": "standard", **CPU, **small}
    other = train("telbo", guide_width=4, out=tmp_path / "b", **more)
    assert other.assembly.flow is None
    assert model.assembly.flow is not None
    guided = model.guided(3)
    assert (guided.assembly.flow.guidance, model.assembly.flow.guidance) == (3, 1)
    draws = [each.sample(2, classes="ring", seed=1).image for each in (model, guided)]
    assert not torch.equal(*draws)
    assert torch.equal(*(each.sample(2, seed=1).image for each in (model, guided)))
    with pytest.raises(ValueError, match="--guidance is 0 or more, not -1"):
        model.guided(-1)
    with pytest.raises(ValueError, match="--guidance is 0 or more, not nan"):
        model.guided(float("nan"))
    with pytest.raises(ValueError, match="scene train prior --run"):
        other.guided(2)
    assert other.run.folder == tmp_path / "b"
    with pytest.raises(FileExistsError, match="exists; choose another"):
        train("telbo", out=tmp_path / "b", **CPU, **small)


@pytest.mark.parametrize(
    ("name", "more", "sentence"),
    [
        ("telbo", {"particels": 5}, "No setting is called 'particels'. Did you mean 'particles'"),
        ("tebo", {}, "No recipe is called 'tebo'. Did you mean 'telbo'"),
        ("segmenter", {"particles": 5}, "does not use --particles"),
        ("telbo", {"steps": 0}, "--steps must be 1 or more, not 0"),
        ("telbo", {"data": "sinthetic"}, "There is no data at 'sinthetic'"),
    ],
)
def test_what_cannot_be_trained_is_a_sentence(name, more, sentence, tmp_path):
    with pytest.raises((LookupError, ValueError, OSError), match=sentence):
        train(name, out=tmp_path / "run", **more)
    assert not (tmp_path / "run").exists()


def test_the_newest_complete_run_is_loaded(few, tmp_path, fitted, monkeypatch):
    fitted("segmenter", folder="runs/a", steps=1)
    fitted("telbo", folder="runs/b", steps=1)
    assert load(**CPU).run.folder.name == "b"
    assert load(task="segment", **CPU).run.folder.name == "a"
    assert load(task="sample", observed=["mask"], **CPU).run.folder.name == "b"
    monkeypatch.setenv("SCENE_RUNS", str(tmp_path / "none"))
    with pytest.raises(LookupError, match="There is no complete run of a joint model in"):
        load(task="generate", **CPU)
    monkeypatch.setattr("scene.notices._GIVEN", set())
    with pytest.warns(UserWarning, match="No run here: using the demo model"):
        assert load(**CPU).run.folder == DEMO


def test_a_run_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(LookupError, match="There is no run runs/gone"):
        load("runs/gone")
    with pytest.raises(ValueError, match="This machine has no mps device; try --device auto"):
        load("runs/gone", device="mps")


@pytest.mark.parametrize("kind", ["guide", "prior", "recipe"])
def test_code_of_ones_own_goes_with_the_model(few, tmp_path, kind):
    """What is kept elsewhere holds its code, and needs neither the original nor its run."""
    examples = Path(__file__).parents[3] / "examples"
    small = {"size": (16, 16), "steps": 1, "batch_size": 4, "latent": 4, "width": 2, **CPU}
    small |= {"guide_width": 2, "out": tmp_path / "run"}
    own = {"guide": "own_guide.py:FlowGuide", "prior": "own_prior.py:MixturePrior"}
    if kind in own:
        model = train("telbo", **{kind: f"{examples / own[kind]}"}, **small)
    else:
        model = train(f"{examples / 'own_view.py'}:OUTLINES", **small)
    before = model.sample(2, mask="test:0").mask
    kept = model.save(tmp_path / "kept").folder
    shutil.rmtree(tmp_path / "run")
    again = load(kept, **CPU)
    assert again.sample(2, mask="test:0").mask.equal(before)
    assert str(tmp_path / "run") not in (kept / "config.json").read_text()
