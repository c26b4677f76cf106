"""What a linear VAE with two layers of latents achieves, for any parameters: definitions only.

The optimum of :mod:`linvae.hierarchical` is never used here, so that their agreement is evidence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from linvae._types import Sealed
from linvae._validation import (
    FloatArray,
    as_array,
    as_positive,
    as_positive_number,
    check_broadcast,
    check_count,
    check_finite,
    check_latent_dim,
    check_representable,
    check_spectrum,
    fail,
    frozen,
)
from linvae.errors import InputTypeError
from linvae.spectrum import Spectrum

__all__ = [
    "HierarchicalTerms",
    "HierarchicalVAE",
    "TwoLayers",
    "check_data",
    "check_latent_dims",
    "check_parameters",
    "gaussian_constant",
    "layer_weights",
    "reconstruction_error",
    "weighted_terms",
    "zero",
]


def zero() -> FloatArray:
    """Offset of a model that has none."""
    return np.zeros(())


@dataclass(frozen=True, eq=False)
class HierarchicalTerms(Sealed):
    r"""The parts of the objective of a model with two layers of latents.

    .. math:: L = \mathcal D + \beta_1 \mathcal R_1 + \beta_2 \mathcal R_2

    Attributes
    ----------
    beta1, beta2 : float or ndarray
        Weights of the two rates.
    rate1, rate2 : float
        Nats; the models say what they are.
    distortion : float
        Average of −log p(x|z₁), nats.
    squared_error : float
        E‖x − D z₁ − m‖², summed over dimensions, in squared data units.
    objective : float or ndarray
        L, nats.
    """

    beta1: Any
    beta2: Any
    rate1: Any
    rate2: Any
    distortion: Any
    squared_error: Any
    objective: Any

    @property
    def elbo(self) -> Any:
        """Evidence lower bound −(distortion + rate1 + rate2), nats, whatever the weights."""
        return -(self.distortion + self.rate1 + self.rate2)


class TwoLayers(Sealed):
    """What both kinds of two-layer models share: names, shapes and checks of their parameters."""

    shapes: ClassVar[dict[str, tuple[str, ...]]] = {
        "variance1": ("k1",),
        "variance2": ("k2",),
        "encoder1": ("k1", "n"),
        "prior_gain": ("k1", "k2"),
        "prior_variance": ("k1",),
        "decoder": ("n", "k1"),
        "encoder_offset": ("n",),
        "decoder_offset": ("n",),
        "latent_offset1": ("k1",),
        "latent_offset2": ("k2",),
        "prior_offset": ("k1",),
    }
    variance1: FloatArray
    variance2: FloatArray

    def __post_init__(self) -> None:
        check_parameters(self, self.shapes)

    @property
    def latent_dims(self) -> tuple[int, int]:
        """Numbers of latents (k₁, k₂)."""
        return self.variance1.size, self.variance2.size


@dataclass(frozen=True, eq=False)
class HierarchicalVAE(TwoLayers):
    r"""A linear VAE with two layers of latents and top-down inference: any parameters.

    .. math::
        p(z_2) &= \mathcal N(0, I), \quad
        p(z_1|z_2) = \mathcal N(A z_2 + a,\; \operatorname{diag} s^2), \quad
        p(x|z_1) = \mathcal N(D z_1 + m,\; \sigma^2 I) \\
        q(z_2|x) &= \mathcal N(E_2(x - m_e) + h_2,\; \operatorname{diag} c_2), \quad
        q(z_1|z_2, x) = \mathcal N(F(x - m_e) + G z_2 + h_1,\; \operatorname{diag} c_1)

    Parameters
    ----------
    encoder2 : array (k2, n)
        E₂.
    variance2 : array (k2,)
        c₂ > 0.
    encoder1 : array (k1, n)
        F, what q(z₁|z₂, x) reads from the data.
    skip : array (k1, k2)
        G, what it reads from z₂.
    variance1 : array (k1,)
        c₁ > 0.
    prior_gain : array (k1, k2)
        A.
    prior_variance : array (k1,)
        s² > 0.
    decoder : array (n, k1)
        D.
    noise_variance : float
        σ² > 0, squared data units.
    encoder_offset, decoder_offset : array (n,) or number, optional
        mₑ and m.
    latent_offset1, prior_offset : array (k1,) or number, optional
        h₁ and a.
    latent_offset2 : array (k2,) or number, optional
        h₂.

    Raises
    ------
    InputError
        Shapes that do not fit, values that are not finite, variances that are not positive.
    """

    encoder2: FloatArray
    variance2: FloatArray
    encoder1: FloatArray
    skip: FloatArray
    variance1: FloatArray
    prior_gain: FloatArray
    prior_variance: FloatArray
    decoder: FloatArray
    noise_variance: float
    encoder_offset: FloatArray = field(default_factory=zero)
    decoder_offset: FloatArray = field(default_factory=zero)
    latent_offset1: FloatArray = field(default_factory=zero)
    latent_offset2: FloatArray = field(default_factory=zero)
    prior_offset: FloatArray = field(default_factory=zero)

    shapes = TwoLayers.shapes | {"encoder2": ("k2", "n"), "skip": ("k1", "k2")}

    @np.errstate(over="ignore", invalid="ignore")  # refused at the end
    def evaluate(self, spectrum: Spectrum, beta1: Any, beta2: Any) -> HierarchicalTerms:
        r"""Exact rates, distortion and objective on any data with mean μ and covariance S.

        .. math::
            \mathcal R_2 &= \mathbb E\, \mathrm{KL}(q(z_2|x) \,\|\, p(z_2)), \qquad
            \mathcal R_1 = \mathbb E\, \mathrm{KL}(q(z_1|z_2, x) \,\|\, p(z_1|z_2)) \\
            \varepsilon &= \lVert (I - D(F + G E_2)) S^{1/2} \rVert^2
                + \operatorname{tr} D (G C_2 G^\top + C_1) D^\top + \lVert \text{mean} \rVert^2

        Parameters
        ----------
        spectrum : Spectrum
            n features; the training data or any other.
        beta1, beta2 : float or array
            Weights of ℛ₁ and ℛ₂; they broadcast.

        Returns
        -------
        HierarchicalTerms

        Raises
        ------
        InputError
            Weights that are not positive, another number of features.
        PartialSpectrumError
            An encoder that reads directions which a leading-k spectrum does not hold.

        Notes
        -----
        Source: Eq. 6-8 of Xiao & Bamler 2023 with Gaussian layers.
        """
        check_data(spectrum, self.decoder)
        moved = spectrum.mean - self.encoder_offset
        mean2 = self.encoder2 @ moved + self.latent_offset2
        read2 = spectrum.read_by(self.encoder2)  # E₂ S^½, shape: (k2, m)
        rate2 = _kl(self.variance2, read2, mean2)
        # q(z₁|z₂,x) minus p(z₁|z₂), in standard deviations of the latter.
        spread = np.sqrt(self.prior_variance)
        apart = self.skip - self.prior_gain
        noise2 = np.sqrt(self.variance2)
        gap = np.concatenate(
            [spectrum.read_by(self.encoder1) + apart @ read2, apart * noise2], axis=1
        )
        shift = self.encoder1 @ moved + self.latent_offset1 - self.prior_offset + apart @ mean2
        rate1 = _kl(self.variance1 / self.prior_variance, gap / spread[:, None], shift / spread)
        mean1 = self.encoder1 @ moved + self.skip @ mean2 + self.latent_offset1
        error = reconstruction_error(
            spectrum,
            self.decoder,
            self.encoder1 + self.skip @ self.encoder2,
            [self.skip * noise2, np.diag(np.sqrt(self.variance1))],
            spectrum.mean - self.decoder_offset - self.decoder @ mean1,
        )
        return weighted_terms(self, rate1, rate2, error, beta1, beta2)


def _kl(variance: FloatArray, read: FloatArray, mean: FloatArray) -> float:
    """Average KL from N(mean + read ξ, diag variance) to N(0, I)."""
    own = (variance - 1 - np.log(variance)).sum()
    return 0.5 * float(own + np.vdot(read, read) + mean @ mean)


def reconstruction_error(
    spectrum: Spectrum,
    decoder: FloatArray,
    reader: FloatArray,
    noises: list[FloatArray],
    mean: FloatArray,
) -> float:
    """E‖x − D z₁ − m‖² of z₁ = reader·x + independent noises, given the mean of the residual."""
    missed = spectrum.root - decoder @ spectrum.read_by(reader)
    unheld = 0.0
    if not spectrum.complete:
        unheld = max(0.0, spectrum.total_variance - float(spectrum.eigenvalues.sum()))
    own = sum(float(np.vdot(decoder @ noise, decoder @ noise)) for noise in noises)
    return float(np.vdot(missed, missed)) + unheld + own + float(mean @ mean)


def check_data(spectrum: Any, decoder: FloatArray) -> None:
    """Refuse what is not a spectrum, or has another number of features than the model."""
    check_spectrum(spectrum)
    if spectrum.n_features != len(decoder):
        fail(
            "spectrum",
            f"{spectrum.n_features} features",
            f"{len(decoder)}, those of the model",
            "evaluate on data of the model's dimension",
        )


def check_latent_dims(latent_dims: Any, n_features: int) -> tuple[int, int]:
    """Return (k₁, k₂), each within 1..n."""
    if not isinstance(latent_dims, tuple | list) or len(latent_dims) != 2:
        fail(
            "latent_dims",
            repr(latent_dims),
            "a pair (k1, k2)",
            "give the number of latents of each layer, the one next to the data first",
            InputTypeError,
        )
    first = check_latent_dim(latent_dims[0], n_features)
    second = check_count("latent_dims[1]", latent_dims[1], 1, n_features, "z₂ has 1..n latents")
    return first, second


def layer_weights(beta1: Any, beta2: Any) -> tuple[FloatArray, FloatArray]:
    """Both weights, positive and broadcast against each other."""
    first = as_positive("beta1", beta1, "β₁ weighs the rate of z₁ and must be positive")
    second = as_positive("beta2", beta2, "β₂ weighs the rate of z₂ and must be positive")
    check_broadcast(beta1=first, beta2=second)
    first, second = np.broadcast_arrays(first, second)
    return first, second


def weighted_terms(
    vae: Any, rate1: float, rate2: float, error: float, beta1: Any, beta2: Any
) -> HierarchicalTerms:
    """The objective from its parts."""
    weight1, weight2 = layer_weights(beta1, beta2)
    with np.errstate(over="ignore", invalid="ignore"):
        constant = gaussian_constant(vae.decoder.shape[0], vae.noise_variance)
        distortion = float(constant + np.divide(error, vae.noise_variance) / 2)
        objective = distortion + weight1 * rate1 + weight2 * rate2
    check_representable("evaluate", objective, "check the parameters, or rescale data and model")
    if not objective.ndim:
        one = (float(weight1), float(weight2), rate1, rate2, distortion, error, float(objective))
        return HierarchicalTerms(*one)
    return HierarchicalTerms(weight1, weight2, rate1, rate2, distortion, error, objective)


def gaussian_constant(n_features: int, variance: float) -> float:
    """n/2 log 2πσ², also where 2πσ² is beyond the float64 range."""
    return 0.5 * n_features * float(np.log(2 * np.pi) + np.log(variance))


def check_parameters(vae: Any, shapes: dict[str, tuple[str, ...]]) -> None:
    """Check and freeze the arrays of a model; sizes are read off decoder and variance2."""
    decoder, top = as_array("decoder", vae.decoder), as_array("variance2", vae.variance2)
    if decoder.ndim != 2 or 0 in decoder.shape:
        fail("decoder", f"shape {decoder.shape}", "(n, k1)", "one column per latent of z₁")
    if top.ndim != 1 or not top.size:
        fail("variance2", f"shape {top.shape}", "(k2,)", "one variance per latent of z₂")
    sizes = {"n": decoder.shape[0], "k1": decoder.shape[1], "k2": top.size}
    remedy = "pass variances, not log-variances or standard deviations"
    for name, letters in shapes.items():
        array = as_array(name, getattr(vae, name))
        need = tuple(sizes[letter] for letter in letters)
        if "offset" in name and array.ndim == 0:  # the same in every dimension
            array = np.full(need, array, dtype=np.float64)
        if array.shape != need:
            fail(
                name,
                f"shape {array.shape}",
                f"({', '.join(letters)}) = {need}",
                "sizes are read off decoder (n, k1) and variance2 (k2,)",
            )
        check_finite(name, array)
        if "variance" in name:
            as_positive(name, array, remedy)
        object.__setattr__(vae, name, frozen(array.astype(np.float64)))
    number = as_positive_number("noise_variance", vae.noise_variance, remedy)
    object.__setattr__(vae, "noise_variance", number)
