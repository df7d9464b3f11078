"""The cache of experiments: results on disk, each with the digest of what it was computed from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scene.datasets.base import SceneDataset
from scene.datasets.folders.scenes import FolderScenes
from scene.storage.files import read_json, require_regular

from ..runs.run import WEIGHTS, Run, write_json


def digest(*parts: Any) -> str:
    """Return the hash, 32 hexadecimal digits, of plain data with a complete `repr`.

    >>> digest(1, "a") == digest(1, "a"), digest(1, "a") == digest("1", "a")
    (True, False)
    """
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def weights_digest(run: Run) -> str:
    """Return the digest of a run's weights; of a run without weights, that of no bytes."""
    path = run.path(WEIGHTS)
    return hashlib.blake2b(path.read_bytes() if path.is_file() else b"").hexdigest()[:32]


def dataset_digest(dataset: SceneDataset, rows: Sequence[int]) -> str:
    """Return the digest of some scenes' images and masks, and of the labels, split and size.

    Of a folder the bytes of the files are hashed, which decodes nothing, and the masks of
    drawings; of other datasets the pixels of every scene.
    """
    state = hashlib.blake2b(digest(dataset.split, dataset.schema).encode())
    if isinstance(dataset, FolderScenes):
        for row in rows:
            entry = dataset.entries[row]
            names = (entry.name, entry.image.suffix, *(("unturned",) if entry.unturned else ()))
            state.update(repr(names).encode())
            for path in (entry.image, entry.mask):
                if isinstance(path, Path):
                    require_regular(path)
                    with path.open("rb") as file:
                        state.update(hashlib.file_digest(file, hashlib.blake2b).digest())
                elif path is not None:
                    mask = path.mask_of(entry.image, dataset.schema.labels, entry.name)
                    state.update(mask.numpy().tobytes())
    else:
        for scene in map(dataset.original, rows):
            for view in (scene.image, scene.mask):
                if view is not None:
                    state.update(view.contiguous().numpy().tobytes())
    return state.hexdigest()[:32]


def read_result(path: Path, key: str) -> Any:
    """Return the result at ``path``, as plain data, if its key is ``key``.

    Args:
        path: A file of `write_result`.
        key: The digest of everything that the result depends on.

    Returns:
        The result; None if there is none, the file is damaged, or its key is another.
    """
    try:
        entry = read_json(path)
    except (OSError, ValueError):
        return None
    return entry.get("result") if isinstance(entry, dict) and entry.get("key") == key else None


def write_result(path: Path, key: str, result: Any) -> Any:
    """Write a result and its key, whole or not at all; missing folders are made.

    Args:
        path: Where to; a file that is there is replaced.
        key: The digest of everything that the result depends on.
        result: Plain data for JSON.

    Returns:
        The result as `read_result` returns it, with lists for tuples.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"key": key, "result": result})
    return read_result(path, key)
