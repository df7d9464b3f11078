"""Configs: plain data as JSON gives it, turned into settings and labels, or refused."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from types import UnionType
from typing import Any, get_args, get_origin

from scene.labels import Labels

from .recipes import recipe
from .settings import OPTIONS, Settings


def as_table(what: str, data: Any) -> dict[str, Any]:
    """Return the data if they are names and values.

    Raises:
        ValueError: If they are something else.
    """
    if not isinstance(data, dict):
        raise ValueError(f"{what} must be a table of names and values, not {abbreviated(data)}.")
    return data


def settings_from(data: Any) -> Settings:
    """Read settings.

    Raises:
        LookupError: If the recipe, or the name of a choice, is unknown.
        ValueError: If a setting is of the wrong kind, does not exist, or cannot have its value.

    >>> settings_from({"recipe": "telbo", "training": {"steps": "many"}})
    Traceback (most recent call last):
    ValueError: its setting training.steps cannot be 'many'.
    """
    for group, values in as_table("its settings", data).items():
        if group == "recipe":
            if not isinstance(values, str):
                raise ValueError(f"its recipe cannot be {abbreviated(values)}.")
            continue
        as_table(f"its settings {abbreviated(group)}", values)
        for option in OPTIONS.values():
            if option.group == group and option.attribute in values:
                value = values[option.attribute]
                if not is_a(value, option.kind):
                    raise ValueError(
                        f"its setting {group}.{option.attribute} cannot be {abbreviated(value)}."
                    )
    settings = Settings.from_json(data)
    if ":" not in settings.recipe:  # one of one's own is imported only if it is trusted
        recipe(settings.recipe)
    return settings


def labels_from(data: Any) -> Labels:
    """Read labels.

    Raises:
        KeyError: If there are no names or no colours.
        ValueError: If they are no names and colours, or unequally many.
    """
    table = as_table("its labels", data)
    names, colours = table["names"], table["colours"]
    if not is_a(names, tuple[str, ...]):
        raise ValueError(f"its labels cannot be called {abbreviated(names)}.")
    if not is_a(colours, tuple[tuple[int, int, int], ...]) or len(colours) != len(names):
        raise ValueError(f"its labels cannot have the colours {abbreviated(colours)}.")
    return Labels(tuple(names), tuple((red, green, blue) for red, green, blue in colours))


def is_a(value: Any, kind: Any) -> bool:
    """Return whether a value read from JSON is of a kind, lists counting as tuples.

    >>> is_a([96, 64], tuple[int, int]), is_a(True, int), is_a(None, int | None)
    (True, False, True)
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return any(is_a(value, part) for part in parts)
    if origin is Mapping:
        return isinstance(value, dict) and all(is_a(v, parts[1]) for v in value.values())
    if origin is tuple:
        if not isinstance(value, list | tuple):
            return False
        kinds = parts[:1] * len(value) if parts[-1] is ... else parts
        return len(kinds) == len(value) and all(map(is_a, value, kinds))
    if isinstance(value, bool):
        return kind is bool
    if kind is float and isinstance(value, int):
        return abs(value) < 2**63  # more digits than a float can hold are none
    return isinstance(value, kind)


def abbreviated(value: Any) -> str:
    """Write a value of any kind, shortened: a damaged file may hold megabytes of it.

    >>> abbreviated([1, 2]), abbreviated("a" * 9999)
    ('[1, 2]', "'aaaaaaaaaaaa...aaaaaaaaaaaaa'")
    """
    return reprlib.repr(value)
