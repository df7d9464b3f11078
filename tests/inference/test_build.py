import pytest
import torch

from inference.build import assemble
from inference.guides import JointGuide, RetrofitGuide
from inference.objectives.bounds import ELBO, IWAE, DReG, Renyi
from inference.objectives.telbo import JMVAE, TELBO
from inference.settings.parts import OBJECTIVES
from inference.settings.recipes import RECIPES, recipe

FOREIGN = """
import pyro.distributions as dist
from torch import nn

from inference.guides import Guide
from inference.objectives.bounds import Bound


class Palette(Guide):
    def __init__(self, schema, views, latent=64, width=16):
        super().__init__(schema, views, latent, width)
        self.layer = nn.Linear(3, latent)

    def posterior(self, views):
        return dist.Normal(self.layer(views["image"].mean((2, 3))), 1.0).to_event(1)


class Median(Bound):
    def reduce(self, log_w):
        return log_w.median(0).values


class Lamp:
    pass


class Short(Guide):
    def __init__(self, schema):
        super().__init__(schema, ("image",))


class Plain(Bound):
    def __init__(self):
        super().__init__()
"""


@pytest.fixture
def foreign(tmp_path):
    """Make a stranger's file with a guide, a bound, and something else."""
    path = tmp_path / "lab.py"
    path.write_text(FOREIGN, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_builds_and_learns(built, name, schema, views):
    torch.manual_seed(0)
    assembly = built(schema, name, **({"particles": 2} if recipe(name).takes("particles") else {}))
    loss = assembly.module(views)
    loss.backward()
    assert loss.isfinite()
    parts = (*assembly.model.parameters(), *assembly.guide.parameters())
    assert {id(p) for p in assembly.module.parameters()} == {id(p) for p in parts}
    assert all(p.grad.isfinite().all() for p in parts if p.grad is not None)
    assert any(p.grad is not None and p.grad.any() for p in parts)


@pytest.mark.parametrize("name", ["telbo", "jmvae"])
@pytest.mark.parametrize("guide", ["poe", "retrofit"])
def test_subset_recipes_train_every_parameter_of_their_guides(built, name, guide, schema, views):
    assembly = built(schema, name, guide=guide, subsets="all")
    assembly.module(views).backward()
    assert all(p.grad is not None for p in assembly.guide.parameters())


@pytest.mark.parametrize("name", RECIPES)
def test_the_same_seed_gives_the_same_weights(built, name, schema):
    states = [built(schema, name, seed=seed).module.state_dict() for seed in (3, 3, 4)]
    assert states[0].keys() == states[1].keys()
    assert all(states[0][key].equal(states[1][key]) for key in states[0])
    assert not all(states[0][key].equal(states[2][key]) for key in states[0])


def test_building_leaves_the_global_generator_alone(built, schema):
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    built(schema, "telbo", seed=1)
    assert torch.rand(3).equal(expected)


def test_settings_reach_what_they_describe(built, schema):
    assembly = built(
        schema, "telbo", objective="elbo", particles=2, retrofit_objective="iwae",
        retrofit_particles=5, beta=0.5, view_weights={"classes": 10.0}, subsets="singles",
        retrofit="own", generator_gradients="stopped", noise="laplace", image_scale=0.2,
        learn_scale=True, latent=6, guide="retrofit",
    )  # fmt: skip
    objective = assembly.objective
    assert isinstance(objective, TELBO)
    assert isinstance(objective.joint, ELBO)
    assert isinstance(objective.retrofit, IWAE)
    assert (objective.joint.num_particles, objective.retrofit.num_particles) == (2, 5)
    assert (objective.joint.beta, objective.retrofit.weights) == (0.5, {"classes": 10.0})
    assert (objective.predict, objective.generators) == ("own", "stopped")
    assert objective.subsets == (("image",), ("classes",), ("mask",))
    assert isinstance(assembly.guide, RetrofitGuide)
    assert assembly.guide.latent == assembly.model.latent == 6
    assert assembly.model.noise == "laplace"
    assert assembly.model.log_scale.requires_grad
    assert assembly.model.log_scale.exp().item() == pytest.approx(0.2)


def test_retrofit_terms_have_the_bound_of_the_joint_term_by_default(tiny, schema):
    for kind, name in ((ELBO, "elbo"), (IWAE, "iwae"), (DReG, "dreg"), (Renyi, "renyi")):
        settings = tiny(objective=name, particles=3).changed(retrofit_objective=None)
        objective = assemble(settings, schema).objective
        assert type(objective.joint) is type(objective.retrofit) is kind
        assert objective.joint.num_particles == 3
        assert objective.retrofit.num_particles == (1 if name == "elbo" else 3)


def test_an_elbo_of_a_subset_draws_once_unless_more_are_asked_for(built, schema):
    assert built(schema, "telbo", particles=5).objective.retrofit.num_particles == 1
    asked = built(schema, "telbo", particles=5, retrofit_particles=5).objective
    assert asked.retrofit.num_particles == 5


@pytest.mark.parametrize("bound", OBJECTIVES)
@pytest.mark.parametrize("name", ["cvae", "jvae", "jmvae", "telbo"])
def test_every_bound_trains_every_recipe_with_a_latent(built, schema, partial, name, bound):
    """On scenes partly labelled, one draw and several, for joint and retrofit terms."""
    more = {"retrofit_objective": bound, "retrofit_particles": 3} if name == "telbo" else {}
    for particles in (1, 2):
        assembly = built(schema, name, objective=bound, particles=particles, **more)
        assembly.module(partial).backward()
        slopes = [p.grad for p in assembly.guide.parameters() if p.grad is not None]
        assert any(slope.any() for slope in slopes)
        assert all(slope.isfinite().all() for slope in slopes)


def test_renyi_receives_its_alpha(built, schema):
    objective = built(
        schema, "telbo", objective="renyi", retrofit_objective="renyi", renyi_alpha=0.3
    ).objective
    assert objective.joint.alpha == objective.retrofit.alpha == 0.3


def test_free_bits_reach_the_terms_bounded_by_the_elbo(built, schema):
    objective = built(schema, "telbo", free_bits=2.0).objective
    assert objective.retrofit.free_bits == 2.0
    assert not hasattr(objective.joint, "free_bits")


def test_jmvae_receives_its_alpha(built, schema):
    objective = built(schema, "jmvae", alpha=0.3).objective
    assert isinstance(objective, JMVAE)
    assert objective.alpha == 0.3


@pytest.mark.parametrize("name", ["telbo", "jmvae"])
def test_random_subsets_are_drawn_a_step(built, schema, name):
    assert built(schema, name, subsets="random").objective.turns == "step"
    assert built(schema, name, subsets="all").objective.turns == "all"


def test_a_plain_guide_reads_the_views_of_encode(built, schema):
    assembly = built(schema, "jvae", encode=("mask",))
    assert isinstance(assembly.guide, JointGuide)
    assert assembly.guide.views == ("mask",)


def test_a_users_guide_and_bound_are_used_like_ours(built, schema, views, foreign):
    assembly = built(
        schema, "jvae", guide=f"{foreign}:Palette", objective=f"{foreign}:Median", particles=3
    )
    assert type(assembly.guide).__name__ == "Palette"
    assembly.module(views).backward()
    assert assembly.guide.layer.weight.grad.any()


def test_a_guide_that_refuses_subsets_cannot_be_retrofitted(built, schema, foreign):
    for guide, name in (("joint", "JointGuide"), (f"{foreign}:Palette", "Palette")):
        with pytest.raises(ValueError, match=f"{name} has no posterior given only image"):
            built(schema, "telbo", guide=guide)


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"guide": "{}:Lamp"}, "is not a Guide; subclass inference.guides.Guide"),
        ({"objective": "{}:Lamp"}, "is not a Bound; subclass inference.objectives.bounds.Bound"),
        (
            {"guide": "{}:Short"},
            "Short cannot be constructed like its base class Guide: too many positional arguments",
        ),
        (
            {"objective": "{}:Plain"},
            "Plain cannot be constructed like its base class Bound: too many positional",
        ),
    ],
)
def test_a_users_class_must_be_of_the_right_kind(built, schema, foreign, choices, sentence):
    named = {key: text.format(foreign) for key, text in choices.items()}
    with pytest.raises(ValueError, match=sentence):
        built(schema, "jvae", **named)


@pytest.mark.parametrize("name", ["cvae", "jvae", "jmvae", "telbo"])
def test_a_model_with_a_latent_needs_a_belief_about_it(built, schema, name):
    with pytest.raises(ValueError, match="EmptyGuide has no posterior given only"):
        built(schema, name, guide="none")


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"guide": "retrofti"}, "Did you mean 'retrofit'"),
        ({"objective": "iwea"}, "Did you mean 'iwae'"),
        ({"subsets": "some"}, "No choice of subsets is called 'some'"),
        ({"guide": "nowhere.py:Guide"}, "There is no file nowhere.py to load a guide from"),
    ],
)
def test_unknown_names_are_answered_with_a_sentence(built, schema, choices, sentence):
    with pytest.raises(LookupError, match=sentence):
        built(schema, "telbo", **choices)
