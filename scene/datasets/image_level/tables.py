"""Tables of image-level labels: CSV or TSV with a photograph a row."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ...images.folder import SUFFIXES
from ...registry import unknown
from ...storage.files import read_text
from ...storage.names import scene_name
from ..base import SPLITS
from ..folders.layouts import ALIASES
from .finding import ImageFinder
from .index import ImageIndex, LabelledImage, make_index, require_few

TABLES = ("labels.csv", "annotations.csv", "labels.tsv", "annotations.tsv")
"""Names of tables in a folder."""

TABLE_SUFFIXES = (".csv", ".tsv")
"""Suffixes of tables: columns are separated by commas, and by tabs."""

_FILE = ("file", "filename", "file_name", "path", "filepath", "image", "image_name", "image_id",
         "photo", "name", "id")  # fmt: skip
_LABEL = re.compile(r"(labels?|class(es)?|categor(y|ies)|tags?)[ _-]?\d*", re.IGNORECASE)
_MOST_CELLS = 1000  # of a row; a dataset has up to 255 labels

_FORMS = (
    "file,labels (labels separated by ; or |), file,label1,label2, or file,cat,dog with 1 or 0"
)


class _Row(NamedTuple):
    """A row: its line in the file, for messages, and its cells."""

    line: int
    cells: list[str]


@dataclass(frozen=True)
class _Columns:
    """What the columns of a table hold.

    Args:
        file: The column of photographs.
        labels: Columns of names of labels.
        classes: The name of each column of 1 and 0.
        split: The column of splits, or None.
        width: Number of cells of every row; None = rows may differ.
    """

    file: int
    labels: tuple[int, ...] = ()
    classes: dict[int, str] = field(default_factory=dict)
    split: int | None = None
    width: int | None = None


def read_table(path: Path, source: Path | None = None) -> ImageIndex:
    """Read a table of photographs and labels.

    Rows are ``file,labels`` with labels separated by ``;`` or ``|``; or ``file,label1,label2,…``;
    or ``file`` and a column per class with 1 or 0. The last form needs a header, and so does a
    column ``split``. Several rows of one photograph add their labels. Classes are sorted, or in
    the order of their columns. Paths are relative to the table.

    Args:
        path: The table.
        source: What ``--data`` names, if it is not the table.

    Raises:
        FileNotFoundError: If the table or photographs are missing; the message names them.
        LookupError: If no photograph is listed, or a split is unknown.
        ValueError: If the table cannot be read; the message names the line.
    """
    rows = list(_rows(path))
    if not rows:
        raise LookupError(f"{path} is empty; write {_FORMS}.")
    finder = ImageFinder([path.parent])
    headed = _is_header(rows[0], finder)
    columns = _columns_of(rows[0], path) if headed else _without_header(rows, path)
    rows = rows[1:] if headed else rows
    _require_no_flags(rows, columns, path)
    labels: dict[str, set[str]] = {}
    splits: dict[str, str | None] = {}
    for row in rows:
        name, split = _file_of(row, columns, path), _split_of(row, columns, path)
        if splits.setdefault(name, split) != split or (name in labels and columns.classes):
            raise ValueError(f"{path} lists {name!r} twice, again in line {row.line}; keep one.")
        labels.setdefault(name, set()).update(_labels_of(row, columns, path))
    files = finder.all_of(labels, path)
    images = [
        LabelledImage(
            files[name].relative_to(path.parent).as_posix(),
            files[name], frozenset(labels[name]), splits[name],
        )
        for name in labels
    ]  # fmt: skip
    known = columns.classes.values() or sorted(set().union(*labels.values()))
    return make_index(source or path, path.parent, images, known)


def _rows(path: Path) -> Iterator[_Row]:
    """Yield the rows of a table that are not blank, their cells without space at both ends."""
    text, tabs = read_text(path), path.suffix.lower() == ".tsv"
    reader = csv.reader(
        io.StringIO(text, newline=""), "excel-tab" if tabs else "excel", strict=True
    )
    count = 0
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                require_few(count := count + 1, path)
                if len(cells) > _MOST_CELLS:
                    raise ValueError(
                        f"Line {reader.line_num} of {path} has {len(cells)} cells, but a table "
                        f"has up to {_MOST_CELLS}; write {_FORMS}."
                    )
                yield _Row(reader.line_num, stripped)
    except csv.Error as error:
        raise ValueError(
            f"Line {reader.line_num} of {path} cannot be read as a table ({error}); check its "
            "quotation marks."
        ) from None


def _is_header(row: _Row, finder: ImageFinder) -> bool:
    """Return whether the first row names columns: it names no photograph."""
    first = next(cell for cell in row.cells if cell)
    if first.lower() in _FILE or row.cells[0] == "":
        return True
    named = first.lower().endswith(SUFFIXES) or "/" in first or "\\" in first or "\0" in first
    return not named and finder.find(first) is None


def _columns_of(row: _Row, path: Path) -> _Columns:
    """Return what the columns of a header hold."""
    names, lower = row.cells, [name.lower() for name in row.cells]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"{path} has two columns {twice[0]!r}; give each a name of its own.")
    file = next((lower.index(name) for name in _FILE if name in lower), 0)
    split = lower.index("split") if "split" in lower else None
    unnamed_index = {0} if names[0] == "" and file != 0 else set()  # as pandas writes
    others = [i for i in range(len(names)) if i not in {file, split} | unnamed_index]
    if not others or "" in (names[i] for i in others):
        problem = "has a column without a name" if others else _few(row, path)
        raise ValueError(f"{path} {problem}; write {_FORMS}.")
    labels = [i for i in others if _LABEL.fullmatch(names[i])]
    if labels and len(labels) < len(others):
        other = names[next(i for i in others if i not in labels)]
        raise ValueError(
            f"{path} has the column {names[labels[0]]!r} of labels, and {other!r}, which is none; "
            f"remove {other!r}, or write {_FORMS}."
        )
    if labels:
        return _Columns(file, tuple(labels), split=split, width=len(names))
    return _Columns(file, (), {i: names[i] for i in others}, split, len(names))


def _without_header(rows: list[_Row], path: Path) -> _Columns:
    """Return the columns of a table without header: a photograph, and labels."""
    width = max(len(row.cells) for row in rows)
    if width < 2:
        raise ValueError(f"{path} {_few(rows[0], path)}; write {_FORMS}.")
    last = {row.cells[-1].lower() for row in rows}
    if width > 2 and last <= set(ALIASES):
        raise ValueError(
            f"The last column of {path} seems to hold splits ({', '.join(sorted(last))}), but it "
            "has no header; write a first line such as file,labels,split."
        )
    return _Columns(0, tuple(range(1, width)))


def _few(row: _Row, path: Path) -> str:
    """Return what is wrong with a table of one column."""
    tabs = path.suffix.lower() == ".tsv"
    others = {";": "semicolons", "," if tabs else "\t": "commas" if tabs else "tabs"}
    if used := next((word for mark, word in others.items() if mark in row.cells[0]), None):
        return f"separates columns by {used} and not by {'tabs' if tabs else 'commas'}"
    return "has no column of labels"


def _require_no_flags(rows: list[_Row], columns: _Columns, path: Path) -> None:
    """Refuse several columns of labels that hold 1 and 0 only."""
    cells = {row.cells[i] for row in rows for i in columns.labels if i < len(row.cells)}
    if len(columns.labels) > 1 and cells and cells <= {"0", "1"}:
        raise ValueError(
            f"{path} has several columns of 1 and 0, but they are not called as classes; write a "
            "first line such as file,cat,dog."
        )


def _file_of(row: _Row, columns: _Columns, path: Path) -> str:
    """Return the photograph of a row."""
    if columns.width is not None and len(row.cells) != columns.width:
        raise ValueError(
            f"Line {row.line} of {path} has {len(row.cells)} cells, but the header has "
            f"{columns.width}; separate labels in a cell by ; or |."
        )
    if not row.cells[columns.file]:
        raise ValueError(f"Line {row.line} of {path} names no photograph; add it, or remove it.")
    return scene_name(row.cells[columns.file], str(path))


def _split_of(row: _Row, columns: _Columns, path: Path) -> str | None:
    """Return the split of a row, or None if the table has no splits."""
    if columns.split is None:
        return None
    name = row.cells[columns.split]
    if name.lower() not in ALIASES:
        raise LookupError(f"Line {row.line} of {path}: {unknown(name, SPLITS, 'split')}.")
    return ALIASES[name.lower()]


def _labels_of(row: _Row, columns: _Columns, path: Path) -> set[str]:
    """Return the names of the labels of a row."""
    names = set[str]()
    for i in columns.labels:
        cell = row.cells[i] if i < len(row.cells) else ""
        names.update(filter(None, (name.strip() for name in re.split(r"[;|]", cell))))
        if "," in cell:
            raise ValueError(
                f"Line {row.line} of {path} has the label {_short(cell)}; separate labels by ; "
                "or |."
            )
    for i, name in columns.classes.items():
        if row.cells[i] not in ("0", "1"):
            raise ValueError(
                f"Line {row.line} of {path} has {_short(row.cells[i])} in the column {name!r}; "
                "write 1 or 0 there, or call the column labels if it holds names."
            )
        if row.cells[i] == "1":
            names.add(name)
    return names


def _short(cell: str) -> str:
    return repr(cell if len(cell) < 80 else f"{cell[:76]}…")
