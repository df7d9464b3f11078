"""Every command of README and docs runs as it is written, but for how long and how large."""

import io
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch

from inference import train
from inference.crf.parameters import USUAL, save
from inference.settings.recipes import recipe
from scene.datasets.annotations.convert import convert
from scene.images.io import write_image, write_mask
from scene.labels import Labels
from scene.networks.trunks import make_trunk

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
SIZE, STEPS = "16x16", "2"

TINY = {
    "generate": {
        "-n": "4", "--keep-train": "2", "--min-area": "0", "--drop": "0", "--agreement": "0",
    },
    "diagnose": {"--particles": "2", "--limit": "4", "--gradients": "0"},
    "sample": {"-n": "2", "--refine-steps": "2"},
    "report": {"--samples": "1"},
    "tune": {"--trials": "2", "--jobs": "1", "--steps": STEPS, "--size": SIZE, "--width": "4"},
    "crf ablate": {"--limit": "2", "--alphas": "5", "--betas": "10"},
    "crf fit": {"--limit": "2", "--held-limit": "2", "--steps": "1"},
    "masks": {
        "--size": "32x32", "--weights": "none", "--classifier-steps": STEPS, "--sec-steps": STEPS,
    },
    "reproduce": {
        "--seeds": "1", "--jobs": "1", "--limit": "2", "--tune-limit": "2", "--size": SIZE,
        "--classifier-steps": STEPS, "--sec-steps": STEPS, "--supervised-steps": STEPS,
        "--steps": STEPS, "--alphas": "3", "--betas": "10", "--backbone": "small",
    },
}  # fmt: skip
"""What replaces options of a command, or is added to it, so that it takes about a second."""

AGAIN = (
    ["segment"], ["diagnose"], ["train", "prior"], ["train", "details"], ["report"], ["export"],
    ["crf", "refine"], ["masks"],
)  # fmt: skip
"""Commands that write to the same place unless one is named."""

WEAK = (
    "--classifier-steps", "--sec-steps", "--supervised-steps", "--alphas", "--betas", "--limit",
    "--tune-limit",
)  # fmt: skip
"""Options of `reproduce` that its other table does not take."""


SERVERS = ("studio",)
"""Commands that go on until they are stopped; their own tests run them."""


def commands(page):
    """List a page's commands of `scene`, as words, in order; what is before it is left out."""
    found = []
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split("&&"):
                words = shlex.split(part, comments=True)
                rest = words[words.index("scene") + 1 :] if "scene" in words else None
                if rest is not None and words[0] == "uv" and rest[:1] != [*SERVERS]:
                    found.append(rest)
    return found


def option_of(words, name):
    """Return where an option's value is, or None."""
    places = [place for place, word in enumerate(words) if word == name]
    return places[0] + 1 if places else None


def with_options(words, options):
    """Set options of a command, whether it has them or not."""
    words = list(words)
    for name, value in options.items():
        place = option_of(words, name)
        if place is None:
            words += [name, value]
        else:
            words[place] = value
    return words


def training_options(words):
    """Return what makes a training short: it is asked only for what the recipe takes."""
    name = words[1]
    known = recipe(name if ":" not in name else str(ROOT / name))
    choices = {
        "steps": STEPS, "size": SIZE, "width": "4", "batch_size": "4", "latent": "8",
        "flow_steps": STEPS, "detail_steps": STEPS, "flow_width": "8",
    }  # fmt: skip
    has_cells = "--spatial" in words
    taken = {
        k: v for k, v in choices.items() if known.takes(k) and not (k == "latent" and has_cells)
    }
    if option_of(words, "--backbone") or option_of(words, "--net"):
        taken = {k: v for k, v in taken.items() if k in ("steps", "batch_size")}
        taken |= {"size": "32x32"}
        taken |= {"backbone_weights": "none"} if known.takes("backbone_weights") else {}
    return {f"--{k.replace('_', '-')}": v for k, v in taken.items()}


def newest(recipes):
    """Name the newest run of any of the recipes."""
    folders = [f for f in Path("runs").iterdir() if f.name.startswith(recipes)]
    return str(max(folders, key=lambda folder: (folder / "weights.safetensors").stat().st_mtime))


def with_names(words, joint):
    """Put the test's own runs and data where the docs leave the names to the reader."""
    named = []
    for word in words:
        if match := re.fullmatch(r"runs/(\w+)-…", word):
            word = newest((match[1],))
        elif word in ("RUN", "RUN_A"):
            word = joint
        elif word == "RUN_B":
            word = newest(("jvae",))
        named.append("./voc2012" if word == "voc2012" else word)
    if named[:1] == ["segment"] and "--run" in named:  # a run of `reproduce`
        return named
    return [word for word in named if word != "--download"]


def given_here(word):
    """Put what is installed, and as many scenes as there are, in place of what is not."""
    return {"wandb,mlflow": "csv", "50": "4"}.get(word, word)


def evaluation_options(words):
    """Return what makes an evaluation short."""
    if "--ambiguity" in words:
        return {"--limit": "4", "--run": "of-ambiguous"}
    if "--generation" in words:
        return {"--limit": "4"}
    return {} if "--stage" in words else {"--draws": "1"}


def shortened(words, joint):
    """Return a command as the test runs it."""
    words = list(map(given_here, with_names(words, joint)))
    if words[:1] == ["segment"]:  # the folders of classes in it are for training
        words = ["photos/cat" if word == "photos/" else word for word in words]
    if "--help" in words or not words:
        return words
    name = " ".join(words[:2]) if words[0] in ("crf", "data") else words[0]
    if name == "train":
        return with_options(words, training_options(words))
    options = dict(TINY.get(name, {}))
    if name == "evaluate":
        options = evaluation_options(words)
    if name == "reproduce":
        scenes = "scene" in words
        options = {k: v for k, v in options.items() if not (scenes and k in WEAK)}
        options.pop("--steps") if not scenes else None
        words = [word for word in words if word not in ("--weights", "imagenet")]
    if name == "sample":
        options = {k: v for k, v in options.items() if k == "-n" or "--refine" in words}
    if name == "crf fit":
        options |= {"--alphas": "5"} if "--method" in words else {}
    return with_options(words, options)


@pytest.fixture
def desk(place, monkeypatch, trained, voc_folder, class_folder):
    """Be in a folder that has what the docs speak of: photographs, a mask, examples and runs."""
    monkeypatch.delenv("SCENE_RUNS")
    torch.manual_seed(0)
    image = torch.randint(256, (3, 24, 32), dtype=torch.uint8)
    (place / "more").mkdir()  # of photographs; of a page that generates it, it is the output
    for name in ("photo.jpg", "photo.png", "more/one.png"):
        write_image(place / name, image)
    labels = Labels(("background", "circle", "square", "triangle", "star", "ring", "cross"))
    mask = torch.zeros(24, 32, dtype=torch.uint8)
    mask[6:18, 8:24] = 1
    for name in ("mask.png", "rough.png"):
        write_mask(place / name, mask, labels)
    (place / "list.txt").write_text("photo.jpg\n", encoding="utf-8")
    shutil.copytree(ROOT / "examples", place / "examples", ignore=shutil.ignore_patterns("*.png"))
    shutil.copytree(voc_folder, place / "voc2012")
    shutil.copytree(class_folder, place / "photos")
    for name, kind in (("dataset", "voc"), ("labelme-folder", "labelme"), ("cvat-export", "coco")):
        convert(str(voc_folder), place / name, kind)
    save(place / "crf.json", USUAL, {})
    tags = [{"type": "choices", "value": {"choices": ["cat"]}}]
    project = [{"data": {"image": "photo.jpg"}, "annotations": [{"result": tags}]}]
    (place / "project-7.json").write_text(json.dumps(project), encoding="utf-8")
    for name in ("segmenter", "classifier", "sec", "jvae", "telbo"):
        shutil.move(trained(name), Path("runs") / name)
    options = {"size": (16, 16), "steps": 2, "batch_size": 4, "latent": 4, "prior": "standard"}
    train("telbo", data="synthetic:ambiguous", out="of-ambiguous", device="cpu", **options)

    def tiny(name, classes, weights, stride):
        torch.manual_seed(0)
        return make_trunk("test_resnet")

    monkeypatch.setattr("inference.segmentation.imagenet.make_trunk", tiny)
    monkeypatch.setattr("inference.segmentation.imagenet.packaged_weights", lambda name: "there")
    return place


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(page, desk, scene, monkeypatch):
    text = page.read_text(encoding="utf-8")
    if "--out more" in text:
        shutil.rmtree("more")
    if "convert" in text:
        shutil.rmtree("dataset")
    for words in commands(page):
        joint = newest(("telbo",))
        if "--ambiguity" in words:
            words = [word for word in words if word != "RUN"]
        if "<" in words:
            text = Path(words[words.index("<") + 1]).read_text(encoding="utf-8")
            monkeypatch.setattr("sys.stdin", io.StringIO(text))
            words = words[: words.index("<")]
        if any(words[: len(again)] == again for again in AGAIN):
            words = [*words, "--force"]  # an earlier line wrote the same files
        result = scene(*shortened(words, joint))
        assert result.code == 0, f"scene {shlex.join(words)}:\n{result.err[-2000:]}"
