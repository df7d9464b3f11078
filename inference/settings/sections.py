"""The sections of the settings about what is learned: data, model, guide, objective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scene.sizes import (
    STOCK_GUIDE_WIDTH,
    STOCK_IMAGE_SCALE,
    STOCK_LATENT,
    STOCK_SIZE,
    STOCK_WIDTH,
    require_size,
)

from .fields import LARGE, STEPS, VIEWS, require_views, setting


def _check_size(_: str, size: tuple[int, int]) -> None:
    require_size(size)


@dataclass(frozen=True)
class DataSettings:
    """Which scenes are learned from, and how they come.

    Attributes:
        source: What `scene.datasets.catalogue.open_data` opens.
        size: Height and width in pixels.
        count: Number of training scenes; None = all, or the generated dataset's own number.
        augment: How training scenes are varied; None = the dataset's own way.
        weak_weight: Weight of the likelihood of weak masks; 0 = they are hidden.
        workers: Processes that load data; 0 = the training process itself.
    """

    source: str = setting(
        "synthetic:default",
        "Dataset: synthetic, synthetic:confounded, synthetic:ambiguous, voc2012, a folder (in VOC "
        "layout, an export of a labelling tool, or a folder per class), a file of labels or "
        "annotations (.csv, .tsv, .json, .xml), or a dataset of your own as path/file.py:Name.",
        option="data",
        metavar="DATA",
        spoils="loss",
    )
    size: tuple[int, int] = setting(
        STOCK_SIZE,
        "Height x width that scenes are scaled and cropped to.",
        unit="pixels",
        check=_check_size,
        spoils="loss",
        metavar="HxW",
    )
    count: int | None = setting(
        None,
        "Number of training scenes to use.",
        least=1,
        most=10**9,
        default_help="all; 6000 generated ones",
    )
    augment: str | None = setting(
        None,
        "Augmentation of training scenes: none, flip or crop.",
        default_help="the dataset's own",
    )
    weak_weight: float = setting(
        1.0,
        "Weight of the likelihood of weak masks (pseudo-labels) in DATA; 0 hides them.",
        least=0,
        most=LARGE,
    )
    workers: int = setting(
        0,
        "Number of processes that load data; 0 = load in the training process.",
        least=0,
        most=256,
    )


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
        image_grid: Whether a cVAE's decoder sees the image's features in each cell of a grid.
        mask_first: Whether a joint model decodes the image from the mask, too.
        prior: p(z): ``learned``, or a key of `inference.settings.parts.PRIORS`, or one's own.
        width: Channels of the finest layer of the decoders, or of a U-Net.
        noise: Distribution of pixels around the decoded image.
        image_scale: Its scale, in units of the image's range.
        learn_scale: Whether that scale is learned.
        backbone: Network that reads the image: of a classifier, the segmenter and a cVAE in the
            model, of a joint VAE in the guide.
        backbone_weights: Its first weights: ``none``, ``imagenet``, ``classifier`` or a path.
        stride: Pixels, along each side, that a cell of the backbone's last maps covers.
        tuned_stages: Last stages of the backbone that learn; None = all.
        net: Network that labels the grid of SEC.
        threshold: Probability above which a class counts as present; ``auto`` = best on tune.
    """

    latent: int = setting(STOCK_LATENT, "Length of the latent vector z.", least=1, most=4096)
    spatial: int = setting(
        0,
        "Channels of z for each cell of a grid over the scene; 0 leaves the grid out.",
        least=0,
        most=1024,
    )
    cell: int = setting(4, "Side of a cell of the grid of --spatial: 2, 4 or 8.", unit="pixels")
    image_grid: bool = setting(
        False, "Decode masks from the image's features in each cell, also if z has no grid."
    )
    mask_first: bool = setting(
        False,
        "Decode the image from z and from the mask that z stands for, so that they agree.",
    )
    prior: str = setting(
        "standard",
        "Prior p(z): standard normal; learned from the image (cVAE); of joint models also ladder, "
        "the grid of --spatial given the vector; flow, trained after the bound, which scenes are "
        "drawn with; or your own as path/file.py:Name.",
        metavar="NAME",
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
        "small",
        "Network that reads the image: small, or any convolutional classifier of timm or "
        "torchvision, as tf_efficientnet_lite0, vgg16 or mobilenet_v2; in a joint VAE the guide's "
        "encoder of images.",
        metavar="NAME",
    )
    backbone_weights: str = setting(
        "none",
        "Initial weights of the backbone: none (random), imagenet, classifier (weights of SEC's "
        "classifier), package (of the extra weights), or the path of a file.",
        also=("--weights",),
        metavar="WEIGHTS",
    )
    stride: int = setting(
        16,
        "Side of a cell of the backbone's last feature maps: 8, 16 or 32. Convolutions are "
        "dilated where they would make it larger; small, and vgg16 in a cVAE, have their own.",
        unit="pixels",
        spoils="loss",
    )
    tuned_stages: int | None = setting(
        None,
        "Number of the backbone's last stages that learn; the others keep weights and batch "
        "statistics. 0 trains only the layers after it.",
        least=0,
        most=1000,
        default_help="all",
    )
    net: str = setting(
        "small",
        "Network of SEC: small (stride 4), largefov (VGG-16, as published), or a convolutional "
        "network of timm or torchvision, as tf_efficientnet_lite0.",
        metavar="NAME",
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
        name: A key of `inference.settings.parts.GUIDES`, or ``path/file.py:Name``.
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


def _check_weights(flag: str, weights: Mapping[str, float]) -> None:
    require_views(tuple(weights))
    for view, weight in weights.items():
        if not 0 <= weight < float("inf"):
            raise ValueError(f"{flag} {view} must be 0 or more, not {weight}.")


def _check_share(flag: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{flag} is a share from 0 to 1, not {value}.")


@dataclass(frozen=True)
class ObjectiveSettings:
    """The objective: one bound, or several terms put together.

    Attributes:
        bound: The bound of the joint term: a key of `inference.settings.parts.OBJECTIVES`, or
            ``path/file.py:Name``.
        particles: K of the joint term.
        renyi_alpha: α of the Rényi bound: 0 = ``iwae``, 1 = ``elbo``.
        free_bits: Nats of KL that cost the same as none, in terms bounded by ``elbo``.
        beta: Weight of the KL.
        warmup: Steps over which β rises from 0.
        view_weights: Weight of each view's likelihood, in training only; 1 where none is named.
        hybrid: Share of the term of a cVAE that draws z from its prior.
        subsets: What the terms beside the joint one condition on.
        alpha: Weight of JMVAE's penalties, Σ KL(q(z | all) ‖ q(z | subset)).
        turns: Whether a step works on ``all`` terms, on one subset drawn for the ``step``, or for
            each ``scene`` on one term drawn for it.
        retrofit: What the terms of subsets score: ``own`` views, or ``predict-all``.
        retrofit_bound: The bound of the terms of subsets; None = as the joint term.
        retrofit_particles: K of the terms of subsets; None = 1 where their bound is ``elbo``,
            else as the joint term.
        generator_gradients: Whether the terms of subsets train the generators.
    """

    bound: str = setting(
        "iwae",
        "Bound of the joint term: elbo, iwae, renyi, dreg, stl (biased if K > 1), or your own as "
        "path/file.py:Name.",
        option="objective",
        metavar="NAME",
        spoils="loss",
    )
    particles: int = setting(
        1, "Draws of z for each scene (K) in the joint term.", least=1, most=4096, spoils="loss"
    )
    renyi_alpha: float = setting(
        0.5,
        "Order α of the bound renyi: 0 is iwae, 1 is elbo.",
        least=0,
        most=LARGE,
        spoils="loss",
    )
    free_bits: float = setting(
        0.0,
        "Free bits of the bound elbo: a KL below this costs nothing.",
        unit="nats",
        least=0,
        most=LARGE,
        spoils="loss",
    )
    beta: float = setting(1.0, "Weight β of the KL.", least=0, most=LARGE, spoils="loss")
    warmup: int = setting(0, "Steps over which β rises from 0.", least=0, most=STEPS)
    view_weights: Mapping[str, float] = setting(
        {"classes": 50.0},
        "Weights of the views' likelihoods in training, as mask=2,classes=10; other views keep "
        "their default weight.",
        also=("--view-weight",),
        check=_check_weights,
        metavar="VIEW=WEIGHT",
        spoils="loss",
    )
    hybrid: float = setting(
        0.0,
        "Share of a cVAE's objective in which z is drawn from its prior.",
        check=_check_share,
        unit="0 to 1",
        spoils="loss",
    )
    subsets: str = setting(
        "report",
        "Subsets of views that the terms other than the joint term condition on: report, "
        "singles, all, random (one of all per step), or a list, as image,image+classes.",
        metavar="SUBSETS",
        spoils="loss",
    )
    alpha: float = setting(
        1.0,
        "Weight α of JMVAE's penalties, the sum of KL(q(z | all) ‖ q(z | subset)).",
        least=0,
        most=LARGE,
        spoils="loss",
    )
    turns: str = setting(
        "all",
        "Terms computed in each step: all, the joint term and one random subset (step), or one "
        "random term per scene (scene).",
        choices=("all", "step", "scene"),
        spoils="loss",
    )
    retrofit: str = setting(
        "predict-all",
        "Views whose likelihood the terms of subsets include: own (those they condition on) or "
        "predict-all (all observed views).",
        choices=("own", "predict-all"),
        spoils="loss",
    )
    retrofit_bound: str | None = setting(
        None,
        "Bound of the terms of subsets, named as for --objective.",
        option="retrofit_objective",
        default_help="that of --objective",
        metavar="NAME",
        spoils="loss",
    )
    retrofit_particles: int | None = setting(
        None,
        "Draws of z for each scene (K) in the terms of subsets.",
        least=1,
        most=4096,
        default_help="1 if their bound is elbo, else that of --particles",
        spoils="loss",
    )
    generator_gradients: str = setting(
        "shared",
        "Whether the terms of subsets train the generators (shared) or the guide alone (stopped).",
        choices=("shared", "stopped"),
    )
