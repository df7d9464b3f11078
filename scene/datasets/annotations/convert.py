"""Conversion of a dataset: its masks, in another format."""

from __future__ import annotations

from pathlib import Path

from ...notices import Progress
from ..catalogue import open_data, splits_of
from ..folders.writer import copy_split, new_folder
from .writers import Format, require_annotations_folder, writer_of


def convert(
    source: str,
    folder: Path,
    kind: Format = "voc",
    *,
    limit: int | None = None,
    force: bool = False,
    watch: Progress = lambda step, done, total: None,
) -> dict[str, int]:
    """Write the scenes of a dataset that have masks to a folder, with their photographs.

    Args:
        source: As ``--data`` names it.
        folder: The new folder, which is whole at the end, or not there.
        kind: The format.
        limit: Take the first so many scenes of each split only; None = all.
        force: Replace what an earlier call wrote.
        watch: Called with the progress.

    Returns:
        Number of scenes of each split that has any.

    Raises:
        FileExistsError: If the folder holds something, and may not be replaced.
        LookupError: If the source is not known, or none of its scenes has a mask.
        ValueError: If the source is damaged, or the folder holds something else.
    """
    require_annotations_folder(folder, kind, force)
    splits = splits_of(source)
    labels = open_data(source, splits[0]).schema.labels
    with new_folder(folder) as place:
        writer = writer_of(kind, place, labels)
        scenes: dict[str, int] = {}
        for split in splits:
            scenes |= copy_split(writer, open_data(source, split), watch, limit)
        if not scenes:
            raise LookupError(
                f"{source} has no masks, so there is nothing to convert; image-level labels alone "
                "train a classifier and sec."
            )
        writer.finish({"made_by": "scene data convert", "format": kind, "source": source})
    return scenes
