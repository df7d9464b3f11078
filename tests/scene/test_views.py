import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scene.labels import VOID
from scene.views import VIEWS, Scene, Views, stack

flags = st.lists(st.booleans(), min_size=1, max_size=6)


def _of(image, mask):
    count = len(image)
    return Views(
        {
            "image": torch.arange(count).float().view(-1, 1),
            "mask": torch.arange(count).view(-1, 1),
        },
        {"image": torch.tensor(image), "mask": torch.tensor(mask)},
    )


def test_stacking_keeps_each_view_and_says_which_are_real(schema):
    image = torch.randint(256, (3, 20, 18), dtype=torch.uint8)
    mask = torch.full((20, 18), VOID, dtype=torch.uint8)
    scenes = [Scene(image, torch.tensor([1.0, 0.0]), mask), Scene(image), Scene(mask=mask)]
    views = stack(scenes, schema)
    assert views.names == VIEWS
    assert {name: p.tolist() for name, p in views.present.items()} == {
        "image": [True, True, False],
        "classes": [True, False, False],
        "mask": [True, False, True],
    }
    torch.testing.assert_close(views["image"][1], image / 255)
    assert views["mask"].dtype == torch.int64
    assert (views["mask"][2] == VOID).all()
    assert all(tensor.isfinite().all() for _, tensor in views.items())


@settings(deadline=None, max_examples=30)
@given(flags, st.data())
def test_having_is_and_over_views(image, data):
    mask = data.draw(st.lists(st.booleans(), min_size=len(image), max_size=len(image)))
    views = _of(image, mask)
    both = [a and b for a, b in zip(image, mask, strict=True)]
    assert views.having(("image", "mask")).tolist() == both
    assert views.having(("image",)).tolist() == image
    assert views.having(()).all()
    assert not views.having(("image", "classes")).any()


@settings(deadline=None, max_examples=30)
@given(flags, st.data())
def test_choosing_rows_and_choosing_views_commute(image, data):
    views = _of(image, image[::-1])
    rows = torch.tensor(data.draw(st.lists(st.integers(0, len(image) - 1), min_size=1)))
    one, other = views.rows(rows).only(("mask",)), views.only(("mask",)).rows(rows)
    assert one["mask"].equal(other["mask"])
    assert one["mask"].flatten().equal(rows)
    assert one.present["mask"].equal(other.present["mask"])


def test_rows_by_flag_and_by_number_agree():
    views, flag = _of([True] * 4, [True, False] * 2), torch.tensor([True, False, True, True])
    assert views.rows(flag)["image"].equal(views.rows(flag.nonzero().squeeze(1))["image"])
    assert views.rows(torch.ones(4, dtype=torch.bool)) is views


def test_a_view_is_present_by_default():
    views = Views(
        {"image": torch.zeros(3, 1), "mask": torch.zeros(3, 1)}, {"mask": torch.zeros(3)}
    )
    assert views.present["image"].all()
    assert not views.present["mask"].any()


def test_moving_keeps_what_was_seen():
    views = _of([True, False], [False, True])
    moved = views.to("meta")
    assert moved.device.type == "meta"
    assert moved.present["mask"].device.type == "meta"
    assert views.to("cpu").present["mask"].equal(views.present["mask"])


def test_a_batch_knows_what_it_holds():
    views = _of([True, False], [False, True])
    assert len(views) == 2
    assert list(views) == ["image", "mask"]
    assert "mask" in views
    assert "classes" not in views


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({}, []),
        ({"image": torch.zeros(2), "mask": torch.zeros(3)}, []),
        ({"image": torch.zeros(2)}, [{"image": torch.ones(3).bool()}]),
        ({"image": torch.zeros(2)}, [{}, {"image": torch.ones(3)}]),
    ],
)
def test_views_that_disagree_on_the_number_of_scenes_are_refused(tensors, said):
    with pytest.raises(ValueError, match="have the same number of scenes"):
        Views(tensors, *said)


def test_what_a_view_counts_goes_with_its_scenes(schema):
    mask = torch.zeros(20, 18, dtype=torch.uint8)
    weak = Scene(mask=mask, weak=("mask",), likelihood_weights={"mask": 0.25})
    views = stack([Scene(mask=mask), weak, Scene()], schema)
    assert views.likelihood_weights["mask"].tolist() == [1, 0.25, 1]
    assert (
        views.likelihood_weights["image"].tolist()
        == views.likelihood_weights["classes"].tolist()
        == [1, 1, 1]
    )
    last = views.rows(torch.tensor([2, 1])).only(("mask",)).to("cpu")
    assert list(last.likelihood_weights) == ["mask"]
    assert last.likelihood_weights["mask"].tolist() == [1, 0.25]


def test_what_comes_back_to_the_cpu_has_arrived(monkeypatch):
    """A copy that does not wait may be read before it is there."""
    move, waited = torch.Tensor.to, []

    def note(self, *args, **more):
        waited.append(not more.get("non_blocking", False))
        return move(self, *args, **more)

    monkeypatch.setattr(torch.Tensor, "to", note)
    _of([True, False], [False, True]).to("cpu")
    assert waited == [True] * 6


def test_a_batch_that_remembers_is_read_once():
    """By each reader, with and without gradients; parts of it share what it remembers."""
    views, read = _of([True, True], [True, True]).with_cache(), []

    def recall(batch, reader="eyes"):
        return batch.recall("image", reader, lambda: read.append(reader) or len(read))

    everyone = torch.tensor([True, True])
    assert [recall(b) for b in (views, views.only(["image"]), views.rows(everyone))] == [1, 1, 1]
    assert recall(views, "other eyes") == 2
    with torch.no_grad():
        assert recall(views) == 3
    first = torch.tensor([0])
    for others in (views.rows(first), views.with_cache(), views.to("cpu")):
        assert recall(others) == len(read)
    assert [recall(views.rows(first)), recall(views.only(["image"]).rows(first))] == [4, 7]
    assert len(read) == 7


def test_a_batch_remembers_nothing_unless_asked_to():
    views = _of([True, True], [True, True])
    views.with_cache().recall("image", "eyes", lambda: 1)
    assert [views.recall("image", "eyes", lambda n=n: n) for n in (2, 3)] == [2, 3]
