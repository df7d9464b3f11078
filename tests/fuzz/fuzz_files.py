"""Tiny files that every command can use, made by code: pictures, arrays, lists, runs."""

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from fuzz_brush import brush_of
from PIL import Image

from inference.crf.parameters import Parameters, save
from inference.segmentation.cue_files import Cues
from inference.settings.recipes import recipe
from inference.training.session import train
from scene.datasets.annotations.run_lengths import compress, runs_of
from scene.datasets.annotations.writers import LabelmeWriter
from scene.images.io import write_mask
from scene.labels import Labels

SCENES = 6
PETS = Labels(("background", "cat", "dog"))
BRUSH = [
    *bytes.fromhex("000002d0391aff00c300c9ffe9c0327ffa700c9fff017f00")
]  # of Label Studio, of 15 × 12 pixels
PICTURES = ("png", "jpg", "gif", "tif", "webp", "bmp", "ppm", "jp2", "tga", "avif")


def make(folder: Path) -> None:
    """Fill a folder with one file of each kind, a dataset and two runs."""
    draw = np.random.default_rng(0)
    mask = np.kron(draw.integers(0, 3, (4, 5)), np.ones((3, 3), int)).astype(np.uint8)
    photo = np.clip(80 * mask[..., None] + draw.integers(0, 40, (12, 15, 3)), 0, 255)
    picture = Image.fromarray(photo.astype(np.uint8))
    folder.mkdir(parents=True)
    for suffix in PICTURES:
        with contextlib.suppress(OSError, KeyError):  # not every Pillow writes every format
            picture.save(folder / f"photo.{suffix}")
    turned = Image.Exif()
    turned[0x0112] = 3
    picture.convert("RGBA").save(folder / "clear.png", exif=turned)
    picture.save(folder / "turned.jpg", exif=turned)
    deep = np.asarray(picture.convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(folder / "deep.png")
    write_mask(folder / "mask.png", torch.from_numpy(mask), PETS)
    Image.fromarray(PETS.palette[mask]).save(folder / "colours.png")
    Image.fromarray(mask).save(folder / "grey.png")
    probs = np.eye(3, dtype=np.float32)[mask].transpose(2, 0, 1) * 0.7 + 0.1
    np.save(folder / "probs.npy", probs)
    np.savez(folder / "probs.npz", probs=probs)
    np.savez_compressed(folder / "packed.npz", probs)
    lines = [
        f"{n}:{','.join(map(str, c))}::" for n, c in zip(PETS.names, PETS.colours, strict=True)
    ]
    (folder / "labelmap.txt").write_text("# label:colour\n" + "\n".join(lines) + "\n")
    (folder / "list.txt").write_text("photo.png\nphoto.jpg\n")
    square = tuple(tuple(float(a == b) for b in range(3)) for a in range(3))
    (folder / "arrays").mkdir()
    for number in range(SCENES):
        np.save(folder / "arrays" / f"photo_{number:02d}.npy", probs)
    save(folder / "crf.json", Parameters(iterations=1, compatibility=square), {"note": "none"})
    Cues(np.packbits(draw.integers(0, 2, (4, 48)), axis=1), (3, 4, 4)).save(folder / "cues.npz")
    _dataset(folder / "pets", folder, lines)
    _annotated(folder, folder / "photo.jpg", mask)
    _image_level(folder / "classes", folder / "tables", folder / "photo.jpg")
    _runs(folder)
    _interrupted(folder)


def _dataset(root: Path, folder: Path, lines: list[str]) -> None:
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    names = [f"photo_{i:02d}" for i in range(SCENES)]
    for name in names:
        shutil.copy(folder / "photo.jpg", root / "JPEGImages" / f"{name}.jpg")
        shutil.copy(folder / "mask.png", root / "SegmentationClass" / f"{name}.png")
    (root / "labelmap.txt").write_text("\n".join(lines) + "\n")
    sets = root / "ImageSets"
    (sets / "Segmentation" / "train.txt").write_text("\n".join(names[:3]) + "\n")
    (sets / "Segmentation" / "val.txt").write_text("\n".join(names[4:]) + "\n")
    (sets / "Segmentation" / "weak.txt").write_text(names[0] + "\n")
    (sets / "Main" / "train.txt").write_text("\n".join(names[:4]) + "\n")
    for pet in PETS.classes:
        values = "".join(f"{name} {1 if i else -1}\n" for i, name in enumerate(names[:4]))
        (sets / "Main" / f"{pet}_train.txt").write_text(values)


def _image_level(classes: Path, tables: Path, photo: Path) -> None:
    """Make photographs in a folder per class, and the files of labels of others."""
    names = [f"{pet}/{i}.jpg" for pet in PETS.classes for i in range(3)]
    for name in names:
        for root in (classes, tables):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(photo, root / name)
    rows = [f"{name},{name.split('/')[0]};cat,train" for name in names]
    (tables / "labels.csv").write_text("file,labels,split\n" + "\n".join(rows) + "\n")
    rows = [f"{name}\t{i % 2}\t1" for i, name in enumerate(names)]
    (tables / "labels.tsv").write_text("file\tcat\tdog\n" + "\n".join(rows) + "\n")
    content = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
        "annotations": [{"image_id": i, "category_id": i % 2} for i in range(len(names))],
        "categories": [{"id": c, "name": pet} for c, pet in enumerate(PETS.classes)],
    }
    (tables / "annotations.json").write_text(json.dumps(content))


def _annotated(root: Path, photo: Path, mask: np.ndarray) -> None:
    """Make exports of labelling tools: an outline and a mask of one photograph each."""
    for name in ("tools", "cvat", "labelme"):
        (root / name).mkdir()
        shutil.copy(photo, root / name / "photo.jpg")
    height, width = mask.shape
    polygon, dog = [[1.5, 1.0], [9.0, 2.5], [4.0, 10.0]], mask == 2
    runs, flat = runs_of(dog.T), [x for point in polygon for x in point]
    coco = {
        "images": [{"id": 1, "file_name": "photo.jpg", "height": height, "width": width}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "segmentation": [flat]},
            {"image_id": 1, "category_id": 2, "iscrowd": 0,
             "segmentation": {"size": [height, width], "counts": compress(runs)}},
            {"image_id": 1, "category_id": 2, "iscrowd": 1,
             "segmentation": {"size": [height, width], "counts": runs.tolist()}},
        ],
    }  # fmt: skip
    points = ";".join(f"{x},{y}" for x, y in polygon)
    rows = ", ".join(map(str, runs_of(dog).tolist()))
    xml = (
        "<annotations><meta><task><labels><label><name>cat</name></label></labels></task></meta>"
        f'<image id="0" name="photo.jpg" width="{width}" height="{height}">'
        f'<polygon label="cat" points="{points}" z_order="1"/>'
        f'<mask label="dog" rle="{rows}" left="0" top="0" width="{width}" height="{height}"/>'
        '<ellipse label="cat" cx="5" cy="5" rx="3" ry="2"/></image></annotations>'
    )
    share = [[100 * x / width, 100 * y / height] for x, y in polygon]
    size = {"original_width": width, "original_height": height}
    values = [
        {"points": share, "polygonlabels": ["cat"]},
        {"x": 40, "y": 50, "radiusX": 20, "radiusY": 10, "rotation": 5, "ellipselabels": ["dog"]},
        {"format": "rle", "rle": brush_of(dog), "brushlabels": ["dog"]},
    ]
    results = [{"type": "labels", "value": value, **size} for value in values]
    tasks = [{"id": 1, "data": {"image": "photo.jpg"}, "annotations": [{"result": results}]}]
    least = [{"image": "photo.jpg", "annotation_id": 1, "tag": [{**v, **size} for v in values]}]
    shapes = [{"label": "cat", "points": polygon, "shape_type": "polygon"}]
    labelme = {
        "shapes": shapes,
        "imagePath": "photo.jpg",
        "imageHeight": height,
        "imageWidth": width,
    }
    (root / "tools" / "coco.json").write_text(json.dumps(coco))
    for place in ("tools/cvat.xml", "cvat/annotations.xml"):
        (root / place).write_text(xml)
    (root / "tools" / "studio.json").write_text(json.dumps(tasks))
    (root / "tools" / "min.json").write_text(json.dumps(least))
    (root / "labelme" / "photo.jpg").unlink()
    LabelmeWriter(root / "labelme", PETS).add("default", "photo", photo, torch.from_numpy(mask))
    written = root / "labelme" / "photo.json"
    labelme["shapes"] += json.loads(written.read_text())["shapes"]
    for place in (written, root / "tools" / "labelme.json"):
        place.write_text(json.dumps(labelme))


def _interrupted(folder: Path) -> None:
    """Make a run that has its first checkpoint, and a line of metrics."""
    shutil.copytree(folder / "segmenter", folder / "half")
    for name in ("weights.safetensors", "summary.json"):
        (folder / "half" / name).unlink()
    (folder / "half" / "metrics.jsonl").write_text('{"step": 1, "loss": 9.5, "val": 9.5}\n')


def _runs(folder: Path) -> None:
    options = {"data": str(folder / "pets"), "size": (16, 16), "steps": 1, "batch_size": 4}
    for name in ("segmenter", "telbo"):
        more = {"latent": 4, "guide_width": 4, "prior": "standard"} if name == "telbo" else {}
        settings = recipe(name).settings(**options, width=4, **more)
        run = train(settings, folder=folder / name, device="cpu").run.folder
        for path in run.iterdir():
            if path.suffix not in (".json", ".safetensors"):
                path.unlink()
