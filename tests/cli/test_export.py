"""`scene export`: files that other programs run, and what is said of them."""

import json

import pytest


def test_a_segmenter_is_exported_beside_its_run(scene, trained):
    run = trained("segmenter")
    result = scene("export", run)
    assert result.code == 0, result.err
    assert "segmenter.onnx" in result.out
    assert "image → mask_logits" in " ".join(result.out.split())
    assert "compared on 6 scenes" in " ".join(result.out.split())
    assert "The dense CRF is no network" in " ".join(result.err.split())
    about = json.loads((run / "export" / "export.json").read_text())
    assert about["networks"][0]["largest_difference"] < 1e-4
    assert about["opset"] == 18


def test_parts_of_the_newest_run_go_where_they_are_wanted(scene, trained, place):
    trained("telbo")
    words = ("--format", "torch.export", "--part", "encoder", "--given", "image+classes")
    result = scene("export", *words, "--out", "files")
    assert result.code == 0, result.err
    assert sorted(p.name for p in (place / "files").iterdir()) == [
        "encoder-image+classes.pt2", "export.json"
    ]  # fmt: skip
    assert "run " in result.err


@pytest.mark.parametrize(
    ("name", "words", "sentence"),
    [
        ("classifier", (), "which has no network that can be exported"),
        ("segmenter", ("--part", "decoder"), "has no decoder, but: segmenter"),
        ("segmenter", ("--given", "image"), "--given is of encoders"),
        ("telbo", ("--given", "image+imagge"), "Did you mean 'image'?"),
        ("telbo", ("--out", "a.json"), "has the suffix of a file; leave out"),
    ],
)
def test_what_cannot_be_exported_is_a_sentence(refused, trained, name, words, sentence):
    assert sentence in refused("export", trained(name), *words)
