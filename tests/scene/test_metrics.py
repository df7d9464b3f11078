"""Scores: as a slow count over pixels and scenes has them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scene.labels import VOID, Labels
from scene.metrics import MaskScorer, class_score

PETS = Labels(("background", "cat", "dog"))


def _score(pairs, labels=PETS):
    scorer = MaskScorer(labels)
    for predicted, true in pairs:
        scorer.add(predicted, true)
    return scorer.score()


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 4), low=st.integers(0, 2))
def test_masks_agree_with_a_slow_count(seed, count, low):
    draw = torch.Generator().manual_seed(seed)
    pairs = []
    for _ in range(count):
        true = torch.randint(low, 4, (5, 6), generator=draw)
        true[true == 3] = VOID
        pairs.append((torch.randint(low, 3, (5, 6), generator=draw), true))
    result = _score(pairs)
    pixels = [
        (int(p), int(t)) for a, b in pairs for p, t in zip(a.flatten(), b.flatten(), strict=True)
    ]
    pixels = [(p, t) for p, t in pixels if t != VOID]
    for label, name in enumerate(PETS.names):
        both = sum(p == label and t == label for p, t in pixels)
        either = sum(p == label or t == label for p, t in pixels)
        assert result.iou[name] == (pytest.approx(100 * both / either) if either else None)
    known = [value for value in result.iou.values() if value is not None]
    if pixels:
        assert result.miou == pytest.approx(sum(known) / len(known))
        right = sum(p == t for p, t in pixels)
        assert result.accuracy == pytest.approx(100 * right / len(pixels))


def test_a_label_in_neither_truth_nor_prediction_is_left_out_of_the_mean():
    score = _score([(torch.tensor([[0, 1]]), torch.tensor([[0, 0]]))])
    assert score.iou == {"background": 50.0, "cat": 0.0, "dog": None}
    assert score.miou == 25.0


def test_void_is_not_scored_whatever_was_predicted_there():
    truth = torch.tensor([[0, VOID, VOID]])
    assert _score([(torch.tensor([[0, 1, 2]]), truth)]).miou == 100
    assert _score([(torch.tensor([[0, 1, 2]]), truth)]).iou["cat"] is None


def test_nothing_but_void_is_not_a_number():
    score = _score([(torch.zeros(1, 2).long(), torch.full((1, 2), VOID))])
    assert math.isnan(score.miou)
    assert math.isnan(score.accuracy)


def test_stored_bytes_are_counted_like_numbers():
    truth = torch.tensor([[0, 1, 2, VOID]], dtype=torch.uint8)
    assert _score([(torch.tensor([[0, 1, 2, 0]]), truth)]).miou == 100


def test_one_label_alone_can_be_scored():
    truth = torch.tensor([[0, VOID]])
    assert _score([(torch.zeros(1, 2).long(), truth)], Labels(("sky",))).iou == {"sky": 100.0}


def _slow_f1(probs, true):
    guess = [p >= 0.5 for p in probs]
    hits = sum(g and t for g, t in zip(guess, true, strict=True))
    return 200 * hits / (sum(guess) + sum(true))


def _slow_ap(probs, true):
    """Add up precision times the rise in recall, from the surest scene to the least sure."""
    total, result, area = sum(true), 0, 0.0
    ranked = sorted(zip(probs, true, strict=True), reverse=True)
    for rank, (_, there) in enumerate(ranked, start=1):
        result += there
        area += there * result / rank / total
    return 100 * area


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31), count=st.integers(2, 12))
def test_classes_agree_with_slow_scores(seed, count):
    draw = torch.Generator().manual_seed(seed)
    probs = torch.rand(count, 2, generator=draw)
    true = torch.randint(2, (count, 2), generator=draw).float()
    true[0] = 1
    result = class_score(PETS, probs, true)
    for c, name in enumerate(PETS.classes):
        columns = probs[:, c].tolist(), true[:, c].long().tolist()
        assert result.f1[name] == pytest.approx(_slow_f1(*columns), abs=1e-3)
        assert result.ap[name] == pytest.approx(_slow_ap(*columns), abs=1e-3)
    assert result.macro_f1 == pytest.approx(sum(result.f1.values()) / 2)
    assert result.map == pytest.approx(sum(result.ap.values()) / 2)


def test_a_class_that_never_occurs_is_left_out():
    score = class_score(PETS, torch.tensor([[0.9, 0.8]]), torch.tensor([[1.0, 0.0]]))
    assert score.f1 == {"cat": 100.0, "dog": None}
    assert score.macro_f1 == score.map == 100
    nothing = class_score(PETS, torch.rand(3, 2), torch.zeros(3, 2))
    assert math.isnan(nothing.macro_f1)
    assert math.isnan(nothing.map)


def test_a_dataset_of_one_class_can_be_scored():
    cats = Labels(("background", "cat"))
    score = class_score(cats, torch.tensor([[0.9], [0.2]]), torch.tensor([[1.0], [0.0]]))
    assert score.f1 == score.ap == {"cat": 100.0}


def test_counts_of_several_scorers_add_up():
    """Scenes shared out among scorers score as if one had seen them all."""
    masks = torch.randint(3, (4, 2, 5, 6))
    masks[0, 1, 0] = VOID
    whole, parts = MaskScorer(PETS), MaskScorer(PETS)
    for predicted, true in masks:
        whole.add(predicted, true)
        part = MaskScorer(PETS)
        part.add(predicted, true)
        parts.add_counts(part.counts)
    assert parts.counts.equal(whole.counts)
    assert parts.score() == whole.score()


@pytest.mark.parametrize("seed", range(40))
def test_scores_are_those_of_torchmetrics_to_the_last_bit(seed):
    """F1 and average precision, with ties and without, and the confusion matrix."""
    from torchmetrics.functional.classification import (
        binary_average_precision,
        binary_f1_score,
        multiclass_confusion_matrix,
    )

    draw = torch.Generator().manual_seed(seed)
    count = int(torch.randint(2, 300, (), generator=draw))
    probs, true = torch.rand(count, 3, generator=draw), torch.rand(count, 3, generator=draw) < 0.4
    if seed % 2:
        probs = (7 * probs).round() / 7
    pets = Labels(("background", "cat", "dog", "bird"))
    result = class_score(pets, probs, true.float(), 0.5)
    for column, name in enumerate(pets.classes):
        guess, truth = probs[:, column], true[:, column].long()
        if truth.any():
            assert result.f1[name] == 100 * float(binary_f1_score(guess, truth, 0.5))
            assert result.ap[name] == 100 * float(binary_average_precision(guess, truth))
    masks = torch.randint(4, (2, 9, 9), generator=draw)
    masks[1, :2] = 255
    scorer = MaskScorer(pets)
    scorer.add(masks[0], masks[1])
    expected = multiclass_confusion_matrix(masks[0], masks[1], 4, ignore_index=255)
    assert scorer.counts.equal(expected)


def test_masks_that_cannot_be_compared_are_refused():
    scorer = MaskScorer(Labels(("background", "cat")))
    with pytest.raises(ValueError, match=r"\(1, 2\) cannot be scored against one of \(1, 3\)"):
        scorer.add(torch.zeros(1, 2), torch.zeros(1, 3))
    with pytest.raises(ValueError, match="The prediction holds an id that is none of the 2 lab"):
        scorer.add(torch.full((1, 2), 2), torch.zeros(1, 2))
    with pytest.raises(ValueError, match="The ground truth holds an id that is none of the 2"):
        scorer.add(torch.zeros(1, 2), torch.full((1, 2), 7))
    assert not scorer.counts.any()
