"""What gradients of an objective say: their scatter, term by term, as data and as a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scene.figures.bars import Bars, draw_log_bars

TOTAL = "total"
"""The objective itself, beside its terms."""

ALL = "all"
"""Every generator together."""


@dataclass(frozen=True)
class Scatter:
    """Independent gradients of one loss, for one generator.

    Attributes:
        norm: Length of the expected gradient, the noise of averaging taken off; nats a unit.
        variance: Trace of the covariance of one gradient.
        draws: How many gradients they were estimated from; of 0, length and variance are not
            known, and given as 0.
    """

    norm: float
    variance: float
    draws: int

    @property
    def ratio(self) -> float | None:
        """Signal to noise: the length over the standard deviation; None without any noise."""
        return self.norm / self.variance**0.5 if self.variance > 0 else None

    @property
    def clear(self) -> bool:
        """Whether the length stands out: it is more than the noise that averaging left."""
        return self.draws > 0 and self.norm**2 > self.variance / self.draws

    def to_json(self) -> dict[str, Any]:
        """Give plain data."""
        return {**asdict(self), "signal_to_noise": self.ratio, "clear": self.clear}


@dataclass(frozen=True)
class TermNoise:
    """What minus one term gives one generator to learn from.

    Attributes:
        term: A term of the objective, or `TOTAL`.
        generator: A part of the model, or `ALL`.
        latent: Over draws of z, the batch being held; the mean over a few batches.
        batch: Over draws of the batch, and of z.
    """

    term: str
    generator: str
    latent: Scatter
    batch: Scatter

    def to_json(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "term": self.term,
            "generator": self.generator,
            "latent": self.latent.to_json(),
            "batch": self.batch.to_json(),
        }


@dataclass(frozen=True)
class Agreement:
    """Whether two terms pull a generator the same way.

    Attributes:
        terms: The two.
        generator: A part of the model, or `ALL`.
        cosine: Of the angle between their expected gradients, −1 to 1; None where the length of
            one of them is not `Scatter.clear`.
    """

    terms: tuple[str, str]
    generator: str
    cosine: float | None

    def to_json(self) -> dict[str, Any]:
        """Give plain data."""
        return asdict(self)


@dataclass(frozen=True)
class GradientNoise:
    """The gradients of an objective: for each term, then in total, generator by generator.

    Attributes:
        repeats: Gradients of each kind.
        batch_size: Scenes in each.
        rows: The total is left out where there is one term, which it is.
        agreements: Of each two terms, for each generator and for all.
    """

    repeats: int
    batch_size: int
    rows: list[TermNoise]
    agreements: list[Agreement]

    @property
    def terms(self) -> tuple[str, ...]:
        """Name the terms, the total last."""
        return tuple(dict.fromkeys(row.term for row in self.rows))

    @property
    def generators(self) -> tuple[str, ...]:
        """Name the parts of the model that learn, all together last."""
        return tuple(dict.fromkeys(row.generator for row in self.rows))

    def of(self, term: str, generator: str = ALL) -> TermNoise:
        """Find a row.

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
        """Give plain data."""
        return {
            "repeats": self.repeats,
            "batch_size": self.batch_size,
            "rows": [row.to_json() for row in self.rows],
            "agreements": [pair.to_json() for pair in self.agreements],
        }


def draw_noise(path: Path, found: GradientNoise) -> None:
    """Draw variances and signal-to-noise ratios by generator and term, over decades."""
    kinds = {"over draws of z, one batch": "latent", "over draws of z and of the batch": "batch"}

    def panels(measure: Callable[[Scatter], float | None]) -> dict[str, Bars]:
        return {
            title: Bars(
                found.generators,
                {
                    term.replace("+", " + "): [
                        (measure(getattr(found.of(term, name), kind)) or 0.0,)
                        for name in found.generators
                    ]
                    for term in found.terms
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
        title=f"gradients of each term for each generator, {found.batch_size} scenes a batch\n"
        "signal to noise: length of the expected gradient over the standard deviation of one; "
        "no bar: too short to tell",
    )
