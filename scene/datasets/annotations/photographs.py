"""Annotated photographs of any tool, and the index that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..image_level.finding import ImageFinder
from ..image_level.index import ImageIndex, LabelledImage, make_index
from .drawing import Drawing, Region, Shape, is_void


@dataclass
class AnnotatedPhoto:
    """What a file says about one photograph.

    Attributes:
        name: Its name, as `scene.storage.names.scene_name` returns it.
        file: The file of the annotations.
        size: Height and width that the annotations are of; None = those of the photograph.
        split: Its split; None = the file names none.
        classes: The names of its labels.
        regions: Its annotations with outlines, from the bottom to the top.
        boxes: Whether it has labels whose place is not known, or only by a box.
    """

    name: str
    file: Path
    size: tuple[int, int] | None = None
    split: str | None = None
    classes: set[str] = field(default_factory=set)
    regions: list[Region] = field(default_factory=list)
    boxes: bool = False

    def add(self, label: str, shape: Shape | None) -> None:
        """Add an annotation; without a shape, only its label is known."""
        if is_void(label):
            if shape is not None:
                self.regions.append(Region(None, shape))
            return
        self.classes.add(label)
        if shape is None:
            self.boxes = True
        else:
            self.regions.append(Region(label, shape))


def index_of(
    source: Path,
    root: Path,
    photos: Sequence[AnnotatedPhoto],
    places: Sequence[Path],
    classes: Sequence[str] = (),
) -> ImageIndex:
    """Return the index of annotated photographs.

    If any has a region, photographs have masks, but for those with boxes, which have image-level
    labels only.

    Args:
        source: What ``--data`` names.
        root: The folder that the paths of photographs are relative to.
        photos: The photographs.
        places: Folders that their names are relative to, in order of preference.
        classes: Classes in order; those of photographs follow, sorted.

    Raises:
        FileNotFoundError: If photographs are missing; the message names them.
        LookupError: If there are no photographs.
        ValueError: If a name cannot be used.
    """
    finder = ImageFinder(places)
    files: dict[str, Path] = {}
    for file in dict.fromkeys(photo.file for photo in photos):
        files |= finder.all_of([p.name for p in photos if p.file == file], file)
    drawn = any(photo.regions for photo in photos)
    images = [
        LabelledImage(
            files[photo.name].relative_to(root).as_posix(),
            files[photo.name],
            frozenset(photo.classes),
            photo.split,
            Drawing(tuple(photo.regions), photo.size, photo.file)
            if drawn and not photo.boxes
            else None,
        )
        for photo in photos
    ]
    known = [name for name in classes if not is_void(name)]
    others = sorted({name for photo in photos for name in photo.classes} - set(known))
    return make_index(source, root, images, [*known, *others])
