"""Settings of SEC: its seed cues, and the dense CRF in its loss."""

from __future__ import annotations

from dataclasses import dataclass

from .fields import LARGE, setting

LARGEST_SCALE = 8
"""The most that an image is enlarged for a classifier."""


def _check_scales(flag: str, scales: tuple[float, ...]) -> None:
    if not 0 < len(scales) <= 16 or not all(0 < scale <= LARGEST_SCALE for scale in scales):
        text = ",".join(map(str, scales[:9]))
        raise ValueError(
            f"{flag} takes 1 to 16 numbers, each above 0 and at most {LARGEST_SCALE}, not {text}."
        )


def _check_cue_crf(flag: str, crf: tuple[float, ...]) -> None:
    if crf and (len(crf) != 3 or not all(0 < value <= LARGE for value in crf)):
        text = ",".join(map(str, crf))
        raise ValueError(f"{flag} takes three positive numbers, such as 10,25,5, not {text}.")


@dataclass(frozen=True)
class SeedCueSettings:
    """Seed cues: which classifier gives class maps, and what of these is certain enough.

    Attributes:
        classifier: The run of the classifier; None = the newest that fits.
        layer: Its layer whose maps give cues; None = the last convolution.
        scales: Sizes at which it sees images, as multiples of their own.
        flip: Whether it sees mirrored images, too.
        foreground: A class is cued where its map exceeds this share of its maximum.
        background: The least salient share of an image, cued as background; 0 = none is.
        saliency: The largest of the maps of the classes present, ``max``, or their ``sum``.
        background_map: Where a CRF refines maps, background is 1 − their ``sum`` or 1 − the
            largest, ``max``.
        exponent: That is taken to this power.
        background_exponent: For cues of background, to this one; None = the same.
        crf: Weight, reach in pixels and width in colour, 0-255, of a CRF that refines the maps
            first; none = cues come from the maps as they are.
        affinity: Exponent with which maps spread over cells that look alike; 0 = they do not.
        imagenet: Whether maps are averaged with those of ImageNet's classes of the same names.
        scenery: Weight of the log odds of those classes against scenery.
    """

    classifier: str | None = setting(
        None,
        "Run of the classifier that SEC learns from.",
        default_help="the newest suitable run",
        metavar="RUN",
        spoils="loss",
    )
    layer: str | None = setting(
        None,
        "Layer of the classifier whose class maps give cues.",
        default_help="its last convolution",
        metavar="NAME",
        spoils="loss",
    )
    scales: tuple[float, ...] = setting(
        (1.0,),
        "Scales at which the classifier reads images, as multiples of their size: "
        "0.5,1,1.5; above 0, at most 8.",
        check=_check_scales,
        metavar="FLOATS",
        spoils="loss",
    )
    flip: bool = setting(False, "Average class maps over the mirrored image, too.", spoils="loss")
    foreground: float = setting(
        0.2,
        "Threshold of foreground cues: the share of a class map's maximum, or the CRF's "
        "probability with --cue-crf.",
        least=0,
        most=LARGE,
        spoils="loss",
    )
    background: float = setting(
        0.1,
        "Share of the image, its least salient pixels, that becomes background cues; none = no "
        "background cues.",
        least=0,
        most=LARGE,
        metavar="FLOAT|none",
        spoils="loss",
    )
    saliency: str = setting(
        "max",
        "Saliency map over the present classes: the maximum of their class maps, or the sum.",
        choices=("max", "sum"),
        spoils="loss",
    )
    background_map: str = setting(
        "sum",
        "Background map: 1 − Σ class maps (sum), or 1 − the largest (max); used with --cue-crf "
        "only.",
        choices=("sum", "max"),
        spoils="loss",
    )
    exponent: float = setting(
        1.0,
        "Exponent of the background map; used with --cue-crf only.",
        positive=True,
        spoils="loss",
    )
    background_exponent: float | None = setting(
        None,
        "Exponent of the background map for cues of background, where it is larger than that "
        "for cues of classes; cells that are background with --exponent only get no cue.",
        default_help="that of --exponent",
        positive=True,
        spoils="loss",
    )
    crf: tuple[float, ...] = setting(
        (),
        "CRF that refines class maps before cues are computed: weight, width θα in pixels, "
        "width θβ in colour (0-255), as 10,25,5.",
        option="cue_crf",
        also=("--crf",),
        check=_check_cue_crf,
        default_help="no CRF",
        metavar="W,XY,RGB",
        spoils="loss",
    )
    affinity: float = setting(
        0.0,
        "Exponent with which class maps spread over cells that look alike to the backbone; 0 = "
        "they do not.",
        least=0,
        most=LARGE,
        spoils="loss",
    )
    imagenet: bool = setting(
        False,
        "Average class maps with those of ImageNet's classes of the same names, if the "
        "classifier started from ImageNet.",
        option="imagenet_maps",
        spoils="loss",
    )
    scenery: float = setting(
        0.0,
        "Weight of the log odds of a class against water and mountains in a cell, by ImageNet's "
        "classes of both, by which --imagenet-maps tells a boat from its water; 0 = not used.",
        least=0,
        most=LARGE,
        spoils="loss",
    )


@dataclass(frozen=True)
class CRFSettings:
    """SEC's loss: weights of its terms, and its dense CRF, whose smoothness kernel is fixed.

    Attributes:
        expand: Weight of the term expand; that of the term seed is 1.
        constrain: Weight of the term constrain.
        weight: Weight of the appearance kernel.
        sigma_xy: Its reach θα, in cells of a grid of 41×41.
        sigma_rgb: Its width in colour θβ, 0-255.
    """

    expand: float = setting(
        1.0,
        "Weight of the term of SEC's loss by which present classes fill a part of the image; that "
        "of the seed cues is 1.",
        option="expand_weight",
        least=0,
        most=LARGE,
        spoils="loss",
    )
    constrain: float = setting(
        1.0,
        "Weight of the term of SEC's loss by which masks agree with its CRF.",
        option="constrain_weight",
        least=0,
        most=LARGE,
        spoils="loss",
    )
    weight: float = setting(
        10.0,
        "Weight of the appearance kernel in the CRF of SEC's loss.",
        option="crf_weight",
        least=0,
        most=LARGE,
        spoils="loss",
    )
    sigma_xy: float = setting(
        80 / 12,
        "Width θα of the appearance kernel in the CRF of SEC's loss.",
        option="crf_xy",
        unit="1/41 of the image side",
        positive=True,
        most=LARGE,
        spoils="loss",
    )
    sigma_rgb: float = setting(
        13.0,
        "Width θβ of the appearance kernel in the CRF of SEC's loss, in colour.",
        option="crf_rgb",
        unit="scale 0-255",
        positive=True,
        most=LARGE,
        spoils="loss",
    )
