import pyro
import pytest
import torch
from pyro.infer import RenyiELBO, Trace_ELBO, TraceMeanField_ELBO
from pyro.infer.elbo import ELBOModule
from torch.distributions import kl_divergence

from inference.guides import EmptyGuide, JointGuide, ProductGuide
from inference.objectives.bounds import ELBO, IWAE, STL, Bound, DReG, Renyi, elbo, iwae
from inference.objectives.importance_weights import log_weights
from inference.objectives.telbo import JMVAE, TELBO
from scene.conditional import ConditionalScene
from scene.discriminative import SegmentedScene
from scene.views import VIEWS, Views

KINDS = [ELBO, IWAE, Renyi, DReG, STL]


@pytest.mark.parametrize(
    "bound",
    [
        *(kind(k) for k in (1, 6) for kind in (IWAE, DReG, STL)),
        *(ELBO(k, analytic=False) for k in (1, 6)),
        *(Renyi(k, alpha=alpha) for k in (1, 6) for alpha in (0.0, 0.5, 1.0, 2.0)),
    ],
)
def test_the_exact_posterior_makes_every_sampled_bound_tight(linear, exact, data, bound):
    evidence = linear.log_evidence(data).mean().detach()
    losses = torch.tensor([bound.loss(linear, exact, data) for _ in range(3)])
    torch.testing.assert_close(losses, -evidence.float().expand(3))


def test_more_particles_raise_the_bound_to_the_evidence(linear, broad, data):
    """E[IWAE(K)] rises with K and has log p(x) as its limit (Burda et al., theorem 1).

    Of nested groups it rises whatever is drawn. The ends, KL = 0.66 below the evidence and at it,
    scatter by 0.002 over seeds.
    """
    torch.manual_seed(0)
    log_w = log_weights(linear, broad, data, particles=60_000).detach()
    means = torch.stack(
        [iwae(log_w.reshape(k, -1, len(data))).mean() for k in (1, 5, 50, 500, 60_000)]
    )
    assert (means.diff() > 0).all()
    evidence = linear.log_evidence(data).mean().detach()
    assert means[0] < evidence - 0.5
    assert abs(means[-1] - evidence) < 0.05


def test_the_objective_of_many_particles_is_near_the_evidence(linear, broad, data):
    """5000 particles scatter by 0.004 over seeds."""
    torch.manual_seed(0)
    evidence = float(linear.log_evidence(data).mean().detach())
    assert IWAE(5000).loss(linear, broad, data) == pytest.approx(-evidence, abs=0.05)


@pytest.mark.usefixtures("cubature")
@pytest.mark.parametrize("analytic", [True, False])
def test_the_evidence_is_the_bound_and_what_it_lacks(linear, rough, data, analytic):
    """log p(x) = KL(q ‖ p(z | x)) + ELBO, eq. 3."""
    bound = -ELBO(6, analytic=analytic).loss(linear, rough, data)
    q = rough.posterior(data)
    dense = torch.distributions.MultivariateNormal(q.mean, torch.diag_embed(q.variance))
    gap = kl_divergence(dense, linear.posterior(data)).mean()
    evidence = float(linear.log_evidence(data).mean().detach())
    assert bound + float(gap.detach()) == pytest.approx(evidence, rel=1e-6)


def test_one_particle_makes_the_bounds_equal():
    log_w = torch.randn(1, 5)
    torch.testing.assert_close(iwae(log_w), elbo(log_w))


def test_the_log_of_the_mean_weight_is_never_below_the_mean_log_weight():
    log_w = 10 * torch.randn(7, 50)
    assert (iwae(log_w) >= elbo(log_w)).all()
    torch.testing.assert_close(iwae(log_w + 3), iwae(log_w) + 3)
    torch.testing.assert_close(iwae(log_w[:1].expand(7, -1)), log_w[0])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (IWAE(1), Trace_ELBO(max_plate_nesting=1)),
        (ELBO(1, analytic=False), Trace_ELBO(max_plate_nesting=1)),
        (ELBO(1), TraceMeanField_ELBO(max_plate_nesting=1)),
        (
            ELBO(4, analytic=False),
            Trace_ELBO(num_particles=4, vectorize_particles=True, max_plate_nesting=1),
        ),
        (
            IWAE(4),
            RenyiELBO(alpha=0, num_particles=4, vectorize_particles=True, max_plate_nesting=1),
        ),
        (
            Renyi(4, alpha=0.3),
            RenyiELBO(alpha=0.3, num_particles=4, vectorize_particles=True, max_plate_nesting=1),
        ),
    ],
)
@pytest.mark.parametrize("batch", ["views", "partial"])
def test_pyros_own_objective_gives_our_value(model, schema, ours, theirs, batch, request):
    """Pyro sums over scenes where we average."""
    views = request.getfixturevalue(batch).rows(torch.arange(3))
    guide = ProductGuide(schema, ("image",), latent=4, width=2).eval()
    torch.manual_seed(0)
    summed = theirs.loss(model, guide, views)
    torch.manual_seed(0)
    assert ours.loss(model, guide, views) == pytest.approx(summed / len(views), rel=1e-5)


def test_the_objective_is_a_module_of_both_networks(linear, rough, data):
    pyro.clear_param_store()
    module = IWAE(5)(linear, rough)
    assert isinstance(module, ELBOModule)
    ours = {id(p) for p in (*linear.parameters(), *rough.parameters())}
    assert {id(p) for p in module.parameters()} == ours
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    losses = []
    for step in range(40):
        torch.manual_seed(step)
        optimizer.zero_grad()
        loss = module(data)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < sum(losses[:5]) - 5
    assert not pyro.get_param_store().keys()


@pytest.mark.usefixtures("noise")
@pytest.mark.parametrize("objective", [IWAE(3), ELBO(2), Renyi(3), TELBO(IWAE(2)), JMVAE(ELBO(1))])
def test_the_bound_of_a_batch_is_the_mean_over_its_scenes(model, guide, views, objective):
    single = [objective.loss(model, guide, views.rows(torch.tensor([b]))) for b in range(6)]
    assert objective.loss(model, guide, views) == pytest.approx(sum(single) / 6, rel=1e-5)


@pytest.mark.usefixtures("cubature")
def test_the_two_forms_of_the_divergence_agree_on_average(model, guide, views):
    """−KL is the mean of log p(z) − log q(z); the average over ±√L eᵢ is exact."""
    sampled, closed = ELBO(8, analytic=False), ELBO(8)
    sampled_loss, closed_loss = (b.loss(model, guide, views) for b in (sampled, closed))
    assert sampled_loss == pytest.approx(closed_loss, rel=1e-5)


def test_the_average_over_particles_estimates_the_bound_of_one(linear, broad, data):
    """With the KL sampled both are 0.66 below the evidence; over seeds 0.018 lies between them."""
    torch.manual_seed(0)
    copies = data.rows(torch.arange(len(data)).repeat(4000))
    one = ELBO(1, analytic=False).loss(linear, broad, copies)
    many = ELBO(4000, analytic=False).loss(linear, broad, data)
    assert many == pytest.approx(one, abs=0.15)


@pytest.mark.usefixtures("noise")
@pytest.mark.parametrize("kind", KINDS)
def test_beta_and_view_weights_scale_their_terms(model, guide, views, kind):
    parts = kind(1).terms(model, guide, views)["joint"].parts
    if kind is ELBO:
        kl = kl_divergence(guide.posterior(views), model.prior(views)).mean()
    else:
        kl = parts["kl"]
    plain = parts["image"] + parts["classes"] + parts["mask"] - kl
    assert kind(1).loss(model, guide, views) == pytest.approx(-float(plain.detach()), rel=1e-5)
    weighed = plain + 9 * parts["classes"] - parts["image"] - 2 * kl
    objective = kind(1, beta=3.0, weights={"classes": 10.0, "image": 0.0})
    assert objective.loss(model, guide, views) == pytest.approx(-float(weighed.detach()), rel=1e-5)


@pytest.mark.usefixtures("noise")
@pytest.mark.parametrize("kind", KINDS)
def test_warming_is_a_smaller_beta(model, guide, views, kind):
    bound = kind(2, beta=2.0)
    bound.warm(0.25)
    assert bound.loss(model, guide, views) == kind(2, beta=0.5).loss(model, guide, views)
    bound.warm(1.0)
    assert bound.loss(model, guide, views) == kind(2, beta=2.0).loss(model, guide, views)


def test_the_ways_to_ask_for_the_loss_agree(model, guide, views):
    bound, values = IWAE(2), []
    for ask in (bound.differentiable_loss, bound.loss, bound.loss_and_grads, None):
        torch.manual_seed(0)
        value = ask(model, guide, views) if ask else bound(model, guide)(views)
        values.append(float(value.detach()) if isinstance(value, torch.Tensor) else value)
    assert len(set(values)) == 1
    assert all(p.grad is not None for p in guide.joint.parameters())


class Worst(Bound):
    """A stranger's bound: as much code as it takes."""

    def reduce(self, log_w):
        return log_w.min(0).values


def test_a_users_bound_is_one_method(linear, rough, data):
    torch.manual_seed(0)
    lowest = Worst(4).loss(linear, rough, data)
    torch.manual_seed(0)
    assert lowest > IWAE(4).loss(linear, rough, data)


@pytest.mark.parametrize("particles", [0, -2])
@pytest.mark.parametrize("kind", KINDS)
def test_less_than_one_particle_is_refused(kind, particles):
    with pytest.raises(ValueError, match=f"needs 1 particle or more, not {particles}"):
        kind(particles)


@pytest.mark.usefixtures("noise")
def test_a_bound_uses_just_the_scenes_that_have_what_the_guide_reads(model, schema, partial):
    torch.manual_seed(0)
    guide = JointGuide(schema, ("image", "classes"), latent=4, width=2)
    term = IWAE(3).terms(model, guide, partial)["joint"]
    seen = partial.rows(partial.present["classes"])
    assert term.scenes == len(seen) == 4
    assert IWAE(3).terms(model, guide, seen)["joint"].bound == term.bound


def test_a_view_that_is_missing_is_integrated_out(model, schema, partial, noise):
    """Without masks, the bound is that of a model that has no masks."""
    guide = ProductGuide(schema, ("image",), latent=4, width=2).eval()
    few = Views(dict(partial.items()), {"mask": torch.zeros(6, dtype=torch.bool)})
    terms = IWAE(2).terms(model, guide, few)["joint"]
    plain = IWAE(2).terms(model, guide, few.only(("image", "classes")))["joint"]
    torch.testing.assert_close(terms.bound, plain.bound)
    assert terms.parts["mask"] == 0


@pytest.mark.usefixtures("noise")
def test_parts_are_means_over_the_scenes_that_have_the_view(model, schema, partial):
    guide = ProductGuide(schema, ("image",), latent=4, width=2).eval()
    whole = IWAE(2).terms(model, guide, partial)["joint"]
    masked = partial.rows(partial.present["mask"])
    some = IWAE(2).terms(model, guide, masked)["joint"]
    torch.testing.assert_close(whole.parts["mask"], some.parts["mask"])
    assert not whole.bound.equal(some.bound)


def test_a_batch_that_no_scene_can_use_trains_nothing(model, guide, views):
    none = {name: torch.zeros(6, dtype=torch.bool) for name in views}
    blind = Views(dict(views.items()), none)
    assert IWAE(1).terms(model, guide, blind) == {}
    loss = IWAE(1)(model, guide)(blind)
    loss.backward()
    assert loss == 0
    assert all(p.grad is None for p in guide.parameters())


def test_a_batch_without_anything_to_score_has_no_term(schema, views):
    model, guide = SegmentedScene(schema, width=2), EmptyGuide(schema, ("image",))
    assert IWAE(1).terms(model, guide, views.only(("image",))) == {}


@pytest.mark.parametrize("bound", [IWAE(1), ELBO(1), *(kind(3) for kind in KINDS)])
def test_without_a_latent_every_bound_is_the_likelihood(schema, views, bound):
    model, guide = SegmentedScene(schema, width=2).eval(), EmptyGuide(schema, ("image",))
    logits = model.net(views["image"])
    nll = torch.nn.functional.cross_entropy(
        logits, views["mask"], ignore_index=255, reduction="sum"
    )
    assert bound.loss(model, guide, views) == pytest.approx(float(nll.detach()) / 6, rel=1e-5)


@pytest.mark.usefixtures("noise")
def test_a_conditional_model_uses_just_the_scenes_that_have_its_condition(schema, views):
    model = ConditionalScene(schema, latent=4, width=2, hidden=8)
    guide = JointGuide(schema, ("mask",), latent=4, width=2)
    present = {"image": torch.tensor([1, 0, 1, 1, 0, 1]).bool()}
    some = Views(dict(views.items()), present)
    term = IWAE(2).terms(model, guide, some)["joint"]
    alone = IWAE(2).terms(model, guide, views.rows(present["image"]))["joint"]
    assert term.scenes == 4
    torch.testing.assert_close(term.bound, alone.bound)


def _weighed(views, **weights):
    tensors = {name: torch.tensor(weight) for name, weight in weights.items()}
    return Views(dict(views.items()), views.present, tensors)


@pytest.mark.usefixtures("noise")
@pytest.mark.parametrize("kind", [*KINDS, TELBO, JMVAE])
def test_scenes_that_all_count_1_change_no_bit(model, guide, partial, kind):
    bound = kind(IWAE(3)) if kind in (TELBO, JMVAE) else kind(3)
    ones = _weighed(partial, mask=[1.0] * 6, image=[1.0] * 6)

    def slopes(views):
        loss = bound.differentiable_loss(model, guide, views)
        return [loss, *torch.autograd.grad(loss, [*guide.parameters()], allow_unused=True)]

    for one, other in zip(slopes(partial), slopes(ones), strict=True):
        assert (one is None) is (other is None)
        assert one is None or one.equal(other)


@pytest.mark.usefixtures("noise")
@pytest.mark.parametrize("kind", KINDS)
def test_masks_that_count_0_are_as_good_as_missing(model, schema, views, kind):
    """A guide that does not read them cannot tell the two apart."""
    guide = ProductGuide(schema, ("image",), latent=4, width=2).eval()
    weak = [True, False, True, True, False, False]
    hidden = Views(dict(views.items()), {"mask": ~torch.tensor(weak)})
    result = kind(3).terms(model, guide, _weighed(views, mask=[float(not w) for w in weak]))
    expected = kind(3).terms(model, guide, hidden)
    torch.testing.assert_close(result["joint"].bound, expected["joint"].bound)


@pytest.mark.usefixtures("noise")
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_mask_teaches_grows_in_proportion_to_what_it_counts(model, guide, views, kind):
    """With one draw; with more, a bound may also weigh its draws by it."""

    def slopes(weight):
        weighed = _weighed(views, mask=[weight, 1.0, weight, weight, 1.0, 1.0])
        loss = kind(1).differentiable_loss(model, guide, weighed)
        result = torch.autograd.grad(loss, [*model.mask.parameters()], allow_unused=True)
        return [slope for slope in result if slope is not None]

    for none, some, whole in zip(slopes(0.0), slopes(0.3), slopes(1.0), strict=True):
        torch.testing.assert_close(some, none + 0.3 * (whole - none), rtol=1e-3, atol=1e-3)


@pytest.mark.usefixtures("noise")
def test_the_reported_parts_of_a_term_are_not_weighted(model, guide, views):
    half = IWAE(2).terms(model, guide, _weighed(views, mask=[0.5] * 6))["joint"]
    whole = IWAE(2).terms(model, guide, views)["joint"]
    assert half.parts == whole.parts
    assert half.bound > whole.bound


@pytest.mark.parametrize("analytic", [True, False])
def test_free_bits_are_a_floor_on_the_divergence(linear, rough, data, analytic):
    """E[log p(x | z)] − max(KL, λ): above the floor nothing changes, below it the KL is λ."""

    def slopes(**choices):
        torch.manual_seed(0)
        loss = ELBO(4, **choices).differentiable_loss(linear, rough, data)
        return loss.detach(), torch.autograd.grad(loss, [*rough.parameters()])

    plain, fit = slopes(analytic=analytic), slopes(beta=0.0, analytic=analytic)
    torch.testing.assert_close(slopes(free_bits=0.05, analytic=analytic), plain)
    floored = slopes(free_bits=50.0, analytic=analytic)
    torch.testing.assert_close(floored[0], fit[0] + 50)
    torch.testing.assert_close(floored[1], fit[1])


def test_free_bits_are_weighed_by_beta(linear, rough, data):
    torch.manual_seed(0)
    fit = ELBO(4, beta=0.0).loss(linear, rough, data)
    torch.manual_seed(0)
    result = ELBO(4, beta=0.25, free_bits=50.0).loss(linear, rough, data)
    assert result == pytest.approx(fit + 0.25 * 50)


@pytest.mark.parametrize("nats", [-1.0, float("inf"), float("nan")])
def test_free_bits_that_are_no_amount_are_refused(nats):
    with pytest.raises(ValueError, match="Free bits must be 0 nats or more, not"):
        ELBO(1, free_bits=nats)


def test_a_plain_bound_trains_one_posterior(guide):
    assert IWAE(1).conditionings(guide) == {frozenset({"image", "classes", "mask"})}


@pytest.mark.usefixtures("noise")
def test_what_a_scene_counts_weighs_the_mean(model, guide, views):
    bound, counts = ELBO(1), torch.tensor([1.0, 0.0, 0.0, 2.0, 0.0, 0.0])
    inputs = {"given": ("image",), "scored": VIEWS}
    weighed = bound.term(model, guide, views, **inputs, counts=counts).bound
    first, fourth = (
        bound.term(model, guide, views.rows(torch.tensor([row])), **inputs).bound for row in (0, 3)
    )
    torch.testing.assert_close(weighed, (first + 2 * fourth) / 3)
