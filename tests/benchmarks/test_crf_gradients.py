"""What the lattice engine costs: its gradients against its answer, its answer against C++."""

import os
import time
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from inference.crf.engines import Field, choose_engine
from inference.crf.kernels import Appearance, Smoothness
from inference.crf.lattice.engine import Lattice
from scene.images.io import read_image

HEIGHT, WIDTH, LABELS, ITERATIONS = 375, 500, 21, 10
THREADS, ROUNDS = 2, 5


def drawn(channels, cell, seed):
    """Draw a field that varies over ``cell`` pixels."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, channels, HEIGHT // cell, WIDTH // cell, generator=generator)
    return F.interpolate(coarse, size=(HEIGHT, WIDTH), mode="bicubic")


@pytest.fixture(scope="module")
def field():
    """A made-up picture: large patches of colour, small ones on them; labels in patches."""
    image = 128 + 60 * drawn(3, 60, 0) + 15 * drawn(3, 12, 1)
    return lay(image.clamp(0, 255).to(torch.uint8))


@pytest.fixture(scope="module")
def photographs():
    root = Path(os.environ.get("SCENE_DATA", "")) / "voc-samples/JPEGImages"
    if "SCENE_DATA" not in os.environ or not root.is_dir():
        pytest.skip("SKIPPED: set SCENE_DATA to a folder with voc-samples in it to time photos")
    result = [torch.as_tensor(read_image(path)) for path in sorted(root.glob("*.jpg"))]
    return [lay(image.unsqueeze(0)) for image in result]


def lay(image):
    """Make a field of an image ``(1, 3, H, W)``."""
    logits = F.interpolate(3 * drawn(LABELS, 15, 3), size=image.shape[-2:], mode="bilinear")
    return Field(logits, image.permute(0, 2, 3, 1).contiguous(), (Smoothness(), Appearance()))


@pytest.fixture(autouse=True)
def _two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(before)


def least(*calls):
    """Take the least time of each, in turns: processor time of the calling thread, in ms.

    On a quiet machine that is what the clock shows, and other programs change it less; waiting
    for the other threads counts where they spin.
    """
    times = [[] for _ in calls]
    for _ in range(ROUNDS + 1):
        for call, result in zip(calls, times, strict=True):
            start = time.thread_time()
            call()
            result.append(1000 * (time.thread_time() - start))
    return [min(result[1:]) for result in times]


def test_forward_and_backward_cost_three_forwards_at_most(field, say):
    """To logits, both weights, and a full compatibility."""
    logits = field.logits.clone().requires_grad_()
    weights = [torch.tensor(w, requires_grad=True) for w in (3.0, 10.0)]
    compatibility = torch.eye(LABELS, requires_grad=True)

    def kernels(full):
        more = {"compatibility": compatibility} if full else {}
        return Smoothness(weight=weights[0], **more), Appearance(weight=weights[1], **more)

    def forward(full):
        with torch.no_grad():
            Lattice().marginals(Field(logits, field.image, kernels(full)), ITERATIONS)

    def both(full):
        result = Lattice().marginals(Field(logits, field.image, kernels(full)), ITERATIONS)
        result.square().mean().backward()

    for full in (False, True):
        once, twice = least(lambda: forward(full), lambda: both(full))  # noqa: B023
        name = "full" if full else "Potts"
        say(f"{name}: forward {once:.0f} ms, and backward {twice:.0f} ms: {twice / once:.2f}")
        assert twice <= 3 * once


def test_photographs_take_less_time_than_by_the_reference(photographs, say):
    """The lattice built anew each time; the reference has one thread, this one two."""
    pytest.importorskip("pydensecrf", reason="the reference is not installed")
    reference = choose_engine("pydensecrf", photographs[0])
    totals = [0.0, 0.0]
    for one in photographs:
        with torch.no_grad():
            result = least(
                lambda: reference.marginals(one, ITERATIONS),  # noqa: B023
                lambda: Lattice().marginals(one, ITERATIONS),  # noqa: B023
            )
        totals = [a + b for a, b in zip(totals, result, strict=True)]
        say(
            f"reference {result[0]:.0f} ms, lattice {result[1]:.0f} ms: "
            f"{result[0] / result[1]:.2f}"
        )
    say(f"in all: {totals[0] / totals[1]:.2f} times as fast")
    assert totals[0] >= 1.3 * totals[1]
