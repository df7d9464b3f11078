"""Calibration of a run: whether its pixels and classes are as probable as it says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scene.calibration import Calibrator, Reliability
from scene.figures.reliability import draw_reliability
from scene.views import Views

from ..build import Assembly
from ..prediction.evaluate import CLASSES, DRAWS, MASKS, Cell
from ..prediction.predict import able, predict, trained
from .posteriors import Given, parts


@dataclass(frozen=True)
class Calibration:
    """What came of the probabilities of one direction.

    Attributes:
        title: The direction, as ``image → mask``.
        given: The views conditioned on.
        target: ``mask``: of each pixel, the most probable label. ``classes``: of each class,
            that it is there.
        trained: Whether a term of the objective trained the posterior given just these views.
        found: Bin by bin.
    """

    title: str
    given: Given
    target: str
    trained: bool
    found: Reliability

    def to_json(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "title": self.title,
            "given": list(self.given),
            "target": self.target,
            "trained": self.trained,
            **self.found.to_json(),
        }


def calibration(assembly: Assembly, views: Views, draws: int = DRAWS) -> list[Calibration]:
    """Hold probabilities against what is true, in each direction that `evaluate` scores.

    They are those that `evaluate` takes the most probable of, averaged over draws of z; here at
    the model's size.

    Args:
        assembly: Model and guide, in evaluation mode.
        views: N complete scenes.
        draws: How many draws of z.
    """
    asked = [(given, "mask") for given in MASKS] + [(given, "classes") for given in CLASSES]
    return [
        _calibrated(assembly, views, given, target, draws)
        for given, target in asked
        if able(assembly, given, target) and {*given, target} <= set(views.names)
    ]


def draw_calibration(path: Path, found: list[Calibration]) -> None:
    """Draw a reliability diagram of each direction."""
    panels = {f"{one.title}\nECE {one.found.error:.1f} %": one.found for one in found}
    draw_reliability(path, panels, title="probabilities averaged over draws of z, and the truth")


def _calibrated(
    assembly: Assembly, views: Views, given: Given, target: str, draws: int
) -> Calibration:
    calibrator = Calibrator()
    for part in parts(views, assembly.device, each=draws):
        probs = predict(assembly, part.only(given), [target], draws=draws).views[target]
        if target == "mask":
            calibrator.add_masks(probs, part["mask"])
        else:
            calibrator.add(probs, part["classes"])
    title = Cell(given, target, trained(assembly, given), 0, None).title
    return Calibration(title, given, target, trained(assembly, given), calibrator.found())
