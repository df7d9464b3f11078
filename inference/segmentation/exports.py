"""Segmentations of photographs as a dataset of a labelling tool's format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scene.datasets.annotations.writers import (
    UNSPLIT,
    Format,
    require_annotations_folder,
    writer_of,
)
from scene.datasets.folders.writer import SceneWriter, new_folder

from .photos import Done, PhotoTask, names_of


def export_tasks(
    photos: Sequence[Path], folder: Path, kind: Format, force: bool = False
) -> list[PhotoTask]:
    """Return the tasks of photographs that are written to one folder by `annotated_folder`.

    Args:
        photos: The photographs.
        folder: The folder.
        kind: The format.
        force: Replace what an earlier call wrote.

    Raises:
        FileExistsError: If the folder holds something, and may not be replaced.
        ValueError: If two photographs have one name, or the folder holds something else.
    """
    require_annotations_folder(folder, kind, force)
    names: dict[str, Path] = {}
    for photo, name in zip(photos, names_of(photos), strict=True):
        if name in names:
            raise ValueError(
                f"{names[name]} and {photo} have the same name, but {folder} holds one photograph "
                "of each; segment them into different folders with --out."
            )
        names[name] = photo
    return [PhotoTask(photo, {}) for photo in photos]


@contextmanager
def annotated_folder(
    folder: Path, kind: Format, tasks: Sequence[PhotoTask]
) -> Iterator[Callable[[Done], None]]:
    """Yield a function that adds a segmentation; the folder is whole at the end, or not there.

    Args:
        folder: A folder that is free, see `export_tasks`.
        kind: The format.
        tasks: From `export_tasks`.

    Raises:
        LookupError: At the end, if nothing was added.
    """
    photos = [task.photo for task in tasks]
    names = dict(zip(photos, names_of(photos), strict=True))
    with new_folder(folder) as place:
        writer: SceneWriter | None = None

        def add(done: Done) -> None:
            nonlocal writer
            if writer is None:
                writer = writer_of(kind, place, done.segmentation.labels)
            photo = done.task.photo
            writer.add(UNSPLIT, names[photo], photo, done.segmentation.mask)

        yield add
        if writer is None:
            raise LookupError(f"No photograph was segmented, so {folder} is not written.")
        writer.finish({"made_by": "scene segment", "format": kind})
