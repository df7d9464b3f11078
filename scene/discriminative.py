"""Discriminative models, which have no z: p(mask | image) and p(classes | image)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from .likelihoods import ClassVector, LabelMap
from .models import Likelihood, SceneModel
from .networks.backbones import Weights, require_size_for, require_small
from .networks.classifiers import make_classifier
from .networks.segmentation import LargeFOV, SmallFCN, TrunkFCN, TrunkUNet, UNet
from .sizes import STOCK_WIDTH
from .views import Schema, Views

FLOOR = 1e-5
"""The least probability of a label at a pixel."""


class SegmentedScene(SceneModel):
    """p(mask | image) by a U-Net: the supervised baseline.

    Args:
        schema: Labels and image size.
        width: Channels of the U-Net at full resolution.
        backbone: The encoder of the U-Net: ``small``, its own, or any other classifier of
            `scene.networks.classifiers.make_classifier`.
        weights: Weights of any other: ``none``, ``imagenet``, ``package`` or a path.
        stride: Of its last maps in the image that it reads: 8, 16 or 32 pixels.
        tuned_stages: How many of its last stages learn beside the decoder; None = all.

    Raises:
        LookupError: If there is no such backbone, or there are no such weights.
        ValueError: If ``small`` is to have weights or tuned stages, or another backbone cannot
            have that stride.
    """

    views = ("mask",)
    conditions = ("image",)

    def __init__(
        self,
        schema: Schema,
        width: int = STOCK_WIDTH,
        backbone: str = "small",
        weights: Weights = "none",
        stride: int = 16,
        tuned_stages: int | None = None,
    ) -> None:
        super().__init__()
        labels = len(schema.labels.names)
        self.net: UNet | TrunkUNet
        if backbone != "small":
            choices = (backbone, weights, stride, tuned_stages)
            self.net = TrunkUNet(labels, schema.size, width, *choices)
            return
        require_small(weights, tuned_stages)
        self.net = UNet(3, labels, width, halvings=4 if min(schema.size) >= 32 else 3)

    def decode(
        self, z: Tensor | None, views: Views | None, names: Iterable[str]
    ) -> dict[str, Likelihood]:
        """Return p(mask | image), if it is named."""
        assert views is not None
        return {"mask": LabelMap(self.net(views["image"]))} if "mask" in names else {}

    def features(self, image: Tensor) -> Tensor:
        """Describe images ``(B, 3, H, W)`` in [0, 1]: means of the encoder's maps, ``(B, F)``.

        All resolutions count: the finest see colours and textures, the coarsest whole objects.
        """
        maps = self.net.encoder_maps(image)
        return torch.cat([each.float().mean((-2, -1)) for each in maps], dim=1)


class ClassifiedScene(SceneModel):
    """p(classes | image): a multi-label classifier, learned from image-level labels alone.

    Args:
        schema: Labels and image size.
        width: Channels of the first stage of the small backbone.
        backbone: One of `scene.networks.classifiers.CLASSIFIERS`, or a network of timm or
            torchvision.
        weights: Weights of the backbone: ``none``, ``imagenet``, ``package`` or a path.
        threshold: The probability above which a class counts as present.
        stride: Of the last maps, in pixels: 8, 16 or 32; 32 leaves ``resnet50`` as published.
        tuned_stages: How many of the last stages learn beside the head; None = all.

    Attributes:
        first_weights: The weights that the backbone began with, as ``weights``.
    """

    views = ("classes",)
    conditions = ("image",)
    first_weights: str
    _threshold: Tensor

    def __init__(
        self,
        schema: Schema,
        width: int = STOCK_WIDTH,
        backbone: str = "small",
        weights: Weights = "none",
        threshold: float = 0.5,
        stride: int = 16,
        tuned_stages: int | None = None,
    ) -> None:
        super().__init__()
        self.labels = schema.labels
        self.backbone, self.stride, self.first_weights = backbone, stride, weights
        if backbone != "small":
            require_size_for(backbone, schema.size)
        self.net = make_classifier(backbone, len(schema.labels.classes), width, weights, stride)
        if tuned_stages is not None:
            self.net.freeze(tuned_stages)
        self.register_buffer("_threshold", torch.tensor(threshold))

    @property
    def threshold(self) -> float:
        """The probability above which a class counts as present; it is saved with the weights."""
        return round(float(self._threshold), 6)

    @threshold.setter
    def threshold(self, value: float) -> None:
        self._threshold.fill_(value)

    def decode(
        self, z: Tensor | None, views: Views | None, names: Iterable[str]
    ) -> dict[str, Likelihood]:
        """Return p(classes | image), if it is named."""
        assert views is not None
        return {"classes": ClassVector(self.net(views["image"]))} if "classes" in names else {}


class CoarseScene(SceneModel):
    """p(mask | image) from a coarse grid of labels: the network of SEC.

    Args:
        schema: Labels and image size.
        net: One of `scene.networks.segmentation.NETS`, or a convolutional network of timm or
            torchvision.
        width: Channels of ``small`` at full resolution.
        weights: Weights of any other: ``none``, ``imagenet``, a path, of timm's also ``package``.
            With ``classifier`` they start at random; ``net.copy_weights`` copies a classifier's.
        stride: Of the grid of such a network, in pixels: 8, 16 or 32.
        tuned_stages: How many of its last stages learn beside the new layer; None = all.

    Attributes:
        cells: Rows and columns of the grid.

    Raises:
        LookupError: If there is no such network, or there are no such weights.
        ValueError: If weights are named for ``small``.
    """

    views = ("mask",)
    conditions = ("image",)

    def __init__(
        self,
        schema: Schema,
        net: str = "small",
        width: int = STOCK_WIDTH,
        weights: Weights = "none",
        stride: int = 16,
        tuned_stages: int | None = None,
    ) -> None:
        super().__init__()
        labels = len(schema.labels.names)
        source = "none" if weights == "classifier" else weights
        if net == "small" and source != "none":
            raise ValueError(f"The small network starts from a classifier or none, not {source}.")
        self.net: SmallFCN | LargeFOV | TrunkFCN
        if net == "small":
            self.net = SmallFCN(labels, width)
        elif net == "largefov":
            self.net = LargeFOV(labels, source)
        else:
            self.net = TrunkFCN(labels, net, source, stride, tuned_stages)
        self.labels, self.size = schema.labels, schema.size
        rows, columns = schema.size
        for _ in range(self.net.halvings):
            rows, columns = -(-rows // 2), -(-columns // 2)
        self.cells = rows, columns

    def scores(self, image: Tensor) -> Tensor:
        """Return logits of every label in every cell: ``(B, 3, H, W)`` to ``(B, L, *cells)``."""
        logits: Tensor = self.net(image)
        return logits

    def downsample(self, image: Tensor) -> Tensor:
        """Return images at the size of the grid: ``(B, 3, H, W)`` to ``(B, 3, *cells)``.

        A cell of ``small`` is the average of the pixels it covers. Cells of ``largefov`` lie on
        every eighth pixel and have its colour.
        """
        if self.net.align_corners:
            return F.interpolate(image, self.cells, mode="bilinear", align_corners=True)
        return F.interpolate(image, self.cells, mode="area")

    def decode(
        self, z: Tensor | None, views: Views | None, names: Iterable[str]
    ) -> dict[str, Likelihood]:
        """Return p(mask | image): probabilities of the cells, interpolated bilinearly."""
        assert views is not None
        if "mask" not in names:
            return {}
        probs = self.scores(views["image"]).softmax(1)
        full = F.interpolate(
            probs, self.size, mode="bilinear", align_corners=self.net.align_corners
        )
        return {"mask": LabelMap(full.clamp(min=FLOOR).log())}
