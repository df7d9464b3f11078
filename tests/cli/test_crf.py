"""`scene crf`: masks refined, kernels taken away, parameters learned; refusals of one sentence."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from inference.crf.parameters import load
from inference.experiments.crf.unaries import Noise
from scene.datasets.catalogue import open_data
from scene.images.io import read_image, read_mask, write_image, write_mask
from scene.labels import Labels

EXACT = ("--engine", "exact", "--iterations", "2")
PETS = Labels(("background", "cat", "dog", "bird"))


@pytest.fixture
def photo(voc_folder, place):
    """Put a photograph, its noisy mask and noisy probabilities into the working directory."""
    pets = open_data(str(voc_folder), "val")
    scene = pets.original(0)
    probs = Noise().probs(pets, 0, scene)[0]
    write_image(place / "photo.png", scene.image)
    write_mask(place / "rough.png", probs.argmax(0), PETS)
    write_image(
        place / "colours.png", torch.from_numpy(PETS.palette)[probs.argmax(0)].movedim(2, 0)
    )
    np.save(place / "p.npy", probs.numpy())
    np.savez_compressed(place / "p.npz", probs.numpy().astype(np.float16))
    return scene


def _rows(text):
    lines = [line.strip("│").split("│") for line in text.splitlines() if line.startswith("│")]
    return {cells[0].strip(): [c.strip() for c in cells[1:]] for cells in lines}


@pytest.mark.parametrize(
    "words",
    [
        ("--probs", "p.npy"),
        ("--probs", "p.npz"),
        ("--labels", "rough.png", "--confidence", "0.6"),
        ("--labels", "colours.png"),
    ],
)
def test_a_photograph_is_refined(scene, photo, place, words):
    result = scene("crf", "refine", "photo.png", *words, "--smoothness-weight", 1, *EXACT)
    assert result.code == 0, result.err
    assert result.out.startswith("photo_mask.png: 0 ")
    assert result.out.endswith("% of pixels changed\n")
    actual = read_mask(place / "photo_mask.png", PETS)
    rough = read_mask(place / "rough.png", PETS)
    assert (actual == photo.mask).float().mean() > (rough == photo.mask).float().mean()
    assert read_image(place / "photo_overlay.png").shape == photo.image.shape


def test_a_name_with_a_suffix_is_the_mask(scene, photo, place):
    result = scene("crf", "refine", "photo.png", "--probs", "p.npy", "--out", "new/m.png", *EXACT)
    assert (result.code, sorted(p.name for p in (place / "new").iterdir())) == (
        0, ["m.png", "m_overlay.png"],
    )  # fmt: skip


def test_labels_get_their_names_and_colours(scene, photo, voc_folder):
    words = ("crf", "refine", "photo.png", "--probs", "p.npy", "--force", *EXACT)
    assert "background" in scene(*words, "--data", voc_folder).out
    assert "background" in scene(*words, "--labelmap", voc_folder / "labelmap.txt").out


def test_the_label_map_decides_what_a_mask_means(scene, refused, photo, place):
    """Black and white: one label and void, or two labels if the label map says so."""
    white = (photo.mask > 0).byte() * 255
    Image.fromarray(white.numpy()).save(place / "bw.png")
    Image.fromarray(white.numpy()).save(place / "bw.jpg")
    words = ("crf", "refine", "photo.png", "--labels", "bw.png", *EXACT)
    sentence = refused(*words)
    assert sentence.startswith("bw.png holds one label, 0, and void (255); if white is a label, ")
    (place / "bw.txt").write_text("background:0,0,0::\nobject:255,255,255::\n")
    result = scene(*words, "--labelmap", "bw.txt")
    assert result.code == 0, result.err
    assert "object" in result.out
    sentence = refused("crf", "refine", "photo.png", "--labels", "bw.jpg", *EXACT, "--out", "new")
    assert sentence.startswith("bw.jpg is JPEG, which changes the labels of a mask at edges;")


@pytest.mark.filterwarnings("default::scene.notices.Notice")
def test_a_mask_of_stored_pixels_is_turned_with_its_photo(scene, photo, place):
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(place / "photo.png") as picture:
        picture.save(place / "turned.png", exif=exif)
    result = scene("crf", "refine", "turned.png", "--labels", "rough.png", *EXACT)
    assert result.code == 0
    assert "they are turned, too; if that is wrong, save the photo upright" in result.err
    assert read_mask(place / "turned_mask.png", PETS).shape == photo.mask.T.shape


def test_marginals_and_json_are_optional(scene, photo, place):
    words = ("--probs", "p.npy", "--out", "new", "--save-probs", "q.npy", "--json")
    report = json.loads(scene("crf", "refine", "photo.png", *words, *EXACT).out)
    q = np.load(place / "q.npy")
    assert (q.argmax(0) == read_mask(place / "new/photo_mask.png", PETS).numpy()).all()
    assert report["pixels"] == q[0].size
    assert sum(report["shares"].values()) == pytest.approx(1)
    assert report["files"] == ["new/photo_mask.png", "new/photo_overlay.png", "q.npy"]


def test_no_kernels_change_nothing(scene, photo):
    words = ("--labels", "rough.png", "--smoothness-weight", 0, "--appearance-weight", 0)
    assert "; 0.0% of pixels changed" in scene("crf", "refine", "photo.png", *words, *EXACT).out


REFUSED = {
    "neither": ((), "Give --probs p.npy or --labels l.png: one of the two."),
    "both": (("--probs", "p.npy", "--labels", "rough.png"), "one of the two."),
    "missing": (("--probs", "gone.npy"), "There is no array gone.npy;"),
    "text": (("--probs", "photo.png"), "photo.png cannot be read as numbers;"),
    "axes": (("--probs", "hwl.npy"), "hwl.npy: The probs are"),
    "sum": (("--probs", "twice.npy"), "twice.npy: probs must sum to one over labels"),
    "nan": (("--probs", "nan.npy"), "nan.npy: probs hold a NaN"),
    "size": (("--labels", "small.png"), "small.png is 3×2 but the photo is"),
    "void": (("--labels", "void.png"), "void.png is void (255) everywhere, so"),
    "sigma": (("--probs", "p.npy", "--appearance-sigma-rgb", "0"), "must be positive, not 0"),
    "engine": (("--probs", "p.npy", "--engine", "exat"), "Did you mean 'exact'?"),
    "confidence": (("--labels", "rough.png", "--confidence", "1"), "confidence must lie between"),
    "params": (("--probs", "p.npy", "--params", "gone.json"), "no file of CRF parameters"),
    "fitted": (("--probs", "p.npy", "--params", "two.json"), "fitted to 2 labels, but here are 4"),
    "names": (
        ("--probs", "p.npy", "--data", "voc2012"),
        "holds 4 labels, but --data or --labelmap names 21;",
    ),
    "input": (("--labels", "photo_mask.png"), "photo_mask.png is an input,"),
    "marginals": (("--probs", "p.npy", "--save-probs", "q.npz"), "call it q.npy."),
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_what_cannot_be_refined(refused, photo, place, wrong):
    probs = np.load("p.npy")
    for name, created in {
        "hwl": probs.transpose(1, 2, 0),
        "twice": 2 * probs,
        "nan": np.where(probs == probs.max(), np.nan, probs),
    }.items():
        np.save(f"{name}.npy", created)
    write_mask(place / "small.png", torch.zeros(2, 3), PETS)
    write_mask(place / "void.png", torch.full_like(photo.mask, 255), PETS)
    (place / "two.json").write_text('{"format": 1, "parameters": {"compatibility": [1, 1]}}')
    if wrong == "input":
        (place / "rough.png").rename("photo_mask.png")
    words, sentence = REFUSED[wrong]
    assert sentence in refused("crf", "refine", "photo.png", *words, "--iterations", 1)


def test_what_is_there_is_not_written_over(scene, refused, photo):
    words = ("crf", "refine", "photo.png", "--probs", "p.npy", *EXACT)
    assert scene(*words).code == 0
    assert "photo_mask.png exists; choose another --out, or --force" in refused(*words)
    assert scene(*words, "--force").code == 0


ABLATE = ("crf", "ablate", "--alphas", "8", "--betas", "5,20", *EXACT)


def test_the_table_has_a_row_for_each_kernel(scene, voc_folder, place):
    result = scene(*ABLATE, "--data", voc_folder, "--noise")
    assert result.code == 0, result.err
    kinds = (
        "unaries alone",
        "smoothness only",
        "appearance only",
        "both",
        "both, best of the grid",
    )
    rows = _rows(result.out)
    assert [name for name in rows if name in kinds] == list(kinds)
    assert max(map(len, result.out.splitlines())) <= 80
    assert "Best on tune: θα 8, θβ " in result.out
    assert (place / "crf-pets-noise" / "grid.png").is_file()
    report = json.loads((place / "crf-pets-noise" / "ablation.json").read_text())
    assert report["split"] == "val"
    assert report["grid"]["split"] == "tune"
    assert f"{report['rows']['both']['miou']:.1f}" == rows["both"][0]


def test_a_second_call_finds_everything_done(scene, voc_folder, monkeypatch):
    words = (*ABLATE, "--data", voc_folder, "--noise", "--json")
    first = json.loads(scene(*words).out)
    monkeypatch.setattr("inference.experiments.crf.measure.refine_logits", None)
    assert json.loads(scene(*words).out) == first


def test_the_unaries_of_a_run_score_as_the_run_does(scene, trained):
    run = trained("segmenter")
    scored = json.loads(scene("evaluate", run, "--json", "--device", "cpu").out)
    (cell,) = (c for c in scored["results"]["8 draws"] if c["title"] == "image → mask")
    result = scene(*ABLATE, "--run", run, "--alphas", "", "--json", "--device", "cpu")
    actual = json.loads(result.out)
    assert actual["split"] == scored["split"]
    assert actual["unaries"] == "segmenter"
    assert actual["rows"]["unary"]["miou"] == cell["score"]["miou"]


def test_the_grid_can_be_of_the_split_itself_but_not_chosen_from(scene, voc_folder):
    result = scene(*ABLATE, "--data", voc_folder, "--noise", "--choose-on", "none")
    assert "best of the grid" not in result.out
    assert "look at it, but choose elsewhere" in result.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--noise", "--probs", "p"), "one of --run, --probs and --noise"),
        (("--probs", "gone"), "There is no folder"),
        (("--noise", "--choose-on", "val"), "chosen on val cannot be reported on val;"),
        (("--noise", "--choose-on", "tun"), "has no split 'tun' to choose on;"),
        (("--noise", "--split", "tset"), "has no split 'tset'; it has"),
        (("--noise", "--betas", "3,x"), "--betas '3,x' are not positive numbers;"),
        (("--noise", "--jobs", "0"), "--jobs must be 1 or more, not 0."),
        (("--noise", "--limit", "0"), "--limit must be 1 or more, not 0."),
        (("--noise", "--out", "full"), "full holds mine.txt, which is no part of an ablation;"),
    ],
)
def test_what_cannot_be_ablated(refused, voc_folder, place, words, sentence):
    (place / "full").mkdir()
    (place / "full" / "mine.txt").write_text("mine")
    assert sentence in refused(*ABLATE, "--data", voc_folder, *words)


FIT = ("crf", "fit", "--noise", "--iterations", "2", "--engine", "exact", "--limit", "2")


def test_what_is_fitted_is_written_and_read(scene, voc_folder, photo, place):
    words = ("--data", voc_folder, "--split", "train", "--steps", "3", "--compatibility", "full")
    result = scene(*FIT, *words)
    assert result.code == 0, result.err
    assert {"unaries alone", "default CRF", "start", "fitted CRF"} <= set(_rows(result.out))
    assert "etter held out" in result.out
    actual = load(place / "crf.json")
    assert len(actual.compatibility) == 4
    assert actual.appearance_weight != 10
    words = ("--probs", "p.npy", "--params", "crf.json", "--engine", "exact")
    assert scene("crf", "refine", "photo.png", *words).code == 0
    report = json.loads((place / "crf.json").read_text())["fitted"]
    assert (report["fitted_on"], report["held_out"]) == ("train", "val")
    losses = report["losses"]["weights"]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("recipe", ["segmenter", "classifier"])
def test_what_is_fitted_to_a_run_is_kept_with_it_and_used(scene, trained, photo, recipe):
    run = trained(recipe)
    words = ("--steps", "1", "--iterations", "2", "--engine", "exact", "--limit", "2")
    result = scene("crf", "fit", run, *words, "--held-out", "val", "--device", "cpu", "--json")
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert report["file"] == str(run / "crf.json")
    stored = json.loads((run / "crf.json").read_text())
    assert stored["helps"] is report["helps"]
    better = report["after"]["miou"] > report["without_crf"]["miou"]
    assert report["helps"] is better
    result = scene("segment", "photo.png", "--run", run, "--json", "--device", "cpu")
    assert json.loads(result.out)["stage"].endswith("+crf") is better
    assert stored["note"].split()[0] in result.err


def test_a_grid_that_finds_nothing_better_says_so(scene, voc_folder):
    words = ("--method", "grid", "--alphas", "80", "--betas", "13", "--weights", "10", "--json")
    report = json.loads(scene(*FIT, "--data", voc_folder, "--split", "train", *words).out)
    assert report["verdict"] == "No better parameters: those of the start are kept."
    assert report["before"] == report["after"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--split", "val"), "fitted on val, so they cannot be scored there;"),
        (("--out", "crf.yaml"), "call it crf.json"),
        (("--smoothness-weight", 0, "--appearance-weight", 0), "there is no kernel to fit"),
        (("--split", "tset"), "has no split 'tset'; it has"),
        (("--out", "there.json"), "there.json exists;"),
    ],
)
def test_what_cannot_be_fitted(refused, voc_folder, place, words, sentence):
    (place / "there.json").write_text("mine")
    assert sentence in refused(*FIT, "--data", voc_folder, *words)
