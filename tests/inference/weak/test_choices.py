"""Choices: the best of those that were tried, by what scenes that are not reported say."""

import pytest
import torch

from inference import runs
from inference.assemble import assemble
from inference.checkpoints import save_weights
from inference.crf.parameters import Parameters
from inference.runs import WEIGHTS
from inference.weak.bench import ALONE, Bench
from inference.weak.choices import choose_cues, choose_look, finer, matched, score_cues, worth
from inference.weak.cuefiles import CueScore, CueScorer
from inference.weak.cues import CueSettings, find
from inference.weak.plans import BETAS, Plan, Request
from inference.weak.segmenter import load
from scene.classifiers import classifier
from scene.datasets.synthetic import SyntheticScenes

SIZE = (16, 16)
REQUEST = Request(data="synthetic:default", size=SIZE, betas=(10.0,), engine="exact")


@pytest.fixture
def run(tmp_path, few):
    """Make the run of a classifier that learned nothing."""
    settings = REQUEST.classifier(0)
    schema = SyntheticScenes("tune", size=SIZE).schema
    made = runs.create(settings, schema, "any", tmp_path / "classifier")
    save_weights(made.path(WEIGHTS), assemble(settings, schema), "classifier")
    return made


@pytest.fixture
def bench(tmp_path):
    return Bench(REQUEST, SIZE, tmp_path / "bench", torch.device("cpu"))


def test_the_best_look_is_chosen_of_all_that_were_tried(bench, run):
    found = choose_look(bench, run, Plan("", finer=(False, True), exponents=(1.0, 3.0)))
    assert len(found.tried) == 4
    best = max(found.tried, key=found.tried.get)
    power = "3" if found.settings.background_map == "power" else "1"
    assert best == f"{found.settings.layer}, (1 − Σ)^{power}"
    assert {name.split(",")[0] for name in found.tried} == {"stride8", "stride4"}


def test_of_one_look_nothing_is_chosen_or_measured(bench, run):
    found = choose_look(bench, run, Plan(""))
    assert (found.settings.layer, found.settings.background_map, found.tried) == (
        "stride8", "sum", {}
    )  # fmt: skip
    assert not bench.folder.exists()


def test_cues_are_scored_as_they_would_be_found(run, few):
    """Many thresholds share one look; each score is what finding them one by one gives."""
    scenes, assembly = SyntheticScenes("tune", size=SIZE), load(run, "gradcam").assembly
    pairs = [(0.3, 0.2), (0.8, None)]
    found = score_cues(assembly, scenes, range(4), "stride8", (4, 4), pairs)
    for score, (foreground, background) in zip(found, pairs, strict=True):
        settings = CueSettings("stride8", foreground=foreground, background=background)
        alone = find(assembly, scenes, range(4), size=(4, 4), settings=settings)
        scorer = CueScorer(scenes.schema.labels)
        for seeds, i in zip(alone.seeds, range(4), strict=True):
            scorer.add(seeds, scenes[i].mask)
        assert score == scorer.score()


def test_the_cues_worth_most_are_chosen(bench, run):
    assembly = load(run, "gradcam").assembly
    found = choose_cues(bench, assembly, "stride8", (4, 4), (0.2, 0.6, 0.9), (0.2, 0.4))
    assert len(found.tried) == 6
    name = f"> {found.foreground:g}, lowest {found.background:g}"
    assert found.tried[name] == max(found.tried.values()) == worth(found.score)
    alone = choose_cues(bench, assembly, "stride8", (4, 4), (0.2,), (None,))
    assert (alone.foreground, alone.background, alone.tried) == (0.2, None, {})


@pytest.mark.parametrize(
    ("right", "covered", "value"),
    [(100.0, 100.0, 100.0), (0.0, 50.0, 0.0), (None, 0.0, 0.0), (80.0, 20.0, 50.0)],
)
def test_precision_counts_for_more_than_coverage(right, covered, value):
    """F½ of 80 % right and 20 % covered is 1.25 · .8 · .2 / (.25 · .8 + .2) = .5."""
    score = CueScore(
        {"cat": right, "dog": 5.0, "all": 1.0}, {"cat": covered, "dog": None, "all": 9.0}, 1
    )
    assert worth(score) == pytest.approx(value)


def test_a_stage_is_refined_by_the_best_crf(bench, run):
    scenes = bench.scenes(load(run, "gradcam", engine="exact"), run, "maps", "tune")
    tried = [Parameters(appearance_sigma_xy=3, iterations=3), ALONE]
    labels = bench.dataset("tune").schema.labels
    scores = [r.score(labels).miou for r in bench.measure(scenes, tried, "all")]
    assert bench.best(scenes, tried, "all") == tried[scores.index(max(scores))]


def test_widths_follow_the_size_of_pictures(bench, voc_folder, tmp_path, few):
    assert bench.side == 16
    assert bench.alphas == (0.8, 1.6, 3.2, 6.4)
    wide = Bench(Request(data=str(voc_folder)), SIZE, tmp_path, torch.device("cpu"))
    assert wide.side == pytest.approx((32 * 48) ** 0.5, abs=4)
    assert len(wide.candidates) == 2 * 4 * len(BETAS)
    asked = Bench(Request(alphas=(7.0,)), SIZE, tmp_path, torch.device("cpu"))
    assert {crf.appearance_sigma_xy for crf in asked.candidates} == {7.0}


def test_a_matched_crf_reaches_as_far_in_the_picture(bench, few):
    """What is a quarter of the picture for one is a quarter of 41 cells for the other."""
    found = matched(Parameters(appearance_sigma_xy=4, appearance_weight=5), bench)
    assert found == {"crf_weight": 5, "crf_xy": 10.25, "crf_rgb": 13}


@pytest.mark.parametrize(("name", "layer"), [("small", "stride4"), ("resnet50", "layer3")])
def test_the_finer_layer_is_the_deepest_one_with_more_cells(name, layer):
    net = classifier(name, 3, width=4).eval()
    assert finer(net, (64, 64)) == layer
