"""The words of the command line: a recipe is a model, a guide, an objective, and their defaults.

Nothing here imports torch, so that names can be listed at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from scene.registry import unknown

Form = Literal["plain", "telbo", "jmvae"]

GUIDES = {
    "joint": "inference.guides:JointGuide",
    "poe": "inference.guides:ProductGuide",
    "retrofit": "inference.guides:RetrofitGuide",
    "none": "inference.guides:EmptyGuide",
}
"""Guides by name."""

OBJECTIVES = {
    "elbo": "inference.objectives.bounds:ELBO",
    "iwae": "inference.objectives.bounds:IWAE",
}
"""Bounds by name, for the joint term and for retrofit terms alike."""


@dataclass(frozen=True)
class Settings:
    """Every choice a run is made from, as plain data; a run's ``config.json`` holds just this.

    The defaults were chosen from single-seed runs on the tune split of `synthetic:default`. Three
    matter more than they look: classes weigh 50, because a few nats of them would otherwise be
    lost among thousands of pixels; the image's noise is 0.2, because a narrower one spends the
    latent on colours before shapes, and a wider one leaves colours out; and retrofit terms
    average their particles (``elbo``).

    Attributes:
        recipe: A key of `RECIPES`.
        data: What `scene.datasets.catalogue.open_data` opens.
        size: Height and width in pixels.
        count: Number of generated training scenes; None = the dataset's own.
        guide: A key of `GUIDES`, or ``path/file.py:Name``.
        objective: A key of `OBJECTIVES`, or ``path/file.py:Name``: the bound of the joint term.
        particles: K of the joint term.
        retrofit_objective: The bound of the retrofit terms; None = as the joint term.
        retrofit_particles: K of the retrofit terms; None = as the joint term.
        subsets: What the terms beside the joint one condition on.
        retrofit: What retrofit terms score: ``own`` or ``predict-all``.
        generator_gradients: Whether retrofit terms train generators: ``shared`` or ``stopped``.
        alpha: Weight of JMVAE's penalties.
        encode: The views a plain guide reads.
        beta: Weight of the KL.
        warmup: Steps over which β rises from 0.
        weights: Weight of each view's likelihood, in training only.
        latent: Length of z.
        width: Channels of the generators' finest layer.
        guide_width: Channels of the first convolution of each stem.
        noise: Scatter of pixels: ``normal`` or ``laplace``.
        image_scale: Its scale in units of the image's range.
        learn_scale: Learn that scale.
        backbone: What reads the image of a cVAE.
        backbone_weights: ``none``, ``imagenet`` or a path.
        steps: Optimisation steps.
        batch_size: Scenes a step.
        optimizer: ``adam``, ``adamw`` or ``sgd``.
        learning_rate: Its peak.
        schedule: ``constant``, ``cosine`` or ``onecycle``.
        clip: Largest norm of the gradient; 0 = no clipping.
        augment: How training scenes are varied; None = the dataset's own way.
        patience: Validations without improvement before stopping; 0 = never stop early.
        validate_every: Steps between validations; 0 = a fifth of all steps.
        seed: Of weights, order, augmentation and noise.
        workers: Processes that load data; 0 = none.
        precision: ``fp32`` or ``bf16``.
    """

    recipe: str
    data: str = "synthetic:default"
    size: tuple[int, int] = (64, 64)
    count: int | None = None
    guide: str = "joint"
    objective: str = "iwae"
    particles: int = 1
    retrofit_objective: str | None = None
    retrofit_particles: int | None = None
    subsets: str = "report"
    retrofit: str = "predict-all"
    generator_gradients: str = "shared"
    alpha: float = 1.0
    encode: tuple[str, ...] = ("image", "classes", "mask")
    beta: float = 1.0
    warmup: int = 0
    weights: Mapping[str, float] = field(default_factory=lambda: {"classes": 50.0})
    latent: int = 64
    width: int = 16
    guide_width: int = 32
    noise: str = "normal"
    image_scale: float = 0.2
    learn_scale: bool = False
    backbone: str = "small"
    backbone_weights: str = "none"
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
        for name in ("steps", "batch_size", "particles", "latent", "width", "guide_width"):
            if getattr(self, name) < 1:
                option = name.replace("_", "-")
                raise ValueError(f"--{option} must be 1 or more, not {getattr(self, name)}.")
        if self.retrofit_particles is not None and self.retrofit_particles < 1:
            raise ValueError(
                f"--retrofit-particles must be 1 or more, not {self.retrofit_particles}."
            )
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise LookupError(unknown(getattr(self, name), choices, name) + ".")
        for name in (*self.encode, *self.weights):
            if name not in ("image", "classes", "mask"):
                raise LookupError(unknown(name, ("image", "classes", "mask"), "view") + ".")
        if self.learning_rate <= 0 or self.image_scale <= 0:
            raise ValueError("--learning-rate and --image-scale must be positive.")

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
            k: tuple(v) if k in ("size", "encode") else v for k, v in data.items()
        }
        return cls(**pairs)


CHOICES = {
    "retrofit": ("own", "predict-all"),
    "generator_gradients": ("shared", "stopped"),
    "noise": ("normal", "laplace"),
    "optimizer": ("adam", "adamw", "sgd"),
    "schedule": ("constant", "cosine", "onecycle"),
    "precision": ("fp32", "bf16"),
}


@dataclass(frozen=True)
class Recipe:
    """A model, a form of objective, and the settings that differ from the defaults.

    Attributes:
        about: One line for ``--help``.
        model: ``module:Name`` of the generative model.
        form: How bounds are put together: ``plain``, ``telbo`` or ``jmvae``.
        defaults: Settings of this recipe.
    """

    about: str
    model: str
    form: Form = "plain"
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, **given: Any) -> Settings:
        """Make settings: the recipe's own, then those given that are not None.

        A weight given for one view leaves those of the others as they are.
        """
        named = {key: value for key, value in given.items() if value is not None}
        own = replace(Settings(self.name), **self.defaults)
        if "weights" in named:
            named["weights"] = {**own.weights, **named["weights"]}
        return replace(own, **named)

    @property
    def name(self) -> str:
        """The word that stands for this recipe."""
        return next(name for name, recipe in RECIPES.items() if recipe is self)


_JOINT = "scene.models:JointScene"

RECIPES: dict[str, Recipe] = {
    "cvae": Recipe(
        "Conditional VAE: draws one of the masks that an image may have.",
        "scene.models:ConditionalScene",
        defaults={"encode": ("image", "mask")},
    ),
    "jvae": Recipe(
        "Joint VAE: reads --encode, explains image, classes and mask.",
        _JOINT,
        defaults={"encode": ("image", "classes")},
    ),
    "jmvae": Recipe(
        "JMVAE: a joint VAE whose posteriors given fewer views follow the joint one.",
        _JOINT,
        form="jmvae",
        defaults={"guide": "retrofit", "subsets": "singles"},
    ),
    "telbo": Recipe(
        "TELBO: a joint bound and one for each subset of views, with shared generators.",
        _JOINT,
        form="telbo",
        defaults={
            "guide": "retrofit",
            "subsets": "image,image+classes,mask",
            "retrofit_objective": "elbo",
        },
    ),
    "segmenter": Recipe(
        "U-Net trained on true masks: the supervised yardstick.",
        "scene.models:SegmentedScene",
        defaults={"guide": "none", "encode": ("image",), "learning_rate": 4e-3, "batch_size": 32},
    ),
}
"""Recipes by name."""


def able(settings: Settings, given: tuple[str, ...]) -> bool:
    """Say whether a run of these settings has a belief about scenes given these views.

    A guess from names alone, to choose among runs without loading them; a foreign guide is
    taken to accept what its recipe would ask of it.
    """
    if settings.recipe == "segmenter":
        return given == ("image",)
    if settings.recipe == "cvae":
        return set(given) in ({"image"}, {"image", "mask"})
    if not given or settings.guide in ("poe", "retrofit"):
        return set(given) <= set(settings.encode) if settings.recipe == "jvae" else True
    return settings.recipe != "jvae" or set(given) == set(settings.encode)


def recipe(name: str) -> Recipe:
    """Find a recipe.

    Raises:
        LookupError: If there is none of that name; the message suggests the nearest.
    """
    if name not in RECIPES:
        raise LookupError(unknown(name, RECIPES, "recipe") + ".")
    return RECIPES[name]
