"""Arrays of probabilities on disk, opened without trusting what is in them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np


def read_probs(path: Path) -> np.ndarray:
    """Open a file of probabilities without reading its numbers yet, where that can be.

    Args:
        path: ``.npy``, or ``.npz`` with one array, or one called ``probs``.

    Returns:
        ``(L, H, W)``, not checked; of an ``.npy`` file, pages are read as they are used.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no array of numbers with three axes.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no array {path}; save (L, H, W) with numpy.save.")
    try:
        found: Any = np.load(path, mmap_mode="c", allow_pickle=False)
        if isinstance(found, np.lib.npyio.NpzFile):
            with found:
                names = found.files
                name = "probs" if "probs" in names else names[0]
                if len(names) != 1 and name != "probs":
                    raise ValueError(f"{path} holds {', '.join(names)}; call one of them probs.")
                found = found[name]
    except (OSError, EOFError, IndexError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a NumPy file, or is damaged; save it again.") from error
    except ValueError as error:
        if str(error).startswith(str(path)):
            raise
        raise ValueError(
            f"{path} cannot be read as numbers; save one array (L, H, W) with numpy.save."
        ) from error
    if found.ndim != 3 or found.dtype.kind not in "fiu":
        shape = "×".join(map(str, found.shape)) or "a number"
        raise ValueError(f"{path} is {shape} of {found.dtype}; probabilities are (L, H, W).")
    array: np.ndarray = found
    return array
