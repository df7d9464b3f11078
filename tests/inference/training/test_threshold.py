import pytest
import torch
from torchmetrics.functional.classification import multilabel_f1_score

from inference.build import Assembly
from inference.guides import EmptyGuide
from inference.training.threshold import CANDIDATES, best_threshold, calibrate
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.discriminative import ClassifiedScene


def test_the_best_threshold_has_the_highest_macro_f1():
    draw = torch.Generator().manual_seed(0)
    true = (torch.rand(60, 3, generator=draw) < 0.3).long()
    probs = (0.4 * true + 0.6 * torch.rand(60, 3, generator=draw)) ** 2
    scores = [multilabel_f1_score(probs, true, 3, threshold=t).item() for t in CANDIDATES]
    chosen = best_threshold(probs, true.float())
    assert scores[CANDIDATES.index(chosen)] == pytest.approx(max(scores))
    assert max(scores) > multilabel_f1_score(probs, true, 3).item()


def test_of_equals_the_nearest_to_one_half_is_chosen():
    true = torch.tensor([[1.0], [0.0]])
    assert best_threshold(torch.tensor([[0.9], [0.1]]), true) == 0.5


def test_a_class_that_never_occurs_has_no_say():
    true, probs = torch.tensor([[1.0], [0.0], [1.0]]), torch.tensor([[0.3], [0.2], [0.8]])
    more = torch.cat([true, torch.zeros(3, 1)], 1), torch.cat([probs, torch.rand(3, 1)], 1)
    assert best_threshold(more[1], more[0]) == best_threshold(probs, true)


def test_the_threshold_is_kept_with_the_weights():
    scenes = SyntheticScenes("tune", "confounded", (16, 16), 12)
    torch.manual_seed(0)
    model = ClassifiedScene(scenes.schema, width=2)
    chosen = calibrate(Assembly(model, EmptyGuide(scenes.schema, ("image",)), None), scenes, 5)
    other = ClassifiedScene(scenes.schema, width=2)
    other.load_state_dict(model.state_dict())
    assert model.threshold == other.threshold == chosen != 0.5
