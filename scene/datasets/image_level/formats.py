"""Formats of labels and annotations: which one a folder or file is in, and what is nearly one."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from ...storage.files import MOST_TEXT, read_json
from ..annotations import cvat
from ..annotations.cvat import is_cvat, read_cvat
from ..annotations.label_studio import is_label_studio, read_label_studio
from ..annotations.labelme import is_labelme, labelme_files, read_labelme
from ..folders.index import quoted
from .class_folders import (
    class_folder_hint,
    has_class_folders,
    is_nearly_voc,
    read_class_folders,
)
from .coco import coco_files, read_coco
from .index import ImageIndex
from .tables import TABLE_SUFFIXES, TABLES, read_table

LABEL_SUFFIXES = (*TABLE_SUFFIXES, ".json", ".xml")
"""Suffixes of files of labels that ``--data`` may name."""


def read_image_labels(source: Path) -> ImageIndex | None:
    """Read labels or annotations: a file of them, a folder with one, or a folder per class.

    Files are tables, COCO's JSON, CVAT's XML, Label Studio's JSON, and labelme's JSON, one per
    photograph; a JSON is told by its content.

    Args:
        source: An absolute path of a file or a folder.

    Returns:
        The photographs and their labels; None if a folder has no such labels.

    Raises:
        FileNotFoundError: If listed photographs are missing.
        LookupError: If there are no photographs, or a split is unknown.
        OSError: If a file or a folder is not accessible.
        ValueError: If the labels cannot be read, or there are several files of labels.
    """
    if not source.is_dir():
        return _read_file(source)
    tables = [source / name for name in TABLES if (source / name).is_file()]
    annotations = coco_files(source)
    if len(tables) > 1 or (tables and annotations):
        names = [path.name for path in (*tables, *annotations)]
        raise ValueError(
            f"{source} has several files of labels, {quoted(names)}; give one of them, such as "
            f"--data {tables[0]}."
        )
    if tables:
        return read_table(tables[0], source)
    if annotations:
        of_a_tool = _of_a_tool(annotations[0], source) if len(annotations) == 1 else None
        return of_a_tool or read_coco(annotations, source)
    if (index := _read_export(source)) is not None:
        return index
    return read_class_folders(source) if has_class_folders(source) else None


def _read_file(path: Path) -> ImageIndex:
    """Read a file of labels or annotations."""
    if path.suffix.lower() in TABLE_SUFFIXES:
        return read_table(path)
    if path.suffix.lower() == ".xml":
        return read_cvat(path, path)
    return _of_a_tool(path, path) or read_coco([path], path)


def _read_export(root: Path) -> ImageIndex | None:
    """Read the export of a labelling tool in a folder, by the first of its files."""
    if is_cvat(path := root / cvat.FILE):
        return read_cvat(path, root)
    files = labelme_files(root)
    if files and is_labelme(_content(files[0])):
        return read_labelme(files, root, root)
    indices = (_of_a_tool(path, root) for path in files if path.parent == root)
    return next((index for index in indices if index is not None), None)


def _of_a_tool(path: Path, source: Path) -> ImageIndex | None:
    """Read a JSON of Label Studio or labelme; None if it is another, or cannot be read."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return _read_json_of_a_tool(path, source, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4)  # a dataset is opened several times, for its splits and its labels
def _read_json_of_a_tool(path: Path, source: Path, size: int, modified: int) -> ImageIndex | None:
    content = _content(path)
    if is_label_studio(content):
        return read_label_studio(content, path, source)
    return read_labelme([path], path.parent, source) if is_labelme(content) else None


def _content(path: Path) -> Any:
    """Return the content of a JSON file; None if it cannot be read, which its reader will say."""
    try:
        return read_json(path, MOST_TEXT)
    except (OSError, ValueError):
        return None


def image_label_hint(root: Path) -> str | None:
    """Return advice about a folder that nearly has image-level labels, or None."""
    if is_nearly_voc(root):
        return None
    files = [path for path in sorted(root.iterdir()) if _is_label_file(path)]
    if files:
        names = quoted([path.name for path in files])
        call = TABLES[2] if files[0].suffix.lower() == ".tsv" else TABLES[0]
        suffix = files[0].suffix.lower()
        call = {".json": "annotations.json", ".xml": cvat.FILE}.get(suffix, call)
        return f"are its labels in {names}? Give that file, --data {files[0]}, or call it {call}."
    return class_folder_hint(root)


def _is_label_file(path: Path) -> bool:
    """Return whether a file may hold labels, by its name."""
    name, suffix = path.name.lower(), path.suffix.lower()
    if name.startswith(".") or suffix not in LABEL_SUFFIXES:
        return False
    words = ("coco", "instance", "annot", "label")
    return suffix in TABLE_SUFFIXES or any(word in name for word in words)
