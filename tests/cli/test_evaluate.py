"""`scene evaluate`: tables that fit a terminal, and JSON that stands alone."""

import json

import pytest


def _rows(text, heading):
    """Read one table: the cells of each row, by its first."""
    lines = text.splitlines()
    headed = (f"┃ {heading}", f"┃{heading}")
    start = next(i for i, line in enumerate(lines) if line.startswith(headed))
    end = next(i for i in range(start, len(lines)) if lines[i].startswith("└"))
    cells = [[c.strip() for c in x.strip("│").split("│")] for x in lines[start + 2 : end]]
    return {row[0]: row[1:] for row in cells}


def test_tables_fit_a_terminal_of_80_columns(scene, trained):
    trained()
    result = scene("evaluate", "--draws", 4, "--at-mean", "--device", "cpu")
    assert result.code == 0
    lines = result.out.splitlines()
    assert max(map(len, lines[1:])) <= 80
    assert all("┃" not in line or line.count("┃") > 2 for line in lines)
    headings = [line for line in lines if line.startswith("┃")]
    assert len(headings) == 3  # none is broken over several lines


def test_other_draws_are_shown_beside_the_protocol_never_instead(scene, trained):
    trained()
    result = scene("evaluate", "--draws", 4, "--at-mean", "--json", "--device", "cpu")
    assert list(json.loads(result.out)["results"]) == ["8 draws", "4 draws", "at mean"]
    alone = scene("evaluate", "--json", "--device", "cpu")
    again = json.loads(result.out)["results"]["8 draws"]
    assert json.loads(alone.out)["results"] == {"8 draws": again}


def test_json_is_alone_on_standard_output(scene, trained):
    folder = trained()
    result = scene("evaluate", "--json", "--device", "cpu")
    actual = json.loads(result.out, parse_constant=lambda word: pytest.fail(word))
    assert result.err == f"run {folder}\n"
    assert {k: actual[k] for k in ("data", "split", "scenes", "size", "recipe")} == {
        "data": "synthetic-default", "split": "test", "scenes": 6, "size": "16x16",
        "recipe": "telbo",
    }  # fmt: skip
    titles = [cell["title"] for cell in actual["results"]["8 draws"]]
    assert titles[:4] == ["image → mask", "image + classes → mask", "mask → mask", "all → mask"]


def test_what_a_model_cannot_do_is_a_dash(scene, trained):
    result = scene("evaluate", trained("cvae"), "--device", "cpu")
    assert result.err == ""
    masks = _rows(result.out, "mask from")
    assert masks["image"][2] != "–"
    assert {masks[source][2] for source in ("image + classes", "mask", "all")} == {"–"}
    assert {row[2] for row in _rows(result.out, "classes from").values()} == {"–"}
    assert "†" not in result.out


def test_what_was_not_trained_on_its_own_is_marked(scene, trained):
    result = scene("evaluate", trained("jmvae"), "--device", "cpu")
    assert set(_rows(result.out, "mask from")) == {"image", "image + classes †", "mask", "all"}
    assert "† no term of the objective trained this posterior on its own." in result.out


def test_another_split_can_be_asked_for(scene, trained):
    result = scene("evaluate", trained(), "--split", "val", "--device", "cpu", "--json")
    assert json.loads(result.out)["scenes"] == 4


def test_the_share_that_is_scored_is_that_of_all_scenes(scene, trained, voc_folder):
    """A dataset of one aspect loses what each of its pictures loses; of two, their mean."""
    words = ("--data", voc_folder, "--steps", 1, "--size", "32x32", "--device", "cpu")
    assert scene("train", "segmenter", "--width", 2, *words).code == 0
    result = scene("evaluate", "--json", "--device", "cpu")
    pixels = 2 * 40 * 32 + 2 * 32 * 48  # two upright, two lying
    assert json.loads(result.out)["covered"] == pytest.approx(4 * 32 * 32 / pixels)
    assert f"covers {4 * 32 * 32 / pixels:.0%} of them" in scene("evaluate", "--device", "cpu").out


def test_data_of_other_labels_are_refused(refused, trained, voc_folder):
    assert "was trained on other labels than those of pets" in refused(
        "evaluate", trained(), "--data", voc_folder, "--device", "cpu"
    )


def test_drawn_scenes_are_compared_with_true_ones(scene, trained):
    folder, judge = trained("telbo"), trained("segmenter")
    words = ("evaluate", folder, "--generation", "--segmenter", judge, "--device", "cpu")
    result = scene(*words)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert max(map(len, [line for line in lines if line.startswith(("┃", "│"))])) <= 80
    rows = _rows(result.out, "drawn given")
    assert list(rows) == ["prior", "mask", "classes", "image", "image + classes", "true scenes"]
    report = json.loads(scene(*words, "--json").out)
    assert report["segmenter"] == str(judge)
    for row in report["generation"]:
        assert float(rows[row["source"]][0]) == pytest.approx(row["own"], abs=0.051)
        assert row["scenes"] == 6


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--generation --draws 4", "--draws and --at-mean do not go with --generation"),
        ("--generation --stage mask", "--generation does not go with --stage"),
        ("--limit 8", "--limit goes with --generation or --ambiguity"),
        ("--guidance 2", "--guidance goes with --generation"),
        ("--generation --guidance 2", "a flow, which"),
        ("--generation", "there is nothing to compare drawn images by"),
    ],
)
def test_options_of_generation_are_refused_where_they_do_not_belong(
    scene, trained, words, sentence
):
    folder = trained("telbo")
    result = scene("evaluate", folder, *words.split(), "--device", "cpu")
    assert result.code in (1, 2)
    assert sentence in " ".join(result.err.split())
