"""`scene reproduce`, as typed: tables, JSON, pictures, and what is refused."""

import json
import re

import pytest

TINY = (
    "--data synthetic --size 16x16 --classifier-steps 2 --sec-steps 2 --supervised-steps 2 "
    "--alphas 3 --betas 10 --engine exact --device cpu"
).split()


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """Draw no pictures of scenes: they are slow."""
    for picture in (
        "inference.training.session.draw_predictions",
        "inference.training.session.draw_class_maps",
    ):
        monkeypatch.setattr(picture, lambda *_, **__: None)
    monkeypatch.setattr("inference.experiments.weak.pipeline.draw_stages", lambda *_: None)


def _rows(text):
    lines = [line.strip("│").split("│") for line in text.splitlines() if line.startswith("│")]
    return [[c.strip() for c in cells] for cells in lines]


def test_tables_say_what_the_file_says(scene, place):
    result = scene("reproduce", *TINY, "--seeds", 2, "--out", "all")
    assert result.code == 0, result.err
    first, *_ = result.out.splitlines()
    assert first == "synthetic-default val (4 scenes, seeds 0, 1), settings report"
    report = json.loads((place / "all" / "reproduce.json").read_text())["settings"]["report"]
    rows = _rows(result.out)
    for stage, cells in zip(report["stages"].values(), rows[:6], strict=True):
        spread = f"{stage['mean']:.1f} ± {stage['deviation']:.1f}"
        assert cells[1:] == [*(f"{value:.1f}" for value in stage["each"]), spread]
    assert [cells[0] for cells in rows[6:10]] == [
        "unaries alone", "smoothness only", "appearance only", "both"
    ]  # fmt: skip
    assert rows[10] == ["3", f"{report['grid']['miou'][0][0]:.1f}"]
    assert re.search(r"SEC < SEC \+ CRF: held in (every seed|\d of 2 seeds)\.", result.out)
    assert result.out.count("4 scenes of tune:") == 2
    assert result.out.endswith("all/reproduce.json\nall/stages.png\nall/widths-report.png\n")
    assert "seed 1: training sec" in result.err


def test_json_replaces_tables(scene, tmp_path):
    result = scene("reproduce", *TINY, "--settings", "both", "--json")
    report = json.loads(result.out)
    assert list(report["settings"]) == ["report", "best"]
    assert (report["data"], report["split"], report["seeds"]) == ("synthetic-default", "val", [0])
    assert report["report"] is None
    assert (tmp_path / "runs" / "reproduce-synthetic-default" / "widths-best.png").is_file()


def test_the_report_stands_beside_its_own_data_only(scene, monkeypatch):
    from inference.experiments.weak import reproduce

    assert "the report" not in scene("reproduce", *TINY).out
    do = reproduce.reproduce
    monkeypatch.setattr(
        reproduce, "reproduce",
        lambda *a, **k: reproduce.Reproduction(**{**vars(do(*a, **k)), "reference": True}),
    )  # fmt: skip
    rows = {cells[0]: cells for cells in _rows(scene("reproduce", *TINY).out)}
    assert rows["Grad-CAM"][-1] == "26.9"
    assert rows["SEC + CRF"][-1] == "50.6"
    assert rows["supervised + CRF"][-1] == "–"
    assert rows["appearance only"][-1] == "30.7"


def test_what_cannot_be_done_is_refused_and_nothing_is_written(refused, place):
    (place / "thesis").mkdir()
    (place / "thesis" / "chapter.tex").write_text("dear")
    for words, sentence in (
        (("--out", "thesis"), "holds chapter.tex, which is no part of a reproduction"),
        (("--out", "thesis", "--force"), "holds chapter.tex, which is no part of a reproduction"),
        (("--split", "tune"), "give another --split"),
        (("--betas", ""), "--betas needs one width or more"),
        (("--alphas", "x"), "--alphas 'x' are not positive numbers"),
        (("--jobs", 0), "--jobs must be 1 or more, not 0."),
        (("--tune-limit", 0), "--tune-limit must be 1 or more, not 0."),
        (("--data", "nowhere"), "There is no data at 'nowhere'."),
        (("--classifier-steps", 0), "--steps must be 1 or more"),
    ):
        assert sentence in refused("reproduce", *TINY, *words)


SCENES = "--table scene --data synthetic --size 16x16 --steps 2 --count 32 --device cpu".split()


def test_the_generative_models_stand_in_a_table_of_their_own(scene, place):
    result = scene("reproduce", *SCENES, "--out", "all")
    assert result.code == 0, result.err
    assert result.out.startswith("mIoU in %, synthetic-default test, 6 scenes, seed 0")
    report = json.loads((place / "all" / "table.json").read_text())["models"]
    rows = {cells[0]: cells[1:] for cells in _rows(result.out)}
    assert list(rows) == list(report) == [
        "cVAE", "cVAE, hybrid", "j-VAE", "TELBO, report's form", "TELBO", "segmenter"
    ]  # fmt: skip
    for name, model in report.items():
        each = [scores[0] for scores in model["scores"].values()]
        assert rows[name][-2:] == ["–" if s is None else f"{s:.1f}" for s in each]
        assert model["report"] is None
    again = scene("reproduce", *SCENES, "--out", "all", "--json")
    assert json.loads(again.out)["models"] == report
    (place / "all" / "thesis.tex").write_text("dear")
    refused = scene("reproduce", *SCENES, "--out", "all", "--force")
    assert refused.code == 1
    assert "thesis.tex" in refused.err


def test_the_report_stands_beside_the_generative_models_of_its_own_scenes(scene, monkeypatch):
    from inference.experiments import scene_table as module

    do = module.scene_table
    monkeypatch.setattr(
        module, "scene_table",
        lambda *a, **k: module.SceneTable(**{**vars(do(*a, **k)), "reference": True}),
    )  # fmt: skip
    rows = {cells[0]: cells for cells in _rows(scene("reproduce", *SCENES).out)}
    assert rows["j-VAE"][-1] == "62.25"
    assert rows["TELBO"][-1] == "–"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--table scene --sec-steps 3 --limit 2", "does not use --sec-steps, --limit"),
        ("--steps 3 --spatial 4", "--table weak does not use --steps, --spatial"),
        ("--table scene --data synthetic --split dev", "has no split 'dev'"),
    ],
)
def test_options_of_the_other_table_are_refused(refused, words, sentence):
    assert sentence in refused("reproduce", *words.split())
