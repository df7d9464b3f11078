"""Text of figures: titles, and fonts for any script that an installed font has."""

from __future__ import annotations

import logging
import re
import textwrap
import warnings
from collections.abc import Collection
from functools import cache
from pathlib import Path

from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font
from matplotlib.text import Text

from ..storage.files import replace_file

log = logging.getLogger("scene")

_PER_INCH = 12
"""Letters of a title in an inch."""

_MISSING = re.compile(r"Glyph (\d+) .*missing from ")
_UNSHAPED = re.compile(r"Matplotlib currently does not support ")

_WIDE = ("noto sans", "source han", "wenquanyi", "pingfang", "microsoft", "hiragino", "arial uni")
"""First words of the names of fonts with many scripts, which are tried first."""

_ODD = re.compile(r"Last Resort|cm[a-z]+10$|STIX(NonUnicode|Size)")
"""Fonts with a box for every letter, or with other letters in their places."""


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all, with letters from any font that has them.

    Args:
        figure: The figure.
        path: The PNG; missing folders are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda part: _write(figure, part))


def set_title(figure: Figure, title: str) -> None:
    """Set the title of a figure, wrapped to its width; an empty title changes nothing."""
    if title:
        width = int(_PER_INCH * figure.get_figwidth())
        lines = (textwrap.fill(line, width) for line in title.splitlines())
        figure.suptitle("\n".join(lines), fontsize=10)


def fonts_for(letters: Collection[str]) -> tuple[dict[str, Path], frozenset[str]]:
    """Return installed fonts that have some letters.

    Args:
        letters: Single characters.

    Returns:
        Files of fonts by name, and the letters that no font has.
    """
    missing, fonts = {ord(letter) for letter in letters}, {}
    for name, path in _fonts():
        if not missing:
            break
        try:
            known = missing.intersection(get_font(path).get_charmap())
        except (OSError, RuntimeError):  # a font that is damaged
            continue
        if known:
            fonts[name], missing = Path(path), missing - known
    return fonts, frozenset(map(chr, missing))


def lacking(font: Path, text: str) -> set[str]:
    """Return the printable letters of a text that a font lacks."""
    known = get_font(str(font)).get_charmap()
    return {letter for letter in text if letter.isprintable() and ord(letter) not in known}


@cache
def note_lost(letters: frozenset[str]) -> None:
    """Log, once, that no installed font has some letters."""
    some = "".join(sorted(letters)[:12]) + "…" * (len(letters) > 12)
    log.warning(
        "no font on this machine has the letters %s: they are drawn as boxes; install one that "
        "has them, such as Noto Sans",
        some,
    )


def _write(figure: Figure, part: Path) -> None:
    missing = _save(figure, part)
    if not missing:
        return
    fonts, undrawable = fonts_for(missing)
    if fonts:
        for text in figure.findobj(Text):
            text.set_fontfamily([*rcParams["font.family"], *fonts])
        _save(figure, part)
    if undrawable:
        note_lost(undrawable)


def _save(figure: Figure, part: Path) -> set[str]:
    """Write a figure, and return the letters that its fonts lack."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.savefig(part, format="png")
    missing = set()
    for warning in caught:
        message = str(warning.message)
        if glyph := _MISSING.match(message):
            missing.add(chr(int(glyph[1])))
        elif not _UNSHAPED.match(message):
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return missing


@cache
def _fonts() -> tuple[tuple[str, str], ...]:
    """Return upright fonts of normal weight, those with many scripts first."""
    plain = {
        font.name: font.fname
        for font in fontManager.ttflist
        if font.style == "normal"
        and font.weight in (400, "normal", "regular")
        and not _ODD.match(font.name)
    }
    names = sorted(plain, key=lambda name: (not name.lower().startswith(_WIDE), name))
    return tuple((name, plain[name]) for name in names)
