"""Where results go: arrays, one picture, or a folder of files for each view of each scene."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from scene.images.io import write_grey, write_image, write_mask
from scene.labels import Labels
from scene.storage.locks import scratch
from scene.storage.outputs import is_png_path, require_free_views


def as_arrays(views: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Turn views into arrays; what leads the dimensions of one view stays.

    Args:
        views: ``image`` ``(…, 3, H, W)``, ``classes`` ``(…, C)``, ``mask`` ``(…, H, W)`` of label
            ids, ``entropy`` ``(…, H, W)``: whichever there are.

    Returns:
        ``image`` ``(…, H, W, 3)``, ``mask`` uint8, the others unchanged.

    >>> as_arrays({"image": torch.zeros(2, 3, 4, 5)})["image"].shape
    (2, 4, 5, 3)
    """
    arrays = {}
    for name, view in views.items():
        tensor = view.detach().cpu()
        if name == "image":
            tensor = tensor.movedim(-3, -1)
        arrays[name] = (tensor.to(torch.uint8) if name == "mask" else tensor).numpy()
    return arrays


Draw = Callable[[Path], None]
"""Draws a picture and writes it to a path."""

_OURS = re.compile(r"([0-9]{3,}|mean)_(image|mask)\.png|entropy\.png|classes\.json")
"""The names of the files in such a folder."""


def save_views(
    path: str | Path,
    views: Mapping[str, Tensor],
    labels: Labels,
    means: Mapping[str, Tensor] | None = None,
    *,
    draw: Draw,
    force: bool = False,
) -> list[Path]:
    """Write a picture (``.png``) or a folder of views; the suffix says which.

    Args:
        path: Where to.
        views: As `write_views` takes them.
        labels: The vocabulary.
        means: As `write_views` takes them.
        draw: Draws the picture.
        force: Replace what is there.

    Returns:
        The files that were written.

    Raises:
        FileExistsError: If it is there and ``force`` does not allow replacing it.
    """
    place = Path(path)
    require_free_views(place, force)
    if is_png_path(place):
        draw(place)
        return [place]
    return write_views(place, views, labels, means or {})


def write_views(
    out: Path, samples: Mapping[str, Tensor], labels: Labels, means: Mapping[str, Tensor]
) -> list[Path]:
    """Write views beside ``out``, then put them there in place of those of an earlier call.

    Args:
        out: The folder.
        samples: Images ``(N, 3, H, W)``, class probabilities ``(N, C)``, masks ``(N, H, W)``.
        labels: The vocabulary.
        means: The average of the samples: ``image`` ``(3, H, W)``, ``mask`` ``(H, W)``, and
            ``entropy`` ``(H, W)`` in [0, 1]; whichever there are.

    Returns:
        The files, in order.

    Raises:
        BlockingIOError: If another process is writing to ``out``.
    """
    with scratch(out) as part:
        _write_samples(part, samples, labels)
        _write_means(part, means, labels)
        out.mkdir(exist_ok=True)
        for old in out.iterdir():
            if _OURS.fullmatch(old.name):
                old.unlink()
        written = sorted(part.iterdir())
        for new in written:
            new.replace(out / new.name)
    return [out / new.name for new in written]


def png_of(draw: Draw) -> bytes:
    """Return the bytes of a picture, as notebooks show them."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        draw(path)
        return path.read_bytes()


def _write_samples(out: Path, samples: Mapping[str, Tensor], labels: Labels) -> None:
    count = len(next(iter(samples.values())))
    for i in range(count):
        if "image" in samples:
            write_image(out / f"{i:03}_image.png", samples["image"][i])
        if "mask" in samples:
            write_mask(out / f"{i:03}_mask.png", samples["mask"][i], labels)
    if "classes" in samples:
        listed = [dict(zip(labels.classes, v.tolist(), strict=True)) for v in samples["classes"]]
        (out / "classes.json").write_text(json.dumps(listed, indent=2) + "\n")


def _write_means(out: Path, means: Mapping[str, Tensor], labels: Labels) -> None:
    if "image" in means:
        write_image(out / "mean_image.png", means["image"])
    if "mask" in means:
        write_mask(out / "mean_mask.png", means["mask"], labels)
    if "entropy" in means:
        write_grey(out / "entropy.png", means["entropy"])
