"""What to reproduce, as plain data: a request, and the variants of the pipeline.

Nothing here imports torch, so that options can be listed and refused without delay.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ...settings.recipes import recipe
from ...settings.settings import Settings

TUNE_SPLIT = "tune"
"""The split on which settings are selected."""

TUNE_LIMIT = 200
"""Scenes of it that are used, by default."""

ALPHAS = (0.05, 0.1, 0.2, 0.4)
"""Widths θα of the CRF, as shares of an image's side (the square root of its area): those of the
report, 20, 40 and 80 pixels of about 430, and twice the last."""

BETAS = (3.0, 5.0, 10.0, 13.0, 20.0)
"""Widths θβ, on the scale 0-255: those of the report."""

WEIGHTS = (4.0, 10.0)
"""Weights of the appearance kernel."""

SMOOTHNESS = ((1.0, 1.0), (1.0, 3.0), (3.0, 3.0))
"""Widths in pixels and weights of the smoothness kernel."""

Layer = Literal["usual", "finer", "both"]


@dataclass(frozen=True)
class Variant:
    """A variant of the pipeline: candidates of the settings that are selected on the tune split.

    With one candidate there is nothing to select. The parameters of the CRF after each stage are
    selected in every variant.

    Attributes:
        about: One line for ``--help`` and tables.
        layers: Layers whose maps are used: the classifier's ``usual`` layer, the deepest ``finer``
            one, or the mean of ``both``.
        background_maps: Background is 1 − the ``sum`` of the present classes' maps, or 1 − the
            largest, ``max``; none = the usual one of the network.
        exponents: That is taken to this power; none = the usual one of the network.
        foregrounds: Shares of a map's maximum above which a cell is a cue of the class.
        shares: Shares of an image that are cues of background.
        sure: Probabilities of the CRF after Grad-CAM above which a cell is a cue. Without any of
            these three, cues are those of SEC's recipe.
    """

    about: str
    layers: tuple[Layer, ...] = ("usual",)
    background_maps: tuple[str, ...] = ()
    exponents: tuple[float, ...] = ()
    foregrounds: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()
    sure: tuple[float, ...] = ()


VARIANTS = {
    "report": Variant(
        "the classifier's last layer, its usual background map (1 − Σ maps; of a pretrained "
        "network (1 − the largest map)^1.5), and cues of SEC's recipe"
    ),
    "best": Variant(
        "layers, exponent of the background map, and cues selected on tune",
        layers=("usual", "both"),
        exponents=(0.5, 1.0, 1.5, 2.0, 3.0),
        foregrounds=(0.5, 0.7, 0.9),
        shares=(0.3, 0.6),
        sure=(0.5, 0.6, 0.7, 0.8, 0.9),
    ),
}
"""Variants by name."""


@dataclass(frozen=True)
class Request:
    """What to reproduce, with any seeds and variants.

    Attributes:
        data: The data, as for ``--data``.
        size: Height and width of scenes for the networks; None = those of the recipes.
        count: Training scenes; None = all.
        split: The split that is reported; None = ``val``.
        limit: Scenes of that split that are used; None = all.
        tuned: Scenes of `TUNE_SPLIT` that settings are selected on.
        backbone: Of the classifier. SEC and supervised are ``largefov`` if it is ``vgg16`` or
            ``resnet50``, and of the same network if it is any other.
        weights: Initial weights of all three, where they are not small.
        background: Whether SEC has background cues.
        classifier_steps: Training steps of the classifier; None = those of the recipe.
        sec_steps: Training steps of SEC; None = those of the recipe.
        supervised_steps: Training steps of the recipe supervised, SEC's network on ground-truth
            masks; None = those of the recipe.
        alphas: Widths θα in pixels; none = the shares `ALPHAS` of the first image's side.
        betas: Widths θβ, on the scale 0-255.
        engine: Engine of the CRF, as in `inference.crf.meanfield.refine`.

    Raises:
        ValueError: If a number is below 1, or the split is that of selection.
    """

    data: str = "synthetic:confounded"
    size: tuple[int, int] | None = None
    count: int | None = None
    split: str | None = None
    limit: int | None = None
    tuned: int = TUNE_LIMIT
    backbone: str = "small"
    weights: str | None = None
    background: bool = True
    classifier_steps: int | None = None
    sec_steps: int | None = None
    supervised_steps: int | None = None
    alphas: tuple[float, ...] = ()
    betas: tuple[float, ...] = BETAS
    engine: str = "auto"

    def __post_init__(self) -> None:
        counts = {"--limit": self.limit, "--tune-limit": self.tuned}
        for name, value in counts.items():
            if value is not None and value < 1:
                raise ValueError(f"{name} must be 1 or more, not {value}.")
        if self.reported == TUNE_SPLIT:
            raise ValueError(
                f"Settings are chosen on {TUNE_SPLIT} and cannot be reported there; give another "
                "--split."
            )

    @property
    def reported(self) -> str:
        """The split that is reported."""
        return self.split or "val"

    @property
    def net(self) -> str:
        """The network of the recipes sec and supervised."""
        own = {"small": "small", "vgg16": "largefov", "resnet50": "largefov"}
        return own.get(self.backbone, self.backbone)

    def classifier(self, seed: int, **selected: Any) -> Settings:
        """Return the settings of the classifier: those of the recipe, and those selected."""
        own = {
            "backbone": self.backbone,
            "backbone_weights": self.weights,
            "threshold": "auto",
            "steps": self.classifier_steps,
        }
        return recipe("classifier").settings(**{**self._shared(seed), **own, **selected})

    def sec(self, seed: int, classifier: Path | None = None, **selected: Any) -> Settings:
        """Return the settings of SEC: those of the recipe, and those selected."""
        without = {} if self.background else {"background": 0.0}
        own = {**self._coarse(seed, classifier), "steps": self.sec_steps}
        return recipe("sec").settings(**{**own, **selected, **without})

    def supervised(self, seed: int, classifier: Path | None = None) -> Settings:
        """Return the settings of the recipe supervised, SEC's network on ground-truth masks."""
        return recipe("supervised").settings(
            **self._coarse(seed, classifier), steps=self.supervised_steps
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)

    def _shared(self, seed: int) -> dict[str, Any]:
        size = self.size or recipe("sec").settings(net=self.net).data.size
        return {"data": self.data, "size": size, "count": self.count, "seed": seed}

    def _coarse(self, seed: int, classifier: Path | None) -> dict[str, Any]:
        weights = self.weights if self.net == "largefov" else None
        more = {"net": self.net, "backbone_weights": weights}
        return {**self._shared(seed), **more, "classifier": classifier and str(classifier)}
