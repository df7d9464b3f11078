"""Gibbs sampling of the dense CRF: slow, but without the bias of mean field."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .engines import Field
from .exact import matrix
from .kernels import Kernel

SYMMETRIC = ("symmetric", "mean", "none")
"""Normalisations that leave K symmetric, so that there is an energy to sample from."""


def gibbs(
    field: Field, sweeps: int = 100, *, burn_in: int = 20, chains: int = 32, seed: int = 0
) -> Tensor:
    """Estimate marginals of p(x) ∝ exp(Σ_i logit_i(x_i) + Σ_{i<j} w k(i, j) μ(x_i, x_j)).

    That is the distribution which mean field approximates if kernels have no self term; it is left
    out here whatever they say, because with one label a pixel it would only be a bias. Chains run
    side by side; each draws one pixel after another conditioned on all others. The probabilities
    drawn from are averaged: they vary less than the draws. Time grows with the square of the
    number of pixels, and an energy with several modes needs too many sweeps to be practical.

    Args:
        field: Its kernels normalised symmetrically or by one number, compatibilities symmetric,
            no void pixels.
        sweeps: Over all pixels, after the burn-in.
        burn_in: Sweeps that are not counted.
        chains: Run at once, each from labels drawn from the unaries.
        seed: Seed of all draws.

    Returns:
        ``(B, L, H, W)``.

    Raises:
        ValueError: If there is no such energy, or nothing to average.

    Source:
        Geman & Geman (1984), Stochastic relaxation, Gibbs distributions, and the Bayesian
        restoration of images, https://doi.org/10.1109/TPAMI.1984.4767596
    """
    _check(field, sweeps, chains)
    random = torch.Generator(field.logits.device).manual_seed(seed)
    logits, marginals = field.logits.flatten(2), []
    for index in range(len(logits)):
        couplings = _couplings(field, index)
        marginals.append(_scene(logits[index].T, couplings, (burn_in, sweeps), chains, random))
    return torch.stack(marginals).mT.reshape(field.logits.shape)


def _scene(
    logits: Tensor,
    couplings: list[tuple[Tensor, Tensor]],
    sweeps: tuple[int, int],
    chains: int,
    random: torch.Generator,
) -> Tensor:
    """Sample one scene with logits ``(N, L)``; return mean probabilities, ``(N, L)``."""
    pixels, labels = logits.shape
    total = torch.zeros_like(logits)
    states = torch.multinomial(logits.softmax(1), chains, replacement=True, generator=random)
    x = torch.nn.functional.one_hot(states, labels).to(logits)  # (N, chains, L)
    for sweep in range(sum(sweeps)):
        for i in range(pixels):
            conditional = logits[i].expand(chains, labels)
            for k, mu in couplings:
                conditional = conditional + (k[i] @ x.flatten(1)).view(chains, labels) @ mu
            q = conditional.softmax(1)
            x[i] = 0
            x[i].scatter_(1, torch.multinomial(q, 1, generator=random), 1)
            if sweep >= sweeps[0]:
                total[i] += q.mean(0)
    return total / sweeps[1]


def _couplings(field: Field, index: int) -> list[tuple[Tensor, Tensor]]:
    """Return each kernel's ``(N, N)`` and ``(L, L)``; those of Potts kernels become one."""
    couplings: list[tuple[Tensor, Tensor]] = []
    for kernel in field.kernels:
        features = kernel.features(field.image, field.logits).flatten(2)
        features = features[index % len(features)].unsqueeze(0)
        pairs = matrix(replace(kernel, self_term=False), features, None)[0]
        mu = _compatibility(kernel, field.logits)
        pairs = pairs * torch.as_tensor(kernel.weight, dtype=pairs.dtype, device=pairs.device)
        same = [i for i, (_, other) in enumerate(couplings) if torch.equal(mu, other)]
        if same:
            couplings[same[0]] = (couplings[same[0]][0] + pairs, mu)
        else:
            couplings.append((pairs, mu))
    return couplings


def _compatibility(kernel: Kernel, like: Tensor) -> Tensor:
    mu = kernel.compatibility
    if mu is None:
        return torch.eye(like.shape[1]).to(like)
    return (mu.diag() if mu.ndim == 1 else mu).to(like)


def _check(field: Field, sweeps: int, chains: int) -> None:
    if field.void is not None:
        raise ValueError(
            "Gibbs sampling does not support void pixels, because one-way messages have no "
            "energy; leave void out."
        )
    for kernel in field.kernels:
        mu = kernel.compatibility
        if kernel.normalization not in SYMMETRIC or not (mu is None or torch.equal(mu, mu.T)):
            raise ValueError(
                "Gibbs sampling needs symmetric pairwise terms: use the normalization "
                "symmetric, mean or none, and a symmetric compatibility."
            )
    if sweeps < 1 or chains < 1:
        raise ValueError(f"sweeps and chains must be 1 or more, not {sweeps} and {chains}.")
