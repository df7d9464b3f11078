"""The two-sample test: quiet where two samples are alike, loud where they are not."""

import pyro.distributions as dist
import pytest
import torch
from torch.distributions import Independent, Normal

from inference.build import Assembly
from inference.diagnostics.coverage import (
    coverage,
    draw_coverage,
    flow_coverage,
    mmd_test,
    principal,
)
from inference.diagnostics.posteriors import Posteriors, posteriors
from inference.flows import FlowGuide
from inference.guides import Guide
from inference.objectives.flow_matching import FlowMatching
from scene.models import JointScene
from scene.views import VIEWS


def _normal(seed, shift=0.0, count=60):
    return shift + torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))


def test_p_values_of_like_samples_are_spread_and_of_others_small():
    """The mean of 20 is 0.5 ± 0.065, and of 20 one is below 0.05, give or take one."""
    alike = [mmd_test(_normal(s), _normal(s + 100), permutations=200).p for s in range(20)]
    assert 0.2 < sum(alike) / 20 < 0.8
    assert sum(p < 0.05 for p in alike) <= 5
    assert all(
        mmd_test(_normal(s), _normal(s + 100, 1.0), permutations=200).p < 0.01 for s in range(5)
    )


def test_the_discrepancy_is_that_of_its_definition():
    x, y = _normal(0, count=7), _normal(1, 0.5, count=7)
    result = mmd_test(x, y, permutations=1)

    def kernel(a, b):
        return (-(a - b).square().sum(-1) / (2 * result.bandwidth**2)).exp()

    pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
    within = sum(float(kernel(x[i], x[j]) + kernel(y[i], y[j])) for i, j in pairs) / 42
    across = sum(float(kernel(a, b)) for a in x for b in y) / 49
    assert result.squared == pytest.approx(within - 2 * across, abs=1e-6)


def test_the_same_seed_gives_the_same_p():
    x, y = _normal(0), _normal(1, 0.2)
    assert mmd_test(x, y, seed=3) == mmd_test(x, y, seed=3)


def test_samples_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="two samples of the same shape, with 2 points or more"):
        mmd_test(_normal(0), _normal(1, count=9))


def test_principal_directions_are_those_of_greatest_variance():
    points = _normal(0, count=500) * torch.tensor([0.1, 5.0, 2.0])
    axes = principal(points)
    torch.testing.assert_close(axes.abs(), torch.eye(3)[:, [1, 2]], atol=0.1, rtol=0)
    assert principal(points[:, :1]).shape == (1, 2)


def _believed(drawn, start, unit):
    halves = zip(start.split(100), unit.split(100), strict=True)  # as if inferred in two batches
    priors = tuple(Independent(Normal(*half), 1) for half in halves)
    return Posteriors(("image", "mask"), drawn, drawn, torch.zeros(len(drawn)), None, priors)


def test_scenes_with_priors_of_their_own_are_seen_from_these(tmp_path):
    """Posteriors a unit off their priors are found, though these lie far apart; like ones pass.

    All numbers are drawn by generators of their own, and p counts permutations: nothing scatters.
    """
    start, unit = 20 * _normal(5, count=200), 0.1 + _normal(6, count=200).abs()
    priors = start + unit * _normal(0, count=200)
    like = _believed(start + unit * _normal(1, count=200), start, unit)
    off = _believed(start + unit * _normal(1, 1.0, count=200), start, unit)
    assert not like.has_standard_prior
    assert coverage(like, priors).test.p > 0.05
    assert coverage(like, priors).deviation == pytest.approx(1, rel=0.15)
    assert coverage(off, priors).test.p < 0.01
    assert mmd_test(off.samples, priors).p > 0.05  # which would be missed in units of z
    rows = [coverage(like, priors), coverage(off, priors)]
    draw_coverage(tmp_path / "coverage.png", [like, off], priors, rows)
    assert (tmp_path / "coverage.png").read_bytes().startswith(b"\x89PNG")


def test_draws_of_a_flow_are_compared_with_draws_given_all_views(schema, pets_views, tmp_path):
    """A flow that moves nothing draws N(0, I): as the guide's draws if these are standard."""
    guide = FlowGuide(schema, VIEWS, source=Standard(schema, VIEWS, latent=3), latent=3)
    guide.velocity.vector[-1].weight.data.zero_()
    guide.velocity.vector[-1].bias.data.zero_()
    model, views = JointScene(schema, 3, 2), pets_views(40)
    plain = Assembly(model, guide.source, FlowMatching(), guide)
    for shift in (0.0, 2.0):
        guide.latents.mean.fill_(shift)
        rows = flow_coverage(plain, views, posteriors(plain, views, VIEWS))
        assert [len(row.given) for row in rows] == [0, 1, 1, 1, 2, 2, 2, 3]
        assert all((row.test.p > 0.01) == (shift == 0) for row in rows)
        assert all(0.6 < row.deviation < 1.6 for row in rows)


class Standard(Guide):
    """A guide to which all views say nothing."""

    def accepts(self, names):
        return bool(names)

    def posterior(self, views):
        return dist.Normal(torch.zeros(len(views), self.latent), 1.0).to_event(1)
