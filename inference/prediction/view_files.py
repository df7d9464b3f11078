"""Folders of raw views: what a call drew, each view as a file, in place of an earlier call's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from scene.images.io import write_grey, write_image, write_mask
from scene.labels import Labels
from scene.storage.locks import scratch

_OURS = re.compile(r"([0-9]{3,}|mean)_(image|mask)\.png|entropy\.png|classes\.json")
"""What the files of such a folder are called."""


def claim_views(out: Path, force: bool) -> None:
    """Refuse a folder that views may not be written to.

    Raises:
        FileExistsError: If it is there and ``force`` does not allow replacing what it holds.
    """
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"{out} is a file; --out names a folder.")
    if out.exists() and not force:
        raise FileExistsError(f"{out} exists; choose another, or --force to replace it.")


def write_views(
    out: Path, samples: Mapping[str, Tensor], labels: Labels, means: Mapping[str, Tensor]
) -> int:
    """Write views beside ``out``, then put them there in place of those of an earlier call.

    Args:
        out: The folder.
        samples: Images ``(N, 3, H, W)``, class probabilities ``(N, C)``, masks ``(N, H, W)``.
        labels: The vocabulary.
        means: What the samples come to: ``image`` ``(3, H, W)``, ``mask`` ``(H, W)``, and
            ``entropy`` ``(H, W)`` in [0, 1]; whichever there are.

    Returns:
        How many files.

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
        written = list(part.iterdir())
        for new in written:
            new.replace(out / new.name)
    return len(written)


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
