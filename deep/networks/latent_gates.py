"""Gates of the latents: which of them are in use at a given β, and how strongly."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from deep._checks import check_beta_range, fail
from deep.gates import BetaInput, min_exp, sqrt_relu

__all__ = ["LatentGates", "OpenedLatents"]

# Gates are smoothed by this much at all times. At sharpness 4 a latent whose critical β lies a
# factor e below has a gate of 0.07, so it costs no rate worth the name, and still has a gradient.
_SHARPNESS = 4.0
# Where critical β's start, as multiples of the ends of the range: some latents are to stay in use
# above its largest β, and all at its smallest.
_BEYOND = (5.0, 10.0)


class LatentGates(nn.Module):
    r"""Posteriors that collapse at critical β's, as those of the linear theory do.

    .. math:: q(z_j|x, \beta) = N\bigl(g_j m_j(x),\; 1 - g_j^2 + g_j^2\, \gamma_j\, e^{v_j(x)}
              \bigr), \qquad \text{the decoder reads } h_j z_j

    with, for each latent, two gates g and h that close and a factor γ on the variance that opens,

    .. math:: g = \sqrt{\mathrm{ReLU}(1 - \beta/\beta_j)}, \qquad \gamma = \min(1, \beta/\beta_j),

    smoothed (:func:`deep.gates.sqrt_relu`, :func:`deep.gates.min_exp`). Above its critical β a
    latent is the prior itself whatever the encoder says, costs no rate, and the decoder does not
    hear its noise. Gates on the rows of layers can do neither: the rows of the decoder's first
    layer are hidden units, each of which adds up all latents.

    Each of the three has a slope and a place of its own, trained like other gates. The critical β's
    start in equal ratios from 5 times the largest β down to 10 times the smallest, the first latent
    at the largest, so latents are not interchangeable even at the start.

    Parameters
    ----------
    latent_dim : int
    beta_range : (a, b)
        0 < a < b.
    dtype : torch.dtype

    Raises
    ------
    InputError
        latent_dim below 1, not 0 < a < b; on a call: β of another shape than () or (N,), or not
        positive and finite.

    Notes
    -----
    Source: the corrected gates of Theorem 1 of Bae et al. 2023, carried over from linear VAEs.
    """

    def __init__(
        self,
        latent_dim: int,
        beta_range: tuple[float, float],
        *,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if latent_dim < 1:
            fail("latent_dim", latent_dim, "an integer >= 1", "use at least one latent")
        low, high = check_beta_range(beta_range)
        self.inputs = BetaInput.of_range(beta_range)
        ends = math.log(_BEYOND[0] * high), math.log(_BEYOND[1] * low)
        critical = torch.linspace(*ends, latent_dim, dtype=torch.float64)
        # log β − log β_j, as slope · t + bias of the standardised input t; rows: g, h, γ.
        slope = torch.full((3, latent_dim), self.inputs.std, dtype=torch.float64)
        bias = (self.inputs.mean - critical).expand(3, -1)
        self.slope = nn.Parameter(slope.to(dtype))
        self.bias = nn.Parameter(bias.to(dtype).clone())

    def forward(self, beta: Tensor | float, count: int) -> OpenedLatents:
        """Gates of a call on `count` samples, for one β or one for each."""
        t = self.inputs(beta, self.slope)
        if t.shape not in ((), (count,)):
            fail("beta", f"shape {tuple(t.shape)}", f"() or ({count},)",
                 "pass one β, or one per example")  # fmt: skip
        x = torch.addcmul(self.bias, t[..., None, None], self.slope)
        gates = sqrt_relu(x[..., :2, :], _SHARPNESS)
        ramps = min_exp(x[..., ::2, :], _SHARPNESS)  # 1 - g², which would cancel, and γ
        return OpenedLatents(gates[..., 0, :], gates[..., 1, :], ramps[..., 0, :], ramps[..., 1, :])

    def extra_repr(self) -> str:
        """How many latents."""
        return f"latent_dim={self.slope.shape[1]}"


class OpenedLatents:
    """The gates at given β's: what they do to posteriors, and to latents on the way out."""

    def __init__(self, encoder: Tensor, decoder: Tensor, closed: Tensor, factor: Tensor) -> None:
        self._encoder, self._decoder = encoder, decoder
        self._closed, self._factor = closed, factor  # 1 - g² and γ

    def posterior(self, mean: Tensor, log_variance: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (N, k) behind the gates, from those of the encoder."""
        closed = self._closed.to(mean.dtype)
        own = (1 - closed) * self._factor.to(mean.dtype) * torch.exp(log_variance)
        return self._encoder.to(mean.dtype) * mean, torch.log(closed + own)

    def latents(self, latents: Tensor) -> Tensor:
        """What the decoder reads for latents (N, k)."""
        return latents * self._decoder.to(latents.dtype)
