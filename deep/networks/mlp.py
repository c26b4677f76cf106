"""Fully connected VAEs, plain and multi-rate."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from deep._checks import fail
from deep.config import ModelConfig
from deep.errors import ConfigError
from deep.networks.vae import VAE, MultiRateVAE

__all__ = ["GaussianHead", "linear", "mlp_from_config", "mlp_vae"]

_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "silu": nn.SiLU}
# The posterior's gates multiply variances, so their logarithms are added to log-variances.
_POSTERIOR = {
    "none": "none",
    "sigmoid": "log_sigmoid",
    "min_exp": "log_min_exp",
    "film": "film",
}


def linear(
    inputs: int, outputs: int, generator: torch.Generator, dtype: torch.dtype = torch.float32
) -> nn.Linear:
    r"""Linear layer with weights and biases uniform on ±1/√inputs, from the given generator.

    That is what PyTorch draws, but not from its global generator.
    """
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs, dtype=dtype)
    bound = 1 / math.sqrt(inputs)
    with torch.no_grad():
        for parameter in (layer.weight, layer.bias):
            parameter.uniform_(-bound, bound, generator=generator)
    return layer


class GaussianHead(nn.Module):
    """Mean and log-variance, each (N, k), from features (N, m)."""

    def __init__(
        self,
        features: int,
        latent_dim: int,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.mean = linear(features, latent_dim, generator, dtype)
        self.log_variance = linear(features, latent_dim, generator, dtype)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Both parts of q(z|x)."""
        return self.mean(features), self.log_variance(features)


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
    sizes = [math.prod(sample_shape), *hidden, latent_dim]
    if not sample_shape or min(sizes) < 1:
        fail("sizes", f"sample_shape {tuple(sample_shape)}, hidden {tuple(hidden)}, latent_dim "
             f"{latent_dim}", "integers >= 1", "correct the one that is not")  # fmt: skip
    if activation not in _ACTIVATIONS:
        fail("activation", repr(activation), f"one of {', '.join(_ACTIVATIONS)}", "choose one")
    head = GaussianHead(sizes[-2], latent_dim, generator, dtype)
    encoder = _stack(sizes[:-1], activation, generator, dtype)
    decoder = _stack(sizes[:0:-1], activation, generator, dtype)
    vae = VAE(
        nn.Sequential(OrderedDict(flatten=nn.Flatten(), **encoder, head=head)),
        nn.Sequential(
            OrderedDict(
                **decoder,
                output=linear(sizes[1], sizes[0], generator, dtype),
                unflatten=nn.Unflatten(1, tuple(sample_shape)),
            )
        ),
        latent_dim,
    )
    if beta_range is None or {encoder_gate, posterior_gate, decoder_gate} == {"none"}:
        return vae
    if posterior_gate not in _POSTERIOR:
        fail("posterior_gate", repr(posterior_gate), f"one of {', '.join(_POSTERIOR)}: others "
             "can make a variance 0 or negative", "choose one of them", ConfigError)  # fmt: skip
    return MultiRateVAE(
        vae,
        beta_range=beta_range,
        gate={
            "encoder.head.log_variance": _POSTERIOR[posterior_gate],
            "encoder.*": encoder_gate,
            "decoder.*": decoder_gate,
        },
        gated=gated,
        ungated=ungated,
        slope_std=slope_std,
        generator=generator,
    )


def mlp_from_config(
    config: ModelConfig,
    sample_shape: Sequence[int],
    *,
    generator: torch.Generator,
    beta_range: tuple[float, float] | None = None,
    dtype: torch.dtype = torch.float32,
) -> VAE | MultiRateVAE:
    """Build the MLP of a configuration; arguments and errors as for :func:`mlp_vae`.

    There is no normalisation in it, so ``placement`` makes no difference.
    """
    return mlp_vae(
        sample_shape,
        config.latent_dim,
        generator=generator,
        hidden=config.hidden,
        activation=config.activation,
        beta_range=beta_range,
        encoder_gate=config.encoder_gate,
        posterior_gate=config.posterior_gate,
        decoder_gate=config.decoder_gate,
        gated=config.gated,
        ungated=config.ungated,
        dtype=dtype,
    )


def _stack(
    sizes: Sequence[int], activation: str, generator: torch.Generator, dtype: torch.dtype
) -> dict[str, nn.Module]:
    layers: dict[str, nn.Module] = {}
    for place, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
        layers[f"hidden_{place}"] = linear(inputs, outputs, generator, dtype)
        layers[f"activation_{place}"] = _ACTIVATIONS[activation]()
    return layers
