"""Recipes with a trunk: they learn, frozen stages do not, and a run comes back by itself."""

import pytest
import timm
import torch

from inference.runs.checkpoints import restore
from inference.runs.run import read
from inference.settings.recipes import recipe
from scene.networks import trunks
from scene.networks.image_encoders import TrunkEncoder

TRUNK = {"backbone": "test_resnet", "backbone_weights": "none"}
RECIPES = {
    "segmenter": {},
    "cvae": {},
    "telbo": {"guide": "poe", "spatial": 2},
    "jvae": {"guide": "poe", "spatial": 0},
    "jmvae": {"guide": "poe"},
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install weights of the network; the list says how often somebody looked for them."""
    torch.manual_seed(5)
    model = timm.create_model("test_resnet")
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    asked = []

    def look(name):
        asked.append(name)
        return tmp_path / "weights.pth"

    monkeypatch.setattr(trunks, "packaged_weights", look)
    return model, asked


def encoders(assembly):
    parts = [*assembly.model.modules(), *assembly.guide.modules()]
    return [part for part in parts if isinstance(part, TrunkEncoder)]


@pytest.mark.parametrize("name", RECIPES)
def test_a_trunk_learns_but_for_its_frozen_stages_and_comes_back(fitted, package, name):
    model, asked = package
    choices = {**TRUNK, "backbone_weights": "imagenet", "tuned_stages": 1, **RECIPES[name]}
    run, trained = fitted(name, **choices)
    assert asked
    grid = trained.guide.parts.channels > 0 if name in ("telbo", "jvae", "jmvae") else False
    assert len(encoders(trained)) == 1 + grid
    for encoder in encoders(trained):
        stem = encoder.trunk.stages.stem
        assert torch.equal(next(stem.parameters()), next(model.parameters()))
        assert torch.equal(stem[1].running_mean, model.bn1.running_mean)
        last = encoder.trunk.stages.layer4
        assert not torch.equal(last[0].conv1.weight, model.layer4[0].conv1.weight)
        assert torch.equal(last[0].bn1.running_mean, model.layer4[0].bn1.running_mean)
        assert not torch.equal(last[0].bn1.bias, model.layer4[0].bn1.bias)
    asked.clear()
    restored = restore(read(run.folder))
    assert not asked, "a run has its own weights"
    a, b = trained.module.state_dict(), restored.module.state_dict()
    assert a.keys() == b.keys()
    assert all(a[key].equal(b[key]) for key in a)


def test_the_expert_of_images_delivers_a_grid(built, schema, views):
    assembly = built(schema, "telbo", guide="poe", spatial=3, cell=4, **TRUNK)
    loc, scale = assembly.guide.eval().expert("image", views["image"])
    grid = 3 * -(-schema.size[0] // 4) * -(-schema.size[1] // 4)
    assert loc.shape == scale.shape == (len(views), assembly.model.latent)
    cells = loc[:, -grid:].unflatten(1, (3, -1))
    assert (cells.std(-1) > 0).all(), "cells differ"


def test_the_cvae_keeps_its_trunk_out_of_its_guide(built, schema):
    assembly = built(schema, "cvae", spatial=2, **TRUNK)
    assert not any(isinstance(part, TrunkEncoder) for part in assembly.guide.modules())


@pytest.mark.parametrize("name", RECIPES)
def test_a_backbone_begins_with_imagenets_weights_unless_it_is_small(name):
    assert recipe(name).settings().model.backbone_weights == "none"
    assert recipe(name).settings(backbone="resnet18").model.backbone_weights == "imagenet"
    assert recipe(name).settings(backbone="resnet50").model.stride == 16


def test_resnet50_classifies_at_its_own_stride_unless_another_is_asked_for():
    settings = recipe("classifier").settings
    assert settings(backbone="resnet50").model.stride == 32
    assert settings(backbone="resnet50", stride=16).model.stride == 16
    assert settings(backbone="vgg16").model.stride == 16
    assert recipe("cvae").settings(backbone="vgg16").model.backbone_weights == "none"


def test_what_the_small_backbone_ignores_is_refused(built, schema):
    for name in ("telbo", "segmenter", "cvae"):
        with pytest.raises(ValueError, match="always trained from scratch"):
            built(schema, name, backbone_weights="imagenet")
        with pytest.raises(ValueError, match="leave --tuned-stages out"):
            built(schema, name, tuned_stages=0)
