"""Masks overlap as sets do, and as they are scored."""

import pytest
import torch

from inference.experiments.generate import overlap
from scene.labels import Labels

PETS = Labels(("background", "cat", "dog"))


@pytest.fixture
def masks():
    return torch.randint(3, (5, 8, 8), generator=torch.Generator().manual_seed(0))


def test_overlap_is_one_for_itself_alike_both_ways_and_nought_for_others(masks):
    other = (masks + torch.arange(5).view(-1, 1, 1)) % 3
    assert overlap(masks, masks, PETS).tolist() == [1.0] * 5
    assert overlap(masks, other, PETS).equal(overlap(other, masks, PETS))
    assert overlap(masks, (masks + 1) % 3, PETS).tolist() == [0.0] * 5


def test_overlap_is_the_mean_iou_that_masks_are_scored_by(masks):
    from scene.metrics import MaskScorer

    other = masks.clone()
    other[:, :4] = 1
    for b in range(5):
        scorer = MaskScorer(PETS)
        scorer.add(other[b : b + 1], masks[b : b + 1])
        assert 100 * overlap(other, masks, PETS)[b] == pytest.approx(scorer.score().miou)
