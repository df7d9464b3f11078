"""Class maps spread over cells that look alike, and over no others."""

from dataclasses import replace

import pytest
import torch

from inference.build import Assembly
from inference.segmentation.affinity import CELLS, cell_features, spread
from inference.segmentation.cues import CueSettings, maps_of
from inference.segmentation.gradcam import cams, normalised
from scene.discriminative import ClassifiedScene
from scene.labels import Labels
from scene.views import Schema


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    schema = Schema(Labels(("background", "cat", "dog")), (64, 96))
    return ClassifiedScene(schema, backbone="test_resnet", tuned_stages=1).eval()


def test_each_cell_gets_the_mean_of_all_by_how_alike_they_are():
    torch.manual_seed(1)
    maps, features = torch.rand(2, 3, 4, 5), torch.randn(2, 6, 4, 5)
    result = spread(3 * maps, features, 2.0)
    for scene in range(2):
        cells = features[scene].flatten(1).T
        alike = torch.cosine_similarity(cells[:, None], cells[None], dim=-1).clamp(min=0) ** 2
        for c in range(3):
            own = maps[scene, c].flatten() / maps[scene, c].max()
            walked = torch.stack([(row * own).sum() / row.sum() for row in alike])
            walked = (walked - walked.min()) / (walked.max() - walked.min())
            torch.testing.assert_close(result[scene, c].flatten(), walked)


def test_where_all_cells_are_alike_the_class_is_everywhere():
    result = spread(torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]]), torch.ones(1, 3, 2, 2))
    torch.testing.assert_close(result, torch.ones(1, 1, 2, 2))


def test_no_map_is_none_afterwards():
    assert not spread(torch.zeros(1, 2, 3, 3), torch.rand(1, 4, 3, 3)).any()


def test_large_grids_are_made_coarser():
    assert spread(torch.rand(1, 1, 60, 120), torch.rand(1, 2, 9, 9)).shape[-2:] == (25, CELLS)


@pytest.mark.parametrize("flip", [False, True])
def test_the_maps_of_a_classifier_spread_over_what_its_frozen_stages_see(classifier, flip):
    images, net = torch.rand(2, 3, 64, 96), classifier.net
    settings = CueSettings(flip=flip, affinity=2.0)
    seen = net.maps(images, net.layers[-2])
    if flip:
        seen = (seen + net.maps(images.flip(-1), net.layers[-2]).flip(-1)) / 2
    torch.testing.assert_close(cell_features(net, images, flip), seen)
    assembly = Assembly(classifier, None, None)
    expected = spread(cams(net, images, flip=flip), seen, 2.0)
    torch.testing.assert_close(maps_of(assembly, images, settings), expected)
    plain = maps_of(assembly, images, replace(settings, affinity=0.0))
    assert not torch.allclose(normalised(plain), expected)


def test_a_network_that_learned_as_a_whole_has_the_features_of_its_maps():
    schema = Schema(Labels(("background", "cat")), (32, 32))
    net = ClassifiedScene(schema, width=2).net.eval()
    images = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(cell_features(net, images), net.maps(images))


@pytest.mark.parametrize("exponent", [-1.0, float("nan"), float("inf")])
def test_an_exponent_that_is_none_is_refused(exponent):
    with pytest.raises(ValueError, match="--affinity is 0 or more, not"):
        CueSettings(affinity=exponent)
