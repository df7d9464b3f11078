"""Augmentation of training scenes: the same transform of all views, from a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from ..labels import Labels
from ..registry import unknown
from ..seeds import seeded
from ..views import Scene

Augmenter = Callable[[Scene, int], Scene]
"""Returns an augmented scene; the same scene and seed give the same result."""


def augmenter(kind: str, labels: Labels) -> Augmenter:
    """Return an augmentation by name.

    ``none`` changes nothing; ``flip`` mirrors left and right with probability 1/2; ``crop`` also
    crops 60 to 100 % of the area at about the same aspect and jitters colours mildly. The class
    vector of a scene with a mask is computed from the augmented mask. A scene without a mask, or
    with a weak mask but true classes, keeps its class vector, even if the crop removed a class.
    The global random state is not changed.

    Args:
        kind: ``none``, ``flip`` or ``crop``.
        labels: The vocabulary of the masks.

    Raises:
        LookupError: If no augmentation is called ``kind``.
    """
    kinds: dict[str, Augmenter] = {
        "none": lambda scene, seed: scene,
        "flip": _flip,
        "crop": lambda scene, seed: _crop(scene, seed, labels),
    }
    if kind not in kinds:
        raise LookupError(unknown(kind, kinds, "augmentation") + ".")
    return kinds[kind]


def _flip(scene: Scene, seed: int) -> Scene:
    """Mirror the scene with probability 1/2."""
    generator = torch.Generator().manual_seed(seed)
    return _mirror(scene) if torch.rand((), generator=generator) < 0.5 else scene


def _mirror(scene: Scene) -> Scene:
    """Mirror left and right; the class vector stays as it is."""
    image, mask = scene.image, scene.mask
    return replace(
        scene,
        image=None if image is None else functional.horizontal_flip_image(image),
        mask=None if mask is None else functional.horizontal_flip_mask(mask),
        mirrored=not scene.mirrored,
    )


def _crop(scene: Scene, seed: int, labels: Labels) -> Scene:
    """Flip, crop and resize a random part, and jitter the colours."""
    view = scene.image if scene.image is not None else scene.mask
    if view is None:
        return scene
    height, width = view.shape[-2:]
    aspect = (0.8 * width / height, 1.25 * width / height)
    zoom = v2.RandomResizedCrop((height, width), scale=(0.6, 1.0), ratio=aspect)
    jitter = v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02)
    with seeded(seed):
        scene = _mirror(scene) if torch.rand(()) < 0.5 else scene
        part = zoom.make_params([view])
        image, mask = scene.image, scene.mask
        if image is not None:
            image = functional.resized_crop(image, **part, size=[height, width])
            image = jitter(tv_tensors.Image(image)).as_subclass(Tensor)
    if mask is None:
        return replace(scene, image=image)
    exact = v2.InterpolationMode.NEAREST_EXACT  # plain NEAREST would shift it by half a pixel
    (mask,) = functional.resized_crop(
        mask[None], **part, size=[height, width], interpolation=exact
    )
    if scene.weak == ("mask",):
        return replace(scene, image=image, mask=mask)
    return replace(scene, image=image, mask=mask, classes=labels.vector(mask))
