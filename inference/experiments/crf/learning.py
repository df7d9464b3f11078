"""Fitting from end to end: learn on some scenes, compare on others, and say plainly which won."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from scene.labels import Labels
from scene.notices import Progress, against_weak

from ...crf.parameters import NO_CRF, USUAL, Parameters, save
from .fit import Form, fit
from .measure import Result, measure
from .unaries import Scenes

WEIGHTS = (1.0, 3.0, 10.0)
"""Appearance weights that a grid search tries."""


@dataclass(frozen=True)
class Learned:
    """The learned parameters, and their scores on held-out scenes.

    Attributes:
        unaries: The score of the unaries alone on the held-out scenes.
        default: The score of the default parameters on the held-out scenes.
        before: The score of the initial parameters on the held-out scenes.
        after: The score of the learned parameters on the held-out scenes.
        losses: The losses of each stage of the descent, in nats per pixel; empty after a grid
            search.
        train: The scenes to learn from.
        held: The held-out scenes.
        labels: The labels of the data.
        method: ``lbfgs`` or ``grid``.
        weak: The number of masks of the held-out split that are pseudo-labels.
    """

    unaries: Result
    default: Result
    before: Result
    after: Result
    losses: dict[str, list[float]]
    train: Scenes
    held: Scenes
    labels: Labels
    method: str
    weak: int = 0

    @property
    def parameters(self) -> Parameters:
        """The learned parameters."""
        return self.after.parameters

    @property
    def gains(self) -> tuple[float, float]:
        """By how much mIoU (percent) and log-likelihood (nats a pixel) rose, held out."""
        before, after = (x.score(self.labels).miou for x in (self.before, self.after))
        return after - before, self.after.log_likelihood - self.before.log_likelihood

    @property
    def helps(self) -> bool:
        """Whether held-out masks are better with the fitted CRF than without a CRF."""
        return self.after.score(self.labels).miou > self.unaries.score(self.labels).miou

    @property
    def note(self) -> str:
        """The scores that say so, in one line."""
        without, after = (x.score(self.labels).miou for x in (self.unaries, self.after))
        return f"mIoU on {self.held.split} is {without:.2f} without, {after:.2f} with it"

    @property
    def verdict(self) -> str:
        """One sentence on whether it was worth it."""
        miou, nats = self.gains
        gains = f"mIoU {miou:+.2f}, log p {nats:+.4f} nats a pixel on {self.held.split}"
        gains += against_weak(self.weak, self.after.scenes)
        if self.parameters == self.before.parameters:
            return "No better parameters: those of the start are kept."
        if min(miou, nats) >= 0 < max(miou, nats):
            return f"Better held out: {gains}."
        if miou <= 0 and nats <= 0:
            return f"NO better held out: {gains}; keep the parameters you had."
        return f"Better held out in one way, NOT in the other: {gains}."

    def to_json(self) -> dict[str, Any]:
        """Return plain data; its ``parameters`` are those learned."""
        return {
            "method": self.method,
            "data": self.held.data,
            "unaries": self.held.unaries.title,
            "labels": self.labels.names,
            "fitted_on": self.train.split,
            "held_out": self.held.split,
            "weak": self.weak,
            "without_crf": self.unaries.to_json(self.labels),
            "default": self.default.to_json(self.labels),
            "before": self.before.to_json(self.labels),
            "after": self.after.to_json(self.labels),
            "losses": self.losses,
            "helps": self.helps,
            "verdict": self.verdict,
        }


def learn(
    train: Scenes,
    held: Scenes,
    start: Parameters | None = None,
    *,
    method: str = "lbfgs",
    compatibility: Form = "potts",
    widths: bool = False,
    steps: int = 15,
    grid: Sequence[Parameters] = (),
    engine: str = "auto",
    jobs: int = 1,
    watch: Progress = lambda title, done, total: None,
) -> Learned:
    """Learn parameters by descent on the log loss, or by the best mIoU of a grid.

    Args:
        train: Scenes to learn from.
        held: Held-out scenes to compare on.
        start: The initial parameters; also a candidate of a grid.
        method: ``lbfgs`` or ``grid``.
        compatibility: As in `inference.experiments.crf.fit.fit`; of ``lbfgs`` only.
        widths: As in `inference.experiments.crf.fit.fit`; of ``lbfgs`` only.
        steps: As in `inference.experiments.crf.fit.fit`; of ``lbfgs`` only.
        grid: Candidates, see `candidates`.
        engine: As in `inference.crf.meanfield.refine`.
        jobs: As in `inference.experiments.crf.measure.measure`.
        watch: Called with the progress.

    Raises:
        ValueError: If both are the same split, or there is nothing to learn from.
    """
    if (train.data, train.split) == (held.data, held.split):
        raise ValueError(
            f"The parameters are fitted on {train.split}, so they cannot be scored there; choose "
            "another --held-out."
        )
    if method not in ("lbfgs", "grid"):
        raise ValueError(f"--method is lbfgs or grid, not {method!r}.")
    start = start or Parameters()
    losses: dict[str, list[float]] = {}
    opened = held.open()
    labels = opened.schema.labels
    start.require(len(labels.names))
    score = partial(measure, engine=engine, jobs=jobs)
    if method == "lbfgs":
        examples = list(train.examples())
        fitted = fit(
            examples,
            start,
            compatibility=compatibility,
            widths=widths,
            engine="auto"
            if engine in ("fused", "pydensecrf")
            else engine,  # they give no gradient
            steps=steps,
            watch=lambda stage, done, _: watch(stage, done, steps),
        )
        parameters, losses = fitted.parameters, fitted.losses
    else:
        results = score(train, list(dict.fromkeys((start, *grid))), watch=partial(watch, "grid"))
        parameters = max(results, key=lambda result: result.score(labels).miou).parameters
    compared = (NO_CRF, USUAL, start, parameters)
    distinct = list(dict.fromkeys(compared))
    results = score(held, distinct, watch=partial(watch, "held out"))
    unaries, default, before, after = (results[distinct.index(one)] for one in compared)
    return Learned(
        unaries, default, before, after, losses, train, held, labels, method, opened.weak
    )


def candidates(
    start: Parameters,
    alphas: Sequence[float],
    betas: Sequence[float],
    weights: Sequence[float] = WEIGHTS,
) -> list[Parameters]:
    """Cross the appearance kernel's widths and weights; the rest is as ``start`` has it."""
    return [
        replace(
            start,
            appearance_sigma_xy=alpha,
            appearance_sigma_rgb=beta,
            appearance_weight=weight,
        )
        for alpha, beta, weight in product(alphas, betas, weights)
    ]


def write(learned: Learned, path: Path) -> None:
    """Write the parameters, for `inference.crf.parameters.load`, and how they came to be."""
    about = {"helps": learned.helps, "note": learned.note, "fitted": learned.to_json()}
    save(path, learned.parameters, about)
