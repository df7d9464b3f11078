"""Values of settings that go with a network: small, pretrained, or as its authors had it."""

from __future__ import annotations

from typing import Any

SMALL: dict[str, Any] = {
    "guide": "none",
    "encode": ("image",),
    "backbone_weights": "classifier",
    "augment": "none",
    "steps": 800,
    "learning_rate": 2e-3,
}
"""Settings of SEC's small network, for whatever objective; chosen on a tune split."""

TUNED: dict[str, Any] = {"size": (320, 320), "tuned_stages": 2}
"""What goes with a pretrained network: finer images, and stages that stay as they are."""

TRUNK_SEC: dict[str, Any] = {"steps": 400, "learning_rate": 5e-4}
"""Settings of a pretrained network that labels SEC's grid."""

LARGEFOV: dict[str, Any] = {
    "backbone_weights": "imagenet",
    "size": (321, 321),
    "steps": 8000,
    "batch_size": 15,
    "optimizer": "layerwise",
    "learning_rate": 1e-3,
    "schedule": "stairs",
}
"""Those of the network its authors used, as they published them."""

PUBLISHED: dict[str, Any] = {
    "foreground": 0.2,
    "background": 0.1,
    "crf_weight": 10.0,
    "crf_xy": 80 / 12,
    "crf_rgb": 13.0,
}
"""Their cues and their CRF."""

TRUNK_LATENT: dict[str, Any] = {
    "spatial": 8,
    "tuned_stages": 0,
    "augment": "flip",
    "batch_size": 32,
}
"""What goes with a pretrained network that reads images for z: it stays as it is."""
