"""Framing: nothing is stretched, shifted or invented, and what is undone comes back."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import one_hot

from scene.datasets.framing import Frame

SIDES = st.integers(16, 90)
FRAMES = st.builds(Frame, st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES))


def _blocks(height, width, size=12):
    """Draw a checkerboard of 3 labels, coarse enough to survive resizing."""
    rows, columns = torch.arange(height) // size, torch.arange(width) // size
    return ((rows[:, None] + columns[None]) % 3).to(torch.uint8)


@given(FRAMES)
@settings(max_examples=40, deadline=None)
def test_the_resized_picture_just_covers_the_frame(frame):
    (tall, wide), (height, width) = frame.resized, frame.size
    assert tall >= height
    assert wide >= width
    assert tall == height or wide == width
    assert frame.corner[0] * 2 in (tall - height, tall - height - 1)
    assert abs(tall / wide - frame.original[0] / frame.original[1]) * wide <= 1 + tall / wide


@given(FRAMES)
@settings(max_examples=40, deadline=None)
def test_a_mask_never_gains_a_label(frame):
    mask = torch.where(_blocks(*frame.original) == 1, 255, 7).to(torch.uint8)
    framed = frame.apply_mask(mask)
    assert framed.shape == frame.size
    assert framed.dtype == torch.uint8
    assert set(framed.unique().tolist()) <= {7, 255}


@pytest.mark.parametrize("shape", [(48, 64), (80, 48), (37, 53), (200, 120)])
@pytest.mark.parametrize("size", [(64, 64), (32, 48), (96, 64)])
def test_undoing_brings_a_coarse_mask_back(shape, size):
    """Within the crop all but pixels near an edge return, and the crop is as large as it was."""
    frame = Frame(shape, size)
    mask = _blocks(*shape, size=max(12, min(shape) // 4)).long()
    probs = one_hot(frame.apply_mask(mask), 3).permute(2, 0, 1).float()
    back, covered = frame.undo(probs)
    assert back.shape == (3, *shape)
    torch.testing.assert_close(back.sum(0), torch.ones(shape))
    assert (back.argmax(0) == mask)[covered].float().mean() > 0.9
    seen = size[0] * size[1] / (frame.resized[0] * frame.resized[1])
    assert abs(covered.float().mean() - seen) < 0.05


def test_a_frame_of_the_same_size_changes_nothing():
    frame = Frame((20, 30), (20, 30))
    image = torch.randint(0, 256, (3, 20, 30), dtype=torch.uint8)
    probs = torch.rand(4, 20, 30)
    back, covered = frame.undo(probs)
    assert torch.equal(frame.apply_image(image), image)
    assert torch.equal(frame.apply_mask(image[0]), image[0])
    assert torch.equal(back, probs)
    assert covered.all()


def test_a_pure_crop_is_undone_exactly():
    frame = Frame((32, 48), (32, 32))
    probs = torch.rand(2, 32, 32)
    back, covered = frame.undo(probs)
    torch.testing.assert_close(back[:, :, 8:40], probs)
    assert torch.equal(covered.nonzero()[:, 1].unique(), torch.arange(8, 40))


@pytest.mark.parametrize("shape", [(100, 130), (64, 64), (41, 33), (256, 256)])
def test_image_and_mask_stay_aligned(shape):
    """A bright square has its centroid where its label has, and where scaling puts it."""
    frame = Frame(shape, (64, 64))
    mask = torch.zeros(shape, dtype=torch.uint8)
    top, left = shape[0] // 3, shape[1] // 3
    side = min(shape) // 4
    mask[top : top + side, left : left + side] = 1
    image = frame.apply_image((mask * 255).expand(3, *shape))[0].double()
    label = frame.apply_mask(mask).double()
    expected = [
        (at + side / 2) * new / old - start
        for at, new, old, start in zip(
            (top, left), frame.resized, shape, frame.corner, strict=True
        )
    ]
    assert _centroid(image) == pytest.approx(expected, abs=0.1)
    assert _centroid(label) == pytest.approx(expected, abs=0.5)
    back, _ = frame.undo(label[None].float())
    assert _centroid(back[0].double()) == pytest.approx(
        [top + side / 2, left + side / 2], abs=0.5 * max(shape) / 64
    )


def _centroid(weights):
    """Find the centre of mass in pixels, the first pixel's centre being at 0.5."""
    rows, columns = (torch.arange(n) + 0.5 for n in weights.shape)
    total = weights.sum()
    return [
        float((weights.sum(1) * rows).sum() / total),
        float((weights.sum(0) * columns).sum() / total),
    ]
