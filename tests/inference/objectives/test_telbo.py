import collections

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Normal, kl_divergence

from inference.guides import JointGuide, MaskedGuide, ProductGuide, RetrofitGuide
from inference.objectives.bounds import ELBO, IWAE, Term
from inference.objectives.telbo import JMVAE, TELBO, deal, penalties, subsets
from scene.labels import VOID
from scene.models import JointScene
from scene.networks.encoders import Encoder
from scene.views import VIEWS, Views

REPORT = (("image", "classes"), ("mask",))
EVERY = subsets("all")


def _elbo_by_hand(model, guide, views, given, scored, noise):
    """Write eq. 3 out with torch's own distributions: the slow oracle, ``(B,)``."""
    q = guide.posterior(views.only(given))
    z = q.mean + noise * q.stddev
    log_p = 0
    if "image" in scored:
        image = Normal(model.image(z).sigmoid(), 0.2).log_prob(views["image"])
        log_p = log_p + image.sum((1, 2, 3))
    if "classes" in scored:
        heads = [model.class_head(z)] if model.training else []
        for odds in (model.classes(model.mask(z)), *heads):
            log_p = log_p + Bernoulli(logits=odds).log_prob(views["classes"]).sum(1)
    if "mask" in scored:
        seen = views["mask"] != VOID
        pixels = Categorical(logits=model.mask(z).movedim(1, -1))
        mask = pixels.log_prob(views["mask"].where(seen, 0)) * seen
        log_p = log_p + mask.sum((1, 2))
    return log_p - kl_divergence(Normal(q.mean, q.stddev), Normal(0.0, 1.0)).sum(1)


def test_telbo_is_the_mean_of_three_bounds(model, guide, views, noise):
    """Eq. 9 to 11 written out: joint, retrofit on image and classes, retrofit on the mask."""
    objective = TELBO(ELBO(1), subsets=subsets("report"), predict="own", generators="shared")
    by_hand = [
        _elbo_by_hand(model, guide, views, inputs, inputs, noise).mean()
        for inputs in (VIEWS, *REPORT)
    ]
    terms = objective.terms(model, guide, views)
    assert list(terms) == ["joint", "image+classes", "mask"]
    torch.testing.assert_close([t.bound for t in terms.values()], by_hand)
    torch.testing.assert_close(
        objective.differentiable_loss(model, guide, views), -sum(by_hand) / 3
    )


def test_predicting_all_scores_every_observed_view(model, guide, partial, noise):
    terms = TELBO(ELBO(1), subsets=REPORT, predict="all").terms(model, guide, partial)
    for inputs in REPORT:
        rows = partial.having(inputs).nonzero().squeeze(1)
        bounds = []
        for row in rows:
            scene = partial.rows(row.view(1))
            scored = [name for name in VIEWS if scene.present[name]]
            bounds.append(_elbo_by_hand(model, guide, scene, inputs, scored, noise))
        term = terms["+".join(inputs)]
        assert term.scenes == len(rows)
        torch.testing.assert_close(term.bound, torch.cat(bounds).mean())


def test_terms_may_have_bounds_of_their_own(model, guide, views, noise):
    objective = TELBO(ELBO(1), IWAE(3), subsets=REPORT, predict="own")
    terms = objective.terms(model, guide, views)
    joint = ELBO(1).terms(model, guide, views)["joint"].bound
    mask = IWAE(3).term(model, guide, views, given=("mask",), scored=("mask",)).bound
    torch.testing.assert_close((terms["joint"].bound, terms["mask"].bound), (joint, mask))


def _gradients(objective, model, guide, views):
    for net in (model, guide):
        net.zero_grad()
    torch.manual_seed(0)
    loss = objective.differentiable_loss(model, guide, views)
    loss.backward()
    result = [[p.grad for p in net.parameters()] for net in (model, guide)]
    return loss.detach(), *[[None if g is None else g.clone() for g in gs] for gs in result]


@pytest.mark.parametrize("kind", [ProductGuide, MaskedGuide, RetrofitGuide])
@pytest.mark.parametrize("objective", [TELBO(ELBO(2), subsets=EVERY), JMVAE(ELBO(1), EVERY)])
@pytest.mark.parametrize("which", ["views", "partial"])
def test_views_are_read_once_a_step(request, schema, monkeypatch, kind, objective, which):
    """However many posteriors ask: by each network once, to the same loss and gradients."""
    views = request.getfixturevalue(which)
    choices = {"latent": 4 + 2 * 5 * 5, "width": 2, "spatial": 2}
    guide = kind(schema, VIEWS, **choices).eval()
    model = JointScene(schema, latent=4, width=2, spatial=2).eval()
    once = _gradients(objective, model, guide, views), _count(guide, objective, model, views)
    monkeypatch.setattr(Views, "with_cache", lambda self: self)
    each = _gradients(objective, model, guide, views), _count(guide, objective, model, views)
    torch.testing.assert_close(once[0], each[0])
    if which == "views":
        assert set(once[1]) == {1}
    assert sum(once[1]) <= sum(each[1])


def _count(guide, objective, model, views):
    """Count how often each network that reads a view is used in a step."""
    counts = collections.Counter()
    encoders = [m for m in guide.modules() if isinstance(m, Encoder)]
    first = [encoder.convolutions[0] for encoder in encoders]
    hooks = [net.register_forward_hook(lambda net, *_: counts.update([net])) for net in first]
    objective.terms(model, guide, views)
    for hook in hooks:
        hook.remove()
    return list(counts.values())


@pytest.mark.parametrize("predict", ["own", "all"])
def test_stopped_generators_learn_from_the_joint_term_only(model, guide, views, predict):
    shared, stopped = (
        TELBO(IWAE(2), subsets=REPORT, predict=predict, generators=generators)
        for generators in ("shared", "stopped")
    )
    loss, model_grads, guide_grads = _gradients(shared, model, guide, views)
    same, joint_grads, same_grads = _gradients(stopped, model, guide, views)
    torch.testing.assert_close(loss, same)
    torch.testing.assert_close(guide_grads, same_grads)
    _, alone, _ = _gradients(IWAE(2), model, guide, views)
    thirds = [None if g is None else g / 3 for g in alone]
    torch.testing.assert_close(_known(joint_grads), _known(thirds))
    pairs = zip(_known(model_grads), _known(thirds), strict=True)
    assert not all(torch.allclose(shared, joint) for shared, joint in pairs)


def _known(gradients):
    return [g for g in gradients if g is not None]


def test_stopping_leaves_what_may_learn_as_it_was(model, guide, views):
    model.classes.requires_grad_(False)
    before = [p.requires_grad for p in model.parameters()]
    objective = TELBO(IWAE(1), subsets=REPORT, generators="stopped")
    objective.loss(model, guide, views)
    assert [p.requires_grad for p in model.parameters()] == before
    assert not all(before)


def test_stopping_is_undone_after_an_error(model, schema, views):
    before = [p.requires_grad for p in model.parameters()]
    guide = JointGuide(schema, VIEWS, latent=4, width=2)  # has no posterior given fewer views
    objective = TELBO(IWAE(1), subsets=REPORT, generators="stopped")
    with pytest.raises(KeyError):
        objective.loss(model, guide, views)
    assert [p.requires_grad for p in model.parameters()] == before


@pytest.mark.usefixtures("noise")
@pytest.mark.parametrize("predict", ["own", "all"])
def test_a_term_averages_over_the_scenes_that_have_what_it_sees(model, guide, partial, predict):
    objective = TELBO(IWAE(2), subsets=subsets("all"), predict=predict)
    terms = objective.terms(model, guide, partial)
    for inputs in subsets("all"):
        rows = partial.having(inputs)
        alone = objective.terms(model, guide, partial.rows(rows))["+".join(inputs)]
        assert terms["+".join(inputs)].scenes == int(rows.sum())
        torch.testing.assert_close(terms["+".join(inputs)].bound, alone.bound)


@pytest.mark.usefixtures("noise")
@pytest.mark.parametrize("objective", [TELBO(IWAE(2)), JMVAE(ELBO(1))])
def test_missing_views_change_nothing_for_scenes_that_have_them(
    model, guide, views, partial, objective
):
    """The joint term of a mixed batch is that of its complete scenes, to the last gradient."""
    complete = views.rows(torch.arange(2))
    mixed = objective.terms(model, guide, partial)["joint"]
    alone = objective.terms(model, guide, complete)["joint"]
    assert mixed.scenes == 2
    torch.testing.assert_close(mixed.bound, alone.bound)
    grads = [torch.autograd.grad(t.bound, guide.joint.head.parameters()) for t in (mixed, alone)]
    torch.testing.assert_close(*grads)


@pytest.mark.usefixtures("noise")
def test_a_term_that_no_scene_can_use_is_left_out(model, guide, views):
    maskless = Views(dict(views.items()), {"mask": torch.zeros(6, dtype=torch.bool)})
    objective = TELBO(IWAE(2), subsets=REPORT)
    terms = objective.terms(model, guide, maskless)
    assert list(terms) == ["image+classes"]
    assert objective.loss(model, guide, maskless) == -float(terms["image+classes"].bound.detach())
    assert JMVAE(IWAE(2)).terms(model, guide, maskless) == {}


def _filled(views, values):
    """Put other placeholders where nothing was seen."""
    tensors = {}
    for name, tensor in views.items():
        tensors[name] = tensor.clone()
        tensors[name][~views.present[name]] = values[name]
    return Views(tensors, views.present)


@pytest.mark.parametrize(
    ("objective", "reads"),
    [
        (IWAE(2), ("image",)),
        (ELBO(1), ("image", "classes")),
        (IWAE(2), VIEWS),
        (TELBO(IWAE(2), subsets=subsets("all"), predict="own"), VIEWS),
        (TELBO(ELBO(2), subsets=subsets("singles"), generators="stopped"), VIEWS),
        (JMVAE(ELBO(1)), VIEWS),
    ],
    ids=["image", "image+classes", "everything", "own", "all", "jmvae"],
)
def test_placeholders_never_reach_a_network(model, schema, partial, objective, reads):
    torch.manual_seed(0)
    guide = ProductGuide(schema, reads, latent=4, width=2).eval()
    partial.present["image"][4] = False
    partial.present["image"][5] = False  # classes alone
    nan = float("nan")
    wild = _filled(partial, {"image": nan, "classes": nan, "mask": 77})
    tame = _filled(partial, {"image": 0.5, "classes": 1.0, "mask": 1})
    loss, *gradients = _gradients(objective, model, guide, wild)
    same_loss, *same_gradients = _gradients(objective, model, guide, tame)
    torch.testing.assert_close(loss, same_loss, rtol=0, atol=0)
    torch.testing.assert_close(gradients, same_gradients, rtol=0, atol=0)
    assert loss.isfinite()
    assert all(g.isfinite().all() for net in gradients for g in _known(net))


def test_jmvaes_penalty_is_the_divergence_from_the_joint_posterior(model, guide, views):
    """KL(q(z | all) ‖ q(z | view)) between diagonal Normals, written out."""
    objective = JMVAE(ELBO(1), alpha=0.7)
    terms = objective.terms(model, guide, views)
    q = guide.posterior(views)
    total = 0
    for name in VIEWS:
        p = guide.posterior(views.only((name,)))
        apart = (q.variance + (q.mean - p.mean) ** 2) / p.variance
        kl = 0.5 * (apart - 1 + (p.variance / q.variance).log()).sum(1).mean()
        torch.testing.assert_close(terms[name].bound, -kl)
        total = total + kl
    expected = terms["joint"].bound - 0.7 * total
    torch.testing.assert_close(objective.total(terms, views), expected)


@pytest.mark.usefixtures("noise")
def test_telbo_can_have_jmvaes_penalties_beside_its_bounds(model, guide, views):
    chosen = (("image",), ("mask",))
    bounds = TELBO(ELBO(1), subsets=chosen).loss(model, guide, views)
    apart = sum(float(-gap.bound.detach()) for gap in penalties(guide, views, chosen).values())
    both = TELBO(ELBO(1), subsets=chosen, alpha=0.3).loss(model, guide, views)
    assert apart > 0
    assert both == pytest.approx(bounds + 0.3 * apart, rel=1e-5)


def test_one_penalty_a_step_is_on_average_all_of_them(guide, views):
    """What is drawn counts for all, so the mean over what can be drawn is their sum."""
    whole = penalties(guide, views, subsets("all"))
    objective = TELBO(ELBO(1), subsets=subsets("all"), alpha=0.3, turns="step")
    nothing = Term(torch.zeros(()), 6, {})
    drawn = [
        objective.total({"joint": nothing, name: nothing, f"{name} follows": gap}, views)
        for name, gap in whole.items()
    ]
    expected = 0.3 * sum(gap.bound for gap in whole.values())
    torch.testing.assert_close(torch.stack(drawn).mean(), expected)


@pytest.mark.usefixtures("noise")
def test_without_alpha_jmvae_is_the_joint_bound(model, guide, partial):
    loss = JMVAE(IWAE(3), alpha=0.0).loss(model, guide, partial)
    assert loss == pytest.approx(IWAE(3).loss(model, guide, partial), rel=1e-6)


@pytest.mark.usefixtures("noise")
@pytest.mark.parametrize("form", [TELBO, JMVAE])
def test_warming_reaches_the_bounds_inside(model, guide, views, form):
    warm, cold = form(ELBO(1, beta=4.0)), form(ELBO(1, beta=1.0))
    warm.warm(0.25)
    assert warm.loss(model, guide, views) == cold.loss(model, guide, views)


@pytest.mark.parametrize("form", [TELBO, JMVAE])
def test_every_subset_is_a_posterior_that_is_trained(guide, form):
    objective = form(IWAE(1), subsets=REPORT)
    assert objective.conditionings(guide) == {
        frozenset(VIEWS), frozenset({"image", "classes"}), frozenset({"mask"})
    }  # fmt: skip


def test_all_subsets_are_proper_and_differ():
    result = subsets("all")
    assert len(set(result)) == 6
    assert VIEWS not in result
    assert set(subsets("singles")) < set(result)


@pytest.mark.usefixtures("noise")
@pytest.mark.parametrize("form", [TELBO, JMVAE])
def test_one_subset_a_step_is_all_of_them_on_average(model, guide, views, form):
    """Over draws as often of each subset, the losses average to that of all terms."""
    every = form(ELBO(1), subsets=subsets("all"))
    drawn = form(ELBO(1), subsets=subsets("random"), turns="step")
    torch.manual_seed(0)
    seen = {}
    while len(seen) < 6:
        terms = drawn.terms(model, guide, views)
        joint, name = terms
        assert joint == "joint"
        seen[name] = float(drawn.total(terms, views).detach())
    assert -sum(seen.values()) / 6 == pytest.approx(every.loss(model, guide, views), rel=1e-5)
    assert drawn.conditionings(guide) == every.conditionings(guide)


def test_the_subset_of_a_step_is_drawn_from_the_seed(model, guide, partial):
    drawn, runs = TELBO(ELBO(1), subsets=subsets("random"), turns="step"), []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        runs.append([drawn.loss(model, guide, partial) for _ in range(6)])
    assert runs[0] == runs[1] != runs[2]


def test_without_a_joint_term_the_one_subset_stands_alone(model, guide, views):
    unmasked = Views(dict(views.items()), {"mask": torch.zeros(6, dtype=torch.bool)})
    drawn = TELBO(ELBO(1), subsets=(("image",),), turns="step")
    terms = drawn.terms(model, guide, unmasked)
    assert list(terms) == ["image"]
    torch.testing.assert_close(drawn.total(terms, unmasked), terms["image"].bound)


@pytest.mark.usefixtures("noise")
def test_one_term_a_scene_is_all_of_them_on_average(model, guide, views):
    """Of 3 terms two scenes each: the mean over all ways to deal them, which is 90."""
    every = TELBO(ELBO(1), subsets=REPORT).loss(model, guide, views)
    dealt = TELBO(ELBO(1), subsets=REPORT, turns="scene")
    losses = {}
    for seed in range(2000):
        torch.manual_seed(seed)
        ways = tuple(tuple(share.rows.tolist()) for share in deal(views, (VIEWS, *REPORT)))
        if ways not in losses:
            torch.manual_seed(seed)
            losses[ways] = dealt.loss(model, guide, views)
    assert len(losses) == 90
    assert sum(losses.values()) / 90 == pytest.approx(every, rel=1e-5)


def test_fewer_scenes_than_terms_will_do(model, guide, views):
    dealt = TELBO(ELBO(1), subsets=subsets("all"), turns="scene")
    terms = dealt.terms(model, guide, views.rows(torch.tensor([0, 3])))
    assert [term.scenes for term in terms.values()] == [1, 1]
    assert dealt.total(terms, views).isfinite()


def test_a_subset_written_twice_counts_once():
    assert subsets("mask, image + classes,classes+image,mask") == (("mask",), ("image", "classes"))


def test_an_unknown_choice_of_subsets_is_refused():
    with pytest.raises(LookupError, match="No choice of subsets is called 'pairs'"):
        subsets("pairs")
