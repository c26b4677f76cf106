"""What q(z|x) costs: the rate, against a standard normal prior."""

from __future__ import annotations

import torch
from torch import Tensor

from deep._checks import fail

__all__ = ["rate", "rate_per_latent"]


def rate_per_latent(latent_mean: Tensor, latent_log_variance: Tensor) -> Tensor:
    r"""Rate of each latent of each sample.

    .. math:: \mathcal R_{ij} = \tfrac12 (m_{ij}^2 + e^{v_{ij}} - 1 - v_{ij})

    Parameters
    ----------
    latent_mean, latent_log_variance : Tensor (N, k)
        Of q(z|x) = N(m, diag(exp(v))): logarithms of variances, not of standard deviations.

    Returns
    -------
    Tensor (N, k)
        Nats, >= 0.

    Raises
    ------
    InputError
        Different shapes.
    """
    if latent_mean.shape != latent_log_variance.shape or latent_mean.ndim != 2:
        fail("latent_log_variance", f"shape {tuple(latent_log_variance.shape)} for means of shape "
             f"{tuple(latent_mean.shape)}", "both (N, k)", "expand what samples share")  # fmt: skip
    dtype = torch.promote_types(latent_mean.dtype, torch.float32)
    dtype = torch.promote_types(dtype, latent_log_variance.dtype)
    mean, log_variance = latent_mean.to(dtype), latent_log_variance.to(dtype)
    # expm1, or the rate of a posterior near the prior drowns in the rounding of e^v ≈ 1.
    return (mean.square() + (torch.expm1(log_variance) - log_variance)) / 2


def rate(latent_mean: Tensor, latent_log_variance: Tensor) -> Tensor:
    r"""Rate of each sample, :math:`\mathrm{KL}(q(z|x) \,\|\, \mathcal N(0, I))`, (N,), nats.

    The sum of :func:`rate_per_latent` over latents; arguments and errors as there.
    """
    return rate_per_latent(latent_mean, latent_log_variance).sum(1)
