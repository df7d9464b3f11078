"""Coherence: classes are there from a share of the pixels on; masks overlap as sets do."""

import pytest
import torch

from scene.coherence import overlap, present
from scene.labels import VOID, Labels

PETS = Labels(("background", "cat", "dog"))


@pytest.fixture
def masks():
    return torch.randint(3, (5, 8, 8), generator=torch.Generator().manual_seed(0))


def test_without_a_least_area_a_class_is_there_where_any_pixel_is(masks):
    masks[0], masks[1, :4] = 0, VOID
    assert present(masks, PETS, 0).float().equal(PETS.vector(masks))


def test_a_class_is_there_from_the_least_area_on():
    mask = torch.zeros(1, 10, 10, dtype=torch.long)
    mask[0, 0, :5] = 2
    for least, there in ((0.04, True), (0.05, True), (0.06, False)):
        assert present(mask, PETS, least).tolist() == [[False, there]]


def test_a_dataset_without_background_has_every_label_as_a_class(masks):
    assert present(masks, Labels(("sky", "sea", "land")), 0).shape == (5, 3)


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
