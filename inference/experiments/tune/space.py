"""Spaces: between which values of an option of `scene train` a search may choose.

Nothing here imports torch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from scene.registry import unknown

from ...settings.assignments import BOOLS, option_spelled
from ...settings.fields import VIEWS, Option
from ...settings.settings import OPTIONS

Value = bool | int | float | str
"""What an option may be given: a word, a number, or yes and no."""

Point = dict[str, Value]
"""A value for each option that is searched."""

_RANGE = re.compile(r"[\s\de.+-]+(:|$)")
"""What a range looks like; a path may hold two dots, too."""


@dataclass(frozen=True)
class Range:
    """Every number between two.

    Attributes:
        option: As on the command line, without dashes: ``learning-rate``; ``view-weights mask``
            where a view is weighed.
        low: The least.
        high: The greatest.
        log: Whether equal ratios are equally likely, rather than equal differences.
        whole: Whether there are only whole numbers.
    """

    option: str
    low: float
    high: float
    log: bool = False
    whole: bool = False

    @property
    def ends(self) -> tuple[Value, ...]:
        """What must fit for all between to fit."""
        return self.low, self.high

    @property
    def size(self) -> float:
        """How many values there are."""
        return self.high - self.low + 1 if self.whole else math.inf

    def grid_values(self, points: int) -> tuple[Value, ...]:
        """Return evenly spaced values, or fewer if there are not so many whole numbers.

        >>> Range("clip", 1, 100, log=True).grid_values(3)
        (1.0, 10.0, 100.0)
        >>> Range("latent", 2, 4, whole=True).grid_values(9)
        (2, 3, 4)
        """
        if points >= self.size:
            return tuple(range(int(self.low), int(self.high) + 1))
        steps = [i / max(points - 1, 1) for i in range(points)]
        low, high = (math.log(end) if self.log else end for end in (self.low, self.high))
        inner = [low + (high - low) * step for step in steps]
        values = [float(f"{math.exp(v) if self.log else v:.6g}") for v in inner]
        values[0], values[-1] = float(self.low), float(self.high)
        return tuple(dict.fromkeys(map(round, values))) if self.whole else tuple(values)


@dataclass(frozen=True)
class Choices:
    """One of several.

    Attributes:
        option: As `Range`'s.
        values: The choices, as typed if they are text.
    """

    option: str
    values: tuple[Value, ...]

    @property
    def ends(self) -> tuple[Value, ...]:
        """All of them: each must fit."""
        return self.values

    @property
    def size(self) -> float:
        """How many there are."""
        return len(self.values)

    def grid_values(self, points: int) -> tuple[Value, ...]:
        """Return all values, whatever ``points`` is."""
        return self.values


Space = Range | Choices


def space(text: str) -> Space:
    """Read what may be searched: ``OPTION=LOW..HIGH``, ``OPTION=LOW..HIGH:log``, ``OPTION=A,B``.

    Choices that hold commas themselves are set apart by ``|``.

    Raises:
        LookupError: If `scene train` has no such option.
        ValueError: If it is not written so, or holds something the option cannot be.

    >>> space("learning-rate=1e-4..1e-1:log")
    Range(option='learning-rate', low=0.0001, high=0.1, log=True, whole=False)
    >>> space("encode=image|image,classes").values
    ('image', 'image,classes')
    """
    typed, _, values = text.partition("=")
    word = typed.strip().strip("-")
    setting = option_spelled(word, "option to search", without=("data",))
    kind = _kind(setting)
    option = setting.flag[2:]
    if setting.name == "view_weights":
        view, _, values = values.partition("=")
        if view.strip() not in VIEWS:
            raise LookupError(unknown(view.strip(), VIEWS, "view") + ".")
        option = f"{option} {view.strip()}"
    if not values.strip():
        raise ValueError(
            f"--over {text} gives nothing to choose from; write {option}=1..8, {option}=1..8:log "
            f"or {option}=1,2,4."
        )
    if ".." in values and (kind is not str or option == "threshold" or _RANGE.match(values)):
        return _range(option, values, kind)
    return _choices(option, values, kind)


def given(point: Mapping[str, Value], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of `scene train` for a point: the fixed ones, and the point's.

    >>> given({"view-weights mask": 2.0, "latent": 16}, {"view_weights": "classes=9"})
    {'view_weights': 'classes=9,mask=2.0', 'latent': 16}
    """
    typed = dict(fixed)
    for option, value in point.items():
        name, _, view = option.replace("-", "_").partition(" ")
        if view:
            others = [typed[name]] if typed.get(name) else []
            typed[name] = ",".join([*others, f"{view}={value}"])
        else:
            typed[name] = value
    return typed


def grid(spaces: Sequence[Space], points: int | None) -> list[Point]:
    """List every crossing of the values of all options, each once.

    Args:
        spaces: What is searched.
        points: How many values stand for a range.

    Raises:
        ValueError: If there is a range, and it is not said how many.

    >>> grid([Choices("latent", (16, 32)), Range("beta", 0.5, 1)], 2)[1]
    {'latent': 16, 'beta': 1.0}
    """
    ranges = [space.option for space in spaces if isinstance(space, Range)]
    if ranges and points is None:
        raise ValueError(
            f"A grid needs lists, but {ranges[0]} is a range; list its values, or set --points, "
            "the number of values to take from it."
        )
    each = [space.grid_values(points or 0) for space in spaces]
    return [
        dict(zip((space.option for space in spaces), crossing, strict=True))
        for crossing in product(*each)
    ]


def as_json(spaces: Sequence[Space]) -> dict[str, Any]:
    """Return plain data, by option."""
    return {s.option: {k: v for k, v in asdict(s).items() if k != "option"} for s in spaces}


def _kind(setting: Option) -> type:
    """Return the type of an option's values: ``int``, ``float``, ``bool`` or ``str``."""
    if setting.name == "view_weights":
        return float
    kind: type = str if setting.is_text else setting.base
    return kind


def _range(option: str, text: str, kind: type) -> Range:
    bounds, _, scale = text.partition(":")
    if kind not in (int, float) and option != "threshold":
        raise ValueError(f"{option} has no range; list its values, as {option}=A,B.")
    if scale.strip() not in ("", "log"):
        raise ValueError(f"{option}={text} ends in :{scale}; only :log may follow a range.")
    number = int if kind is int else float
    low, high = (_value(option, end, number) for end in bounds.split("..", 1))
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(
            f"{option}={text} is not a finite range; write the smaller number first, as "
            f"{option}=1..8."
        )
    if scale and low <= 0:
        raise ValueError(f"{option}={text} begins at {low}; with :log it must be above 0.")
    return Range(option, low, high, log=bool(scale), whole=number is int)


def _choices(option: str, text: str, kind: type) -> Choices:
    name = option.partition(" ")[0].replace("-", "_")
    commas = OPTIONS[name].is_list and " " not in option
    apart = "|" if "|" in text or commas else ","
    values = [_value(option, part, kind) for part in text.split(apart)]
    same = [values[i] for i in range(len(values)) if values[i] in values[:i]]
    if same:
        raise ValueError(f"{option}={text} names {same[0]} twice.")
    if len(values) < 2:
        more = f"{text}|…" if commas else f"{text},…"
        raise ValueError(
            f"{option}={text} is a single value; give it as --{option} {text}, or list more: "
            f"{option}={more}."
        )
    return Choices(option, tuple(values))


def _value(option: str, text: str, kind: type) -> Any:
    """Read one value, as it would be read after ``--option``."""
    text = text.strip()
    word = re.fullmatch(r"auto|none", text)
    if kind is float and word and option in ("background", "threshold"):
        return text
    try:
        if kind is bool:
            return BOOLS[text.lower()]
        read = kind(text)
    except (ValueError, KeyError):
        expected = {int: "a whole number", float: "a number", bool: "yes or no"}[kind]
        raise ValueError(f"{option} is {expected}, not {text!r}.") from None
    if kind is str:
        if not text:
            raise ValueError(f"{option} has an empty choice.")
        OPTIONS[option.replace("-", "_")].parse(text)
    return read
