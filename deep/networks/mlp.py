"""Fully connected VAEs, plain and multi-rate."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from deep._checks import fail
from deep.networks.blocks import GaussianHead, linear
from deep.networks.gating import with_gates
from deep.networks.vae import VAE, MultiRateVAE

__all__ = ["GaussianHead", "linear", "mlp_vae", "plain_mlp_vae"]

_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "silu": nn.SiLU}


def mlp_vae(
    sample_shape: Sequence[int],
    latent_dim: int,
    *,
    generator: torch.Generator,
    hidden: Sequence[int] = (400,),
    activation: str = "relu",
    beta_range: tuple[float, float] | None = None,
    encoder_gate: str = "sigmoid",
    posterior_gate: str = "min_exp",
    decoder_gate: str = "sigmoid",
    gated: Sequence[str] = ("*",),
    ungated: Sequence[str] = (),
    slope_std: float = 0.0,
    dtype: torch.dtype = torch.float32,
) -> VAE | MultiRateVAE:
    r"""Fully connected VAE; multi-rate when a range of β is given.

    .. math:: c_j(x, \beta) = \sigma(w_j t + b_j)\, e^{v_j(x)}

    The layers are ``encoder.hidden_1`` …, ``encoder.head.mean``, ``encoder.head.log_variance``,
    ``decoder.hidden_1`` …, ``decoder.output``. All are gated unless the patterns say otherwise.
    Gates scale pre-activations; those of the log-variance multiply the variance c instead, as in
    the linear theory, where the optimal variance is min(1, βσ²/λ). ``ungated=("decoder.output",)``
    saves half of what gates cost in time; the gates of the layer before remain.

    Parameters
    ----------
    sample_shape : sequence of int
        Of one sample, such as (784,) or (1, 28, 28).
    latent_dim : int
    generator : torch.Generator
        On the CPU; draws all initial weights.
    hidden : sequence of int
        Widths of the encoder's hidden layers; the decoder has them in reverse.
    activation : {"relu", "tanh", "gelu", "silu"}
    beta_range : (a, b) or None
        None: a plain β-VAE.
    encoder_gate, decoder_gate : str
        Kinds of :data:`deep.gates.KINDS`, or "none".
    posterior_gate : {"min_exp", "sigmoid", "film", "none"}
        FiLM acts on the log-variance itself.
    gated, ungated : sequence of str
        Patterns of layer names.
    slope_std : float
        Of the initial slopes of the gates.
    dtype : torch.dtype

    Raises
    ------
    InputError
        Sizes below 1, an unknown activation, gate or pattern.

    Notes
    -----
    Source: Bae et al. 2023, Eq. 6 and 7 and Fig. 2.
    """
    return with_gates(
        plain_mlp_vae(
            sample_shape,
            latent_dim,
            generator=generator,
            hidden=hidden,
            activation=activation,
            dtype=dtype,
        ),
        beta_range=beta_range,
        encoder_gate=encoder_gate,
        posterior_gate=posterior_gate,
        decoder_gate=decoder_gate,
        gated=gated,
        ungated=ungated,
        slope_std=slope_std,
        generator=generator,
    )


def plain_mlp_vae(
    sample_shape: Sequence[int],
    latent_dim: int,
    *,
    generator: torch.Generator,
    hidden: Sequence[int] = (400,),
    activation: str = "relu",
    extra_inputs: int = 0,
    dtype: torch.dtype = torch.float32,
) -> VAE:
    """Fully connected VAE without gates; arguments and errors as for :func:`mlp_vae`.

    Encoder and decoder see ``extra_inputs`` numbers beside the sample and beside the latents; see
    :class:`deep.networks.conditioned.BetaInputVAE`.
    """
    features = math.prod(sample_shape)
    sizes = [features, *hidden, latent_dim]
    if not sample_shape or min(sizes) < 1:
        fail("sizes", f"sample_shape {tuple(sample_shape)}, hidden {tuple(hidden)}, latent_dim "
             f"{latent_dim}", "integers >= 1", "correct the one that is not")  # fmt: skip
    if activation not in _ACTIVATIONS:
        fail("activation", repr(activation), f"one of {', '.join(_ACTIVATIONS)}", "choose one")
    sizes[0] += extra_inputs
    head = GaussianHead(sizes[-2], latent_dim, generator, dtype)
    encoder = _stack(sizes[:-1], activation, generator, dtype)
    sizes[-1] += extra_inputs
    decoder = _stack(sizes[:0:-1], activation, generator, dtype)
    wide = sizes[1] if hidden else sizes[-1]
    return VAE(
        nn.Sequential(OrderedDict(flatten=nn.Flatten(), **encoder, head=head)),
        nn.Sequential(
            OrderedDict(
                **decoder,
                output=linear(wide, features, generator, dtype),
                unflatten=nn.Unflatten(1, tuple(sample_shape)),
            )
        ),
        latent_dim,
    )


def _stack(
    sizes: Sequence[int], activation: str, generator: torch.Generator, dtype: torch.dtype
) -> dict[str, nn.Module]:
    layers: dict[str, nn.Module] = {}
    for place, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
        layers[f"hidden_{place}"] = linear(inputs, outputs, generator, dtype)
        layers[f"activation_{place}"] = _ACTIVATIONS[activation]()
    return layers
