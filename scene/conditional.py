"""A model of the masks that an image may have: the cVAE."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from .likelihoods import LabelMap
from .models import Likelihood, SceneModel
from .networks.backbones import Weights
from .networks.decoders import Decoder
from .networks.encoders import Encoder, GaussianHead, make_encoder
from .networks.image_encoders import TrunkEncoder, make_backbone
from .networks.spatial import FeaturePyramid, GridGaussian, Latent
from .sizes import STOCK_LATENT, STOCK_WIDTH
from .views import Schema, Views


class ConditionalScene(SceneModel):
    """p(z | image) p(mask | image, z): the cVAE, which samples one of the masks an image may have.

    Args:
        schema: Labels and image size.
        latent: Length of z.
        width: Channels of the finest layer of the decoder.
        backbone: Network that encodes the image, see
            `scene.networks.image_encoders.make_backbone`.
        weights: Weights of the backbone: ``none``, ``imagenet``, ``package`` or a path.
        hidden: Length of the image's feature vector.
        prior: ``standard``: p(z | image) is N(0, I); where the posteriors of all scenes do not
            cover it, the decoder meets z that it never learned. ``learned``: p(z | image) is a
            network of its own.
        spatial: Channels of z for each cell of a grid, beside ``latent``. With 0 there is no
            grid, and one vector is all that the decoder gets of the image; with a grid it also
            gets features of the image in each cell, from the trunk if there is one.
        image_grid: Whether it gets those features where z has no grid, too: then the image says
            where things are, and one vector z which of several masks is meant.
        cell: Height and width of a cell in pixels.
        stride: Of a trunk's last maps in the image that it reads: 8, 16 or 32 pixels.
        tuned_stages: How many of the backbone's last stages learn; None = all.

    Source:
        Sohn et al. (2015), Learning Structured Output Representation using Deep Conditional
        Generative Models, eq. 4 (where the prior is learned); with a grid, near to Kohl et al.
        (2018), A Probabilistic U-Net, https://arxiv.org/abs/1806.05034
    """

    views = ("mask",)
    conditions = ("image",)

    def __init__(
        self,
        schema: Schema,
        latent: int = STOCK_LATENT,
        width: int = STOCK_WIDTH,
        backbone: str = "small",
        weights: Weights = "none",
        hidden: int = 256,
        prior: Literal["learned", "standard"] = "standard",
        spatial: int = 0,
        cell: int = 4,
        stride: int = 16,
        tuned_stages: int | None = None,
        image_grid: bool = False,
    ) -> None:
        super().__init__()
        self.parts = parts = Latent(latent, spatial, cell, schema.size)
        self.latent = parts.length
        self.backbone = make_backbone(backbone, schema, width, weights, stride, tuned_stages)
        self.bottleneck = nn.Sequential(nn.Linear(self.backbone.features, hidden), nn.ReLU())
        self.pyramid: FeaturePyramid | None = None
        if spatial or image_grid:
            own = None if self._trunk else Encoder(3, schema.size, width)
            self.pyramid = FeaturePyramid(own, parts, width)
        channels = spatial + (self.pyramid.features if self.pyramid else 0)
        labels = len(schema.labels.names)
        self.mask = Decoder(latent + hidden, labels, schema.size, width, channels, cell)
        self.prior_net = _ImagePrior(schema, width, hidden, parts) if prior == "learned" else None

    def prior(self, views: Views | None, scenes: int = 1) -> dist.Distribution | None:
        """Return p(z | image): batch shape ``(B,)``, event shape ``(L,)``."""
        if self.prior_net is None or views is None:
            return super().prior(views, scenes)
        return dist.Normal(*self.prior_net(views["image"])).to_event(1)

    def decode(
        self, z: Tensor | None, views: Views | None, names: Iterable[str]
    ) -> dict[str, Likelihood]:
        """Return p(mask | image, z); the image is encoded once for all draws of z."""
        assert z is not None
        assert views is not None
        if "mask" not in names:
            return {}
        whole, local = self._encode(views["image"])
        features = self.bottleneck(whole).float()
        vector, grid = self.parts.split(z)
        vector = torch.cat([vector, features.expand(*z.shape[:-1], -1)], dim=-1)
        if local is not None:
            everywhere = local.expand(*z.shape[:-1], -1, -1, -1)
            grid = everywhere if grid is None else torch.cat([grid, everywhere], dim=-3)
        return {"mask": LabelMap(self.mask(vector, grid))}

    @property
    def _trunk(self) -> TrunkEncoder | None:
        return self.backbone if isinstance(self.backbone, TrunkEncoder) else None

    def _encode(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the features of an image as a whole, and those of each cell of a grid."""
        if self.pyramid is None:
            return self.backbone(image), None
        if self._trunk is None:
            return self.backbone(image), self.pyramid(image).float()
        maps = self._trunk.feature_maps(image)  # once for both
        return self._trunk.vector(maps[-1]), self.pyramid.expand(maps).float()


class _ImagePrior(nn.Module):
    """Mean and standard deviation of p(z | image), each ``(B, L)``."""

    def __init__(self, schema: Schema, width: int, hidden: int, parts: Latent) -> None:
        super().__init__()
        self.encoder = make_encoder("image", schema, width)
        self.head = GaussianHead(self.encoder.features, hidden, parts.vector)
        encoders = {"image": make_encoder("image", schema, width)}
        self.grid = GridGaussian(encoders, parts, width) if parts.channels else None

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        loc, scale = self.head(self.encoder(image))
        if self.grid is None:
            return loc, scale
        grid_loc, grid_scale = self.grid(Views({"image": image}))
        return torch.cat([loc, grid_loc], dim=-1), torch.cat([scale, grid_scale], dim=-1)
