"""Tables of labels: three forms, splits, and every fault named with its line."""

import re

import pytest

from scene.datasets.image_level.tables import read_table

CLASSES = {"a.jpg": ["cat"], "b.jpg": ["cat", "dog"], "seq/c.png": []}

SAME = {
    "labels": "file,labels\na.jpg,cat\nb.jpg,dog;cat\nseq/c.png,\n",
    "pipes": "Image,Tags\na.jpg,cat\nb.jpg, dog | cat \nseq/c.png,\n",
    "no header": "a.jpg,cat\nb.jpg,cat;dog\nseq/c.png,\n",
    "several columns": "file,label1,label2\na.jpg,cat,\nb.jpg,cat,dog\nseq/c.png,,\n",
    "several, no header": "a.jpg,cat\nb.jpg,cat,dog\nseq/c.png\n",
    "classes": "file,cat,dog\na.jpg,1,0\nb.jpg,1,1\nseq/c.png,0,0\n",
    "several rows": "file,label\na.jpg,cat\nb.jpg,cat\nb.jpg,dog\nseq/c.png,\n",
    "pandas": ",file,labels\n0,a.jpg,cat\n1,b.jpg,cat|dog\n2,seq/c.png,\n",
    "quotes, blank lines": '"file","labels"\n\n"a.jpg","cat"\n\nb.jpg,"cat;dog;"\nseq/c.png,""\n',
    "windows": "file,labels\r\na.jpg,cat\r\nb.jpg,cat;dog\r\nseq\\c.png,\r\n",
    "no suffix": "id,labels\na,cat\n./b.jpg,cat;dog\nseq/c,\n",
}  # fmt: skip


@pytest.fixture
def table(photographs):
    """Give a way to write a table beside ``a.jpg``, ``b.jpg`` and ``seq/c.png``."""
    root = photographs("a.jpg", "b.jpg", "seq/c.png")

    def write(text, name="labels.csv"):
        (root / name).write_text(text)
        return root / name

    return write


@pytest.mark.parametrize("form", SAME)
def test_every_form_says_the_same(table, labelled, form):
    index = read_table(table(SAME[form]))
    assert labelled(index) == CLASSES
    assert index.labels.names == ("background", "cat", "dog")


def test_a_tsv_and_a_byte_order_mark_say_the_same(table, labelled):
    assert labelled(read_table(table(SAME["labels"].replace(",", "\t"), "labels.tsv"))) == CLASSES
    assert labelled(read_table(table("\ufeff" + SAME["labels"]))) == CLASSES


def test_classes_are_in_the_order_of_their_columns(table):
    path = table("file,dog,background,cat\na.jpg,1,0,0\nb.jpg,0,1,0\n")
    index = read_table(path)
    assert index.labels.names == ("background", "dog", "cat")
    assert [sorted(image.classes) for image in index.images] == [["dog"], []]


def test_photographs_are_in_the_order_of_the_rows(table):
    index = read_table(table("file,labels\nseq/c.png,cat\na.jpg,cat\nb.jpg,cat\n"))
    assert [image.file for image in index.images] == ["seq/c.png", "a.jpg", "b.jpg"]


@pytest.mark.parametrize(
    "text",
    [
        "file,labels,split\na.jpg,cat,train\nb.jpg,dog,Valid\nseq/c.png,,test\n",
        "split,cat,dog,file\ntrain,1,0,a.jpg\nvalidation,0,1,b.jpg\ntesting,0,0,seq/c.png\n",
    ],
)
def test_a_column_gives_the_splits(table, text):
    index = read_table(table(text))
    files = {split: [i.file for i in images] for split, images in index.by_split.items()}
    assert files == {"train": ["a.jpg"], "val": ["b.jpg"], "test": ["seq/c.png"]}


FAULTS = {
    "empty": ("", "labels.csv is empty; write file,labels"),
    "header only": ("file,labels\n", "lists no photograph;"),
    "one column": ("a.jpg\nb.jpg\n", "has no column of labels; write file,labels"),
    "file alone": ("file\na.jpg\n", "has no column of labels; write file,labels"),
    "semicolons": ("file;labels\na.jpg;cat\n", "separates columns by semicolons and not by"),
    "tabs": ("a.jpg\tcat\n", "separates columns by tabs and not by commas;"),
    "comma in a cell": ('a.jpg,"cat, dog"\n', "Line 1 of "),
    "more cells": ("file,labels\na.jpg,cat,dog\n", "has 3 cells, but the header has 2; separate"),
    "fewer cells": ("file,cat,dog\na.jpg,1\n", "has 2 cells, but the header has 3;"),
    "no file": ("file,labels\n,cat\n", "Line 2 of "),
    "no 1 or 0": ("file,cat,dog\na.jpg,1,yes\n", "has 'yes' in the column 'dog'; write 1 or 0"),
    "names in a class": ("file,breed\na.jpg,beagle\n", "or call the column labels if it holds"),
    "flags, no header": ("a.jpg,1,0\nb.jpg,0,1\n", "columns of 1 and 0, but they are not called"),
    "split, no header": ("a.jpg,cat,train\nb.jpg,dog,val\n", "seems to hold splits (train, val)"),
    "mixed columns": ("file,labels,width\na.jpg,cat,3\n", "and 'width', which is none; remove"),
    "two columns": ("file,cat,cat\na.jpg,1,1\n", "has two columns 'cat'; give each"),
    "unnamed column": ("file,labels,\na.jpg,cat,\n", "has a column without a name;"),
    "unknown split": ("file,labels,split\na.jpg,cat,trian\n", "Did you mean 'train'?"),
    "no split": ("file,labels,split\na.jpg,cat,\n", "No split is called ''."),
    "two splits": ("file,labels,split\na.jpg,cat,train\na.jpg,dog,val\n", "lists 'a.jpg' twice"),
    "twice": ("file,cat\na.jpg,1\na.jpg,0\n", "lists 'a.jpg' twice, again in line 3;"),
    "two spellings": ("file,labels\na.jpg,cat\na.JPG,cat\na,cat\n", "lists 'a.jpg' twice; keep"),
    "above": ("file,labels\n../a.jpg,cat\n", "names '../a.jpg', which leads out of the folder;"),
    "absolute": ("file,labels\n/etc/a.jpg,cat\n", "which leads out of the folder;"),
    "drive": ("file,labels\nC:\\a.jpg,cat\n", "which leads out of the folder;"),
    "NUL": ("file,labels\na\0.jpg,cat\n", "which holds control characters;"),
    "label above": ("file,labels\na.jpg,../cat\n", "names '../cat', which leads out of the"),
    "quotes": ('file,labels\n"a.jpg,cat\n', "cannot be read as a table"),
    "long cell": (f"file,labels\na.jpg,{'c' * 200_000}\n", "cannot be read as a table"),
    "many cells": (
        f"file,labels\na.jpg{',' * 1000}\n",
        "has 1001 cells, but a table has up to 1000",
    ),
    "no labels": ("file,labels\na.jpg,\n", "has no class; give at least one photograph"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_one_sentence(table, fault):
    text, sentence = FAULTS[fault]
    with pytest.raises((ValueError, LookupError), match=re.escape(sentence)) as caught:
        read_table(table(text))
    assert str(caught.value).endswith((".", "?")) or "write file" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_missing_files_are_named_at_once_with_near_misses(table):
    path = table("file,labels\na.JPG,cat\nc.png,cat\nb.jpg,dog\ngone.jpg,dog\n")
    with pytest.raises(FileNotFoundError) as caught:
        read_table(path)
    assert str(caught.value) == (
        f"{path.parent} has no picture 'c.png', 'gone.jpg', which labels.csv lists "
        "(there is 'seq/c.png'); add them, or take them off the list."
    )


def test_what_is_no_text_file_is_refused(table):
    path = table("")
    path.write_bytes(b"file,labels\n\xff\xfe,cat\n")
    with pytest.raises(ValueError, match="is not UTF-8 text;"):
        read_table(path)
    path.write_bytes(b"a" * (32 * 2**20 + 1))
    with pytest.raises(ValueError, match="is larger than 32 MB"):
        read_table(path)
