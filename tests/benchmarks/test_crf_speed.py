"""How much faster the fused engine is than the reference one, with equal settings, on two cores.

Wall time, the least of several runs by turns, building lattices included. Where other programs
keep the cores busy, figures say more about these: it warns of them. Pictures are made up here:
their shapes have the colours, edges and grain of photographs.
"""

import os
import time

import pytest
import torch
import torch.nn.functional as F

from inference.crf.engines import Field
from inference.crf.fused import Fused
from inference.crf.kernels import DEFAULT, Appearance, Smoothness

SEC = (Smoothness(sigma=3 / 12), Appearance(sigma_xy=80 / 12))
RUNS = 7


def _blobs(channels, size, batch, seed):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(batch, channels, 7, 9, generator=generator)
    return F.interpolate(coarse, size=size, mode="bicubic"), generator


def field(batch, size, kernels, labels=21):
    """Make images of shapes with grain, and logits of labels, 30 % of them wrong, blurred."""
    blobs, generator = _blobs(labels, size, batch, 0)
    mask = blobs.argmax(1)
    wrong = torch.rand(mask.shape, generator=generator) < 0.3
    said = torch.where(wrong, torch.randint(labels, mask.shape, generator=generator), mask)
    sure = F.one_hot(said, labels).permute(0, 3, 1, 2).float()
    for _ in range(3):
        sure = F.avg_pool2d(sure, 5, 1, 2, count_include_pad=False)
    probs = (sure + 0.02) / (sure + 0.02).sum(1, keepdim=True)
    shade = 255 * torch.rand(labels, 3, generator=generator)[mask].permute(0, 3, 1, 2)
    light = 25 * _blobs(3, size, batch, 1)[0]
    grain = 6 * torch.randn(shade.shape, generator=generator)
    image = (F.avg_pool2d(shade, 3, 1, 1) + light + grain).clamp(0, 255).byte()
    return Field(probs.log(), image.permute(0, 2, 3, 1).contiguous(), kernels)


@pytest.mark.parametrize(
    ("name", "batch", "size", "kernels", "least"),
    [
        ("500×375", 1, (375, 500), DEFAULT, 5.0),
        ("321×321", 1, (321, 321), DEFAULT, 5.0),
        ("SEC's 15 of 41×41", 15, (41, 41), SEC, 6.0),
        ("15 of 41×41, default kernels", 15, (41, 41), DEFAULT, 6.0),
    ],
)
def test_fused_is_several_times_faster_than_the_reference(name, batch, size, kernels, least, say):
    reference = pytest.importorskip("inference.crf.reference").Reference()
    fused = Fused(2)
    scene = field(batch, size, kernels)
    fused.marginals(scene, 1)
    times = {fused: [], reference: []}
    for _ in range(RUNS):
        for engine, taken in times.items():
            start = time.perf_counter()
            engine.marginals(scene, 10)
            taken.append(1000 * (time.perf_counter() - start))
    ours, theirs = (min(taken) for taken in times.values())
    busy = os.getloadavg()[0]
    note = f"; load {busy:.0f}: other programs ran" if busy > 3 else ""
    say(f"{name}: {ours:.1f} ms against {theirs:.1f} ms, {theirs / ours:.1f}×{note}")
    assert theirs / ours >= least
