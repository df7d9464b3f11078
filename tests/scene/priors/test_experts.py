import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Normal

from scene.priors.experts import product_of_experts

quick = settings(deadline=None, max_examples=25)
seeds = st.integers(0, 2**31)
counts = st.integers(1, 5)


def _experts(seed, count):
    draw = torch.Generator().manual_seed(seed)
    locs = torch.randn(count, 3, 2, generator=draw, dtype=torch.float64)
    return locs, 0.2 + torch.rand(count, 3, 2, generator=draw, dtype=torch.float64)


@quick
@given(seeds, counts)
def test_the_product_is_the_sum_of_log_densities_up_to_a_constant(seed, count):
    locs, scales = _experts(seed, count)
    product = Normal(*product_of_experts(locs, scales))
    z = torch.linspace(-3, 3, 20).double().view(-1, 1, 1)
    gap = product.log_prob(z) - Normal(locs, scales).log_prob(z.unsqueeze(1)).sum(1)
    torch.testing.assert_close(gap, gap[:1].expand_as(gap))


@quick
@given(seeds, counts)
def test_precisions_add_and_means_are_weighed_by_them(seed, count):
    locs, scales = _experts(seed, count)
    loc, scale = product_of_experts(locs, scales)
    precision = scales.pow(-2)
    torch.testing.assert_close(scale.pow(-2), precision.sum(0))
    torch.testing.assert_close(loc * scale.pow(-2), (precision * locs).sum(0))


@quick
@given(seeds, st.permutations(range(4)))
def test_the_order_of_experts_does_not_matter(seed, order):
    locs, scales = _experts(seed, 4)
    torch.testing.assert_close(
        product_of_experts(locs, scales), product_of_experts(locs[order], scales[order])
    )


@quick
@given(seeds, counts)
def test_products_nest(seed, count):
    locs, scales = _experts(seed, count + 1)
    loc, scale = product_of_experts(locs[1:], scales[1:])
    torch.testing.assert_close(
        product_of_experts([locs[0], loc], [scales[0], scale]), product_of_experts(locs, scales)
    )


@quick
@given(seeds)
def test_a_single_expert_is_its_own_product(seed):
    locs, scales = _experts(seed, 1)
    torch.testing.assert_close(product_of_experts(locs, scales), (locs[0], scales[0]))


def test_an_expert_who_has_not_spoken_of_a_scene_is_not_there():
    locs, scales = _experts(0, 3)
    present = torch.tensor([[True, True, True], [True, False, True], [True, True, False]])
    loc, scale = product_of_experts(locs, scales, present)
    for b in range(3):
        spoken = present[:, b]
        alone = product_of_experts(locs[spoken, b : b + 1], scales[spoken, b : b + 1])
        torch.testing.assert_close((loc[b : b + 1], scale[b : b + 1]), alone)


def test_a_vague_expert_says_nothing():
    locs, scales = _experts(1, 2)
    vague = product_of_experts([*locs, locs[0]], [*scales, torch.full_like(scales[0], 1e9)])
    torch.testing.assert_close(vague, product_of_experts(locs, scales))


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan")])
def test_the_first_expert_without_a_positive_scale_is_named(wrong):
    locs, scales = _experts(2, 3)
    scales[1, 2, 0] = wrong
    with pytest.raises(ValueError, match="Expert 1 has a scale that is not positive"):
        product_of_experts(locs, scales)
