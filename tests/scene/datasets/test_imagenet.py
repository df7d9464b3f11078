"""ImageNet's classes: each in one group, and the words that stand for them."""

import pytest

from scene.datasets.imagenet import CLASSES, class_names, groups_of, hypernym_groups

VOC = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor"
).split()


def test_every_class_is_in_one_group():
    groups = hypernym_groups()
    indices = [index for group in groups.indices for index in group]
    assert sorted(indices) == list(range(CLASSES))
    assert groups.labels.names == ("background", *groups.names)


@pytest.mark.parametrize(
    ("group", "member", "stranger"),
    [
        ("dog", "golden retriever", "timber wolf"),
        ("cat", "Egyptian cat", "lion"),
        ("cow", "ox", "bighorn"),
        ("bird", "hummingbird", "koala"),
        ("boat", "canoe", "lakeside"),
        ("chair", "rocking chair", "studio couch"),
    ],
)
def test_groups_hold_what_a_person_would_call_so(group, member, stranger):
    (indices,) = groups_of([group]).indices
    names = [class_names()[index] for index in indices]
    assert member in names
    assert stranger not in names


def test_the_classes_of_voc_have_words():
    groups = groups_of(VOC)
    assert groups.names == tuple(VOC)
    assert all(groups.indices)
    assert len(groups.others) == CLASSES - sum(map(len, groups.indices))


def test_a_class_of_imagenet_is_a_group_of_one():
    groups = groups_of(["Golden  Retriever", "tabby"])
    assert groups.names == ("Golden Retriever", "tabby")
    assert groups.indices == ((207,), (281,))


def test_unknown_and_overlapping_names_are_refused():
    with pytest.raises(LookupError, match=r"'zebr'\. Did you mean 'zebra'\? Groups are fish, "):
        groups_of(["zebr"])
    with pytest.raises(ValueError, match=r"dog and golden retriever both stand for .*'golden ret"):
        groups_of(["dog", "golden retriever"])
    with pytest.raises(ValueError, match="No names were given"):
        groups_of([])
