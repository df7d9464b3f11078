"""Sampling on request: from any set of views, from a seed, refused before anything is written."""

import json
import math
import warnings
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from PIL import Image

from inference.prediction.refine import Refinement
from inference.prediction.sample import Request, draw_request, gather, walk
from inference.runs.restore import restore
from scene.datasets.folders.voc import VOCScenes
from scene.datasets.framing import Frame
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.images.io import read_image, read_mask, write_image, write_mask
from scene.labels import Labels
from scene.notices import Notice
from scene.views import VIEWS

SETS = [given for size in range(4) for given in combinations(VIEWS, size)]


def _request(*names, count=2, walk=False, seed=0, **texts):
    given = {name: texts.get(name, "test:0") for name in (*names, *texts)}
    return Request(given, count, walk, seed, "synthetic:default")


@pytest.fixture
def run(fitted):
    return fitted(steps=1)[0]


@pytest.fixture
def undrawn(monkeypatch):
    """Leave out the picture, which takes longer than the rest."""
    monkeypatch.setattr("inference.prediction.sample.draw_samples", lambda *_: None)


def _read(folder, labels):
    images = [read_image(path) for path in sorted(folder.glob("[0-9]*_image.png"))]
    masks = [read_mask(path, labels) for path in sorted(folder.glob("[0-9]*_mask.png"))]
    return images, masks


@pytest.mark.parametrize("given", SETS, ids="+".join)
def test_scenes_are_drawn_given_any_views(run, tmp_path, undrawn, given):
    out = tmp_path / "out"
    made = draw_request(run, _request(*given, count=3), out=out, device="cpu")
    images, masks = _read(out, run.schema.labels)
    assert [x.shape for x in images] == [(3, 16, 16)] * 3
    assert [x.shape for x in masks] == [(16, 16)] * 3
    listed = json.loads((out / "classes.json").read_text())
    assert [set(classes) for classes in listed] == [set(run.schema.labels.classes)] * 3
    assert made.files == len(list(out.iterdir())) == 10
    assert made.picture.name == f"from-{'+'.join(given) or 'prior'}-1.png"


@pytest.mark.parametrize(
    ("name", "given", "files"),
    [("cvae", ("image",), 5), ("cvae", ("image", "mask"), 5), ("segmenter", ("image",), 3)],
)
def test_a_model_of_masks_draws_masks(fitted, tmp_path, name, given, files):
    made = draw_request(
        fitted(name, steps=1)[0], _request(*given, count=3), out=tmp_path / "out", device="cpu"
    )
    assert made.files == files
    assert made.picture.is_file()


def test_the_picture_says_what_was_given(run):
    made = draw_request(run, _request("image", classes="circle, ring"), device="cpu")
    assert made.title == "drawn given the image + circle, ring"
    assert made.picture.read_bytes().startswith(b"\x89PNG")
    assert draw_request(run, _request(), device="cpu").title == "drawn from the prior"


def test_the_same_seed_draws_the_same_scenes(run, tmp_path, undrawn):
    before = torch.get_rng_state()
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        draw_request(run, _request("mask", seed=seed), out=tmp_path / name, device="cpu")
    a, b, c = (_bytes(tmp_path / name) for name in "abc")
    assert a == b
    assert a != c
    assert torch.get_rng_state().equal(before)


def _bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_pictures_do_not_replace_each_other(run, undrawn, monkeypatch):
    monkeypatch.setattr("inference.prediction.sample.draw_samples", lambda path, *_: _touch(path))
    names = [draw_request(run, _request("mask"), device="cpu").picture.name for _ in range(2)]
    assert names == ["from-mask-1.png", "from-mask-2.png"]


def _touch(path):
    path.parent.mkdir(exist_ok=True)
    path.touch()


def test_a_walk_leads_in_a_straight_line_from_draw_to_draw(run, tmp_path, undrawn):
    ends = torch.randn(2, 1, 4)
    path = walk(ends, 5)
    assert path[0].equal(ends[0])
    assert path[-1].equal(ends[1])
    torch.testing.assert_close(path[1:] - path[:-1], ((ends[1] - ends[0]) / 4).expand(4, 1, 4))
    for name, count, along in (("draws", 2, False), ("walk", 5, True)):
        request = _request("image", count=count, walk=along)
        made = draw_request(run, request, out=tmp_path / name, device="cpu")
    assert made.title == "drawn given the image, a walk"
    draws, steps = (_read(tmp_path / name, run.schema.labels) for name in ("draws", "walk"))
    for plain, along in zip(draws, steps, strict=True):
        assert len(along) == 5
        assert plain[0].equal(along[0])
        assert plain[1].equal(along[-1])


def test_what_is_written_is_what_was_drawn(run, tmp_path, undrawn):
    from inference.prediction.figures import sampled
    from inference.prediction.predict import draw

    draw_request(run, _request("mask", seed=4), out=tmp_path / "out", device="cpu")
    assembly, given = restore(run), gather(_request("mask"), run.schema)
    torch.manual_seed(4)
    wanted = sampled(assembly, draw(assembly, given, 2, 1), given)
    images, masks = _read(tmp_path / "out", run.schema.labels)
    assert torch.stack(masks).long().equal(wanted["mask"])
    assert (torch.stack(images) / 255 - wanted["image"]).abs().max() <= 0.5 / 255 + 1e-6


def test_means_and_doubt_are_those_of_the_draws(run, tmp_path, undrawn):
    from inference.prediction.figures import probable
    from inference.prediction.predict import draw

    draw_request(run, _request("mask", count=5), out=tmp_path / "out", device="cpu")
    assembly, given = restore(run), gather(_request("mask"), run.schema)
    torch.manual_seed(0)
    probs = probable(assembly, draw(assembly, given, 5, 1), given)["mask"].mean(0)
    mean = read_mask(tmp_path / "out" / "mean_mask.png", run.schema.labels)
    assert mean.long().equal(probs.argmax(0))
    doubt = torch.distributions.Categorical(probs.movedim(0, -1)).entropy() / math.log(len(probs))
    grey = read_image(tmp_path / "out" / "entropy.png")[0] / 255
    torch.testing.assert_close(grey, doubt, atol=0.51 / 255, rtol=0)


def test_a_walk_has_no_mean(run, tmp_path, undrawn):
    draw_request(run, _request(count=3, walk=True), out=tmp_path / "out", device="cpu")
    assert not list((tmp_path / "out").glob("mean_*"))


@pytest.mark.parametrize("method", ["svi", "hmc"])
def test_a_refined_belief_is_drawn_from_given_views_the_guide_cannot_read(
    fitted, tmp_path, undrawn, method, monkeypatch
):
    monkeypatch.setattr("inference.prediction.refine.CHAIN", 8)
    run, _ = fitted("jvae", steps=1)
    request = replace(_request("mask"), refine=Refinement(method, 9))
    made = draw_request(run, request, out=tmp_path / "out", device="cpu")
    assert made.title == f"drawn given the mask, refined by {method}"
    assert (made.refined.acceptance is None) == (method == "svi")
    assert len(_read(tmp_path / "out", run.schema.labels)[1]) == 2
    with pytest.raises(ValueError, match=r"no belief given just mask; .* or add --refine svi"):
        draw_request(run, _request("mask"), device="cpu")


def test_a_scene_of_a_split_gives_its_views(run):
    scenes = SyntheticScenes("val", size=(16, 16))
    found = gather(_request(image="val:3", mask="val:3", classes="val:3"), run.schema)
    wanted = scenes.views([3])
    assert found.names == VIEWS
    assert all(found[name].equal(wanted[name]) for name in VIEWS)


def test_pictures_are_resized_and_masks_keep_their_ids(run, tmp_path):
    mask = torch.randint(0, 7, (40, 33), dtype=torch.uint8)
    image = torch.randint(0, 256, (3, 40, 33), dtype=torch.uint8)
    write_mask(tmp_path / "m.png", mask, run.schema.labels)
    write_image(tmp_path / "i.png", image)
    request = _request(image=str(tmp_path / "i.png"), mask=str(tmp_path / "m.png"))
    found = gather(request, run.schema)
    frame = Frame((40, 33), (16, 16))
    assert found["mask"][0].equal(frame.apply_mask(mask).long())
    assert (found["image"][0] * 255).equal(frame.apply_image(image).float())


def test_names_of_classes_are_a_class_vector(run):
    found = gather(_request(classes=" ring ,circle,"), run.schema)["classes"][0]
    assert run.schema.labels.decode(found) == ("circle", "ring")


def test_nothing_given_is_nothing(run):
    assert gather(_request(), run.schema) is None


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ({"image": "gone.png"}, r"There is no picture gone\.png"),
        ({"mask": "test:99"}, "test:99 is not there; synthetic-default test has scenes 0 to 5"),
        ({"classes": "circel"}, "No class is called 'circel'. Did you mean 'circle'"),
    ],
)
def test_views_that_are_not_there_are_a_sentence(run, texts, sentence):
    before = sorted(run.folder.rglob("*"))
    with pytest.raises((LookupError, OSError), match=sentence):
        draw_request(run, _request(**texts), device="cpu")
    assert sorted(run.folder.rglob("*")) == before


def test_an_image_and_a_mask_of_other_sizes_are_refused(run, tmp_path):
    write_mask(tmp_path / "m.png", torch.zeros(20, 30).byte(), run.schema.labels)
    write_image(tmp_path / "i.png", torch.zeros(3, 30, 20).byte())
    request = _request(image=str(tmp_path / "i.png"), mask=str(tmp_path / "m.png"))
    with pytest.raises(ValueError, match=r"i\.png is 20×30 but .*m\.png is 30×20; give an image"):
        draw_request(run, request, device="cpu")


def test_a_model_that_reads_images_asks_for_one(fitted):
    run, _ = fitted("cvae", steps=1)
    with pytest.raises(ValueError, match="A cvae draws given an image; add --from-image"):
        draw_request(run, _request("mask"), device="cpu")
    with pytest.raises(ValueError, match=r"cvae has no belief given just image \+ classes; give"):
        draw_request(run, _request("image", "classes"), device="cpu")


def test_outputs_that_exist_are_kept_unless_forced(run, tmp_path, undrawn):
    (tmp_path / "a.png").write_text("mine")
    (tmp_path / "out").mkdir()
    for paths in ({"picture": tmp_path / "a.png"}, {"out": tmp_path / "out"}):
        with pytest.raises(FileExistsError, match="exists; choose another, or --force"):
            draw_request(run, _request(), device="cpu", **paths)
        draw_request(run, _request(), device="cpu", force=True, **paths)
    with pytest.raises(FileExistsError, match="is a file; --out names a folder"):
        draw_request(run, _request(), device="cpu", force=True, out=tmp_path / "a.png")


def test_force_leaves_no_view_of_an_earlier_call(run, tmp_path, undrawn):
    """A folder holds the scenes of one call, and whatever else was in it."""
    out = tmp_path / "out"
    draw_request(run, _request(count=3), out=out, device="cpu")
    (out / "mine_mask.png").write_text("kept")
    made = draw_request(run, _request(count=1), out=out, device="cpu", force=True)
    assert made.files == 6
    assert {path.name for path in out.iterdir()} == {
        "000_image.png", "000_mask.png", "classes.json", "mine_mask.png",
        "mean_image.png", "mean_mask.png", "entropy.png",
    }  # fmt: skip


def test_views_that_cannot_be_written_leave_the_folder_as_it_was(
    run, tmp_path, undrawn, monkeypatch
):
    out = tmp_path / "out"
    draw_request(run, _request(count=2), out=out, device="cpu")
    before = _bytes(out)

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr("inference.prediction.view_files.write_mask", full)
    for folder in (out, tmp_path / "new"):
        with pytest.raises(OSError, match="disk full"):
            draw_request(run, _request(seed=9), out=folder, device="cpu", force=True)
    assert _bytes(out) == before
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".*"))


def test_what_a_killed_sampling_left_goes_with_the_next(run, tmp_path, undrawn):
    left = tmp_path / ".out.part" / "new"
    left.mkdir(parents=True)
    (left / "000_image.png").write_bytes(b"half")
    draw_request(run, _request(count=1), out=tmp_path / "out", device="cpu")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("name", ["mask", "classes"])
def test_scenes_of_other_labels_are_refused_unless_only_their_image_is_seen(
    run, voc_folder, undrawn, name
):
    def request(view):
        return Request({view: "val:0"}, 1, False, 0, str(voc_folder))

    with pytest.raises(ValueError, match="was trained on other labels than those of pets"):
        draw_request(run, request(name), device="cpu")
    assert draw_request(run, request("image"), device="cpu").title == "drawn given the image"


def test_there_is_no_walk_without_a_latent(fitted):
    run, _ = fitted("segmenter", steps=1)
    with pytest.raises(ValueError, match="A segmenter has no z to walk through; leave out --walk"):
        draw_request(run, _request("image", walk=True), device="cpu")


def test_a_folder_without_a_test_split_gives_scenes_of_the_one_it_is_scored_on(voc_folder):
    val = VOCScenes(voc_folder, "val", (16, 16))
    request = Request({"mask": "test:1"}, 1, False, 0, str(voc_folder))
    assert torch.equal(gather(request, val.schema)["mask"][0], val[1].mask.long())


@pytest.mark.parametrize("number", [1, 6, 8])
def test_a_mask_of_stored_pixels_is_turned_with_its_photo(run, tmp_path, number):
    """What is given is the photo as EXIF turns it, and its mask, pixel upon pixel."""
    labels, mask = run.schema.labels, torch.zeros(16, 24, dtype=torch.uint8)
    mask[:4, :4] = 1
    write_image(tmp_path / "a.png", 255 * mask.expand(3, -1, -1))
    write_mask(tmp_path / "m.png", mask, labels)
    exif = Image.Exif()
    exif[0x0112] = number
    with Image.open(tmp_path / "a.png") as picture:
        picture.save(tmp_path / "a.png", exif=exif)
    request = _request(image=str(tmp_path / "a.png"), mask=str(tmp_path / "m.png"))
    schema = replace(run.schema, size=(24, 16) if number > 1 else (16, 24))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if number > 1 else "error", Notice)
        views = gather(request, schema)
    assert torch.equal(views["image"][0, 0] > 0.5, views["mask"][0] == 1)


def test_a_mask_is_read_as_the_label_map_says(run, tmp_path):
    """Black and white are the two labels that have these colours, not one label and void."""
    schema = replace(run.schema, labels=Labels(("no", "yes"), ((0, 0, 0), (255, 255, 255))))
    Image.fromarray(np.eye(16, dtype=np.uint8) * 255).save(tmp_path / "m.png")
    views = gather(_request(mask=str(tmp_path / "m.png")), schema)
    assert views["mask"][0].tolist() == np.eye(16, dtype=int).tolist()
