"""Formats of image-level labels: which one a folder or a file is in, and what is nearly one."""

from __future__ import annotations

from pathlib import Path

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

LABEL_SUFFIXES = (*TABLE_SUFFIXES, ".json")
"""Suffixes of files of labels that ``--data`` may name."""


def read_image_labels(source: Path) -> ImageIndex | None:
    """Read image-level labels: a table, COCO's JSON, a folder with either, or one per class.

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
    if source.suffix.lower() in TABLE_SUFFIXES and not source.is_dir():
        return read_table(source)
    if not source.is_dir():
        return read_coco([source], source)
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
        return read_coco(annotations, source)
    return read_class_folders(source) if has_class_folders(source) else None


def image_label_hint(root: Path) -> str | None:
    """Return advice about a folder that nearly has image-level labels, or None."""
    if is_nearly_voc(root):
        return None
    files = [path for path in sorted(root.iterdir()) if _is_label_file(path)]
    if files:
        names = quoted([path.name for path in files])
        call = TABLES[2] if files[0].suffix.lower() == ".tsv" else TABLES[0]
        call = "annotations.json" if files[0].suffix.lower() == ".json" else call
        return f"are its labels in {names}? Give that file, --data {files[0]}, or call it {call}."
    return class_folder_hint(root)


def _is_label_file(path: Path) -> bool:
    """Return whether a file may hold labels, by its name."""
    name, suffix = path.name.lower(), path.suffix.lower()
    if name.startswith(".") or suffix not in LABEL_SUFFIXES:
        return False
    words = ("coco", "instance", "annot", "label")
    return suffix in TABLE_SUFFIXES or any(word in name for word in words)
