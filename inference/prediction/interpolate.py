"""Interpolation: scenes between two latents, along a line or along an arc of a flow's noise."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from scene.detailed import DetailedPixels
from scene.flows import Flow

from ..build import Assembly
from .predict import drawing, expected, posterior
from .sample import Samples, decided, samples_of, straight_line


def interpolate(
    assembly: Assembly, samples: Samples, first: int, last: int, *, n: int = 8
) -> Samples:
    """Draw scenes on the way from one sample to another.

    Without a flow the way is a straight line through z. With one it is the arc between the noises
    that the flow makes the two of, so that each scene is about as likely as the ends; so it is
    with the details of images, where a flow draws them.

    Args:
        assembly: Model and guide, in evaluation mode.
        samples: Samples of this model, of one scene or of the prior.
        first: The number of the sample where the way starts, from 0.
        last: The number of the sample where it ends.
        n: How many scenes, the two samples among them, 2 or more.

    Raises:
        IndexError: If there is no such sample.
        ValueError: If the model has no z, the samples are of another one, or ``n`` is below 2.
    """
    latent = assembly.model.latent
    if samples.z is None or not latent:
        raise ValueError("This model has no latent z, so nothing lies between two scenes.")
    if samples.z.shape[1:] != (latent,):
        raise ValueError(
            f"A way leads between samples of one scene by this model, whose z has {latent} "
            f"numbers, not {tuple(samples.z.shape[1:])}."
        )
    if n < 2:
        raise ValueError(f"A way between two scenes has 2 scenes or more, not {n}.")
    ends = torch.stack([samples.z[first], samples.z[last]])[:, None].to(assembly.device)
    images = None
    if samples.image is not None:
        images = torch.stack([samples.image[first], samples.image[last]])[:, None]
    with torch.no_grad():
        z = _way(assembly, ends, n)
        decoded = drawing(assembly).model.compose(z, None)
        views = {name: expected(likelihood).cpu() for name, likelihood in decoded.items()}
        detailed = decoded.get("image")
        if isinstance(detailed, DetailedPixels) and images is not None:
            views["image"] = _detailed_way(assembly, detailed, ends, images)
    views = {name: view.squeeze(1) for name, view in decided(views).items()}
    between = samples_of(views, {}, None, samples.labels, "between two scenes", None, False)
    return replace(between, z=z.squeeze(1).cpu())


def arc(ends: Tensor, steps: int) -> Tensor:
    """Step along the arc between two vectors: ``(2, B, L)`` to ``(steps, B, L)``.

    Directions turn at a constant rate, and lengths change in proportion.

    >>> arc(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]), 3)[1]
    tensor([[0.7071, 0.7071]])
    """
    lengths = ends.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    units = ends / lengths
    angle = (units[0] * units[1]).sum(-1, keepdim=True).clamp(-1, 1).arccos()
    along = torch.linspace(0, 1, steps, device=ends.device).view(-1, 1, 1)
    wide = angle.sin() > 1e-4
    divisor = torch.where(wide, angle.sin(), 1)
    shares = [
        torch.where(wide, (part * angle).sin() / divisor, part) for part in (1 - along, along)
    ]
    directions = shares[0] * units[:1] + shares[1] * units[1:]
    way: Tensor = directions * torch.lerp(lengths[:1], lengths[1:], along)
    return way


def _way(assembly: Assembly, ends: Tensor, steps: int) -> Tensor:
    """Step between latents ``(2, 1, L)``: ``(steps, 1, L)``, whose first and last they are."""
    if assembly.flow is None:
        return straight_line(ends, steps)
    prior = posterior(drawing(assembly), None)
    assert isinstance(prior, Flow)
    z = prior.moved(arc(prior.noise_of(ends), steps))
    z[0], z[-1] = ends[0], ends[1]
    return z


def _detailed_way(
    assembly: Assembly, pixels: DetailedPixels, ends: Tensor, images: Tensor
) -> Tensor:
    """Draw images along a way, ``(steps, 1, 3, H, W)``, from those of its ends, ``(2, …)``."""
    start = drawing(assembly).model.compose(ends, None)["image"]
    assert isinstance(start, DetailedPixels)
    noise = start.noise_of(images.to(assembly.device))
    drawn = pixels.moved(arc(noise, len(pixels.loc))).cpu()
    drawn[0], drawn[-1] = images[0], images[1]
    return drawn
