"""The journal of a search: every trial in a folder that processes share, and which point is next.

Each depends on the seed and on its own number, so a search that was interrupted goes on as if it
had not been.

Optuna's journal is a file that is only ever appended to, under a lock that a dead process loses;
unlike SQLite it needs no locking that network folders lack.
"""

from __future__ import annotations

import copy
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.pruners import MedianPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from scene.storage.files import require_regular

from .plan import POINTS_AT_MOST, Plan
from .space import Point, Range, Space, grid

_ATTEMPTS = 50


def proposal(plan: Plan, trials: Sequence[FrozenTrial]) -> Point | None:
    """Return the next point, never one that was tried already; None if nothing is left.

    Args:
        plan: Names the sampler, and the seed.
        trials: All trials so far, those that are running too.

    Source:
        Bergstra et al. (2011), Algorithms for Hyper-Parameter Optimization (TPE),
        https://papers.nips.cc/paper/4443-algorithms-for-hyper-parameter-optimization
    """
    seen = [trial.params for trial in trials]
    if plan.sampler != "grid":
        sampled = _sampled(plan, trials)
        if sampled is not None:
            return sampled
        if plan.size > POINTS_AT_MOST:
            return None
    return next((point for point in _shuffled(plan) if point not in seen), None)


def distributions(spaces: Sequence[Space]) -> dict[str, BaseDistribution]:
    """Return the distribution of Optuna for each space."""
    return {space.option: _distribution(space) for space in spaces}


def direction(plan: Plan) -> Literal["minimize", "maximize"]:
    """Return the direction of Optuna for this metric."""
    return "minimize" if plan.minimised else "maximize"


def _sampled(plan: Plan, trials: Sequence[FrozenTrial]) -> Point | None:
    """Ask a sampler until it names a point that is new; None if it does not."""
    seen = [trial.params for trial in trials]
    if len(seen) >= plan.size:
        return None
    search = optuna.create_study(direction=direction(plan))
    search.add_trials([trial for trial in trials if set(trial.params) == set(plan.options)])
    for attempt in range(_ATTEMPTS):
        search.sampler = _sampler(plan, len(trials), attempt)
        point: dict[str, Any] = search.ask(distributions(plan.spaces)).params
        if point not in seen:
            return point
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


JOURNAL = "trials.log"

State = Literal["done", "stopped", "failed", "begun"]

_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "begun",
}

_NAME = "scene"

_BEFORE_PRUNING = 4
"""Trials that come to their end before one is measured against their median."""

_WORTH_WEIGHING = 8
"""Trials of which one can begin to say what mattered."""


@dataclass(frozen=True)
class Trial:
    """One point, and what came of it.

    Attributes:
        number: From 0.
        point: A value for each option searched.
        state: ``done``; ``stopped`` early, as worse than the median; ``failed``; or ``begun``.
        score: By the metric, the mean over seeds; None unless done.
        why: Why it failed.
        seconds: Duration in seconds.
        about: What else is known: direction, scenes.
        scores: Of each seed; empty unless done.
    """

    number: int
    point: Point
    state: State
    score: float | None = None
    why: str = ""
    seconds: float = 0.0
    about: str = ""
    scores: tuple[float, ...] = ()

    @property
    def deviation(self) -> float | None:
        """How far scores of single seeds scatter: their standard deviation, of two or more."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else None

    @property
    def name(self) -> str:
        """Its run's folder."""
        return f"trial-{self.number:03d}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"name": self.name, **asdict(self)}


class Journal:
    """The trials of one plan; several processes may have it open.

    Args:
        folder: Where the journal is, or goes.
        plan: The plan of the search.

    Raises:
        ValueError: If the journal is damaged.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        path = folder / JOURNAL
        self.plan = plan
        if path.exists() or path.is_symlink():
            require_regular(path)
        try:
            self._open(str(path))
            sound = all(map(self._is_sound, self.trials()))
        except OSError:
            raise
        except Exception as error:  # whatever Optuna makes of lines that it did not write
            raise _damaged(path) from error
        if not sound:
            raise _damaged(path)

    def _open(self, path: str) -> None:
        plan = self.plan
        self.storage = JournalStorage(JournalFileBackend(path, JournalFileOpenLock(path)))
        steps = plan.settings(next(plan.corners())).training.steps
        self.longest = max(plan.settings(corner).training.steps for corner in plan.corners())
        self.early = steps // 3
        self.study = optuna.create_study(
            storage=self.storage,
            study_name=_NAME,
            direction=direction(plan),
            pruner=MedianPruner(_BEFORE_PRUNING, n_warmup_steps=self.early),
            load_if_exists=True,
        )

    def _is_sound(self, trial: Trial) -> bool:
        """Return whether a stored trial is of this plan, with attributes of the right types."""
        numbers = (trial.seconds, *trial.scores, *([trial.score] if trial.state == "done" else []))
        return (
            all(isinstance(number, int | float) for number in numbers)
            and isinstance(trial.why, str)
            and isinstance(trial.about, str)
            and set(trial.point) == set(self.plan.options)
        )

    def trials(self) -> list[Trial]:
        """Return every started trial, in order; without those whose point is incomplete."""
        known = [_read(trial) for trial in self.study.trials if trial.state in _STATES]
        return [t for t in known if t.state != "begun" or set(t.point) == set(self.plan.options)]

    def propose(self) -> Trial | None:
        """Begin the next trial; None if there is nothing left to try."""
        trials = self.study.trials
        if not any(trial.state == TrialState.WAITING for trial in trials):
            point = proposal(self.plan, trials)
            if point is None:
                return None
            self.study.enqueue_trial(point)
        suggestion = self.study.ask(distributions(self.plan.spaces))
        return Trial(suggestion.number, suggestion.params, "begun")

    def report(self, number: int, step: int, val: float, repeat: int = 0) -> bool:
        """Note a validation loss; say whether the trial should stop.

        What is noted is the mean over the seeds so far at this step, and it is measured against
        the same mean of other trials: the seeds are the same.

        Args:
            number: Of the trial.
            step: Of its run.
            val: The loss.
            repeat: Which of the trial's seeds, from 0.
        """
        loss, first = val if self.plan.minimised else -val, repeat * self.longest
        trial = self._trial(number)
        if repeat:
            before = trial.intermediate_values.get(first - self.longest + step)
            if before is None:  # that run stopped before, or did not say
                return False
            loss = (repeat * before + loss) / (repeat + 1)
        self.storage.set_trial_intermediate_value(self._id(number), first + step, loss)
        if step < self.early:
            return False
        trial = copy.copy(self._trial(number))
        known = trial.intermediate_values
        trial.intermediate_values = {at: v for at, v in known.items() if at > first}
        return bool(self.study.pruner.prune(self.study, trial))

    def tell(self, trial: Trial) -> None:
        """Note what came of a trial."""
        notes: dict[str, Any]
        notes = {"why": trial.why, "seconds": trial.seconds, "about": trial.about}
        notes |= {"scores": list(trial.scores)}
        for key, value in notes.items():
            self.storage.set_trial_user_attr(self._id(trial.number), key, value)
        state = next(known for known, name in _STATES.items() if name == trial.state)
        self.study.tell(trial.number, trial.score, state)

    def importances(self) -> Mapping[str, float]:
        """Return the share of the variance that each option explains; empty if trials are few.

        Source:
            Watanabe et al. (2023), PED-ANOVA, https://arxiv.org/abs/2304.10255
        """
        done = [trial for trial in self.trials() if trial.state == "done"]
        if len(done) < _WORTH_WEIGHING or len({trial.score for trial in done}) < 2:
            return {}
        return get_param_importances(self.study, evaluator=PedAnovaImportanceEvaluator())

    def _trial(self, number: int) -> FrozenTrial:
        return self.study.get_trials(deepcopy=False)[number]

    def _id(self, number: int) -> int:
        study = self.storage.get_study_id_from_name(_NAME)
        return self.storage.get_trial_id_from_study_id_trial_number(study, number)


def mend(folder: Path) -> None:
    """Take the end off a journal that was cut in the middle of a line, by a kill or a full disk.

    Optuna passes such a line by, but writes the next right behind it.
    """
    path = folder / JOURNAL
    if not path.exists() or not require_regular(path):
        return
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if content[whole:].startswith(b"{"):
            file.truncate(whole)


def _damaged(path: Path) -> ValueError:
    return ValueError(f"{path} is damaged; choose another --out, or --force to start again.")


def _read(trial: FrozenTrial) -> Trial:
    state, notes = _STATES[trial.state], trial.user_attrs
    return Trial(
        trial.number,
        trial.params,
        state,
        trial.value if state == "done" else None,
        **{**notes, "scores": tuple(notes.get("scores", ()))},
    )
