"""Datasets that a fitted model makes: generated scenes, pseudo-labels and seed cues."""

from __future__ import annotations

from ..experiments.generate import GenerationSettings as GenerationSettings
from ..experiments.generate import generate as generate
from ..experiments.pseudo_label import pseudo_label as pseudo_label
from ..segmentation.cue_files import require_cues_folder as require_cues_folder
from ..segmentation.cue_files import write_cues as write_cues
from ..segmentation.cues import CueSettings as CueSettings
from ..segmentation.cues import cue_settings as cue_settings

__all__ = [
    "CueSettings",
    "GenerationSettings",
    "cue_settings",
    "generate",
    "pseudo_label",
    "require_cues_folder",
    "write_cues",
]
