"""`scene segment`: files beside their pictures, lines or JSON, and three ways to end."""

import io
import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from scene.images.io import read_image, read_mask, write_image

CPU = ("--device", "cpu")


@pytest.fixture
def photo(place):
    """Put a photograph of 20×30 pixels into the folder."""
    write_image(place / "cat.jpg", torch.rand(3, 20, 30))
    return place / "cat.jpg"


def listed(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_mask_and_an_overlay_lie_beside_the_picture(scene, trained, photo, place):
    run = trained("segmenter")
    result = scene("segment", "cat.jpg", "--run", run, *CPU)
    assert (result.code, result.err) == (0, "")
    assert listed(place) == ["cat.jpg", "cat_mask.png", "cat_overlay.png"]
    with Image.open(place / "cat_mask.png") as mask:
        assert (mask.mode, mask.size) == ("P", (30, 20))
    assert read_image(place / "cat_overlay.png").shape[2] >= 30
    name, _, shares = result.out.strip().partition(": ")
    assert name == "cat_mask.png"
    assert sum(float(s.split()[-1].rstrip("%")) for s in shares.split(", ")) == pytest.approx(
        100, abs=0.5
    )


def test_json_is_one_document_and_alone_on_standard_output(scene, trained, photo, place):
    run = trained("segmenter")
    write_image(place / "dog.png", torch.rand(3, 8, 8))
    words = ("--json", "--mask-only", "--uncertainty", "--out", "new/out", "--run", run, *CPU)
    result = scene("segment", "cat.jpg", "gone.jpg", "dog.png", *words)
    assert result.code == 1
    report = json.loads(result.out, parse_constant=lambda word: pytest.fail(word))
    assert {k: report[k] for k in ("run", "recipe", "stage")} == {
        "run": str(run), "recipe": "segmenter", "stage": "mask",
    }  # fmt: skip
    cat, dog = report["images"]
    assert cat["size"] == [20, 30]
    assert dog["size"] == [8, 8]
    assert set(cat) == {"image", "mask", "uncertainty", "size", "classes", "confidence"}
    assert sum(label["pixels"] for label in cat["classes"]) == pytest.approx(1)
    ids = read_mask(place / cat["mask"], read_labels(run)).unique().tolist()
    assert sorted(label["id"] for label in cat["classes"]) == ids
    assert [failure["name"] for failure in report["failed"]] == ["gone.jpg"]
    assert listed(place / "new" / "out") == [
        "cat_mask.png", "cat_uncertainty.png", "dog_mask.png", "dog_uncertainty.png",
    ]  # fmt: skip
    with Image.open(place / cat["uncertainty"]) as map_:
        assert (map_.mode, map_.size) == ("L", (30, 20))


def test_probabilities_are_those_of_the_mask(scene, trained, photo, place):
    run = trained("segmenter")
    words = ("segment", "cat.jpg", "--probs", "--run", run, *CPU)
    assert scene(*words).code == 0
    with np.load(place / "cat_probs.npz") as held:
        assert set(held) == {"probs", "labels", "ids", "size"}
        assert held["ids"].tolist() == list(range(len(held["labels"])))
        probs, names, size = held["probs"], held["labels"], held["size"]
    assert (probs.dtype, probs.shape[1:]) == (np.float32, tuple(size))
    assert tuple(names) == read_labels(run).names
    assert np.allclose(probs.sum(0), 1, atol=1e-5)
    assert np.array_equal(probs.argmax(0), read_mask(place / "cat_mask.png", read_labels(run)))
    crf = ("--stage", "mask+crf", "--pixels", 150, "--engine", "exact", "--out", "small", "--json")
    report = json.loads(scene(*words, *crf).out)
    with np.load(place / report["images"][0]["probs"]) as held:
        assert held["probs"][0].size <= 150
        assert tuple(held["size"]) == tuple(size)


def test_probabilities_are_not_overwritten_and_no_half_of_them_stays(
    scene, trained, photo, place, monkeypatch
):
    run = trained("segmenter")
    (place / "cat_probs.npz").write_bytes(b"a colleague's")
    words = ("segment", "cat.jpg", "--probs", "--run", run, *CPU)
    result = scene(*words)
    assert result.code == 1
    assert result.last == (
        "scene: cat_probs.npz exists; choose another --out, or --force to replace it."
    )

    def full(file, **_):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("inference.segmentation.segmentation.np.savez", full)
    assert scene(*words, "--force").code == 1
    assert (place / "cat_probs.npz").read_bytes() == b"a colleague's"
    assert not list(place.glob(".*"))


def read_labels(run):
    from inference.runs.run import read

    return read(run).schema.labels


def test_a_corrupt_picture_does_not_stop_the_batch(scene, trained, photo, place):
    (place / "bad.jpg").write_bytes(photo.read_bytes()[:200])
    result = scene("segment", ".", "*.gif", "--run", trained("segmenter"), *CPU)
    assert result.code == 1
    assert result.err.splitlines() == [
        "scene: Nothing matches *.gif; check the folder and the suffix.",
        "scene: bad.jpg cannot be read as a picture, it may be damaged; export or copy it again.",
    ]
    assert result.out.startswith("cat_mask.png: ")
    assert "bad_mask.png" not in listed(place)


def test_pictures_of_every_kind_are_labelled_as_a_person_sees_them(scene, trained, place):
    plain = Image.linear_gradient("L").resize((12, 9))
    plain.save(place / "grey.png")
    plain.convert("RGBA").save(place / "alpha.png")
    plain.convert("CMYK").save(place / "ink.jpg")
    plain.convert("P").save(place / "palette.gif")
    Image.new("I;16", (12, 9), 40000).save(place / "deep.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    plain.convert("RGB").save(place / "turned.jpg", exif=turned)
    Image.new("RGB", (1, 1)).save(place / "dot.bmp")
    result = scene("segment", ".", "--mask-only", "--json", "--run", trained("segmenter"), *CPU)
    assert (result.code, result.err) == (0, "")
    sizes = {image["image"]: image["size"] for image in json.loads(result.out)["images"]}
    assert sizes.pop("turned.jpg") == [12, 9]
    assert sizes.pop("dot.bmp") == [1, 1]
    assert len(sizes) == 5
    assert set(map(tuple, sizes.values())) == {(9, 12)}


def test_names_come_in_from_standard_input(scene, trained, photo, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("cat.jpg\n"))
    result = scene("segment", "-", "--mask-only", "--run", trained("segmenter"), *CPU)
    assert (result.code, result.out.partition(":")[0]) == (0, "cat_mask.png")


def test_the_crf_is_used_where_it_is_asked_for(scene, trained, photo, place):
    run = trained("segmenter")

    def stage(*words):
        result = scene("segment", "cat.jpg", "--json", "--force", "--run", run, *words, *CPU)
        assert result.code == 0, result.err
        report = json.loads(result.out)
        return report["stage"], report["images"][0]["confidence"]

    plain = stage()
    assert plain[0] == stage("--no-crf")[0] == "mask"
    strong = ("--smoothness-weight", 100, "--appearance-weight", 0, "--engine", "exact")
    smooth = stage(*strong)
    assert smooth[0] == "mask+crf"
    assert smooth[1] > plain[1] + 0.01
    file = {"format": 1, "parameters": {"smoothness_weight": 100, "appearance_weight": 0}}
    (place / "crf.json").write_text(json.dumps(file))
    assert stage("--params", "crf.json", "--engine", "exact") == smooth
    off = ("--smoothness-weight", 0, "--appearance-weight", 0)
    assert stage("--stage", "mask+crf", *off)[1] == pytest.approx(plain[1], abs=1e-4)


STRONG = {"smoothness_weight": 100, "appearance_weight": 0}


@pytest.mark.parametrize("helps", [True, False])
def test_the_crf_fitted_to_a_run_is_used_if_it_helps(scene, trained, photo, place, helps):
    run = trained("segmenter")
    note = "mIoU on val is 41.40 without, 33.80 with it"
    file = {"format": 1, "parameters": STRONG, "helps": helps, "note": note}
    (run / "crf.json").write_text(json.dumps(file))

    def taken(*words):
        result = scene("segment", "cat.jpg", "--json", "--force", "--run", run, *words, *CPU)
        assert result.code == 0, result.err
        report = json.loads(result.out)
        line = " ".join(result.err.split()).replace(f"{run}/ ", f"{run}/")
        return report["stage"], report["images"][0]["confidence"], line

    plain, fitted = taken("--no-crf"), taken("--stage", "mask+crf")
    assert plain[::2] == ("mask", "")
    assert fitted[0] == "mask+crf"
    assert fitted[1] > plain[1] + 0.01
    but = "" if helps else ", although it does not help"
    assert fitted[2].replace(" ", "") == f"CRFof{run}/crf.json{but}:{note}".replace(" ", "")
    if helps:
        assert taken() == fitted
    else:
        stage, confidence, line = taken()
        assert (stage, confidence) == plain[:2]
        told = f"no CRF: that of {run}/crf.json does not help: {note}"
        assert line.replace(" ", "") == told.replace(" ", "")
    (place / "own.json").write_text(json.dumps({"format": 1, "parameters": {"iterations": 0}}))
    own = taken("--params", "own.json")
    assert own[::2] == ("mask+crf", "")
    assert own[1] == pytest.approx(plain[1], abs=1e-4)
    assert taken("--smoothness-weight", 0)[1] == pytest.approx(plain[1], abs=1e-4)


def test_a_damaged_file_of_a_run_s_crf_is_refused(refused, trained, photo):
    run = trained("segmenter")
    (run / "crf.json").write_text('{"format": 1, "parameters": {}, "helps": "yes"}')
    assert "holds no CRF parameters: helps is true or false" in refused(
        "segment", "cat.jpg", "--run", run, *CPU
    )


def test_draws_of_a_model_with_a_latent_are_seeded(scene, trained, photo):
    run = trained("cvae")

    def confidence(seed):
        words = ("--mask-only", "--force", "--json", "--seed", seed)
        result = scene("segment", "cat.jpg", "--run", run, *words, *CPU)
        return json.loads(result.out)["images"][0]["confidence"]

    assert confidence(0) == confidence(0) != confidence(1)


def test_the_newest_run_of_sec_is_taken_else_a_classifier_and_it_says_so(scene, trained, photo):
    def taken(*words):
        result = scene("segment", "cat.jpg", "--json", "--force", *words, *CPU)
        assert result.code == 0, result.err
        report = json.loads(result.out)
        return report["run"], report["stage"], result.err.strip()

    trained("segmenter")
    maps = trained("classifier")
    run, stage, note = taken()
    assert (run, stage) == (str(maps), "gradcam+crf")
    assert note == f"run {maps}: no run of sec, so class maps"
    sec = trained("sec")
    later = trained("classifier", "later")
    os.utime(later / "weights.safetensors")
    assert taken() == (str(sec), "sec+crf", f"run {sec}")
    assert taken("--no-crf")[1] == "sec"
    assert taken("--stage", "gradcam")[1:] == ("gradcam", f"run {later}")
    assert taken("--run", trained("supervised"))[1] == "mask"


def test_without_sec_or_a_classifier_any_model_that_reads_images_will_do(scene, trained, photo):
    def taken():
        result = scene("segment", "cat.jpg", "--force", "--json", *CPU)
        assert result.code == 0, result.err
        return json.loads(result.out)["stage"], result.last

    joint = trained("telbo")
    trained("jvae", "newer")  # reads image and classes together
    why = "no run of sec or of a classifier, so masks of"
    assert taken() == ("mask", f"run {joint}: {why} telbo")
    masks = trained("segmenter")
    os.utime(joint / "weights.safetensors")
    assert taken() == ("mask", f"run {masks}: {why} segmenter")


def test_without_a_model_there_is_a_sentence(refused, photo):
    assert refused("segment", "cat.jpg").startswith(
        "There is no trained model to segment with in "
    )
    sentence = refused("segment", "cat.jpg", *CPU)
    assert "`scene train classifier --data DATA`, then `scene train sec --data DATA`" in sentence


def test_what_would_be_lost_is_refused_before_work_begins(refused, trained, photo, place):
    run = trained("segmenter")
    (place / "sub").mkdir()
    write_image(place / "sub" / "cat.png", torch.rand(3, 8, 8))
    result = refused("segment", "cat.jpg", "sub", "--out", "out", "--run", run, *CPU)
    assert "cat.jpg and sub/cat.png would both be written to out/cat_mask.png" in result
    (place / "sub" / "cat_overlay.png").write_text("mine")
    result = refused("segment", "cat.jpg", "sub", "--run", run, *CPU)
    assert result.startswith("sub/cat_overlay.png exists; choose another --out, or --force")
    result = refused("segment", "cat.jpg", "--stage", "sec", "--run", run, *CPU)
    assert result.endswith("is a run of segmenter; choose one of its stages: mask, mask+crf.")
    result = refused("segment", "cat.jpg", "--params", "none.json", "--run", run, *CPU)
    assert result.startswith("There is no file of CRF parameters none.json")
    os.remove(run / "weights.safetensors")
    assert "is not complete" in refused("segment", "cat.jpg", "--run", run, *CPU)


def test_a_mistake_of_usage_is_exit_2(scene, trained, photo, place):
    run = trained("segmenter")
    for words in (
        (), ("cat.jpg", "--opacity", 2), ("cat.jpg", "--stage", "sek"),
        ("cat.jpg", "--pixels", 0), ("cat.jpg", "--no-crf", "--stage", "mask+crf"),
        ("cat.jpg", "--no-crf", "--iterations", 3), ("cat.jpg", "--scales", "one"),
    ):  # fmt: skip
        result = scene("segment", *words, "--run", run, *CPU)
        assert (result.code, result.out) == (2, ""), words
    assert listed(place) == ["cat.jpg"]
