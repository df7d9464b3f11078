"""Settings as a list in one text, ``steps=300,tuned-stages=2``: which option gets which value.

Nothing here imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from scene.registry import unknown

from .fields import VIEWS, Option
from .recipes import Recipe
from .settings import OPTIONS

BOOLS = {"yes": True, "true": True, "no": False, "false": False}
"""How a setting of yes and no is typed in a list."""

_NEXT = re.compile(rf",(?=\s*(?!(?:{'|'.join(VIEWS)})\s*=)[A-Za-z][\w-]*\s*=)")
"""The comma before a further setting; others belong to a value, as that in ``scales=0.5,1``."""


def option_spelled(
    typed: str, kind: str = "setting", without: Collection[str] = (), known: Collection[str] = ()
) -> Option:
    """Return the option that somebody typed, without dashes in front, in any of its spellings.

    Args:
        typed: Such as ``learning-rate`` or ``learning_rate``.
        kind: What it is called in the message.
        without: Names of options that are not meant.
        known: Names of options that the message lists; none = all.

    Raises:
        LookupError: If there is none; the message suggests the nearest.

    >>> option_spelled("weights").name
    'backbone_weights'
    """
    options = [option for option in OPTIONS.values() if option.name not in without]
    spelled = {also[2:]: option for option in options for also in option.choice.also}
    spelled |= {option.flag[2:]: option for option in options}
    word = typed.replace("_", "-")
    if word not in spelled:
        listed = [w for w, option in spelled.items() if not known or option.name in known]
        raise LookupError(unknown(word, listed, kind) + ".")
    return spelled[word]


def pairs(flag: str, texts: Iterable[str]) -> list[tuple[str, str]]:
    """Split lists of settings into names and values.

    Args:
        flag: The option of the command line that takes the lists, for messages.
        texts: Such as ``steps=300,scales=0.5,1``.

    Raises:
        ValueError: If a part is no ``NAME=VALUE``, or a name is there twice.

    >>> pairs("--sec", ["steps=300, scales=0.5,1", "view-weights=mask=2,classes=9"])
    [('steps', '300'), ('scales', '0.5,1'), ('view-weights', 'mask=2,classes=9')]
    """
    found = list[tuple[str, str]]()
    for part in (part for text in texts for part in _NEXT.split(text) if part.strip(" ,")):
        name, equals, value = (word.strip(" ,") for word in part.partition("="))
        name = name.strip("-")
        if not (name and equals and value):
            raise ValueError(
                f"{flag} takes NAME=VALUE, as steps=300,learning-rate=1e-3, not {part.strip()!r}."
            )
        if any(name == other for other, _ in found):
            raise ValueError(f"{flag} sets {name} twice; leave one out.")
        found.append((name, value))
    return found


def assignments(
    flag: str, texts: Iterable[str], one: Recipe, without: Collection[str] = ()
) -> dict[str, Any]:
    """Read lists of settings of a recipe, for the keywords of `Recipe.settings`.

    Args:
        flag: The option of the command line that takes the lists, for messages.
        texts: Such as ``steps=300,tuned-stages=2``.
        one: The recipe.
        without: Names of options that cannot be set here.

    Raises:
        LookupError: If there is no such option.
        ValueError: If a list cannot be read, or sets something that is not set here.

    >>> from inference.settings.recipes import recipe
    >>> assignments("--sec", ["steps=300,flip=yes"], recipe("sec"))
    {'steps': '300', 'flip': True}
    """
    known = set(one.options()).difference(without)
    values: dict[str, Any] = {}
    for name, text in pairs(flag, texts):
        option = option_spelled(name, f"setting of {one.name}", known=known)
        if option.name in without:
            raise ValueError(f"{flag} cannot set {option.flag[2:]}, which all stages share.")
        if option.base is bool and text.lower() not in BOOLS:
            raise ValueError(f"{flag} {name} is yes or no, not {text!r}.")
        values[option.name] = BOOLS[text.lower()] if option.base is bool else text
    return values
