"""Pictures of the page: pixels as addresses that hold them, scenes and legends as HTML."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from scene.labels import VOID, Labels

from ..prediction.sample import Samples
from .photographs import StageResult


def image_uri(image: Tensor, kind: str = "PNG") -> str:
    """Return an image as an address that holds it.

    Args:
        image: ``(3, H, W)``, uint8, or float in [0, 1].
        kind: ``PNG`` or ``JPEG``.
    """
    if image.is_floating_point():
        image = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    return _uri(Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()), kind)


def mask_uri(mask: Tensor, labels: Labels, clear: bool = False) -> str:
    """Return a mask in its labels' colours as an address that holds it.

    Args:
        mask: Label ids ``(H, W)``.
        labels: The vocabulary.
        clear: Leave background and void transparent.
    """
    picture = Image.fromarray(mask.to(torch.uint8).contiguous().numpy())
    picture.putpalette(labels.palette.tobytes())
    if clear:
        opaque = [0 if i in (VOID, labels.background) else 255 for i in range(256)]
        picture.info["transparency"] = bytes(opaque)
    return _uri(picture, "PNG")


def entropy_uri(entropy: Tensor) -> str:
    """Return uncertainty ``(H, W)`` in [0, 1] as an address: black is certain, white is not."""
    grey = (entropy.clamp(0, 1) * 255).round().to(torch.uint8)
    return _uri(Image.fromarray(grey.contiguous().numpy()), "PNG")


def legend(labels: Labels) -> str:
    """Return the labels with their colours as HTML."""
    names = zip(labels.names, labels.colours, strict=True)
    items = "".join(
        f'<span class="label"><i style="background:rgb{colour}"></i>{escape(name)}</span>'
        for name, colour in names
    )
    return f'<p class="legend">{items}</p>'


def cards(samples: Samples) -> list[dict[str, Any]]:
    """Return scenes as the page shows them: pictures of image and mask, and a caption.

    Args:
        samples: N scenes; those of a batch are not shown.
    """
    return [
        {
            "image": image_uri(samples.image[i]) if samples.image is not None else None,
            "mask": mask_uri(samples.mask[i], samples.labels)
            if samples.mask is not None
            else None,
            "caption": caption(samples.labels, samples.classes[i])
            if samples.classes is not None
            else "",
        }
        for i in range(len(samples))
    ]


def caption(labels: Labels, classes: Tensor) -> str:
    """Name the classes that are present, in words."""
    return ", ".join(labels.decode(classes)) or "no class"


def sheet(scenes: Iterable[dict[str, Any]], title: str) -> str:
    """Return scenes as HTML: a grid of images above their masks, with captions.

    Args:
        scenes: From `cards`.
        title: What they are, in words.
    """
    figures = "".join(_figure(scene) for scene in scenes)
    return f'<h3 class="title">{escape(title)}</h3><div class="scenes">{figures}</div>'


def stage_values(results: Sequence[StageResult]) -> dict[str, Any]:
    """Return the stages of a photograph as plain data for the page's viewer.

    Args:
        results: Of one photograph, which they hold.
    """
    photo = results[0].segmentation.image
    assert photo is not None
    return {"photo": image_uri(photo, "JPEG"), "stages": [_stage(one) for one in results]}


def _stage(result: StageResult) -> dict[str, Any]:
    segmentation = result.segmentation
    labels = segmentation.labels
    return {
        "title": result.title,
        "model": result.model,
        "mask": mask_uri(segmentation.mask, labels, clear=True),
        "entropy": entropy_uri(segmentation.entropy),
        "legend": [
            {"text": str(share), "colour": list(labels.colours[share.id])}
            for share in segmentation.shares
        ],
    }


def _figure(scene: dict[str, Any]) -> str:
    parts = [
        f'<img src="{scene[name]}" alt="{name} of a scene: {escape(scene["caption"])}">'
        for name in ("image", "mask")
        if scene.get(name)
    ]
    return f"<figure>{''.join(parts)}<figcaption>{escape(scene['caption'])}</figcaption></figure>"


def _uri(picture: Image.Image, kind: str) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **({"quality": 90} if kind == "JPEG" else {}))
    text = base64.b64encode(buffer.getvalue()).decode()
    return f"data:image/{kind.lower()};base64,{text}"
