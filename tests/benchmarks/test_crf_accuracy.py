"""How far each engine of the dense CRF is from exact mean field on real images.

Reads the folder in SCENE_DATA, and in SCENE_RUN the run of a segmenter trained on its camvid. What
is exact takes minutes an image once; pytest's cache keeps it, by a hash of all it depends on.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.crf import meanfield
from inference.crf.engines import ENGINES, Field
from inference.crf.exact import Exact
from inference.crf.kernels import DEFAULT
from inference.crf.tiles import BOUND
from inference.prediction.predict import predict
from inference.runs.checkpoints import restore
from inference.runs.run import read
from scene.datasets.catalogue import open_data
from scene.datasets.folders.index import labels_of
from scene.images.io import read_image, read_mask
from scene.labels import VOID
from scene.registry import load

ITERATIONS = 10
NOISE, BLUR, FLOOR = 0.3, 4.0, 0.02
"""Of pixels relabelled at random; in pixels; of probability for each label."""

ROOM = 1.01
"""No worse than the reference: within one part in a hundred of it."""

COLUMNS = ("appearance", "smoothness", "variation", "absolute", "agreement")


@dataclass(frozen=True)
class Truth:
    """What exact mean field gives: unaries filtered by each kernel, and the marginals."""

    filtered: tuple[torch.Tensor, ...]
    marginals: torch.Tensor


def noisy(mask, labels, seed):
    """Make probabilities of a mask: labels drawn anew, blurred, floored; what is void is flat."""
    random = np.random.default_rng(seed)
    known = mask != VOID
    wrong = random.integers(labels, size=mask.shape)
    inputs = np.where(random.random(mask.shape) < NOISE, wrong, np.where(known, mask, 0))
    sure = np.eye(labels, dtype=np.float32)[inputs] * known[..., None]
    sure += (~known[..., None]) / np.float32(labels)
    soft = blurred(blurred(sure, 0), 1) + FLOOR
    return torch.from_numpy((soft / soft.sum(-1, keepdims=True)).transpose(2, 0, 1).copy())


def blurred(values, axis):
    """Smooth along an axis by a Gaussian cut at 4 σ; borders mirror."""
    reach = round(4 * BLUR)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / BLUR) ** 2)
    wide = np.pad(values, [(reach, reach) if i == axis else (0, 0) for i in range(3)], "symmetric")
    parts = np.lib.stride_tricks.sliding_window_view(wide, len(weights), axis)
    return (parts @ (weights / weights.sum())).astype(np.float32)


def folder(name):
    root = os.environ.get("SCENE_DATA")
    if not root or not (Path(root) / name).is_dir():
        pytest.skip(f"SKIPPED: set SCENE_DATA to a folder with {name} in it to measure accuracy")
    return Path(root) / name


def scenes(name, count):
    """Give fields of some images of val, their unaries from noisy masks."""
    root = folder(name)
    labels = labels_of(root)
    names = (root / "ImageSets/Segmentation/val.txt").read_text().split()
    for seed, stem in enumerate(names[:: max(1, len(names) // count)][:count]):
        image = read_image(root / f"JPEGImages/{stem}.jpg")
        mask = np.asarray(read_mask(root / f"SegmentationClass/{stem}.png", labels))
        yield stem, field(noisy(mask, len(labels.names), seed), image)


def predictions(count):
    """Give fields of images of camvid's val, their unaries from a segmenter's run."""
    root = folder("camvid")
    if "SCENE_RUN" not in os.environ:
        pytest.skip("SKIPPED: set SCENE_RUN to a segmenter's run to measure accuracy on it")
    run = read(Path(os.environ["SCENE_RUN"]))
    assembly, data = restore(run), open_data(str(root), "val", run.schema.size)
    for index in range(0, len(data), len(data) // count)[:count]:
        seen = data.views([index]).only(("image",))
        probs, _ = data.restore(predict(assembly, seen, ["mask"]).views["mask"][0], index)
        yield str(index), field(probs.clamp_min(meanfield.FLOOR), data.original(index).image)


def field(probs, image):
    pixels = torch.as_tensor(image).permute(1, 2, 0).contiguous()
    return Field(probs.log().unsqueeze(0), pixels.unsqueeze(0), DEFAULT)


def exact(scene, cache):
    """Work out what is exact, or read what was worked out before."""
    message = f"{BOUND} {ITERATIONS} {[sorted(vars(k).items(), key=str) for k in scene.kernels]}"
    key = hashlib.sha256(message.encode())
    key.update(scene.logits.numpy().tobytes() + scene.image.numpy().tobytes())
    file = cache / f"{key.hexdigest()[:24]}.npz"
    if not file.is_file():
        oracle, q = Exact(), scene.logits.softmax(1)
        result = [oracle.filtered(scene, kernel, q) for kernel in scene.kernels]
        result.append(oracle.marginals(scene, ITERATIONS))
        partial = file.with_suffix(f".{os.getpid()}.npz")
        np.savez(partial, *[part.numpy() for part in result])
        partial.replace(file)
    with np.load(file) as held:
        *filtered, marginals = (torch.from_numpy(held[name]) for name in held.files)
    return Truth(tuple(filtered), marginals)


def measured(engine, scene, truth):
    """Measure an engine against the truth, in the order of `COLUMNS`."""
    q = scene.logits.softmax(1)
    result = [
        float((engine.filtered(scene, kernel, q) - right).norm() / right.norm())
        for kernel, right in zip(reversed(scene.kernels), reversed(truth.filtered), strict=True)
    ]
    marginals = engine.marginals(scene, ITERATIONS)
    apart = (marginals - truth.marginals).abs()
    same = marginals.argmax(1) == truth.marginals.argmax(1)
    return (
        *result,
        float(apart.sum(1).mean() / 2),
        float(apart.mean()),
        float(same.float().mean()),
    )


def engines():
    """Give the engines to be measured that are here, the reference first."""
    result = {}
    for name in ("pydensecrf", "fused", "lattice"):
        try:
            result[name] = load(name, ENGINES, "engine")()
        except (ImportError, LookupError) as missing:
            print(f"{name} is not measured: {missing}")
    return result


def compare(source, fields, cache, say):
    """Print a table of means and worsts, and hold each engine to the reference."""
    result = {name: [] for name in engines()}
    for stem, scene in fields:
        truth = exact(scene, cache)
        for name, engine in engines().items():
            result[name].append(measured(engine, scene, truth))
            say(f"{source} {stem} {name}: " + " ".join(f"{x:.5f}" for x in result[name][-1]))
    say(table(source, result))
    if "pydensecrf" not in result:
        pytest.skip("SKIPPED: nothing to compare with; install the extra 'pydensecrf'")
    reference = np.array(result.pop("pydensecrf"))
    for name, rows in result.items():
        ours = np.array(rows)
        worse = ours[:, :3] > ROOM * reference[:, :3]
        assert not worse.any(), f"{name} is worse on {int(worse.any(1).sum())} images of {source}"
        assert ours[:, 4].mean() >= reference[:, 4].mean(), f"{name} agrees less on {source}"


def table(source, found):
    rows = [f"{'engine':>12} " + " ".join(f"{column:>19}" for column in COLUMNS)]
    for name, each in found.items():
        mean, worst = np.mean(each, 0), (*np.max(each, 0)[:4], np.min(each, 0)[4])
        cells = (f"{m:.5f} ({w:.5f})" for m, w in zip(mean, worst, strict=True))
        rows.append(f"{name:>12} " + " ".join(f"{cell:>19}" for cell in cells))
    return f"{source}: mean (worst)\n" + "\n".join(rows)


@pytest.fixture
def cache(request):
    return request.config.cache.mkdir("crf-exact")


@pytest.mark.parametrize(("name", "count"), [("camvid", 10), ("voc-samples", 7)])
def test_no_engine_is_further_from_exact_than_the_reference(name, count, cache, say):
    compare(name, scenes(name, count), cache, say)


def test_nor_on_what_a_segmenter_predicts(cache, say):
    compare("segmenter", predictions(10), cache, say)
