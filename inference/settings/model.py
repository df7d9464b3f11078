"""Settings of the model and of the guide: their families and their networks."""

from __future__ import annotations

from dataclasses import dataclass

from scene.sizes import STOCK_GUIDE_WIDTH, STOCK_IMAGE_SCALE, STOCK_LATENT, STOCK_WIDTH

from .fields import VIEWS, require_views, setting


def _check_threshold(flag: str, value: float | str) -> None:
    if value != "auto" and (isinstance(value, str) or not 0 < value < 1):
        raise ValueError(f"{flag} is a probability above 0 and below 1, or auto; not {value}.")


def _check_encode(flag: str, views: tuple[str, ...]) -> None:
    require_views(views)
    if not 0 < len(views) == len(set(views)):
        raise ValueError(f"{flag} names one view or more, each once, not {','.join(views)!r}.")


@dataclass(frozen=True)
class ModelSettings:
    """The model: its latent, its likelihoods, its networks.

    Attributes:
        latent: Length of z, or of its part that concerns the scene as a whole.
        spatial: Channels of z for each cell of a grid over the scene; 0 = there is no grid.
        cell: Height and width of a cell in pixels: 2, 4 or 8.
        prior: p(z) of a cVAE.
        width: Channels of the finest layer of the decoders, or of a U-Net.
        noise: Distribution of pixels around the decoded image.
        image_scale: Its scale, in units of the image's range.
        learn_scale: Whether that scale is learned.
        backbone: Network that reads the image of a cVAE, or classifies it.
        backbone_weights: First weights of that network: ``none``, ``imagenet``, ``classifier`` or
            a path.
        net: Network that labels the grid of SEC.
        threshold: The probability above which a classifier counts a class as present; ``auto`` =
            the best on the split where settings are chosen.
    """

    latent: int = setting(STOCK_LATENT, "Length of the latent vector z.", least=1, most=4096)
    spatial: int = setting(
        0,
        "Channels of z for each cell of a grid over the scene; 0 leaves the grid out.",
        least=0,
        most=1024,
    )
    cell: int = setting(4, "Side of a cell of that grid: 2, 4 or 8.", unit="pixels")
    prior: str = setting(
        "standard",
        "Prior p(z) of a cVAE: standard normal, or learned from the image.",
        choices=("standard", "learned"),
    )
    width: int = setting(
        STOCK_WIDTH, "Channels of the finest layer of the networks.", least=1, most=1024
    )
    noise: str = setting(
        "normal",
        "Distribution of pixels around the decoded image.",
        choices=("normal", "laplace"),
        spoils="pixels",
    )
    image_scale: float = setting(
        STOCK_IMAGE_SCALE,
        "Scale of the pixel noise.",
        unit="of the image's range",
        positive=True,
        spoils="pixels",
    )
    learn_scale: bool = setting(
        False, "Learn the scale of the pixel noise instead of keeping it.", spoils="pixels"
    )
    backbone: str = setting(
        "small", "Network that reads the image: small, vgg16 or resnet50.", metavar="NAME"
    )
    backbone_weights: str = setting(
        "none",
        "First weights of the backbone: none, imagenet, classifier (those of SEC's classifier), "
        "or the path of a file.",
        also=("--weights",),
        metavar="WEIGHTS",
    )
    net: str = setting(
        "small",
        "Network of SEC: small (stride 4), or largefov (VGG-16, as published).",
        choices=("small", "largefov"),
        spoils="loss",
    )
    threshold: float | str = setting(
        0.5,
        "Probability above which a classifier counts a class as present; auto chooses it on the "
        "split tune.",
        check=_check_threshold,
        metavar="FLOAT|auto",
    )


@dataclass(frozen=True)
class GuideSettings:
    """The guide: the posterior's family, and its networks.

    Attributes:
        name: A key of `inference.settings.recipes.GUIDES`, or ``path/file.py:Name``.
        width: Channels of the first convolution of each encoder.
        encode: The views that a plain guide reads.
    """

    name: str = setting(
        "joint",
        "Guide: joint, masked, none, poe, retrofit, or your own as path/file.py:Name.",
        option="guide",
        metavar="NAME",
    )
    width: int = setting(
        STOCK_GUIDE_WIDTH,
        "Channels of the first convolution of each encoder of the guide.",
        option="guide_width",
        least=1,
        most=1024,
    )
    encode: tuple[str, ...] = setting(
        VIEWS,
        "Views that the guide reads, as image,classes.",
        check=_check_encode,
        metavar="VIEWS",
    )
