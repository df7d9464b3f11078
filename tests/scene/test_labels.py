import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scene.labels import VOID, Labels, voc_colours

quick = settings(deadline=None, max_examples=30)
words = st.text("abcdefg", min_size=1, max_size=3) | st.just("background")
vocabularies = st.lists(words, min_size=2, max_size=8, unique=True).map(tuple).map(Labels)


@quick
@given(vocabularies)
def test_classes_are_the_names_of_their_ids_without_background(labels):
    assert [labels.names[i] for i in labels.ids] == list(labels.classes)
    assert "background" not in labels.classes
    rest = set(range(len(labels.names))) - set(labels.ids)
    assert rest == ({labels.background} - {None})


@quick
@given(vocabularies, st.data())
def test_naming_classes_and_encoding_them_are_inverse(labels, data):
    chosen = data.draw(st.sets(st.sampled_from(labels.classes)))
    vector = labels.encode(chosen)
    assert set(labels.decode(vector)) == chosen
    assert labels.encode(labels.decode(vector)).equal(vector)


@quick
@given(vocabularies, st.integers(0, 2**31))
def test_a_class_is_present_if_it_owns_a_pixel(labels, seed):
    draw = torch.Generator().manual_seed(seed)
    masks = torch.randint(len(labels.names), (3, 2, 2), generator=draw)
    masks[:, 0, 0] = VOID
    for mask, vector in zip(masks, labels.vector(masks), strict=True):
        owned = {labels.names[i] for i in mask.unique().tolist() if i != VOID}
        assert set(labels.decode(vector)) == owned - {"background"}


def test_void_owns_nothing():
    labels = Labels(("background", "cat"))
    assert not labels.vector(torch.full((4, 4), VOID)).any()


def test_the_palette_begins_with_the_colours_and_continues_with_vocs():
    labels = Labels(("a", "b"), ((9, 8, 7), (1, 2, 3)))
    assert labels.palette[:2].tolist() == [[9, 8, 7], [1, 2, 3]]
    assert labels.palette[2:].tolist() == [list(c) for c in voc_colours(256)[2:]]
    assert Labels(("a", "b")).colours == voc_colours(2)


def test_vocs_colours_are_those_of_the_challenge():
    assert voc_colours(256)[1:5] == ((128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128))
    assert voc_colours(256)[20] == (0, 64, 128)
    assert voc_colours(256)[255] == (224, 224, 192)
    assert len(set(voc_colours(256))) == 256


def test_an_unknown_class_is_answered_with_the_nearest():
    with pytest.raises(LookupError, match=r"No class is called 'dgo'. Did you mean 'dog'"):
        Labels(("background", "cat", "dog")).encode(["cat", "dgo"])


def test_background_is_no_class():
    with pytest.raises(LookupError, match="No class is called 'background'"):
        Labels(("background", "cat")).encode(["background"])


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ((), "has 1 to 255 labels, not 0"),
        (tuple(map(str, range(256))), "has 1 to 255 labels, not 256"),
        (("cat", "dog", "cat"), "The label 'cat' is listed twice"),
    ],
)
def test_a_vocabulary_that_cannot_be_is_refused(names, sentence):
    with pytest.raises(ValueError, match=sentence):
        Labels(names)


@pytest.mark.parametrize(
    ("colours", "sentence"),
    [
        (((0, 0, 0),), "2 labels have as many colours, not 1"),
        (((0, 0, 0), (1, 2, 3), (4, 5, 6)), "2 labels have as many colours, not 3"),
        (((0, 0, 0), (1, 2)), "The label 'cat' cannot have the colour (1, 2); give red, green"),
        (((0, 0, 256), (1, 2, 3)), "'background' cannot have the colour (0, 0, 256)"),
        (((0, 0, 0), (1, -2, 3)), "'cat' cannot have the colour (1, -2, 3)"),
    ],
)
def test_colours_that_are_none_or_not_one_a_label_are_refused(colours, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Labels(("background", "cat"), colours)


def test_other_labels_are_refused_whatever_their_colours():
    labels = Labels(("background", "cat", "dog"))
    labels.require(Labels(labels.names, ((1, 1, 1), (2, 2, 2), (3, 3, 3))), "pets")
    for names in (("background", "dog", "cat"), ("background", "cat")):
        with pytest.raises(ValueError, match="on other labels than those of pets; give it data"):
            labels.require(Labels(names), "pets")


def test_a_class_counts_from_the_share_that_is_asked_for():
    mask = torch.zeros(10, 10, dtype=torch.int64)
    mask[0, :7], mask[1, :1] = 1, 2
    labels = Labels(("background", "cat", "dog"))
    for least, expected in ((0.0, [1, 1]), (0.01, [1, 1]), (0.07, [1, 0]), (0.08, [0, 0])):
        assert labels.vector(mask, least).tolist() == expected
