"""`scene reproduce`, as typed: tables, JSON, pictures, and what is refused."""

import json
import re

import pytest

TINY = (
    "--data synthetic --size 16x16 --classifier-steps 2 --sec-steps 2 --twin-steps 2 "
    "--alphas 3 --betas 10 --engine exact --device cpu"
).split()


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """Draw no pictures of scenes: they are slow."""
    for picture in ("inference.session.draw_predictions", "inference.session.draw_looks"):
        monkeypatch.setattr(picture, lambda *_, **__: None)
    monkeypatch.setattr("inference.weak.chain.draw_stages", lambda *_: None)


def _rows(text):
    lines = [line.strip("│").split("│") for line in text.splitlines() if line.startswith("│")]
    return [[c.strip() for c in cells] for cells in lines]


def test_tables_say_what_the_file_says(scene, place):
    said = scene("reproduce", *TINY, "--seeds", 2, "--out", "all")
    assert said.code == 0, said.err
    first, *_ = said.out.splitlines()
    assert first == "synthetic-default val (4 scenes, seeds 0, 1), settings report"
    told = json.loads((place / "all" / "reproduce.json").read_text())["settings"]["report"]
    rows = _rows(said.out)
    for stage, cells in zip(told["stages"].values(), rows[:6], strict=True):
        spread = f"{stage['mean']:.1f} ± {stage['deviation']:.1f}"
        assert cells[1:] == [*(f"{value:.1f}" for value in stage["each"]), spread]
    assert [cells[0] for cells in rows[6:10]] == [
        "unaries alone", "smoothness only", "appearance only", "both"
    ]  # fmt: skip
    assert rows[10] == ["3", f"{told['grid']['miou'][0][0]:.1f}"]
    assert re.search(r"SEC < SEC \+ CRF: held in (every seed|\d of 2 seeds)\.", said.out)
    assert said.out.count("4 scenes of tune:") == 2
    assert said.out.endswith("all/reproduce.json\nall/stages.png\nall/widths-report.png\n")
    assert "seed 1: training sec" in said.err


def test_json_replaces_tables(scene, tmp_path):
    said = scene("reproduce", *TINY, "--settings", "both", "--json")
    told = json.loads(said.out)
    assert list(told["settings"]) == ["report", "best"]
    assert (told["data"], told["split"], told["seeds"]) == ("synthetic-default", "val", [0])
    assert told["report"] is None
    assert (tmp_path / "runs" / "reproduce-synthetic-default" / "widths-best.png").is_file()


def test_the_report_stands_beside_its_own_data_only(scene, monkeypatch):
    from inference.weak import reproduce

    assert "the report" not in scene("reproduce", *TINY).out
    do = reproduce.reproduce
    monkeypatch.setattr(
        reproduce, "reproduce",
        lambda *a, **k: reproduce.Reproduction(**{**vars(do(*a, **k)), "reference": True}),
    )  # fmt: skip
    rows = {cells[0]: cells for cells in _rows(scene("reproduce", *TINY).out)}
    assert rows["Grad-CAM"][-1] == "26.9"
    assert rows["SEC + CRF"][-1] == "50.6"
    assert rows["twin + CRF"][-1] == "–"
    assert rows["appearance only"][-1] == "30.7"


def test_what_cannot_be_done_is_refused_and_nothing_is_written(refused, place):
    (place / "thesis").mkdir()
    (place / "thesis" / "chapter.tex").write_text("dear")
    for words, sentence in (
        (("--out", "thesis"), "holds chapter.tex, which is none of ours"),
        (("--out", "thesis", "--force"), "holds chapter.tex, which is none of ours"),
        (("--split", "tune"), "give another --split"),
        (("--betas", ""), "--betas needs one width or more"),
        (("--alphas", "x"), "--alphas 'x' are not positive numbers"),
        (("--jobs", 0), "--jobs must be 1 or more, not 0."),
        (("--tune-limit", 0), "--tune-limit must be 1 or more, not 0."),
        (("--data", "nowhere"), "There is no data at 'nowhere'."),
        (("--classifier-steps", 0), "--steps must be 1 or more"),
    ):
        assert sentence in refused("reproduce", *TINY, *words)
