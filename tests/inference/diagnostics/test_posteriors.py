"""Posteriors of a split: given what there are any, their KL, and which units are active."""

from dataclasses import replace

import pytest
import torch

from inference.diagnostics.likelihoods import log_likelihoods
from inference.diagnostics.posteriors import (
    conditioning_sets,
    posteriors,
    predictive_sets,
    sample_prior,
    units,
)
from inference.objectives.divergence import divergence


@pytest.fixture
def telbo(built, schema):
    assembly = built(schema)
    assembly.model.eval(), assembly.guide.eval()
    return assembly


def test_every_set_a_guide_accepts_is_looked_at(telbo, built, schema):
    assert len(conditioning_sets(telbo)) == 7
    cvae = built(schema, "cvae")
    assert conditioning_sets(cvae) == (("image", "mask"),)
    assert predictive_sets(cvae) == (("image",), ("image", "mask"))


def test_nats_of_units_add_up_to_the_divergence(telbo, views):
    result = posteriors(telbo, views, ("image",))
    q = telbo.guide.posterior(views.only(("image",)))
    exact = divergence(q, telbo.model.prior(views))
    torch.testing.assert_close(result.kl, exact.detach())
    torch.testing.assert_close(result.kl_by_unit.sum(1), result.kl)
    assert units(result).total == pytest.approx(float(exact.mean().detach()), rel=1e-5)


def test_a_guide_that_overlooks_scenes_has_no_active_units(telbo, views):
    for layer in telbo.guide.heads["image"].layers:
        if hasattr(layer, "weight"):
            torch.nn.init.zeros_(layer.weight)
    assert not units(posteriors(telbo, views, ("image",))).active.any()


def test_particles_raise_the_bound_and_a_prediction_is_a_mixture(telbo, views):
    torch.manual_seed(0)
    marginals, conditionals = log_likelihoods(telbo, views, particles=32)
    assert all(m.iwae.value >= m.elbo.value for m in marginals)
    assert all(1 <= m.effective <= 32 for m in marginals)
    both = {m.scored: m.iwae.value for m in marginals if m.given == ("image", "mask")}
    alone = {m.scored: m.iwae.value for m in marginals if m.given == ("image",)}
    (mask,) = [c for c in conditionals if c.target == "mask" and c.given == ("image",)]
    joint = both[("image", "mask")] - alone[("image",)]
    assert mask.difference.value == pytest.approx(joint, rel=1e-5)


def test_a_prior_of_the_image_is_drawn_for_each_scene(built, schema, views):
    torch.manual_seed(0)
    cvae = built(schema, "cvae", prior="learned")
    cvae.model.prior_net.head.layers[-1].bias.data.fill_(9.0)
    assert sample_prior(cvae, views).shape == (6, 4)
    assert float(sample_prior(cvae, views).mean()) > 0.5  # 8 ± 2 over seeds


def test_what_the_image_says_by_itself_makes_no_unit_active(built, schema, views):
    """With a learned prior, a posterior that is the prior of each scene has said nothing."""
    cvae = built(schema, "cvae", prior="learned")
    cvae.model.eval(), cvae.guide.eval()
    result = posteriors(cvae, views, ("image", "mask"))
    assert not result.has_standard_prior
    prior = cvae.model.prior(views)
    white = (result.samples - prior.mean) / prior.stddev
    torch.testing.assert_close(result.standardised(result.samples), white)
    same = replace(result, means=prior.mean.detach())
    assert float(same.means.var(0).max()) > 0
    assert not units(same).active.any()


def test_few_effective_draws_are_called_loose(telbo, views):
    torch.manual_seed(0)
    marginals, conditionals = log_likelihoods(telbo, views, particles=1)
    assert all(m.loose and m.to_json()["loose"] for m in marginals)
    assert all(c.loose for c in conditionals)
