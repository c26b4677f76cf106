"""From a plain VAE to the one for all β that a configuration describes."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from deep._checks import fail
from deep._gated_layers import Placement
from deep.errors import ConfigError
from deep.networks.vae import VAE, MultiRateVAE

__all__ = ["POSTERIOR_GATES", "with_gates"]

# The posterior's gates multiply variances, so their logarithms are added to log-variances.
POSTERIOR_GATES = {
    "none": "none",
    "sigmoid": "log_sigmoid",
    "min_exp": "log_min_exp",
    "film": "film",
    "collapsing": "none",
}


def with_gates(
    vae: VAE,
    *,
    beta_range: tuple[float, float] | None,
    encoder_gate: str = "sigmoid",
    posterior_gate: str = "min_exp",
    decoder_gate: str = "sigmoid",
    gated: Sequence[str] = ("*",),
    ungated: Sequence[str] = (),
    placement: Placement = "before_norm",
    gate_hidden: int | None = None,
    slope_std: float = 0.0,
    generator: torch.Generator,
) -> VAE | MultiRateVAE:
    """Put gates on the layers ``encoder.…`` and ``decoder.…`` of a VAE.

    Parameters
    ----------
    vae : VAE
        Its log-variances come from ``encoder.head.log_variance``.
    beta_range : (a, b) or None
        None: no gates.
    encoder_gate, decoder_gate : str
        Kinds of :data:`deep.gates.KINDS`, or "none".
    posterior_gate : {"min_exp", "sigmoid", "film", "collapsing", "none"}
        Of the variances; FiLM acts on the log-variances themselves. ``collapsing``: gates of the
        latents (:class:`deep.networks.latent_gates.LatentGates`) in place of gates on the heads.
    gated, ungated, placement, gate_hidden, slope_std, generator
        As for :func:`deep.conversion.multi_rate`.

    Returns
    -------
    VAE or MultiRateVAE
        The VAE as it came without a range, or with ``"none"`` for all three kinds.

    Raises
    ------
    ConfigError
        A posterior gate that could make a variance 0 or negative.
    InputError
        As :func:`deep.conversion.multi_rate`.
    """
    if beta_range is None or {encoder_gate, posterior_gate, decoder_gate} == {"none"}:
        return vae
    if posterior_gate not in POSTERIOR_GATES:
        fail("posterior_gate", repr(posterior_gate), f"one of {', '.join(POSTERIOR_GATES)}: others "
             "can make a variance 0 or negative", "choose one of them", ConfigError)  # fmt: skip
    collapsing = posterior_gate == "collapsing"
    if collapsing:
        if {encoder_gate, decoder_gate} == {"none"}:
            gated = ()
        ungated = (*ungated, "encoder.head.*")
    return MultiRateVAE(
        vae,
        beta_range=beta_range,
        latent_gates=collapsing,
        gate={
            "encoder.head.log_variance": POSTERIOR_GATES[posterior_gate],
            "encoder.*": encoder_gate,
            "decoder.*": decoder_gate,
        },
        gated=gated,
        ungated=ungated,
        placement=placement,
        gate_hidden=gate_hidden,
        slope_std=slope_std,
        generator=generator,
    )
