import pytest
import torch

from inference.segmentation.gradcam import cams, guided_cams, guided_gradients, resized


@pytest.fixture
def seen():
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not", "ignore:Setting backward hooks")
def test_guided_maps_are_those_of_captum(nets, seen):
    captum = pytest.importorskip("captum.attr")
    net = nets()
    theirs = captum.GuidedGradCam(net, net.stages.stride4)
    result = guided_cams(net, seen, "stride4")
    for c in range(5):
        expected = theirs.attribute(seen, target=c, interpolate_mode="bilinear")
        torch.testing.assert_close(result[:, c], expected.detach(), rtol=1e-4, atol=1e-9)


def test_a_guided_map_is_silent_where_its_class_map_is(nets, seen):
    maps = resized(cams(nets(), seen, "stride4"), (32, 32))
    result = guided_cams(nets(), seen, "stride4")
    assert result.shape == (2, 5, 3, 32, 32)
    silent = (maps == 0)[:, :, None].expand_as(result)
    assert silent.any()
    assert not result[silent].any()


def test_guidance_is_for_a_while(nets, seen):
    before = seen.clone().requires_grad_()
    nets()(before).sum().backward()
    guided_gradients(nets(), seen)
    after = seen.clone().requires_grad_()
    nets()(after).sum().backward()
    assert torch.equal(before.grad, after.grad)
    nets().zero_grad()
