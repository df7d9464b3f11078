"""Tuning: the search itself, resumable and in parallel, its report and its figure.

::

    runs/tune-jvae-synthetic-default/
        study.json      the plan; a search with another plan is refused here
        trials.log      Optuna's journal: every trial, as it comes
        trial-000/      a run, as `scene train` makes it; only the best keeps its weights
            seed-0/     or one for each seed, where there are several
        tune.json       the best settings, and all trials
        tune.png        the score against each option, and what mattered
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from scene.figures.search import Axis, SearchTrials, draw_search
from scene.storage.files import read_json
from scene.storage.locks import contents, locked

from ...devices import Device
from ...interruption import resumable
from ...process_pool import pool
from ...runs.run import home, write_json
from ...settings.config import abbreviated
from .journal import JOURNAL, Journal, Trial, mend
from .plan import METRICS, TRIALS, Plan
from .space import Range, Space
from .trial import Task, TrialCallback, checked, run_trial, strip

MOST = {"--trials": 100_000, "--jobs": 256}
"""How many trials a search may have, and how many processes."""

STUDY, FILE, PICTURE = "study.json", "tune.json", "tune.png"


@dataclass(frozen=True)
class Tuned:
    """The result of a search.

    Attributes:
        plan: The plan of the search.
        folder: Where everything is.
        data: Name of the dataset.
        trials: All, in the order in which they were begun.
        importances: What share of the differences each option explains; empty if trials are few.
        files: ``tune.json``, and a picture if there is something to see.
    """

    plan: Plan
    folder: Path
    data: str
    trials: tuple[Trial, ...]
    importances: dict[str, float] = field(default_factory=dict)
    files: tuple[Path, ...] = ()

    @property
    def ranked(self) -> list[Trial]:
        """Those that came to their end, the best first; among equals the earlier."""
        sign = 1 if self.plan.minimised else -1
        done = [trial for trial in self.trials if trial.score is not None]
        return sorted(done, key=lambda trial: sign * (trial.score or 0.0))

    @property
    def best(self) -> Trial | None:
        """The best of them."""
        return next(iter(self.ranked), None)

    @property
    def runs(self) -> tuple[Path, ...]:
        """The runs of the best, one a seed; `command` trains the first."""
        names = self.plan.runs(self.best.name) if self.best else ()
        return tuple(self.folder / name for name in names)

    @property
    def command(self) -> str:
        """The command that trains with the best settings."""
        return self.plan.command(self.best.point) if self.best else ""

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        best = self.best
        return {
            "plan": self.plan.to_json(),
            "data": self.data,
            "metric": METRICS[self.plan.metric],
            "best": None
            if best is None
            else {
                **best.to_json(),
                "run": str(self.runs[0]),
                "runs": [str(run) for run in self.runs],
                "settings": self.plan.settings(best.point).to_json(),
                "command": self.command,
            },
            "importances": self.importances,
            "trials": [trial.to_json() for trial in self.trials],
        }


def tune(
    plan: Plan,
    *,
    trials: int | None = None,
    jobs: int = 1,
    folder: Path | None = None,
    force: bool = False,
    keep: bool = False,
    device: Device = "auto",
    download: bool = False,
    watch: TrialCallback = lambda trial, report: None,
    on_trial: Callable[[Trial], None] = lambda trial: None,
) -> Tuned:
    """Search until there are so many trials, whichever call made them.

    A second call goes on where the first was stopped: a trial that was interrupted is run again,
    from its checkpoint if it came to one. With one process, a search in several calls is the
    search in one. Everything that can be refused is refused before anything is written.

    Args:
        plan: What is searched, and how.
        trials: How many there will be in all; by default the whole of a grid, else `TRIALS`.
        jobs: Processes that share them, and the cores.
        folder: Where everything goes; by default one of the recipe and data under
            `inference.runs.run.home`.
        force: Delete an earlier search and start again.
        keep: Keep the weights of all trials.
        device: The device to compute on.
        download: Let data be fetched.
        watch: Called after every step, where there is one process.
        on_trial: Called with each trial as it ends.

    Raises:
        ArithmeticError: If not one trial came to its end.
        BlockingIOError: If another process is searching in that folder.
        LookupError: If the data or a split are not there.
        ValueError: If something does not fit, or the folder holds something else.
    """
    for name, count in {"--trials": trials, "--jobs": jobs}.items():
        if count is not None and count < 1:
            raise ValueError(f"{name} must be 1 or more, not {count}.")
        if count is not None and count > MOST[name]:
            raise ValueError(f"{name} is at most {MOST[name]}, not {count}.")
    direction, data = checked(plan, device, download)
    folder = folder or home() / f"tune-{plan.recipe}-{data}"
    _require_ours(folder, plan, force)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        _require_ours(folder, plan, force)
        if force:
            _empty(folder)
        write_json(folder / STUDY, plan.to_json())
        mend(folder)
        journal = Journal(folder, plan)
        tasks = _tasks(journal, folder, _total(plan, trials), direction, device)
        with resumable():
            for trial in _all(tasks, jobs, watch):
                journal.tell(trial)
                if not keep:
                    _tidy(folder, _summed(plan, folder, data, journal))
                on_trial(trial)
        tuned = _summed(plan, folder, data, journal, importances=dict(journal.importances()))
        return _concluded(tuned)


def _total(plan: Plan, trials: int | None) -> int:
    usual = int(plan.size) if plan.sampler == "grid" else TRIALS
    return usual if trials is None else trials


def _tasks(
    journal: Journal,
    folder: Path,
    total: int,
    direction: tuple[tuple[str, ...], str],
    device: Device,
) -> Iterator[Task]:
    """Name what is to be done: first what was begun and not ended, then what is new."""
    known = journal.trials()
    for trial in known:
        if trial.state == "begun":
            yield Task(journal.plan, trial, folder, direction, device)
    for _ in range(total - len(known)):
        new = journal.propose()
        if new is None:
            return
        yield Task(journal.plan, new, folder, direction, device)


def _all(tasks: Iterator[Task], jobs: int, watch: TrialCallback) -> Iterator[Trial]:
    """Run each task, here or in processes; the next is taken when a process is free."""
    run = partial(run_trial, watch=watch) if jobs == 1 else run_trial
    with pool(jobs) as workers:
        yield from (trial for _, trial in workers.completed(run, tasks))


def _summed(plan: Plan, folder: Path, data: str, journal: Journal, **more: Any) -> Tuned:
    return Tuned(plan, folder, data, tuple(journal.trials()), **more)


def _tidy(folder: Path, tuned: Tuned) -> None:
    """Remove the weights of every trial that ended, but for the best."""
    for trial in tuned.trials:
        if trial.state != "begun" and trial != tuned.best:
            strip(folder / trial.name)


def _concluded(tuned: Tuned) -> Tuned:
    """Write what came of it."""
    if tuned.best is None:
        why = next((trial.why for trial in tuned.trials if trial.why), "")
        raise ArithmeticError(f"No trial succeeded. The first failed with: {why}")
    files = (tuned.folder / FILE, tuned.folder / PICTURE)
    draw(files[1], tuned.plan, tuned.trials, tuned.importances)
    write_json(files[0], tuned.to_json())
    return Tuned(tuned.plan, tuned.folder, tuned.data, tuned.trials, tuned.importances, files)


def _require_ours(folder: Path, plan: Plan, force: bool) -> None:
    """Refuse a folder that holds something else than this search, or any search with ``force``.

    Raises:
        ValueError: If it is a file, holds something that is not ours, or another search.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose another --out.")
    if not contents(folder):
        return
    if not (folder / STUDY).is_file():
        raise ValueError(f"{folder} is not empty and is not a search; choose another --out.")
    if not force:
        _require_same(folder, plan)


def _empty(folder: Path) -> None:
    """Remove a search, but nothing else that may lie there; what makes it a search goes last."""
    for path in folder.glob("trial-*/"):
        shutil.rmtree(path)
    for name in (FILE, PICTURE, JOURNAL, STUDY):
        (folder / name).unlink(missing_ok=True)


def _require_same(folder: Path, plan: Plan) -> None:
    try:
        there = read_json(folder / STUDY)
    except ValueError:
        raise ValueError(f"{folder / STUDY} is damaged; choose another --out.") from None
    there = {"seeds": 1, **there} if isinstance(there, dict) else there  # of before it was asked
    ours = json.loads(json.dumps(plan.to_json()))
    for name, value in ours.items():
        theirs = there.get(name) if isinstance(there, dict) else None
        if value == theirs:
            continue
        if isinstance(value, dict) and isinstance(theirs, dict):
            keys = sorted({*value, *theirs}, key=str)
            name = next(key for key in keys if value.get(key) != theirs.get(key))
            value, theirs = value.get(name), theirs.get(name)
        raise ValueError(
            f"{folder} is a search with {name} {_listed(theirs)}, not {_listed(value)}; choose "
            "another --out, or --force to start again."
        )


def _listed(value: Any) -> str:
    if isinstance(value, dict) and isinstance(value.get("values"), list):
        return ",".join(map(abbreviated, value["values"]))
    if isinstance(value, dict) and {"low", "high", "log"} <= set(value):
        return f"{value['low']}..{value['high']}{':log' if value['log'] else ''}"
    if isinstance(value, int | float):
        return str(value)
    return "left out" if value is None else abbreviated(value).strip("'")


def draw(
    path: Path, plan: Plan, trials: Sequence[Trial], importances: Mapping[str, float]
) -> None:
    """Draw the score against each option; of trials that diverged or were stopped, where.

    Args:
        path: Where the PNG goes.
        plan: What was searched.
        trials: All of them; one at least has a score.
        importances: Of options; empty if they are not known.
    """
    ended = [trial for trial in trials if trial.state != "begun"]
    scores = [trial.score for trial in ended]
    known = [score for score in scores if score is not None]
    best = scores.index(min(known) if plan.minimised else max(known))
    states = {trial.state for trial in ended if trial.score is None}
    titles = {"stopped": "stopped early", "failed": "failed"}
    searched = SearchTrials(
        [_axis(space, ended) for space in plan.spaces],
        scores,
        best,
        METRICS[plan.metric],
        importances,
        ", ".join(word for state, word in titles.items() if state in states),
        [trial.deviation or 0.0 for trial in ended] if plan.seeds > 1 else (),
    )
    each = f", mean ± sd of {plan.seeds} seeds" if plan.seeds > 1 else ""
    draw_search(path, searched, title=f"{plan.recipe}: {len(known)} trials{each}")


def _axis(space: Space, trials: Sequence[Trial]) -> Axis:
    values = [trial.point[space.option] for trial in trials]
    if isinstance(space, Range):
        return Axis(space.option, values, space.log)
    words = tuple(map(_word, space.values))
    return Axis(space.option, [_word(value) for value in values], words=words)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
