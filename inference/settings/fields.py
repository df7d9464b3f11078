"""Fields of settings: one choice with its default, help, unit, range, and what follows of these.

Nothing here imports torch, so that options can be listed and refused at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from scene.registry import unknown
from scene.sizes import parse_size

LARGE = 10**6
"""The most that a weight or a width may be: above it, a slip or a damaged file is likelier."""

STEPS = 10**9
"""The most that steps may be."""

VIEWS = ("image", "classes", "mask")
"""Those of `scene.views`, which needs torch."""

Comparable = Literal["loss", "pixels"]
"""What a choice takes away: losses under two values say nothing of each other (``loss``), or they
differ by thousands of nats whatever becomes of masks and classes (``pixels``)."""


@dataclass(frozen=True)
class Choice:
    """The metadata of a field: help, unit, range, names.

    Attributes:
        help: One whole sentence or more: what it does.
        option: Its name on the command line, with ``_`` for ``-``, if it is not the field's own.
        also: Other spellings on the command line.
        unit: Of a number, for the help.
        least: The least it may be.
        most: The most it may be.
        positive: Whether it must be above 0, where ``least`` will not do.
        choices: What it may be, if that is a list.
        check: Raises `ValueError` if a value is not allowed; takes the option and the value.
        spoils: What of a comparison of losses is lost if it varies; None = nothing.
        default_help: What the default is, where that is no plain value.
        metavar: What stands for the value in the help.
    """

    help: str
    option: str = ""
    also: tuple[str, ...] = ()
    unit: str = ""
    least: float | None = None
    most: float | None = None
    positive: bool = False
    choices: tuple[str, ...] = ()
    check: Callable[[str, Any], None] | None = None
    spoils: Comparable | None = None
    default_help: str = ""
    metavar: str = ""


def setting(default: Any, help: str, **more: Any) -> Any:
    """Return a dataclass field with what `Choice` holds of it.

    Args:
        default: Default of the field; a mapping is copied for each instance.
        help: As `Choice.help`.
        more: The other attributes of `Choice`.
    """
    metadata = {"choice": Choice(help, **more)}
    if isinstance(default, Mapping):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Option:
    """One field of one group of settings, as the command line and Python's keywords name it.

    Attributes:
        name: With ``_`` for ``-``; unique among all groups.
        group: The attribute of `Settings` that holds the field.
        attribute: The field's own name.
        kind: Its type.
        default: Its value unless a recipe or a person says otherwise.
        choice: What else is known of it.
    """

    name: str
    group: str
    attribute: str
    kind: Any
    default: Any
    choice: Choice

    @property
    def flag(self) -> str:
        """The option as it is typed: ``--batch-size``."""
        return "--" + self.name.replace("_", "-")

    @property
    def base(self) -> Any:
        """The type without ``None``."""
        if get_origin(self.kind) is UnionType:
            rest = [part for part in get_args(self.kind) if part is not type(None)]
            return rest[0] if len(rest) == 1 else str
        return self.kind

    @property
    def is_text(self) -> bool:
        """Whether the value is typed as text to be parsed: a size, a list, a number or a word."""
        return self.base not in (int, float, bool)

    @property
    def is_list(self) -> bool:
        """Whether the value may hold commas."""
        lists = (tuple[str, ...], tuple[float, ...])
        return self.base in lists or get_origin(self.base) is Mapping or self.name == "subsets"

    def parse(self, value: Any) -> Any:
        """Return the value of what was typed; what is no text is returned as it is.

        Raises:
            ValueError: If the text does not say such a value.

        >>> from inference.settings.settings import OPTIONS
        >>> OPTIONS["size"].parse("16x32"), OPTIONS["encode"].parse("image, mask")
        ((16, 32), ('image', 'mask'))
        >>> OPTIONS["view_weights"].parse("mask=2,classes=10")
        {'mask': 2.0, 'classes': 10.0}
        """
        if not isinstance(value, str):
            return tuple(value) if isinstance(value, list) else value
        if self.base == tuple[int, int]:
            return parse_size(value)
        if get_origin(self.base) is Mapping:
            return dict(self._weight(part) for part in value.split(",") if part.strip())
        if self.base == tuple[str, ...]:
            return tuple(dict.fromkeys(part.strip() for part in value.split(",")))
        if self.base == tuple[float, ...]:
            return tuple(self._number(part) for part in value.split(",") if part.strip())
        if self.kind == float | str:
            return value if value == "auto" else self._number(value, "a probability, or auto")
        if self.name == "background":
            return 0.0 if value == "none" else self._number(value)
        if self.base is float:
            return self._number(value)
        if self.base is int:
            return int(self._number(value))
        return value

    def show(self, value: Any) -> str:
        """Write a value as one would type it.

        >>> from inference.settings.settings import OPTIONS
        >>> OPTIONS["size"].show((64, 48)), OPTIONS["view_weights"].show({"mask": 2.0})
        ('64x48', 'mask=2.0')
        """
        if self.base == tuple[int, int] and not isinstance(value, str):
            return "x".join(map(str, value))
        if isinstance(value, Mapping):
            return ",".join(f"{key}={weight}" for key, weight in value.items())
        return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)

    def require(self, value: Any) -> None:
        """Refuse a value that is out of range.

        Raises:
            LookupError: If it is not among the choices.
            ValueError: If it is out of range.
        """
        choice = self.choice
        if value is None:
            return
        if choice.choices and value not in choice.choices:
            raise LookupError(unknown(value, choice.choices, self.name.replace("_", " ")) + ".")
        if choice.check is not None:
            choice.check(self.flag, value)
        if choice.positive and not 0 < value < math.inf:
            raise ValueError(f"{self.flag} must be a positive number, not {value}.")
        if choice.least is not None and not choice.least <= value < math.inf:
            raise ValueError(f"{self.flag} must be {_plain(choice.least)} or more, not {value}.")
        if choice.most is not None and value > choice.most:
            least = "" if choice.least is None else f"from {_plain(choice.least)} to "
            raise ValueError(
                f"{self.flag} is {least or 'at most '}{_plain(choice.most)}, not {value}."
            )

    def help(self, default: Any) -> str:
        """Return the whole help text: what it does, its unit, range and default.

        >>> from inference.settings.settings import OPTIONS
        >>> OPTIONS["image_scale"].help(0.2)
        "Scale of the pixel noise. (of the image's range; above 0; default: 0.2)"
        """
        choice = self.choice
        limits = [choice.unit] if choice.unit else []
        if choice.least is not None and choice.most is not None and choice.most < 10**5:
            limits.append(f"{choice.least:g} to {choice.most:g}")
        elif choice.least is not None:
            limits.append(f"at least {choice.least:g}")
        elif choice.positive:
            limits.append("above 0")
        if choice.choices:
            limits.append(", ".join(choice.choices))
        text = choice.default_help if default is None or default == () else self.show(default)
        if isinstance(default, bool):
            text = "yes" if default else "no"
        if text:
            limits.append(f"default: {text}")
        return f"{choice.help} ({'; '.join(limits)})" if limits else choice.help

    def _number(self, text: str, expected: str = "a number") -> float:
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"{self.flag} is {expected}, not {text.strip()!r}.") from None

    def _weight(self, text: str) -> tuple[str, float]:
        name, _, number = text.partition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if not 0 <= weight < math.inf:
            raise ValueError(
                f"{self.flag} takes VIEW=WEIGHT with a weight of 0 or more, such as mask=2, not "
                f"{text.strip()!r}."
            )
        return name.strip(), weight


def options_of(name: str, group: type) -> dict[str, Option]:
    """List the options of a group by name.

    Args:
        name: The attribute of `Settings` that holds it.
        group: A dataclass whose fields are all made by `setting`.
    """
    kinds = get_type_hints(group)
    listed = {}
    for one in fields(group):
        choice: Choice = one.metadata["choice"]
        option = choice.option or one.name
        listed[option] = Option(option, name, one.name, kinds[one.name], _default(one), choice)
    return listed


def require_views(names: Iterable[str]) -> None:
    """Refuse names of no view.

    Raises:
        LookupError: If there is one; the message suggests the nearest.
    """
    for name in names:
        if name not in VIEWS:
            raise LookupError(unknown(name, VIEWS, "view") + ".")


def _plain(number: float) -> str:
    """Write a limit without an exponent.

    >>> _plain(2**32 - 1), _plain(0.5)
    ('4294967295', '0.5')
    """
    return str(int(number)) if number == int(number) else f"{number:g}"


def _default(one: Field[Any]) -> Any:
    if one.default is not MISSING:
        return one.default
    assert one.default_factory is not MISSING
    return one.default_factory()
