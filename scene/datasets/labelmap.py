"""Label maps: the names and colours a folder declares, and masks drawn in those colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..files import MOST_TEXT, read_text
from ..labels import VOID, Colour, Labels, voc_colours

FILE = "labelmap.txt"
"""Where a folder declares its labels, one ``label:r,g,b:parts:actions`` a line."""

VOID_COLOURS: tuple[Colour, ...] = ((224, 224, 192), (255, 255, 255))
"""Colours that mean void in a colour mask unless a label claims them: VOC's cream, and white."""

_MOST = 2**20  # bytes of a label map: 255 labels, and room for comments

VOC = Labels(
    tuple(
        "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog "
        "horse motorbike person pottedplant sheep sofa train tvmonitor".split()
    )
)
"""The 21 labels of PASCAL VOC."""


def read_labelmap(path: Path) -> Labels:
    """Read ``label:r,g,b:parts:actions`` lines; a label's id is its place among them.

    Lines that are blank or start with ``#`` are skipped; parts and actions are ignored. A line
    without a colour takes that of PASCAL VOC's colour map for its id.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line cannot be read, or two labels share a name or a colour.
    """
    names: list[str] = []
    colours: list[Colour] = []
    for number, line in enumerate(lines_of(path, _MOST), start=1):
        if not line or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        if not name.strip() or len(names) == VOID:
            reason = "names no label" if not name.strip() else f"is one label more than {VOID}"
            raise ValueError(f"Line {number} of {path} {reason}; write label:r,g,b:: there.")
        colour = _colour(rest.partition(":")[0], len(names), f"Line {number} of {path}")
        if colour in colours:
            twin = names[colours.index(colour)]
            shown = ",".join(map(str, colour))
            raise ValueError(
                f"Line {number} of {path} gives {name.strip()!r} the colour {shown} of {twin!r}; "
                "give each label a colour of its own."
            )
        names.append(name.strip())
        colours.append(colour)
    if not set(names).difference({"background"}):
        raise ValueError(f"{path} lists no class; write label:r,g,b:: for each, ids from 0.")
    try:
        return Labels(tuple(names), tuple(colours))
    except ValueError as error:
        raise ValueError(f"{path} cannot be used: {error}") from error


def lines_of(path: Path, most: int = MOST_TEXT) -> list[str]:
    """Read the lines of a small text file, stripped of space at both ends.

    Args:
        path: An ordinary file.
        most: The most bytes it may have.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no ordinary file, larger than ``most``, or not UTF-8 text.
    """
    try:
        text = read_text(path, most)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no {path}; the folder needs this list.") from None
    return [line.strip() for line in text.splitlines()]


def ids_from_colours(picture: np.ndarray, labels: Labels, path: Path) -> np.ndarray:
    """Look up the label of every pixel of a colour mask.

    Args:
        picture: ``(H, W, 3)`` uint8 RGB.
        labels: Whose colours to look for.
        path: What to call the mask in messages.

    Returns:
        ``(H, W)`` uint8 label ids, 255 = void.

    Raises:
        ValueError: If a colour is neither a label's nor void; the message names the first.
    """
    wide = picture.astype(np.int32)
    codes = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    ids = np.full(codes.shape, VOID, dtype=np.uint8)
    unknown = np.ones(codes.shape, dtype=bool)
    for (red, green, blue), label in colour_ids(labels).items():
        here = codes == (red << 16 | green << 8 | blue)
        ids[here] = label
        unknown &= ~here
    if unknown.any():
        colour = ",".join(map(str, picture[unknown][0].tolist()))
        raise ValueError(
            f"{path} has pixels of colour {colour}, which is no label's; add that colour to "
            f"{FILE}, or save the mask without smoothing its edges."
        )
    return ids


def ids_from_indices(
    indices: np.ndarray, palette: np.ndarray | None, labels: Labels, path: Path
) -> np.ndarray:
    """Read the stored numbers of a mask as label ids.

    Numbers that all fit the labels are ids, as in PASCAL VOC. Where one does not fit, but every
    palette colour in use is a label's or void, the colours are believed instead.

    Args:
        indices: ``(H, W)`` integers.
        palette: ``(256, 3)`` uint8 RGB, or None for a greyscale mask.
        labels: The vocabulary.
        path: What to call the mask in messages.

    Returns:
        ``(H, W)`` uint8 label ids, 255 = void.

    Raises:
        ValueError: If a number is not a label's id.
    """
    used = np.unique(indices)
    strange = used[((used >= len(labels.names)) & (used != VOID)) | (used < 0)]
    if not len(strange):
        return indices.astype(np.uint8)
    known = colour_ids(labels)
    if palette is not None and all(tuple(palette[i].tolist()) in known for i in used):
        table = np.zeros(256, dtype=np.uint8)
        for i in used:
            table[i] = known[tuple(palette[i].tolist())]
        return np.asarray(table[indices])
    raise ValueError(
        f"{path} has the label id {strange[0]}, but there are {len(labels.names)} labels "
        f"(0 to {len(labels.names) - 1}, and {VOID} for void); is one missing from {FILE}?"
    )


def colour_ids(labels: Labels) -> dict[tuple[int, ...], int]:
    """Map each colour a mask may be drawn in to the label id it means.

    >>> colour_ids(Labels(("sky",), ((255, 255, 255),)))
    {(224, 224, 192): 255, (255, 255, 255): 0}
    """
    known: dict[tuple[int, ...], int] = dict.fromkeys(VOID_COLOURS, VOID)
    return known | {colour: i for i, colour in enumerate(labels.colours)}


def _colour(text: str, label: int, where: str) -> Colour:
    """Parse ``r,g,b``, or fall back on PASCAL VOC's colour of the label's id."""
    if not text.strip():
        return voc_colours(label + 1)[label]
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(
        part.isdecimal() and len(part) < 9 and int(part) <= 255 for part in parts
    ):
        raise ValueError(f"{where} has the colour {text!r}; write r,g,b with each from 0 to 255.")
    return int(parts[0]), int(parts[1]), int(parts[2])
