"""Order: which scenes a step sees is a function of the seed and the step, and nothing else."""

import os
import signal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.training.batches import Order, batches
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.views import VIEWS


@pytest.fixture
def scenes():
    return SyntheticScenes("train", size=(16, 16), count=7)


def _equal(one, other):
    return all(a[name].equal(b[name]) for a, b in zip(one, other, strict=True) for name in VIEWS)


@settings(deadline=None, max_examples=50)
@given(
    scenes=st.integers(1, 30),
    size=st.integers(1, 40),
    seed=st.integers(0, 2**63),
    cut=st.integers(0, 9),
)
def test_training_can_resume_at_any_step(scenes, size, seed, cut):
    whole = list(Order(scenes, size, seed, 0, 9))
    assert [*Order(scenes, size, seed, 0, cut), *Order(scenes, size, seed, cut, 9)] == whole
    assert len(Order(scenes, size, seed, cut, 9)) == 9 - cut


@settings(deadline=None, max_examples=50)
@given(scenes=st.integers(1, 30), size=st.integers(1, 40), seed=st.integers(0, 99))
def test_every_scene_comes_once_an_epoch_and_every_draw_has_its_own_seed(scenes, size, seed):
    draws = [draw for step in Order(scenes, size, seed, 0, 2 * scenes) for draw in step]
    for first in range(0, len(draws) - scenes + 1, scenes):
        assert sorted(index for index, _ in draws[first : first + scenes]) == list(range(scenes))
    assert len({seed for _, seed in draws}) == len(draws)


def test_epochs_and_seeds_come_in_different_orders():
    def order(seed, step):
        return [index for index, _ in next(iter(Order(50, 50, seed, step, step + 1)))]

    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)
    assert order(0, 1) != order(1, 0)


@pytest.mark.parametrize("kind", ["none", "flip", "crop"])
def test_augmentation_is_reproducible_and_resumes(scenes, kind):
    whole, again = (list(batches(scenes, 3, 5, range(6), kind)) for _ in range(2))
    assert _equal(whole, again)
    assert _equal(whole[4:], list(batches(scenes, 3, 5, range(4, 6), kind)))


def test_augmentation_varies_a_scene_from_epoch_to_epoch(scenes):
    one = SyntheticScenes("train", size=(16, 16), count=1)
    seen = [views["image"] for views in batches(one, 1, 0, range(8), "crop")]
    assert len({tuple(image.flatten().tolist()) for image in seen}) == 8


def test_workers_load_what_one_process_would(scenes):
    alone = list(batches(scenes, 3, 5, range(3), "crop"))
    assert _equal(alone, list(batches(scenes, 3, 5, range(3), "crop", workers=1)))


def test_the_global_random_state_is_not_touched(scenes):
    """Else a resumed run, which starts its loader anew, would draw other noise."""
    before = torch.get_rng_state()
    list(batches(scenes, 3, 5, range(2), "crop"))
    assert torch.get_rng_state().equal(before)


def test_a_batch_holds_the_scenes_of_its_order(scenes):
    (indices,) = [[i for i, _ in step] for step in Order(7, 4, 3, 2, 3)]
    (views,) = batches(scenes, 4, 3, range(2, 3))
    assert views["image"].equal(scenes.views(indices)["image"])


def test_an_unknown_augmentation_is_answered_with_the_nearest(scenes):
    with pytest.raises(LookupError, match=r"'flpi'. Did you mean 'flip'"):
        batches(scenes, 3, 5, range(2), "flpi")


def test_no_scenes_are_refused(scenes):
    class Nothing(SyntheticScenes):
        def __len__(self):
            return 0

    with pytest.raises(ValueError, match=r"The split 'train' of synthetic-default is empty"):
        batches(Nothing(size=(16, 16), count=1), 3, 5, range(2))


class Broken(SyntheticScenes):
    """Scenes of which the second cannot be read."""

    def views(self, indices):
        if 1 in indices:
            raise self.why
        return super().views(indices)


@pytest.mark.parametrize(
    "why", [ValueError("a.png is damaged."), FileNotFoundError(2, "No such file", "a.png")]
)
def test_a_refusal_is_the_same_sentence_whichever_process_meets_it(why):
    scenes = Broken("train", size=(16, 16), count=2)
    scenes.why = why
    refusals = []
    for workers in (0, 1):
        with pytest.raises(type(why)) as refusal:
            list(batches(scenes, 2, 0, range(1), workers=workers))
        refusals.append((str(refusal.value), refusal.value.args))
    assert refusals[0] == refusals[1]
    assert "Traceback" not in refusals[1][0]


def test_a_worker_that_is_killed_is_a_sentence(scenes, monkeypatch):
    monkeypatch.setattr(SyntheticScenes, "views", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(ChildProcessError, match=r"stopped unexpectedly, .* use fewer --workers"):
        list(batches(scenes, 3, 5, range(3), workers=1))
