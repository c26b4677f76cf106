"""From a configuration to its network. A new kind of network is one more entry of ``_PLAIN``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from deep._checks import fail
from deep.config import ModelConfig
from deep.errors import ConfigError
from deep.networks.conditioned import BetaInputVAE
from deep.networks.convolutional import convolutional_vae
from deep.networks.gating import with_gates
from deep.networks.linear_config import Moments, linear_from_config
from deep.networks.mlp import plain_mlp_vae
from deep.networks.residual import residual_vae
from deep.networks.vae import VAE

__all__ = ["IMAGE_KINDS", "check_kind", "network_from"]

# Kinds that see images (channels, height, width); the others see vectors.
IMAGE_KINDS = ("conv", "resnet")

# Settings that mean something for some kinds only; elsewhere they must be left alone.
_BELONGS = {
    "hidden": ("mlp",),
    "activation": ("mlp",),
    "channels": IMAGE_KINDS,
    "placement": IMAGE_KINDS,
    "conditioning": ("mlp", *IMAGE_KINDS),
    "gate_hidden": ("mlp", *IMAGE_KINDS),
    "whitening": ("linear",),
}


def check_kind(config: ModelConfig) -> None:
    """Refuse settings that the kind of network does not have.

    Raises
    ------
    ConfigError
        Such a setting differs from its default; a hidden layer before gates that are not there.
    """
    for name, kinds in _BELONGS.items():
        value = getattr(config, name)
        if config.kind not in kinds and value != ModelConfig.model_fields[name].default:
            fail(f"model.{name}", f"{value!r} for kind {config.kind}",
                 f"it for {' or '.join(kinds)} only", "leave it out", ConfigError)  # fmt: skip
    if config.conditioning == "input" and config.gate_hidden is not None:
        fail("model.gate_hidden", f"{config.gate_hidden} with conditioning input",
             "no gates there", "leave it out", ConfigError)  # fmt: skip


def network_from(
    config: ModelConfig,
    sample_shape: Sequence[int],
    *,
    generator: torch.Generator,
    beta_range: tuple[float, float],
    multi_rate: bool = True,
    moments: Callable[[], Moments] | None = None,
    dtype: torch.dtype = torch.float32,
) -> nn.Module:
    """Build the network of a configuration, as :class:`deep.networks.base.VAENetwork`.

    Parameters
    ----------
    config : ModelConfig
    sample_shape : sequence of int
        Of one sample: (channels, height, width) for the kinds of :data:`IMAGE_KINDS`.
    generator : torch.Generator
        On the CPU; draws all initial weights.
    beta_range : (a, b)
    multi_rate : bool
        False: the same network for one β alone, without gates and without β as an input.
    moments : callable, optional
        Gives mean and covariance of the training samples; called for linear networks only, which
        need it.
    dtype : torch.dtype

    Raises
    ------
    ConfigError
        Settings that the kind does not have.
    InputError
        As the functions that build each kind.
    """
    check_kind(config)
    if config.kind == "linear":
        if moments is None:
            fail("moments", "none", "those of the training samples", "pass them")
        return linear_from_config(
            config,
            moments(),
            generator=generator,
            beta_range=beta_range,
            gated=multi_rate,
            dtype=dtype,
        )
    told = multi_rate and config.conditioning == "input"
    vae = _PLAIN[config.kind](
        config, sample_shape, generator=generator, extra_inputs=int(told), dtype=dtype
    )
    if told:
        return BetaInputVAE(vae, beta_range=beta_range, images=config.kind in IMAGE_KINDS)
    return with_gates(
        vae,
        beta_range=beta_range if multi_rate else None,
        encoder_gate=config.encoder_gate,
        posterior_gate=config.posterior_gate,
        decoder_gate=config.decoder_gate,
        gated=config.gated,
        ungated=config.ungated,
        placement=config.placement,
        gate_hidden=config.gate_hidden,
        generator=generator,
    )


def _mlp(config: ModelConfig, sample_shape: Sequence[int], **options: Any) -> VAE:
    return plain_mlp_vae(
        sample_shape,
        config.latent_dim,
        hidden=config.hidden,
        activation=config.activation,
        **options,
    )


def _conv(config: ModelConfig, sample_shape: Sequence[int], **options: Any) -> VAE:
    return convolutional_vae(
        sample_shape, config.latent_dim, channels=config.channels or None, **options
    )


def _resnet(config: ModelConfig, sample_shape: Sequence[int], **options: Any) -> VAE:
    return residual_vae(
        sample_shape, config.latent_dim, channels=config.channels or None, **options
    )


_PLAIN: dict[str, Callable[..., VAE]] = {"mlp": _mlp, "conv": _conv, "resnet": _resnet}
