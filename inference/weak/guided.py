"""Guided Grad-CAM: which pixels spoke for a class, within the place where it was seen.

Source:
    Selvaraju et al. (2017), Grad-CAM, section 3.2, https://arxiv.org/abs/1610.02391; guided
    backpropagation: Springenberg et al. (2015), https://arxiv.org/abs/1412.6806
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from scene.classifiers import Classifier

from .gradcam import cams, looking, resized


def guided_cams(model: Classifier, images: Tensor, layer: str | None = None) -> Tensor:
    """Map every class at every value of every image.

    Args:
        model: The classifier; it is looked at in evaluation mode.
        images: ``(B, 3, H, W)`` in [0, 1].
        layer: The layer of the class maps; by default the one usually looked at.

    Returns:
        ``(B, C, 3, H, W)``, of either sign: the guided gradient times the class map.
    """
    maps = resized(cams(model, images, layer), (images.shape[-2], images.shape[-1]))
    return guided_gradients(model, images) * maps[:, :, None]


def guided_gradients(model: Classifier, images: Tensor) -> Tensor:
    """Give the gradient of each class by the image, where ReLUs let only positive ones back.

    Returns:
        ``(B, C, 3, H, W)``.
    """
    with looking(model), _only_positive(model), torch.enable_grad():
        seen = images.detach().requires_grad_()
        logits = model(seen)
        found = [
            torch.autograd.grad(logits[:, c].sum(), seen, retain_graph=True)[0]
            for c in range(logits.shape[1])
        ]
    return torch.stack(found, dim=1)


@contextmanager
def _only_positive(model: nn.Module) -> Iterator[None]:
    """Let every ReLU hand back only what is positive, for a while."""

    def keep(module: nn.Module, into: Any, out: Any) -> Any:
        return tuple(gradient.clamp(min=0) for gradient in into)

    relus = [module for module in model.modules() if isinstance(module, nn.ReLU)]
    hooks = [relu.register_full_backward_hook(keep) for relu in relus]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
