"""Samples: scenes drawn given any views of one, or from the prior, and their average."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scene.labels import Labels
from scene.likelihoods import entropy
from scene.models import SceneModel
from scene.seeds import seeded
from scene.storage.outputs import is_png_path
from scene.views import Views

from ..build import Assembly
from .outputs import as_arrays, png_of, save_views
from .predict import draw, drawing, drawn, expected, posterior
from .refine import RefinedPosterior, Refinement, refine_posterior, require_refinable

MOST = 10_000
"""The most scenes drawn at once."""

TOGETHER = 64
"""Scenes that are decoded at once."""


@dataclass(frozen=True, eq=False)
class Samples:
    """N scenes drawn from a model.

    Shapes are those of one scene that was observed, or of none; where a batch of B was observed,
    B stands behind N. A view that the model does not explain is None.

    Attributes:
        image: Mean images, or drawn ones where the run has a flow of their details,
            ``(N, 3, H, W)`` in [0, 1].
        classes: Class probabilities, ``(N, C)``.
        mask: The most probable label of each pixel, ``(N, H, W)`` int64.
        mean_image: The average image, ``(3, H, W)``; of a walk there is no average of anything.
        mean_classes: Average class probabilities, ``(C,)``.
        mean_mask: The labels that are most probable on average, ``(H, W)``.
        entropy: How uncertain the label of each pixel then is, ``(H, W)``, 0 to 1.
        observed: The views conditioned on, a batch; None = the samples are of the prior.
        labels: The vocabulary.
        title: How they were drawn, in words.
        refined: The refined posterior that z was drawn from, if that was asked.
        z: The latents that were decoded, ``(N, L)``, on the CPU; None if the model has none.
    """

    image: Tensor | None
    classes: Tensor | None
    mask: Tensor | None
    mean_image: Tensor | None
    mean_classes: Tensor | None
    mean_mask: Tensor | None
    entropy: Tensor | None
    observed: Views | None
    labels: Labels
    title: str
    refined: RefinedPosterior | None = None
    batched: bool = field(default=False, repr=False)
    z: Tensor | None = field(default=None, repr=False)

    def __len__(self) -> int:
        """Count the samples, N."""
        return len(next(iter(self.views.values())))

    @property
    def views(self) -> dict[str, Tensor]:
        """The views that were drawn, by name."""
        tensors = {"image": self.image, "classes": self.classes, "mask": self.mask}
        return {name: view for name, view in tensors.items() if view is not None}

    @property
    def means(self) -> dict[str, Tensor]:
        """The averages that there are, by the name of the view, and ``entropy``."""
        tensors = {
            "image": self.mean_image,
            "classes": self.mean_classes,
            "mask": self.mean_mask,
            "entropy": self.entropy,
        }
        return {name: view for name, view in tensors.items() if view is not None}

    def numpy(self) -> dict[str, np.ndarray]:
        """Return arrays: ``image`` (N, H, W, 3) in [0, 1], ``classes`` (N, C), ``mask`` uint8."""
        return as_arrays(self.views)

    def scenes(self) -> list[Samples]:
        """Take a batch apart: the samples of each observed scene."""
        if not self.batched:
            return [self]
        count = len(self.observed) if self.observed is not None else 1
        return [self._scene(row) for row in range(count)]

    def save(self, path: str | Path, *, force: bool = False) -> list[Path]:
        """Write a picture (``.png``), or a folder of one file for each view of each sample.

        The folder holds ``000_image.png``, ``000_mask.png``, …, ``classes.json``, and the
        averages. Of a batch, a folder holds one such folder for each scene, ``scene_000``, ….

        Args:
            path: Where to; the suffix says which of the two.
            force: Replace what is there.

        Returns:
            The files that were written.

        Raises:
            FileExistsError: If it exists, and ``force`` does not allow replacing it.
            ValueError: If a picture is to show the samples of a batch.
        """
        place = Path(path)
        if not self.batched:
            return save_views(
                place, self.views, self.labels, self.means, draw=self._draw, force=force
            )
        if is_png_path(place):
            raise ValueError(f"{place} shows samples of one scene; take one of scenes(), or name "
                             "a folder.")  # fmt: skip
        files: list[Path] = []
        for row, scene in enumerate(self.scenes()):
            files += scene.save(place / f"scene_{row:03}", force=force)
        return files

    def _repr_png_(self) -> bytes:
        return png_of(self.scenes()[0]._draw)

    def _draw(self, path: Path) -> None:
        from .figures import draw_samples

        draw_samples(path, self.observed, self.views, self.labels, self.title, self.means)

    def _scene(self, row: int) -> Samples:
        observed = self.observed
        if observed is not None:
            observed = observed.rows(torch.tensor([row], device=observed.device))
        views = {name: view[:, row] for name, view in self.views.items()}
        means = {name: mean[row] for name, mean in self.means.items()}
        scene = samples_of(views, means, observed, self.labels, self.title, None, False)
        return replace(scene, z=self.z[:, row] if self.z is not None else None)


def sample(
    assembly: Assembly,
    observed: Views | None,
    labels: Labels,
    *,
    n: int = 16,
    walk: bool = False,
    refinement: Refinement | None = None,
    seed: int = 0,
    recipe: str = "model",
    batched: bool = False,
) -> Samples:
    """Draw scenes given some views, or from the prior.

    Args:
        assembly: Model and guide, in evaluation mode.
        observed: B scenes' views to condition on; None = draw from the prior.
        labels: The vocabulary.
        n: How many scenes, 1 to `MOST`.
        walk: Let them lie on a straight line through z, between two draws.
        refinement: How to refine the posterior first; None = take the guide's.
        seed: Seed of the draws.
        recipe: What to call the model in messages.
        batched: Keep the dimension B.

    Raises:
        ValueError: If the model has no posterior given these views, or no z to walk through, or
            a number is out of range.
    """
    if n < 1:
        raise ValueError(f"-n must be 1 or more, not {n}.")
    if n > MOST:
        raise ValueError(f"-n is at most {MOST}, not {n}; draw the rest with another --seed.")
    on_device = observed.to(assembly.device) if observed is not None else None
    _require(assembly, on_device, recipe, refinement)
    if walk and not assembly.model.latent:
        raise ValueError(f"A {recipe} has no latent z, so --walk is not possible; leave it out.")
    with seeded(seed, assembly.device):
        z, refined = _latents(assembly, on_device, n, walk, refinement)
        decoded, images = composed_scenes(drawing(assembly).model, z, on_device)
    views = decided(decoded) | images
    means = {} if walk else averaged(decoded)
    z = z.cpu() if z is not None else None
    if not batched:
        views = {name: view.squeeze(1) for name, view in views.items()}
        means = {name: view.squeeze(0) for name, view in means.items()}
        z = z.squeeze(1) if z is not None else None
    on_cpu = on_device.to("cpu") if on_device is not None else None
    title = _title(on_cpu, labels, walk, refinement, assembly.flow is not None)
    drawn_samples = samples_of(views, means, on_cpu, labels, title, refined, batched)
    return replace(drawn_samples, z=z)


def straight_line(ends: Tensor, steps: int) -> Tensor:
    """Step in a straight line between two latents: ``(2, B, L)`` to ``(steps, B, L)``.

    >>> straight_line(torch.tensor([[[0.0]], [[2.0]]]), 3).flatten()
    tensor([0., 1., 2.])
    """
    along = torch.linspace(0, 1, steps, device=ends.device).view(-1, 1, 1)
    return torch.lerp(ends[:1], ends[1:], along)


def composed_scenes(
    model: SceneModel, z: Tensor | None, observed: Views | None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Decode draws of z into the expectation of every view, and images that stand for draws.

    Args:
        model: What scenes are drawn with.
        z: ``(N, B, L)``; None for a model without latent, whose N is 1.
        observed: B scenes' views that z was drawn given.

    Returns:
        Mean images ``(N, B, 3, H, W)``, class probabilities ``(N, B, C)``, label probabilities
        ``(N, B, L, H, W)``; and the images as ``image``, where the model has them. All are on the
        CPU.
    """
    parts: list[dict[str, Tensor]] = []
    images: list[Tensor] = []
    for some in [None] if z is None else z.split(max(1, TOGETHER // z.shape[1])):
        with torch.no_grad():
            likelihoods = model.compose(some, observed)
        means = {name: expected(x) for name, x in likelihoods.items()}
        parts.append({n: (x if z is not None else x[None]).cpu() for n, x in means.items()})
        if "image" in likelihoods:
            images.append(drawn(likelihoods["image"]).cpu())
    decoded = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return decoded, {"image": torch.cat(images)} if images else {}


def decided(views: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take the most probable label of every pixel, where there are label probabilities."""
    return {n: view.argmax(-3) if n == "mask" else view for n, view in views.items()}


def averaged(views: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Average over N draws, and measure how uncertain the labels are then.

    Args:
        views: Expectations of every view, ``(N, B, …)``.

    Returns:
        Of each view there is: ``image`` ``(B, 3, H, W)``; ``classes`` ``(B, C)``; ``mask``
        ``(B, H, W)``, the labels that are most probable on average, with ``entropy``
        ``(B, H, W)``.
    """
    means = {name: view.mean(0) for name, view in views.items()}
    uncertainty = {"entropy": entropy(means["mask"])} if "mask" in means else {}
    return {**decided(means), **uncertainty}


def samples_of(
    views: Mapping[str, Tensor],
    means: Mapping[str, Tensor],
    observed: Views | None,
    labels: Labels,
    title: str,
    refined: RefinedPosterior | None,
    batched: bool,
) -> Samples:
    """Return views and their averages, by name, as samples."""
    return Samples(
        image=views.get("image"),
        classes=views.get("classes"),
        mask=views.get("mask"),
        mean_image=means.get("image"),
        mean_classes=means.get("classes"),
        mean_mask=means.get("mask"),
        entropy=means.get("entropy"),
        observed=observed,
        labels=labels,
        title=title,
        refined=refined,
        batched=batched,
    )


def _latents(
    assembly: Assembly,
    observed: Views | None,
    n: int,
    walk: bool,
    refinement: Refinement | None,
) -> tuple[Tensor | None, RefinedPosterior | None]:
    """Draw z, ``(N, B, L)``, and return the refined posterior, if that was asked."""
    draws = 2 if walk else n
    if refinement is not None and observed is not None:
        refined = refine_posterior(assembly, observed, refinement, draws)
        return (straight_line(refined.z, n) if walk else refined.z), refined
    if walk and assembly.flow is not None:
        with torch.no_grad():
            return _flow_walk(posterior(drawing(assembly), observed), n), None
    z = draw(drawing(assembly), observed, draws, 1)
    return (straight_line(z, n) if walk and z is not None else z), None


def _flow_walk(flow: Any, steps: int) -> Tensor:
    """Walk from one draw to another along an arc of the noise that they come from.

    Every point of the arc has the length of a draw, so that each is a scene as likely as the ends.
    """
    noise = torch.randn(2, *flow.batch_shape, *flow.event_shape, device=flow.shift.device)
    along = torch.linspace(0, torch.pi / 2, steps, device=noise.device).view(-1, 1, 1)
    z: Tensor = flow.moved(along.cos() * noise[:1] + along.sin() * noise[1:])
    return z


def _require(
    assembly: Assembly, observed: Views | None, recipe: str, refinement: Refinement | None
) -> None:
    names = observed.names if observed is not None else ()
    require_conditions(assembly, names, recipe)
    if refinement is not None:
        require_refinable(assembly, names)
        return
    require_posterior(drawing(assembly), names, recipe)


def require_conditions(assembly: Assembly, names: Any, recipe: str) -> None:
    """Refuse views that lack what the model takes as given.

    Raises:
        ValueError: Naming the view that is missing.
    """
    if missing := [name for name in assembly.model.conditions if name not in names]:
        raise ValueError(f"A {recipe} conditions on the {missing[0]}; add --from-{missing[0]}.")


def require_posterior(assembly: Assembly, names: Any, recipe: str) -> None:
    """Refuse views that the guide has no posterior given.

    Raises:
        ValueError: Naming them, and what could be done.
    """
    evidence = set(names) - set(assembly.model.conditions)
    if evidence and not assembly.guide.accepts(names):
        raise ValueError(
            f"This {recipe} has no posterior given just {' + '.join(names)}; give other views, "
            "or take a run that accepts any, such as one of telbo, or add --refine svi."
        )


def _title(
    observed: Views | None,
    labels: Labels,
    walk: bool,
    refinement: Refinement | None,
    flow: bool,
) -> str:
    title = "drawn from the prior"
    if observed is not None:
        one = len(observed) == 1
        source = " + ".join(
            (", ".join(labels.decode(observed["classes"][0])) or "none")
            if name == "classes" and one
            else f"the {name}"
            for name in observed
        )
        title = f"drawn given {source}"
    if refinement is not None:
        title += f", refined by {refinement.method}"
    elif flow:
        title += " by the flow"
    return f"{title}, a walk" if walk else title
