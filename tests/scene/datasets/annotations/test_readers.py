"""Exports of labelling tools: what is in each file, and the masks that come of it."""

import base64
import io
import re

import numpy as np
import pytest
import torch
from fuzz_brush import brush_of
from PIL import Image

from scene.datasets.catalogue import evaluation_split, image_index, open_data, splits_of
from scene.images.io import write_image

B, CAT, DOG = "background", "cat", "dog"


def _rows(*rows, size=(4, 6)):
    """Write names of labels by their first letters: . is background, ? is void."""
    names = {".": B, "c": CAT, "d": DOG, "?": None}
    assert len(rows) == size[0]
    return [[names[letter] for letter in row] for row in rows]


CAT_BOX = [1.0, 0.0, 4.0, 0.0, 4.0, 3.0, 1.0, 3.0]
EXPECTED = _rows(".ccc..", ".ccdd.", ".ccdd.", "...dd.")
"""A cat in columns 1 to 3 of rows 0 to 2, and on top a dog in columns 3 and 4 of rows 1 to 3."""

DOG_MASK = np.zeros((4, 6), bool)
DOG_MASK[1:, 3:5] = True


def _coco(dog, **more):
    return {
        "images": [{"id": 1, "file_name": "a.png", "height": 4, "width": 6}],
        "categories": [{"id": 2, "name": CAT}, {"id": 5, "name": DOG}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 2, "segmentation": [CAT_BOX], "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 5, "segmentation": dog, **more},
        ],
    }


DOGS = {
    "polygon": [[3, 1, 5, 1, 5, 4, 3, 4]],
    "two polygons": [[3, 1, 4, 1, 4, 4, 3, 4], [4, 1, 5, 1, 5, 4, 4, 4], [0, 0]],
    "flat polygon": [3, 1, 5, 1, 5, 4, 3, 4],
    "runs": {"size": [4, 6], "counts": [13, 3, 1, 3, 4]},
    "compressed runs": {"size": [4, 6], "counts": "=3103"},
}


@pytest.mark.parametrize("kind", DOGS)
def test_outlines_of_coco_are_masks(photographs, written, masks, kind):
    root = photographs("a.png", size=(4, 6))
    path = written(root / "annotations.json", _coco(DOGS[kind]))
    assert masks(root) == masks(path) == {"a": EXPECTED}


def test_crowds_and_void_categories_of_coco_are_void(photographs, written, masks):
    root = photographs("a.png", size=(4, 6))
    written(root / "annotations.json", _coco(DOGS["runs"], iscrowd=1))
    void = _rows(".ccc..", ".cc??.", ".cc??.", "...??.")
    assert masks(root) == {"a": void}
    written(root / "annotations.json", _coco(DOGS["runs"], iscrowd=1, attributes={}))  # of CVAT
    assert masks(root) == {"a": EXPECTED}
    content = _coco(DOGS["runs"])
    content["categories"][1]["name"] = "void"
    written(root / "annotations.json", content)
    assert masks(root) == {"a": void}


def test_photographs_with_boxes_have_image_level_labels_only(photographs, written, masks):
    root = photographs("a.png", "b.png", "c.png", size=(4, 6))
    content = _coco(DOGS["runs"])
    content["images"] += [{"id": 2, "file_name": "b.png"}, {"id": 3, "file_name": "c.png"}]
    content["annotations"].append({"id": 3, "image_id": 2, "category_id": 5, "bbox": [0, 0, 2, 2]})
    written(root / "annotations.json", content)
    nothing = _rows(*["......"] * 4)
    assert masks(root) == {"a": EXPECTED, "b": None, "c": nothing}
    (labels,) = (
        scene.classes.tolist()
        for split in splits_of(str(root))
        for scene in open_data(str(root), split, (16, 16))
        if scene.mask is None
    )
    assert labels == [0, 1]
    content["annotations"] = content["annotations"][-1:]
    written(root / "annotations.json", content)
    assert image_index(str(root)) is not None


XML = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><labels><label><name>dog</name></label><label><name>cat</name></label></labels></task></meta>
<image id="0" name="a.png" width="6" height="4">{a}</image>
<image id="1" name="b.png" width="6" height="4">{b}</image></annotations>"""
CVAT_CAT = '<polygon label="cat" z_order="0" points="1.0,0.0;4.0,0.0;4.0,3.0;1.0,3.0"></polygon>'
CVAT_DOG = '<mask label="dog" z_order="1" rle="0, 6" left="3" top="1" width="2" height="3"></mask>'


def test_cvat_is_drawn_by_z_order(photographs, written, masks):
    root = photographs("a.png", "images/b.png", size=(4, 6))
    tags = '<tag label="cat"/><polyline label="dog" points="0,0;1,1"/>'
    written(root / "annotations.xml", XML.format(a=CVAT_DOG + CVAT_CAT, b=tags))
    assert masks(root) == masks(root / "annotations.xml") == {"a": EXPECTED, "images/b": None}
    assert open_data(str(root), "train").schema.labels.names == (B, DOG, CAT)
    only_tags = XML.format(a='<box label="dog" xtl="0" ytl="0" xbr="1" ybr="1"/>', b=tags)
    written(root / "annotations.xml", only_tags)
    index = image_index(str(root))
    assert [sorted(image.classes) for image in index.images] == [[DOG], [CAT, DOG]]


def test_runs_of_cvat_are_row_after_row(photographs, written, masks):
    root = photographs("a.png", "b.png", size=(4, 6))
    ring = '<mask label="cat" rle="1, 1, 1, 2, 4" left="2" top="0" width="3" height="3"/>'
    round_ = '<ellipse label="dog" cx="3" cy="2" rx="1.6" ry="1.6"/>'
    written(root / "annotations.xml", XML.format(a=ring, b=round_))
    assert masks(root) == {
        "a": _rows("...c..", "..cc..", "......", "......"),
        "b": _rows("..dd..", ".dddd.", ".dddd.", "..dd.."),
    }


def test_subsets_of_cvat_are_splits(photographs, written):
    root = photographs("images/train/a.png", "images/val/b.png", size=(4, 6))
    text = XML.format(a=CVAT_CAT, b=CVAT_DOG).replace('id="0"', 'id="0" subset="train"')
    written(root / "annotations.xml", text.replace('id="1"', 'id="1" subset="Validation"'))
    with pytest.raises(FileNotFoundError, match=r"'b.png'"):
        splits_of(str(root))
    (root / "images" / "val").rename(root / "images" / "Validation")
    assert splits_of(str(root)) == ("train", "val")
    assert evaluation_split(str(root)) == "val"
    written(root / "annotations.xml", text.replace('id="1"', 'id="1" subset="more"'))
    with pytest.raises(LookupError, match="more"):
        splits_of(str(root))


def test_a_segmentation_mask_export_of_cvat_is_read_by_its_colours(photographs, written, masks):
    root = photographs("JPEGImages/a.png", size=(4, 6))
    written(root / "ImageSets/Segmentation/default.txt", "a\n")
    lines = [
        "# label:color_rgb:parts:actions",
        "background:0,0,0::",
        "cat:250,50,83::",
        "dog:9,8,7::",
    ]
    written(root / "labelmap.txt", "\n".join(lines))
    colours = {B: (0, 0, 0), CAT: (250, 50, 83), DOG: (9, 8, 7)}
    pixels = torch.tensor([[colours[name] for name in row] for row in EXPECTED])
    write_image(root / "SegmentationClass/a.png", pixels.permute(2, 0, 1).to(torch.uint8))
    assert masks(root) == {"a": EXPECTED}


def _percent(points):
    return [[100 * x / 6, 100 * y / 4] for x, y in np.reshape(points, (-1, 2)).tolist()]


def _result(kind, **value):
    return {"type": kind, "original_width": 6, "original_height": 4, "image_rotation": 0,
            "from_name": "label", "to_name": "image", "value": value}  # fmt: skip


RESULTS = [
    _result("polygonlabels", points=_percent(CAT_BOX), polygonlabels=[CAT]),
    _result("brushlabels", format="rle", rle=brush_of(DOG_MASK), brushlabels=[DOG]),
]


def _tasks(*results, image="/data/upload/3/0a1b2c3d-a.png", **more):
    return [
        {"id": 7, "data": {"image": image}, "annotations": [{"result": list(results), **more}]}
    ]


@pytest.mark.parametrize(
    "image",
    [
        "/data/upload/3/0a1b2c3d-a.png", "/data/local-files/?d=pets/a.png", "a.png",
        "https://example.org/some%20where/a.png?x=1", "s3://bucket/photos/a.png",
    ],
)  # fmt: skip
def test_polygons_and_brushes_of_label_studio_are_masks(photographs, written, masks, image):
    root = photographs("a.png", size=(4, 6))
    path = written(root / "project-1.json", _tasks(*RESULTS, image=image))
    assert masks(root) == masks(path) == {"a": EXPECTED}


def test_json_min_of_label_studio_says_the_same(photographs, written, masks):
    root = photographs("images/a.png", size=(4, 6))
    fields = [{**r["value"], "original_width": 6, "original_height": 4} for r in RESULTS]
    task = {
        "image": "/data/upload/3/0a1b2c3d-a.png", "id": 7, "label": fields[:1],
        "tag": fields[1:], "annotator": 1, "annotation_id": 4, "created_at": "2024",
        "lead_time": 3.2,
    }  # fmt: skip
    path = written(root / "result.json", [task])
    assert masks(path) == {"images/a": EXPECTED}
    written(
        path, [{**{k: v for k, v in task.items() if k not in ("label", "tag")}, "choice": DOG}]
    )
    (image,) = image_index(str(path)).images
    assert sorted(image.classes) == [DOG]


def test_choices_and_rectangles_of_label_studio_are_labels(photographs, written):
    root = photographs("a.png", "b.png", "c.png", size=(4, 6))
    tasks = _tasks(_result("choices", choices=[CAT, DOG]), image="a.png")
    box = _result("rectanglelabels", x=1, y=1, width=9, height=9, rectanglelabels=[DOG])
    tasks += _tasks(box, image="b.png") + _tasks(image="c.png", was_cancelled=True)
    path = written(root / "p.json", tasks)
    with pytest.warns(UserWarning, match="1 tasks without an annotation; they are left out"):
        index = image_index(str(path))
    assert [sorted(image.classes) for image in index.images] == [[CAT, DOG], [DOG]]


def test_the_ground_truth_of_label_studio_counts_else_the_last(photographs, written, masks):
    root = photographs("a.png", size=(4, 6))
    (task,) = _tasks(*RESULTS)
    task["annotations"].append({"result": RESULTS[:1]})
    path = written(root / "p.json", [task])
    only_cat = _rows(".ccc..", ".ccc..", ".ccc..", "......")
    assert masks(path) == {"a": only_cat}
    task["annotations"][0]["ground_truth"] = True
    written(path, [task])
    assert masks(path) == {"a": EXPECTED}


def _png(mask):
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _labelme(*shapes, path="a.png", **more):
    return {"version": "5.5.0", "flags": {}, "shapes": list(shapes), "imagePath": path,
            "imageData": None, "imageHeight": 4, "imageWidth": 6, **more}  # fmt: skip


def _shape(label, kind, points, **more):
    return {"label": label, "shape_type": kind, "points": points, "flags": {}, **more}


CAT_SHAPE = _shape(CAT, "polygon", np.reshape(CAT_BOX, (-1, 2)).tolist())
DOG_SHAPE = _shape(DOG, "mask", [[3, 1], [4, 3]], mask=_png(np.ones((3, 2))))


@pytest.mark.parametrize(("file", "path"), [
    ("a.json", "a.png"), ("a.json", "elsewhere.png"), ("json/a.json", "..\\a.png"),
])  # fmt: skip
def test_polygons_and_masks_of_labelme_are_masks(photographs, written, masks, file, path):
    root = photographs("a.png", "b.png", size=(4, 6))
    written(root / file, _labelme(CAT_SHAPE, DOG_SHAPE, path=path))
    assert masks(root) == {"a": EXPECTED}


def test_folders_flags_and_void_of_labelme(photographs, written, masks):
    root = photographs("train/a.png", "train/b.png", "val/c.png", size=(4, 6))
    ignored = {**DOG_SHAPE, "label": "__ignore__"}
    hole = {**DOG_SHAPE, "label": "_background_"}
    written(root / "train/a.json", _labelme(CAT_SHAPE, ignored))
    written(root / "train/b.json", _labelme(path="b.png", flags={DOG: True, CAT: False}))
    written(root / "val/c.json", _labelme(CAT_SHAPE, hole, path="c.png"))
    void, cut = (_rows(".ccc..", f".cc{x}{x}.", f".cc{x}{x}.", f"...{x}{x}.") for x in "?.")
    void, cut = (
        [[x if x != B else "_background_" for x in row] for row in m] for m in (void, cut)
    )
    assert masks(root) == {"train/a": void, "train/b": None, "val/c": cut}
    assert evaluation_split(str(root)) == "val"
    index = open_data(str(root), "val").schema.labels
    assert index.names == ("_background_", CAT, DOG)


def test_a_photograph_that_exif_turns_has_its_mask_turned(photographs, written, masks):
    """Annotated at its stored pixels, or as it is shown."""
    root = photographs()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (6, 4)).save(root / "a.jpg", exif=exif)
    shown = [list(row) for row in zip(*EXPECTED[::-1], strict=True)]
    written(root / "a.json", _labelme(CAT_SHAPE, DOG_SHAPE, path="a.jpg"))
    with pytest.warns(UserWarning, match="fit only the stored pixels"):
        turned = masks(root)
    assert turned == {"a": shown}
    polygon = [[4 - y, x] for x, y in CAT_SHAPE["points"]]
    shapes = (
        _shape(CAT, "polygon", polygon),
        _shape(DOG, "mask", [[0, 3], [2, 4]], mask=_png(np.ones((2, 3)))),
    )
    written(root / "a.json", _labelme(*shapes, path="a.jpg", imageHeight=6, imageWidth=4))
    assert masks(root) == {"a": shown}


FAULTS = {
    "coco size": (_coco({"size": [4], "counts": []}), "its run lengths have no size"),
    "coco counts": (_coco({"size": [4, 6], "counts": [1.5]}), "no list of whole numbers"),
    "coco sum": (_coco({"size": [4, 6], "counts": [3, 4]}), "cover 7 pixels, not 24"),
    "coco other": (_coco({"size": [6, 4], "counts": [24]}), "are of 4×6 pixels, not 6×4"),
    "coco text": (_coco({"size": [4, 6], "counts": "~~"}), "run lengths are damaged"),
    "coco points": (_coco([[1, 2, 3]]), "its points are no pairs of numbers"),
    "coco NaN": (_coco([[1, 2, 3, float("nan"), 1, 1]]), "its points are no finite numbers"),
    "brush": (_tasks({**RESULTS[1], "value": {**RESULTS[1]["value"], "rle": [0, 0]}}),
              "its brush ends too early"),
    "brush bytes": (_tasks({**RESULTS[1], "value": {**RESULTS[1]["value"], "rle": [999]}}),
                    "its brush is no list of bytes"),
    "studio size": (_tasks({**RESULTS[0], "original_width": None}), "are missing"),
    "studio turn": (_tasks({**RESULTS[0], "image_rotation": 90}), "rotate the file itself"),
    "studio path": (_tasks(*RESULTS, image="../a.png"), "which leads out of the folder;"),
    "labelme path": (_labelme(CAT_SHAPE, path="../a.png"), "which leads out of the folder;"),
    "labelme root": (_labelme(CAT_SHAPE, path="/etc/a.png"), "which leads out of the folder;"),
    "labelme label": (_labelme({"points": []}), "has a shape without a label"),
    "labelme kind": (_labelme(_shape(CAT, "cube", [[1, 2]])), "'cube' with 1 points is not"),
    "labelme mask": (_labelme({**DOG_SHAPE, "mask": "AAAA"}), "its mask is no PNG"),
    "labelme place": (_labelme({**DOG_SHAPE, "points": [[5, 1], [6, 3]]}), "lies outside"),
    "labelme size": (_labelme({**DOG_SHAPE, "points": [[0, 0], [5, 3]]}), "its mask is 2×3, but"),
    "labelme photo": (_labelme(CAT_SHAPE, imageHeight=9), "is 6×4 but its mask is 6×9"),
    "labelme large": (_labelme(CAT_SHAPE, imageHeight=10**9), "105 megapixels are read"),
    "cvat": (XML.format(a=CVAT_DOG.replace("0, 6", "1,x"), b=""), "its number 'x' is none"),
    "cvat place": (XML.format(a=CVAT_DOG.replace('left="3"', 'left="5"'), b=""), "lies outside"),
    "cvat XML": ("<annotations>", "is not XML that can be read"),
    "cvat video": ("<annotations><track/></annotations>", "CVAT's export of a video"),
    "cvat path": (XML.format(a=CVAT_CAT, b="").replace("a.png", "../a.png"), "which leads out of"),
    "XML": ("<html/>", "begins with 'html', not annotations"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_one_sentence(photographs, written, fault):
    content, sentence = FAULTS[fault]
    root = photographs("a.png", "b.png", size=(4, 6))
    path = written(root / ("a.xml" if isinstance(content, str) else "a.json"), content)
    with pytest.raises((ValueError, LookupError), match=re.escape(sentence)) as caught:
        [
            scene
            for split in splits_of(str(path))
            for scene in open_data(str(path), split, (16, 16))
        ]
    assert str(caught.value).count("\n") == 0
    assert str(caught.value)[-1] in ".?"


def test_other_json_beside_photographs_changes_nothing(photographs, written, class_folder):
    written(class_folder / "cat" / "notes.json", {"a": 1})
    written(class_folder / "list.json", [1, 2])
    assert len(image_index(str(class_folder)).images) == 30
