"""Files of tensors: named tensors and JSON about them, as safetensors, never a pickle.

Each carries a digest of all that it holds, so that one that was damaged or changed is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from scene.storage.files import replace_file

Tensors = dict[str, Tensor]

_ABOUT, _DIGEST = "scene", "digest"


class TensorFile(NamedTuple):
    """What a file of tensors holds.

    Attributes:
        tensors: Tensors by name.
        about: What it says of them.
        digest: The digest of both.
    """

    tensors: Tensors
    about: dict[str, Any]
    digest: str


def write_tensors(path: Path, tensors: Tensors, about: dict[str, Any]) -> None:
    """Write tensors and JSON about them, whole or not at all."""
    stored = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({**about, _DIGEST: digest_of(stored, about)})
    content = save(stored, metadata={_ABOUT: text})  # one entry: the order of several is random
    replace_file(path, lambda part: part.write_bytes(content))


def read_tensors(path: Path, recipe: str | None = None) -> TensorFile:
    """Read a file and check its digest.

    Args:
        path: The file.
        recipe: Refuse a file written for another recipe; None = any will do.

    Raises:
        LookupError: If there is no such file.
        ValueError: If it is truncated or changed, or of another recipe.
    """
    if not path.is_file():
        raise LookupError(
            f"There is no {path.name} in {path.parent}: the training stopped "
            "before it was saved. Continue it with `scene train --resume "
            f"{path.parent}`."
        )
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            about = _metadata(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} is truncated or damaged; copy it again, or train again."
        ) from error
    if recipe is not None and about.get("recipe") != recipe:
        raise ValueError(f"{path} holds weights of {about.get('recipe')!r}, not of {recipe!r}.")
    digest = about.pop(_DIGEST, None)
    if digest != digest_of(tensors, about):
        raise ValueError(
            f"{path} does not hold what was written to it; copy it again, or train again."
        )
    return TensorFile(tensors, about, str(digest))


def halved(tensors: Tensors) -> Tensors:
    """Return tensors with matrices and kernels in 16 bits, and vectors as they are.

    Raises:
        ValueError: If a number is too large for 16 bits.
    """
    shortened = {
        name: tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor
        for name, tensor in tensors.items()
    }
    for name, tensor in shortened.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"{name} has a number too large for 16 bits; keep all 32.")
    return shortened


def digest_of(tensors: Tensors, about: Mapping[str, Any]) -> str:
    """Return a digest of tensors, their names, and what is said of them."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _metadata(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Read what a file says of itself; nothing, if it does not say it as ours do."""
    try:
        about = json.loads(metadata.get(_ABOUT, ""))
    except (ValueError, RecursionError):
        about = {}
    return about if isinstance(about, dict) else {}
