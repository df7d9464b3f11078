"""Class maps that spread over what looks alike: a random walk on a network's feature maps.

Class maps are high on the parts of an object that tell its class, such as a head, and low on the
rest. The features of a pretrained network are alike all over an object. So one step of a random
walk, from each cell to cells in proportion to how alike their features are, carries the map on to
the rest.

Source:
    Ahn & Kwak (2018), Learning Pixel-level Semantic Affinity with Image-level Supervision
    (the walk), https://arxiv.org/abs/1803.10464; Wang et al. (2020), Self-supervised Equivariant
    Attention Mechanism (affinities that are cosines, rectified), https://arxiv.org/abs/2004.04581
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from scene.networks.feature_maps import Classifier

from .gradcam import normalised, resized

CELLS = 50
"""The most rows or columns of the grid on which maps spread; affinities take CELLS⁴ numbers."""


def spread(maps: Tensor, features: Tensor, exponent: float = 2.0) -> Tensor:
    """Let class maps spread over cells whose features are alike.

    A cell's new value is the mean of all cells' values, weighted by max(0, cos(f_i, f_j)) to the
    exponent. A map's least value, which it has where nothing looks like the class, becomes 0.

    Args:
        maps: ``(B, C, h, w)``, zero or more, of any scale.
        features: ``(B, K, h', w')``, resized to the grid of the maps.
        exponent: The larger it is, the more alike cells must be.

    Returns:
        ``(B, C, h, w)`` in [0, 1], the maximum of each map being 1, or 0 where the map is 0; on a
        coarser grid if that has more than `CELLS` rows or columns.

    >>> import torch
    >>> maps = torch.tensor([[[[1.0, 0.0, 0.0]]]])
    >>> features = torch.tensor([[[[1.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]]]])  # two alike, one not
    >>> spread(maps, features).flatten()
    tensor([1., 1., 0.])
    """
    scale = min(1.0, CELLS / max(maps.shape[-2:]))
    grid = (max(1, int(scale * maps.shape[-2])), max(1, int(scale * maps.shape[-1])))
    maps, features = normalised(resized(maps, grid)), resized(features, grid)
    cells = F.normalize(features.flatten(2).to(maps.dtype), dim=1)
    affinities = (cells.transpose(1, 2) @ cells).relu() ** exponent
    walk = affinities / affinities.sum(-1, keepdim=True).clamp(min=1e-12)
    spread_maps = maps.flatten(2) @ walk.transpose(1, 2)
    least, most = spread_maps.amin(-1, keepdim=True), spread_maps.amax(-1, keepdim=True)
    least = torch.where(least < most, least, 0)  # where all cells are alike, all have the class
    return normalised((spread_maps - least).unflatten(-1, grid))


def cell_features(net: Classifier, images: Tensor, flip: bool = False) -> Tensor:
    """Return the features that tell cells apart: those of the last stage that does not learn.

    A network that learned as a whole gives those of its class maps.

    Args:
        net: The classifier, in evaluation mode.
        images: ``(B, 3, H, W)`` in [0, 1].
        flip: Average them with those of the mirrored images.

    Returns:
        ``(B, K, h, w)``.
    """
    frozen = 0 if net.frozen is None else len(net.frozen)
    layer = net.layers[frozen - 1] if frozen else None
    features = net.maps(images, layer)
    return (features + net.maps(images.flip(-1), layer).flip(-1)) / 2 if flip else features
