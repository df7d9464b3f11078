"""Photographs a second of `scene segment FOLDER`, against a loop over photographs.

The VOC photographs of `SCENE_DATA` (about 500×375, 7 of them) are copied `COPIES` times;
EfficientNet-Lite0 at 224×224, dense CRF, mask and overlay. The loop reads, segments and writes one
photograph after another, with all threads on each. Both run by turns, with as many threads as
torch uses, on random weights of the last layer, which cost the same. Also printed: the processor
time of a photograph, which other programs on the machine change less.
"""

import os
import shutil
import statistics
import time
from pathlib import Path

import pytest
import torch

from inference.build import Assembly
from inference.guides import EmptyGuide
from inference.objectives.bounds import IWAE
from inference.segmentation.imagenet import imagenet_segmenter
from inference.segmentation.photo_batches import segment_files
from inference.segmentation.photos import Done, outputs_of
from inference.segmentation.segmentation import write
from inference.segmentation.segmenter import Segmenter
from scene.discriminative import ClassifiedScene, CoarseScene
from scene.images.io import read_image, read_mask
from scene.labelmap import VOC
from scene.networks.trunks import packaged_weights
from scene.views import Schema

COPIES, ROUNDS = 2, 2
NET, SCHEMA = "tf_efficientnet_lite0", Schema(VOC, (224, 224))


@pytest.fixture
def photos(tmp_path, say):
    home = os.environ.get("SCENE_DATA")
    found = sorted(Path(home or ".", "voc-samples").rglob("*.jpg")) if home else []
    if not found:
        say("skipped: SCENE_DATA names no folder with voc-samples")
        pytest.skip("SCENE_DATA names no folder with voc-samples")
    return [
        Path(shutil.copy(photo, tmp_path / f"{copy}-{photo.name}"))
        for copy in range(COPIES)
        for photo in found
    ]


def segmenter_of(kind, say):
    torch.manual_seed(0)
    if kind == "imagenet":
        if packaged_weights(NET) is None:
            say("skipped: the extra weights is not installed")
            pytest.skip("the extra weights is not installed")
        return imagenet_segmenter(device="cpu")
    if kind == "sec":
        model = CoarseScene(SCHEMA, net=NET)
    else:
        model = ClassifiedScene(SCHEMA, backbone=NET, threshold=0.5)
    assembly = Assembly(model.eval(), EmptyGuide(SCHEMA, ("image",)), IWAE(1))
    return Segmenter(assembly, SCHEMA, f"{kind}+crf")


def one_by_one(segmenter, tasks):
    for task in tasks:
        segmentation = segmenter.segment(read_image(task.photo))
        for kind, path in task.files.items():
            write(kind, path, segmentation)


def in_batches(segmenter, tasks):
    for result in segment_files(segmenter, tasks):
        assert isinstance(result, Done)


@pytest.mark.parametrize("kind", ["sec", "gradcam", "imagenet"])
def test_a_folder_is_segmented_faster_than_its_photographs_one_by_one(kind, photos, tmp_path, say):
    segmenter = segmenter_of(kind, say)
    tasks = {
        run: outputs_of(photos, ("mask", "overlay"), tmp_path / run.__name__)
        for run in (one_by_one, in_batches)
    }
    for run, some in tasks.items():
        run(segmenter, some[:7])  # numba compiles
    wall, busy = {run: [] for run in tasks}, {run: [] for run in tasks}
    for _ in range(ROUNDS):
        for run, some in tasks.items():
            start = time.perf_counter(), time.process_time()
            run(segmenter, some)
            wall[run].append(time.perf_counter() - start[0])
            busy[run].append(time.process_time() - start[1])
    for run in tasks:
        rate, cost = len(photos) / min(wall[run]), min(busy[run]) / len(photos)
        say(f"{kind}, {run.__name__}: {rate:.2f} photographs a second, {cost:.3f} s of CPU each")
    ratio = statistics.median(a / b for a, b in zip(*wall.values(), strict=True))
    differ = [
        (read_mask(a.files["mask"], VOC) != read_mask(b.files["mask"], VOC)).float().mean().item()
        for a, b in zip(*tasks.values(), strict=True)
        if kind != "imagenet"
    ]
    say(f"{kind}: {ratio:.2f} times the loop, {torch.get_num_threads()} threads; pixels that "
        f"differ: {max(differ, default=0):.2e} at most")  # fmt: skip
    assert ratio > (1 if torch.get_num_threads() > 1 else 0.8)  # one thread has nothing to overlap
    assert max(differ, default=0) < 1e-3
