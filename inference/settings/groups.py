"""Groups of settings: every choice a run is made from, beside what is known of it.

A field is the one home of a setting: the options of `scene train`, the check of a ``config.json``,
what `scene tune` may search and Python's keywords follow from it. The groups are not beside
the classes that they configure, because those need torch and ``--help`` must not.

The defaults were chosen from single-seed runs on the tune split of ``synthetic:default``. Three
matter more than they look: classes weigh 50, because a few nats of them would otherwise be lost
among thousands of pixels; the image's noise is 0.2, because a narrower one spends the latent on
colours before shapes, and a wider one leaves colours out; and the terms of subsets average their
particles (``elbo``).
"""

from __future__ import annotations

from typing import Any

from .cues import CRFSettings, SeedCueSettings
from .data import DataSettings
from .model import GuideSettings, ModelSettings
from .objective import ObjectiveSettings
from .training import OptimizerSettings, TrainingSettings

GROUPS: dict[str, Any] = {
    "data": DataSettings,
    "model": ModelSettings,
    "guide": GuideSettings,
    "objective": ObjectiveSettings,
    "optimizer": OptimizerSettings,
    "training": TrainingSettings,
    "cues": SeedCueSettings,
    "crf": CRFSettings,
}
"""Every group, by the attribute of `Settings` that holds it."""

TITLES = {
    "data": "Data",
    "model": "Model",
    "guide": "Guide",
    "objective": "Objective",
    "optimizer": "Optimiser",
    "training": "Training",
    "cues": "Seed cues",
    "crf": "CRF",
}
"""What the command line calls them."""
