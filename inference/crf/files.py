"""Refining files: a photograph, and probabilities or a mask of it; a mask and an overlay out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scene.images.io import read_image, read_mask_of, write_image, write_mask
from scene.images.overlay import overlaid
from scene.labelmap import NUMBERED
from scene.labels import VOID, Labels
from scene.storage.files import replace_file
from scene.storage.outputs import is_png_path, require_free

from .arrays import float_array, read_probs
from .checks import check_image, check_probs
from .limits import MOST_VALUES
from .meanfield import refine, refine_labels
from .parameters import Parameters


@dataclass(frozen=True)
class Refined:
    """What `refine_files` wrote.

    Attributes:
        files: What was written: the mask, the overlay, and the marginals if requested.
        shares: Share of the pixels of each label that is present, largest first.
        changed: How many pixels got another label than they had, or than was most probable.
        pixels: How many there are.
    """

    files: tuple[Path, ...]
    shares: dict[str, float]
    changed: int
    pixels: int


def refine_files(
    photo: Path,
    *,
    probs: Path | None = None,
    mask: Path | None = None,
    labels: Labels | None = None,
    parameters: Parameters | None = None,
    confidence: float = 0.7,
    engine: str = "auto",
    out: Path = Path(),
    save_probs: Path | None = None,
    force: bool = False,
) -> Refined:
    """Refine probabilities or a mask of a photograph, and write a mask and an overlay.

    Everything is worked out before the first file is written, and each file is written whole.

    Args:
        photo: A picture.
        probs: ``.npy`` or ``.npz`` of ``(L, H, W)`` probabilities.
        mask: A palette, greyscale or RGB mask, in place of ``probs``; 255 = unknown.
        labels: Names and colours; if None, labels are numbered, and coloured as VOC's.
        parameters: Parameters of the CRF; None is the defaults.
        confidence: Probability that a label of ``mask`` is right.
        engine: ``auto``, or a key of `inference.crf.engines.ENGINES`, or ``path/file.py:Name``.
        out: Folder of ``<stem>_mask.png`` and ``<stem>_overlay.png``, or ``NAME.png`` for the
            mask, beside which ``NAME_overlay.png`` goes.
        save_probs: Where to write the marginals, float32 ``.npy``; None writes none.
        force: Overwrite files that exist.

    Raises:
        FileExistsError: If an output exists.
        FileNotFoundError: If an input does not exist.
        ValueError: If inputs do not fit each other, or an output would replace an input.
    """
    if (probs is None) == (mask is None):
        raise ValueError("Give --probs p.npy or --labels l.png: one of the two.")
    if save_probs is not None and save_probs.suffix != ".npy":
        raise ValueError(f"Marginals are kept as .npy; call it {save_probs.stem}.npy.")
    targets = (out / f"{photo.stem}_mask.png", out / f"{photo.stem}_overlay.png")
    if is_png_path(out):
        targets = (out, out.with_name(f"{out.stem}_overlay.png"))
    files = targets if save_probs is None else (*targets, save_probs)
    inputs = [path for path in (photo, probs, mask) if path is not None]
    for path in files:
        require_free(path, force, inputs=inputs)
    image = read_image(photo)
    parameters = parameters or Parameters()
    if probs is not None:
        labels, before, marginals = _from_probs(probs, image, labels, parameters, engine)
    else:
        assert mask is not None
        ids = read_mask_of(mask, labels or NUMBERED, photo, alone=True)
        refined = _from_mask(mask, ids, image, labels, parameters, confidence, engine)
        labels, before, marginals = refined
    after = marginals.argmax(0)
    write_mask(targets[0], after, labels)
    write_image(targets[1], overlaid(image, after, labels))
    if save_probs is not None:
        _write_array(save_probs, marginals)
    return Refined(files, _shares(after, labels), int((after != before).sum()), after.numel())


_Refinement = tuple[Labels, Tensor, Tensor]


def _from_probs(
    path: Path, image: Tensor, labels: Labels | None, parameters: Parameters, engine: str
) -> _Refinement:
    """Return the labels, the most probable label of each pixel, and the marginals."""
    pixels = image.permute(1, 2, 0)

    def check(shape: tuple[int, ...]) -> None:
        try:
            check_image(pixels, torch.empty(1, *shape, device="meta"), single=True)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        _require_memory(shape[0], image)

    values = torch.from_numpy(float_array(read_probs(path, check)))
    try:
        check_probs(values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    labels = labels or _numbered(len(values), path)
    if len(values) != len(labels.names):
        raise ValueError(
            f"{path} holds {len(values)} labels, but --data or --labelmap names "
            f"{len(labels.names)}; leave both out, or name the labels that the file was made "
            "with."
        )
    return labels, values.argmax(0), _refined(refine, values, pixels, labels, parameters, engine)


def _from_mask(
    path: Path,
    ids: Tensor,
    image: Tensor,
    labels: Labels | None,
    parameters: Parameters,
    confidence: float,
    engine: str,
) -> _Refinement:
    """Return the labels, the label of each pixel in the mask, and the marginals."""
    pixels = image.permute(1, 2, 0)
    if ids.shape != pixels.shape[:2]:
        (h, w), (tall, wide) = pixels.shape[:2], ids.shape
        turned = (h, w) == (wide, tall)
        advice = "is one of them turned?" if turned else "bring both to one size."
        raise ValueError(f"{path} is {wide}×{tall} but the photo is {w}×{h}; {advice}")
    known = ids[ids != VOID]
    if not known.numel():
        raise ValueError(f"{path} is void (255) everywhere, so there is nothing to refine.")
    if labels is None and known.numel() < ids.numel() and len(known.unique()) == 1:
        raise ValueError(
            f"{path} holds one label, {int(known[0])}, and void (255); if white is a label, give "
            "--labelmap a file with the lines background:0,0,0:: and object:255,255,255::."
        )
    labels = labels or _numbered(int(known.max()) + 1, path)
    _require_memory(len(labels.names), image)
    more = {"count": len(labels.names), "confidence": confidence}
    marginals = _refined(refine_labels, ids, pixels, labels, parameters, engine, **more)
    return labels, ids.long(), marginals


def _refined(
    refine_one: Any,
    values: Tensor,
    pixels: Tensor,
    labels: Labels,
    parameters: Parameters,
    engine: str,
    **more: Any,
) -> Tensor:
    parameters.require(len(labels.names))
    kernels, iterations = parameters.kernels(), parameters.iterations
    marginals: Tensor = refine_one(
        values, pixels, kernels=kernels, iterations=iterations, engine=engine, **more
    )
    return marginals


def _require_memory(count: int, image: Tensor) -> None:
    """Refuse more probabilities than fit memory."""
    height, width = image.shape[-2:]
    if count * height * width > MOST_VALUES:
        raise ValueError(
            f"{count} labels at {width}×{height} are {count * height * width:.1e} probabilities, "
            f"more than the limit of {MOST_VALUES:.1e}; scale down the photograph and its "
            "probabilities or mask."
        )


def _numbered(count: int, path: Path) -> Labels:
    if count > VOID:
        raise ValueError(f"{path} holds {count} labels, but a mask can store at most {VOID}.")
    return Labels(NUMBERED.names[:count])


def _write_array(path: Path, values: Tensor) -> None:
    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.save(file, values.numpy())

    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, write)


def _shares(mask: Tensor, labels: Labels) -> dict[str, float]:
    counts = torch.bincount(mask.flatten(), minlength=len(labels.names)) / mask.numel()
    present = {n: float(s) for n, s in zip(labels.names, counts, strict=True) if s}
    return dict(sorted(present.items(), key=lambda pair: -pair[1]))
