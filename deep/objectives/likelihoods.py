"""What p(x|z) is: one definition of the distortion for each likelihood.

The distortion of a sample is −log p(x|z) in nats, summed over its dimensions, constants included.
Likelihoods are modules, so that those with parameters of their own can be trained, saved and moved
like a network.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from deep._checks import check_positive, fail
from deep.config import LikelihoodConfig

__all__ = [
    "Bernoulli",
    "CalibratedGaussian",
    "DiscretisedLogistic",
    "Gaussian",
    "Likelihood",
    "likelihood_from",
    "squared_error",
]

# A smaller variance says that the data are reproduced to 1e-4 of their unit: no 8-bit image can be.
_FLOOR = 1e-8
# Distance from the grid of levels, in steps, that is put down to rounding in float32.
_OFF_GRID = 1e-2
# Where the scale of the discretised logistic starts: a standard deviation of 0.18 of the range.
_FIRST_SCALE = 0.1


class Likelihood(nn.Module):
    """Base of all likelihoods. Calling one gives the distortion."""

    def distortion(self, output: Tensor, samples: Tensor) -> Tensor:
        """−log p(x|z) in nats, (N,), of samples (N, ...) under outputs (N, ...) of a network.

        Raises
        ------
        InputError
            Output and samples of different shapes; samples outside the likelihood's domain.
        """
        raise NotImplementedError

    def mean(self, output: Tensor) -> Tensor:
        """Reconstruction in data units, of the shape of the output."""
        raise NotImplementedError

    def forward(self, output: Tensor, samples: Tensor) -> Tensor:
        """Distortion."""
        return self.distortion(output, samples)


class Gaussian(Likelihood):
    r"""Normal with one fixed variance; the output is the mean.

    .. math:: \mathcal D = \tfrac n2 \log(2\pi\sigma^2) + \frac{\lVert x - \hat x\rVert^2}
              {2\sigma^2}

    Parameters
    ----------
    noise_variance : float
        σ² > 0, squared data units. ½ makes β·KL + summed squared error.

    Raises
    ------
    InputError
        σ² not positive and finite.
    """

    def __init__(self, noise_variance: float = 1.0) -> None:
        super().__init__()
        remedy = "pass a variance in squared data units"
        self.noise_variance = check_positive("noise_variance", noise_variance, remedy)

    def distortion(self, output: Tensor, samples: Tensor) -> Tensor:
        """−log p(x|z), (N,); see :class:`Likelihood`."""
        constant = math.log(2 * math.pi * self.noise_variance) * samples[0].numel() / 2
        return constant + squared_error(output, samples) / (2 * self.noise_variance)

    def mean(self, output: Tensor) -> Tensor:
        """The output itself."""
        return output

    def extra_repr(self) -> str:
        """σ²."""
        return f"noise_variance={self.noise_variance:g}"


class CalibratedGaussian(Likelihood):
    r"""Normal whose variance is the best one for the samples it is shown together.

    .. math:: \hat\sigma^2 = \max(\bar\varepsilon / n, \text{floor}), \qquad
              \frac1N \sum_i \mathcal D_i = \tfrac n2 \log(2\pi e\, \bar\varepsilon / n)

    with the batch mean ε̄ of the squared errors. The distortions of the samples are those of the
    normal with this variance; only their average is optimal. As σ̂² belongs to everything in the
    call, all of it should have one β. The evaluation does not call this batch by batch: see
    :func:`deep.evaluation.curve.evaluate_curve`.

    Parameters
    ----------
    floor : float
        Smallest σ², squared data units. Without it the objective has no minimum where the data can
        be reproduced exactly; below it the likelihood is that of σ² = floor.

    Raises
    ------
    InputError
        Floor not positive and finite.

    Notes
    -----
    Source: Rybkin et al. 2021, optimal σ.
    """

    def __init__(self, floor: float = _FLOOR) -> None:
        super().__init__()
        self.floor = check_positive("floor", floor, "pass the smallest variance to allow")

    def noise_variance(self, output: Tensor, samples: Tensor) -> Tensor:
        """Best σ² for these samples, ()."""
        return (squared_error(output, samples).mean() / samples[0].numel()).clamp(min=self.floor)

    def distortion(self, output: Tensor, samples: Tensor) -> Tensor:
        """−log p(x|z) at the best σ² for these samples, (N,); see :class:`Likelihood`."""
        variance = self.noise_variance(output, samples)
        constant = torch.log(2 * math.pi * variance) * samples[0].numel() / 2
        return constant + squared_error(output, samples) / (2 * variance)

    def mean(self, output: Tensor) -> Tensor:
        """The output itself."""
        return output

    def extra_repr(self) -> str:
        """Smallest variance."""
        return f"floor={self.floor:g}"


class Bernoulli(Likelihood):
    r"""Independent bits; the output is the logit of a one.

    .. math:: \mathcal D = -\sum_j x_j \log p_j + (1 - x_j) \log(1 - p_j), \qquad
              p = \mathrm{sigmoid}(\text{output})

    Samples strictly between 0 and 1 are read as probabilities: this is then the expected distortion
    of a binary sample drawn with them, whose smallest value is their entropy and not 0. It is not
    the density of a grey value.
    """

    def distortion(self, output: Tensor, samples: Tensor) -> Tensor:
        """−log p(x|z), (N,); see :class:`Likelihood`. Samples must lie in [0, 1]."""
        output, samples = _comparable(output, samples)
        _check_unit(samples)
        losses = nn.functional.binary_cross_entropy_with_logits(output, samples, reduction="none")
        return losses.flatten(1).sum(1)

    def mean(self, output: Tensor) -> Tensor:
        """Probabilities of a one."""
        return torch.sigmoid(output)


class DiscretisedLogistic(Likelihood):
    r"""Logistic around the output, integrated over the bin of each of the levels of grey.

    .. math:: p(x|z) = F(x + h) - F(x - h), \quad F(t) = \mathrm{sigmoid}((t - \mu)/s), \quad
              h = \frac1{2(\text{levels} - 1)}

    for x = 0, 2h, ..., 1; the first bin reaches to −∞ and the last to +∞, so that the
    probabilities of the levels sum to 1. One scale s serves all dimensions.

    Parameters
    ----------
    levels : int
        Of grey, >= 2; 256 for 8-bit images divided by 255.
    log_scale : float, optional
        log s with s in data units; 0.1 is the scale when omitted.
    learned : bool
        Whether log s is a parameter to train, or stays as given.

    Raises
    ------
    InputError
        Fewer than 2 levels, a log-scale that is not finite.

    Notes
    -----
    Source: Kingma et al. 2016 (inverse autoregressive flow), Section 5; Salimans et al. 2017.
    """

    log_scale: Tensor

    def __init__(
        self, levels: int = 256, *, log_scale: float | None = None, learned: bool = True
    ) -> None:
        super().__init__()
        if levels < 2:
            fail("levels", levels, "an integer >= 2", "pass 256 for 8-bit images")
        first = math.log(_FIRST_SCALE) if log_scale is None else log_scale
        if not math.isfinite(first):
            fail("log_scale", log_scale, "a finite number", "pass the logarithm of the scale")
        self.levels = levels
        if learned:
            self.log_scale = nn.Parameter(torch.tensor(first))
        else:
            self.register_buffer("log_scale", torch.tensor(first))

    def distortion(self, output: Tensor, samples: Tensor) -> Tensor:
        """−log p(x|z), (N,); see :class:`Likelihood`. Samples must lie on the grid of levels."""
        output, samples = _comparable(output, samples)
        top = self.levels - 1
        _check_unit(samples)
        steps = samples * top
        level = steps.round()
        if bool(((steps - level).abs() > _OFF_GRID).any()):
            fail("samples", "values between the levels", f"multiples of 1/{top}",
                 f"round them to {self.levels} levels, in float32")  # fmt: skip
        inverse = torch.exp(-self.log_scale)
        centred = level / top - output
        below = nn.functional.logsigmoid((centred + 0.5 / top) * inverse)
        above = nn.functional.logsigmoid((0.5 / top - centred) * inverse)
        # sigmoid(a) − sigmoid(b) = sigmoid(a) sigmoid(−b) (1 − e^{b−a}): no difference of CDFs.
        width = torch.log(-torch.expm1(-inverse / top))
        inside = torch.where(level == 0, below, below + above + width)
        return -torch.where(level == top, above, inside).flatten(1).sum(1)

    def mean(self, output: Tensor) -> Tensor:
        """Location held within [0, 1]: the mean where the edges are out of reach."""
        return output.clamp(0, 1)

    def extra_repr(self) -> str:
        """Levels and scale."""
        return f"levels={self.levels}, scale={math.exp(float(self.log_scale.detach())):g}"


def squared_error(mean: Tensor, samples: Tensor) -> Tensor:
    r"""Squared error of each sample, :math:`\lVert x - \hat x \rVert^2`, summed over dimensions.

    Parameters
    ----------
    mean, samples : Tensor (N, ...)

    Returns
    -------
    Tensor (N,)
        In squared data units.

    Raises
    ------
    InputError
        Different shapes.
    """
    mean, samples = _comparable(mean, samples)
    return (samples - mean).square().flatten(1).sum(1)


def likelihood_from(config: LikelihoodConfig) -> Likelihood:
    """Likelihood that a configuration names; the scale of a discretised logistic is learned."""
    if config.kind == "gaussian":
        return Gaussian(config.noise_variance)
    if config.kind == "calibrated":
        return CalibratedGaussian()
    if config.kind == "bernoulli":
        return Bernoulli()
    return DiscretisedLogistic(config.levels)


def _comparable(output: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
    """Both in at least float32; shapes that would broadcast are refused."""
    if output.shape != samples.shape or samples.ndim < 2:
        fail("output", f"shape {tuple(output.shape)} for samples of shape {tuple(samples.shape)}",
             "the same shape (N, ...)", "let the decoder return the shape of the data")  # fmt: skip
    dtype = torch.promote_types(torch.promote_types(output.dtype, samples.dtype), torch.float32)
    return output.to(dtype), samples.to(dtype)


def _check_unit(samples: Tensor) -> None:
    low, high = torch.stack(torch.aminmax(samples.detach())).tolist()  # one wait for a device
    if not (low >= 0 and high <= 1):  # NaN fails too
        fail("samples", f"values from {low:.4g} to {high:.4g}", "values in [0, 1]",
             "scale them, or choose a Gaussian likelihood")  # fmt: skip
