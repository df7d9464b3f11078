"""Views as NumPy arrays: channels last, as plotting libraries take them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


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
