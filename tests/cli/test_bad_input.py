"""Bad input: one sentence, a non-zero exit, and every folder as it was."""

import json
import re

import pytest
import torch

from scene.images.io import write_image, write_mask
from scene.labels import Labels

TINY = ("--size", "16x16", "--steps", "1", "--device", "cpu")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["teblo"], "No recipe is called 'teblo'. Did you mean 'telbo'? Known: classifier, cvae,"),
        ([], "Name a recipe, one of cvae, jvae, jmvae, telbo, prior, details, segmenter,"),
        (["telbo", "--guide", "retrofti"], "No guide is called 'retrofti'. Did you mean 'ret"),
        (["telbo", "--objective", "iwea"], "No objective is called 'iwea'. Did you mean 'iwae'?"),
        (["telbo", "--objective", "derg"], "No objective is called 'derg'. Did you mean 'dreg'?"),
        (["jvae", "--renyi-alpha", "0.3"], "--renyi-alpha is used by the objective renyi only;"),
        (["jvae", "--objective", "renyi", "--renyi-alpha", "inf"], "--renyi-alpha must be 0 or m"),
        (["telbo", "--retrofit-objective", "elob"], "Did you mean 'elbo'?"),
        (["telbo", "--subsets", "single"], "No choice of subsets is called 'single'."),
        (["telbo", "--retrofit", "predict"], "Did you mean 'predict-all'?"),
        (["telbo", "--generator-gradients", "share"], "Did you mean 'shared'?"),
        (["telbo", "--guide", "joint"], "The guide JointGuide has no posterior given only"),
        (["telbo", "--workers", "-1"], "--workers must be 0 or more, not -1."),
        (["telbo", "--seed", str(2**80)], "--seed is from 0 to 4294967295, not 12089258196146"),
        (["telbo", "--precision", "fp16"], "No precision is called 'fp16'. Did you mean 'bf16'?"),
        (["telbo", "--particles", "0"], "--particles must be 1 or more, not 0."),
        (["telbo", "--retrofit-particles", "0"], "--retrofit-particles must be 1 or more, not 0."),
        (["telbo", "--batch-size", "0"], "--batch-size must be 1 or more, not 0."),
        (["telbo", "--count", "0"], "--count must be 1 or more, not 0."),
        (["telbo", "--size", "big"], "'big' is not a size; write height x width in pixels,"),
        (["telbo", "--size", "8x8"], "8x8 is too small; height and width are at least 16"),
        (["telbo", "--data", "sinthetic"], "There is no data at 'sinthetic'. Did you mean 'synth"),
        (["telbo", "--data", "synthetic:hard"], "No preset of synthetic scenes is called 'hard'."),
        (["telbo", "--data", "voc2012"], "add --download to fetch it (2 GB), or give the path of"),
        (["jvae", "--encode", "masks"], "No view is called 'masks'. Did you mean 'mask'?"),
        (["jvae", "--encode", ""], "No view is called ''."),
        (
            ["telbo", "--view-weight", "mask"],
            "--view-weights takes VIEW=WEIGHT with a weight of 0 or more, such as mask=2,",
        ),
        (["telbo", "--view-weight", "mask=x"], "such as mask=2, not 'mask=x'."),
        (["telbo", "--view-weight", "mask=-1"], "such as mask=2, not 'mask=-1'."),
        (["telbo", "--view-weight", "mask=nan"], "such as mask=2, not 'mask=nan'."),
        (["telbo", "--view-weight", "masc=1"], "No view is called 'masc'. Did you mean 'mask'?"),
        (["telbo", "--augment", "flpi"], "No augmentation is called 'flpi'. Did you mean 'flip'?"),
        (["telbo", "--optimizer", "adm"], "No optimizer is called 'adm'. Did you mean 'adam'?"),
        (["telbo", "--schedule", "cos"], "Did you mean 'cosine'?"),
        (["telbo", "--noise", "gaussian"], "No noise is called 'gaussian'."),
        (["telbo", "--lr", "0"], "--learning-rate must be a positive number, not 0.0."),
        (["telbo", "--lr", "nan"], "--learning-rate must be a positive number, not nan."),
        (["telbo", "--image-scale", "inf"], "--image-scale must be a positive number, not inf."),
        (["jmvae", "--alpha", "inf"], "--alpha must be 0 or more, not inf."),
        (["telbo", "--clip", "inf"], "--clip must be 0 or more, not inf."),
        (["cvae", "--alpha", "3"], "The recipe cvae does not use --alpha; leave it out."),
        (["segmenter", "--subsets", "x", "--latent", "8"],
         "The recipe segmenter does not use --subsets, --latent; leave them out."),
        (["cvae", "--view-weights", "classes=2"], "not use --view-weights classes; leave it out."),
        (["telbo", "--weights", "imagenet"], "always trained from scratch: --weights none."),
        (["jvae", "--guide", "none"], "EmptyGuide has no posterior given only image, classes;"),
        (["cvae", "--backbone", "vgg61"], "No network is called 'vgg61'. Did you mean"),
        (["telbo", "--resume", "x"], "leave out the recipe: scene train --resume RUN."),
        (["--resume", "x", "telbo"], "--resume uses the settings stored in the run; leave out te"),
        (["--resume", "x", "--out", "y"], "uses the settings stored in the run; leave out --out."),
        (["--resume", "x", "--force"], "stored in the run; leave out --force."),
        (["--resume", "x", "--lr", "1"], "stored in the run; leave out --lr."),
        (["telbo", "--trust"], "--trust is for the code of a run that is resumed"),
        (["--resume", "gone"], "There is no run gone; `ls "),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_leaves_no_run(refused, words, sentence):
    assert sentence in refused("train", *words)


def test_a_device_that_is_not_there(refused, trained, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    expected = "This machine has no cuda device; try --device auto."
    assert refused("train", "telbo", "--device", "cuda") == expected
    trained()
    assert refused("sample", "--device", "cuda") == expected
    assert refused("evaluate", "--device", "cuda") == expected


@pytest.mark.parametrize(
    ("code", "name", "sentence"),
    [
        ("", "Flow", "lab.py defines no 'Flow'."),
        ("class FlowGuide:\n    pass\n", "FlowGiude", "Did you mean 'FlowGuide'?"),
        ("class Flow:\n    pass\n", "Flow", "is not a Guide; subclass inference.guides.Guide."),
        ("Flow = 3\n", "Flow", "is not a Guide; subclass inference.guides.Guide."),
        ("def Flow(:\n", "Flow", "lab.py could not be imported: SyntaxError: invalid syntax"),
        ("import gone_\n", "Flow", "lab.py could not be imported: ModuleNotFoundError: No module"),
    ],
)
def test_a_guide_that_is_none(scene, place, tmp_path, code, name, sentence):
    (place / "lab.py").write_text(code)
    result = scene("train", "telbo", "--guide", f"lab.py:{name}", *TINY)
    assert (result.code, result.out) == (1, "")
    assert sentence in result.err
    assert len(result.err.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_guide_file_that_is_not_there(refused):
    assert "There is no file lab.py to load a guide from." in refused(
        "train", "telbo", "--guide", "lab.py:Flow"
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-n", "0"], "-n must be 1 or more, not 0."),
        (["-n", "9" * 30], "-n is at most 10000, not 9999"),
        (["--from-image", "gone.png"], "There is no picture gone.png; check the name"),
        (["--from-mask", "gone.png"], "There is no picture gone.png; check the name"),
        (["--from-image", "text.png"], "text.png cannot be read as a picture, it may be damaged;"),
        (["--from-mask", "text.png"], "text.png cannot be read as a picture, it may be damaged;"),
        (["--from-mask", "high.png"], "high.png has the label id 9, but there are 7 labels"),
        (["--from-image", "i.png", "--from-mask", "m.png"], "i.png is 20×18 but m.png is 18×20;"),
        (["--from-image", "."], ". is a folder, not a picture; name a file in it."),
        (["--from-classes", "circel"], "No class is called 'circel'. Did you mean 'circle'?"),
        (["--from-mask", "test:6"], "test:6 is not there; synthetic-default test has scenes 0 to"),
        (["--run", "gone"], "There is no run gone; `ls "),
        (["--run", "."], ". is not a run: it holds no config.json."),
        (
            ["--picture", "text.png"],
            "text.png exists; choose another --out, or --force to replace it.",
        ),
        (["--picture", "a.jpg"], "a.jpg must end in .png; call it a.png."),
        (["--out", "full"], "full exists; choose another --out, or --force to replace it."),
        (
            ["--out", "text", "--force"],
            "text is a file; a set of views is a folder, choose another --out.",
        ),
        (
            ["--out", "text.png"],
            "text.png exists; choose another --out, or --force to replace it.",
        ),
        (["--out", "a.jpg"], "a.jpg must end in .png; call it a.png."),
        (["--from-mask", "--data", "sinthetic"], "There is no data at 'sinthetic'."),
    ],
)
def test_what_cannot_be_sampled(refused, trained, place, words, sentence):
    trained()
    (place / "text.png").write_text("no picture")
    (place / "text").write_text("no folder")
    (place / "full").mkdir()
    (place / "full" / "mine").touch()
    labels = Labels(tuple("abcdefghij"))
    write_mask(place / "high.png", torch.full((18, 20), 9), labels)
    write_mask(place / "m.png", torch.zeros(20, 18), labels)
    write_image(place / "i.png", torch.zeros(3, 18, 20))
    assert sentence in refused("sample", "--device", "cpu", *words)


def test_no_run_at_all(refused):
    assert "There is no complete run of any recipe in " in refused("evaluate")
    assert refused("generate").startswith("There is no complete run of a joint model in ")


def test_no_run_that_fits(refused, trained):
    trained("cvae")
    assert "no complete run of a model that samples from classes in" in refused(
        "sample", "--from-classes", "ring"
    )


def test_a_run_that_cannot_do_what_is_asked(refused, trained):
    cvae, jvae, segmenter = (trained(name) for name in ("cvae", "jvae", "segmenter"))
    assert "A cvae conditions on the image; add --from-image." in refused("sample", "--run", cvae)
    assert "A segmenter conditions on the image; add --from-image." in refused(
        "sample", "--run", segmenter, "--from-mask"
    )
    assert "This jvae has no posterior given just mask; give other views" in refused(
        "sample", "--run", jvae, "--from-mask"
    )


@pytest.mark.parametrize("command", ["sample", "evaluate"])
@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (
            "truncate",
            "weights.safetensors is truncated or damaged; copy it again, or train again.",
        ),
        ("swap", "holds weights of 'cvae', not of 'telbo'."),
        ("format", "cannot be used: it has format 1, but only 3 is read here; train it again,"),
        ("type", "cannot be used: its setting model.latent cannot be 'long'."),
        ("lack", "cannot be used: it lacks 'labels'."),
        ("text", " is not JSON that can be read: Expecting value: line 1 column 1 (char 0)."),
        ("unfinished", "is not complete; finish it with `scene train --resume "),
    ],
)
def test_a_run_that_was_harmed(refused, trained, command, harm, sentence):
    run = trained()
    weights, config = run / "weights.safetensors", run / "config.json"
    if harm == "truncate":
        weights.write_bytes(weights.read_bytes()[:-1])
    elif harm == "swap":
        weights.write_bytes((trained("cvae") / "weights.safetensors").read_bytes())
    elif harm == "text":
        config.write_text("no JSON")
    elif harm == "unfinished":
        weights.unlink()
    else:
        known = json.loads(config.read_text())
        if harm == "format":
            known["format"] = 1
        elif harm == "type":
            known["settings"]["model"]["latent"] = "long"
        else:
            del known["labels"]
        config.write_text(json.dumps(known))
    words = ("--run", run) if command == "sample" else (run,)
    assert sentence in refused(command, *words, "--device", "cpu")


def test_a_checkpoint_that_was_harmed(refused, trained):
    run, other = trained(), trained("cvae")
    (run / "weights.safetensors").unlink()
    checkpoint = run / "checkpoint.safetensors"
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: len(whole) // 2])
    words = ("train", "--resume", run, "--device", "cpu")
    assert "checkpoint.safetensors is truncated or damaged" in refused(*words)
    checkpoint.write_bytes((other / "checkpoint.safetensors").read_bytes())
    assert "holds weights of 'cvae', not of 'telbo'." in refused(*words)
    checkpoint.unlink()
    assert "has no checkpoint to resume from; train it again." in refused(*words)


def test_a_run_that_is_complete_is_not_resumed(refused, trained):
    run = trained()
    assert refused("train", "--resume", run) == f"{run} is complete; there is nothing to resume."


def test_what_cannot_be_evaluated(refused, trained):
    run = trained()
    assert refused("evaluate", run, "--draws", "0") == "--draws must be 1 or more, not 0."
    assert "No split is called 'tset'. Did you mean 'test'?" in refused(
        "evaluate", run, "--split", "tset"
    )
    assert "There is no run gone" in refused("evaluate", "gone")


DIVERGED = re.compile(
    r"scene: The (loss|validation loss|weights) became (nan|-?inf) at step \d+, (.*); try a "
    r"smaller --learning-rate, or --clip 10\."
)


@pytest.mark.parametrize("name", ["segmenter", "telbo", "jmvae", "cvae"])
def test_steps_too_large_end_in_a_sentence_whatever_breaks_first(scene, tmp_path, name):
    result = scene(
        "train", name, "--optimizer", "sgd", "--schedule", "constant", "--size", "16x16",
        "--lr", "1e30", "--steps", 60, "--validate-every", 3, "--device", "cpu",
    )  # fmt: skip
    assert (result.code, result.out) == (1, "")
    actual = DIVERGED.fullmatch(result.last)
    assert actual
    assert all(line.startswith(("run ", "step ", "scene: ")) for line in result.err.splitlines())
    checkpoints = list((tmp_path / "runs").glob("*/checkpoint.safetensors"))
    assert len(checkpoints) == (actual[3] == "the last good checkpoint is kept")
    assert len(list((tmp_path / "runs").iterdir())) == len(checkpoints)


def test_a_run_that_diverges_keeps_its_checkpoint(scene, tmp_path, monkeypatch):
    from inference.training.fit import Step

    forward, calls = Step.forward, []

    def step(self, views):
        calls.append(views)
        loss, parts = forward(self, views)
        return loss * (1 if len(calls) < 8 else float("nan")), parts

    monkeypatch.setattr(Step, "forward", step)
    result = scene("train", "telbo", "--validate-every", 2, *TINY[:2], "--steps", 9)
    assert (result.code, result.out) == (1, "")
    assert "the last good checkpoint is kept" in result.last
    (run,) = (tmp_path / "runs").iterdir()
    assert (run / "checkpoint.safetensors").is_file()
    assert not (run / "weights.safetensors").exists()
