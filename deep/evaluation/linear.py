"""All β's of a linear network at once: what depends on β is no larger than the latents."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from deep.evaluation.passes import Block, FloatArray, as_array, betas_for
from deep.networks.linear import MultiRateLinearVAE
from deep.objectives.likelihoods import CalibratedGaussian, Gaussian, Likelihood

__all__ = ["LinearReader", "linear_reader"]


class LinearReader:
    r"""Rates and squared errors of a linear network at B β's, without decoding at each.

    .. math:: \lVert x - \hat x \rVert^2 = \lVert (I - QQ^\top)(x - \mu) \rVert^2
              + \lVert Q^\top (x - \mu) - R M(\beta) z \rVert^2, \qquad D(\beta) = W M(\beta),
              \quad W = QR

    The factor W (n, k) of the decoder and the product of the encoder's matrices do not depend on
    β. Samples are projected once; what remains for each β are products with matrices (k, k). The
    error is a sum of two squares, so none is lost by cancellation between them. Sums over samples
    are float64; products of the network's matrices are in its own precision.

    Parameters
    ----------
    model : MultiRateLinearVAE
        The gates of its feature rows do not depend on β.
    betas : ndarray (B,)
    """

    def __init__(self, model: MultiRateLinearVAE, betas: FloatArray) -> None:
        factors = model.factors(betas_for(model.mean, betas))
        reading, gate, variance, mixing, writing = (part.double() for part in factors)
        log_variance = torch.log(variance)
        deviation = torch.exp(log_variance / 2)
        self._mean, self._reading = model.mean.double(), reading
        self._basis, upper = torch.linalg.qr(writing)
        inner = upper @ mixing
        self._of_codes = inner * gate[:, None, :]  # shape: (B, k, k), on the codes before gates
        self._of_noise = inner * deviation[:, None, :]
        self._gate_squares = gate.square()
        self._constant = (torch.expm1(log_variance) - log_variance).sum(1)

    def measure(
        self, block: Block, noises: Sequence[Tensor], batch_size: int
    ) -> FloatArray:  # shape: (B, samples, 3)
        """Rate, squared error and squared error again of every pair of β and sample.

        As many β's are worked on at a time as take no more memory than ``batch_size`` decoded
        samples, and at least one, which takes less than the block itself. Where the variance is
        known, the distortion is a function of the average error.
        """
        centred = block.samples.flatten(1).double() - self._mean
        inside = centred @ self._basis
        outside = (centred - inside @ self._basis.mT).square().sum(1)
        codes = centred @ self._reading.mT
        rates = torch.addmm(self._constant, codes.square(), self._gate_squares.mT) / 2
        together = max(1, batch_size * centred.shape[1] // inside.numel())
        parts = zip(self._of_codes.split(together), self._of_noise.split(together), strict=True)
        errors = torch.cat([_missed(inside, codes, noises, *part) for part in parts])
        errors = errors + outside
        return as_array(torch.stack((rates.mT, errors, errors), dim=2))


def _missed(
    inside: Tensor, codes: Tensor, noises: Sequence[Tensor], of_codes: Tensor, of_noise: Tensor
) -> Tensor:  # shape: (b, samples)
    """‖a − R M z‖² within the decoder's column space for b β's, averaged over the draws."""
    count = len(of_codes)
    means = torch.addmm(inside.repeat(1, count), codes, of_codes.flatten(0, 1).mT, alpha=-1)
    total = torch.zeros(len(inside), count, dtype=means.dtype, device=means.device)
    for noise in noises:
        missed = torch.addmm(means, noise.double(), of_noise.flatten(0, 1).mT, alpha=-1)
        total += missed.square_().unflatten(1, (count, -1)).sum(2)
    return total.mT / len(noises)


def linear_reader(
    model: nn.Module, betas: FloatArray, likelihood: Likelihood, sample_shape: Sequence[int]
) -> LinearReader | None:
    """A reader where one gives what the network itself would give; None where it does not.

    That takes the two-layer linear network with feature gates that do not move with β, a Gaussian
    likelihood, and rows of as many numbers as it was built for.
    """
    if type(model) is not MultiRateLinearVAE:  # a subclass may compute something else
        return None
    known = type(likelihood) in (Gaussian, CalibratedGaussian)
    fits = tuple(sample_shape) == (model.mean.numel(),)
    return LinearReader(model, betas) if known and fits and model.features_constant else None
