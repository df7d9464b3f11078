import pytest
import torch

from scene.conditional import ConditionalScene
from scene.labels import Labels
from scene.models import JointScene
from scene.networks.encoders import make_encoder
from scene.networks.spatial import CELLS, GridGaussian, Latent
from scene.views import VIEWS, Schema, Views

LABELS = Labels(("background", "cat", "dog"))
SIZES = [(16, 16), (20, 18), (33, 64)]


def seen(size, count=2):
    return Views(
        {
            "image": torch.rand(count, 3, *size),
            "classes": torch.randint(2, (count, 2)).float(),
            "mask": torch.randint(3, (count, *size)),
        }
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("leading", [(2,), (3, 2)])
def test_a_model_with_a_grid_draws_views_of_any_size(size, cell, leading):
    model = JointScene(Schema(LABELS, size), latent=3, width=2, spatial=2, cell=cell)
    z = torch.randn(*leading, model.latent)
    result = model.decode(z, None, model.views)
    assert result["image"].mean.shape == (*leading, 3, *size)
    assert result["mask"].probs.shape == (*leading, 3, *size)
    assert result["classes"].probs.shape == (*leading, 2)


def test_the_parts_of_z_are_all_of_it():
    parts = Latent(3, 2, 4, (20, 18))
    z = torch.arange(2.0 * parts.length).reshape(2, -1)
    vector, cells = parts.split(z)
    assert cells.shape == (2, 2, 5, 5)
    torch.testing.assert_close(torch.cat([vector, cells.flatten(1)], dim=1), z)


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_is_drawn_where_it_lies(cell):
    """What a cell says changes the pixels around it and none far away."""
    schema = Schema(LABELS, (64, 64))
    model = JointScene(schema, latent=3, width=2, spatial=2, cell=cell).eval()
    z = torch.randn(1, model.latent)
    other = z.clone()
    model.parts.split(other)[1][0, :, 0, 0] += 10
    change = (model.mask(*model.parts.split(other)) - model.mask(*model.parts.split(z))).abs()
    assert change[..., :cell, :cell].max() > 0
    assert change[..., 48:, :].max() == change[..., 48:].max() == 0


@pytest.mark.parametrize("cell", CELLS)
def test_the_gaussian_of_a_cell_depends_on_every_view(cell):
    schema = Schema(LABELS, (20, 18))
    encoders = {name: make_encoder(name, schema, 2) for name in VIEWS}
    gaussian = GridGaussian(encoders, Latent(3, 2, cell, (20, 18)), 2)
    gaussian.eval()
    views = seen((20, 18))
    loc, scale = gaussian(views)
    assert loc.shape == (2, gaussian.latent.length - 3)
    assert scale.min() > 0
    for name in views:
        without = Views(dict(views.items()), {name: torch.tensor([True, False])})
        changed, _ = gaussian(without)
        torch.testing.assert_close(changed[0], loc[0])
        assert not torch.allclose(changed[1], loc[1])
        nothing, _ = gaussian(views.only(n for n in views if n != name))
        torch.testing.assert_close(nothing[1], changed[1])


def test_an_odd_cell_is_refused():
    with pytest.raises(ValueError, match="--cell is the side of a cell in pixels: 2, 4, 8, not 3"):
        Latent(3, 2, 3, (16, 16))


@pytest.mark.parametrize("prior", ["standard", "learned"])
def test_a_conditional_scene_with_a_grid_sees_the_image_at_every_cell(prior):
    schema, views = Schema(LABELS, (20, 18)), seen((20, 18))
    model = ConditionalScene(schema, latent=3, width=2, prior=prior, spatial=2).eval()
    drawn = model.prior(views).rsample(torch.Size((3,)))
    assert drawn.shape == (3, 2, Latent(3, 2, 4, (20, 18)).length)
    masks = model.decode(drawn, views, ["mask"])["mask"].probs
    assert masks.shape == (3, 2, 3, 20, 18)
    torch.testing.assert_close(model.decode(drawn[0], views, ["mask"])["mask"].probs, masks[0])
    with torch.no_grad():
        for weight in model.bottleneck.parameters():  # no vector says anything any more
            weight.zero_()
    other = Views({**dict(views.items()), "image": torch.rand(2, 3, 20, 18)})
    changed = model.decode(drawn, other, ["mask"])["mask"].probs
    assert not torch.allclose(changed, model.decode(drawn, views, ["mask"])["mask"].probs)
