"""The linear network that a configuration describes, for data of given moments."""

from __future__ import annotations

import math
from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Any, Protocol

import torch

from deep._gated_layers import check_patterns
from deep.config import ModelConfig
from deep.networks.linear import LAYERS, MultiRateLinearVAE
from deep.networks.linear_parts import whitening

__all__ = ["Moments", "linear_from_config"]


class Moments(Protocol):
    """Mean (n,) and covariance (n, n) of the data, as arrays; a spectrum has them."""

    @property
    def mean(self) -> Any:
        """(n,)."""
        ...

    @property
    def covariance(self) -> Any:
        """(n, n)."""
        ...


def linear_from_config(
    config: ModelConfig,
    moments: Moments,
    *,
    generator: torch.Generator,
    beta_range: tuple[float, float],
    gated: bool = True,
    dtype: torch.dtype = torch.float32,
) -> MultiRateLinearVAE:
    """Build the linear network of a configuration.

    Parameters
    ----------
    config : ModelConfig
        Patterns of layers to gate read encoder_1, encoder_2, posterior_1 and so on.
    moments
        Of the training samples: an object with mean (n,) and covariance (n, n).
    generator : torch.Generator
        Source of the random start.
    beta_range : (a, b)
    gated : bool
        False for the linear β-VAE of a single β.
    dtype : torch.dtype

    Raises
    ------
    InputError
        A pattern that matches no layer; otherwise as :class:`MultiRateLinearVAE`.
    """
    check_patterns(LAYERS, {"gated": config.gated, "ungated": config.ungated})

    def has_gates(layer: str) -> bool:
        def matches(patterns: Collection[str]) -> bool:
            return any(fnmatchcase(layer, pattern) for pattern in patterns)

        return gated and matches(config.gated) and not matches(config.ungated)

    covariance = torch.tensor(moments.covariance, dtype=torch.float64)
    spread = math.sqrt(float(torch.diagonal(covariance).mean()))
    return MultiRateLinearVAE(
        len(covariance),
        config.latent_dim,
        beta_range=beta_range,
        generator=generator,
        mean=torch.tensor(moments.mean),
        scale=1.0 if config.whitening or not spread else spread,
        whitening=whitening(covariance) if config.whitening else None,
        encoder_gate=config.encoder_gate,
        posterior_gate=config.posterior_gate,
        decoder_gate=config.decoder_gate,
        ungated=[layer for layer in LAYERS if not has_gates(layer)],
        dtype=dtype,
    )
