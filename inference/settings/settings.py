"""Settings: the recipe and the groups of choices that a run is made from, as plain data.

A field is the one home of a setting: the options of `scene train`, the check of a ``config.json``,
what `scene tune` may search and Python's keywords follow from it. The groups are not beside
the classes that they configure, because those need torch and ``--help`` must not.

The defaults were chosen from single-seed runs on the tune split of ``synthetic:default``. Three
matter more than they look: classes weigh 50, because a few nats of them would otherwise be lost
among thousands of pixels; the image's noise is 0.2, because a narrower one spends the latent on
colours before shapes, and a wider one leaves colours out; and the terms of subsets average their
particles (``elbo``).

Nothing here imports torch, so that options can be listed and refused at once.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from scene.registry import unknown

from .cues import CRFSettings, SeedCueSettings
from .fields import Option, options_of
from .flows import FlowSettings
from .sections import (
    DataSettings,
    GuideSettings,
    ModelSettings,
    ObjectiveSettings,
)
from .training import OptimizerSettings, TrainingSettings

GROUPS: dict[str, Any] = {
    "data": DataSettings,
    "model": ModelSettings,
    "guide": GuideSettings,
    "objective": ObjectiveSettings,
    "optimizer": OptimizerSettings,
    "training": TrainingSettings,
    "cues": SeedCueSettings,
    "crf": CRFSettings,
    "flow": FlowSettings,
}
"""Every group, by the attribute of `Settings` that holds it."""

TITLES = {
    "data": "Data",
    "model": "Model",
    "guide": "Guide",
    "objective": "Objective",
    "optimizer": "Optimiser",
    "training": "Training",
    "cues": "Seed cues",
    "crf": "CRF",
    "flow": "Flow",
}
"""What the command line calls them."""


OPTIONS: dict[str, Option] = {
    name: option
    for group, kind in GROUPS.items()
    for name, option in options_of(group, kind).items()
}
"""Every choice, by the name that the command line and Python's keywords use."""


@dataclass(frozen=True)
class Settings:
    """Every choice a run is made from; a run's ``config.json`` holds just this.

    Attributes:
        recipe: A key of `inference.settings.recipes.RECIPES`, or ``path/file.py:Name``.
        data: Which scenes are learned from.
        model: The model and its networks.
        guide: The guide and its networks.
        objective: The bound, and the terms put together.
        optimizer: The optimiser and its rate.
        training: Steps, batches, seed.
        cues: Seed cues of SEC.
        crf: The CRF in SEC's loss.
        flow: The flow over a model's latents.

    Raises:
        LookupError: If the name of a choice or of a view is unknown.
        ValueError: If a number is not finite, or out of its range.
    """

    recipe: str
    data: DataSettings = field(default_factory=DataSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    guide: GuideSettings = field(default_factory=GuideSettings)
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    cues: SeedCueSettings = field(default_factory=SeedCueSettings)
    crf: CRFSettings = field(default_factory=CRFSettings)
    flow: FlowSettings = field(default_factory=FlowSettings)

    def __post_init__(self) -> None:
        for name, option in OPTIONS.items():
            option.require(self.value(name))

    @property
    def title(self) -> str:
        """The recipe in one word, for file names and messages.

        >>> Settings("telbo").title, Settings("lab/recipe.py:Mine").title
        ('telbo', 'Mine')
        """
        return self.recipe.rpartition(":")[2]

    def value(self, name: str) -> Any:
        """Return the value of an option.

        >>> Settings("telbo").value("batch_size")
        16
        """
        option = OPTIONS[name]
        return getattr(getattr(self, option.group), option.attribute)

    def values(self) -> dict[str, Any]:
        """Return the values of all options by name."""
        return {name: self.value(name) for name in OPTIONS}

    def changed(self, **values: Any) -> Settings:
        """Return settings with other values of some options.

        Raises:
            LookupError: If there is no such option; or as `Settings`.
            ValueError: As `Settings`.

        >>> Settings("telbo").changed(steps=5).training.steps
        5
        """
        groups: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            option = option_called(name)
            groups.setdefault(option.group, {})[option.attribute] = value
        changed = {group: replace(getattr(self, group), **own) for group, own in groups.items()}
        return replace(self, **changed)

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Settings:
        """Read plain data; groups and settings that are left out keep their defaults.

        Raises:
            ValueError: If it names a setting that does not exist, or lacks the recipe.
        """
        if "recipe" not in data:
            raise ValueError("The settings name no recipe.")
        groups: dict[str, Any] = {}
        for group, values in data.items():
            if group == "recipe":
                continue
            if group not in GROUPS:
                raise ValueError(
                    f"There are no settings called {group!r}; the run may come from "
                    "a newer version of scene."
                )
            known = {one.name for one in fields(GROUPS[group])}
            if strange := sorted(set(values) - known):
                raise ValueError(
                    f"There is no setting called '{group}.{strange[0]}'; the run may "
                    "come from a newer version of scene."
                )
            plain = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
            groups[group] = GROUPS[group](**plain)
        return cls(data["recipe"], **groups)


def option_called(name: str) -> Option:
    """Return an option by its name.

    Raises:
        LookupError: If there is none; the message suggests the nearest.
    """
    if name not in OPTIONS:
        raise LookupError(unknown(name, OPTIONS, "setting") + ".")
    return OPTIONS[name]


def typed(values: Mapping[str, Any]) -> str:
    """Write options and their values as one would type them.

    >>> typed({"learning_rate": 0.01, "flip": False, "size": (64, 48), "data": "my pets"})
    "--learning-rate 0.01 --no-flip --size 64x48 --data 'my pets'"
    """
    words = []
    for name, value in values.items():
        option = option_called(name)
        if option.base is bool:
            words.append(option.flag if value else f"--no-{option.flag[2:]}")
        else:
            words.append(f"{option.flag} {shlex.quote(option.show(value))}")
    return " ".join(words)


def flag(name: str) -> str:
    """Return the option of the command line that gives a setting.

    >>> flag("batch_size"), flag("backbone_weights")
    ('--batch-size', '--backbone-weights')
    """
    return OPTIONS[name].flag if name in OPTIONS else "--" + name.replace("_", "-")
