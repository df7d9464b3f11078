"""Scenes between two samples: a way that begins and ends with them."""

from dataclasses import replace

import pytest
import torch

from inference import train
from inference.prediction.interpolate import arc


def test_an_arc_turns_at_a_constant_rate_and_keeps_its_ends():
    ends = torch.randn(2, 3, 50)
    way = arc(ends, 9)
    torch.testing.assert_close(way[[0, -1]], ends)
    directions = way / way.norm(dim=-1, keepdim=True)
    cosines = (directions[1:] * directions[:-1]).sum(-1)
    torch.testing.assert_close(cosines, cosines[:1].expand_as(cosines))
    lengths = way.norm(dim=-1)
    torch.testing.assert_close(lengths.diff(n=2, dim=0), torch.zeros(7, 3), atol=1e-4, rtol=0)


def test_an_arc_between_vectors_of_one_direction_is_a_line():
    ends = torch.tensor([[[2.0, 0.0]], [[4.0, 0.0]]])
    torch.testing.assert_close(arc(ends, 3)[1], torch.tensor([[3.0, 0.0]]))


@pytest.mark.parametrize("choices", [{}, {"prior": "flow", "details": 8}], ids=["line", "flow"])
def test_a_way_starts_and_ends_with_the_samples(scenes_model, choices):
    model = scenes_model(**choices)
    samples = model.sample(3)
    between = model.interpolate(samples, 2, 0, n=5)
    assert len(between) == 5
    for place, number in ((0, 2), (-1, 0)):
        torch.testing.assert_close(between.z[place], samples.z[number])
        torch.testing.assert_close(between.image[place], samples.image[number])
        assert between.mask[place].equal(samples.mask[number])
    assert not between.z[2].equal(between.z[0])


def test_a_line_is_straight_without_a_flow(scenes_model):
    model = scenes_model()
    samples = model.sample(2)
    middle = model.interpolate(samples, 0, 1, n=3).z[1]
    torch.testing.assert_close(middle, samples.z.mean(0))


def test_noise_is_what_details_were_drawn_from(scenes_model):
    model = scenes_model(prior="flow", details=8)
    z = model.sample(2).z[:, None]
    with torch.no_grad():
        pixels = model.assembly.detailed.compose(z, None)["image"]
    noise = 0.1 * torch.randn(2, 1, 3 * 16 * 16)
    torch.testing.assert_close(pixels.noise_of(pixels.moved(noise)), noise, atol=0.02, rtol=0)


def test_a_way_needs_samples_of_this_model(scenes_model):
    model = scenes_model()
    samples = model.sample(2)
    with pytest.raises(ValueError, match="2 scenes or more, not 1"):
        model.interpolate(samples, 0, 1, n=1)
    with pytest.raises(ValueError, match="whose z has 4 numbers, not"):
        model.interpolate(replace(samples, z=torch.zeros(2, 7)), 0, 1)
    with pytest.raises(ValueError, match="no latent z"):
        model.interpolate(replace(samples, z=None), 0, 1)


@pytest.fixture
def scenes_model(tmp_path, few):
    """Train a tiny model, with or without what learns afterwards, and load it."""

    def make(**choices):
        small = {"size": (16, 16), "steps": 2, "batch_size": 4, "latent": 4, "width": 4}
        choices = {"prior": "standard", **choices}
        if choices["prior"] == "flow":
            small |= {"flow_width": 8, "flow_steps": 2}
        if "details" in choices:
            small |= {"detail_steps": 2}
        folder = tmp_path / "run"
        return train("telbo", guide_width=4, device="cpu", out=folder, **small, **choices)

    return make
