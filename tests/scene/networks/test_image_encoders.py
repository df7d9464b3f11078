"""Image encoders on a trunk: the layout of an encoder, whatever the network and the size."""

import pytest
import torch

from scene.networks.encoders import Encoder
from scene.networks.image_encoders import SIDE, TrunkEncoder, make_backbone
from scene.networks.memory import remembering
from scene.networks.spatial import FeaturePyramid, Latent


@pytest.mark.parametrize("size", [(32, 32), (50, 37), (64, 64), (200, 136)])
@pytest.mark.parametrize(
    ("backbone", "stride"),
    [("test_resnet", 16), ("test_efficientnet", 8), ("test_convnext", 32), ("squeezenet1_1", 16)],
)
def test_a_trunk_gives_maps_as_an_encoder_does(backbone, stride, size):
    torch.manual_seed(0)
    trunk, plain = (
        TrunkEncoder(size, 4, backbone, stride=stride).eval(),
        Encoder(3, size, 4).eval(),
    )
    image = torch.rand(2, 3, *size)
    with torch.no_grad():
        ours, theirs = trunk.feature_maps(image), plain.feature_maps(image)
        assert [m.shape for m in ours] == [m.shape for m in theirs]
        assert trunk(image).shape == plain(image).shape == (2, trunk.features)
        torch.testing.assert_close(trunk(image), trunk.vector(ours[-1]))
        assert trunk(image[:, None]).shape == (2, 1, trunk.features)


def test_small_images_are_enlarged_and_large_ones_are_not():
    seen = []
    for size in ((32, 48), (160, 192)):
        net = TrunkEncoder(size, 2, "test_resnet").eval()
        net.trunk.stages[0].register_forward_pre_hook(lambda _, args: seen.append(args[0].shape))
        net(torch.rand(1, 3, *size))
    assert [tuple(shape[-2:]) for shape in seen] == [(SIDE, SIDE * 3 // 2), (160, 192)]


def test_a_grid_of_cells_reads_all_stages_of_a_trunk():
    size, latent = (50, 37), Latent(0, 2, 4, (50, 37))
    net = FeaturePyramid(TrunkEncoder(size, 4, "test_resnet"), latent, 4).eval()
    image = torch.rand(2, 3, *size, requires_grad=True)
    features = net(image)
    assert features.shape == (2, net.features, *latent.grid[1:])
    features.sum().backward()
    assert len(set(net.encoder.chosen)) > 1
    assert all(p.grad is not None for p in net.up.parameters())


def test_frozen_stages_of_a_trunk_keep_weights_and_statistics():
    torch.manual_seed(0)
    net = TrunkEncoder((48, 48), 4, "test_resnet", tuned_stages=1).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    learning = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learning, 0.1)
    net(torch.rand(4, 3, 48, 48)).square().sum().backward()
    optimizer.step()
    after = net.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    stages = {name.split(".")[2] for name in changed if name.startswith("trunk.stages")}
    assert stages == {net.trunk.layers[-1]}
    assert any(name.startswith("laterals") for name in changed)


def test_a_trunk_of_which_nothing_learns_reads_an_image_once():
    """Its maps are kept as float16; outside, in other modes, and where it learns, none are."""
    torch.manual_seed(0)
    frozen = TrunkEncoder((32, 48), 4, "test_resnet", tuned_stages=0)
    learning = TrunkEncoder((32, 48), 4, "test_resnet", tuned_stages=1)
    image, seen = torch.rand(2, 3, 32, 48), []
    for net in (frozen, learning):
        net.trunk.stages[0].register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
        plain = net.feature_maps(image)
        seen.clear()
        with remembering():
            for _ in range(3):
                torch.testing.assert_close(net.feature_maps(image), plain, atol=5e-2, rtol=5e-2)
        assert seen == ([1, 1] if net is frozen else [2, 2, 2])
    names = set(frozen.state_dict())
    assert names == set(learning.state_dict())  # what reads for the memory is no part


def test_a_projection_learns_from_remembered_maps():
    torch.manual_seed(0)
    net = TrunkEncoder((32, 32), 4, "test_resnet", tuned_stages=0)
    with remembering():
        for _ in range(2):
            net.zero_grad()
            net(torch.ones(2, 3, 32, 32) * torch.rand(2, 1, 1, 1)).square().sum().backward()
            assert net.laterals[-1][0].weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in net.trunk.parameters())


def test_what_the_small_backbone_cannot_have_is_refused(schema):
    with pytest.raises(ValueError, match="learns as a whole; leave --tuned-stages out"):
        make_backbone("small", schema, 2, tuned_stages=1)
