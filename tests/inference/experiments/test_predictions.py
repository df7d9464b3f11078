"""Predictions cached on disk: those of whole images, computed again only if something changed."""

from dataclasses import replace

import pytest
import torch

from inference.build import assemble
from inference.crf.parameters import NO_CRF, Parameters
from inference.experiments.cache import weights_digest
from inference.experiments.crf.measure import measure
from inference.experiments.crf.unaries import Scenes
from inference.experiments.predictions import predict_stage
from inference.runs import run as runs
from inference.runs.checkpoints import save_weights
from inference.runs.run import WEIGHTS
from inference.segmentation.score import score_stage
from inference.segmentation.segmenter import load
from inference.settings.recipes import recipe
from scene.datasets.folders.voc import VOCScenes

SIZE = (24, 24)


@pytest.fixture
def pets(voc_folder):
    return VOCScenes(voc_folder, "val", SIZE)


@pytest.fixture
def run(tmp_path, pets):
    """Make the run of a network that learned nothing."""
    settings = recipe("segmenter").settings(data=pets.source, size=SIZE, width=2)
    trained_run = runs.create(settings, pets.schema, "pets", tmp_path / "run")
    save_weights(trained_run.path(WEIGHTS), assemble(settings, pets.schema), "segmenter")
    return trained_run


def test_measuring_them_is_scoring_the_stage(run, pets, tmp_path):
    """Pictures of two shapes, neither of them the network's: nothing is cropped away."""
    crf = Parameters(appearance_sigma_xy=5)
    segmenter = load(run, "mask", engine="exact")
    result = predict_stage(segmenter, run, pets, range(4), tmp_path / "kept")
    scenes = Scenes(pets.source, "val", result, SIZE)
    ours = measure(scenes, [NO_CRF, crf], engine="exact")
    theirs = score_stage(segmenter, pets, {"alone": None, "crf": crf})
    assert [r.score(pets.schema.labels) for r in ours] == [s.score for s in theirs.values()]


def test_they_are_kept_while_they_fit(run, pets, tmp_path):
    folder, looks = tmp_path / "kept", []

    def ask(rows=range(4)):
        segmenter = load(run, "mask", engine="exact")
        segmenter.assembly.model.net.register_forward_hook(lambda *seen: looks.append(1))
        return predict_stage(segmenter, run, pets, rows, folder)

    first = ask()
    assert ask().fingerprint() == first.fingerprint()
    assert len(looks) == 1
    assert ask(range(3)).fingerprint() != first.fingerprint()
    torch.manual_seed(5)
    model = load(run, "mask").assembly
    with torch.no_grad():
        for weight in model.model.parameters():
            weight.add_(0.1)
    before = weights_digest(run)
    save_weights(run.path(WEIGHTS), model, "segmenter")
    assert weights_digest(run) != before
    assert ask(range(3)).fingerprint() not in (first.fingerprint(), before)
    assert len(looks) == 3


def test_how_a_classifier_is_looked_at_makes_them_others(voc_folder, pets, tmp_path):
    settings = recipe("classifier").settings(data=pets.source, size=SIZE, width=4)
    trained_run = runs.create(settings, pets.schema, "pets", tmp_path / "classifier")
    save_weights(trained_run.path(WEIGHTS), assemble(settings, pets.schema), "classifier")
    segmenter = load(trained_run, "gradcam")
    other = replace(segmenter, class_maps=replace(segmenter.class_maps, layer="stride2"))
    reported = {
        predict_stage(s, trained_run, pets, range(4), tmp_path / "k").key
        for s in (segmenter, other)
    }
    assert len(reported) == 2


def test_an_interruption_leaves_nothing_that_is_taken_for_whole(run, pets, tmp_path):
    segmenter, folder = load(run, "mask"), tmp_path / "kept"

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_stage(segmenter, run, pets, range(4), folder, stop)
    for file in folder.glob("*.npy"):
        file.unlink()
    result = predict_stage(segmenter, run, pets, range(4), folder)
    probs, covered = result.probs(pets, 3, pets.original(3))
    assert probs.shape[1:] == pets.original(3).mask.shape
    assert bool(covered.all())


def test_other_labels_are_refused(run, pets, tmp_path, few):
    from scene.datasets.synthetic.dataset import SyntheticScenes

    with pytest.raises(ValueError, match="was trained on other labels"):
        predict_stage(load(run, "mask"), run, SyntheticScenes("val"), range(2), tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
