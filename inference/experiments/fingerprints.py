"""Fingerprints: how a result that was kept knows what it was made from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from scene.datasets.base import SceneDataset
from scene.datasets.folders.voc import VOCScenes
from scene.storage.files import require_regular


def digest(*parts: Any) -> str:
    """Hash plain data whose `repr` says it all.

    >>> digest(1, "a") == digest(1, "a"), digest(1, "a") == digest("1", "a")
    (True, False)
    """
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def fingerprint(dataset: SceneDataset, rows: Sequence[int]) -> str:
    """Hash the pictures and masks of some scenes, and the dataset's labels, split and size.

    Of a folder the files' bytes are read, which decodes nothing; of other datasets every scene.
    """
    found = hashlib.blake2b(digest(dataset.split, dataset.schema).encode())
    if isinstance(dataset, VOCScenes):
        for entry in map(dataset.entries.__getitem__, rows):
            kept = (entry.name, entry.image.suffix, *(("unturned",) if entry.unturned else ()))
            found.update(repr(kept).encode())
            for path in (entry.image, entry.mask):
                if path is not None:
                    require_regular(path)
                    with path.open("rb") as file:
                        found.update(hashlib.file_digest(file, hashlib.blake2b).digest())
    else:
        for scene in map(dataset.original, rows):
            for view in (scene.image, scene.mask):
                if view is not None:
                    found.update(view.contiguous().numpy().tobytes())
    return found.hexdigest()[:32]
