"""A fitted model: sample, predict, segment and score with it, from views of any form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any, Literal, cast, overload

import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.datasets.observations import Classes, Picture, Pictures, batch_of_images, observe
from scene.registry import unknown
from scene.seeds import seeded
from scene.views import VIEWS, Views

from ..prediction.interpolate import interpolate
from ..prediction.predict import DRAWS, Prediction, posterior, predict
from ..prediction.refine import RefinedPosterior, Refinement, refine_posterior
from ..prediction.sample import Samples, sample
from .pretrained import Pretrained

if TYPE_CHECKING:
    import pyro.distributions as dist

    from ..crf.parameters import Parameters
    from ..prediction.evaluate import Evaluation
    from ..segmentation.segmentation import Segmentation

_TOGETHER = 50  # scenes that are predicted at once, as in an evaluation

Direction = tuple[Sequence[str], str]
"""Names of the views conditioned on, and of the target."""


class Fitted(Pretrained):
    """A fitted model, and all that one does with it.

    Views are given in any form, of one scene or of a batch, see
    `scene.datasets.observations.observe`: paths, ``test:3``, Pillow images, arrays, tensors, and
    classes by name. They are framed to the model's size as the scenes of its data are. Draws come
    from ``seed``; the global generators are left alone.
    """

    def guided(self, guidance: float) -> Fitted:
        """Return the model with another guidance of its flow over z.

        Args:
            guidance: How much draws given views differ from those of the prior: 1 = as learned;
                more = they show what was given more clearly, and vary less; 0 or more.

        Raises:
            ValueError: If it has no flow, or the guidance is below 0.
        """
        if not 0 <= guidance < inf:
            raise ValueError(f"--guidance is 0 or more, not {guidance:g}.")
        if self.assembly.flow is None:
            raise ValueError(
                f"--guidance is of draws by a flow, which {self.run.folder} has not; one "
                "learns after telbo, jvae or jmvae: scene train prior --run RUN"
            )
        flow = copy(self.assembly.flow)
        flow.guidance = guidance
        return Fitted(self.run, replace(self.assembly, flow=flow))

    def sample(
        self,
        n: int = 16,
        *,
        image: Pictures | None = None,
        classes: Classes | None = None,
        mask: Pictures | None = None,
        walk: bool = False,
        refine: Literal["svi", "hmc"] | None = None,
        refine_steps: int | None = None,
        seed: int = 0,
        data: str | None = None,
    ) -> Samples:
        """Draw scenes given any views of one, or from the prior.

        Args:
            n: How many, 1 to 10,000; of a batch, for each scene.
            image: An image, or a batch of them, to condition on.
            classes: Classes that are present, to condition on.
            mask: A mask to condition on.
            walk: Let the scenes lie on a straight line through z, between two draws.
            refine: Refine the posterior for these views first: ``svi`` climbs its ELBO, ``hmc``
                runs a chain from there.
            refine_steps: Steps of Adam (``svi``: 50), or of warm-up (``hmc``: 100).
            seed: Seed of the draws.
            data: Where ``test:3`` is looked up; the run's own data if left out.

        Raises:
            ValueError: If the model has no posterior given these views, or no z.
        """
        seen = self.observe(image=image, classes=classes, mask=mask, data=data)
        return sample(
            self.assembly,
            seen.views,
            self.labels,
            n=n,
            walk=walk,
            refinement=_refinement(refine, refine_steps, seen.views),
            seed=seed,
            recipe=self.name,
            batched=seen.batched,
        )

    def interpolate(self, samples: Samples, first: int, last: int, n: int = 8) -> Samples:
        """Draw scenes on the way from one sample to another.

        Args:
            samples: Samples of this model, of one scene or of the prior.
            first: The number of the sample where the way starts, from 0.
            last: The number of the sample where it ends.
            n: How many scenes, the two samples among them, 2 or more.

        Raises:
            IndexError: If there is no such sample.
            ValueError: If the model has no z, the samples are of another one, or ``n`` is below 2.
        """
        return interpolate(self.assembly, samples, first, last, n=n)

    def predict(
        self,
        *,
        image: Pictures | None = None,
        classes: Classes | None = None,
        mask: Pictures | None = None,
        views: Sequence[str] | None = None,
        draws: int = DRAWS,
        at_mean: bool = False,
        seed: int = 0,
        data: str | None = None,
    ) -> Prediction:
        """Predict views from others: probabilities averaged over draws of z.

        Args:
            image: An image, or a batch of them, to condition on.
            classes: Classes that are present, to condition on.
            mask: A mask to condition on.
            views: Names of the views to predict; None = all that the model explains.
            draws: Draws of z that are averaged.
            at_mean: Use the mean of the posterior in place of draws.
            seed: Seed of the draws.
            data: Where ``test:3`` is looked up; the run's own data if left out.

        Raises:
            LookupError: If the model does not explain a requested view.
            ValueError: If it has no posterior given these views, or ``draws`` is below 1.
        """
        if draws < 1:
            raise ValueError(f"A prediction averages 1 draw or more, not {draws}.")
        names = tuple(views) if views is not None else self.model.views
        for name in names:
            if name not in self.model.views:
                raise LookupError(unknown(name, self.model.views, "view of this model") + ".")
        seen = self.readable(image, classes, mask, data)
        parts = [None] if seen.views is None else list(_parts(seen.views))
        with seeded(seed, self.device):
            predicted = [
                predict(self.assembly, part, names, draws=draws, at_mean=at_mean).views
                for part in parts
            ]
        means = {name: torch.cat([part[name].cpu() for part in predicted]) for name in names}
        if not seen.batched:
            means = {name: view.squeeze(0) for name, view in means.items()}
        return Prediction(means, self.labels, seen.views)

    def posterior(
        self,
        *,
        image: Pictures | None = None,
        classes: Classes | None = None,
        mask: Pictures | None = None,
        data: str | None = None,
    ) -> dist.Distribution:
        """Return q(z | views), a Pyro distribution; given nothing, the prior.

        Returns:
            Batch shape ``(B,)``, B = 1 for one scene; event shape ``(L,)``.

        Raises:
            ValueError: If the model has no z, or no posterior given these views.
        """
        if not self.model.latent:
            raise ValueError(f"A {self.name} has no z, so that it has no posterior.")
        seen = self.readable(image, classes, mask, data)
        with torch.no_grad():
            return posterior(self.assembly, seen.views)

    def refine_posterior(
        self,
        *,
        image: Pictures | None = None,
        classes: Classes | None = None,
        mask: Pictures | None = None,
        method: Literal["svi", "hmc"] = "svi",
        steps: int | None = None,
        draws: int = DRAWS,
        seed: int = 0,
        data: str | None = None,
    ) -> RefinedPosterior:
        """Improve q(z | views) for the very scenes observed; the model stays as it is.

        Any views will do that the model explains, whether or not the guide can read them.

        Args:
            image: An image, or a batch of them.
            classes: Classes that are present.
            mask: A mask.
            method: ``svi``: a diagonal Normal climbs the ELBO; ``hmc``: from there, a chain of
                the exact posterior.
            steps: Steps of Adam (``svi``: 50), or of warm-up (``hmc``: 100).
            draws: Draws of z to return.
            seed: Seed of every draw.
            data: Where ``test:3`` is looked up; the run's own data if left out.

        Raises:
            ValueError: If the model has no z, or none of the views tells it about z.
        """
        seen = self.observe(image=image, classes=classes, mask=mask, data=data).views
        how = _refinement(method, steps, seen)
        assert how is not None
        assert seen is not None
        with seeded(seed, self.device):
            return refine_posterior(self.assembly, seen.to(self.device), how, draws)

    def log_likelihood(
        self, scenes: SceneDataset | Views, *, particles: int = 64, seed: int = 0
    ) -> Tensor:
        """Estimate log p(views) of each scene, in nats, by importance sampling.

        Args:
            scenes: A dataset, or a batch of views: any set that has a posterior.
            particles: Draws of z for each scene; the more, the tighter the bound.
            seed: Seed of the draws.

        Returns:
            ``(B,)``, see `inference.prediction.evaluate.log_likelihood`.
        """
        from ..prediction.evaluate import log_likelihood

        if isinstance(scenes, SceneDataset):
            self.labels.require(scenes.schema.labels, scenes.name)
            scenes = scenes.views(range(len(scenes)))
        with seeded(seed, self.device):
            return log_likelihood(self.assembly, scenes, particles)

    def evaluate(
        self,
        split: str | SceneDataset | None = None,
        *,
        data: str | None = None,
        draws: int = DRAWS,
        at_mean: bool = False,
        directions: Sequence[Direction] | None = None,
        seed: int = 0,
        download: bool = False,
        watch: Callable[[str], None] | None = None,
    ) -> Evaluation:
        """Score predictions of masks and classes against the ground truth.

        Args:
            split: ``test``, ``val``, … or a dataset; None = ``test``, else ``val``.
            data: The data it is a split of; the run's own if left out.
            draws: Draws of z that a prediction averages.
            at_mean: Use the mean of the posterior in place of draws.
            directions: Pairs of the views conditioned on and the target, such as
                ``(("image",), "mask")``; None = the usual seven.
            seed: Seed of the draws.
            download: Let ``voc2012`` be fetched.
            watch: Called with the title of each direction before it is scored.

        Raises:
            LookupError: If there is no such split, or no such view.
            ValueError: If the data have other labels, or there is no scene or no draw.
        """
        from ..prediction.evaluate import evaluate

        scenes = split if isinstance(split, SceneDataset) else self.dataset(
            split, data=data, download=download
        )  # fmt: skip
        self.labels.require(scenes.schema.labels, scenes.name)
        for given, target in directions or ():
            for name in (*given, target):
                if name not in VIEWS:
                    raise LookupError(unknown(name, VIEWS, "view") + ".")
        return evaluate(
            self.assembly,
            scenes,
            draws=draws,
            at_mean=at_mean,
            seed=seed,
            directions=tuple((tuple(given), target) for given, target in directions or ()) or None,
            watch=watch or (lambda title: None),
        )

    @overload
    def segment(self, photo: Picture, **options: Any) -> Segmentation: ...

    @overload
    def segment(self, photo: Sequence[Picture], **options: Any) -> list[Segmentation]: ...

    def segment(
        self,
        photo: Picture | Sequence[Picture],
        *,
        stage: str | None = None,
        crf: Parameters | Mapping[str, Any] | bool | None = None,
        classes: Classes | None = None,
        **options: Any,
    ) -> Segmentation | list[Segmentation]:
        """Label every pixel of a photograph of any size, or of several.

        Args:
            photo: A path, a Pillow image, an array or a tensor; or a list of them.
            stage: ``gradcam``, ``sec`` or ``mask``, alone or with ``+crf``; None = the run's last.
            crf: True or False: with or without the dense CRF; or its parameters, by name as in
                ``{"appearance_weight": 5}`` where they differ from the usual ones.
            classes: Classes known to be present; no others are then labelled.
            options: ``class_maps``, ``pixels``, ``seed``, ``engine``, see
                `inference.segmentation.segmenter.Segmenter`.

        Raises:
            FileNotFoundError: If a photograph is not there.
            LookupError: If there is no such stage.
            ValueError: If the run does not have it, or a photograph cannot be read.
        """
        from .segment import segment, segmenter

        with_stage = segmenter(self, stage, crf, **options)
        known = None
        if classes is not None:
            views = observe(self.schema, classes=classes).views
            known = None if views is None else views["classes"][0]
        batch = batch_of_images(photo)
        if batch is None:
            return segment(with_stage, cast(Picture, photo), known)
        return [segment(with_stage, one, known) for one in batch]


def _parts(views: Views) -> Iterator[Views]:
    """Take a batch apart, in order."""
    for rows in torch.arange(len(views), device=views.device).split(_TOGETHER):
        yield views.rows(rows)


def _refinement(method: str | None, steps: int | None, seen: Views | None) -> Refinement | None:
    """Return how to refine; None without a refinement."""
    if method is None:
        if steps is not None:
            raise ValueError(
                "--refine-steps needs --refine svi or --refine hmc; add one, or leave it out."
            )
        return None
    if method not in ("svi", "hmc"):
        raise LookupError(unknown(method, ("svi", "hmc"), "refinement") + ".")
    if seen is None:
        raise ValueError(
            "--refine needs views to condition on; add --from-image, "
            "--from-classes or --from-mask."
        )
    return Refinement("svi" if method == "svi" else "hmc", steps)
