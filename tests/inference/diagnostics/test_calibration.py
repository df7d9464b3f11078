"""Calibration of a run: the probabilities of every direction it can go, held against the truth."""

import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from inference.diagnostics.calibration import calibration, draw_calibration
from inference.prediction.evaluate import CLASSES, MASKS
from inference.prediction.predict import predict
from scene.calibration import BINS
from scene.labels import VOID


def test_every_direction_that_can_be_evaluated_is_calibrated(built, schema, views, tmp_path):
    telbo = built(schema)
    telbo.model.eval(), telbo.guide.eval()
    result = calibration(telbo, views)
    assert [(one.given, one.target) for one in result] == [
        *((inputs, "mask") for inputs in MASKS), *((inputs, "classes") for inputs in CLASSES)
    ]  # fmt: skip
    pixels = int((views["mask"] != VOID).sum())
    assert {one.reliability.count for one in result} == {pixels, views["classes"].numel()}
    draw_calibration(tmp_path / "reliability.png", result)
    assert (tmp_path / "reliability.png").read_bytes().startswith(b"\x89PNG")


def test_a_conditional_model_has_masks_only(built, schema, views):
    cvae = built(schema, "cvae")
    cvae.model.eval(), cvae.guide.eval()
    result = calibration(cvae, views.only(("image", "mask")))
    assert [one.title for one in result] == ["image → mask"]


def test_what_is_calibrated_is_what_is_predicted(built, schema, views):
    telbo = built(schema)
    telbo.model.eval(), telbo.guide.eval()
    torch.manual_seed(0)
    probs = predict(telbo, views.only(("image",)), ["mask"], draws=3).views["mask"]
    expected = multiclass_calibration_error(
        probs, views["mask"], num_classes=3, n_bins=BINS, ignore_index=VOID
    )
    torch.manual_seed(0)
    result = calibration(telbo, views, draws=3)[0]
    assert result.reliability.error == pytest.approx(100 * float(expected), abs=1e-3)
    assert torch.tensor(result.reliability.counts).sum() == result.to_json()["count"]
