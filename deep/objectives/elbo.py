"""The objective of the β-VAE and, with random β's, of the multi-rate VAE."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from deep._checks import check_positive, fail
from deep.config import ExperimentConfig, TrainingConfig
from deep.errors import ConfigError
from deep.objectives.base import LossTerms
from deep.objectives.betas import Annealing, BetaDraws
from deep.objectives.likelihoods import CalibratedGaussian, Gaussian, Likelihood, likelihood_from
from deep.objectives.rate import rate

__all__ = ["RateDistortionObjective", "SharpnessSchedule", "objective_from"]


@dataclass(frozen=True)
class SharpnessSchedule:
    r"""Sharpness of smoothed gates as a function of the part of the training that is done.

    .. math:: s(t) = s_0 (s_1/s_0)^{\min(1, t / \text{rise})} \text{ before } 1 - \text{exact},
              \qquad s(t) = \infty \text{ from there on}

    Parameters
    ----------
    ends : (s₀, s₁), optional
        Both > 0 and finite; None for exact gates throughout.
    rise : float
        Part of the training over which the sharpness rises, in (0, 1].
    exact : float
        Part at the end that uses the exact gates, in [0, 1].

    Raises
    ------
    InputError
        A sharpness that is not positive and finite, parts out of range.
    """

    ends: tuple[float, float] | None = None
    rise: float = 0.6
    exact: float = 0.1

    def __post_init__(self) -> None:
        for end in self.ends or ():
            check_positive("sharpness", end, "pass None for exact gates throughout")
        if not (0 < self.rise <= 1 and 0 <= self.exact <= 1):
            fail("sharpness", f"rise {self.rise}, exact {self.exact}",
                 "0 < rise <= 1, 0 <= exact <= 1", "they are parts of the training")  # fmt: skip

    @classmethod
    def of(cls, config: TrainingConfig) -> SharpnessSchedule:
        """Schedule that a configuration describes."""
        return cls(config.sharpness, config.rise, config.exact)

    def __call__(self, done: float) -> float:
        """Sharpness after the part `done` of the training; infinite for the exact gates."""
        if self.ends is None or done >= 1 - self.exact:
            return math.inf
        first, last = self.ends
        return float(first * (last / first) ** min(1.0, done / self.rise))


class RateDistortionObjective(nn.Module):
    r"""Distortion plus β times rate, averaged over a batch and over the β's drawn for it.

    .. math:: L = \mathbb E_{\log\beta \sim \mathcal U[\log a, \log b]}\; w(\beta)\,
              \mathbb E_x [\mathcal D(x; \beta) + \alpha(t)\, \beta\, \mathcal R(x; \beta)]

    with one draw of the latents for each β of a sample, and the weights w of
    :meth:`BetaDraws.weight`, 1 unless tilted. Annealing multiplies the weight of the rate by α(t);
    the gates of the network are told β itself, or what they learn for a β would change with time.

    It is a module because the likelihood can have parameters: ``parameters()`` gives them.

    Parameters
    ----------
    likelihood : Likelihood
    betas : BetaDraws
        ``draw="constant"`` makes it the β-VAE.
    annealing : Annealing
    sharpness : SharpnessSchedule
    expected : bool
        Average over z instead of drawing it: for networks whose ``spread`` says how far outputs
        scatter around the decoded mean.

    Raises
    ------
    ConfigError
        An average over z with another likelihood than a Gaussian; a calibrated Gaussian with a β
        per example: its σ² is one for the batch, and every β has its own.

    Notes
    -----
    Source: Bae et al. 2023, Eq. 11; Higgins et al. 2017, Eq. 4.
    """

    def __init__(
        self,
        likelihood: Likelihood,
        betas: BetaDraws,
        annealing: Annealing | None = None,
        sharpness: SharpnessSchedule | None = None,
        *,
        expected: bool = False,
    ) -> None:
        super().__init__()
        if isinstance(likelihood, CalibratedGaussian) and betas.per_example:
            fail("betas", f"draw {betas.draw!r} with a calibrated Gaussian",
                 "one β for all that shares a variance", "draw 'batch' or 'constant'",
                 ConfigError)  # fmt: skip
        self.likelihood = likelihood
        self.betas = betas
        self.annealing = Annealing() if annealing is None else annealing
        self.sharpness = SharpnessSchedule() if sharpness is None else sharpness
        if expected and not isinstance(likelihood, Gaussian):
            fail("expected", f"a {type(likelihood).__name__} likelihood", "a Gaussian one",
                 "sample the latents", ConfigError)  # fmt: skip
        self.expected = expected

    def forward(
        self, model: nn.Module, samples: torch.Tensor, *, done: float, generator: torch.Generator
    ) -> LossTerms:
        """Loss of a batch; see :class:`deep.objectives.base.Objective`."""
        # β's in bfloat16 would be off by up to 0.4 %.
        exact_enough = torch.promote_types(samples.dtype, torch.float32)
        beta = self.betas(len(samples), generator, exact_enough)
        samples = self.betas.copies(samples)
        noise = None
        if not self.expected:
            shape = (len(samples), int(model.latent_dim))
            noise = torch.randn(
                shape, generator=generator, device=generator.device, dtype=samples.dtype
            )
        sharpness = self.sharpness(done)
        latent_mean, latent_log_variance, output = model(
            samples, beta, noise=noise, sharpness=sharpness
        )
        rates = rate(latent_mean, latent_log_variance)
        distortions = self.likelihood.distortion(output, samples)
        if self.expected and isinstance(self.likelihood, Gaussian):
            spread: torch.Tensor = model.spread(beta, sharpness=sharpness)  # type: ignore[operator]
            distortions = distortions + spread / (2 * self.likelihood.noise_variance)
        weight = beta * self.annealing(done)
        return LossTerms(
            loss=(self.betas.weight(beta) * (distortions + weight * rates)).mean(),
            rate=rates.detach().mean(),
            distortion=distortions.detach().mean(),
            beta=weight,
        )


def objective_from(config: ExperimentConfig) -> RateDistortionObjective:
    """Objective that an experiment describes.

    Raises
    ------
    ConfigError
        A calibrated Gaussian with a β per example.
    """
    return RateDistortionObjective(
        likelihood_from(config.likelihood),
        BetaDraws.of(config.beta),
        Annealing.of(config.beta),
        SharpnessSchedule.of(config.training),
        expected=config.training.latents == "expected",
    )
