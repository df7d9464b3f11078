"""What is to be reproduced, as plain data: a request, and the rows of settings it may ask for.

Nothing here imports torch, so that options can be listed and refused at once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ...settings.recipes import recipe
from ...settings.settings import Settings

CHOOSING = "tune"
"""The split where settings are chosen."""

TUNED = 200
"""Scenes of it that are looked at, unless told otherwise."""

ALPHAS = (0.05, 0.1, 0.2, 0.4)
"""Widths θα of the CRF, as shares of a picture's side (the root of its area): those of the report,
20, 40 and 80 pixels of about 430, and twice the last."""

BETAS = (3.0, 5.0, 10.0, 13.0, 20.0)
"""Widths θβ, on the scale 0-255: those of the report."""

WEIGHTS = (4.0, 10.0)
"""Weights of its appearance kernel."""

SMOOTHNESS = ((1.0, 1.0), (1.0, 3.0), (3.0, 3.0))
"""Widths in pixels and weights of its smoothness kernel."""

Layer = Literal["usual", "finer", "both"]


@dataclass(frozen=True)
class Plan:
    """A row of settings: what is fixed, and what is chosen on the tuning split.

    Of several candidates one is chosen; of one there is nothing to choose. The parameters of the
    CRF that refines a stage are chosen in every row.

    Attributes:
        about: One line for ``--help`` and tables.
        layers: What may give maps: the classifier's ``usual`` layer, the deepest ``finer`` one, or
            the mean of ``both``.
        exponents: Background is (1 − Σ of the present classes' maps) to this power.
        foregrounds: Shares of a map's maximum above which cues of a class begin.
        shares: Shares of an image that are cues of background.
        sure: Probabilities above which cues begin that the CRF after Grad-CAM finds. Without any
            of these three, cues are those of SEC's recipe.
    """

    about: str
    layers: tuple[Layer, ...] = ("usual",)
    exponents: tuple[float, ...] = (1.0,)
    foregrounds: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()
    sure: tuple[float, ...] = ()


PLANS = {
    "report": Plan("last layer, background 1 − Σ, the recipe's cues"),
    "best": Plan(
        "layers, background and cues are chosen, too",
        layers=("usual", "both"),
        exponents=(0.5, 1.0, 2.0, 3.0),
        foregrounds=(0.5, 0.7, 0.9),
        shares=(0.3, 0.6),
        sure=(0.5, 0.6, 0.7, 0.8, 0.9),
    ),
}
"""Rows by name."""


@dataclass(frozen=True)
class Request:
    """What to reproduce, seeds and rows apart.

    Attributes:
        data: As ``--data``.
        size: Of the scenes that networks see; None = the recipes'.
        count: Training scenes; None = all.
        split: Reported; None = ``val``.
        limit: Report on its first so many scenes only.
        tuned: Choose on the first so many scenes of `CHOOSING`.
        backbone: The classifier's. SEC and its twin are ``small`` if it is, else ``largefov``.
        weights: First weights of all three, where they are not small.
        background: Whether SEC has cues of background.
        classifier_steps: Steps of its training; None = the recipe's, as of the next two.
        sec_steps: Of SEC's.
        twin_steps: Of its twin's.
        alphas: Widths θα in pixels; none = `ALPHAS` of the first picture's side.
        betas: Widths θβ.
        engine: Of the CRF, as in `inference.crf.meanfield.refine`.

    Raises:
        ValueError: If a number is below 1, or the split is where settings are chosen.
    """

    data: str = "synthetic:confounded"
    size: tuple[int, int] | None = None
    count: int | None = None
    split: str | None = None
    limit: int | None = None
    tuned: int = TUNED
    backbone: str = "small"
    weights: str | None = None
    background: bool = True
    classifier_steps: int | None = None
    sec_steps: int | None = None
    twin_steps: int | None = None
    alphas: tuple[float, ...] = ()
    betas: tuple[float, ...] = BETAS
    engine: str = "auto"

    def __post_init__(self) -> None:
        counts = {"--limit": self.limit, "--tune-limit": self.tuned}
        for name, value in counts.items():
            if value is not None and value < 1:
                raise ValueError(f"{name} must be 1 or more, not {value}.")
        if self.reported == CHOOSING:
            raise ValueError(
                f"Settings are chosen on {CHOOSING} and cannot be reported there; give another "
                "--split."
            )

    @property
    def reported(self) -> str:
        """The split that is reported."""
        return self.split or "val"

    @property
    def net(self) -> str:
        """The network of SEC and its twin."""
        return "small" if self.backbone == "small" else "largefov"

    def classifier(self, seed: int) -> Settings:
        """Give the settings of the classifier."""
        return recipe("classifier").settings(
            **self._shared(seed),
            backbone=self.backbone,
            backbone_weights=self.weights,
            threshold="auto",
            steps=self.classifier_steps,
        )

    def sec(self, seed: int, classifier: Path | None = None, **chosen: Any) -> Settings:
        """Give the settings of SEC: the recipe's own, and what was chosen."""
        without = {} if self.background else {"background": 0.0}
        return recipe("sec").settings(
            **self._coarse(seed, classifier), steps=self.sec_steps, **{**chosen, **without}
        )

    def twin(self, seed: int, classifier: Path | None = None) -> Settings:
        """Give the settings of SEC's network on true masks."""
        return recipe("twin").settings(**self._coarse(seed, classifier), steps=self.twin_steps)

    def to_json(self) -> dict[str, Any]:
        """Give plain data."""
        return asdict(self)

    def _shared(self, seed: int) -> dict[str, Any]:
        size = self.size or recipe("sec").settings(net=self.net).data.size
        return {"data": self.data, "size": size, "count": self.count, "seed": seed}

    def _coarse(self, seed: int, classifier: Path | None) -> dict[str, Any]:
        weights = None if self.net == "small" else self.weights
        more = {"net": self.net, "backbone_weights": weights}
        return {**self._shared(seed), **more, "classifier": classifier and str(classifier)}
