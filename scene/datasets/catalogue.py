"""The catalogue of datasets: what ``--data`` opens, its splits and its statistics."""

from __future__ import annotations

import inspect
import os
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch

from ..labels import VOID, Labels
from ..notices import SceneCount
from ..registry import foreign_file, load, unknown
from ..sizes import STOCK_SIZE
from ..storage.locks import scratch
from ..storage.user_folders import cache_folder, expanded
from ..views import VIEWS, Schema
from .base import SPLITS, SceneDataset
from .folders.index import labels_of, splits
from .folders.layouts import ARCHIVES, is_located, locate
from .folders.voc import VOCScenes
from .image_level.dataset import ImageLevelScenes
from .image_level.formats import LABEL_SUFFIXES, image_label_hint, read_image_labels
from .image_level.index import ImageIndex

_WORDS = (
    "synthetic", "synthetic:default", "synthetic:confounded", "synthetic:ambiguous", "voc2012",
)  # fmt: skip


def open_data(
    source: str,
    split: str,
    size: tuple[int, int] | None = None,
    *,
    download: bool = False,
    count: int | None = None,
) -> SceneDataset:
    """Open a dataset by the text of ``--data``.

    Args:
        source: ``synthetic``, ``synthetic:<preset>``, ``voc2012``, a folder in VOC layout,
            labels or annotations (see `read_image_labels`), or a subclass of `SceneDataset` of
            one's own, as ``path/file.py:Name``.
        split: One of `splits_of`.
        size: Height and width of the scenes in pixels; `STOCK_SIZE` if None.
        download: Download ``voc2012`` (2 GB) if it is not there.
        count: Number of scenes to generate, or of a folder to use; None = all.

    Raises:
        LookupError: If the source, the split or the preset is not known.
        FileNotFoundError: If the folder or a file in it is missing.
        ValueError: If the folder contradicts itself.
        OSError: If the download fails; nothing of it is kept.
    """
    word, _, preset = source.partition(":")
    if word == "synthetic":
        from .synthetic.dataset import SyntheticScenes

        return SyntheticScenes(split, preset or "default", size or STOCK_SIZE, count)
    if (kind := _own(source)) is not None:
        return _opened(kind, source, split, size or STOCK_SIZE, count)
    folder = _folder(source, download)
    if (index := _index(folder)) is not None:
        return ImageLevelScenes(index, split, size or STOCK_SIZE, count=count)
    dataset = VOCScenes(folder, split, size or STOCK_SIZE, count=count)
    if source == "voc2012":
        dataset.name = dataset.source = source
    return dataset


def splits_of(source: str, *, download: bool = False) -> tuple[str, ...]:
    """Return the splits of a source; raises as `open_data`."""
    if source.partition(":")[0] == "synthetic":
        return SPLITS
    if (kind := _own(source)) is not None:
        return kind.splits
    folder = _folder(source, download)
    if (index := _index(folder)) is not None:
        return tuple(index.by_split)
    return splits(folder)


def image_index(source: str) -> ImageIndex | None:
    """Return the index of a source with image-level labels and no masks, not in VOC layout.

    Returns:
        The index; None if the source is another. Raises as `open_data`.
    """
    generated = source.partition(":")[0] == "synthetic"
    if generated or source == "voc2012" or foreign_file(source) is not None:
        return None
    index = _index(_folder(source, download=False))
    return None if index is not None and index.has_masks else index


def labels_in(source: str, *, download: bool = False) -> Labels:
    """Return the labels of a source, also of one without splits; raises as `open_data`."""
    if source.partition(":")[0] == "synthetic":
        return open_data(source, "val", count=1).schema.labels
    if (kind := _own(source)) is not None:
        return open_data(source, kind.splits[0]).schema.labels
    folder = _folder(source, download)
    if (index := _index(folder)) is not None:
        return index.labels
    return labels_of(locate(folder))


def evaluation_split(source: str, *, download: bool = False, target: str = "mask") -> str:
    """Return the split to score on.

    Masks are scored on ``test`` if it has masks, else on ``val``, else on ``tune``. Classes, an
    intermediate step to masks, are scored on ``val``, else on ``tune``, so that ``test`` remains
    for the end.

    Raises:
        LookupError: If there is no such split.

    >>> evaluation_split("synthetic"), evaluation_split("synthetic", target="classes")
    ('test', 'val')
    """
    if target == "classes":
        known = splits_of(source, download=download)
        return next((split for split in ("val", "tune", "test") if split in known), "train")
    if source.partition(":")[0] == "synthetic":
        return "test"
    known = _masked(source, download)
    for split in ("test", "val", "tune"):
        if split in known:
            return split
    advice = "list scenes with masks in ImageSets/Segmentation/val.txt."
    if image_index(source) is not None:
        advice = "give a folder in VOC layout for masks."
    raise LookupError(
        f"{source} has no masks to score against; {advice} Image-level labels alone "
        "train a classifier and sec."
    )


def summary_split(source: str, *, target: str = "mask", masks: bool = True) -> str:
    """Return the split that a training is scored on at its end, or drawn if it has no scores.

    Args:
        source: As in `open_data`.
        target: As in `evaluation_split`.
        masks: Whether training needs masks.

    Raises:
        LookupError: If training needs masks, and there are none.
    """
    try:
        return evaluation_split(source, target=target)
    except LookupError:
        if masks and "train" not in _masked(source, False):
            raise
    known = splits_of(source)
    return next((split for split in ("val", "tune", "test") if split in known), "train")


def describe(
    dataset: SceneDataset, watch: SceneCount = lambda done, total: None
) -> dict[str, Any]:
    """Compute statistics of a dataset, by reading every scene once.

    Args:
        dataset: The dataset.
        watch: Called with the number of scenes done, and their total.

    Returns:
        ``name``, ``source``, ``split``, ``scenes``; ``views``: number of scenes with each view;
        ``weak``: number of scenes whose mask is a pseudo-label; ``size``; ``labels``;
        ``background``: whether there is a background label; ``frequency``: for each class, its
        share of the scenes with known classes; ``pixels``: for each label, its share of the
        pixels that are not void; ``void``: share of the masks' pixels that are void. A share of
        no pixels or scenes is 0.
    """
    labels = dataset.schema.labels
    views = dict.fromkeys(VIEWS, 0)
    present = torch.zeros(len(labels.classes))
    pixels = torch.zeros(VOID + 1, dtype=torch.int64)
    for index in range(len(dataset)):
        scene = dataset[index]
        for name in views:
            views[name] += getattr(scene, name) is not None
        if scene.classes is not None:
            present += scene.classes
        if scene.mask is not None:
            pixels += torch.bincount(scene.mask.flatten(), minlength=VOID + 1)
        watch(index + 1, len(dataset))
    counts, void = pixels[: len(labels.names)], int(pixels[VOID])
    frequency = (present / max(views["classes"], 1)).tolist()
    shares = (counts / max(int(counts.sum()), 1)).tolist()
    return {
        "name": dataset.name,
        "source": dataset.source,
        "split": dataset.split,
        "scenes": len(dataset),
        "views": views,
        "weak": dataset.weak,
        "size": dataset.schema.size,
        "labels": labels.names,
        "background": labels.background is not None,
        "frequency": dict(zip(labels.classes, frequency, strict=True)),
        "pixels": dict(zip(labels.names, shares, strict=True)),
        "void": void / max(int(pixels.sum()), 1),
    }


def _masked(source: str, download: bool) -> tuple[str, ...]:
    """List the splits that have scenes with masks."""
    if (kind := _own(source)) is not None:
        return kind.splits
    folder = _folder(source, download)
    if (index := _index(folder)) is None:
        return splits(folder, masked=True)
    masked = (s for s, images in index.by_split.items() if any(i.drawing for i in images))
    return tuple(masked)


def _own(source: str) -> type[SceneDataset] | None:
    """Load a dataset of one's own; None if the source names none."""
    if foreign_file(source) is None:
        return None
    kind = load(source, {}, "dataset")
    if not (isinstance(kind, type) and issubclass(kind, SceneDataset)):
        raise ValueError(
            f"{source} is not a SceneDataset; subclass scene.datasets.base.SceneDataset."
        )
    return kind


def _opened(
    kind: type[SceneDataset], source: str, split: str, size: tuple[int, int], count: int | None
) -> SceneDataset:
    """Make a dataset of one's own, as ``Name(split, size, count)``."""
    if split not in kind.splits:
        raise LookupError(unknown(split, kind.splits, f"split of {source}") + ".")
    try:
        inspect.signature(kind).bind(split, size, count)
    except TypeError as error:
        raise ValueError(
            f"{source} cannot be opened as {kind.__name__}(split, size, count): {error}."
        ) from error
    dataset = kind(split, size, count)  # type: ignore[call-arg]
    if not isinstance(getattr(dataset, "schema", None), Schema):
        raise ValueError(f"{source} sets no schema; set self.schema = Schema(labels, size).")
    path, _, name = source.rpartition(":")
    dataset.split, dataset.source = split, f"{Path(path).absolute()}:{name}"
    dataset.name = getattr(dataset, "name", name)
    return dataset


def _folder(source: str, download: bool) -> Path:
    """Return the folder or the file of labels of a source; PASCAL VOC may be downloaded."""
    if source == "voc2012":
        return _voc2012(download)
    folder = expanded(source)
    if folder.is_dir() or (folder.is_file() and folder.suffix.lower() in LABEL_SUFFIXES):
        return folder.absolute()
    if folder.is_file():
        packed = folder.suffix.lower() in ARCHIVES
        advice = f"unpack it first, and give the folder {folder.with_suffix('').name!r}"
        raise ValueError(
            f"{source} is an archive; {advice}." if packed
            else f"{source} is a file; give the folder in VOC layout that it is in, or labels as "
            ".csv, .tsv or COCO's .json, or annotations of CVAT, Label Studio or labelme."
        )  # fmt: skip
    near = get_close_matches(source.lower(), _WORDS, n=1, cutoff=0.7)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise FileNotFoundError(
        f"There is no data at {source!r}.{hint} Give synthetic, synthetic:confounded, "
        "synthetic:ambiguous, voc2012, the path of a folder in VOC layout or with a folder per "
        "class, a .csv of labels, or your own: path/file.py:Name."
    )


def _index(path: Path) -> ImageIndex | None:
    """Read the image-level labels of a path; None if the folder is in VOC layout.

    Raises:
        FileNotFoundError: If a folder is in no layout, but nearly has image-level labels.
    """
    if path.is_dir() and is_located(path):
        return None
    index = read_image_labels(path)
    if index is None and (hint := image_label_hint(path)):
        raise FileNotFoundError(f"{path} is no dataset; {hint}")
    return index


def _voc2012(download: bool) -> Path:
    """Return the folder of PASCAL VOC 2012, downloaded whole or not at all."""
    if named := os.environ.get("SCENE_DATA_HOME"):
        home = expanded(named)
    elif (cache := cache_folder()) is not None:
        home = cache / "scene"
    else:
        raise LookupError(
            "PASCAL VOC 2012 is kept in your home, but you have none here; let SCENE_DATA_HOME "
            "name another folder, or give the path of a copy."
        )
    folder = home / "VOCdevkit" / "VOC2012"
    if folder.is_dir():
        return folder
    if not download:
        raise LookupError(
            f"PASCAL VOC 2012 is not at {folder}; add --download to fetch it (2 GB), or give the "
            "path of a copy."
        )
    from torchvision.datasets import VOCSegmentation

    with scratch(folder) as partial:
        try:
            VOCSegmentation(partial, year="2012", image_set="train", download=True)
        except (OSError, RuntimeError) as error:
            raise OSError(
                f"PASCAL VOC 2012 could not be fetched ({error}); try again later, or give the "
                "path of a copy."
            ) from error
        (partial / "VOCdevkit" / "VOC2012").replace(folder)
    return folder
