"""SEC in whole sessions: a classifier found, its cues kept, its weights taken over."""

import json

import pytest
import torch

from inference.build import assemble
from inference.runs import run as runs
from inference.runs.checkpoints import restore, save_weights
from inference.segmentation.classifier import find_classifier
from inference.segmentation.cue_files import Cues
from inference.segmentation.cues import CueSettings, cue_settings, cues_of, usual_class_maps
from inference.settings.recipes import recipe
from inference.training import session
from inference.training.session import resume, train
from scene.datasets.catalogue import open_data

SIZE = (16, 16)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch, few):
    monkeypatch.setenv("SCENE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(
        "inference.training.session.draw_predictions", lambda *_, **__: None
    )  # slow
    return tmp_path / "runs"


@pytest.fixture
def classifier(home):
    """Make the run of a classifier that learned nothing."""

    def make(name="classifier", data="synthetic:default", **choices):
        settings = recipe("classifier").settings(data=data, size=SIZE, width=4, **choices)
        schema = open_data(data, "train", settings.data.size).schema
        run = runs.create(settings, schema, "any", home / name)
        save_weights(run.path(runs.WEIGHTS), assemble(settings, schema), "classifier")
        return run

    return make


def chosen(name="sec", **more):
    tiny = {"size": SIZE, "width": 4, "steps": 4, "batch_size": 4, "validate_every": 2}
    return recipe(name).settings(**{**tiny, **more})


def find(settings):
    scenes = open_data(settings.data.source, "train", settings.data.size)
    return find_classifier(settings.changed(data=scenes.source), scenes, torch.device("cpu"))


def test_a_session_of_sec_learns_and_can_be_restored(classifier):
    classifier = classifier()
    reports = []
    outcome = train(chosen(), device="cpu", watch=reports.append)
    assert set(reports[0].terms) == {"seed/loss", "expand/loss", "constrain/loss"}
    assert reports[0].loss == pytest.approx(sum(reports[0].terms.values()), rel=1e-5)
    assert outcome.cell.title == "image → mask"
    assert outcome.cell.trained
    assert outcome.run.complete
    config = json.loads(outcome.run.path("config.json").read_text())
    assert config["settings"]["cues"]["classifier"] == str(classifier.folder.absolute())
    assert restore(outcome.run).model.cells == (4, 4)


def test_cues_are_those_of_the_classifier_for_true_labels(classifier):
    classifier = restore(classifier())
    settings = chosen(steps=2)
    run = train(settings, device="cpu").run
    scenes = open_data("synthetic:default", "train", SIZE)
    expected = cues_of(classifier, scenes, range(8), size=(4, 4), settings=cue_settings(settings))
    assert Cues.load(run.path("cues.npz")).of(range(8)).equal(expected)


def test_validation_has_no_seed_term(classifier):
    """It knows the image-level labels of the val split, but no cues."""
    classifier()
    reports = []
    train(chosen(), device="cpu", watch=reports.append)
    assert all(torch.isfinite(torch.tensor(r.val)) for r in reports if r.val is not None)


def test_the_network_starts_from_the_classifier(classifier):
    classifier = restore(classifier(seed=5))
    model = assemble(chosen(), open_data("synthetic", "train", SIZE).schema).model
    result = find(chosen())
    result.begin(model)
    one, other = classifier.model.net.stages, model.net.body
    for name, tensor in one.state_dict().items():
        assert other.state_dict()[name].equal(tensor)


def test_a_resumed_run_needs_no_classifier(classifier, monkeypatch):
    """It goes on as if it had not been interrupted, from the cues it keeps."""
    trained_run = classifier()
    whole = train(chosen(), device="cpu").run

    def stop(report):
        if report.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(chosen(), device="cpu", watch=stop, folder=whole.folder.parent / "part")
    trained_run.path("weights.safetensors").unlink()
    trained_run.path("config.json").unlink()
    part = resume(runs.read(whole.folder.parent / "part"), device="cpu").run
    ours, theirs = (restore(run).model.state_dict() for run in (part, whole))
    assert all(ours[name].equal(theirs[name]) for name in theirs)


def test_the_newest_classifier_of_the_same_data_is_taken(classifier):
    classifier("a")
    other = classifier("b", "synthetic:confounded")
    assert find(chosen()).run.folder.name == "a"
    assert find(chosen(data="synthetic:confounded")).run.folder == other.folder
    assert find(chosen(classifier=str(classifier("c").folder))).run.folder.name == "c"


def test_without_a_classifier_sec_says_how_to_get_one(classifier):
    classifier(data="synthetic:confounded")
    with pytest.raises(LookupError, match="scene train classifier --data synthetic:default") as no:
        train(chosen(), device="cpu")
    assert "--weights none" not in str(no.value)
    assert not list(runs.home().glob("sec-*"))


def test_a_run_that_is_no_classifier_is_refused(classifier):
    classifier()
    run = train(chosen(steps=1), device="cpu").run
    with pytest.raises(ValueError, match="is a run of sec, not a classifier"):
        find(chosen(classifier=str(run.folder)))


def test_a_classifier_of_other_labels_is_refused(classifier):
    other = classifier(data="synthetic:confounded")
    with pytest.raises(ValueError, match="other labels"):
        find(chosen(classifier=str(other.folder)))


def test_a_classifier_of_another_size_sees_the_same_scenes(classifier):
    classifier()
    assert train(chosen(size=(32, 32), steps=1), device="cpu").run.complete
    with pytest.raises(ValueError, match="was trained at 16x16, whose crop differs from 32x16"):
        train(chosen(size=(32, 16), steps=1), device="cpu")


def test_scenes_without_masks_are_learned_from(classifier, voc_folder):
    """Four of the folder's training scenes have image-level labels only, and cues all the same."""
    data = str(voc_folder)
    weights, settings = restore(classifier(data=data)), chosen(data=data, steps=2)
    run = train(settings, device="cpu").run
    scenes = open_data(data, "train", SIZE)
    unmasked = [i for i in range(len(scenes)) if scenes[i].mask is None]
    assert len(unmasked) >= 3
    first = range(unmasked[0], unmasked[-1] + 1)
    cues = cues_of(weights, scenes, first, size=(4, 4), settings=cue_settings(settings))
    assert Cues.load(run.path("cues.npz")).of(first).equal(cues)
    assert cues.any()


def test_training_scenes_keep_their_masks_to_themselves(classifier, monkeypatch):
    classifier()
    seen, fit = [], session.fit

    def look(assembly, scenes, *more, **options):
        seen.append(scenes)
        return fit(assembly, scenes, *more, **options)

    monkeypatch.setattr(session, "fit", look)
    train(chosen(steps=1), device="cpu")
    assert set(seen[0].views([0, 1])) == {"image", "classes", "cues"}
    assert seen[0][0].mask is None


def test_supervised_learns_from_masks_with_the_same_network(classifier):
    classifier()
    reports = []
    outcome = train(chosen("supervised"), device="cpu", watch=reports.append)
    assert set(reports[0].terms) == {"mask/loss"}
    assert not outcome.run.path("cues.npz").exists()
    ours, theirs = (
        assemble(chosen(name), outcome.run.schema).model.state_dict()
        for name in ("sec", "supervised")
    )
    assert all(ours[name].equal(theirs[name]) for name in theirs)


def test_supervised_needs_no_classifier():
    with pytest.raises(LookupError, match="or start from --weights none"):
        train(chosen("supervised"), device="cpu")
    assert train(chosen("supervised", backbone_weights="none"), device="cpu").run.complete


def test_scenes_with_cues_are_mirrored_at_most(classifier):
    classifier()
    with pytest.raises(ValueError, match="mirrors scenes at most, not crop"):
        train(chosen(augment="crop"), device="cpu")
    assert train(chosen(augment="flip"), device="cpu").run.complete


def test_class_maps_are_spread_and_weighed_where_the_backbone_knew_something():
    of = lambda **choices: usual_class_maps(recipe("classifier").settings(**choices))  # noqa: E731
    assert of() == of(backbone="tf_efficientnet_lite0", backbone_weights="none") == CueSettings()
    pretrained = of(backbone="tf_efficientnet_lite0")
    assert (pretrained.background_map, pretrained.exponent) == ("max", 1.5)
    assert (pretrained.affinity, pretrained.imagenet, pretrained.certainty) == (2, True, 0.5)


def test_supervised_does_not_use_cues():
    with pytest.raises(ValueError, match="does not use --foreground"):
        chosen("supervised", foreground=0.5)


def test_largefov_is_trained_as_its_authors_did():
    settings = recipe("sec").settings(net="largefov")
    assert (settings.data.size, settings.training.batch_size, settings.training.steps) == (
        (321, 321),
        15,
        8000,
    )
    assert (settings.optimizer.name, settings.optimizer.learning_rate) == (
        "layerwise",
        1e-3,
    )
    assert (settings.optimizer.schedule, settings.model.backbone_weights) == (
        "stairs",
        "imagenet",
    )
    assert (settings.cues.foreground, settings.cues.background) == (0.2, 0.1)
    assert (settings.crf.weight, settings.crf.sigma_xy, settings.crf.sigma_rgb) == (
        10,
        80 / 12,
        13,
    )
