import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine

from inference.objectives.importance_weights import evidence, log_weights
from scene.views import VIEWS


@pytest.mark.parametrize("particles", [1, 7])
def test_the_exact_posterior_makes_every_weight_the_evidence(linear, exact, data, particles):
    """If q is the posterior, log p(x, z) − log q(z) is log p(x) whatever z is."""
    log_w = log_weights(linear, exact, data, particles=particles)
    assert log_w.shape == (particles, len(data))
    torch.testing.assert_close(log_w, linear.log_evidence(data).expand(particles, -1))
    assert log_w.double().std(0, correction=0).max() < 1e-10


def test_the_weights_are_the_densities_of_a_plain_loop(linear, rough, data):
    """One vectorised pass agrees with scoring each particle and scene on its own."""
    torch.manual_seed(0)
    log_w = log_weights(linear, rough, data, particles=3)
    torch.manual_seed(0)
    q = rough.posterior(data)
    for k, z in enumerate(q.rsample(torch.Size((3,)))):
        for b in range(len(data)):
            mean = linear.weight @ z[b] + linear.bias
            log_p = dist.Normal(0, 1).log_prob(z[b]).sum()
            log_p = log_p + dist.Normal(mean, linear.scale).log_prob(data["x"][b]).sum()
            torch.testing.assert_close(log_w[k, b], log_p - q.log_prob(z)[b])


def test_the_parts_add_up_to_the_weights(model, guide, views):
    result = evidence(model, guide, views, particles=2, exact_kl=True)
    assert set(result.likelihoods) == set(VIEWS)
    total = sum(result.likelihoods.values()) + result.log_prior - result.log_q
    torch.testing.assert_close(result.log_weights(), total)
    half = 2 * result.likelihoods["mask"] + result.likelihoods["image"]
    half = half + result.likelihoods["classes"] + 0.5 * (result.log_prior - result.log_q)
    torch.testing.assert_close(result.log_weights(0.5, {"mask": 2.0}), half)


def test_the_exact_divergence_is_the_closed_form(model, guide, views):
    result = evidence(model, guide, views, particles=2, exact_kl=True)
    q = guide.posterior(views).base_dist
    kl = 0.5 * (q.loc**2 + q.scale**2 - 1 - 2 * q.scale.log()).sum(-1)
    torch.testing.assert_close(result.divergence, kl.expand(2, -1))


def test_the_divergence_is_scaled_and_masked_as_its_site_is(model, guide, views):
    whole = evidence(model, guide, views, exact_kl=True).divergence
    some = torch.tensor([1, 0, 1, 0, 0, 1]).bool()
    q = poutine.mask(poutine.scale(guide, scale=0.5), mask=some)
    torch.testing.assert_close(
        evidence(model, q, views, exact_kl=True).divergence, whole * 0.5 * some
    )


def test_without_a_closed_form_there_is_no_exact_divergence(linear, data):
    def laplace(views):
        with pyro.plate("scenes", len(views), dim=-1):
            zero = torch.zeros(len(views), 3).double()
            pyro.sample("z", dist.Laplace(zero, 1.0).to_event(1).mask(True))

    assert evidence(linear, laplace, data, exact_kl=True).divergence is None
    assert evidence(linear, laplace, data).log_weights().isfinite().all()


def test_auxiliary_sites_of_the_guide_count(linear, data):
    """Drawing u and setting z = 2 u is drawing z: Pyro's own guides are written so."""

    def direct(views):
        with pyro.plate("scenes", len(views), dim=-1):
            zero = torch.zeros(len(views), 3).double()
            pyro.sample("z", dist.Normal(zero, 2.0).to_event(1))

    def roundabout(views):
        with pyro.plate("scenes", len(views), dim=-1):
            zero = torch.zeros(len(views), 3).double()
            unit = dist.Normal(zero, 1.0).to_event(1)
            u = pyro.sample("u", unit, infer={"is_auxiliary": True})
            jacobian = torch.full(u.shape[:-1], -3.0).double() * torch.tensor(2.0).double().log()
            pyro.sample("z", dist.Delta(2 * u, log_density=jacobian, event_dim=1))

    torch.manual_seed(0)
    expected = log_weights(linear, direct, data, particles=4)
    torch.manual_seed(0)
    torch.testing.assert_close(log_weights(linear, roundabout, data, particles=4), expected)
    assert evidence(linear, roundabout, data, exact_kl=True).divergence is None


def test_the_encoder_and_decoder_run_once_for_all_particles(model, guide, views):
    calls = []
    for net in (guide.joint.encoders["image"], model.image):
        net.register_forward_hook(lambda *call: calls.append(call[2].shape))
    evidence(model, guide, views, particles=5)
    features = guide.joint.encoders["image"].features
    assert calls == [(6, features), (5, 6, 3, 20, 18)]


def test_the_guide_and_the_model_learn_from_the_weights(model, guide, views):
    log_weights(model, guide, views, particles=2).mean().backward()
    for net in (
        model.image,
        model.mask,
        model.classes,
        guide.joint.head,
        *guide.joint.encoders.values(),
    ):
        gradients = [p.grad for p in net.parameters()]
        assert all(g.isfinite().all() for g in gradients)
        assert any(g.any() for g in gradients)


def _outside(views):
    pyro.sample("temperature", dist.Normal(0.0, 1.0))


def _inside(views):
    with pyro.plate("scenes", len(views), dim=-1):
        pyro.sample("z", dist.Normal(torch.zeros(len(views), 3), 1.0).to_event(1))


@pytest.mark.parametrize(("model", "guide"), [(_outside, _inside), (_inside, _outside)])
@pytest.mark.parametrize("particles", [1, 3])
def test_a_site_outside_the_plate_is_refused(model, guide, data, particles):
    with pytest.raises(ValueError, match="Site 'temperature' lies outside the plate over scenes"):
        log_weights(model, guide, data, particles=particles)
