"""Label ids of mask pixels, which are ids themselves or the labels' colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..labelmap import FILE
from ..labels import VOID, Colour, Labels
from ..notices import notice

VOID_COLOURS: tuple[Colour, ...] = ((224, 224, 192), (255, 255, 255))
"""Colours of void in a colour mask, unless they are a label's: VOC's cream, and white."""

_WHITE = (255, 255, 255)
_ROWS = 256  # rows of a colour mask that are converted at once


def ids_from_colours(picture: np.ndarray, labels: Labels, path: Path) -> np.ndarray:
    """Return the label ids of a colour mask.

    If all colours are grey and one is no label's, they are read as the numbers of a grey mask.

    Args:
        picture: ``(H, W, 3)`` uint8 RGB.
        labels: The vocabulary.
        path: The mask's file, for messages.

    Returns:
        ``(H, W)`` uint8 label ids, 255 = void.

    Raises:
        ValueError: If a colour is neither a label's nor void; the message names the first.
    """
    known = {r << 16 | g << 8 | b: label for (r, g, b), label in colour_ids(labels).items()}
    parts = [picture[top : top + _ROWS] for top in range(0, len(picture), _ROWS)]
    used = sorted({int(code) for rows in parts for code in np.unique(_codes(rows))})
    if strange := [code for code in used if code not in known]:
        if all(code % 0x010101 == 0 for code in used):
            return ids_from_numbers(picture[..., 0], None, labels, path)
        colour = ",".join(str(strange[0] >> shift & 255) for shift in (16, 8, 0))
        raise ValueError(
            f"{path} has pixels of colour {colour}, which is no label's; draw them in a label's "
            f"(scene data labels prints those), add that colour to {FILE}, or save the mask "
            "without smoothing its edges."
        )
    if 0xFFFFFF in used:
        _notice_void({known[code] for code in used}, labels, path)
    meaning = {code: known[code] for code in used}
    return np.concatenate([_ids_of(_codes(rows), meaning) for rows in parts])


def ids_from_numbers(
    numbers: np.ndarray, palette: np.ndarray | None, labels: Labels, path: Path
) -> np.ndarray:
    """Return the label ids of a grey or palette mask.

    Numbers are ids, as in PASCAL VOC, if all of them can be, with two exceptions. In a grey mask,
    g means the colour g,g,g if all colours of the label map are grey, or if the label map has the
    white that the mask has. In a palette mask, colours decide if all are labels' and differ from
    those of the ids: a tool has reordered the palette. If a number cannot be an id, colours
    decide if all are labels'.

    Args:
        numbers: ``(H, W)`` integers.
        palette: ``(K, 3)`` uint8 RGB, the palette of the file; None = a grey mask.
        labels: The vocabulary.
        path: The mask's file, for messages.

    Returns:
        ``(H, W)`` uint8 label ids, 255 = void.

    Raises:
        ValueError: If numbers are neither ids nor labels' colours.
    """
    values = [int(number) for number in np.unique(numbers)]
    grey = palette is None or _is_ramp(palette)
    shades = _greys(values) if grey or palette is None else _colours(values, palette)
    known = colour_ids(labels)
    colour_id = {n: known[colour] for n, colour in shades.items() if colour in known}
    ids = {n: n for n in values if 0 <= n < len(labels.names) or n == VOID}
    by_colour = len(values) == len(colour_id) == len(set(shades.values()))
    white = VOID in values and shades.get(VOID) == _WHITE
    white_is_label = white and known[_WHITE] != VOID
    if len(ids) < len(values):
        if not by_colour:
            raise ValueError(_strange([n for n in values if n not in ids], labels, path))
        return _ids_of(numbers, colour_id)
    if by_colour and (white_is_label or (grey and all(map(_is_grey, labels.colours)))):
        return _ids_of(numbers, colour_id)
    if not grey and palette is not None and _is_reordered(values, shades, palette, labels):
        notice(
            f"Masks in {path.parent} have palettes whose colours are all labels', but not at the "
            "labels' ids: they are read by their colours."
        )
        return _ids_of(numbers, {**colour_id, **({VOID: VOID} if VOID in values else {})})
    if white:
        _notice_void(set(ids), labels, path)
    return _ids_of(numbers, ids)


def require_lossless(kind: str | None, path: Path) -> None:
    """Refuse a mask in a lossy format.

    Args:
        kind: Pillow's name of the format.
        path: The file.

    Raises:
        ValueError: If it is JPEG, or WebP with losses.
    """
    if kind == "WEBP":
        with path.open("rb") as file:
            if b"VP8L" not in file.read(4096):
                kind = "WebP with losses"
    if kind in ("JPEG", "MPO", "WebP with losses"):
        raise ValueError(
            f"{path} is {kind}, which changes the labels of a mask at edges; export it as PNG."
        )


def colour_ids(labels: Labels) -> dict[Colour, int]:
    """Return the label id of each colour that a mask can have.

    >>> colour_ids(Labels(("sky",), ((255, 255, 255),)))
    {(224, 224, 192): 255, (255, 255, 255): 0}
    """
    known = dict.fromkeys(VOID_COLOURS, VOID)
    return known | {colour: i for i, colour in enumerate(labels.colours)}


def _greys(used: list[int]) -> dict[int, Colour]:
    """Return the colour of each grey number; numbers of 16 bits are 257 times those of 8."""
    step = 257 if used[-1] > VOID and all(n % 257 == 0 for n in used) else 1
    return {n: (n // step,) * 3 for n in used if 0 <= n // step <= VOID}


def _colours(used: list[int], palette: np.ndarray) -> dict[int, Colour]:
    """Return the colour of each number that is in the palette."""
    rows = {n: palette[n].tolist() for n in used if 0 <= n < len(palette)}
    return {n: (row[0], row[1], row[2]) for n, row in rows.items()}


def _is_ramp(palette: np.ndarray) -> bool:
    """Return whether entry i of a palette is the grey i, as after ``convert("P")``."""
    ramp = np.arange(len(palette))[:, None]
    return len(palette) > 1 and bool((palette == ramp).all())


def _is_grey(colour: Colour) -> bool:
    return len(set(colour)) == 1


def _is_reordered(
    used: list[int], shades: dict[int, Colour], palette: np.ndarray, labels: Labels
) -> bool:
    """Return whether all colours of a palette mask are labels', and one is not that of its id.

    False for a palette in which labels share a colour, or that has the colour of one label only.
    """
    own = {colour: i for i, colour in enumerate(labels.colours)}
    known = colour_ids(labels)
    colours = {n: shades[n] for n in used if n != VOID and n in shades}
    in_palette = own.keys() & {(row[0], row[1], row[2]) for row in palette.tolist()}
    whole = len(colours) == len(set(used) - {VOID}) == len(set(colours.values()))
    if not whole or len(in_palette) < 2 or not all(colour in known for colour in colours.values()):
        return False
    return any(own.get(colour, n) != n for n, colour in colours.items())


def _codes(picture: np.ndarray) -> np.ndarray:
    """Return each pixel's red, green and blue as one number, ``(H, W)`` int32."""
    codes = picture[..., 0].astype(np.int32)
    for channel in (1, 2):
        codes <<= 8
        codes |= picture[..., channel]
    return codes


def _ids_of(numbers: np.ndarray, meaning: dict[int, int]) -> np.ndarray:
    """Return the id of each number, ``(H, W)`` uint8."""
    table = np.zeros(max(meaning) + 1, dtype=np.uint8)
    table[list(meaning)] = list(meaning.values())
    ids: np.ndarray = table[numbers]
    return ids


def _notice_void(present: set[int], labels: Labels, path: Path) -> None:
    """Notice that white is read as void, if it may be the only object."""
    if len(present) == 2 and _WHITE not in labels.colours and 1 < len(labels.names) < VOID:
        name = labels.names[min(present)]
        notice(
            f"Masks in {path.parent} hold {name!r}, and white (255), which is read as void; if "
            f"white is a label, give it the colour 255,255,255 in {FILE}."
        )


def _strange(numbers: list[int], labels: Labels, path: Path) -> str:
    """Return the message about numbers that are no ids, with the probable cause."""
    text = ", ".join(map(str, numbers[:5])) + (", …" if len(numbers) > 5 else "")
    plural, last = "s" if len(numbers) > 1 else "", len(labels.names) - 1
    advice = f"is one missing from {FILE}? See scene data labels."
    if len(numbers) > 5:
        advice = "was it smoothed, or saved with losses? Export it again, as PNG."
    return (
        f"{path} has the label id{plural} {text}, but there are {last + 1} labels (0 to {last}, "
        f"and {VOID} for void); {advice}"
    )
