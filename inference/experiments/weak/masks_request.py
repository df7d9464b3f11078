"""What masks to make of image-level labels, as plain data: a request with settings of all stages.

Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...crf.parameters import Parameters
from ...settings.settings import Settings
from .request import Request


@dataclass(frozen=True)
class MasksRequest:
    """Data, and the settings of all stages that turn image-level labels into masks.

    Attributes:
        data: The photographs and their labels, as for ``--data``.
        backbone: Network of the classifier, and of SEC.
        weights: Initial weights of the backbone; None = the recipe's own.
        size: Height and width at which networks read photographs; None = the recipe's own.
        count: Training photographs; None = all.
        seed: Seed of all trainings, and of the choice of photographs on the contact sheet.
        classifier_steps: Training steps of the classifier; None = those of the recipe.
        sec_steps: Training steps of SEC; None = those of the recipe.
        classifier: Further settings of the classifier, as `Recipe.settings` takes them.
        sec: Further settings of SEC.
        crf: The CRF that refines SEC's masks; None = none does.
        engine: Engine of the CRF, as in `inference.crf.meanfield.refine`.
        confidence: Pixels whose label is less probable are void.
        background: Whether the data have a background label; without one SEC has no such cues.
        overlays: Whether an overlay of each photograph is written.
        shown: Photographs on the contact sheet.
        copy: Copy photographs where they could be linked.
    """

    data: str
    backbone: str = "small"
    weights: str | None = None
    size: tuple[int, int] | None = None
    count: int | None = None
    seed: int = 0
    classifier_steps: int | None = None
    sec_steps: int | None = None
    classifier: Mapping[str, Any] = field(default_factory=dict)
    sec: Mapping[str, Any] = field(default_factory=dict)
    crf: Parameters | None = field(default_factory=Parameters)
    engine: str = "auto"
    confidence: float = 0.7
    background: bool = True
    overlays: bool = True
    shown: int = 36
    copy: bool = False

    @property
    def stage(self) -> str:
        """The stage of SEC that the masks are of."""
        return "sec" if self.crf is None else "sec+crf"

    def classifier_settings(self) -> Settings:
        """Return the settings of the classifier."""
        return self._shared().classifier(self.seed, **self.classifier)

    def sec_settings(self, classifier: Path | None = None) -> Settings:
        """Return the settings of SEC, which learns from a run of a classifier."""
        return self._shared().sec(self.seed, classifier, **self.sec)

    def _shared(self) -> Request:
        """Return the request of the pipeline that these stages are part of."""
        return Request(
            data=self.data,
            size=self.size,
            count=self.count,
            backbone=self.backbone,
            weights=self.weights,
            background=self.background,
            classifier_steps=self.classifier_steps,
            sec_steps=self.sec_steps,
        )
