"""Interpolation: scenes between two latents, along a line or along an arc of a flow's noise."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from scene.flows import Flow
from scene.labels import Labels
from scene.seeds import seeded

from ..build import Assembly
from .predict import drawing, posterior
from .sample import Samples, composed_scenes, decided, samples_of, straight_line


def interpolate(
    assembly: Assembly,
    first: Tensor,
    last: Tensor,
    labels: Labels,
    *,
    n: int = 8,
    seed: int = 0,
) -> Samples:
    """Draw scenes on the way from one latent to another.

    Without a flow the way is a straight line. With one it is the arc between the noises that the
    flow makes the two of, so that each scene is about as likely as the ends.

    Args:
        assembly: Model and guide, in evaluation mode.
        first: Where the way starts, ``(L,)``.
        last: Where it ends, ``(L,)``.
        labels: The vocabulary.
        n: How many scenes, the ends among them, 2 or more.
        seed: Seed of the details of images, where the model draws them.

    Raises:
        ValueError: If the model has no z, an end is of another length, or ``n`` is below 2.
    """
    latent = assembly.model.latent
    if not latent:
        raise ValueError("This model has no latent z, so nothing lies between two scenes.")
    if first.shape != (latent,) or last.shape != (latent,):
        raise ValueError(
            f"The ends are latents of {latent} numbers, not {tuple(first.shape)} and "
            f"{tuple(last.shape)}; take those of this model's samples."
        )
    if n < 2:
        raise ValueError(f"A way between two scenes has 2 scenes or more, not {n}.")
    ends = torch.stack([first, last])[:, None].to(assembly.device)
    with seeded(seed, assembly.device), torch.no_grad():
        z = _way(assembly, ends, n)
        decoded, images = composed_scenes(drawing(assembly).model, z, None)
    views = {name: view.squeeze(1) for name, view in (decided(decoded) | images).items()}
    samples = samples_of(views, {}, None, labels, "between two scenes", None, False)
    return replace(samples, z=z.squeeze(1).cpu())


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
