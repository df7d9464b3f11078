"""The words of the command line: a recipe is a model, a guide, an objective, and their defaults.

Nothing here imports torch, so that names can be listed at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from scene.registry import unknown

from .settings import VIEWS, Settings, option

Form = Literal["plain", "telbo", "jmvae", "sec", "masks"]

GUIDES = {
    "joint": "inference.guides:JointGuide",
    "poe": "inference.guides:ProductGuide",
    "retrofit": "inference.guides:RetrofitGuide",
    "masked": "inference.guides:MaskedGuide",
    "none": "inference.guides:EmptyGuide",
}
"""Guides by name."""

OBJECTIVES = {
    "elbo": "inference.objectives.bounds:ELBO",
    "iwae": "inference.objectives.bounds:IWAE",
    "renyi": "inference.objectives.renyi:Renyi",
    "dreg": "inference.objectives.gradient_estimators:DReG",
    "stl": "inference.objectives.gradient_estimators:STL",
}
"""Bounds by name, for the joint term and for retrofit terms alike."""


@dataclass(frozen=True)
class Recipe:
    """A model, a form of objective, and the settings that differ from the defaults.

    Attributes:
        about: One line for ``--help``.
        model: ``module:Name`` of the generative model.
        form: What the objective is: one bound (``plain``) or several put together (``telbo``,
            ``jmvae``), the losses of SEC (``sec``), or the cross-entropy of ``masks``.
        explains: The views that the model explains.
        uses: Settings it uses that not every recipe does.
        pretrained: Backbones that begin with ImageNet's weights unless others are named.
        defaults: Settings of this recipe.
        nets: Settings that go with a ``net`` other than its default.
    """

    about: str
    model: str
    form: Form = "plain"
    explains: tuple[str, ...] = VIEWS
    uses: Collection[str] = ()
    pretrained: Collection[str] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    nets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def settings(self, **given: Any) -> Settings:
        """Make settings: the recipe's own, then those given that are not None.

        A weight given for one view leaves those of the others as they are.

        Raises:
            LookupError: As `Settings`.
            ValueError: As `Settings`; or if a setting given would change nothing here.
        """
        named = {key: value for key, value in given.items() if value is not None}
        self._require(named)
        chosen = self.nets.get(named.get("net", ""), {})
        own = replace(Settings(self.name), **{**self.defaults, **chosen})
        if named.get("backbone") in self.pretrained:
            named.setdefault("backbone_weights", "imagenet")
        if "weights" in named:
            named["weights"] = {**own.weights, **named["weights"]}
        made = replace(own, **named)
        self._require_bounds(made, named)
        return made

    @property
    def name(self) -> str:
        """The word that stands for this recipe."""
        return next(name for name, recipe in RECIPES.items() if recipe is self)

    def takes(self, setting: str) -> bool:
        """Say whether a setting changes anything in this recipe."""
        return setting in self.uses or not any(setting in r.uses for r in RECIPES.values())

    def _require(self, given: Mapping[str, Any]) -> None:
        """Refuse settings that would be ignored."""
        idle = [option(name) for name in given if not self.takes(name)]
        views = set(given.get("weights", ())) & set(VIEWS)
        weighed = () if self.form in ("sec", "masks") else self.explains
        idle += [f"--weight {view}" for view in sorted(views.difference(weighed))]
        if idle:
            raise ValueError(
                f"The recipe {self.name} does not use {', '.join(idle)}; leave "
                f"{'it' if len(idle) == 1 else 'them'} out."
            )

    def _require_bounds(self, made: Settings, given: Collection[str]) -> None:
        """Refuse settings of a bound that is not chosen; a stranger's might use them."""
        bounds = {made.objective}
        if self.takes("retrofit_objective"):
            bounds.add(made.retrofit_objective or made.objective)
        for setting, bound in _OF_BOUNDS.items():
            if setting in given and not any(b == bound or ":" in b for b in bounds):
                raise ValueError(
                    f"{option(setting)} is used by the objective {bound} only; leave it out, or "
                    f"add --objective {bound}."
                )


_OF_BOUNDS = {"renyi_alpha": "renyi", "free_bits": "elbo"}
"""Settings of one bound, and which."""

_JOINT = "scene.models:JointScene"
_BOUND = ("objective", "particles", "renyi_alpha", "free_bits", "beta", "warmup")
_LATENT = ("latent", "guide", "guide_width", *_BOUND)
_PIXELS = ("noise", "image_scale", "learn_scale")
_CUES = ("layer", "scales", "flip", "foreground", "background", "saliency", "exponent", "cue_crf")
_CRF = ("crf_weight", "crf_xy", "crf_rgb")
_COARSE = ("net", "classifier", "backbone_weights")
_SMALL = {
    "guide": "none",
    "encode": ("image",),
    "backbone_weights": "classifier",
    "augment": "none",
    "steps": 800,
    "learning_rate": 2e-3,
}
"""Settings of SEC's small network, for whatever objective; chosen on a tune split."""

_LARGEFOV = {
    "backbone_weights": "imagenet",
    "size": (321, 321),
    "steps": 8000,
    "batch_size": 15,
    "optimizer": "layerwise",
    "learning_rate": 1e-3,
    "schedule": "stairs",
}
"""Those of the network its authors used, as they published them."""

_PUBLISHED = {
    "foreground": 0.2,
    "background": 0.1,
    "crf_weight": 10.0,
    "crf_xy": 80 / 12,
    "crf_rgb": 13.0,
}
"""Their cues and their CRF."""

_GRID = ("spatial", "cell")
_RETROFIT = (
    "turns",
    "retrofit",
    "retrofit_objective",
    "retrofit_particles",
    "generator_gradients",
)

RECIPES: dict[str, Recipe] = {
    "cvae": Recipe(
        "Conditional VAE: draws one of the masks that an image may have.",
        "scene.models:ConditionalScene",
        explains=("mask",),
        uses=(
            *_LATENT,
            *_GRID,
            "encode",
            "prior",
            "hybrid",
            "weak_weight",
            "backbone",
            "backbone_weights",
        ),
        defaults={"encode": ("image", "mask")},
    ),
    "jvae": Recipe(
        "Joint VAE: reads --encode, explains image, classes and mask.",
        _JOINT,
        uses=(*_LATENT, *_GRID, *_PIXELS, "encode", "weak_weight"),
        defaults={"encode": ("image", "classes")},
    ),
    "jmvae": Recipe(
        "JMVAE: a joint VAE whose posteriors given fewer views follow the joint one.",
        _JOINT,
        form="jmvae",
        uses=(*_LATENT, *_GRID, *_PIXELS, "subsets", "alpha", "weak_weight"),
        defaults={"guide": "retrofit", "subsets": "singles", "learning_rate": 1e-3},
    ),
    "telbo": Recipe(
        "TELBO: a joint bound and one for each subset of views, with shared generators.",
        _JOINT,
        form="telbo",
        uses=(*_LATENT, *_GRID, *_PIXELS, "subsets", "alpha", *_RETROFIT, "weak_weight"),
        defaults={
            "guide": "poe",
            "subsets": "image,image+classes,mask",
            "retrofit_objective": "elbo",
            "alpha": 0.0,
        },
    ),
    "segmenter": Recipe(
        "U-Net trained on true masks: the supervised yardstick.",
        "scene.discriminative:SegmentedScene",
        explains=("mask",),
        uses=("weak_weight",),
        defaults={"guide": "none", "encode": ("image",), "learning_rate": 4e-3, "batch_size": 32},
    ),
    "classifier": Recipe(
        "Classifier of image-level labels: the first stage of weak supervision.",
        "scene.discriminative:ClassifiedScene",
        explains=("classes",),
        uses=("backbone", "backbone_weights", "threshold"),
        pretrained=("vgg16", "resnet50"),
        defaults={
            "guide": "none",
            "encode": ("image",),
            "weights": {"classes": 1.0},
            "steps": 3000,
            "batch_size": 32,
            "optimizer": "adamw",
            "learning_rate": 3e-3,
        },
    ),
    "sec": Recipe(
        "SEC: masks from image-level labels, by cues of a classifier and a dense CRF.",
        "scene.discriminative:CoarseScene",
        form="sec",
        explains=("mask",),
        uses=(*_COARSE, *_CUES, *_CRF),
        defaults={
            **_SMALL,
            "foreground": 0.9,
            "background": 0.3,
            "crf_weight": 8.0,
            "crf_xy": 7.7,
            "crf_rgb": 14.0,
        },
        nets={"largefov": {**_LARGEFOV, **_PUBLISHED}},
    ),
    "twin": Recipe(
        "The network of SEC trained on true masks: what its labels are measured against.",
        "scene.discriminative:CoarseScene",
        form="masks",
        explains=("mask",),
        uses=(*_COARSE, "weak_weight"),
        defaults=_SMALL,
        nets={"largefov": _LARGEFOV},
    ),
}
"""Recipes by name."""


def able(settings: Settings, given: tuple[str, ...]) -> bool:
    """Say whether a run of these settings has a belief about scenes given these views.

    A guess from names alone, to choose among runs without loading them; a foreign guide is
    taken to accept what its recipe would ask of it.
    """
    if settings.recipe in ("segmenter", "classifier", "sec", "twin"):
        return settings.recipe != "classifier" and given == ("image",)
    if settings.recipe == "cvae":
        return set(given) in ({"image"}, {"image", "mask"})
    if not given or settings.guide in ("poe", "retrofit", "masked"):
        return set(given) <= set(settings.encode) if settings.recipe == "jvae" else True
    return settings.recipe != "jvae" or set(given) == set(settings.encode)


def refinable(settings: Settings, given: tuple[str, ...]) -> bool:
    """Say whether a run of these settings could refine a belief by these views."""
    if not recipe(settings.recipe).takes("latent"):
        return False
    if settings.recipe == "cvae":
        return set(given) >= {"image", "mask"}
    return bool(given)


def generates(settings: Settings) -> bool:
    """Say whether a run of these settings can draw a scene with all its views."""
    found = recipe(settings.recipe)
    return found.takes("latent") and set(found.explains) == set(VIEWS)


def recipe(name: str) -> Recipe:
    """Find a recipe.

    Raises:
        LookupError: If there is none of that name; the message suggests the nearest.
    """
    if name not in RECIPES:
        raise LookupError(unknown(name, RECIPES, "recipe") + ".")
    return RECIPES[name]
