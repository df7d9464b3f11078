"""`--prior ladder`: what learns with it, what is done with its runs, and what is refused."""

import pyro
import pytest
import torch
from torch.distributions import Normal

from inference import load
from inference.diagnostics.diagnose import diagnose
from inference.diagnostics.posteriors import posteriors, sample_prior, units
from inference.objectives.bounds import ELBO, IWAE, DReG
from inference.objectives.importance_weights import evidence
from inference.prediction.predict import predict
from inference.prediction.refine import Refinement, bound, climb, refine_posterior
from inference.prediction.sample import sample
from inference.runs.checkpoints import restore
from inference.settings.recipes import recipe
from inference.training.session import train
from scene.datasets.catalogue import open_data
from scene.networks.spatial import Latent
from scene.priors.ladder import Ladder, LadderPrior
from scene.views import VIEWS, Views

GRID = {"prior": "ladder", "spatial": 2, "cell": 8}


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("SCENE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def telbo(built, schema):
    """Build one whose grid follows its vector."""
    torch.manual_seed(1)
    assembly = built(schema, **GRID)
    torch.nn.init.normal_(assembly.model.latent_prior.level.head.weight, std=0.3)
    assembly.model.eval(), assembly.guide.eval()
    return assembly


class Seen:
    """The grid seen through noise, and its guide: exact where the level ignores the vector."""

    def __init__(self, blur=0.5):
        self.prior = LadderPrior(Latent(2, 1, 8, (16, 16)), width=2).double()
        self.blur = blur

    def model(self, views):
        with pyro.plate("scenes", len(views), dim=-1):
            z = pyro.sample("z", self.prior(len(views)))
            pyro.sample("x", pyro.distributions.Normal(z[..., 2:], self.blur).to_event(1),
                        obs=views["x"])  # fmt: skip

    def guide(self, views):
        loc = torch.cat([torch.zeros(len(views), 2).double(), views["x"]], dim=-1)
        scale = torch.cat([torch.full((2,), 1e9), torch.full((4,), self.blur)]).double()
        with pyro.plate("scenes", len(views), dim=-1):
            present = [torch.ones(len(views), dtype=torch.bool)]
            pyro.sample("z", self.prior.product([loc], [scale.expand_as(loc)], present))


@pytest.mark.parametrize("particles", [1, 7])
@pytest.mark.parametrize("pathwise", [False, True])
def test_the_exact_posterior_makes_every_weight_the_evidence(particles, pathwise):
    seen, views = Seen(), Views({"x": torch.randn(8, 4).double()})
    result = evidence(seen.model, seen.guide, views, particles=particles, exact_kl=True,
                      pathwise=pathwise)  # fmt: skip
    exact = Normal(0.0, (1 + seen.blur**2) ** 0.5).log_prob(views["x"]).sum(-1)
    torch.testing.assert_close(result.log_weights(), exact.expand(particles, -1))
    assert result.divergence.shape == (particles, 8)


def test_with_a_level_of_its_own_no_weight_is_far_and_the_bounds_are_in_order(telbo, views):
    """The mean of the KL at draws is the mean of the sampled one, and IWAE is not below ELBO."""
    torch.manual_seed(0)
    result = evidence(telbo.model, telbo.guide, views, particles=800, exact_kl=True)
    sampled = result.log_q - result.log_prior
    torch.testing.assert_close(result.divergence.mean(0), sampled.mean(0), rtol=0.05, atol=0.05)
    assert result.divergence.var(0).mean() < sampled.var(0).mean() / 2
    few = [kind(50).loss(telbo.model, telbo.guide, views) for kind in (ELBO, IWAE, DReG)]
    assert few[1] <= few[0] + 0.1
    assert few[2] == pytest.approx(few[1], abs=2)


@pytest.mark.parametrize("guide", ["poe", "retrofit", "masked", "joint"])
def test_every_guide_learns_under_a_ladder(built, schema, partial, guide):
    name, more = ("jvae", {"encode": ("image",)}) if guide == "joint" else ("telbo", {})
    assembly = built(schema, name, guide=guide, **GRID, **more)
    names = [key for key, _ in assembly.module.named_parameters()]
    assert sum("level.head.weight" in key for key in names) == 1
    level = assembly.model.latent_prior.level
    assembly.module(partial).backward()
    assert level.head.weight.grad.abs().sum() > 0
    assert all(p.grad.isfinite().all() for p in assembly.module.parameters() if p.grad is not None)
    q = assembly.guide.posterior(partial.only(("image",)))
    assert isinstance(q, Ladder)
    assert q.level is level


def test_draws_predictions_and_refined_posteriors_are_of_both_levels(telbo, schema, views):
    observed = views.rows(torch.arange(2)).only(("mask",))
    for seen in (None, observed):
        drawn = sample(telbo, seen, schema.labels, n=3, batched=True)
        assert drawn.image.shape[0] == 3
    at_mean = predict(telbo, observed, VIEWS, at_mean=True).views["mask"]
    q = telbo.guide.posterior(observed)
    expected = telbo.model.decode(q.mean, None, ("mask",))["mask"].probs
    torch.testing.assert_close(at_mean, expected)
    result = refine_posterior(telbo, observed, Refinement("svi"))
    assert isinstance(result.posterior, Ladder)
    assert result.elbo_after.mean() > result.elbo_before.mean()
    assert result.numpy()["scale"].shape == (2, telbo.model.latent)


def test_refining_starts_where_the_amortised_posterior_is(telbo, views):
    observed = views.only(("mask",))
    start = telbo.guide.posterior(observed)
    z = start.sample()
    same = climb(telbo.model, observed, start, steps=0)
    torch.testing.assert_close(same.log_prob(z), start.log_prob(z))
    assert bound(telbo.model, observed, same).isfinite().all()


def test_posteriors_are_examined_level_by_level(telbo, views):
    result = posteriors(telbo, views, ("image",))
    torch.testing.assert_close(result.kl_by_unit.sum(1), result.kl)
    assert not result.has_standard_prior
    assert units(result).total == pytest.approx(float(result.kl.mean()), rel=1e-5)
    many = torch.stack([result.standardised(sample_prior(telbo, views)) for _ in range(400)])
    assert abs(float(many.mean())) < 0.02
    assert float(many.std()) == pytest.approx(1, abs=0.02)


def test_a_run_is_evaluated_examined_and_given_a_flow(tiny, tmp_path):
    run = train(tiny(**GRID), device="cpu", folder=tmp_path / "run").run
    model = load(run.folder, device="cpu")
    assert model.evaluate("val").cells
    assert model.log_likelihood(model.dataset("val"), particles=2).isfinite().all()
    found = diagnose(restore(run), open_data("synthetic", "val", (16, 16)), tmp_path / "found",
                     particles=2, gradients=0)  # fmt: skip
    assert found.units[0].kl is not None
    flow = recipe("prior").settings(run=str(run.folder), steps=2, batch_size=4, flow_width=8)
    train(flow, device="cpu")
    assert load(run.folder, device="cpu").sample(2).image.isfinite().all()


@pytest.mark.parametrize(
    ("name", "choices", "sentence"),
    [
        (
            "telbo",
            {"prior": "ladder"},
            r"z has no grid; add --spatial, such as --spatial 8\.",
        ),
        ("cvae", {"prior": "ladder"}, "recipe cvae has the priors standard, learned, not ladder"),
        ("cvae", {"prior": "my.py:Prior"}, "has the priors standard, learned, not my.py:Prior"),
        (
            "telbo",
            {"prior": "laddre"},
            "not laddre; choose one of them, or your own: path",
        ),
        ("telbo", {"prior": "gone.py:Mine"}, "There is no file gone.py to load a prior from"),
        ("telbo", {"prior": "fractions:Fraction"}, "fractions:Fraction is not a Prior; subclass"),
        ("segmenter", {"prior": "ladder"}, "The recipe segmenter does not use --prior"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(built, schema, name, choices, sentence):
    with pytest.raises((ValueError, LookupError), match=sentence):
        built(schema, name, **choices)
