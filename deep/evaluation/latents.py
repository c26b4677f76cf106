"""Which latents a model uses at each β."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from deep._checks import check_positive
from deep.evaluation.passes import (
    FloatArray,
    Moments,
    as_array,
    as_betas,
    betas_for,
    blocks,
    check_counts,
    evaluating,
    finite,
    pairs,
    sealed,
)
from deep.networks.base import VAENetwork

__all__ = ["ActiveUnits", "active_units"]


@dataclass(frozen=True, eq=False)
class ActiveUnits:
    """Latents whose posterior mean moves with the data, at each of B β's.

    Attributes
    ----------
    betas : ndarray (B,)
    count : ndarray of int (B,)
        Number of active latents.
    variance : ndarray (B, k)
        Of the posterior means, over the samples.
    threshold : float
        Above which a latent counts as active.
    """

    betas: FloatArray
    count: NDArray[np.intp]
    variance: FloatArray
    threshold: float


def active_units(
    model: nn.Module,
    samples: Tensor | NDArray[np.generic],
    betas: ArrayLike,
    *,
    threshold: float = 0.01,
    batch_size: int = 1000,
) -> ActiveUnits:
    r"""Number of latents with :math:`\operatorname{Var}_x \mathbb E[z_j|x] > \text{threshold}`.

    Parameters
    ----------
    model, samples, betas
        As for :func:`deep.evaluation.curve.evaluate_curve`.
    threshold : float
        > 0.
    batch_size : int
        Largest number of pairs of β and sample that are encoded at a time.

    Returns
    -------
    ActiveUnits

    Raises
    ------
    InputError
        β's, samples or a threshold out of range.
    DivergenceError
        A model whose values are not finite.

    Notes
    -----
    Source: Burda et al. 2016, Section 4 (active units, threshold 0.01).
    """
    weights = as_betas(betas)
    check_counts(batch_size=batch_size)
    check_positive("threshold", threshold, "0.01 is customary")
    moments = Moments()
    with evaluating(model):
        for block in blocks(model, samples):
            known = betas_for(block.samples, weights)
            found = [
                cast(VAENetwork, model).encode(block.samples[place], known[which])[0].double().cpu()
                for which, place in pairs(
                    len(weights), len(block.samples), batch_size, block.samples.device
                )
            ]
            means = as_array(torch.cat(found).reshape(len(weights), len(block.samples), -1))
            finite("active_units", means, weights)
            # Latents as separate quantities: covariances between them are not wanted.
            moments.add(means.transpose(0, 2, 1).reshape(-1, len(block.samples), 1))
    variance = moments.variance().reshape(len(weights), -1)
    count = (variance > threshold).sum(axis=1)
    count.setflags(write=False)
    return ActiveUnits(sealed(weights), count, sealed(variance), float(threshold))
