"""What class maps cost: 20 classes of VGG-16 at 321 × 321, against one forward pass."""

import statistics
import time
import warnings

import pytest
import torch

from inference.segmentation.gradcam import cams
from scene.networks.classifiers import make_classifier

CLASSES, SIDE, ROUNDS = 20, 321, 5


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return make_classifier("vgg16", CLASSES).eval()


@pytest.fixture(scope="module")
def image():
    return torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def seconds():
    """Give a function that times calls in turns: the median of each, in processor seconds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def medians(*calls, rounds=ROUNDS):
        times = [[_seconds(call) for call in calls] for _ in range(rounds + 1)][1:]
        return [statistics.median(column) for column in zip(*times, strict=True)]

    yield medians
    torch.set_num_threads(threads)


def _seconds(call):
    start = time.process_time()
    call()
    return time.process_time() - start


@pytest.mark.parametrize(("method", "most"), [("closed", 1.2), ("batched", 2.0)])
def test_all_classes_cost_little_more_than_a_forward_pass(net, image, seconds, say, method, most):
    def forward():
        with torch.no_grad():
            net(image)

    plain, mapped = seconds(forward, lambda: cams(net, image, method=method))
    say(f"forward {plain:.2f} s, {CLASSES} maps {mapped:.2f} s: {mapped / plain:.2f} forwards")
    assert mapped / plain <= most


def test_the_usual_package_takes_fifty_times_as_long(net, image, seconds, say):
    """It goes forward and back for every class; two of its classes are timed, for all 20."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pytorch_grad_cam import GradCAM
            from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError:
        say("skipped: the grad-cam package is not installed")
        pytest.skip("the grad-cam package is not installed")
    some = (0, 7)
    theirs = GradCAM(net, [net.stages.conv5_3])

    def theirs_of_some():
        for c in some:
            theirs(image, [ClassifierOutputTarget(c)])

    ours, part = seconds(lambda: cams(net, image), theirs_of_some, rounds=3)
    whole = part * CLASSES / len(some)
    say(f"ours {ours:.2f} s, theirs {whole:.1f} s for {CLASSES} classes: {whole / ours:.0f} times")
    theirs.activations_and_grads.release()
    assert whole / ours >= 50
