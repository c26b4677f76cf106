"""Theorem 1 written out: hypernetworks whose gates give the response functions of linear VAEs.

Only the gates and matrix products of Eq. 6 and Eq. 10 of Bae et al. 2023 are evaluated here. The
response formulas are not used: agreement with :mod:`linvae.response` is what the theorem says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._types import LinearVAE
from ._validation import (
    FloatArray,
    as_array,
    as_matrix,
    as_positive,
    as_vector,
    check_finite,
    check_latent_dim,
    check_no_underflow,
    check_spectrum,
    fail,
    frozen,
)
from .spectrum import Spectrum

__all__ = ["GATES", "GatedLayer", "Hypernetwork"]


def _sigmoid(x: FloatArray) -> FloatArray:
    # exp(-|x|) cannot overflow, and neither branch cancels.
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, small) / (1.0 + small))


def _sqrt_relu(x: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(-np.expm1(np.minimum(x, 0.0))))


def _min_exp(x: FloatArray) -> FloatArray:
    return np.asarray(np.exp(np.minimum(x, 0.0)))


# name -> gate: 1/(1+e^-x), √ReLU(1-eˣ), min(1, eˣ)
GATES: dict[str, Callable[[FloatArray], FloatArray]] = {
    "sigmoid": _sigmoid,
    "sqrt_relu": _sqrt_relu,
    "min_exp": _min_exp,
}


@dataclass(frozen=True, eq=False)
class GatedLayer:
    r"""One layer of the hypernetwork: base weights, each row scaled by a gate of the input.

    .. math:: W(\beta) = \sigma(w \log\beta + b) \odot_{\text{row}} W_{\text{base}}

    Attributes
    ----------
    w_hyper, b_hyper : ndarray, shape (rows,)
        Slope and bias of the gate's argument.
    base : ndarray, shape (rows, columns) or (rows,)
        Base weights; a vector stands for a diagonal matrix.
    gate : str
        A key of :data:`GATES`.

    Notes
    -----
    Source: Bae et al. 2023, Eq. 6.
    """

    w_hyper: FloatArray
    b_hyper: FloatArray
    base: FloatArray
    gate: str

    def __post_init__(self) -> None:
        if self.gate not in GATES:
            fail("gate", repr(self.gate), f"one of {', '.join(GATES)}", "choose a known gate")
        base = as_array("base", self.base)
        if base.ndim not in (1, 2) or 0 in base.shape:
            fail(
                "base",
                f"shape {base.shape}",
                "(rows, columns), or (rows,) if diagonal",
                "pass the layer's base weights",
            )
        check_finite("base", base)
        w = as_vector("w_hyper", self.w_hyper, len(base))
        b = as_vector("b_hyper", self.b_hyper, len(base))
        for name, array in (("w_hyper", w), ("b_hyper", b), ("base", base.astype(np.float64))):
            object.__setattr__(self, name, frozen(array))

    @property
    def is_diagonal(self) -> bool:
        """Whether the layer is a diagonal matrix, held as a vector."""
        return self.base.ndim == 1

    @property
    def dense_base(self) -> FloatArray:
        """Base weights as a matrix."""
        return np.diag(self.base) if self.is_diagonal else self.base

    def gate_values(self, inputs: FloatArray) -> FloatArray:
        """Gate of every row, shape (..., rows), at hypernetwork inputs (...)."""
        return GATES[self.gate](self.w_hyper * inputs[..., None] + self.b_hyper)

    def weights(self, inputs: FloatArray) -> FloatArray:
        """Scaled weights, shape (..., rows, columns), or (..., rows) if diagonal."""
        values = self.gate_values(inputs)
        return values * self.base if self.is_diagonal else values[..., None] * self.base


@dataclass(frozen=True, eq=False)
class Hypernetwork:
    r"""Hypernetwork parameters ψ of a two-layer linear VAE; call it at β to get the model.

    .. math:: E(\beta) = E^{(2)}E^{(1)}, \quad C(\beta) = C^{(2)}C^{(1)}, \quad
              D(\beta) = D^{(2)}D^{(1)}

    Each factor is a :class:`GatedLayer`. :meth:`exact` gives the parameters that are right for the
    joint optimum at every β > 0, :meth:`published` those of the printed theorem, which are right
    for the encoder of a fixed decoder.

    Attributes
    ----------
    encoder, posterior, decoder : tuple of two GatedLayer
        Layer 1, layer 2. In Eq. 10 the first layers are square; rows of zeros that would make them
        so are left out, for they would take n² numbers.
    noise_variance : float
    offset : ndarray, shape (n,)
        Data mean, ungated.
    input_mean, input_std : float
        The gates read (log β − input_mean) / input_std.

    Notes
    -----
    Source: Bae et al. 2023, Eq. 6, Eq. 10 and Theorem 1.
    """

    encoder: tuple[GatedLayer, GatedLayer]
    posterior: tuple[GatedLayer, GatedLayer]
    decoder: tuple[GatedLayer, GatedLayer]
    noise_variance: float
    offset: FloatArray
    input_mean: float = 0.0
    input_std: float = 1.0

    @classmethod
    def exact(cls, spectrum: Spectrum, *, latent_dim: int, noise_variance: float) -> Hypernetwork:
        r"""Parameters exact for the joint optimum at every β > 0: the corrected theorem (T1.a, d).

        .. math:: d_i = g(x_i)\sqrt{\lambda_i}u_i,\quad e_i = g(x_i)\lambda_i^{-1/2}u_i^\top,\quad
                  c_i = \min(1, e^{x_i}),\quad x_i = \log\beta + \log(\sigma^2/\lambda_i)

        with g(x) = √ReLU(1 − eˣ).

        Parameters
        ----------
        spectrum : Spectrum
        latent_dim : int
            k, 1 <= k <= n.
        noise_variance : float
            σ² > 0.

        Returns
        -------
        Hypernetwork

        Raises
        ------
        InputError
            k outside 1..n, σ² not positive.
        """
        check_spectrum(spectrum)
        k = check_latent_dim(latent_dim, spectrum.n_features)
        variance = _one_variance(noise_variance)
        values = spectrum.leading_eigenvalues(k)
        vectors = spectrum.leading_eigenvectors(k)
        lives = values > 0
        safe = np.where(lives, values, 1.0)
        bias = np.where(lives, np.log(variance) - np.log(safe), 0.0)
        slope = np.ones(k)
        root = np.sqrt(safe)
        read = np.where(lives, 1.0 / root, 0.0)
        # A mode with λ = 0 has base 0 and posterior variance 1 (a slope of 0 keeps its gate at 1).
        c_slope = np.where(lives, slope, 0.0)
        return cls(
            encoder=(
                _constant(np.ones(spectrum.n_features), "sqrt_relu"),
                GatedLayer(slope, bias, read[:, None] * vectors.T, "sqrt_relu"),
            ),
            posterior=(
                GatedLayer(c_slope, bias, np.ones(k), "min_exp"),
                _constant(np.ones(k), "min_exp"),
            ),
            decoder=(
                GatedLayer(slope, bias, np.where(lives, root, 0.0), "sqrt_relu"),
                _constant(vectors, "sqrt_relu"),
            ),
            noise_variance=variance,
            offset=spectrum.mean,
        )

    @classmethod
    def published(cls, *, decoder: Any, noise_variance: float, offset: Any = None) -> Hypernetwork:
        r"""Parameters of the printed theorem, exact for the encoder of a fixed decoder (T1.b, f).

        .. math:: E = V \operatorname{diag}\!\big[\tfrac1{d_i}
                  \operatorname{sigmoid}(\log\tfrac{d_i^2}{\sigma^2} - \log\beta)\big] U^\top,\quad
                  c_j = \operatorname{sigmoid}(\log\beta - \log\tfrac{(D^\top D)_{jj}}{\sigma^2})

        for D = U diag(d) Vᵀ. The decoder is constant in β: its gates have slope 0. At the joint
        optimum, where the decoder moves with β, sigmoid gates cannot be exact (T1.c).

        Parameters
        ----------
        decoder : array (n, k)
            Any fixed D.
        noise_variance : float
            σ² > 0.
        offset : array (n,), optional
            Decoder offset, zero when omitted.

        Returns
        -------
        Hypernetwork

        Raises
        ------
        InputError
            D not a finite matrix with k <= n, σ² not positive.
        """
        matrix = as_matrix("decoder", decoder, "(n features, k latents)")
        variance = _one_variance(noise_variance)
        n, k = matrix.shape
        check_latent_dim(k, n)
        left, gains, right = np.linalg.svd(matrix, full_matrices=False)
        gains = np.where(gains > np.finfo(np.float64).eps * gains[0], gains, 0.0)
        norms = np.sqrt((matrix**2).sum(axis=0))
        bias_e, lives_e = _log_ratio(gains, variance)
        bias_c, lives_c = _log_ratio(norms, variance)
        read = np.where(lives_e, 1.0 / np.where(lives_e, gains, 1.0), 0.0)
        slope = np.where(lives_e, -1.0, 0.0)
        return cls(
            encoder=(
                GatedLayer(slope, bias_e, read[:, None] * left.T, "sigmoid"),
                _constant(right.T, "sigmoid"),
            ),
            posterior=(
                # A zero column of D: slope and bias 0 give ½, the base 2 makes it 1.
                GatedLayer(
                    np.where(lives_c, 1.0, 0.0), -bias_c, np.where(lives_c, 1.0, 2.0), "sigmoid"
                ),
                _constant(np.ones(k), "sigmoid"),
            ),
            decoder=(_constant(np.ones(k), "sqrt_relu"), _constant(matrix, "sqrt_relu")),
            noise_variance=variance,
            offset=np.zeros(n) if offset is None else as_vector("offset", offset, n),
        )

    def standardised(self, beta_range: tuple[float, float]) -> Hypernetwork:
        r"""Return the same function of β, whose gates read standardised log β.

        .. math:: w' = w s,\quad b' = b + w m,\quad
                  m = \tfrac{\log a + \log b}2,\ s = \tfrac{\log b - \log a}{\sqrt{12}}

        Parameters
        ----------
        beta_range : (a, b)
            Range of β, 0 < a < b, from which training draws log β uniformly.

        Returns
        -------
        Hypernetwork

        Raises
        ------
        InputError
            Not 0 < a < b.
        """
        low, high = as_positive(
            "beta_range",
            as_vector("beta_range", beta_range, 2),
            "pass the smallest and the largest β",
        )
        if low >= high:
            fail("beta_range", (low, high), "a < b", "pass the smallest β first")
        mean = (np.log(low) + np.log(high)) / 2
        std = (np.log(high) - np.log(low)) / np.sqrt(12)
        shift = (mean - self.input_mean) / self.input_std
        scale = std / self.input_std

        def moved(layer: GatedLayer) -> GatedLayer:
            w, b = layer.w_hyper, layer.b_hyper
            return GatedLayer(w * scale, b + w * shift, layer.base, layer.gate)

        def both(pair: tuple[GatedLayer, GatedLayer]) -> tuple[GatedLayer, GatedLayer]:
            return moved(pair[0]), moved(pair[1])

        return replace(
            self,
            encoder=both(self.encoder),
            posterior=both(self.posterior),
            decoder=both(self.decoder),
            input_mean=float(mean),
            input_std=float(std),
        )

    def __call__(self, beta: Any) -> LinearVAE:
        """Evaluate the gates at β, scale the rows, multiply the layers (Eq. 6 and Eq. 10).

        Parameters
        ----------
        beta : float or array (...)
            KL weight(s) > 0.

        Returns
        -------
        LinearVAE
            A batch of the shape of beta when that is an array.

        Raises
        ------
        InputError
            β not positive and finite.
        """
        weight = as_positive("beta", beta, "β weighs the rate and must be positive")
        inputs = (np.log(weight) - self.input_mean) / self.input_std
        encoder = _product(self.encoder, inputs)
        posterior = self.posterior[1].weights(inputs) * self.posterior[0].weights(inputs)
        decoder = _product(self.decoder, inputs)
        return LinearVAE(
            encoder=encoder,
            posterior_variance=check_no_underflow(posterior),
            decoder=decoder,
            noise_variance=np.asarray(self.noise_variance),
            encoder_offset=self.offset,
            decoder_offset=self.offset,
        )


def _product(layers: tuple[GatedLayer, GatedLayer], inputs: FloatArray) -> FloatArray:
    """Second layer times first, either of which may be diagonal; shape (..., rows, columns)."""
    first, second = layers[0].weights(inputs), layers[1].weights(inputs)
    if layers[1].is_diagonal:
        fail("second layer", "a diagonal layer", "a dense one", "put the diagonal layer first")
    if layers[0].is_diagonal:
        return np.asarray(second * first[..., None, :])
    return np.asarray(second @ first)


# A gate of slope 0 is constant; base weights are multiplied by its reciprocal, an exact power of 2.
_CONSTANT_BIAS = {
    "sigmoid": (0.0, 2.0),
    "sqrt_relu": (float(np.log(0.75)), 2.0),
    "min_exp": (0.0, 1.0),
}


def _constant(weights: FloatArray, gate: str) -> GatedLayer:
    """Build a layer that gives `weights` at every β through a constant gate."""
    bias, factor = _CONSTANT_BIAS[gate]
    rows = len(weights)
    return GatedLayer(np.zeros(rows), np.full(rows, bias), factor * weights, gate)


def _log_ratio(gains: FloatArray, variance: float) -> tuple[FloatArray, NDArray[np.bool_]]:
    lives = gains > 0
    safe = np.where(lives, gains, 1.0)
    return np.where(lives, 2 * np.log(safe) - np.log(variance), 0.0), lives


def _one_variance(noise_variance: Any) -> float:
    value = as_positive("noise_variance", noise_variance, "pass the decoder's variance σ²")
    if value.ndim:
        fail("noise_variance", f"shape {value.shape}", "one number", "pass a float")
    return float(value)
