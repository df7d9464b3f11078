"""Plans: the request for a search, as plain data, checked before any work begins.

Nothing here imports torch.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from scene.registry import unknown

from ...settings.fields import VIEWS
from ...settings.recipes import recipe
from ...settings.settings import OPTIONS, Settings, typed
from .space import Point, Space, as_json, given, grid

CHOOSING = ("tune", "val")
"""Where settings may be chosen: never on ``test``."""

METRICS = {
    "miou": "mean IoU of masks, %",
    "f1": "macro-F1 of classes, %",
    "map": "mean AP of classes, %",
    "elbo": "ELBO, nats per scene",
    "loss": "loss on validation scenes",
}
"""The metrics of a search, and their titles. All but ``loss`` are maximised."""

SAMPLERS = ("grid", "random", "tpe")

TRIALS = 20
"""How many there are, unless somebody says or a grid is smaller."""

POINTS_AT_MOST = 100_000

MOST_SEEDS = 1000
"""The most seeds that train each point."""


@dataclass(frozen=True)
class Plan:
    """What is searched, how, and by what it is judged.

    Attributes:
        recipe: A key of `inference.settings.recipes.RECIPES`.
        spaces: What is searched; at least one option, each once.
        fixed: All other options, as typed after `scene train`.
        sampler: One of `SAMPLERS`.
        points: How many values of a grid stand for a range.
        metric: A key of `METRICS`.
        views: Given which views masks or classes are predicted; None = the first that the
            model can go from.
        split: One of `CHOOSING`.
        prune: Whether trials whose validation loss is worse than the median's are stopped.
        seeds: With how many seeds each point is trained, from that of training on; its score is
            their mean.

    Raises:
        LookupError: If a name is unknown.
        ValueError: If something does not fit; a value that `scene train` would refuse, for one.
    """

    recipe: str
    spaces: tuple[Space, ...]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    sampler: str = "tpe"
    points: int | None = None
    metric: str = "miou"
    views: tuple[str, ...] | None = None
    split: str = "tune"
    prune: bool = False
    seeds: int = 1

    def __post_init__(self) -> None:
        recipe(self.recipe)
        for value, known, kind in (
            (self.metric, METRICS, "metric"),
            (self.sampler, SAMPLERS, "sampler"),
            *((view, VIEWS, "view") for view in self.views or ()),
        ):
            if value not in known:
                raise LookupError(unknown(value, known, kind) + ".")
        if self.split not in CHOOSING:
            raise ValueError(
                f"Settings are chosen on {' or '.join(CHOOSING)}, never on {self.split!r}."
            )
        if self.seeds < 1:
            raise ValueError(f"--seeds must be 1 or more, not {self.seeds}.")
        if self.seeds > MOST_SEEDS:
            raise ValueError(f"--seeds is at most {MOST_SEEDS}, not {self.seeds}.")
        self._require_spaces()
        self._require_metric()
        if self.sampler == "grid" and self.points is not None and self.points < 2:
            raise ValueError(f"--points must be 2 or more, not {self.points}.")
        if self.sampler == "grid":
            grid(self.spaces, self.points)
        for point in self.corners():
            self.settings(point)

    @property
    def options(self) -> tuple[str, ...]:
        """The searched options, by name."""
        return tuple(space.option for space in self.spaces)

    @property
    def seed(self) -> int:
        """Seed of what is proposed: that of training, where it is fixed."""
        return int(self.fixed.get("seed", 0))

    @property
    def minimised(self) -> bool:
        """Whether small scores are good."""
        return self.metric == "loss"

    @property
    def size(self) -> float:
        """How many points there are to try."""
        if self.sampler == "grid":
            return len(grid(self.spaces, self.points))
        return math.prod(space.size for space in self.spaces)

    def settings(self, point: Point, repeat: int = 0) -> Settings:
        """Make the settings of a point, and of one of its ``seeds``, counted from 0.

        Raises:
            LookupError: As `Settings`.
            ValueError: As `Settings`.
        """
        result = recipe(self.recipe).predicting(**given(point, self.fixed))
        return result.changed(seed=result.training.seed + repeat)

    def runs(self, trial: str) -> tuple[str, ...]:
        """Name the folders of a trial's runs: its own, or one in it for each seed."""
        if self.seeds == 1:
            return (trial,)
        return tuple(f"{trial}/seed-{self.seed + repeat}" for repeat in range(self.seeds))

    def command(self, point: Point) -> str:
        """Write the command that trains with a point's settings."""
        return f"scene train {shlex.quote(self.recipe)} {typed(given(point, self.fixed))}"

    def corners(self) -> Iterator[Point]:
        """Yield points that show whether every value can be used: each once, the rest as first."""
        first = {space.option: space.ends[0] for space in self.spaces}
        yield first
        for space in self.spaces:
            for end in space.ends[1:]:
                yield {**first, space.option: end}

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {**asdict(self), "spaces": as_json(self.spaces), "fixed": dict(self.fixed)}

    def _require_spaces(self) -> None:
        if not self.spaces:
            raise ValueError(
                "No option to search; name one, as --over learning-rate=1e-4..1e-1:log."
            )
        for option in self.options:
            if option == "seed" and self.seeds > 1:
                raise ValueError(
                    "--over seed and --seeds contradict each other: --seeds averages over "
                    "seeds; leave one out."
                )
            if self.options.count(option) > 1:
                raise ValueError(f"--over {option} is given twice; once is enough.")
            name, _, view = option.replace("-", "_").partition(" ")
            fixed = self.fixed.get(name)
            if fixed is not None and (not view or view in OPTIONS[name].parse(fixed)):
                raise ValueError(f"--{option} is both searched and given; leave one of them out.")
        if self.sampler == "grid" and self.points is None:
            return
        listed = math.prod(
            min(space.size, self.points or 1) if space.size == math.inf else space.size
            for space in self.spaces
        )
        if self.sampler == "grid" and listed > POINTS_AT_MOST:
            raise ValueError(
                f"A grid of {listed:.0f} points is too large (at most "
                f"{POINTS_AT_MOST}); use --sampler tpe or shorter lists."
            )

    def _spoiling(self, what: str) -> list[str]:
        """List the searched options under which losses cannot be compared."""
        names = {option: option.split()[0].replace("-", "_") for option in self.options}
        return [option for option, name in names.items() if OPTIONS[name].choice.spoils == what]

    def _require_metric(self) -> None:
        own = self._spoiling("loss")
        why = ""
        if own:
            why = f"--{own[0]} changes the definition of the loss, so losses cannot be compared"
        if own and self.metric == "loss":
            raise ValueError(f"{why}; choose another --metric.")
        if own and self.prune:
            raise ValueError(f"{why}; add --no-prune.")
        scaled = self._spoiling("pixels")
        if scaled and self.prune and self.metric not in ("loss", "elbo"):
            raise ValueError(
                f"--{scaled[0]} changes the validation loss independently of {self.metric}, so "
                "pruning would stop the wrong trials; add --no-prune."
            )
        if self.metric == "elbo" and not recipe(self.recipe).takes("latent"):
            raise ValueError(f"{self.recipe} has no latent and no ELBO; choose another --metric.")
        if self.metric == "elbo" and "size" in self.options:
            raise ValueError(
                "ELBOs at different --size cannot be compared; choose another --metric."
            )
        if self.views is not None and self.metric not in ("miou", "f1", "map"):
            raise ValueError(f"--given goes with a score of predictions, not with {self.metric}.")
