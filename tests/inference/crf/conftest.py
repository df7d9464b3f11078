"""Scenes for the laws of the dense CRF: smooth fields of colours and logits, and every engine."""

import pytest
import torch
import torch.nn.functional as F

from inference.crf.engines import ENGINES, Field
from scene.registry import load


def _smooth(channels, seed, batch, size):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(batch, channels, 4, 5, generator=generator)
    return F.interpolate(coarse, size=size, mode="bilinear", align_corners=True)


@pytest.fixture
def photo():
    """Give a function that paints images, ``(B, H, W, 3)`` uint8, about as smooth as real ones."""

    def paint(size, batch=1, seed=0):
        result = (128 + 50 * _smooth(3, seed, batch, size)).clamp(0, 255)
        return result.permute(0, 2, 3, 1).contiguous().to(torch.uint8)

    return paint


@pytest.fixture
def scene(photo):
    """Give a function that makes fields whose logits follow shapes, with noise."""

    def make(kernels, size=(24, 31), labels=4, batch=1, dtype=torch.float32, **more):
        noise = torch.randn(batch, labels, *size, generator=torch.Generator().manual_seed(7))
        logits = (2 * _smooth(labels, 1, batch, size) + noise).to(dtype)
        return Field(logits, photo(size, batch), tuple(kernels), **more)

    return make


@pytest.fixture(params=ENGINES)
def each_engine(request):
    """Give each engine's name; the reference is skipped where its extra is not installed."""
    if request.param == "pydensecrf":
        pytest.importorskip("pydensecrf", reason="the extra 'pydensecrf' is not installed")
    load(request.param, ENGINES, "engine")
    return request.param
