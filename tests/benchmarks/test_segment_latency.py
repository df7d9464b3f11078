"""What `scene segment` costs, against the same stages put together from two packages.

A photograph of 500×375, VGG-16 with weights drawn at random, 20 classes and background: reading,
network, class maps, CRF, and writing mask and overlay. Both sides read and write alike, run in
one process by turns, and are charged the processor time of one thread of torch; the least of
`ROUNDS` counts. ``whole`` is all of the chain: class maps of 20 classes, the network of SEC, the
CRF, and files twice. ``sec+crf`` alone holds no class maps, and most of it is the same network on
both sides.
"""

import time
from importlib.util import find_spec

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from inference.build import Assembly
from inference.guides import EmptyGuide
from inference.objectives.bounds import IWAE
from inference.segmentation.photo_batches import segment_files
from inference.segmentation.photos import Done, PhotoTask
from inference.segmentation.segmenter import Segmenter
from scene.discriminative import ClassifiedScene, CoarseScene
from scene.images.io import read_image, read_mask, write_image, write_mask
from scene.images.overlay import overlaid
from scene.labelmap import VOC
from scene.views import Schema

ROUNDS = 2
SCHEMA = Schema(VOC, (321, 321))


@pytest.fixture(scope="module")
def models():
    """Make a classifier and the network of SEC, untrained."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    networks = {
        "gradcam": ClassifiedScene(SCHEMA, backbone="vgg16"),
        "sec": CoarseScene(SCHEMA, net="largefov"),
    }
    networks["gradcam"].threshold = 0.4  # of random weights, so that some classes are present
    yield {name: model.eval() for name, model in networks.items()}
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """Draw a photograph: shapes with edges, shading and grain, as JPEG."""
    folder = tmp_path_factory.mktemp("photo")
    rng = np.random.default_rng(0)
    patches = rng.integers(30, 226, (5, 7, 3)).astype(np.uint8)
    large = np.array(Image.fromarray(patches).resize((500, 375), Image.Resampling.NEAREST))
    shade = np.linspace(-25, 25, 500)[None, :, None] + rng.normal(0, 6, (375, 500, 3))
    pixels = np.clip(large + shade, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "photo.jpg", quality=90)
    return folder / "photo.jpg"


def ours(models, stage, photo, folder):
    """Give a call that does what the command does between its start and its end."""
    model = models[stage.partition("+")[0]]
    assembly = Assembly(model, EmptyGuide(SCHEMA, ("image",)), IWAE(1))
    segmenter = Segmenter(assembly, SCHEMA, stage)
    files = {kind: folder / f"ours_{stage}_{kind}.png" for kind in ("mask", "overlay")}

    def call():
        (done,) = segment_files(segmenter, [PhotoTask(photo, files)])
        assert isinstance(done, Done)

    return call, files["mask"]


def theirs(models, stage, photo, folder):
    """Give a call that assembles the same from the grad-cam package and pydensecrf2."""
    files = {kind: folder / f"theirs_{stage}_{kind}.png" for kind in ("mask", "overlay")}

    def call():
        image = read_image(photo)
        seen = F.interpolate(image[None], SCHEMA.size, mode="bilinear", antialias=True) / 255
        source = models[stage.partition("+")[0]]
        probs = (
            package_maps(source, seen) if stage.startswith("gradcam") else network(source, seen)
        )
        probs = F.interpolate(probs, image.shape[1:], mode="bilinear", align_corners=False)[0]
        pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
        mask = torch.from_numpy(
            package_crf(probs.numpy(), pixels) if "+" in stage else probs.numpy()
        )
        mask = mask.argmax(0)
        write_mask(files["mask"], mask, VOC)
        write_image(files["overlay"], overlaid(image, mask, VOC))

    return call, files["mask"]


def network(model, seen):
    with torch.no_grad():
        probs = model.net(seen).softmax(1)
    return F.interpolate(probs, SCHEMA.size, mode="bilinear", align_corners=True)


def package_maps(model, seen):
    """Map 20 classes one after another, as the package does, then as the notes."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with torch.no_grad():
        present = model.net(seen)[0].sigmoid() > model.threshold
    with GradCAM(model=model.net, target_layers=[model.net.stages[-1]]) as look:
        maps = [look(seen, [ClassifierOutputTarget(c)])[0] for c in range(20)]
    present_maps = torch.from_numpy(np.stack(maps)) * present[:, None, None]
    background = (1 - present_maps.sum(0)).clamp(min=0)
    probs = torch.cat([background[None], present_maps])
    return (probs / probs.sum(0))[None]


def package_crf(probs, pixels):
    from pydensecrf.densecrf import DenseCRF2D
    from pydensecrf.utils import unary_from_softmax

    labels, height, width = probs.shape
    field = DenseCRF2D(width, height, labels)
    field.setUnaryEnergy(np.ascontiguousarray(unary_from_softmax(probs, clip=1e-5)))
    field.addPairwiseGaussian(sxy=3, compat=3)
    field.addPairwiseBilateral(sxy=80, srgb=13, rgbim=pixels, compat=10)
    return np.array(field.inference(10)).reshape(probs.shape)


def agreement(one, other):
    """Say which share of two masks is alike; the package also subtracts a map's minimum."""
    return (read_mask(one, VOC) == read_mask(other, VOC)).float().mean().item()


def timed(*calls):
    """Give the least processor time of each call, in seconds, taken by turns."""
    times = [[] for _ in calls]
    for _ in range(ROUNDS):
        for call, kept in zip(calls, times, strict=True):
            start = time.process_time()
            call()
            kept.append(time.process_time() - start)
    return [min(kept) for kept in times]


def test_segmenting_takes_a_fifth_of_what_the_packages_take(models, photo, tmp_path, say):
    """What the package's 20 passes cost is measured once a round, and the CRF's part added."""
    for package in ("pytorch_grad_cam", "pydensecrf"):
        if find_spec(package) is None:
            say(f"skipped: {package} is not installed")
            pytest.skip(f"{package} is not installed")
    own = {
        s: ours(models, s, photo, tmp_path) for s in ("gradcam", "gradcam+crf", "sec", "sec+crf")
    }
    other = {s: theirs(models, s, photo, tmp_path) for s in ("gradcam", "sec", "sec+crf")}
    for _, (call, _) in own.items():
        call()  # numba compiles
    times = timed(*(call for call, _ in (*own.values(), *other.values())))
    mine, yours = dict(zip(own, times[:4], strict=True)), dict(zip(other, times[4:], strict=True))
    yours["gradcam+crf"] = yours["gradcam"] + yours["sec+crf"] - yours["sec"]
    mine["whole"], yours["whole"] = (t["gradcam"] + t["sec+crf"] for t in (mine, yours))
    mine["crf"], yours["crf"] = (t["sec+crf"] - t["sec"] for t in (mine, yours))
    for name in mine:
        ratio = yours[name] / mine[name]
        say(f"{name}: {mine[name]:.2f} s against {yours[name]:.2f} s, {ratio:.1f} times")
    alike = {s: agreement(path, own[s][1]) for s, (_, path) in other.items()}
    say("pixels alike: " + ", ".join(f"{stage} {part:.1%}" for stage, part in alike.items()))
    assert min(alike.values()) > 0.8
    assert yours["gradcam+crf"] >= 5 * mine["gradcam+crf"]
    assert yours["whole"] >= 5 * mine["whole"]
    assert yours["sec+crf"] >= mine["sec+crf"]
