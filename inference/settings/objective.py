"""Settings of the objective: its bounds, their terms and their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .fields import LARGE, STEPS, require_views, setting


def _check_weights(flag: str, weights: Mapping[str, float]) -> None:
    require_views(tuple(weights))
    for view, weight in weights.items():
        if not 0 <= weight < float("inf"):
            raise ValueError(f"{flag} {view} must be 0 or more, not {weight}.")


def _check_share(flag: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{flag} is a share from 0 to 1, not {value}.")


@dataclass(frozen=True)
class ObjectiveSettings:
    """The objective: one bound, or several terms put together.

    Attributes:
        bound: The bound of the joint term: a key of `inference.settings.recipes.OBJECTIVES`, or
            ``path/file.py:Name``.
        particles: K of the joint term.
        renyi_alpha: α of the Rényi bound: 0 = ``iwae``, 1 = ``elbo``.
        free_bits: Nats of KL that cost the same as none, in terms bounded by ``elbo``.
        beta: Weight of the KL.
        warmup: Steps over which β rises from 0.
        view_weights: Weight of each view's likelihood, in training only; 1 where none is named.
        hybrid: Share of the term of a cVAE that draws z from its prior.
        subsets: What the terms beside the joint one condition on.
        alpha: Weight of JMVAE's penalties, Σ KL(q(z | all) ‖ q(z | subset)).
        turns: Whether a step works on ``all`` terms, on one subset drawn for the ``step``, or for
            each ``scene`` on one term drawn for it.
        retrofit: What the terms of subsets score: ``own`` views, or ``predict-all``.
        retrofit_bound: The bound of the terms of subsets; None = as the joint term.
        retrofit_particles: K of the terms of subsets; None = as the joint term.
        generator_gradients: Whether the terms of subsets train the generators.
    """

    bound: str = setting(
        "iwae",
        "Bound of the joint term: elbo, iwae, renyi, dreg, stl (biased if K > 1), or your own as "
        "path/file.py:Name.",
        option="objective",
        metavar="NAME",
        spoils="loss",
    )
    particles: int = setting(
        1, "Draws of z for each scene (K) in the joint term.", least=1, most=4096, spoils="loss"
    )
    renyi_alpha: float = setting(
        0.5,
        "Order α of the bound renyi: 0 is iwae, 1 is elbo.",
        least=0,
        most=LARGE,
        spoils="loss",
    )
    free_bits: float = setting(
        0.0,
        "KL of the bound elbo that costs as little as none.",
        unit="nats",
        least=0,
        most=LARGE,
        spoils="loss",
    )
    beta: float = setting(1.0, "Weight β of the KL.", least=0, most=LARGE, spoils="loss")
    warmup: int = setting(0, "Steps over which β rises from 0.", least=0, most=STEPS)
    view_weights: Mapping[str, float] = setting(
        {"classes": 50.0},
        "Weight of the likelihood of views in training, as mask=2,classes=10; a view that is not "
        "named keeps its weight.",
        also=("--view-weight",),
        check=_check_weights,
        metavar="VIEW=WEIGHT",
        spoils="loss",
    )
    hybrid: float = setting(
        0.0,
        "Share of a cVAE's objective in which z is drawn from its prior.",
        check=_check_share,
        unit="0 to 1",
        spoils="loss",
    )
    subsets: str = setting(
        "report",
        "Views that the terms beside the joint one condition on: report, singles, all, random "
        "(one each step), or your own, as image,image+classes.",
        metavar="SUBSETS",
        spoils="loss",
    )
    alpha: float = setting(
        1.0,
        "Weight α of JMVAE's penalties, the sum of KL(q(z | all) ‖ q(z | subset)).",
        least=0,
        most=LARGE,
        spoils="loss",
    )
    turns: str = setting(
        "all",
        "Terms that a step works on: all, one subset drawn for the step, or one term drawn for "
        "each scene.",
        choices=("all", "step", "scene"),
        spoils="loss",
    )
    retrofit: str = setting(
        "predict-all",
        "Views that the terms of subsets score: their own, or all (predict-all).",
        choices=("own", "predict-all"),
        spoils="loss",
    )
    retrofit_bound: str | None = setting(
        None,
        "Bound of the terms of subsets, named as for --objective.",
        option="retrofit_objective",
        default_help="that of --objective",
        metavar="NAME",
        spoils="loss",
    )
    retrofit_particles: int | None = setting(
        None,
        "Draws of z for each scene (K) in the terms of subsets.",
        least=1,
        most=4096,
        default_help="as --particles",
        spoils="loss",
    )
    generator_gradients: str = setting(
        "shared",
        "Whether the terms of subsets train the generators (shared) or the guide alone (stopped).",
        choices=("shared", "stopped"),
    )
