import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.segmentation.maps import (
    background_of,
    log_probs,
    normalised,
    present_classes,
    probs,
)
from scene.labels import Labels

PETS = Labels(("background", "cat", "dog"))
ROADS = Labels(("road", "sky", "tree"))
LATE = Labels(("cat", "background", "dog"))


def maps(seed=0, classes=2, cells=(3, 4)):
    return torch.rand(2, classes, *cells, generator=torch.Generator().manual_seed(seed)) * 5


def test_a_map_is_divided_by_its_maximum_and_an_empty_one_stays_empty():
    raw = maps()
    raw[1, 0] = 0
    result = normalised(raw)
    assert result[1, 0].eq(0).all()
    tops = result.amax((-2, -1))
    torch.testing.assert_close(tops, torch.tensor([[1.0, 1.0], [0.0, 1.0]]))
    torch.testing.assert_close(result[0, 1] * raw[0, 1].max(), raw[0, 1])


@given(
    st.integers(0, 99),
    st.lists(st.booleans(), min_size=4, max_size=4),
    st.sampled_from(["sum", "max", "none"]),
    st.sampled_from([PETS, LATE]),
)
def test_labels_share_every_pixel_and_absent_classes_get_nothing(seed, flags, kind, labels):
    present = torch.tensor(flags).view(2, 2)
    result = probs(maps(seed), present, labels, (6, 5), kind)
    assert result.shape == (2, 3, 6, 5)
    torch.testing.assert_close(result.sum(1), torch.ones(2, 6, 5))
    absent = result[:, list(labels.ids)][~present]
    assert absent.eq(0).all()
    assert result.min() >= 0


def test_probabilities_are_those_of_the_paper():
    """One class, one row: p(class) = m / (m + 1 - m) = m, on the pixels of the maps."""
    raw = torch.tensor([[[[0.0, 1.0, 2.0, 4.0]], [[9.0, 9.0, 9.0, 9.0]]]])
    result = probs(raw, torch.tensor([[1, 0]]), PETS)
    m = torch.tensor([0.0, 0.25, 0.5, 1.0])
    torch.testing.assert_close(result[0, :, 0], torch.stack([1 - m, m, 0 * m]))


def test_maps_that_add_up_to_more_than_one_leave_no_background():
    raw = torch.tensor([[[[1.0, 0.4]], [[0.5, 1.0]]]])
    result = probs(raw, torch.ones(1, 2), PETS)
    torch.testing.assert_close(result[0, :, 0, 0], torch.tensor([0.0, 2 / 3, 1 / 3]))


def test_kinds_of_background():
    maps = torch.tensor([[[[0.5]], [[0.3]]]])
    both = torch.ones(1, 2)
    for kind, value in {"sum": 0.2, "max": 0.5, "none": 0.0}.items():
        torch.testing.assert_close(background_of(maps, both, kind).item(), value)
        torch.testing.assert_close(background_of(maps, both, kind, 3.0).item(), value**3)
        assert background_of(maps[:, :0], both[:, :0], kind).item() == (kind != "none")
    one = torch.tensor([[0, 1]])
    assert background_of(maps, one, "max").item() == pytest.approx(0.7)
    with pytest.raises(LookupError, match=r"'summ'. Did you mean 'sum'"):
        background_of(maps, both, "summ")


def test_a_map_counts_for_less_where_its_class_is_doubtful():
    """p(class) = m·f / (m·f + 1 − m·f), also where the map's maximum was not 1."""
    raw = torch.tensor([[[[0.0, 1.0, 2.0, 4.0]], [[9.0, 9.0, 9.0, 9.0]]]])
    result = probs(raw, torch.tensor([[1, 0]]), PETS, factors=torch.tensor([[0.5, 1.0]]))
    m = torch.tensor([0.0, 0.125, 0.25, 0.5])
    torch.testing.assert_close(result[0, :, 0], torch.stack([1 - m, m, 0 * m]))


def test_where_nothing_is_present_all_is_background():
    result = probs(maps(), torch.zeros(2, 2), PETS)
    assert result[:, 0].eq(1).all()


def test_without_background_one_present_class_has_every_pixel():
    result = probs(maps(classes=3), torch.tensor([[0, 1, 0], [1, 0, 0]]), ROADS, background="none")
    assert result[0, 1].eq(1).all()
    assert result[1, 0].eq(1).all()


def test_a_pixel_nothing_claims_is_shared_by_the_present():
    raw = torch.zeros(1, 3, 1, 1)
    result = probs(raw, torch.tensor([[1, 0, 1]]), ROADS, background="none")
    torch.testing.assert_close(result.flatten(), torch.tensor([0.5, 0.0, 0.5]))
    nobody = probs(raw, torch.zeros(1, 3), ROADS, background="none")
    torch.testing.assert_close(nobody.flatten(), torch.full((3,), 1 / 3))


def test_a_background_that_is_no_label_is_refused():
    with pytest.raises(ValueError, match=r"road, sky, tree\) is named background.*-map none\."):
        probs(maps(classes=3), torch.ones(2, 3), ROADS)


def test_present_are_those_above_the_threshold():
    guess = torch.tensor([[0.5, 0.6], [0.2, 0.4]])
    result = present_classes(guess, PETS, 0.5)
    assert result.tolist() == [[False, True], [False, False]]
    assert present_classes(guess, PETS, 0.3).tolist() == [[True, True], [False, True]]


def test_without_background_the_most_probable_class_is_always_present():
    result = present_classes(torch.tensor([[0.1, 0.3, 0.2], [0.9, 0.1, 0.8]]), ROADS)
    assert result.tolist() == [[False, True, False], [True, False, True]]


def test_logarithms_are_floored():
    result = log_probs(torch.tensor([0.0, 1e-9, 0.5]))
    torch.testing.assert_close(result.exp(), torch.tensor([1e-5, 1e-5, 0.5]))
