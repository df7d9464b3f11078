"""Proposals: which point is tried next, a pure function of the plan and of what was tried.

Each depends on the seed and on its own number, so a search that was interrupted goes on as if it
had not been.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from .plan import POINTS_AT_MOST, Plan
from .space import Point, Range, Space, grid

_ATTEMPTS = 50


def proposal(plan: Plan, tried: Sequence[FrozenTrial]) -> Point | None:
    """Say what to try next: never what was tried already; None if nothing is left.

    Args:
        plan: Names the sampler, and the seed.
        tried: All trials so far, those that are running too.

    Source:
        Bergstra et al. (2011), Algorithms for Hyper-Parameter Optimization (TPE),
        https://papers.nips.cc/paper/4443-algorithms-for-hyper-parameter-optimization
    """
    seen = [trial.params for trial in tried]
    if plan.sampler != "grid":
        found = _sampled(plan, tried)
        if found is not None:
            return found
        if plan.size > POINTS_AT_MOST:
            return None
    return next((point for point in _shuffled(plan) if point not in seen), None)


def distributions(spaces: Sequence[Space]) -> dict[str, BaseDistribution]:
    """Say what Optuna calls each space."""
    return {space.option: _distribution(space) for space in spaces}


def direction(plan: Plan) -> Literal["minimize", "maximize"]:
    """Say what Optuna calls going by this metric."""
    return "minimize" if plan.minimised else "maximize"


def _sampled(plan: Plan, tried: Sequence[FrozenTrial]) -> Point | None:
    """Ask a sampler until it names a point that is new; None if it does not."""
    seen = [trial.params for trial in tried]
    if len(seen) >= plan.size:
        return None
    search = optuna.create_study(direction=direction(plan))
    search.add_trials([trial for trial in tried if set(trial.params) == set(plan.options)])
    for attempt in range(_ATTEMPTS):
        search.sampler = _sampler(plan, len(tried), attempt)
        found: dict[str, Any] = search.ask(distributions(plan.spaces)).params
        if found not in seen:
            return found
    return None


def _sampler(plan: Plan, number: int, attempt: int) -> BaseSampler:
    """Make a sampler for one proposal."""
    seed = int(np.random.SeedSequence([plan.seed, number, attempt]).generate_state(1)[0])
    if plan.sampler == "random":
        return RandomSampler(seed)
    return TPESampler(seed=seed, constant_liar=True)


def _shuffled(plan: Plan) -> list[Point]:
    """List all points in an order of the seed's, so that a part of them is no corner."""
    whole = max((int(s.size) for s in plan.spaces if s.size < POINTS_AT_MOST), default=2)
    points = grid(plan.spaces, plan.points if plan.sampler == "grid" else whole)
    random.Random(plan.seed).shuffle(points)
    return points


@cache
def _distribution(space: Space) -> BaseDistribution:
    if not isinstance(space, Range):
        return CategoricalDistribution(space.values)
    if space.whole:
        return IntDistribution(int(space.low), int(space.high), log=space.log)
    return FloatDistribution(space.low, space.high, log=space.log)
