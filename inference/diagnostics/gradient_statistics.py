"""Statistics of an objective's gradients, term by term, as data and as a figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scene.figures.charts import Bars, draw_log_bars

TOTAL = "total"
"""The name of the sum of all terms."""

ALL = "all"
"""The name of all parts of the model together."""


@dataclass(frozen=True)
class GradientStatistics:
    """Mean and variance of independent gradients of one loss for one part of the model.

    Attributes:
        norm: Length of the expected gradient, without the bias of noise; nats a unit of weight.
        variance: Trace of the covariance of one gradient.
        draws: Number of gradients; with 0, ``norm`` and ``variance`` are not known, and 0.
    """

    norm: float
    variance: float
    draws: int

    @property
    def ratio(self) -> float | None:
        """Signal-to-noise ratio: length over standard deviation; None if the variance is 0."""
        return self.norm / self.variance**0.5 if self.variance > 0 else None

    @property
    def clear(self) -> bool:
        """Whether the length is above the noise that remains in the mean."""
        return self.draws > 0 and self.norm**2 > self.variance / self.draws

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {**asdict(self), "signal_to_noise": self.ratio, "clear": self.clear}


@dataclass(frozen=True)
class TermNoise:
    """Gradients of minus one term for one part of the model.

    Attributes:
        term: A term of the objective, or `TOTAL`.
        generator: A part of the model, or `ALL`.
        latent: Statistics over samples of z with a fixed batch; the mean over a few batches.
        batch: Statistics over batches and samples of z.
    """

    term: str
    generator: str
    latent: GradientStatistics
    batch: GradientStatistics

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "term": self.term,
            "generator": self.generator,
            "latent": self.latent.to_json(),
            "batch": self.batch.to_json(),
        }


@dataclass(frozen=True)
class Agreement:
    """Cosine similarity of the gradients of two terms.

    Attributes:
        terms: The two terms.
        generator: A part of the model, or `ALL`.
        cosine: Of the angle between the expected gradients, −1 to 1; None where the length of
            one of them is not `GradientStatistics.clear`.
    """

    terms: tuple[str, str]
    generator: str
    cosine: float | None

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class GradientNoise:
    """The gradients of an objective, for each term and each part of the model.

    Attributes:
        repeats: Gradients for each estimate.
        batch_size: Scenes a batch.
        rows: Statistics of each term; with several terms also of `TOTAL`.
        agreements: Similarity of each two terms, for each part of the model and for `ALL`.
    """

    repeats: int
    batch_size: int
    rows: list[TermNoise]
    agreements: list[Agreement]

    @property
    def terms(self) -> tuple[str, ...]:
        """The names of the terms, the total last."""
        return tuple(dict.fromkeys(row.term for row in self.rows))

    @property
    def generators(self) -> tuple[str, ...]:
        """The names of the parts of the model, `ALL` last."""
        return tuple(dict.fromkeys(row.generator for row in self.rows))

    def of(self, term: str, generator: str = ALL) -> TermNoise:
        """Return the statistics of a term for a part of the model.

        Raises:
            LookupError: If there is none.
        """
        for row in self.rows:
            if (row.term, row.generator) == (term, generator):
                return row
        raise LookupError(
            f"There is no gradient of {term!r} for {generator!r}; terms: "
            f"{', '.join(self.terms)}; generators: {', '.join(self.generators)}."
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "repeats": self.repeats,
            "batch_size": self.batch_size,
            "rows": [row.to_json() for row in self.rows],
            "agreements": [pair.to_json() for pair in self.agreements],
        }


def draw_noise(path: Path, noise: GradientNoise) -> None:
    """Plot variances and signal-to-noise ratios by part of the model and term, in log scale."""
    kinds = {"over draws of z, one batch": "latent", "over draws of z and of the batch": "batch"}

    def panels(measure: Callable[[GradientStatistics], float | None]) -> dict[str, Bars]:
        return {
            title: Bars(
                noise.generators,
                {
                    term.replace("+", " + "): [
                        (measure(getattr(noise.of(term, name), kind)) or 0.0,)
                        for name in noise.generators
                    ]
                    for term in noise.terms
                },
            )
            for title, kind in kinds.items()
        }

    draw_log_bars(
        path,
        {
            "total variance": panels(lambda one: one.variance),
            "signal to noise": panels(lambda one: one.ratio if one.clear else None),
        },
        title=f"gradients of each term for each generator, {noise.batch_size} scenes a batch\n"
        "signal to noise: length of the expected gradient over the standard deviation of one; "
        "no bar: too short to tell",
    )
