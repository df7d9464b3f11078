"""`scene sample`: views given bare, by scene, by path or by name, and the newest run that fits."""

import os
import re

import pytest

from cli.sample import with_stock_sources


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ((), "drawn from the prior"),
        (("--walk",), "drawn from the prior, a walk"),
        (("--from-mask",), "drawn given the mask"),
        (("--from-image", "--from-mask", "val:1"), "drawn given the image + the mask"),
        (("--from-classes", "ring, star"), "drawn given star, ring"),
        (("--from-image", "--from-mask", "--from-classes", "ring"),
         "drawn given the image + ring + the mask"),
    ],
)  # fmt: skip
def test_the_picture_is_named_with_what_was_given(scene, trained, place, words, title):
    run = trained()
    result = scene("sample", *words, "-n", 2, "--picture", "a.png", "--device", "cpu")
    assert (result.code, result.out, result.err) == (0, f"a.png: {title}\n", f"run {run}\n")
    assert (place / "a.png").is_file()


def test_a_bare_source_is_the_first_scene_of_the_test_split(scene, trained, place):
    run = trained()
    for out, words in (("a", ("--from-mask",)), ("b", ("--from-mask", "test:0"))):
        scene("sample", *words, "-n", 1, "--run", run, "--out", out, "--device", "cpu")
    for name in ("000_image.png", "000_mask.png", "classes.json"):
        assert (place / "a" / name).read_bytes() == (place / "b" / name).read_bytes()


def test_only_sample_fills_in_bare_sources():
    assert with_stock_sources(["train", "--from-mask"]) == ["train", "--from-mask"]
    assert with_stock_sources(["sample", "--from-mask=m.png"]) == ["sample", "--from-mask=m.png"]


def test_the_newest_run_that_fits_is_taken(scene, trained):
    runs = {name: trained(name) for name in ("telbo", "jvae", "cvae", "segmenter")}
    for age, folder in enumerate(runs.values()):
        os.utime(folder / "weights.safetensors", (1e9 + age, 1e9 + age))
    for words, name in (
        (("--from-image",), "segmenter"),
        (("--from-image", "--from-mask"), "cvae"),
        (("--from-image", "--from-classes"), "jvae"),
        (("--from-mask",), "telbo"),
        ((), "jvae"),
    ):
        result = scene("sample", *words, "-n", 1, "--device", "cpu")
        assert result.err == f"run {runs[name]}\n"


def test_force_replaces_a_picture(scene, trained, place):
    trained()
    (place / "a.png").write_text("old")
    result = scene("sample", "-n", 1, "--picture", "a.png", "--force", "--device", "cpu")
    assert result.code == 0
    assert (place / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("method", ["svi", "hmc"])
def test_refining_says_what_it_came_to(scene, trained, method, monkeypatch):
    monkeypatch.setattr("inference.prediction.refine.CHAIN", 8)
    trained("jvae")
    words = ("--refine", method, "--refine-steps", 9, "--picture", "a.png", "--device", "cpu")
    result = scene("sample", "--from-mask", "-n", 2, *words)
    title, gain = result.out.splitlines()
    assert title == f"a.png: drawn given the mask, refined by {method}"
    number = r"-?[0-9]+\.[0-9]"
    more = r" of warm-up, acceptance [01]\.[0-9]{2}" if method == "hmc" else ""
    assert re.fullmatch(
        rf"ELBO of mask: {number} → {number} nats \({method}, 9 steps{more}\)", gain
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--refine", "svi"), "--refine needs views to condition on; add --from-image, "
         "--from-classes or --from-mask."),
        (("--from-mask", "--refine-steps", 3), "--refine-steps needs --refine svi or "
         "--refine hmc; add one, or leave it out."),
        (("--from-mask", "--refine", "svi", "--refine-steps", 0),
         "--refine-steps must be 1 or more, not 0."),
    ],
)  # fmt: skip
def test_refining_without_a_way_to_is_refused(refused, trained, words, sentence):
    trained()
    assert " ".join(refused("sample", *words).split()) == sentence


def test_views_that_say_nothing_of_z_refine_nothing(refused, trained):
    for name, words in (("segmenter", ("--from-image",)), ("cvae", ("--from-image",))):
        run = trained(name)
        result = " ".join(refused("sample", *words, "--refine", "svi", "--run", run).split())
        assert result.endswith("leave out --refine.")


@pytest.mark.parametrize("words", [[], ["--from-mask", "test:0", "--refine", "svi"]])
def test_guidance_is_refused_where_it_would_do_nothing(refused, trained, words):
    sentence = refused("sample", trained("telbo"), "--guidance", 2, *words, "--device", "cpu")
    assert sentence.startswith("--guidance is of draws by a flow given views; add --from-image")
