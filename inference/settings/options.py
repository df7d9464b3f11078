"""Options: what is typed after `scene train RECIPE`, turned into settings and back into words.

Nothing here imports torch.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from typing import Any

from scene.sizes import parse_size


def parsed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Turn options as they were typed into settings.

    Args:
        given: By the names of `scene train`'s options, with ``_`` for ``-``. Sizes, lists and
            what may be a word are still text.

    Raises:
        ValueError: If the text of one is not what it must be.

    >>> parsed({"size": "16x32", "weight": ["mask=2"], "encode": "image, mask"})
    {'size': (16, 32), 'encode': ('image', 'mask'), 'weights': {'mask': 2.0}}
    """
    settings = dict(given)
    if "size" in settings:
        settings["size"] = parse_size(settings["size"])
    if "encode" in settings:
        named = [name.strip() for name in settings["encode"].split(",")]
        settings["encode"] = tuple(dict.fromkeys(named))
    if settings.get("threshold", "auto") != "auto":
        settings["threshold"] = _threshold(settings["threshold"])
    for name in ("scales", "cue_crf"):
        if name in settings:
            option = name.replace("_", "-")
            settings[name] = tuple(_number(option, part) for part in settings[name].split(","))
    if "background" in settings:
        none = settings["background"] == "none"
        settings["background"] = 0.0 if none else _number("background", settings["background"])
    if "weights" in settings:
        settings["backbone_weights"] = settings.pop("weights")
    if "weight" in settings:
        settings["weights"] = dict(map(_weight, settings.pop("weight")))
    return settings


def words(given: Mapping[str, Any]) -> str:
    """Write options as one would type them.

    Args:
        given: As `parsed` takes them.

    >>> words({"learning_rate": 0.01, "flip": False, "weight": ["mask=2"], "data": "my pets"})
    "--learning-rate 0.01 --no-flip --weight mask=2 --data 'my pets'"
    """
    typed = []
    for name, value in given.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            typed.append(f"--{option}" if value else f"--no-{option}")
        else:
            each = value if isinstance(value, list | tuple) else [value]
            typed += [f"--{option} {shlex.quote(str(v))}" for v in each]
    return " ".join(typed)


def _threshold(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--threshold is a probability, or auto; not {text!r}.") from None


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--{name} {text!r} is not a number.") from None


def _weight(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise ValueError(
            f"--weight {text!r} is not a view and a number of 0 or more, like mask=2."
        )
    return name.strip(), weight
