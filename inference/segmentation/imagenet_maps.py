"""Class maps of ImageNet's own classes, for labels that have their names.

A pretrained classifier knows 118 kinds of dogs, and its maps of the kind it sees fit dogs in
general better than those of a new layer that learned "dog" from a few hundred photographs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from scene.datasets.imagenet import groups_of
from scene.discriminative import ClassifiedScene
from scene.labels import Labels
from scene.networks.classifiers import CLASSIFIERS
from scene.networks.feature_maps import Classifier
from scene.networks.trunks import make_trunk

from .gradcam import normalised, resized, weights


def group_weights(alpha: Tensor, logits: Tensor, groups: Sequence[Sequence[int]]) -> Tensor:
    """Weigh maps for groups of classes: the gradient of the logarithm of a group's probability.

    A group's weights are the mean of those of its classes, by their probabilities within it.

    Args:
        alpha: The weights of every class, ``(B, 1000, K)``, see
            `inference.segmentation.gradcam.weights`.
        logits: ``(B, 1000)``.
        groups: G groups of indices.

    Returns:
        ``(B, G, K)``.
    """
    rows = [logits[:, list(own)].softmax(1)[:, None] @ alpha[:, list(own)] for own in groups]
    return torch.cat(rows, dim=1)


SCENERY = ("mountain", "water")
"""Groups of ImageNet's classes that are what objects stand in, and no objects."""


def with_imagenet(
    maps: Tensor,
    model: ClassifiedScene,
    images: Tensor,
    flip: bool = False,
    scenery: float = 0.0,
) -> Tensor:
    """Average class maps with those of ImageNet's classes of the same names.

    Where a class comes with its scenery, as boats with water, a classifier's maps cover both.
    ImageNet knows classes of scenery; in each cell, a map is multiplied by the probability of its
    own classes against these.

    Args:
        maps: A classifier's, ``(B, C, h, w)``, zero or more.
        model: The classifier; its backbone's first weights are those of ImageNet.
        images: ``(B, 3, H, W)`` in [0, 1].
        flip: Average ImageNet's maps with those of the mirrored images.
        scenery: What the log odds against `SCENERY` are multiplied by; 0 = they are not used.

    Returns:
        ``(B, C, h, w)``; maps are divided by their maxima before they are averaged. Nothing else
        changes in maps of labels that no class of ImageNet has the name of, or of a classifier
        that did not start from it.

    Raises:
        LookupError: If the weights are not there any more.
    """
    named = groups_of_labels(model.labels)
    maps = normalised(maps)
    if not named or not starts_from_imagenet(model):
        return maps
    net = _imagenet_net(model, images.device)
    views = [images, images.flip(-1)] if flip else [images]
    with torch.no_grad():
        seen = [net.maps(view) for view in views]
        logits = torch.stack([net.head(view) for view in seen]).mean(0)
        groups = list(named.values())
        each = []
        for view in seen:
            rows = group_weights(weights(net, view), logits, groups)
            each.append(torch.einsum("bgk,bkhw->bghw", rows, view).relu().float())
    if flip:
        each[1] = each[1].flip(-1)
    grid = (maps.shape[-2], maps.shape[-1])
    theirs = normalised(resized(torch.stack(each).mean(0), grid)).to(maps.device)
    mixed = maps.clone()
    mixed[:, list(named)] = (maps[:, list(named)] + theirs) / 2
    places = [group for group in SCENERY if group not in model.labels.names]
    if scenery and places:
        cells = torch.stack([net.cells(view) for view in seen])
        if flip:
            cells[1] = cells[1].flip(-1)
        odds = odds_against(cells.mean(0), groups, groups_of(places).indices)
        shares = resized((scenery * odds).sigmoid(), grid).to(maps.device)
        mixed[:, list(named)] *= shares
    return mixed


def odds_against(
    logits: Tensor, groups: Sequence[Sequence[int]], others: Sequence[Sequence[int]]
) -> Tensor:
    """Return the log odds of groups of classes against other groups together, in each cell.

    Args:
        logits: ``(B, 1000, h, w)``.
        groups: G groups of indices.
        others: Groups of indices.

    Returns:
        ``(B, G, h, w)``, in nats.
    """
    rest = [index for own in others for index in own]
    against = logits[:, rest].logsumexp(1, keepdim=True)
    return torch.stack([logits[:, list(own)].logsumexp(1) for own in groups], dim=1) - against


def groups_of_labels(labels: Labels) -> dict[int, tuple[int, ...]]:
    """Return the classes of ImageNet by the positions of classes that have their names.

    People are left out: of them ImageNet has a ballplayer, a groom and a diver, whose maps are of
    what they wear.

    >>> groups_of_labels(Labels(("background", "person", "cat")))
    {1: (281, 282, 283, 284, 285)}
    """
    named: dict[int, tuple[int, ...]] = {}
    for position, name in enumerate(labels.classes):
        try:
            (own,) = groups_of([name]).indices
        except LookupError:
            continue
        if own != groups_of(["person"]).indices[0]:
            named[position] = own
    return named


def starts_from_imagenet(model: ClassifiedScene) -> bool:
    """Return whether a classifier's backbone had weights that know ImageNet's classes."""
    return model.first_weights in ("imagenet", "package") and model.backbone not in CLASSIFIERS


def _imagenet_net(model: ClassifiedScene, device: torch.device) -> Classifier:
    try:
        learning = len(model.net.stages) - len(model.net.frozen or ())
        return _made(model.backbone, model.stride, learning, str(device))
    except (LookupError, ValueError) as error:
        raise LookupError(
            f"{error} Or leave the maps of ImageNet's classes out: --no-imagenet-maps."
        ) from error


@lru_cache(maxsize=1)
def _made(backbone: str, stride: int, learning: int, device: str) -> Classifier:
    """Make the network as it was before it learned; frozen stages are shared in a memory."""
    net = make_trunk(backbone, None, "imagenet", stride).requires_grad_(False).eval().to(device)
    net.freeze(learning)
    return net
