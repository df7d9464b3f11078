"""From settings to the three things that learn together: a model, a guide, an objective."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from scene.discriminative import CoarseScene
from scene.models import SceneModel
from scene.registry import load
from scene.seeds import seeded
from scene.views import VIEWS, Schema

from .guides import Guide
from .objectives.bounds import ELBO, Bound, Objective
from .objectives.hybrid import Hybrid
from .objectives.renyi import Renyi
from .objectives.sec import SEC, OnMasks, grid_kernels
from .objectives.telbo import JMVAE, TELBO, Turns, subsets
from .settings.recipes import GUIDES, OBJECTIVES, recipe
from .settings.settings import Settings


@dataclass(frozen=True)
class Assembly:
    """A model, a guide, and the objective that fits them to each other."""

    model: SceneModel
    guide: Guide
    objective: Objective

    @property
    def device(self) -> torch.device:
        """Where the model lives, and the guide with it."""
        return next(self.model.parameters()).device

    @property
    def module(self) -> nn.Module:
        """The objective as a module that holds both networks and returns the loss."""
        return cast(nn.Module, self.objective(self.model, self.guide))


def assemble(settings: Settings, schema: Schema) -> Assembly:
    """Build what ``settings`` describe, for data of ``schema``.

    Weights are drawn from the settings' seed, without touching the global generator.

    Raises:
        LookupError: If a guide, objective or recipe is unknown.
        ValueError: If they do not fit together.
    """
    with seeded(settings.seed):
        model = _model(settings, schema)
        guide = _guide(settings, schema, model.latent)
    if model.latent:
        guide.require(guide.views)
    return Assembly(model, guide, _objective(settings, model, guide))


def _model(settings: Settings, schema: Schema) -> SceneModel:
    choices = {
        "latent": settings.latent,
        "spatial": settings.spatial,
        "cell": settings.cell,
        "prior": settings.prior,
        "width": settings.width,
        "noise": settings.noise,
        "image_scale": settings.image_scale,
        "learn_scale": settings.learn_scale,
        "backbone": settings.backbone,
        "weights": settings.backbone_weights,
        "net": settings.net,
        "threshold": 0.5 if settings.threshold == "auto" else settings.threshold,
    }
    kind = load(recipe(settings.recipe).model, {}, "model")
    wanted = inspect.signature(kind).parameters
    model: SceneModel = kind(schema, **{k: v for k, v in choices.items() if k in wanted})
    return model


def _guide(settings: Settings, schema: Schema, latent: int) -> Guide:
    kind = load(settings.guide, GUIDES, "guide")
    if not (isinstance(kind, type) and issubclass(kind, Guide)):
        raise ValueError(f"{settings.guide} is not a Guide; subclass inference.guides.Guide.")
    views = VIEWS if recipe(settings.recipe).form != "plain" else settings.encode
    sizes = {"latent": latent, "width": settings.guide_width}
    if settings.spatial and _takes_any(kind):  # to any other, z is one vector
        sizes |= {"spatial": settings.spatial, "cell": settings.cell}
    made: Guide = _made(settings.guide, kind, schema, views, **sizes)
    return made


def _objective(settings: Settings, model: SceneModel, guide: Guide) -> Objective:
    if isinstance(model, CoarseScene):
        return _coarse(settings, model)
    joint = _bound(settings.objective, settings.particles, settings)
    form = recipe(settings.recipe).form
    if form == "plain":
        return Hybrid(joint, settings.hybrid) if settings.hybrid else joint
    chosen = subsets(settings.subsets)
    random = settings.subsets == "random"
    for subset in chosen:
        guide.require(subset)
    if form == "jmvae":
        return JMVAE(joint, chosen, settings.alpha, "step" if random else "all")
    retrofit = _bound(
        settings.retrofit_objective or settings.objective,
        settings.retrofit_particles or settings.particles,
        settings,
    )
    return TELBO(
        joint,
        retrofit,
        chosen,
        "own" if settings.retrofit == "own" else "all",
        "stopped" if settings.generator_gradients == "stopped" else "shared",
        cast(Turns, "step" if random and settings.turns == "all" else settings.turns),
        settings.alpha,
    )


def _coarse(settings: Settings, model: CoarseScene) -> Objective:
    if recipe(settings.recipe).form == "masks":
        return OnMasks()
    if settings.augment not in (None, "none"):
        raise ValueError("The recipe sec does not vary scenes, or cues would lie beside them.")
    return SEC(grid_kernels(model.cells, settings.crf_weight, settings.crf_xy, settings.crf_rgb))


def _bound(name: str, particles: int, settings: Settings) -> Bound:
    kind: Any = load(name, OBJECTIVES, "objective")
    if not (isinstance(kind, type) and issubclass(kind, Bound)):
        raise ValueError(f"{name} is not a Bound; subclass inference.objectives.bounds.Bound.")
    more = {"alpha": settings.renyi_alpha} if issubclass(kind, Renyi) else {}
    if settings.free_bits and issubclass(kind, ELBO):
        more["free_bits"] = settings.free_bits
    made: Bound = _made(
        name, kind, particles, beta=settings.beta, weights=settings.weights, **more
    )
    return made


def _made(name: str, kind: Any, *args: Any, **more: Any) -> Any:
    """Make an object as ours are made; a stranger's class may not have been told how."""
    try:
        inspect.signature(kind).bind(*args, **more)
    except TypeError as error:
        raise ValueError(
            f"{name} cannot be made as {kind.__mro__[1].__name__} is: {error}."
        ) from error
    return kind(*args, **more)


def _takes_any(kind: type) -> bool:
    """Say whether a class takes sizes that it does not name itself."""
    found = inspect.signature(kind).parameters.values()
    return any(p.name == "spatial" or p.kind is p.VAR_KEYWORD for p in found)
