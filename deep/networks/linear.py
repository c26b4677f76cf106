"""The two-layer linear VAE, whose optimum is known exactly at every β; with gates, multi-rate."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from deep._checks import check_beta_range, check_positive, fail
from deep.gates import BetaInput, RowGates, direction
from deep.networks.base import VAEOutput
from deep.networks.linear_parts import (
    GatedDiagonal,
    GatedLinear,
    LinearFactors,
    LinearParameters,
    NoGates,
)

__all__ = ["LAYERS", "MultiRateLinearVAE"]

# Argument at which a gate starts when it is meant to be open: 0.93 for sqrt_relu, 0.88 for sigmoid.
_OPEN = 2.0
# Size of the random part of the square layers, which start near the identity.
_MIX = 0.1
# Part of the range of log β over which the latents' gates start to close. A latent that starts
# closed over most of the range has too little to gain at the rest and stays dead.
_CLOSING = (2 / 3, 1.0)
LAYERS = ("encoder_1", "encoder_2", "posterior_1", "posterior_2", "decoder_1", "decoder_2")


class MultiRateLinearVAE(nn.Module):
    r"""Linear VAE for all β in a range, two gated layers a side.

    .. math:: E(\beta) = E^{(2)}E^{(1)}P,\quad C(\beta) = C^{(2)}C^{(1)},\quad
              D(\beta) = D^{(2)}D^{(1)},\qquad
              W^{(\ell)}(\beta) = \sigma(w^{(\ell)} t + b^{(\ell)}) \odot_{row} W^{(\ell)}

    where t is log β, standardised over the range, and P a fixed change of coordinates of the
    centred samples. E⁽¹⁾, C and D⁽¹⁾ are square. E⁽²⁾ and D⁽²⁾ start at random, E⁽¹⁾ and D⁽¹⁾ at
    random near the identity: the gates of D⁽¹⁾ then act on the latents and not on mixtures of them.
    The gates of the latents start with slope 1 in log β and close at random points of the upper
    third of the range, all others start open and constant.

    With gate ``"none"`` on all three it is the two-layer linear β-VAE: it takes β and ignores it.

    Parameters
    ----------
    n_features, latent_dim : int
        n and k, 1 <= k <= n. Samples (N, ...) are flattened to rows of n.
    beta_range : (a, b)
        0 < a < b, the range from which training draws log β uniformly.
    generator : torch.Generator
        Source of the random start.
    mean : Tensor (n,) or float
        μ, given and not trained.
    scale : float
        The matrices work on (x − μ)/scale; pass the typical standard deviation of a feature.
    whitening : Tensor (n, n), optional
        P, an invertible matrix such as :func:`deep.networks.linear_parts.whitening`
        gives; 1/scale when omitted. It changes
        no function the network can compute, only the coordinates in which E⁽¹⁾ is trained: where
        features are correlated, a step that is right for one direction is wrong for all others.
    encoder_gate, posterior_gate, decoder_gate : str
        Keys of :data:`deep.gates.GATES`, or ``"none"`` for the constant 1. The default is what the
        joint optimum needs; ``"sigmoid"`` for encoder and posterior is the published form.
    ungated : collection of str
        Layers without gates all the same, of encoder_1, encoder_2, posterior_1 and so on. The
        optimum needs no gates in encoder_1 and decoder_2, whose rows are features, and without
        them one β per sample costs no more than one for all.
    dtype : torch.dtype

    Raises
    ------
    InputError
        k outside 1..n, not 0 < a < b, scale not positive, a whitening of another shape or not
        finite, an unknown gate or layer.

    Notes
    -----
    Source: Bae et al. 2023, Eq. 6, 7 and 10.
    """

    mean: Tensor
    scale: Tensor
    whitening: Tensor | None

    def __init__(
        self,
        n_features: int,
        latent_dim: int,
        *,
        beta_range: tuple[float, float],
        generator: torch.Generator,
        mean: Tensor | float = 0.0,
        scale: float = 1.0,
        whitening: Tensor | None = None,
        encoder_gate: str = "sqrt_relu",
        posterior_gate: str = "min_exp",
        decoder_gate: str = "sqrt_relu",
        ungated: Collection[str] = (),
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        n, k = n_features, latent_dim
        if not set(ungated) <= set(LAYERS):
            fail("ungated", sorted(ungated), f"names among {', '.join(LAYERS)}", "correct them")
        if not 1 <= k <= n:
            fail("latent_dim", k, f"1 <= k <= {n}", "use at most one latent per feature")
        self.beta_range = check_beta_range(beta_range)
        check_positive("scale", scale, "pass a typical standard deviation")
        self.latent_dim = k
        self.beta_input = BetaInput.of_range(self.beta_range)
        center = torch.as_tensor(mean, dtype=dtype).expand(n).clone()
        self.register_buffer("mean", center)
        self.register_buffer("scale", torch.tensor(scale, dtype=dtype))
        self.register_buffer("whitening", _checked_whitening(whitening, n, dtype))

        def matrix(rows: int, columns: int, width: int) -> Tensor:
            entries = torch.randn(rows, columns, generator=generator, dtype=dtype)
            return entries / math.sqrt(width)

        def square(rows: int) -> Tensor:
            return torch.eye(rows, dtype=dtype) + _MIX * matrix(rows, rows, rows)

        # One closing point per latent, the same in E, C and D. Standardised log β spans ±√3.
        draws = torch.rand(k, generator=generator, dtype=dtype)
        place = (torch.arange(k, dtype=dtype) + draws) / k
        place = _CLOSING[0] + (_CLOSING[1] - _CLOSING[0]) * place
        closing = math.sqrt(3) * (2 * place - 1)
        kinds = {"encoder": encoder_gate, "posterior": posterior_gate, "decoder": decoder_gate}

        def of_latents(layer: str, rising: float) -> nn.Module:
            gate = kinds[layer.split("_")[0]]
            if gate == "none" or layer in ungated:
                return NoGates(k)
            slope = rising * direction(gate) * self.beta_input.std
            return RowGates(slope * torch.ones_like(closing), -slope * closing, gate)

        def opened(layer: str, rows: int) -> nn.Module:
            gate = kinds[layer.split("_")[0]]
            if gate == "none" or layer in ungated:
                return NoGates(rows)
            bias = torch.full((rows,), _OPEN * direction(gate), dtype=dtype)
            return RowGates(torch.zeros_like(bias), bias, gate)

        self.encoder_1 = GatedLinear(square(n), opened("encoder_1", n))
        self.encoder_2 = GatedLinear(matrix(k, n, n), of_latents("encoder_2", -1.0))
        self.posterior_1 = GatedDiagonal(k, of_latents("posterior_1", 1.0), dtype)
        self.posterior_2 = GatedDiagonal(k, opened("posterior_2", k), dtype)
        self.decoder_1 = GatedLinear(square(k), of_latents("decoder_1", -1.0))
        self.decoder_2 = GatedLinear(matrix(n, k, n), opened("decoder_2", n))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters by role: ``"weights"`` (matrices), ``"gates"`` (and log-variances).

        Matrices and gates live on different scales and want learning rates of their own. Each
        group is a mapping with the keys params and role.
        """
        weights = [p for p in self.parameters() if p.ndim == 2]
        gates = [p for p in self.parameters() if p.ndim != 2]
        return [{"params": weights, "role": "weights"}, {"params": gates, "role": "gates"}]

    def inputs(self, beta: Tensor | float) -> Tensor:
        """Standardised log β, of the shape of beta.

        Raises
        ------
        InputError
            β not positive and finite.
        """
        return self.beta_input(beta, self.mean)

    def at(self, beta: Tensor | float, *, sharpness: float = math.inf) -> LinearParameters:
        """E, c and D at β (...): what a linear VAE trained for this β alone would hold."""
        t = self.inputs(beta)
        # Row gates of the first layer are column gates of the second: one matrix product for all β.
        first = self.encoder_1.gates(t, sharpness)[..., None, :]
        encoder = self._read((self.encoder_2.weight * first) @ self.encoder_1.weight)
        first = self.decoder_1.gates(t, sharpness)[..., None, :]
        decoder = (self.decoder_2.weight * first) @ self.decoder_1.weight
        return LinearParameters(
            encoder=self.encoder_2.gates(t, sharpness)[..., None] * encoder,
            posterior_variance=self._variance(t, sharpness),
            decoder=self.decoder_2.gates(t, sharpness)[..., None] * decoder * self.scale,
        )

    @property
    def feature_slopes(self) -> list[nn.Parameter]:
        """Slopes of the gates of E⁽¹⁾ and D⁽²⁾, whose rows are features."""
        gates = (self.encoder_1.gates, self.decoder_2.gates)
        return [g.slope for g in gates if isinstance(g, RowGates)]

    @property
    def features_constant(self) -> bool:
        """Whether no gate of a feature row depends on β."""
        return not any(bool(slope.detach().any()) for slope in self.feature_slopes)

    def factors(self, beta: Tensor | float, *, sharpness: float = math.inf) -> LinearFactors:
        """The same as :meth:`at`, in factors of which only small ones depend on β.

        Right only while :attr:`features_constant`; the gates of features are read at one β.
        """
        t = self.inputs(beta)
        middle = t.new_zeros(())
        first = self.encoder_2.weight * self.encoder_1.gates(middle, sharpness)
        last = self.decoder_2.gates(middle, sharpness)[:, None] * self.scale
        return LinearFactors(
            reading=self._read(first @ self.encoder_1.weight),
            encoder_gate=self.encoder_2.gates(t, sharpness),
            posterior_variance=self._variance(t, sharpness),
            mixing=self.decoder_1.gates(t, sharpness)[..., None] * self.decoder_1.weight,
            writing=last * self.decoder_2.weight,
        )

    def forward(
        self,
        samples: Tensor,
        beta: Tensor | float,
        *,
        noise: Tensor | None = None,
        sharpness: float = math.inf,
    ) -> VAEOutput:
        """Encode and decode samples.

        Parameters
        ----------
        samples : Tensor (N, ...)
            n numbers each.
        beta : float or Tensor () or (N,)
            One KL weight for all samples, or one for each. Where the gates of encoder_1 are the
            same for all, its matrix is multiplied into the next first: several times faster.
        noise : Tensor (N, k), optional
            Standard normal draws for z = mean + √variance · noise; the mean is decoded without.
        sharpness : float
            Of the gates.

        Raises
        ------
        InputError
            Samples of another size, a β that is not positive, neither one β nor N of them, or
            noise of another shape.
        """
        mean, log_variance = self.encode(samples, beta, sharpness=sharpness)
        latents = mean
        if noise is not None:
            if noise.shape != mean.shape:
                fail("noise", f"shape {tuple(noise.shape)}", f"{tuple(mean.shape)}",
                     "draw one number per latent")  # fmt: skip
            latents = torch.addcmul(mean, torch.exp(0.5 * log_variance), noise)
        output = self.decode(latents, beta, sharpness=sharpness)
        return VAEOutput(mean, log_variance, output.reshape(samples.shape))

    def encode(
        self, samples: Tensor, beta: Tensor | float, *, sharpness: float = math.inf
    ) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), each (N, k)."""
        if samples.ndim < 2 or math.prod(samples.shape[1:]) != self.mean.numel():
            fail("samples", f"shape {tuple(samples.shape)}",
                 f"(N, {self.mean.numel()}), or (N, ...) with as many numbers each",
                 "pass samples of the size the network was built for")  # fmt: skip
        t = self._inputs_of(beta, len(samples))
        centred = samples.reshape(len(samples), -1) - self.mean
        if t.ndim and not isinstance(self.encoder_1.gates, NoGates):
            hidden = self.encoder_1(self._coordinates(centred), t, sharpness)
            mean = self.encoder_2(hidden, t, sharpness)
        else:
            same = t if t.ndim == 0 else t.new_zeros(())
            first = self.encoder_2.weight * self.encoder_1.gates(same, sharpness)
            matrix = self._read(first @ self.encoder_1.weight)
            mean = self.encoder_2.gates(t, sharpness) * (centred @ matrix.mT)
        return mean, torch.log(self._variance(t, sharpness)).expand_as(mean)

    def decode(
        self, latents: Tensor, beta: Tensor | float, *, sharpness: float = math.inf
    ) -> Tensor:
        """Mean of p(x|z), (N, n), for latents (N, k)."""
        if latents.ndim != 2 or latents.shape[1] != self.latent_dim:
            fail("latents", f"shape {tuple(latents.shape)}", f"(N, {self.latent_dim})",
                 "pass one row per latent code")  # fmt: skip
        t = self._inputs_of(beta, len(latents))
        hidden = self.decoder_1(latents, t, sharpness)
        if t.ndim and not isinstance(self.decoder_2.gates, NoGates):
            return torch.add(self.mean, self.scale * self.decoder_2(hidden, t, sharpness))
        # One pass over the wide output instead of three: scale and gates go into the matrix.
        rows = self.decoder_2.gates(t if t.ndim == 0 else t.new_zeros(()), sharpness) * self.scale
        return nn.functional.linear(hidden, rows[:, None] * self.decoder_2.weight, self.mean)

    def spread(self, beta: Tensor | float, *, sharpness: float = math.inf) -> Tensor:
        r"""How far outputs scatter around the decoded mean, summed over features; shape of beta.

        .. math:: \mathbb E_z \lVert D (z - \mathbb E z) \rVert^2 = \sum_j c_j \lVert D_j \rVert^2

        A Gaussian distortion, averaged over z, is that of the decoded mean + spread/2σ².
        """
        t = self.inputs(beta)
        weight = self.decoder_2.weight * self.scale
        first = self.decoder_1.weight
        if t.ndim and not isinstance(self.decoder_2.gates, NoGates):
            power = self.decoder_2.gates(t, sharpness).square()
            gram = torch.einsum("...n,na,nb->...ab", power, weight, weight)
        else:
            same = t if t.ndim == 0 else t.new_zeros(())
            rows = self.decoder_2.gates(same, sharpness)[:, None] * weight
            gram = rows.mT @ rows
        gates = self.decoder_1.gates(t, sharpness)
        pairs = torch.einsum("aj,bj->jab", first, first).flatten(1)
        between = (self._variance(t, sharpness) @ pairs).unflatten(-1, gram.shape[-2:])
        return (((gram * between) @ gates[..., None])[..., 0] * gates).sum(-1)

    def _inputs_of(self, beta: Tensor | float, count: int) -> Tensor:
        t = self.inputs(beta)
        if t.ndim and t.shape != (count,):
            fail("beta", f"shape {tuple(t.shape)}", f"() or ({count},)",
                 "pass one β, or one per sample")  # fmt: skip
        return t

    def _read(self, matrix: Tensor) -> Tensor:
        """A matrix on the network's coordinates as one on centred samples."""
        return matrix / self.scale if self.whitening is None else matrix @ self.whitening

    def _coordinates(self, centred: Tensor) -> Tensor:
        return centred / self.scale if self.whitening is None else centred @ self.whitening.mT

    def _variance(self, inputs: Tensor, sharpness: float) -> Tensor:
        variance: Tensor = self.posterior_1(inputs, sharpness)
        return variance * self.posterior_2(inputs, sharpness)


def _checked_whitening(matrix: Tensor | None, n: int, dtype: torch.dtype) -> Tensor | None:
    if matrix is None:
        return None
    if matrix.shape != (n, n) or not bool(torch.isfinite(matrix).all()):
        fail("whitening", f"shape {tuple(matrix.shape)}", f"finite numbers, ({n}, {n})",
             "pass what deep.networks.linear_parts.whitening gives")  # fmt: skip
    return matrix.to(dtype).clone()
