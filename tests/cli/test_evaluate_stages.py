"""`scene evaluate --stage`: what segmenting would give, scored by the protocol."""

import json

import pytest

CPU = ("--device", "cpu")


def test_a_stage_with_and_without_the_crf_share_a_table(scene, trained):
    run = trained("classifier")
    words = ("--stage", "gradcam", "--stage", "gradcam+crf", "--engine", "exact", *CPU)
    result = scene("evaluate", *words)
    assert result.code == 0, result.err
    assert result.err == f"run {run}\n"
    first, *lines = result.out.splitlines()
    assert first == f"{run}: classifier on synthetic-default (test, 6 scenes)"
    cells = [[c.strip() for c in line.strip("│┃").split(line[0])] for line in lines if "│" in line]
    assert cells[0][0] == "background"
    means = next(row for row in cells if row[0] == "mean")
    report = json.loads(scene("evaluate", *words, "--json").out)["stages"]
    assert list(report) == ["gradcam", "gradcam+crf"]
    assert means[1:] == [f"{report[name]['miou']:.1f}" for name in report]
    background = [f"{report[name]['iou']['background']:.1f}" for name in report]
    assert cells[0][1:] == background


def test_labels_that_occur_nowhere_are_counted(scene, trained, monkeypatch):
    from scene.datasets.synthetic.dataset import COUNTS

    monkeypatch.setitem(COUNTS, "test", 1)
    result = scene("evaluate", trained("classifier"), "--stage", "gradcam", *CPU)
    report = scene("evaluate", trained("classifier", "two"), "--stage", "gradcam", "--json", *CPU)
    score = json.loads(report.out)["stages"]["gradcam"]
    assert score["absent"]
    known = [iou for iou in score["iou"].values() if iou is not None]
    assert score["miou"] == pytest.approx(sum(known) / len(known))
    absent = len(score["absent"])
    left = f"– in neither ground truth nor prediction, so left out of the mean: {absent} with"
    assert left in result.out
    assert result.out.count("–") == len(score["absent"]) + 1


def test_common_classes_have_a_mean_without_them(scene, trained, monkeypatch):
    monkeypatch.setattr("inference.api.segment.common_classes", lambda *_, **__: ("circle",))
    run = trained("segmenter")
    report = scene("evaluate", run, "--stage", "mask", "--json", *CPU)
    score = json.loads(report.out)["stages"]["mask"]
    rest = [v for k, v in score["iou"].items() if v is not None and k != "circle"]
    assert score["uncommon_miou"] == pytest.approx(sum(rest) / len(rest))
    result = scene("evaluate", run, "--stage", "mask", *CPU)
    assert f"mean of the uncommon │ {score['uncommon_miou']:4.1f} │" in result.out
    assert "Common, in 90 % of training images or more: circle." in result.out


def test_options_that_have_no_part_are_a_mistake_of_usage(scene, trained):
    run = trained("segmenter")
    for words, expected in (
        (("--stage", "mask", "--draws", 2), "--draws"), (("--stage", "msak"), "mean 'mask'?"),
        (("--stage", "mask", "--at-mean"), "--at-mean"),
        (("--iterations", 3), "--iterations"), (("--flip",), "--flip"),
    ):  # fmt: skip
        result = scene("evaluate", run, *words, *CPU)
        assert (result.code, result.out) == (2, "")
        assert expected in result.err


def test_stages_of_another_recipe_or_of_none_are_refused(refused, trained, voc_folder):
    run = trained("classifier")
    sentence = refused("evaluate", run, "--stage", "sec", *CPU)
    assert sentence.endswith("choose one of its stages: gradcam, gradcam+crf.")
    assert "`scene train sec" in refused("evaluate", "--stage", "sec+crf", *CPU)
    words = ("--stage", "gradcam", "--layer", "stride3", *CPU)
    assert "No layer of this classifier is called 'stride3'" in refused("evaluate", run, *words)
    words = ("--stage", "gradcam", "--data", voc_folder, *CPU)
    assert "was trained on other labels" in refused("evaluate", run, *words)
