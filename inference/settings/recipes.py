"""The words of the command line: a recipe is a model, a guide, an objective, and their defaults.

Nothing here imports torch, so that names can be listed at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from scene.registry import load, unknown

from .fields import VIEWS, Option
from .network_values import LARGEFOV, PUBLISHED, SMALL, TRUNK_LATENT, TRUNK_SEC, TUNED
from .parts import PRIORS
from .settings import OPTIONS, Settings, flag, option_called

TRUNK = "trunk"
"""Stands for every other network of timm or torchvision in `Recipe.nets`."""

OWN_NETWORKS = ("small", "vgg16", "resnet50", "largefov")
"""Networks that `TRUNK` does not stand for."""


@dataclass(frozen=True)
class Recipe:
    """A model, a form of objective, and the settings that differ from the defaults.

    Attributes:
        about: One line for ``--help``.
        model: The class of the generative model: ``module:Name``, ``path/file.py:Name``, or the
            class itself.
        form: What the objective is: one bound (``plain``) or several put together (``telbo``,
            ``jmvae``), the losses of SEC (``sec``), the cross-entropy of ``masks``; or
            ``module:Name``, ``path/file.py:Name`` or a function itself, called as
            ``form(settings, model, guide)``, that returns an `Objective`.
        explains: The views that the model explains.
        uses: Options it uses that not every recipe does.
        scratch: Backbones without ImageNet's weights; others begin with those. None = no
            backbone does.
        defaults: Values of options in this recipe.
        nets: Values of options that go with a network (``net``, ``backbone``) other than its
            default, by its name; `TRUNK` stands for every network of timm or
            torchvision without values of its own.
        without: Options it does not use that every other recipe does.
        priors: What ``prior`` may be, where it is used; those of joint models, or one's own.
    """

    about: str
    model: Any
    form: Any = "plain"
    explains: tuple[str, ...] = VIEWS
    uses: Collection[str] = ()
    scratch: Collection[str] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    nets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    without: Collection[str] = ()
    priors: tuple[str, ...] = tuple(PRIORS)

    @property
    def name(self) -> str:
        """The word of the command line that stands for this recipe."""
        return next(name for name, one in {**RECIPES, **_loaded}.items() if one is self)

    @property
    def base(self) -> Settings:
        """Its settings where nobody says otherwise."""
        return Settings(self.name).changed(**self.defaults)

    def options(self) -> dict[str, Option]:
        """Return the options that it uses, by name, each with its own default here."""
        base = self.base
        options = {
            name: replace(option, default=base.value(name))
            for name, option in OPTIONS.items()
            if self.takes(name)
        }
        if prior := options.get("prior"):
            options["prior"] = replace(prior, choice=replace(prior.choice, choices=self.priors))
        return options

    def settings(self, **values: Any) -> Settings:
        """Return settings: the recipe's own, then the values that are not None.

        A weight for one view leaves those of the others as they are. Text is read as it would be
        after an option of `scene train`.

        Raises:
            LookupError: If there is no such option, or as `Settings`.
            ValueError: As `Settings`; or if a value would change nothing here.
        """
        chosen = {
            name: option_called(name).parse(value)
            for name, value in values.items()
            if value is not None
        }
        self._require(chosen)
        self._require_prior(chosen.get("prior", "standard"))
        base = self.base.changed(**self._of_network(chosen))
        if self.scratch and chosen.get("backbone", "small") not in self.scratch:
            chosen.setdefault("backbone_weights", "imagenet")
        if "view_weights" in chosen:
            weights = base.objective.view_weights
            chosen["view_weights"] = {**weights, **chosen["view_weights"]}
        result = base.changed(**chosen)
        self._require_bounds(result, chosen)
        return result

    def predicting(self, **values: Any) -> Settings:
        """Return settings as `settings` does, without a flow that only draws scenes.

        For trainings that are scored by their predictions, which a flow does not change; one that
        is asked for by ``prior`` is kept.
        """
        if self.takes("prior") and self.base.model.prior == "flow":
            values = {"prior": "standard", **values}
        return self.settings(**values)

    def takes(self, option: str) -> bool:
        """Return whether an option changes anything in this recipe."""
        if option in self.without:
            return False
        return option in self.uses or option not in _NOT_EVERYWHERE

    def _of_network(self, chosen: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values that go with the network chosen."""
        network = chosen.get("net") or chosen.get("backbone") or "small"
        return self.nets.get(network if network in OWN_NETWORKS else TRUNK, {})

    def _require(self, chosen: Mapping[str, Any]) -> None:
        """Refuse settings that would be ignored."""
        idle = [flag(name) for name in chosen if not self.takes(name)]
        views = set(chosen.get("view_weights", ())) & set(VIEWS)
        weighed = () if self.form in ("sec", "masks") else self.explains
        idle += [f"{flag('view_weights')} {v}" for v in sorted(views.difference(weighed))]
        if idle:
            raise ValueError(
                f"The recipe {self.name} does not use {', '.join(idle)}; leave "
                f"{'it' if len(idle) == 1 else 'them'} out."
            )

    def _require_prior(self, prior: str) -> None:
        """Refuse a prior that the model does not have; a joint model takes one's own."""
        joint = PRIORS.keys() <= set(self.priors)
        if prior not in self.priors and not (joint and ":" in prior):
            raise ValueError(
                f"The recipe {self.name} has the priors {', '.join(self.priors)}, not {prior}; "
                f"choose one of them{', or your own: path/file.py:Name' if joint else ''}."
            )

    def _require_bounds(self, settings: Settings, chosen: Collection[str]) -> None:
        """Refuse settings of a bound that is not chosen; a bound of one's own might use them."""
        bounds = {settings.objective.bound}
        if self.takes("retrofit_objective"):
            bounds.add(settings.objective.retrofit_bound or settings.objective.bound)
        for setting, bound in _OF_BOUNDS.items():
            if setting in chosen and not any(b == bound or ":" in b for b in bounds):
                raise ValueError(
                    f"{flag(setting)} is used by the objective {bound} only; leave it out, or "
                    f"add --objective {bound}."
                )


_loaded: dict[str, Recipe] = {}
"""Recipes that came from elsewhere, by the name they were loaded by."""

_OF_BOUNDS = {"renyi_alpha": "renyi", "free_bits": "elbo"}
"""Settings of one bound, and which."""

_JOINT = "scene.models:JointScene"
_BOUND = ("objective", "particles", "renyi_alpha", "free_bits", "beta", "warmup")
_LATENT = ("latent", "guide", "guide_width", *_BOUND)
_PIXELS = ("noise", "image_scale", "learn_scale")
_CUES = (
    "layer",
    "scales",
    "flip",
    "foreground",
    "background",
    "saliency",
    "background_map",
    "exponent",
    "background_exponent",
    "cue_crf",
    "affinity",
    "imagenet_maps",
    "scenery",
)
_CRF = ("expand_weight", "constrain_weight", "crf_weight", "crf_xy", "crf_rgb")
_TRUNK = ("backbone", "backbone_weights", "stride", "tuned_stages")
_COARSE = ("net", "classifier", "backbone_weights", "stride", "tuned_stages")
_GRID = ("spatial", "cell")
_FLOW = ("mask_first", "prior", "flow_width", "guidance", "flow_steps", "details", "detail_steps")
_JOINTLY = (*_LATENT, *_GRID, *_FLOW, *_PIXELS, *_TRUNK, "weak_weight")
_OF_THE_RUN = ("data", "size", "count", "width", "view_weights")
"""What a flow has of the run whose latents it learns."""

_RETROFIT = (
    "turns",
    "retrofit",
    "retrofit_objective",
    "retrofit_particles",
    "generator_gradients",
)

RECIPES: dict[str, Recipe] = {
    "cvae": Recipe(
        "Conditional VAE: samples masks given an image.",
        "scene.conditional:ConditionalScene",
        explains=("mask",),
        uses=(*_LATENT, *_GRID, "image_grid", "encode", "prior", "hybrid", "weak_weight", *_TRUNK),
        scratch=("small", "vgg16"),
        priors=("standard", "learned"),
        nets={TRUNK: TRUNK_LATENT},
        defaults={"encode": ("image", "mask")},
    ),
    "jvae": Recipe(
        "Joint VAE: infers z from the views of --encode, models image, classes and mask.",
        _JOINT,
        uses=(*_JOINTLY, "encode"),
        scratch=("small",),
        nets={TRUNK: TRUNK_LATENT},
        defaults={"encode": ("image", "classes")},
    ),
    "jmvae": Recipe(
        "JMVAE: a joint VAE whose posteriors given fewer views follow the joint one.",
        _JOINT,
        form="jmvae",
        uses=(*_JOINTLY, "subsets", "alpha"),
        scratch=("small",),
        nets={TRUNK: TRUNK_LATENT},
        defaults={"guide": "retrofit", "subsets": "singles", "learning_rate": 1e-3},
    ),
    "telbo": Recipe(
        "TELBO: a joint bound and one for each subset of views, with shared generators.",
        _JOINT,
        form="telbo",
        uses=(*_JOINTLY, "subsets", "alpha", *_RETROFIT),
        scratch=("small",),
        nets={TRUNK: TRUNK_LATENT},
        defaults={
            "guide": "poe",
            "subsets": "image,image+classes,mask",
            "retrofit_objective": "elbo",
            "alpha": 0.0,
            "prior": "flow",
            "steps": 900,
        },
    ),
    "prior": Recipe(
        "Flow over the latents of a trained joint model, to draw scenes given any views or none.",
        _JOINT,
        form="flow",
        uses=("run", "flow_width", "guidance"),
        without=_OF_THE_RUN,
        defaults={
            "guide": "poe",
            "augment": "none",
            "steps": 1200,
            "batch_size": 64,
            "learning_rate": 2e-3,
        },
    ),
    "details": Recipe(
        "Flow of the textures and noise of images, around the means of a trained joint model.",
        _JOINT,
        form="details",
        uses=("run", "details"),
        without=_OF_THE_RUN,
        defaults={
            "guide": "poe",
            "details": 32,
            "steps": 800,
            "batch_size": 32,
            "learning_rate": 2e-3,
        },
    ),
    "segmenter": Recipe(
        "U-Net trained on ground-truth masks: the supervised baseline.",
        "scene.discriminative:SegmentedScene",
        explains=("mask",),
        uses=(*_TRUNK, "weak_weight"),
        scratch=("small",),
        defaults={"guide": "none", "encode": ("image",), "learning_rate": 4e-3, "batch_size": 32},
    ),
    "classifier": Recipe(
        "Classifier of image-level labels: the first stage of weak supervision.",
        "scene.discriminative:ClassifiedScene",
        explains=("classes",),
        uses=(*_TRUNK, "threshold"),
        scratch=("small",),
        nets={
            "resnet50": {"stride": 32},
            TRUNK: {**TUNED, "augment": "flip", "steps": 120, "learning_rate": 5e-4},
        },
        defaults={
            "guide": "none",
            "encode": ("image",),
            "view_weights": {"classes": 1.0},
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
            **SMALL,
            "foreground": 0.9,
            "background": 0.3,
            "crf_weight": 8.0,
            "crf_xy": 7.7,
            "crf_rgb": 14.0,
        },
        nets={
            "largefov": {**LARGEFOV, **PUBLISHED},
            TRUNK: {
                **TUNED,
                **TRUNK_SEC,
                "flip": True,
                "affinity": 2.0,
                "imagenet_maps": True,
                "foreground": 0.6,
                "background_map": "max",
                "exponent": 2.0,
                "cue_crf": (3.0, 40.0, 5.0),
                "expand_weight": 0.0,
            },
        },
    ),
    "supervised": Recipe(
        "SEC's network trained on ground-truth masks, for comparison with SEC.",
        "scene.discriminative:CoarseScene",
        form="masks",
        explains=("mask",),
        uses=(*_COARSE, "weak_weight"),
        defaults=SMALL,
        nets={"largefov": LARGEFOV, TRUNK: {**TUNED, **TRUNK_SEC}},
    ),
}
"""Recipes by name."""


DERIVED = frozenset({"flow_of"})
"""Settings that nobody chooses: a run has them of another."""

_NOT_EVERYWHERE = DERIVED.union(*(one.uses for one in RECIPES.values()))
"""Options that only the recipes that name them use."""


def recipe(name: str) -> Recipe:
    """Return a recipe: one of `RECIPES`, or one's own by ``path/file.py:Name``.

    A recipe of one's own is imported here, so its file must be trusted; see
    `inference.runs.plugins`.

    Raises:
        LookupError: If there is none of that name; the message suggests the nearest.
        ValueError: If the name stands for something else.
    """
    if name in RECIPES:
        return RECIPES[name]
    if ":" not in name:
        raise LookupError(unknown(name, RECIPES, "recipe") + "; or your own: path/file.py:Name.")
    if name not in _loaded:
        own = load(name, {}, "recipe")
        if not isinstance(own, Recipe):
            raise ValueError(
                f"{name} is not a Recipe; make one: Recipe(about, model, uses=…, defaults=…) of "
                "inference.settings.recipes."
            )
        _loaded[name] = replace(own)
    return _loaded[name]
