"""Selection: the best of the candidates, on scenes that are not reported."""

from dataclasses import replace

import pytest
import torch

from inference.build import assemble
from inference.crf.parameters import NO_CRF, Parameters
from inference.experiments.weak.request import BETAS, SMOOTHNESS, Request, Variant
from inference.experiments.weak.selection import (
    StageEvaluator,
    cue_candidates,
    cue_f_half,
    describe_crf,
    describe_cues,
    finer_layer,
    layer_name,
    score_cues,
    sec_settings,
    select_crf,
    select_cues,
    select_maps,
)
from inference.runs import run as runs
from inference.runs.checkpoints import save_weights
from inference.runs.run import WEIGHTS
from inference.segmentation.cue_files import CueScore, CueScorer
from inference.segmentation.cues import CueSettings, cue_settings, find_cues
from inference.segmentation.segmenter import load
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.networks.classifiers import make_classifier

SIZE = (16, 16)
REQUEST = Request(data="synthetic:default", size=SIZE, betas=(10.0,), engine="exact")


@pytest.fixture
def run(tmp_path, few):
    """Make the run of a classifier that learned nothing."""
    settings = REQUEST.classifier(0)
    schema = SyntheticScenes("tune", size=SIZE).schema
    trained_run = runs.create(settings, schema, "any", tmp_path / "classifier")
    save_weights(trained_run.path(WEIGHTS), assemble(settings, schema), "classifier")
    return trained_run


@pytest.fixture
def evaluator(tmp_path):
    return StageEvaluator(REQUEST, SIZE, tmp_path / "evaluator", torch.device("cpu"))


def test_the_best_maps_are_selected_of_all_candidates(evaluator, run):
    result = select_maps(
        evaluator, run, Variant("", layers=("usual", "both"), exponents=(1.0, 3.0))
    )
    assert len(result.scores) == 4
    best = max(result.scores, key=result.scores.get)
    power = "^3" if result.value.exponent == 3 else ""
    assert best == f"{result.value.layer}, (1 − Σ){power}"
    assert {name.split(",")[0] for name in result.scores} == {"stride8", "stride8+stride4"}


def test_one_candidate_of_maps_is_not_measured(evaluator, run):
    result = select_maps(evaluator, run, Variant(""))
    assert (result.value.layer, result.value.background_map, result.scores) == (
        "stride8",
        "sum",
        {},
    )
    assert not evaluator.folder.exists()


def test_cues_are_scored_as_training_computes_them(run, few):
    """Many candidates share one look; each score is what finding them one by one gives."""
    scenes, assembly = SyntheticScenes("tune", size=SIZE), load(run, "gradcam").assembly
    tried = [
        CueSettings("stride8", foreground=0.3, background=0.2),
        CueSettings("stride8", foreground=0.8, background=None),
        CueSettings("stride8", foreground=0.3, crf=(5.0, 4.0, 20.0)),
    ]
    for score, settings in zip(
        score_cues(assembly, scenes, range(4), (4, 4), tried), tried, strict=True
    ):
        alone = find_cues(assembly, scenes, range(4), size=(4, 4), settings=settings)
        scorer = CueScorer(scenes.schema.labels)
        for seeds, i in zip(alone.seeds, range(4), strict=True):
            scorer.add(seeds, scenes[i].mask)
        assert score == scorer.score()


def test_the_cues_worth_most_are_chosen(evaluator, run):
    assembly = load(run, "gradcam").assembly
    variant = Variant("", foregrounds=(0.2, 0.9), shares=(0.2, 0.4), sure=(0.3, 0.5))
    recipe, crf = CueSettings(foreground=0.9), Parameters(appearance_sigma_xy=6)
    tried = cue_candidates(variant, recipe, CueSettings("stride8"), crf, 0.5)
    assert len(tried) == 6
    assert tried[-1].crf == (10, 3, 13)  # pixels of the network's image are twice as wide
    result, score = select_cues(evaluator, assembly, (4, 4), tried)
    assert (
        result.scores[describe_cues(result.value)]
        == max(result.scores.values())
        == cue_f_half(score)
    )


def test_without_candidates_cues_are_the_recipe_s(evaluator, run):
    recipe = CueSettings(foreground=0.9, background=0.3)
    (own,) = cue_candidates(Variant(""), recipe, CueSettings("stride4"), Parameters(), 1.0)
    assert own == CueSettings("stride4", foreground=0.9, background=0.3)
    result, _ = select_cues(evaluator, load(run, "gradcam").assembly, (4, 4), [own])
    assert (result.value, result.scores) == (own, {})


def test_no_background_is_cued_where_the_recipe_wants_none():
    variant, none = (
        Variant("", foregrounds=(0.5,), shares=(0.2,), sure=(0.5,)),
        CueSettings(background=None),
    )
    tried = cue_candidates(variant, none, CueSettings("stride8"), Parameters(), 1.0)
    assert [sec_settings(cues)["background"] for cues in tried] == [0.0, 0.0]


def test_settings_of_sec_find_the_cues_that_were_chosen():
    for cues in (
        CueSettings("stride4", foreground=0.4, background=0.2),
        CueSettings(
            "a+b", foreground=0.4, crf=(1.0, 2.0, 3.0), exponent=3.0, background_map="max"
        ),
    ):
        again = cue_settings(REQUEST.sec(0, **sec_settings(cues)))
        plain = replace(cues, exponent=1.0, background_map="sum") if cues.crf is None else cues
        assert again == plain


@pytest.mark.parametrize(
    ("right", "covered", "value"),
    [(100.0, 100.0, 100.0), (0.0, 50.0, 0.0), (None, 0.0, 0.0), (80.0, 20.0, 50.0)],
)
def test_precision_counts_for_more_than_coverage(right, covered, value):
    """F½ of 80 % right and 20 % covered is 1.25 · .8 · .2 / (.25 · .8 + .2) = .5."""
    score = CueScore(
        {"cat": right, "dog": 5.0, "all": 1.0}, {"cat": covered, "dog": None, "all": 9.0}, 1
    )
    assert cue_f_half(score) == pytest.approx(value)


def test_a_stage_is_refined_by_the_best_crf_that_was_tried(evaluator, run):
    scenes = evaluator.scenes(load(run, "gradcam", engine="exact"), run, "maps", "tune")
    result = select_crf(evaluator, scenes, "maps")
    assert len(result.scores) == 1 + len(evaluator.crf_candidates) + len(SMOOTHNESS) - 1
    (score,) = evaluator.score(scenes, [result.value], "again")
    assert score == max(result.scores.values()) == result.scores[describe_crf(result.value)]


@pytest.mark.parametrize(("without", "selected"), [(4.0, False), (5.0, True), (6.0, True)])
def test_no_crf_is_selected_unless_one_raises_the_score(evaluator, monkeypatch, without, selected):
    def score(self, scenes, settings, title):
        return [without if crf == NO_CRF else 5 - 0.1 * (crf.smoothness_weight > 1)
                for crf in settings]  # fmt: skip

    monkeypatch.setattr(StageEvaluator, "score", score)
    monkeypatch.setattr(StageEvaluator, "alphas", (3.0,))
    result = select_crf(evaluator, None, "maps")
    assert (result.value == NO_CRF) is selected
    assert result.kernels.kernels()
    assert result.scores[describe_crf(result.kernels)] == 5
    assert result.note == f"mIoU on tune is {without:.2f} without, 5.00 with it"


def test_widths_follow_the_size_of_pictures(evaluator, voc_folder, tmp_path, few):
    assert evaluator.side == 16
    assert evaluator.alphas == (0.8, 1.6, 3.2, 6.4)
    wide = StageEvaluator(Request(data=str(voc_folder)), SIZE, tmp_path, torch.device("cpu"))
    assert wide.side == pytest.approx((32 * 48) ** 0.5, abs=4)
    assert len(wide.crf_candidates) == 2 * 4 * len(BETAS)
    stage_evaluator = StageEvaluator(Request(alphas=(7.0,)), SIZE, tmp_path, torch.device("cpu"))
    assert {crf.appearance_sigma_xy for crf in stage_evaluator.crf_candidates} == {7.0}


@pytest.mark.parametrize(("name", "layer"), [("small", "stride4"), ("resnet50", "layer3")])
def test_the_finer_layer_is_the_deepest_one_with_more_cells(name, layer):
    net = make_classifier(name, 3, width=4).eval()
    assert finer_layer(net, (64, 64)) == layer


def test_layers_are_named_by_what_they_are_to_the_classifier():
    net = make_classifier("small", 3, width=4).eval()
    names = [layer_name(net, kind, (64, 64)) for kind in ("usual", "finer", "both")]
    assert names == ["stride8", "stride4", "stride8+stride4"]
    net.layer = "stride1"
    assert layer_name(net, "both", (64, 64)) == "stride1"
