"""The ladder: a density of two levels, exact where both are linear and Gaussian."""

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal

from scene.networks.spatial import GridFromVector, Latent
from scene.priors.ladder import LadderPrior
from scene.priors.prior import StandardPrior

PARTS = Latent(2, 3, 8, (16, 16))
GRID = PARTS.length - PARTS.vector


class Line(nn.Module):
    """The grid's mean, a linear map of the vector whose columns are orthogonal; fixed scales."""

    def __init__(self):
        super().__init__()
        columns = torch.linalg.qr(torch.randn(GRID, 2, dtype=torch.double)).Q
        self.weight, self.bias = columns * torch.tensor([1.5, 0.7]), torch.randn(GRID).double()
        self.scale = torch.full((GRID,), 0.8).double()

    def forward(self, vector):
        loc = vector @ self.weight.T + self.bias
        return loc, self.scale.expand_as(loc)


@pytest.fixture
def ladder():
    prior = LadderPrior(PARTS, width=2).double()
    prior.level = Line()
    return prior


def joint(q):
    """Return a ladder whose level is a `Line` as one Gaussian, by hand."""
    line = q.level
    precision = line.scale**-2 + q.precision[0]
    slope = line.scale[:, None] ** -2 * line.weight / precision[:, None]
    start = (line.bias / line.scale**2 + q.shift) / precision
    loc = torch.cat([q.loc, q.loc @ slope.T + start], dim=-1)
    stacked = torch.cat([torch.eye(2).double(), slope])
    own = torch.cat([torch.zeros(2).double(), 1 / precision]).diag()
    return MultivariateNormal(loc, stacked @ (q.scale[0] ** 2).diag() @ stacked.T + own)


def experts(count, scenes):
    source = torch.Generator().manual_seed(1)
    shape = (count, scenes, PARTS.length)
    locs = torch.randn(shape, generator=source).double()
    scales = 0.3 + torch.rand(count, 1, PARTS.length, generator=source).double().expand(shape)
    return locs, scales, torch.ones(count, scenes, dtype=torch.bool)


@pytest.mark.parametrize("posterior", [False, True])
def test_the_density_is_that_of_the_gaussian_of_both_levels(ladder, posterior):
    q = ladder.product(*experts(2, 4)) if posterior else ladder(4)
    z = torch.randn(5, 4, PARTS.length).double()
    torch.testing.assert_close(q.log_prob(z), joint(q).log_prob(z))
    torch.testing.assert_close(q.mean, joint(q).mean)
    wide = q.expand((5, 4))
    torch.testing.assert_close(wide.log_prob(z), q.log_prob(z))
    assert wide.rsample().shape == z.shape


def test_draws_have_the_moments_of_that_gaussian(ladder):
    q = ladder.product(*experts(2, 1))
    z, exact = q.sample((40_000,)).squeeze(1), joint(q)
    torch.testing.assert_close(z.mean(0), exact.mean[0], rtol=0, atol=0.03)
    torch.testing.assert_close(z.T.cov(), exact.covariance_matrix[0], rtol=0, atol=0.03)


def test_draws_standardised_by_their_level_are_standard_normal(ladder):
    p = ladder(1)
    z = p.sample((40_000,)).squeeze(1)
    normal = p.at(z)
    white = (z - normal.mean) / normal.stddev
    unit = torch.eye(PARTS.length).double()
    torch.testing.assert_close(white.T.cov(), unit, rtol=0, atol=0.03)


def test_experts_at_both_levels_make_the_exact_posterior(ladder):
    """One view is the vector with noise, one the grid with noise: log p(x, z) − log q is log p(x).

    Of the vector the second view's expert is p(grid seen | vector), which factorises.
    """
    line, noise, blur, flat = ladder.level, 0.6, 0.5, 1e6
    one, two = torch.randn(4, 2).double(), torch.randn(4, GRID).double()
    spread = line.scale[0] ** 2 + blur**2
    length = line.weight.square().sum(0)
    fit = ((two - line.bias) @ line.weight / length, (spread / length).sqrt())
    ones = torch.ones(4, 2).double(), torch.ones(4, GRID).double()
    locs = torch.cat([one, 0 * two], 1), torch.cat([fit[0], two], 1)
    scales = (
        torch.cat([noise * ones[0], flat * ones[1]], 1),
        torch.cat([fit[1] * ones[0], blur * ones[1]], 1),
    )
    q = ladder.product(locs, scales, torch.ones(2, 4, dtype=torch.bool))
    z = q.rsample((6,))
    vector, grid = z[..., :2], z[..., 2:]
    log_p = ladder(4).log_prob(z) + Normal(vector, noise).log_prob(one).sum(-1)
    log_p = log_p + Normal(grid, blur).log_prob(two).sum(-1)
    seen = torch.cat([torch.eye(2).double(), line.weight])
    own = torch.cat([noise**2 * ones[0][0], spread * ones[1][0]]).diag()
    centre = torch.cat([torch.zeros(2).double(), line.bias])
    evidence = MultivariateNormal(centre, seen @ seen.T + own).log_prob(torch.cat([one, two], 1))
    torch.testing.assert_close(log_p - q.log_prob(z), evidence.expand(6, 4))


def test_a_ladder_that_ignores_the_vector_is_the_standard_prior():
    """As it does at first: its densities, draws and products are those of N(0, I)."""
    flat, standard = LadderPrior(PARTS, width=2), StandardPrior(PARTS)
    z = torch.randn(4, PARTS.length)
    some = [(x.float() if x.is_floating_point() else x) for x in experts(2, 4)]
    pairs = [(one(4), one.product(*some)) for one in (flat, standard)]
    for q, normal in zip(*pairs, strict=True):
        torch.testing.assert_close(q.log_prob(z), normal.log_prob(z))
        torch.testing.assert_close(q.mean, normal.mean)
        torch.testing.assert_close(q.stddev, normal.stddev)
        torch.manual_seed(0)
        drawn = q.rsample((2,))
        torch.manual_seed(0)
        torch.testing.assert_close(drawn, normal.rsample((2,)))


def test_where_a_scene_has_no_view_its_posterior_is_the_prior(ladder):
    locs, scales, present = experts(2, 3)
    present[:, 1] = False
    locs.requires_grad_()
    q, z = ladder.product(locs, scales, present), torch.randn(3, PARTS.length).double()
    torch.testing.assert_close(q.log_prob(z)[1], ladder(3).log_prob(z)[1])
    q.rsample().sum().backward()
    assert locs.grad.isfinite().all()
    assert not locs.grad[:, 1].any()


def test_a_posterior_is_remade_from_its_gaussians(ladder):
    q, z = ladder.product(*experts(2, 3)), torch.randn(3, PARTS.length).double()
    torch.testing.assert_close(q.with_gaussians(*q.gaussians).log_prob(z), q.log_prob(z))


@pytest.mark.parametrize("size", [(16, 16), (20, 18), (33, 64)])
def test_every_cell_learns_to_follow_the_vector(size):
    latent = Latent(2, 3, 4, size)
    level, vector = GridFromVector(latent, width=2), torch.randn(5, 4, 2)
    nn.init.normal_(level.head.weight, std=10)
    loc, scale = level(vector)
    assert loc.shape == scale.shape == (5, 4, latent.length - 2)
    assert (loc.flatten(0, 1).std(0) > 0).all()
    assert ((scale >= 0.5) & (scale <= 2)).all()
    logs = scale.log().unflatten(-1, latent.grid)
    assert logs.std((-2, -1)).min() > 0
    torch.testing.assert_close(level(vector[3])[0], loc[3])


def test_a_z_without_a_grid_has_no_ladder():
    with pytest.raises(ValueError, match=r"has no grid; add --spatial, such as --spatial 8\."):
        LadderPrior(Latent(8))
