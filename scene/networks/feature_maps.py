"""Image classifiers whose feature maps can be read at any layer, as Grad-CAM needs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..registry import unknown
from .backbones import DEVIATION, MEAN
from .memory import remembered


class Classifier(nn.Module):
    """A sequence of stages, then a head: log odds of each class, and feature maps by layer.

    Each stage is a layer with a name; its feature maps are the output of its last ReLU.
    ``head(maps(images, layer), layer)`` equals ``forward(images)`` for every layer.

    Args:
        stages: The convolutions, from the image on, by the names of layers.
        judge: Pooling and linear layers, from the last stage's maps to logits.
        layer: The default layer of `maps` and `head`.
        mean: Channel means that are subtracted from images, which are in [0, 1].
        deviation: Channel standard deviations that they are divided by.

    Shape:
        ``(B, 3, H, W)`` in [0, 1] to log odds ``(B, C)``.
    """

    mean: Tensor
    deviation: Tensor
    frozen: nn.Sequential | None

    def __init__(
        self,
        stages: OrderedDict[str, nn.Module],
        judge: nn.Sequential,
        layer: str,
        mean: tuple[float, ...] = MEAN,
        deviation: tuple[float, ...] = DEVIATION,
    ) -> None:
        super().__init__()
        self.stages, self.judge, self.layer = nn.Sequential(stages), judge, layer
        self.frozen = None
        for module in self.modules():
            if getattr(module, "inplace", False) is True:  # feature maps must stay as they are
                setattr(module, "inplace", False)  # noqa: B010 - any activation, so not typed
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(-1, 1, 1), persistent=False)
        self.to(memory_format=torch.channels_last)

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of all stages, from the image on."""
        return tuple(self.stages._modules)

    def forward(self, images: Tensor) -> Tensor:
        """Return the log odds of every class."""
        return self.head(self.maps(images))

    def maps(self, images: Tensor, layer: str | None = None) -> Tensor:
        """Return the feature maps of a layer.

        Args:
            images: ``(B, 3, H, W)`` in [0, 1].
            layer: One of `layers`; None = ``self.layer``.

        Returns:
            ``(B, K, h, w)``.

        Raises:
            LookupError: If there is no such layer.
        """
        at = self._index(layer)
        inputs = (images - self.mean) / self.deviation
        count = 0 if self.frozen is None else len(self.frozen)
        if at + 1 >= count and (front := remembered(self.frozen, inputs)) is not None:
            maps: Tensor = self.stages[count : at + 1](front)
            return maps
        maps = self.stages[: at + 1](inputs)
        return maps

    def several(self, images: Tensor, layers: Sequence[str | None]) -> list[Tensor]:
        """Return the feature maps of several layers, of one pass.

        Args:
            images: ``(B, 3, H, W)`` in [0, 1].
            layers: As `maps` takes them.

        Raises:
            LookupError: If there is no such layer.
        """
        wanted = [self._index(layer) for layer in layers]
        maps = (images - self.mean) / self.deviation
        outputs: dict[int, Tensor] = {}
        for index, stage in enumerate(self.stages[: max(wanted) + 1]):
            outputs[index] = maps = stage(maps)
        return [outputs[index] for index in wanted]

    def pyramid(self, images: Tensor) -> list[Tensor]:
        """Return the maps of stages, finest first, of each resolution those of the last stage.

        Args:
            images: ``(B, 3, H, W)`` in [0, 1].

        Returns:
            Tensors ``(B, K, h, w)``; K differs.
        """
        levels: list[Tensor] = []
        maps = (images - self.mean) / self.deviation
        for stage in self.stages:
            inner = getattr(stage, "levels", None)  # of a network that is one stage
            outputs: list[Tensor] = inner(maps) if inner else [stage(maps)]
            for output in outputs:
                if levels and levels[-1].shape[-2:] == output.shape[-2:]:
                    levels.pop()
                levels.append(output)
            maps = outputs[-1]
        return levels

    def head(self, maps: Tensor, layer: str | None = None) -> Tensor:
        """Return the log odds from a layer's maps: ``(B, K, h, w)`` to ``(B, C)``."""
        logits: Tensor = self.judge(self.after(layer)(maps))
        return logits.float()

    def cells(self, maps: Tensor) -> Tensor:
        """Return the log odds that the head would give each cell of the last layer's maps.

        Args:
            maps: ``(B, K, h, w)``.

        Returns:
            ``(B, C, h, w)``.
        """
        count, _, rows, columns = maps.shape
        each = maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1], 1, 1)
        logits: Tensor = self.judge(each).float()
        return logits.reshape(count, rows, columns, -1).permute(0, 3, 1, 2)

    def after(self, layer: str | None = None) -> nn.Sequential:
        """Return the stages between a layer and the head's pooling."""
        return self.stages[self._index(layer) + 1 :]

    def freeze(self, learning: int) -> None:
        """Let only the last stages and the head learn; the others keep weights and statistics.

        Args:
            learning: How many stages learn.
        """
        count = max(0, len(self.stages) - learning)
        frozen = self.stages[:count].requires_grad_(False)
        object.__setattr__(self, "frozen", frozen)  # no module of its own, or it is saved twice
        self.train(self.training)

    def train(self, mode: bool = True) -> Classifier:
        """Set training mode; where stages are frozen, all batch normalisation stays as it is.

        That of the stages that learn, too: a few hundred images say less of means and variances
        than those that the network was trained on.
        """
        super().train(mode)
        if self.frozen:
            self.frozen.eval()
            for module in self.stages.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def _index(self, layer: str | None) -> int:
        layer = layer or self.layer
        if layer not in self.layers:
            raise LookupError(unknown(layer, self.layers, "layer of this classifier") + ".")
        return self.layers.index(layer)
