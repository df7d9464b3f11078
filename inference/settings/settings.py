"""Settings: every choice a run is made from, as plain data that is checked when it is made.

Nothing here imports torch, so that options can be listed and refused at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from scene.registry import unknown
from scene.sizes import STOCK_LATENT, STOCK_SIZE, STOCK_WIDTH, require_size

LARGEST_SCALE = 8
"""The most that a classifier's look at an image is enlarged."""

VIEWS = ("image", "classes", "mask")
"""Those of `scene.views`, which needs torch."""


@dataclass(frozen=True)
class Settings:
    """Every choice a run is made from, as plain data; a run's ``config.json`` holds just this.

    The defaults were chosen from single-seed runs on the tune split of `synthetic:default`. Three
    matter more than they look: classes weigh 50, because a few nats of them would otherwise be
    lost among thousands of pixels; the image's noise is 0.2, because a narrower one spends the
    latent on colours before shapes, and a wider one leaves colours out; and retrofit terms
    average their particles (``elbo``).

    Attributes:
        recipe: A key of `inference.settings.recipes.RECIPES`.
        data: What `scene.datasets.catalogue.open_data` opens.
        size: Height and width in pixels.
        count: Number of generated training scenes; None = the dataset's own.
        guide: A key of `inference.settings.recipes.GUIDES`, or ``path/file.py:Name``.
        objective: The bound of the joint term: a key of `recipes.OBJECTIVES`, or
            ``path/file.py:Name``.
        particles: K of the joint term.
        retrofit_objective: The bound of the retrofit terms; None = as the joint term.
        retrofit_particles: K of the retrofit terms; None = as the joint term.
        subsets: What the terms beside the joint one condition on.
        turns: Whether a step works on ``all`` terms, on one subset drawn for the ``step``, or for
            each ``scene`` on one term drawn for it.
        retrofit: What retrofit terms score: ``own`` or ``predict-all``.
        generator_gradients: Whether retrofit terms train generators: ``shared`` or ``stopped``.
        renyi_alpha: α of the Rényi bound: 0 = ``iwae``, 1 = ``elbo``.
        free_bits: Nats of KL that cost the same as none, in terms bounded by ``elbo``.
        alpha: Weight of JMVAE's penalties, Σ KL(q(z | all) ‖ q(z | subset)); 0 = a TELBO has none.
        encode: The views a plain guide reads.
        beta: Weight of the KL.
        warmup: Steps over which β rises from 0.
        weights: Weight of each view's likelihood, in training only.
        weak_weight: What that of weak masks counts, besides; 0 = they are hidden.
        prior: p(z) of a cVAE: ``standard``, or ``learned`` from the image.
        hybrid: Share of the term of a cVAE that draws z from its prior.
        latent: Length of z, or of that part which concerns the scene as a whole.
        spatial: Channels of z for each cell of a grid over the scene; 0 = there is no grid.
        cell: Height and width of a cell in pixels: 2, 4 or 8.
        width: Channels of the generators' finest layer.
        guide_width: Channels of the first convolution of each stem.
        noise: Scatter of pixels: ``normal`` or ``laplace``.
        image_scale: Its scale in units of the image's range.
        learn_scale: Learn that scale.
        backbone: What reads the image of a cVAE, or classifies it.
        backbone_weights: ``none``, ``imagenet`` or a path.
        threshold: The probability above which a classifier counts a class as present; ``auto`` =
            the best on the split where settings are chosen.
        net: What labels the grid of SEC: ``small`` or ``largefov``.
        classifier: The run of the classifier that SEC learns from; None = the newest that fits.
        layer: The classifier's layer whose maps give cues; None = the one usually looked at.
        scales: Sizes at which it looks at images, as multiples of their own.
        flip: Whether it looks at mirrored images, too.
        foreground: A class is cued where its map exceeds this share of its maximum.
        background: The least salient share of an image, cued as background; 0 = none is.
        saliency: The largest of the maps of the classes present, ``max``, or their ``sum``.
        exponent: Background is what maps leave of 1, to this power, where the CRF finds cues.
        cue_crf: Weight, reach in pixels and unlikeness of colours, 0-255, of the CRF that finds
            cues; none = they are found in the maps as they are.
        crf_weight: Weight of colour in the CRF that SEC learns from.
        crf_xy: How far that reaches, in cells of a grid of 41×41.
        crf_rgb: How unlike colours may be, 0-255.
        steps: Optimisation steps.
        batch_size: Scenes a step.
        optimizer: ``adam``, ``adamw``, ``sgd`` or ``layerwise``.
        learning_rate: Its peak.
        schedule: ``constant``, ``cosine``, ``onecycle`` or ``stairs``.
        clip: Largest norm of the gradient; 0 = no clipping.
        augment: How training scenes are varied; None = the dataset's own way.
        patience: Validations without improvement before stopping; 0 = never stop early.
        validate_every: Steps between validations; 0 = a fifth of all steps.
        seed: Of weights, order, augmentation and noise.
        workers: Processes that load data; 0 = none.
        precision: ``fp32`` or ``bf16``.

    Raises:
        LookupError: If the name of a choice or of a view is unknown.
        ValueError: If a number is not finite, or out of its range.
    """

    recipe: str
    data: str = "synthetic:default"
    size: tuple[int, int] = STOCK_SIZE
    count: int | None = None
    guide: str = "joint"
    objective: str = "iwae"
    particles: int = 1
    retrofit_objective: str | None = None
    retrofit_particles: int | None = None
    subsets: str = "report"
    turns: str = "all"
    retrofit: str = "predict-all"
    generator_gradients: str = "shared"
    renyi_alpha: float = 0.5
    free_bits: float = 0.0
    alpha: float = 1.0
    encode: tuple[str, ...] = VIEWS
    beta: float = 1.0
    warmup: int = 0
    weights: Mapping[str, float] = field(default_factory=lambda: {"classes": 50.0})
    weak_weight: float = 1.0
    prior: str = "standard"
    hybrid: float = 0.0
    latent: int = STOCK_LATENT
    spatial: int = 0
    cell: int = 4
    width: int = STOCK_WIDTH
    guide_width: int = 32
    noise: str = "normal"
    image_scale: float = 0.2
    learn_scale: bool = False
    backbone: str = "small"
    backbone_weights: str = "none"
    threshold: float | str = 0.5
    net: str = "small"
    classifier: str | None = None
    layer: str | None = None
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    foreground: float = 0.2
    background: float = 0.1
    saliency: str = "max"
    exponent: float = 1.0
    cue_crf: tuple[float, ...] = ()
    crf_weight: float = 10.0
    crf_xy: float = 80 / 12
    crf_rgb: float = 13.0
    steps: int = 720
    batch_size: int = 16
    optimizer: str = "adam"
    learning_rate: float = 1e-2
    schedule: str = "onecycle"
    clip: float = 0.0
    augment: str | None = None
    patience: int = 0
    validate_every: int = 0
    seed: int = 0
    workers: int = 0
    precision: str = "fp32"

    def __post_init__(self) -> None:
        require_size(self.size)
        for name, (least, most) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not least <= value < math.inf:
                raise ValueError(f"{option(name)} must be {least} or more, not {value}.")
            if value is not None and value > most:
                raise ValueError(f"{option(name)} is from {least} to {most}, not {value}.")
        if not 0 <= self.hybrid <= 1:
            raise ValueError(f"--hybrid is a share from 0 to 1, not {self.hybrid}.")
        for name in ("learning_rate", "image_scale", "crf_xy", "crf_rgb", "exponent"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{option(name)} must be a positive number, not {value}.")
            if name.startswith("crf_") and value > _LARGE:
                raise ValueError(f"{option(name)} is at most {_LARGE:g}, not {value}.")
        if self.cue_crf and (
            len(self.cue_crf) != 3 or not all(0 < v <= _LARGE for v in self.cue_crf)
        ):
            given = ",".join(map(str, self.cue_crf))
            raise ValueError(
                f"--cue-crf takes three positive numbers, such as 10,25,5, not {given}."
            )
        if not 0 < len(self.scales) <= 16 or not all(
            0 < scale <= LARGEST_SCALE for scale in self.scales
        ):
            given = ",".join(map(str, self.scales[:9]))
            raise ValueError(
                f"--scales takes 1 to 16 numbers, each above 0 and at most {LARGEST_SCALE}, not "
                f"{given}."
            )
        if self.threshold != "auto" and not _is_between(self.threshold, 0, 1):
            raise ValueError(
                f"--threshold is a probability above 0 and below 1, or auto; not {self.threshold}."
            )
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise LookupError(unknown(getattr(self, name), choices, name) + ".")
        for name in (*self.encode, *self.weights):
            if name not in VIEWS:
                raise LookupError(unknown(name, VIEWS, "view") + ".")
        for name, weight in self.weights.items():
            if not 0 <= weight < math.inf:
                raise ValueError(f"--weight {name} must be 0 or more, not {weight}.")
        if not 0 < len(self.encode) == len(set(self.encode)):
            given = ",".join(self.encode)
            raise ValueError(f"--encode names one view or more, each once, not {given!r}.")

    def to_json(self) -> dict[str, Any]:
        """Give plain data that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Settings:
        """Read plain data.

        Raises:
            ValueError: If it names a setting that does not exist, or lacks the recipe.
        """
        known = {f.name for f in fields(cls)}
        if strange := sorted(set(data) - known):
            raise ValueError(f"There is no setting called {strange[0]!r}; is the run newer?")
        if "recipe" not in data:
            raise ValueError("The settings name no recipe.")
        pairs: dict[str, Any] = {
            k: tuple(v) if k in ("size", "encode", "scales", "cue_crf") else v
            for k, v in data.items()
        }
        return cls(**pairs)


CHOICES = {
    "prior": ("standard", "learned"),
    "turns": ("all", "step", "scene"),
    "retrofit": ("own", "predict-all"),
    "generator_gradients": ("shared", "stopped"),
    "noise": ("normal", "laplace"),
    "optimizer": ("adam", "adamw", "sgd", "layerwise"),
    "schedule": ("constant", "cosine", "onecycle", "stairs"),
    "net": ("small", "largefov"),
    "saliency": ("max", "sum"),
    "precision": ("fp32", "bf16"),
}

_LARGE = 10**6

RANGES: dict[str, tuple[int, int]] = {
    "steps": (1, 10**9),
    "batch_size": (1, 2**16),
    **dict.fromkeys(("latent", "particles", "retrofit_particles"), (1, 4096)),
    **dict.fromkeys(("width", "guide_width"), (1, 1024)),
    "spatial": (0, 1024),
    **dict.fromkeys(("alpha", "renyi_alpha", "free_bits", "beta"), (0, _LARGE)),
    **dict.fromkeys(("clip", "crf_weight", "foreground", "background"), (0, _LARGE)),
    "weak_weight": (0, _LARGE),
    **dict.fromkeys(("warmup", "patience", "validate_every"), (0, 10**9)),
    "seed": (0, 2**32 - 1),
    "workers": (0, 256),
}
"""The least and the most that a number may be: above it, a slip or a damaged file is likelier."""


def _is_between(value: float | str, low: float, high: float) -> bool:
    return not isinstance(value, str) and low < value < high


def option(setting: str) -> str:
    """Name the option of the command line that gives a setting.

    >>> option("batch_size"), option("backbone_weights")
    ('--batch-size', '--weights')
    """
    return "--" + {"backbone_weights": "weights"}.get(setting, setting).replace("_", "-")
