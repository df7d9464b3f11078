"""Python and the command line: same defaults, same seed, same numbers."""

import inspect
import json

import pytest
import torch

import cli.diagnose
import cli.generate
import cli.pseudo_label
import cli.sample
from inference import load, train
from inference.api.datasets import GenerationSettings, pseudo_label
from inference.api.diagnose import diagnose
from inference.api.fitted import Fitted
from scene.images.io import read_mask, write_image

CPU = ("--device", "cpu")


def _bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "views", "words", "more"),
    [
        ("telbo", {}, (), {}),
        ("telbo", {"mask": "test:2", "classes": "ring"}, ("--seed", 5), {"seed": 5}),
        ("telbo", {"image": "test:0"}, ("--walk",), {"walk": True}),
        ("jvae", {"mask": "val:1"}, ("--refine", "svi", "--refine-steps", 3),
         {"refine": "svi", "refine_steps": 3}),
        ("cvae", {"image": "test:1"}, (), {}),
    ],
)  # fmt: skip
def test_samples_are_the_same(scene, trained, place, name, views, words, more):
    run = trained(name)
    inputs = [word for view, text in views.items() for word in (f"--from-{view}", text)]
    assert scene("sample", run, *inputs, *words, "-n", 3, "--out", "a", *CPU).code == 0
    load(run, device="cpu").sample(3, **views, **more).save(place / "b")
    assert _bytes(place / "a") == _bytes(place / "b")


@pytest.mark.parametrize("name", ["telbo", "segmenter", "classifier"])
def test_scores_are_the_same(scene, trained, name):
    run = trained(name)
    words = () if name == "classifier" else ("--split", "test")
    report = json.loads(scene("evaluate", run, "--json", *words, *CPU).out)
    result = load(run, device="cpu").evaluate(None if name == "classifier" else "test")
    cells = json.loads(json.dumps(result.to_json()))["cells"]
    assert report["results"] == {"8 draws": cells}


@pytest.mark.parametrize(
    ("name", "words", "more"),
    [
        ("telbo", (), {}),
        ("segmenter", ("--stage", "mask+crf", "--engine", "exact"),
         {"stage": "mask+crf", "engine": "exact"}),
        ("segmenter", ("--appearance-weight", 2, "--engine", "exact"),
         {"crf": {"appearance_weight": 2.0}, "engine": "exact"}),
        ("classifier", ("--no-crf",), {"crf": False}),
    ],
)  # fmt: skip
def test_masks_of_photographs_are_the_same(scene, trained, place, name, words, more):
    run = trained(name)
    write_image(place / "cat.png", torch.rand(3, 20, 30))
    assert scene("segment", "cat.png", "--run", run, "--mask-only", *words, *CPU).code == 0
    result = load(run, device="cpu").segment(place / "cat.png", **more)
    assert read_mask(place / "cat_mask.png", result.labels).equal(result.mask)


def test_weights_are_the_same(scene, place):
    small = {"steps": 2, "batch_size": 4, "latent": 4, "width": 4, "guide_width": 4}
    words = [w for k, v in small.items() for w in (f"--{k.replace('_', '-')}", v)]
    result = scene("train", "telbo", "--size", "16x16", *words, "--out", "a", *CPU)
    assert result.code == 0
    model = train("telbo", size=(16, 16), out=place / "b", device="cpu", **small)
    assert model.run.folder == place / "b"
    a, b = (place / name / "weights.safetensors" for name in "ab")
    assert a.read_bytes() == b.read_bytes()


@pytest.mark.parametrize(
    ("command", "call", "names"),
    [
        (cli.sample.sample, Fitted.sample, {"n", "walk", "refine", "refine_steps", "seed"}),
        (cli.diagnose.diagnose, diagnose, {"particles", "gradients", "seed"}),
        (cli.pseudo_label.pseudo_label, pseudo_label,
         {"split", "limit", "confidence", "labels", "true", "seed", "copy"}),
        (cli.generate.generate, GenerationSettings, {"drop", "sampled", "seed"}),
    ],
)  # fmt: skip
def test_defaults_are_the_same(command, call, names):
    mine, theirs = (inspect.signature(one).parameters for one in (command, call))
    assert {n: mine[n].default for n in names} == {n: theirs[n].default for n in names}
