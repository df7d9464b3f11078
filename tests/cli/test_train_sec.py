"""`scene train sec` and `scene train supervised`, as typed."""

import re

import pytest

from inference.build import assemble
from inference.runs.checkpoints import save_weights
from inference.runs.run import WEIGHTS, create, home, read
from inference.settings.recipes import recipe
from scene.datasets.catalogue import open_data

PLAIN = "--size 16x16 --batch-size 4 --width 4 --steps 2 --device cpu".split()
LAST = re.compile(r"image → mask mIoU \d{1,3}\.\d \(test, 6 scenes, 8 draws\)  (\S+\.png)\n")


@pytest.fixture
def classifier():
    """Make the run of a classifier that learned nothing."""
    settings = recipe("classifier").settings(size=(16, 16), width=4)
    schema = open_data("synthetic", "train", (16, 16)).schema
    run = create(settings, schema, "any", home() / "classifier")
    save_weights(run.path(WEIGHTS), assemble(settings, schema), "classifier")
    return run


@pytest.mark.parametrize("name", ["sec", "supervised"])
def test_it_ends_with_a_score(scene, classifier, name):
    result = scene("train", name, *PLAIN)
    assert result.code == 0
    assert LAST.fullmatch(result.out)


def test_options_reach_the_settings(scene, classifier):
    words = "--layer stride4 --scales 1,0.5 --flip --foreground 0.6 --background none".split()
    crf = "--saliency sum --crf-weight 5 --crf-xy 4 --crf-rgb 9 --out run".split()
    assert scene("train", "sec", "--classifier", classifier.folder, *words, *crf, *PLAIN).code == 0
    result = read(home().parent / "work" / "run").settings
    cues, crf = result.cues, result.crf
    assert (cues.layer, cues.scales, cues.flip) == ("stride4", (1.0, 0.5), True)
    assert (cues.foreground, cues.background, cues.saliency) == (0.6, 0.0, "sum")
    assert (crf.weight, crf.sigma_xy, crf.sigma_rgb) == (5, 4, 9)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "train one with `scene train classifier --data synthetic:default`"),
        (("--classifier", "gone"), "There is no run gone"),
        (("--scales", "1,a"), "--scales is a number, not 'a'."),
        (("--background", "nun"), "--background is a number, not 'nun'."),
        (("--saliency", "min"), "No saliency is called 'min'"),
        (("--latent", 4), "The recipe sec does not use --latent"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(scene, words, sentence):
    result = scene("train", "sec", *words, *PLAIN)
    assert result.code == 1
    assert sentence in " ".join(result.err.split())
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--foreground", 2), "--foreground is 0 or more and below 1, not 2.0."),
        (("--layer", "stride9"), "No layer of this classifier is called 'stride9'"),
        (("--augment", "crop"), "The recipe sec mirrors scenes at most, not crop"),
        (("--weights", "imagenet"), "starts from a classifier or none, not imagenet"),
    ],
)
def test_so_is_what_does_not_fit_the_classifier(scene, classifier, words, sentence):
    result = scene("train", "sec", *words, *PLAIN)
    assert result.code == 1
    assert sentence in " ".join(result.err.split())
    assert not list(home().glob("sec-*"))
