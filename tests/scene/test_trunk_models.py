"""Models with a trunk: a segmenter and a cVAE read images by any classifier."""

import pytest
import torch

from scene.conditional import ConditionalScene
from scene.discriminative import SegmentedScene
from scene.labels import Labels
from scene.networks.image_encoders import TrunkEncoder
from scene.views import Schema, Views

PETS = Labels(("background", "cat", "dog"))


@pytest.mark.parametrize("size", [(32, 48), (50, 37)])
def test_a_segmenter_labels_every_pixel_by_a_trunk(size):
    model = SegmentedScene(Schema(PETS, size), 4, "test_resnet", tuned_stages=0).eval()
    views = Views({"image": torch.rand(2, 3, *size)})
    probs = model.decode(None, views, ["mask"])["mask"].probs
    assert probs.shape == (2, 3, *size)
    torch.testing.assert_close(probs.sum(1), torch.ones(2, *size))
    trunk = model.net.pyramid.encoder.trunk
    assert not [p for p in trunk.parameters() if p.requires_grad]


def test_the_usual_segmenter_is_a_unet_and_takes_no_weights():
    with pytest.raises(ValueError, match="always trained from scratch"):
        SegmentedScene(Schema(PETS, (32, 32)), weights="imagenet")
    with pytest.raises(ValueError, match="leave --tuned-stages out"):
        SegmentedScene(Schema(PETS, (32, 32)), tuned_stages=1)


@pytest.mark.parametrize("spatial", [0, 2])
def test_a_conditional_scene_reads_by_a_trunk(spatial):
    torch.manual_seed(0)
    schema = Schema(PETS, (40, 32))
    model = ConditionalScene(
        schema, 4, 4, "test_resnet", hidden=8, spatial=spatial, stride=8, tuned_stages=1
    )
    views = Views({"image": torch.rand(2, 3, 40, 32), "mask": torch.randint(0, 3, (2, 40, 32))})
    seen = []
    model.backbone.trunk.stages[0].register_forward_hook(lambda *_: seen.append(1))
    likelihood = model.decode(torch.randn(5, 2, model.latent), views, ["mask"])["mask"]
    assert likelihood.batch_shape == (5, 2)
    assert len(seen) == 1, "the trunk reads an image once for all draws and for the grid"
    assert isinstance(model.backbone, TrunkEncoder)
    assert (model.pyramid is not None) == bool(spatial)
    likelihood.log_prob(views["mask"]).sum().backward()
    assert all(p.grad is not None for p in model.backbone.laterals[-1].parameters())
    names = [name for name in model.state_dict() if "trunk" in name]
    assert all(name.startswith("backbone.") for name in names), "a trunk is saved once"


def test_the_network_of_a_conditional_scene_with_a_small_backbone_is_as_it_was():
    torch.manual_seed(0)
    model = ConditionalScene(Schema(PETS, (32, 32)), 4, 2, hidden=8, spatial=1)
    assert {name.split(".")[0] for name in model.state_dict()} == {
        "backbone",
        "bottleneck",
        "pyramid",
        "mask",
    }
    assert any(name.startswith("pyramid.encoder.convolutions") for name in model.state_dict())
