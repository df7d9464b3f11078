"""`scene report`: one page, complete in itself, that anyone can read."""

import base64
import re
from html.parser import HTMLParser

import pytest

VOID = {"meta", "img", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """A page, whose tags must close in the order in which they opened."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def page(scene, tmp_path):
    def report(*words):
        out = tmp_path / "page.html"
        result = scene("report", *words, "--out", out, "--device", "cpu", "--force")
        assert result.code == 0, result.err
        assert f"{out}:" in "".join(result.out.splitlines())
        return out.read_text(encoding="utf-8"), Page(out.read_text(encoding="utf-8"))

    return report


@pytest.mark.parametrize("name", ["telbo", "cvae", "segmenter", "classifier", "sec"])
def test_a_page_tells_of_each_recipe_and_needs_no_network(page, trained, few, name):
    folder = trained(name)
    text, parsed = page(folder, "--samples", 2)
    assert f"scene train {name}" in parsed.text
    assert str(folder) in parsed.text
    for attrs in parsed.all("img"):
        assert len(attrs["alt"]) > 20
        head, _, data = attrs["src"].partition(",")
        assert head == "data:image/png;base64"
        assert base64.b64decode(data).startswith(b"\x89PNG")
    assert not parsed.all("script")
    assert not parsed.all("link")
    assert "http" not in re.sub(r"data:image/png;base64,[^\"]*", "", text)
    ids = [attrs["id"] for _, attrs in parsed.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in parsed.all("a")} <= set(ids)
    drawn = parsed.text.count("drawn") + parsed.text.count("Drawn")
    assert (drawn > 0) == (name in ("telbo", "cvae"))
    assert ("Worst" in parsed.text) == (name != "classifier")


def test_a_joint_model_is_drawn_given_every_set_of_views(page, trained, few):
    _, parsed = page(trained("telbo"), "--samples", 2)
    titles = [attrs["alt"] for attrs in parsed.all("img") if "scenes drawn" in attrs["alt"]]
    assert len(titles) == 9  # nothing, seven sets of views, a walk
    assert sum("a walk" in title for title in titles) == 1
    assert not any(
        "drawn" in attrs["alt"]
        for attrs in page(trained("telbo", "b"), "--samples", 0)[1].all("img")
    )


def test_several_runs_stand_side_by_side(page, trained, few):
    folders = [trained("telbo"), trained("segmenter"), trained("segmenter", "a<b>&c")]
    _, parsed = page(*folders, "--samples", 0)
    assert "Report of 3 runs" in parsed.text
    assert "a<b>&c" in parsed.text
    assert parsed.text.count("scene train segmenter") == 2


def test_the_page_lies_in_the_run_and_is_not_replaced_unasked(scene, trained, few):
    folder = trained("segmenter")
    assert scene("report", folder, "--device", "cpu").code == 0
    before = (folder / "report.html").read_bytes()
    again = scene("report", folder, "--device", "cpu")
    assert again.code == 1
    assert "exists; choose another --out, or --force" in " ".join(again.err.split())
    assert (folder / "report.html").read_bytes() == before
    assert scene("report", folder, "--device", "cpu", "--force").code == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--out", "page.pdf"], "A report is a file NAME.html, not page.pdf"),
        (["--split", "tset"], "tset"),
    ],
)
def test_what_cannot_be_reported_is_a_sentence(scene, trained, few, words, sentence):
    result = scene("report", trained("segmenter"), *words, "--device", "cpu")
    assert result.code == 1
    assert sentence in " ".join(result.err.split())


def test_a_flow_is_reported_with_its_run(scene, page, trained, few):
    folder = trained("telbo")
    flow = "--steps 2 --flow-width 8 --batch-size 4 --device cpu".split()
    assert scene("train", "prior", "--run", folder, *flow).code == 0
    result = scene("report", folder / "prior", "--device", "cpu")
    assert result.code == 1
    assert "learned after another run" in " ".join(result.err.split())
    _, parsed = page(folder, "--samples", 2)
    assert "its flow over z" in parsed.text
    assert "drawn from the prior by the flow" in parsed.text.lower()
