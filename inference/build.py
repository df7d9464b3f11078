"""From settings to the three things that learn together: a model, a guide, an objective."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import torch
from torch import nn

from scene.detailed import DetailedScene
from scene.discriminative import CoarseScene
from scene.models import JointScene, SceneModel
from scene.networks.backbones import require_small
from scene.networks.image_encoders import TrunkEncoder
from scene.networks.spatial import Latent
from scene.priors.prior import Prior, PriorMaker
from scene.registry import load
from scene.seeds import seeded
from scene.views import VIEWS, Schema

from .flows import FlowGuide
from .guides import EncoderMaker, Guide
from .objectives.bounds import ELBO, Bound, Objective, Renyi
from .objectives.detail_matching import DetailMatching
from .objectives.flow_matching import FlowMatching
from .objectives.sec import SEC, OnMasks, grid_kernels
from .objectives.telbo import JMVAE, TELBO, Hybrid, Turns, subsets
from .settings.parts import GUIDES, OBJECTIVES, PRIORS
from .settings.recipes import recipe
from .settings.settings import OPTIONS, Settings


@dataclass(frozen=True)
class Assembly:
    """A model, a guide, and the objective that fits them to each other.

    Attributes:
        model: p.
        guide: q.
        objective: What fits the two to each other.
        flow: Where the model's latents lie, if that was learned: what scenes are drawn with.
        detailed: The model with the details of its images, if they were learned: what draws of
            images are decoded with.
    """

    model: SceneModel
    guide: Guide
    objective: Objective
    flow: FlowGuide | None = None
    detailed: DetailedScene | None = None

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
    if (form := recipe(settings.recipe).form) in AFTERWARDS:
        return AFTERWARDS[form](settings, schema)
    with seeded(settings.training.seed):
        model = _model(settings, schema)
        guide = _guide(settings, schema, model)
    if model.latent:
        guide.require(guide.views)
    return Assembly(model, guide, _objective(settings, model, guide))


def _learned(settings: Settings, schema: Schema) -> tuple[Settings, Assembly]:
    """Build the joint model and the guide of a run, which a flow learns after; return how, too."""
    described = replace(settings, recipe=settings.flow.of)
    of = assemble(described, schema)
    if not isinstance(of.model, JointScene):
        raise ValueError(
            f"A flow learns after a joint model, not after {settings.flow.of}; name a run of "
            "telbo, jvae or jmvae."
        )
    return described, of


def _details(settings: Settings, schema: Schema) -> Assembly:
    """Build a flow of the details of images, with a run's own model and guide held still."""
    if not settings.flow.details:
        raise ValueError("--details is 8 or more for this recipe, not 0.")
    _, of = _learned(settings, schema)
    with seeded(settings.training.seed):
        model = DetailedScene(schema, cast(JointScene, of.model), settings.flow.details)
    return Assembly(model, of.guide.requires_grad_(False), DetailMatching())


def _flow(settings: Settings, schema: Schema) -> Assembly:
    """Build a flow over the latents of a run, with the run's own model and guide held still."""
    described, of = _learned(settings, schema)
    of.model.requires_grad_(False)
    choices: dict[str, Any] = {"latent": of.model.latent, "width": settings.guide.width}
    if encoders := _encoders(described, of.model):
        choices["encoders"] = encoders
    grid = {"spatial": settings.model.spatial, "cell": settings.model.cell}
    with seeded(settings.training.seed):
        flow = FlowGuide(
            schema,
            tuple(dict.fromkeys((*of.model.views, *of.guide.views))),
            source=of.guide,
            flow_width=settings.flow.width,
            guidance=settings.flow.guidance,
            **choices,
            **grid,
        )
    return Assembly(of.model, flow, FlowMatching())


AFTERWARDS: dict[str, Callable[[Settings, Schema], Assembly]] = {
    "flow": _flow,
    "details": _details,
}
"""What is built after a trained run, by the form of its recipe."""


def _model(settings: Settings, schema: Schema) -> SceneModel:
    kind = load_class(recipe(settings.recipe).model, {}, "model")
    choices = {**vars(settings.model), "weights": settings.model.backbone_weights}
    if settings.model.threshold == "auto":  # until it is chosen
        choices["threshold"] = OPTIONS["threshold"].default
    parameters = _parameters(kind)
    if "make_prior" in parameters:
        choices["make_prior"] = _prior_maker(settings.model.prior)
    elif "prior" not in parameters and settings.model.prior not in ("standard", "flow"):
        raise ValueError(
            f"{kind.__name__} takes no prior of z, so --prior {settings.model.prior} is not "
            "possible; subclass scene.models.JointScene, which takes one."
        )
    model: SceneModel = kind(schema, **{k: v for k, v in choices.items() if k in parameters})
    return model


def _prior_maker(name: str) -> PriorMaker:
    """Return what makes p(z), by its name.

    Raises:
        LookupError: If there is no such prior.
        ValueError: If it is no prior; from the function, if it cannot be made as ours are.
    """
    kind = load(name, PRIORS, "prior")
    if not (isinstance(kind, type) and issubclass(kind, Prior)):
        raise ValueError(f"{name} is not a Prior; subclass scene.priors.prior.Prior.")

    def make(parts: Latent, width: int) -> Prior:
        with torch.random.fork_rng([]):  # all else begins alike, whatever the prior
            prior: Prior = _construct(name, kind, parts, width)
        return prior

    return make


def _guide(settings: Settings, schema: Schema, model: SceneModel) -> Guide:
    name = settings.guide.name
    kind = load(name, GUIDES, "guide")
    if not (isinstance(kind, type) and issubclass(kind, Guide)):
        raise ValueError(f"{name} is not a Guide; subclass inference.guides.Guide.")
    views = tuple(dict.fromkeys((*VIEWS, *model.views)))
    if recipe(settings.recipe).form == "plain":
        views = settings.guide.encode
    sizes: dict[str, Any] = {"latent": model.latent, "width": settings.guide.width}
    if encoders := _encoders(settings, model):
        sizes["encoders"] = encoders
    parameters = _parameters(kind)
    if settings.model.spatial and "spatial" in parameters:  # to any other, z is one vector
        sizes |= {"spatial": settings.model.spatial, "cell": settings.model.cell}
    if isinstance(model, JointScene) and "prior" in parameters:
        sizes["prior"] = model.latent_prior
    guide: Guide = _construct(name, kind, schema, views, **sizes)
    return guide


def _encoders(settings: Settings, model: SceneModel) -> Mapping[str, EncoderMaker]:
    """Return what makes a guide's encoders other than the package's usual ones.

    A model that reads the image itself, as a cVAE does, has the backbone; its guide has not.
    """
    choices = settings.model
    if "image" not in model.views or not recipe(settings.recipe).takes("backbone"):
        return model.encoders
    if choices.backbone == "small":
        require_small(choices.backbone_weights, choices.tuned_stages)
        return model.encoders

    def trunk(schema: Schema, width: int) -> TrunkEncoder:
        weights, stages = choices.backbone_weights, choices.tuned_stages
        return TrunkEncoder(schema.size, width, choices.backbone, weights, choices.stride, stages)

    return {**model.encoders, "image": trunk}


def _objective(settings: Settings, model: SceneModel, guide: Guide) -> Objective:
    form = recipe(settings.recipe).form
    build = FORMS[form] if form in FORMS else load_class(form, {}, "objective")
    objective = build(settings, model, guide)
    if not isinstance(objective, Objective):
        raise ValueError(
            f"The form of the recipe {settings.recipe} returns {type(objective).__name__}, which "
            "is no Objective; subclass inference.objectives.bounds.Objective."
        )
    return objective


def bound_of(settings: Settings, name: str | None = None, particles: int | None = None) -> Bound:
    """Build a bound as the settings describe it.

    Args:
        settings: The settings.
        name: A key of `inference.settings.parts.OBJECTIVES` or ``path/file.py:Name``; None = the
            joint term's.
        particles: K; None = the joint term's.

    Raises:
        LookupError: If there is no such bound.
        ValueError: If it is no bound, or cannot be made as ours are.
    """
    choices = settings.objective
    name, particles = name or choices.bound, particles or choices.particles
    kind: Any = load(name, OBJECTIVES, "objective")
    if not (isinstance(kind, type) and issubclass(kind, Bound)):
        raise ValueError(f"{name} is not a Bound; subclass inference.objectives.bounds.Bound.")
    more = {"alpha": choices.renyi_alpha} if issubclass(kind, Renyi) else {}
    if choices.free_bits and issubclass(kind, ELBO):
        more["free_bits"] = choices.free_bits
    bound: Bound = _construct(
        name, kind, particles, beta=choices.beta, weights=choices.view_weights, **more
    )
    return bound


def _plain(settings: Settings, model: SceneModel, guide: Guide) -> Objective:
    joint, share = bound_of(settings), settings.objective.hybrid
    return Hybrid(joint, share) if share else joint


def _jmvae(settings: Settings, model: SceneModel, guide: Guide) -> Objective:
    chosen, turns = _subsets(settings, model, guide)
    return JMVAE(bound_of(settings), chosen, settings.objective.alpha, turns)


def _telbo(settings: Settings, model: SceneModel, guide: Guide) -> Objective:
    choices = settings.objective
    chosen, turns = _subsets(settings, model, guide)
    return TELBO(
        bound_of(settings),
        bound_of(settings, choices.retrofit_bound, _retrofit_particles(settings)),
        chosen,
        "own" if choices.retrofit == "own" else "all",
        "stopped" if choices.generator_gradients == "stopped" else "shared",
        cast(Turns, turns if choices.turns == "all" else choices.turns),
        choices.alpha,
    )


def _retrofit_particles(settings: Settings) -> int:
    choices = settings.objective
    if choices.retrofit_particles is not None:
        return choices.retrofit_particles
    elbo = (choices.retrofit_bound or choices.bound) == "elbo"
    return 1 if elbo else choices.particles  # the mean of an ELBO does not depend on their number


def _subsets(
    settings: Settings, model: SceneModel, guide: Guide
) -> tuple[Any, Literal["all", "step"]]:
    """Return the subsets that the settings name, and whether one is drawn for each step."""
    chosen = subsets(settings.objective.subsets, model.views)
    for subset in chosen:
        guide.require(subset)
    return chosen, "step" if settings.objective.subsets == "random" else "all"


def _sec(settings: Settings, model: SceneModel, guide: Guide) -> Objective:
    if settings.data.augment not in (None, "none", "flip"):
        raise ValueError(
            f"The recipe sec mirrors scenes at most, not {settings.data.augment}: cues are "
            "computed once and would no longer match; use --augment flip."
        )
    assert isinstance(model, CoarseScene)
    crf = settings.crf
    kernels = grid_kernels(model.cells, crf.weight, crf.sigma_xy, crf.sigma_rgb)
    return SEC(kernels, expand=crf.expand, constrain=crf.constrain)


def _masks(settings: Settings, model: SceneModel, guide: Guide) -> Objective:
    return OnMasks()


FORMS: dict[str, Callable[[Settings, SceneModel, Guide], Objective]] = {
    "plain": _plain,
    "jmvae": _jmvae,
    "telbo": _telbo,
    "sec": _sec,
    "masks": _masks,
}
"""How the objective of a recipe is put together, by its form."""


def load_class(what: Any, table: Mapping[str, str], kind: str) -> Any:
    """Load a class or function by name; one that is given itself is returned."""
    return load(what, table, kind) if isinstance(what, str) else what


def _construct(name: str, kind: Any, *args: Any, **more: Any) -> Any:
    """Construct an object like ours; the class may be a user's, with other arguments."""
    try:
        inspect.signature(kind).bind(*args, **more)
    except TypeError as error:
        raise ValueError(
            f"{name} cannot be constructed like its base class {kind.__mro__[1].__name__}: "
            f"{error}. Take the same arguments in its __init__."
        ) from error
    return kind(*args, **more)


def _parameters(kind: Any) -> set[str]:
    """Name what a class can be constructed with: ``**choices`` are those of the next base."""
    names: set[str] = set()
    for base in kind.__mro__ if isinstance(kind, type) else ():
        if "__init__" in vars(base):
            own = inspect.signature(vars(base)["__init__"]).parameters.values()
            names |= {p.name for p in own}
            if not any(p.kind is p.VAR_KEYWORD for p in own):
                return names
    return names | set(inspect.signature(kind).parameters)
