"""The exact engine: mean field with every pair of pixels, as dense attention."""

from __future__ import annotations

import torch
from torch import Tensor

from inference.crf.engines import Filter, TorchEngine


class Exact(TorchEngine):
    """Multiply by K itself, and hold it: O(N²) memory. The oracle of all other engines.

    Gradients flow to kernel widths too.
    """

    def raw(self, features: Tensor) -> Filter:
        """Write K down, ``(B, N, N)``."""
        centred = (features - features.mean(-1, keepdim=True)).transpose(1, 2)
        squared = torch.cdist(centred, centred, compute_mode="donot_use_mm_for_euclid_dist")
        matrix = torch.exp(-0.5 * squared.square())
        return lambda values: values @ matrix
