import pytest
import torch
from torch import nn

from inference.crf.meanfield import refine_logits
from inference.objectives import sec
from inference.objectives.sec import (
    SEC,
    OnMasks,
    constrain_loss,
    expand_loss,
    grid_kernels,
    probabilities,
    seed_loss,
)
from scene.discriminative import CoarseScene
from scene.labels import VOID, Labels
from scene.views import Schema, Views

PETS = Labels(("background", "cat", "dog"))
CELLS = (5, 4)


@pytest.fixture
def model():
    torch.manual_seed(0)
    result = CoarseScene(Schema(PETS, (20, 16)), width=2).eval()
    nn.init.normal_(result.net.scores.weight)
    return result


@pytest.fixture
def objective():
    return SEC(grid_kernels(CELLS))


def batch(cues=True, labels=PETS):
    draw = torch.Generator().manual_seed(0)
    tensors = {
        "image": torch.rand(4, 3, 20, 16, generator=draw),
        "classes": torch.rand(4, len(labels.classes), generator=draw).round(),
        "mask": torch.randint(len(labels.names), (4, 20, 16), generator=draw),
    }
    if cues:
        tensors["cues"] = torch.rand(4, len(labels.names), *CELLS, generator=draw) < 0.2
    return Views(tensors)


def losses(objective, model, views):
    return {n: -t.bound.item() for n, t in objective.terms(model, None, views).items()}


def test_the_terms_are_the_papers_losses(model, objective):
    views = batch()
    logits = model.scores(views["image"])
    p = probabilities(logits)
    present = torch.cat([torch.zeros(4, 1), views["classes"]], 1).bool()
    crf = refine_logits(
        logits.detach(),
        255 * model.downsample(views["image"]).permute(0, 2, 3, 1),
        kernels=grid_kernels(CELLS),
        engine="exact",
    )
    assert losses(objective, model, views) == {
        "seed": pytest.approx(seed_loss(p, views["cues"]).item()),
        "expand": pytest.approx(expand_loss(p, present).item()),
        "constrain": pytest.approx(constrain_loss(p, crf).item()),
    }


def test_the_loss_is_their_sum(model, objective):
    loss = objective.differentiable_loss(model, None, batch())
    assert loss.item() == pytest.approx(sum(losses(objective, model, batch()).values()))


def test_gradients_come_through_p_alone(model, objective, monkeypatch):
    """With the CRF's answer fixed beforehand, they are the same."""
    views = batch()
    objective.differentiable_loss(model, None, views).backward()
    through = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    with torch.no_grad():
        fixed = objective.refined(model.scores(views["image"]), model.downsample(views["image"]))
    monkeypatch.setattr(objective, "refined", lambda logits, images: fixed)
    objective.differentiable_loss(model, None, views).backward()
    for one, other in zip(through, model.parameters(), strict=True):
        torch.testing.assert_close(one, other.grad)


def test_a_batch_is_refined_by_one_call(model, objective, monkeypatch):
    calls = []
    monkeypatch.setattr(
        sec, "refine_logits", lambda logits, *_, **__: calls.append(1) or logits.softmax(1)
    )
    objective.terms(model, None, batch())
    assert calls == [1]


def test_scenes_without_image_level_labels_are_left_out(model, objective):
    views = batch()
    known = torch.tensor([True, False, True, False])
    partial = Views(dict(views.items()), {"classes": known})
    assert losses(objective, model, partial) == losses(objective, model, views.rows(known))
    nothing = Views(dict(views.items()), {"classes": torch.zeros(4, dtype=torch.bool)})
    assert objective.terms(model, None, nothing) == {}
    assert objective.differentiable_loss(model, None, nothing) == 0


def test_masks_are_never_looked_at(model, objective):
    views = batch()
    without = Views({n: t for n, t in views.items() if n != "mask"})
    assert losses(objective, model, without) == losses(objective, model, views)


def test_without_cues_there_is_no_seed_term(model, objective):
    assert list(losses(objective, model, batch(cues=False))) == ["expand", "constrain"]


def test_labels_need_no_background(objective):
    """All of them count as foreground then."""
    labels = Labels(("sky", "sea"))
    bare = CoarseScene(Schema(labels, (20, 16)), width=2).eval()
    views = batch(labels=labels)
    p = probabilities(bare.scores(views["image"]))
    expected = expand_loss(p, views["classes"].bool(), None).item()
    assert losses(objective, bare, views)["expand"] == pytest.approx(expected)


def test_kernels_are_the_papers_on_its_own_grid():
    smoothness, appearance = grid_kernels((41, 41))
    assert (smoothness.sigma, smoothness.weight) == (3 / 12, 3)
    assert (appearance.sigma_xy, appearance.sigma_rgb, appearance.weight) == (80 / 12, 13, 10)


def test_kernels_cover_the_same_share_of_any_grid():
    smoothness, appearance = grid_kernels((82, 82), sigma_xy=6.0)
    assert (smoothness.sigma, appearance.sigma_xy) == (0.5, 12)


def test_learning_from_masks_is_cross_entropy(model):
    views = batch()
    views["mask"][:, :3] = VOID
    probs = model.decode(None, views, ["mask"])["mask"].probs
    known = views["mask"] != VOID
    picked = probs.gather(1, views["mask"].masked_fill(~known, 0)[:, None])[:, 0]
    (term,) = OnMasks().terms(model, None, views).values()
    assert term.bound.item() == pytest.approx(picked[known].log().mean().item(), rel=1e-5)


def test_masks_that_count_half_teach_half(model):
    views = batch()
    half = Views(dict(views.items()), likelihood_weights={"mask": torch.full((4,), 0.5)})
    (one,), (other,) = (OnMasks().terms(model, None, v).values() for v in (half, views))
    torch.testing.assert_close(2 * one.bound, other.bound)


def test_masks_that_are_void_or_missing_teach_nothing(model):
    views = batch()
    void = Views({**dict(views.items()), "mask": torch.full_like(views["mask"], VOID)})
    assert OnMasks().differentiable_loss(model, None, void) == 0
    gone = Views(dict(views.items()), {"mask": torch.zeros(4, dtype=torch.bool)})
    assert OnMasks().terms(model, None, gone) == {}


class Free:
    """A model whose logits are free: what the objective alone wants."""

    labels = PETS

    def __init__(self):
        self.logits = torch.zeros(1, 3, 10, 10, requires_grad=True)

    def scores(self, image):
        return self.logits

    def downsample(self, image):
        return image


def test_terms_count_by_their_weights(model, objective):
    whole = losses(objective, model, batch())
    weighted = SEC(grid_kernels(CELLS), expand=0.25, constrain=0)
    assert losses(weighted, model, batch()) == {
        "seed": pytest.approx(whole["seed"]),
        "expand": pytest.approx(whole["expand"] / 4),
    }
    seeds = SEC(grid_kernels(CELLS), expand=0, constrain=0)
    assert losses(seeds, model, batch()) == {"seed": pytest.approx(whole["seed"])}
    del whole["seed"]
    assert losses(seeds, model, batch(cues=False)) == pytest.approx(whole)


def test_cues_spread_as_far_as_the_image_is_alike():
    """One cue on a red square, one on the green around it: the labels end where the colours do."""
    mask = torch.zeros(10, 10, dtype=torch.int64)
    mask[2:7, 3:8] = 1
    image = torch.stack([mask, 1 - mask, 0 * mask]).float()[None]
    cues = torch.zeros(1, 3, 10, 10, dtype=torch.bool)
    cues[0, 1, 4, 5] = cues[0, 0, 0, 0] = True
    views = Views({"image": image, "classes": torch.tensor([[1.0, 0.0]]), "cues": cues})
    free, objective = Free(), SEC(grid_kernels((41, 41)))
    adam = torch.optim.Adam([free.logits], 0.1)
    for _ in range(50):
        adam.zero_grad()
        objective.differentiable_loss(free, None, views).backward()
        adam.step()
    assert free.logits.argmax(1)[0].equal(mask)
