"""Many photographs: each is segmented as it is alone, and few are held at once."""

import gc
import threading
from weakref import WeakSet

import pytest
import torch

from inference.build import Assembly, assemble
from inference.guides import EmptyGuide
from inference.objectives.bounds import IWAE
from inference.segmentation import photo_batches
from inference.segmentation.photo_batches import BATCH, segment_files
from inference.segmentation.photos import Done, Failed, outputs_of, photos_of
from inference.segmentation.segmentation import Segmentation
from inference.segmentation.segmenter import Segmenter
from inference.settings.recipes import recipe
from scene.discriminative import SegmentedScene
from scene.images.io import read_image, read_mask, write_image
from scene.labels import Labels
from scene.views import Schema

PETS = Labels(("background", "cat", "dog"))
SCHEMA = Schema(PETS, (16, 16))
THREADS = 3


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    assert torch.get_num_threads() == THREADS
    torch.set_num_threads(before)


@pytest.fixture
def segmenter():
    torch.manual_seed(0)
    model = SegmentedScene(SCHEMA, width=2).eval()
    return Segmenter(Assembly(model, EmptyGuide(SCHEMA, ("image",)), IWAE(1)), SCHEMA, "mask")


@pytest.fixture
def tasks(tmp_path):
    """Make the tasks of so many photographs of several sizes."""

    def make(count, kinds=("mask", "overlay")):
        draw = torch.Generator().manual_seed(1)
        for n in range(count):
            image = torch.rand(3, 20 + n % 3, 30, generator=draw)
            write_image(tmp_path / "in" / f"{n:03}.png", image)
        return outputs_of(photos_of([str(tmp_path / "in")])[0], kinds, tmp_path / "out")

    return make


class _Plain:
    """A segmenter whose segmentations are counted while anything holds them."""

    def __init__(self):
        self.held, self.most, self.lock = WeakSet(), 0, threading.Lock()

    def segment(self, image, known=None):
        size = (image.shape[1], image.shape[2])
        result = Segmentation(torch.full((3, *size), 1 / 3), size, PETS, image)
        with self.lock:
            self.held.add(result)
            self.most = max(self.most, len(self.held))
        return result

    def prepare(self, images):
        return [lambda image=image: self.segment(image) for image in images]


def test_masks_are_those_of_one_photograph_after_another(segmenter, tasks):
    some = tasks(11)
    results = list(segment_files(segmenter, some))
    assert [result.task for result in results] == some
    for result in results:
        alone = segmenter.segment(read_image(result.task.photo))
        assert read_mask(result.task.files["mask"], PETS).equal(alone.mask)
        assert torch.allclose(result.segmentation.grid, alone.grid, atol=1e-5)


def test_z_is_drawn_alike_for_every_photograph_of_a_batch(tasks):
    options = {"size": (16, 16), "width": 4, "latent": 4, "guide_width": 4}
    torch.manual_seed(0)
    assembly = assemble(recipe("cvae").settings(**options), SCHEMA)
    assembly.model.eval()
    segmenter = Segmenter(assembly, SCHEMA, "mask", seed=3)
    state = torch.get_rng_state()
    for result in segment_files(segmenter, tasks(7, ("mask",))):
        alone = segmenter.segment(read_image(result.task.photo))
        assert torch.allclose(result.segmentation.grid, alone.grid, atol=1e-5)
    assert torch.get_rng_state().equal(state)


def test_a_broken_file_in_a_batch_stops_no_other(segmenter, tasks):
    some = tasks(12)
    for n in (0, 5, 6):
        some[n].photo.write_bytes(some[n].photo.read_bytes()[:60])
    some[9].photo.unlink()
    results = list(segment_files(segmenter, some))
    failed = [n for n, result in enumerate(results) if isinstance(result, Failed)]
    assert failed == [0, 5, 6, 9]
    assert [result.name for result in results if isinstance(result, Failed)] == [
        str(some[n].photo) for n in failed
    ]
    assert all(some[n].files["mask"].exists() is (n not in failed) for n in range(12))


def test_a_photograph_that_the_network_refuses_stops_no_other(tasks):
    class Picky(_Plain):
        def segment(self, image, known=None):
            if image.shape[1] == 21:
                raise ValueError("Too odd.")
            return super().segment(image)

        def prepare(self, images):
            return [self.segment(image) for image in images] and super().prepare(images)

    results = list(segment_files(Picky(), tasks(9, ("mask",))))
    assert [isinstance(result, Failed) for result in results] == [n % 3 == 1 for n in range(9)]
    assert results[1].reason == "Too odd."


def test_memory_is_that_of_a_few_photographs_however_many_there_are(tasks):
    plain, count = _Plain(), 0
    for result in segment_files(plain, tasks(90, ("mask",))):
        count += isinstance(result, Done)
        del result
    gc.collect()
    assert (count, len(plain.held)) == (90, 0)
    assert plain.most <= (THREADS + 2) * BATCH


def test_when_it_is_interrupted_what_is_written_is_whole(tasks, tmp_path):
    class Slow(_Plain):
        def segment(self, image, known=None):
            threading.Event().wait(0.005)
            return super().segment(image)

    some = tasks(60)
    results = segment_files(Slow(), some)
    for _ in range(3):
        next(results)
    results.close()
    written = [[path.exists() for path in task.files.values()] for task in some]
    assert all(all(each) or not any(each) for each in written)
    assert 3 <= sum(map(all, written)) < 60
    assert not list((tmp_path / "out").glob(".*"))
    assert not [t for t in threading.enumerate() if t.name.startswith("segment")]


def test_large_photographs_are_held_in_smaller_numbers(tasks, monkeypatch):
    some = tasks(8)  # of 600 to 660 pixels
    monkeypatch.setattr(photo_batches, "HELD", 16 * 1300)
    assert [len(batch.tasks) for batch in photo_batches._batches(some, BATCH)] == [2] * 4
    monkeypatch.setattr(photo_batches, "HELD", 1000)
    plain = _Plain()
    assert len(list(segment_files(plain, some))) == 8
