"""Calibration of a run: confidence against accuracy of its masks and classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scene.calibration import Reliability, ReliabilityCounter
from scene.figures.charts import draw_reliability
from scene.views import Views

from ..build import Assembly
from ..prediction.evaluate import CLASSES, DRAWS, MASKS, Cell
from ..prediction.predict import able, predict, trained
from .posteriors import ViewNames, chunks


@dataclass(frozen=True)
class Calibration:
    """Calibration of the probabilities in one direction.

    Attributes:
        title: The direction, such as ``image → mask``.
        given: The views conditioned on.
        target: ``mask``: the probability of each pixel's most probable label. ``classes``: the
            probability that each class is present.
        trained: Whether a term of the objective trained the posterior given just these views.
        reliability: Confidence and accuracy, bin by bin.
    """

    title: str
    given: ViewNames
    target: str
    trained: bool
    reliability: Reliability

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "title": self.title,
            "given": list(self.given),
            "target": self.target,
            "trained": self.trained,
            **self.reliability.to_json(),
        }


def calibration(assembly: Assembly, views: Views, draws: int = DRAWS) -> list[Calibration]:
    """Measure the calibration of each direction that `evaluate` scores.

    Probabilities are averaged over samples of z, as in `evaluate`, at the model's size.

    Args:
        assembly: Model and guide, in evaluation mode.
        views: N complete scenes.
        draws: Samples of z for each scene.
    """
    directions = [(given, "mask") for given in MASKS] + [(given, "classes") for given in CLASSES]
    return [
        _measure(assembly, views, given, target, draws)
        for given, target in directions
        if able(assembly, given, target) and {*given, target} <= set(views.names)
    ]


def draw_calibration(path: Path, calibrations: list[Calibration]) -> None:
    """Draw a reliability diagram of each direction."""
    panels = {
        f"{one.title}\nECE {one.reliability.error:.1f} %": one.reliability for one in calibrations
    }
    draw_reliability(path, panels, title="probabilities averaged over samples of z, and the truth")


def _measure(
    assembly: Assembly, views: Views, given: ViewNames, target: str, draws: int
) -> Calibration:
    counter = ReliabilityCounter()
    for part in chunks(views, assembly.device, each=draws):
        probs = predict(assembly, part.only(given), [target], draws=draws).views[target]
        if target == "mask":
            counter.add_masks(probs, part["mask"])
        else:
            counter.add(probs, part["classes"])
    title = Cell(given, target, trained(assembly, given), 0, None).title
    return Calibration(title, given, target, trained(assembly, given), counter.score())
