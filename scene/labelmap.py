"""Label maps: the names and colours of a folder's labels."""

from __future__ import annotations

from pathlib import Path

from .labels import VOID, Colour, Labels, is_background, voc_colours
from .storage.files import MOST_TEXT, read_text
from .storage.names import scene_name

FILE = "labelmap.txt"
"""The file of a folder's labels, one ``label:r,g,b:parts:actions`` a line."""

_MOST = 2**20  # bytes of a label map: 255 labels, and room for comments

VOC = Labels(
    tuple(
        "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog "
        "horse motorbike person pottedplant sheep sofa train tvmonitor".split()
    )
)
"""The 21 labels of PASCAL VOC."""

NUMBERED = Labels(tuple(map(str, range(VOID))))
"""Labels named by their numbers, in the colours of PASCAL VOC."""


def read_labelmap(path: Path) -> Labels:
    """Read ``label:r,g,b:parts:actions`` lines; a label's id is its position.

    Lines that are blank or start with ``#`` are skipped; parts and actions are ignored. A line
    without a colour has that of PASCAL VOC's colour map for its id.

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
            other = names[colours.index(colour)]
            text = ",".join(map(str, colour))
            raise ValueError(
                f"Line {number} of {path} gives {name.strip()!r} the colour {text} of {other!r}; "
                "give each label a colour of its own."
            )
        names.append(name.strip())
        colours.append(colour)
    return checked_labels(names, colours, path)


def lines_of(path: Path, most: int = MOST_TEXT) -> list[str]:
    """Return the lines of a small text file, without space at both ends.

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


def read_labels(path: Path) -> Labels:
    """Read labels from a file, in the format of its name.

    Args:
        path: ``labelmap.txt``; ``class_names.txt``, one name a line, as labelme writes it; or
            ``_classes.csv``, lines of an id and a name, as Roboflow does. Labels of the latter
            two have the colours of PASCAL VOC's colour map.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read; the message names the line.
    """
    if path.name == "class_names.txt":
        names = [line for line in lines_of(path) if line and line != "__ignore__"]
    elif path.suffix == ".csv":
        rows = [line.partition(",") for line in lines_of(path)[1:] if line]
        names = [name.strip() for _, _, name in rows]
        for place, (number, *_) in enumerate(rows):
            if number.strip() != str(place):
                raise ValueError(
                    f"{path} gives {names[place]!r} the id {number.strip()!r}, not {place}; list "
                    f"ids from 0 in order, or write a {FILE} in their place."
                )
    else:
        return read_labelmap(path)
    return checked_labels(names, [*voc_colours(min(len(names), VOID))], path)


def labelmap_lines(labels: Labels) -> list[str]:
    """Return labels as the lines of a label map.

    >>> labelmap_lines(Labels(("sky",), ((1, 2, 3),)))
    ['sky:1,2,3::']
    """
    colours = zip(labels.names, labels.colours, strict=True)
    return [f"{name}:{','.join(map(str, colour))}::" for name, colour in colours]


def checked_labels(names: list[str], colours: list[Colour], path: Path) -> Labels:
    """Return labels whose names can be written to a label map and used as names of files.

    Args:
        names: One name per label id.
        colours: One colour per label; empty = those of PASCAL VOC's colour map.
        path: Where the names are from, for messages.

    Raises:
        ValueError: If there is no class, more than 255 labels, or a name cannot be used.
    """
    if all(is_background(name) for name in names):
        raise ValueError(f"{path} lists no class; write label:r,g,b:: for each, ids from 0.")
    for name in names:
        scene_name(name, str(path))
        if name.startswith("#") or ":" in name:
            raise ValueError(
                f"{path} names {name!r}; a label starts with no # and holds no colon."
            )
    try:
        return Labels(tuple(names), tuple(colours))
    except ValueError as error:
        raise ValueError(f"{path} cannot be used: {error}") from error


def _colour(text: str, label: int, where: str) -> Colour:
    """Parse ``r,g,b``; without text return PASCAL VOC's colour of the label's id."""
    if not text.strip():
        return voc_colours(label + 1)[label]
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(
        part.isdecimal() and len(part) < 9 and int(part) <= 255 for part in parts
    ):
        raise ValueError(f"{where} has the colour {text!r}; write r,g,b with each from 0 to 255.")
    return int(parts[0]), int(parts[1]), int(parts[2])
