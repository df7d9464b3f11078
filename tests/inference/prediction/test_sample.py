"""Sampling: from any set of views, from a seed, refused before anything is written."""

import json
import math
from itertools import combinations

import pytest
import torch

from inference.api.load import load
from inference.prediction.predict import draw
from inference.prediction.sample import composed_scenes, decided, straight_line
from scene.datasets.observations import observe
from scene.images.io import read_image, read_mask
from scene.views import VIEWS

SETS = [given for size in range(4) for given in combinations(VIEWS, size)]
DATA = "synthetic:default"


def sample(run, *names, n=2, out=None, force=False, data=DATA, **more):
    """Sample as a person would, from test:0 where only a view is named, and write the views."""
    inputs = dict.fromkeys(names, "test:0")
    samples = load(run, device="cpu").sample(n, data=data, **inputs, **more)
    if out is not None:
        samples.save(out, force=force)
    return samples


@pytest.fixture
def run(fitted):
    return fitted(steps=1)[0]


def _read(folder, labels):
    images = [read_image(path) for path in sorted(folder.glob("[0-9]*_image.png"))]
    masks = [read_mask(path, labels) for path in sorted(folder.glob("[0-9]*_mask.png"))]
    return images, masks


@pytest.mark.parametrize("given", SETS, ids="+".join)
def test_scenes_are_drawn_given_any_views(run, tmp_path, given):
    out = tmp_path / "out"
    samples = sample(run, *given, n=3, out=out)
    images, masks = _read(out, run.schema.labels)
    assert [x.shape for x in images] == [(3, 16, 16)] * 3
    assert [x.shape for x in masks] == [(16, 16)] * 3
    listed = json.loads((out / "classes.json").read_text())
    assert [set(classes) for classes in listed] == [set(run.schema.labels.classes)] * 3
    assert len(list(out.iterdir())) == 10
    assert len(samples) == 3


@pytest.mark.parametrize(
    ("name", "given", "files"),
    [("cvae", ("image",), 5), ("cvae", ("image", "mask"), 5), ("segmenter", ("image",), 3)],
)
def test_a_model_of_masks_draws_masks(fitted, tmp_path, name, given, files):
    samples = sample(fitted(name, steps=1)[0], *given, n=3, out=tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == files
    assert samples.image is None
    assert samples.classes is None
    assert samples.save(tmp_path / "a.png") == [tmp_path / "a.png"]


def test_the_title_says_what_was_observed(run, tmp_path):
    samples = sample(run, "image", classes="circle, ring", out=tmp_path / "a.png")
    assert samples.title == "drawn given the image + circle, ring"
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert sample(run).title == "drawn from the prior"


def test_the_same_seed_draws_the_same_scenes(run, tmp_path):
    before = torch.get_rng_state()
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        sample(run, "mask", seed=seed, out=tmp_path / name)
    a, b, c = (_bytes(tmp_path / name) for name in "abc")
    assert a == b
    assert a != c
    assert torch.get_rng_state().equal(before)


def _bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_walk_leads_in_a_straight_line_from_draw_to_draw(run):
    ends = torch.randn(2, 1, 4)
    path = straight_line(ends, 5)
    assert path[0].equal(ends[0])
    assert path[-1].equal(ends[1])
    torch.testing.assert_close(path[1:] - path[:-1], ((ends[1] - ends[0]) / 4).expand(4, 1, 4))
    draws, steps = sample(run, "image", n=2), sample(run, "image", n=5, walk=True)
    assert steps.title == "drawn given the image, a walk"
    for plain, along in ((draws.image, steps.image), (draws.mask, steps.mask)):
        assert len(along) == 5
        torch.testing.assert_close(plain[0], along[0])
        torch.testing.assert_close(plain[1], along[-1])


def _decoded(run, n, seed=0):
    assembly = load(run, device="cpu").assembly
    inputs = observe(run.schema, mask="test:0", data=DATA).views
    torch.manual_seed(seed)
    return composed_scenes(assembly.model, draw(assembly, inputs, n, 1), inputs)[0]


def test_what_is_written_is_what_was_drawn(run, tmp_path):
    sample(run, "mask", seed=4, out=tmp_path / "out")
    expected = decided(_decoded(run, 2, seed=4))
    images, masks = _read(tmp_path / "out", run.schema.labels)
    assert torch.stack(masks).long().equal(expected["mask"].squeeze(1))
    error = (torch.stack(images) / 255 - expected["image"].squeeze(1)).abs().max()
    assert error <= 0.5 / 255 + 1e-6


def test_means_and_entropy_are_those_of_the_draws(run, tmp_path):
    samples = sample(run, "mask", n=5, out=tmp_path / "out")
    probs = _decoded(run, 5)["mask"].mean(0)[0]
    mean = read_mask(tmp_path / "out" / "mean_mask.png", run.schema.labels)
    assert mean.long().equal(probs.argmax(0))
    assert samples.mean_mask.equal(probs.argmax(0))
    entropy = torch.distributions.Categorical(probs.movedim(0, -1)).entropy()
    entropy = entropy / math.log(len(probs))
    grey = read_image(tmp_path / "out" / "entropy.png")[0] / 255
    torch.testing.assert_close(grey, entropy, atol=0.51 / 255, rtol=0)
    torch.testing.assert_close(samples.entropy, entropy, atol=1e-5, rtol=0)


def test_a_walk_has_no_mean(run, tmp_path):
    assert sample(run, n=3, walk=True, out=tmp_path / "out").means == {}
    assert not list((tmp_path / "out").glob("mean_*"))


@pytest.mark.parametrize("method", ["svi", "hmc"])
def test_a_refined_posterior_is_drawn_from_given_views_the_guide_cannot_read(
    fitted, method, monkeypatch
):
    monkeypatch.setattr("inference.prediction.refine.CHAIN", 8)
    run, _ = fitted("jvae", steps=1)
    samples = sample(run, "mask", refine=method, refine_steps=9)
    assert samples.title == f"drawn given the mask, refined by {method}"
    assert (samples.refined.acceptance is None) == (method == "svi")
    assert len(samples.mask) == 2
    with pytest.raises(ValueError, match=r"no posterior given just mask; .* or add --refine svi"):
        sample(run, "mask")


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"refine": "svi"}, "--refine needs views to condition on"),
        ({"mask": "test:0", "refine": "vsi"}, "No refinement is called 'vsi'. Did you mean 'svi'"),
        ({"mask": "test:0", "refine_steps": 3}, "--refine-steps needs --refine svi"),
        ({"n": 0}, "-n must be 1 or more, not 0"),
        ({"n": 10_001}, "-n is at most 10000, not 10001"),
    ],
)
def test_what_cannot_be_drawn_is_a_sentence(run, more, sentence):
    with pytest.raises((ValueError, LookupError), match=sentence):
        sample(run, **more)


def test_a_model_that_reads_images_asks_for_one(fitted):
    run, _ = fitted("cvae", steps=1)
    with pytest.raises(ValueError, match="A cvae conditions on the image; add --from-image"):
        sample(run, "mask")
    with pytest.raises(ValueError, match=r"cvae has no posterior given just image \+ classes; g"):
        sample(run, "image", "classes")


def test_outputs_that_exist_are_kept_unless_forced(run, tmp_path):
    samples = sample(run)
    (tmp_path / "a.png").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "a.png", tmp_path / "out"):
        with pytest.raises(FileExistsError, match="exists; choose another --out, or --force"):
            samples.save(path)
        assert samples.save(path, force=True)
    with pytest.raises(ValueError, match="is a file; a set of views is a folder"):
        samples.save(tmp_path / "file", force=True)


def test_force_leaves_no_view_of_an_earlier_call(run, tmp_path):
    """A folder holds the scenes of one call, and whatever else was in it."""
    out = tmp_path / "out"
    sample(run, n=3, out=out)
    (out / "mine_mask.png").write_text("kept")
    files = sample(run, n=1).save(out, force=True)
    assert len(files) == 6
    assert {path.name for path in out.iterdir()} == {
        "000_image.png", "000_mask.png", "classes.json", "mine_mask.png",
        "mean_image.png", "mean_mask.png", "entropy.png",
    }  # fmt: skip


def test_views_that_cannot_be_written_leave_the_folder_as_it_was(run, tmp_path, monkeypatch):
    out = tmp_path / "out"
    sample(run, out=out)
    before = _bytes(out)

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr("inference.prediction.outputs.write_mask", full)
    for folder in (out, tmp_path / "new"):
        with pytest.raises(OSError, match="disk full"):
            sample(run, seed=9, out=folder, force=True)
    assert _bytes(out) == before
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".*"))


def test_what_a_killed_sampling_left_goes_with_the_next(run, tmp_path):
    left = tmp_path / ".out.part" / "new"
    left.mkdir(parents=True)
    (left / "000_image.png").write_bytes(b"half")
    sample(run, n=1, out=tmp_path / "out")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("name", ["mask", "classes"])
def test_scenes_of_other_labels_are_refused_unless_only_their_image_is_seen(run, voc_folder, name):
    with pytest.raises(ValueError, match="was trained on other labels than those of pets"):
        sample(run, data=str(voc_folder), **{name: "val:0"})
    samples = sample(run, data=str(voc_folder), image="val:0")
    assert samples.title == "drawn given the image"


def test_there_is_no_walk_without_a_latent(fitted):
    run, _ = fitted("segmenter", steps=1)
    with pytest.raises(ValueError, match="A segmenter has no latent z, so --walk is not possible"):
        sample(run, "image", walk=True)


def test_a_batch_holds_one_scene_behind_the_other(run, tmp_path):
    """Of each scene in a batch as many are drawn; apart, each is as one scene's samples are."""
    batch = load(run, device="cpu").sample(3, mask=["test:0", "test:1"], data=DATA)
    assert batch.mask.shape == (3, 2, 16, 16)
    assert batch.entropy.shape == (2, 16, 16)
    first, second = batch.scenes()
    assert second.image.equal(batch.image[:, 1])
    assert second.observed["mask"].equal(batch.observed["mask"][1:])
    assert second.mean_mask.equal(batch.mean_mask[1])
    files = batch.save(tmp_path / "out")
    assert {path.parent.name for path in files} == {"scene_000", "scene_001"}
    assert len(files) == 20
    assert first._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"shows samples of one scene; take one of scenes\(\)"):
        batch.save(tmp_path / "a.png")


def test_arrays_can_be_shown_and_observed_again(run):
    """What `numpy` returns is channels last, and goes in again as an image and a mask."""
    model = load(run, device="cpu")
    arrays = model.sample(2).numpy()
    assert {name: array.shape for name, array in arrays.items()} == {
        "image": (2, 16, 16, 3), "classes": (2, 6), "mask": (2, 16, 16),
    }  # fmt: skip
    assert model.sample(1, image=arrays["image"][0], mask=arrays["mask"][0]).mask.shape[0] == 1
