"""Gradient noise: right where it has a closed form, nothing where nothing is drawn."""

import pytest
import torch

from inference.build import Assembly
from inference.diagnostics.gradient_noise import gradient_noise
from inference.diagnostics.gradient_statistics import ALL, TOTAL
from inference.objectives.bounds import ELBO, Objective, Term
from scene.datasets.base import SceneDataset
from scene.views import Views


class Numbers(SceneDataset):
    """Views at hand, as a dataset."""

    name, split = "numbers", "train"

    def __init__(self, data, schema):
        self.data, self.schema = data, schema

    def __len__(self):
        return len(self.data)

    def views(self, indices):
        return self.data.rows(torch.as_tensor(list(indices)))


def _slope(linear, rough, data):
    """Work out the expected gradient of each scene for b, ``(N, 5)``, and its spread over z."""
    q, s = rough.posterior(data), linear.scale.square()
    mean = (linear.bias + q.mean @ linear.weight.T - data["x"]) / s
    spread = linear.weight @ q.variance[0].diag() @ linear.weight.T / s / s[:, None]
    return mean.detach(), float(spread.trace().detach())


@pytest.mark.parametrize("particles", [1, 4])
def test_of_a_linear_gaussian_model_it_has_a_closed_form(linear, rough, data, schema, particles):
    """For b the gradient is (b + Wz − x) / s²: K draws of each of B scenes divide its variance.

    Over seeds a variance of 100 gradients is right within 14 %.
    """
    assembly = Assembly(linear, rough, ELBO(particles))
    result = gradient_noise(assembly, Numbers(data, schema), repeats=100, batch_size=len(data)).of(
        "joint", "bias"
    )
    mean, spread = _slope(linear, rough, data)
    expected = spread / len(data) / particles
    for scatter in (result.latent, result.batch):  # there is but one batch of all scenes
        error = (expected / scatter.draws) ** 0.5
        assert scatter.norm == pytest.approx(float(mean.mean(0).norm()), abs=5 * error)
        assert scatter.variance == pytest.approx(expected, rel=0.6)
        assert scatter.ratio == pytest.approx(scatter.norm / scatter.variance**0.5)
    assert (result.latent.draws, result.batch.draws) == (200, 100)


def test_scenes_add_the_variance_of_their_gradients(linear, rough, data, schema):
    result = gradient_noise(
        Assembly(linear, rough, ELBO(1)), Numbers(data, schema), repeats=100, batch_size=1
    ).of("joint", "bias")
    mean, spread = _slope(linear, rough, data)
    between = float(mean.var(0, correction=0).sum())
    assert result.batch.variance == pytest.approx(spread + between, rel=0.6)
    assert result.latent.variance == pytest.approx(spread, rel=0.6)


@pytest.mark.usefixtures("noise")
def test_where_every_draw_is_the_same_there_is_no_noise(linear, rough, data, schema):
    result = gradient_noise(Assembly(linear, rough, ELBO(2)), Numbers(data, schema), repeats=3)
    assert all(row.latent.variance == 0 and row.latent.ratio is None for row in result.rows)
    assert result.terms == ("joint",)
    assert result.generators == ("weight", "bias", ALL)


def test_parts_add_up_to_all_of_them(built, schema, views):
    result = gradient_noise(built(schema), Numbers(views, schema), repeats=3, batch_size=4)
    assert result.generators == ("image", "mask", "classes", "class_head", ALL)
    assert result.terms == ("joint", "image", "image+classes", "mask", TOTAL)
    for term in result.terms:
        parts = [result.of(term, generator).latent for generator in result.generators]
        assert parts[-1].variance == pytest.approx(sum(p.variance for p in parts[:-1]))
    assert len(result.agreements) == 6 * 5


@pytest.mark.usefixtures("noise")
def test_generators_that_are_stopped_learn_from_the_joint_term_alone(built, schema, views):
    assembly = built(schema, generator_gradients="stopped")
    result = gradient_noise(assembly, Numbers(views, schema), repeats=3, batch_size=6)
    assert result.of("mask").latent.norm == result.of("mask").batch.variance == 0
    joint, total = result.of("joint").latent, result.of(TOTAL).latent
    assert total.norm == pytest.approx(joint.norm / 4, rel=1e-5)
    assert {pair.cosine for pair in result.agreements} == {None}


def test_penalties_of_posteriors_are_nothing_to_the_generators(built, schema, views):
    result = gradient_noise(
        built(schema, "jmvae"), Numbers(views, schema), repeats=3, batch_size=4
    )
    assert result.terms == ("joint", "image", "classes", "mask", TOTAL)
    for view in ("image", "classes", "mask"):
        assert result.of(view).latent.norm == result.of(view).batch.variance == 0
        assert not result.of(view).batch.clear
    assert result.of(TOTAL).batch == result.of("joint").batch


class Tug(Objective):
    """A bound, twice the bound, and its opposite, each of draws of its own."""

    def terms(self, model, guide, views):
        def term(factor):
            result = ELBO(1).terms(model, guide, views)["joint"]
            return Term(factor * result.bound, result.scenes, {})

        return {"one": term(1.0), "two": term(2.0), "other": term(-1.0)}


def test_cosines_say_who_pulls_which_way(linear, rough, data, schema):
    """Estimates are free of the draws' noise: like terms agree however noisy each is.

    Over seeds the cosines are ±0.98 with a deviation of 0.03.
    """
    result = gradient_noise(
        Assembly(linear, rough, Tug()), Numbers(data, schema), repeats=30, batch_size=4
    )
    cosines = {pair.terms: pair.cosine for pair in result.agreements if pair.generator == ALL}
    assert cosines["one", "two"] > 0.7
    assert cosines["one", "other"] < -0.7
    assert cosines["two", "other"] < -0.7


def test_nothing_is_left_changed(built, schema, views):
    assembly = built(schema)
    assembly.model.eval()
    before = {n: t.clone() for n, t in assembly.module.state_dict().items()}
    state = torch.get_rng_state()
    first, again = (
        gradient_noise(assembly, Numbers(views, schema), repeats=2, batch_size=4) for _ in "ab"
    )
    assert first == again
    torch.testing.assert_close(dict(assembly.module.state_dict()), before, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module.training for module in assembly.model.modules())
    assert all(module.training for module in assembly.guide.modules())
    assert all(parameter.grad is None for parameter in assembly.module.parameters())


@pytest.mark.parametrize("subsets", ["random", "all"])
def test_terms_come_when_they_can(built, schema, partial, subsets):
    """One subset a step, or views that are missing: a term is judged by the draws that had it."""
    result = gradient_noise(
        built(schema, subsets=subsets), Numbers(partial, schema), repeats=8, batch_size=2
    )
    assert result.of("joint").batch.draws <= result.of(TOTAL).batch.draws <= 8
    assert all(row.batch.variance >= 0 for row in result.rows)


def test_a_conditional_model_has_generators_of_its_own(built, schema, views):
    cvae = built(schema, "cvae", hybrid=0.5, prior="learned")
    result = gradient_noise(cvae, Numbers(views, schema), repeats=2, batch_size=4)
    assert result.terms == ("joint", "prior", TOTAL)
    assert result.generators == ("backbone", "bottleneck", "mask", "prior_net", ALL)


def test_what_cannot_be_estimated_is_refused(built, schema, views):
    scenes = Numbers(views, schema)
    with pytest.raises(ValueError, match="needs 2 gradients or more"):
        gradient_noise(built(schema), scenes, repeats=1)
    blind = Views(dict(views.items()), {n: torch.zeros(6, dtype=torch.bool) for n in views})
    with pytest.raises(ValueError, match="has the views that the objective learns from"):
        gradient_noise(built(schema), Numbers(blind, schema), repeats=2, batch_size=3)
    with pytest.raises(LookupError, match="no gradient of 'mist'"):
        gradient_noise(built(schema), scenes, repeats=2, batch_size=3).of("mist")
