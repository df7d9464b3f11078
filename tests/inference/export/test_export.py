"""What is exported computes what the run computes, for any number of scenes, or is not written."""

import json

import onnxruntime
import pytest
import torch

from inference.api.export import export
from inference.build import assemble
from inference.export.networks import networks, parts_of, readable_sets
from inference.runs.checkpoints import save_weights
from inference.runs.run import WEIGHTS, create
from inference.settings.recipes import recipe
from scene.datasets.catalogue import open_data
from scene.views import VIEWS

KINDS = {
    "segmenter": {},
    "supervised": {},
    "sec": {"classifier": "none"},
    "telbo": {"spatial": 2, "mask_first": True, "prior": "standard"},
    "retrofit": {"guide": "retrofit", "prior": "standard"},
    "masked": {"guide": "masked", "spatial": 2, "prior": "standard"},
    "jvae": {"encode": ("image",), "prior": "standard"},
    "cvae": {"prior": "learned", "spatial": 2},
}
"""Recipes and guides: each part of code that is exported."""


@pytest.fixture(scope="module")
def scenes():
    return open_data("synthetic:default", "test", (20, 18))


@pytest.fixture
def model(tmp_path, few, scenes):
    """Make a run that has not learned: what it computes matters, not whether that is right."""
    from inference import load

    def make(name, **choices):
        named = name if name in ("segmenter", "supervised", "sec", "jvae", "cvae") else "telbo"
        choices = {**KINDS[name], **choices}
        small = {"size": (20, 18), "width": 4, "latent": 4, "guide_width": 4}
        small = {key: value for key, value in small.items() if recipe(named).takes(key)}
        choices.pop("classifier", None)
        settings = recipe(named).settings(data="synthetic:default", **{**small, **choices})
        run = create(settings, scenes.schema, "shapes", tmp_path / "run")
        assembly = assemble(settings, scenes.schema)
        with torch.no_grad():
            for tensor in assembly.model.buffers():  # what normalises, so that nothing is trivial
                if tensor.is_floating_point() and tensor.ndim == 1:
                    tensor.add_(torch.rand_like(tensor))
        save_weights(run.path(WEIGHTS), assembly, settings.title)
        return load(run, device="cpu")

    return make


@pytest.mark.parametrize("name", KINDS)
def test_a_captured_network_agrees_with_the_run_for_any_number_of_scenes(model, scenes, name):
    """Captured once with 2 scenes, run with 1 and 5."""
    from inference.export.formats import capture, difference

    fitted = model(name)
    views = scenes.views(range(5))
    inputs = {**dict(views.items()), "z": torch.randn(5, max(1, fitted.model.latent))}
    given = [frozenset(readable_sets(fitted.assembly).pop())] if fitted.model.latent else None
    found = networks(fitted.assembly, parts_of(fitted.model), given)
    assert found
    for network in found:
        examples = tuple(inputs[each] for each in network.inputs)
        module = capture(network, tuple(tensor[:2] for tensor in examples)).module()
        for count in (1, 5):
            some = tuple(tensor[:count] for tensor in examples)
            with torch.no_grad():
                actual, expected = module(*some), network.original(some)
            assert len(actual) == len(expected) == len(network.outputs)
            assert max(map(difference, actual, expected)) < 1e-5


def test_a_product_of_experts_has_an_encoder_given_each_set_of_views(model):
    sets = readable_sets(model("telbo").assembly)
    assert len(sets) == 7
    assert sets[-1] == VIEWS


def test_files_are_described_and_differ_little(model, tmp_path):
    fitted = model("telbo")
    given = [("image", "mask")]
    result = export(fitted, tmp_path / "out", format="torch.export", given=given)
    names = ["encoder-image+mask.pt2", "decoder.pt2"]
    assert [one.path.name for one in result.networks] == names
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted([*names, "export.json"])
    assert max(one.difference for one in result.networks) < 1e-4
    about = json.loads(result.about.read_text())
    assert about["input_size"] == [20, 18]
    assert about["labels"] == list(fitted.labels.names)
    assert about["networks"][0]["inputs"]["image"]["shape"] == ["batch", 3, 20, 18]
    assert about["networks"][0]["inputs"]["mask"]["type"] == "int64"
    assert about["networks"][1]["outputs"] == ["image_mean", "class_logits", "mask_logits"]
    assert any("The image is decoded on the mask" in line for line in about["left_out"])


def test_encoder_and_decoder_together_predict_what_the_model_predicts(model, scenes, tmp_path):
    """By onnxruntime alone, from an image to a mask, at the mean of z."""
    fitted = model("telbo")
    export(fitted, tmp_path / "out", given=[("image",)])
    image = scenes.views(range(6))["image"]
    encoder, decoder = (
        onnxruntime.InferenceSession(tmp_path / "out" / name)
        for name in ("encoder-image.onnx", "decoder.onnx")
    )
    assert encoder.get_inputs()[0].shape == ["batch", 3, 20, 18]
    z, _ = encoder.run(None, {"image": image.numpy()})
    _, _, logits = decoder.run(None, {"z": z})
    expected = fitted.predict(image=list(image), views=["mask"], at_mean=True).probs
    torch.testing.assert_close(torch.from_numpy(logits).softmax(1), expected, atol=1e-5, rtol=0)


def test_a_segmenter_says_that_the_crf_stays_outside(model, tmp_path):
    result = export(model("segmenter"), tmp_path / "out", format="torch.export")
    assert [one.path.name for one in result.networks] == ["segmenter.pt2"]
    assert any("CRF" in line for line in result.left_out)


def test_a_difference_is_refused_and_leaves_nothing(model, tmp_path, monkeypatch):
    fitted = model("segmenter")
    kept = export(fitted, tmp_path / "kept", format="torch.export").networks[0].path.read_bytes()
    before = fitted.model.decode
    monkeypatch.setattr("inference.export.export.difference", lambda one, other: 2e-4)
    for folder, force in (("out", False), ("kept", True)):
        with pytest.raises(ValueError, match=r"differs from the original by 0\.0002, more than"):
            export(fitted, tmp_path / folder, format="torch.export", force=force)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kept", "run"]
    assert (tmp_path / "kept" / "segmenter.pt2").read_bytes() == kept
    assert fitted.model.decode == before


@pytest.mark.parametrize(
    ("name", "choices", "error", "sentence"),
    [
        ("telbo", {"part": "segmenter"}, ValueError, "has no segmenter, but: encoder, decoder"),
        ("segmenter", {"given": [["image"]]}, ValueError, "--given is of encoders"),
        ("jvae", {"given": [["mask"]]}, ValueError, "no encoder given mask to export; there are"),
        ("telbo", {"given": [["imag"]]}, LookupError, "Did you mean 'image'?"),
        ("telbo", {"part": "encoders"}, LookupError, "Did you mean 'encoder'?"),
        ("telbo", {"format": "onx"}, LookupError, "Did you mean 'onnx'?"),
    ],
)
def test_what_cannot_be_exported_is_a_sentence(model, tmp_path, name, choices, error, sentence):
    with pytest.raises(error, match=sentence.replace("?", r"\?")):
        export(model(name), tmp_path / "out", **choices)
    assert not (tmp_path / "out").exists()


def test_without_onnx_the_extra_is_named(model, tmp_path, monkeypatch):
    fitted = model("segmenter")
    monkeypatch.setattr("inference.export.formats.find_spec",
                        lambda name: None if name == "onnx" else True)  # fmt: skip
    with pytest.raises(ModuleNotFoundError, match="add the extra onnx"):
        export(fitted, tmp_path / "out")
    assert export(fitted, tmp_path / "out", format="torch.export")


def test_a_folder_of_anything_else_is_not_replaced(model, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "diary.txt").write_text("dear")
    with pytest.raises(ValueError, match=r"holds diary.txt, which is no part of an export"):
        export(model("segmenter"), tmp_path / "out", force=True)
