"""Settings of the data: which scenes are learned from, and how they come."""

from __future__ import annotations

from dataclasses import dataclass

from scene.sizes import STOCK_SIZE, require_size

from .fields import LARGE, setting


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
        "Dataset: synthetic, synthetic:confounded, voc2012, a folder in VOC layout, or a dataset "
        "of your own as path/file.py:Name.",
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
        0, "Processes that load data; 0 loads in the training process.", least=0, most=256
    )
