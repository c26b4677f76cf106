"""The linear β-VAE as a scikit-learn estimator; the only module that imports scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
)
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from ._types import LinearVAE, Terms
from ._validation import FloatArray, as_positive, check_count, fail
from .calibrated import CalibratedFrontier
from .errors import UnboundedObjectiveError
from .frontier import Frontier
from .response import response
from .spectrum import Spectrum

__all__ = ["LinearBetaVAE"]

# Computation is in float64 whatever comes in; results go out in the type that came.
_DTYPES = ("float64", "float32")
# Loadings this close to the largest count as equal to it, so that rounding decides no sign.
_SIGN_SLACK = 1e-8


# scikit-learn has no types, hence the exemption.
class LinearBetaVAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    r"""Linear β-VAE fitted by its closed-form optimum, as a scikit-learn transformer.

    .. math:: \min_{E, C, D, \mu}\ \tfrac n2 \log(2\pi\sigma^2)
              + \frac{\mathbb E\lVert x - Dz - \mu\rVert^2}{2\sigma^2}
              + \beta\,\mathbb E\,\mathrm{KL}(q(z|x) \Vert p(z))

    At β = 1 with a calibrated noise variance it equals probabilistic PCA at maximum likelihood.

    Parameters
    ----------
    n_components : int, optional
        Number of latents k, 1 <= k <= n_features. The default is one less than the rank of the
        centred data, but at least 1: the largest k for which the likelihood has a maximum.
    beta : float, default 1.0
        Weight of the KL term, > 0.
    noise_variance : float, optional
        Decoder variance σ² > 0 in squared data units; ½ for "summed squared error + β KL". By
        default the one that is optimal at this β.

    Attributes
    ----------
    model_ : LinearVAE
        The fitted model, with everything :class:`linvae.LinearVAE` offers.
    spectrum_ : Spectrum
        Mean and covariance eigenpairs (ddof = 0) of the data. The largest loading of every
        eigenvector is positive, which fixes the signs of the latents.
    frontier_ : Frontier or CalibratedFrontier
        The rate-distortion curve along which :meth:`at_beta` moves: calibrated if
        ``noise_variance`` is None.
    critical_betas_ : ndarray, shape (k,)
        The β on that curve from which on each mode is dead, descending; 0 for one that never lives.
    mean_ : ndarray, shape (n_features,)
    encoder_ : ndarray, shape (k, n_features)
        E, rows √(λ−τ)₊/λ · uᵀ with τ = βσ².
    decoder_ : ndarray, shape (n_features, k)
        D, columns √(λ−τ)₊ · u.
    posterior_variance_ : ndarray, shape (k,)
        min(1, τ/λ).
    noise_variance_ : float
        σ², given or calibrated.
    beta_ : float
        β of the fit.
    n_components_ : int
        k.
    active_ : int
        Number of modes with λ > τ; the other latents carry nothing.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only for input with column names.

    Notes
    -----
    Log-likelihoods are in nats. Those of ``sklearn.decomposition.PCA`` are slightly lower on the
    training data, by (n/2)(log r − 1 + 1/r) with r = N/(N−1): it divides variances by N − 1.

    Examples
    --------
    >>> import numpy as np
    >>> from linvae import LinearBetaVAE
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((500, 4)) * [4.0, 2.0, 1.0, 0.5]
    >>> vae = LinearBetaVAE(n_components=2, noise_variance=1.0).fit(X)
    >>> vae.transform(X).shape, vae.active_
    ((500, 2), 2)
    >>> tight = vae.at_beta(6.0)  # no refit: the second mode is dead beyond its critical β
    >>> tight.active_, bool(vae.critical_betas_[1] < 6.0 < vae.critical_betas_[0])
    (1, True)
    >>> print(f"{vae.evaluate(X).rate:.2f} {tight.evaluate(X).rate:.2f}")  # nats
    2.04 0.51
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        beta: float = 1.0,
        noise_variance: float | None = None,
    ) -> None:
        self.n_components = n_components
        self.beta = beta
        self.noise_variance = noise_variance

    def fit(self, X: Any, y: Any = None) -> LinearBetaVAE:
        """Fit the model to X, shape (n_samples, n_features); y is ignored.

        Raises
        ------
        InputError
            Parameters out of range.
        UnboundedObjectiveError
            No noise variance is optimal, since the latents can carry all variance of the data.
        """
        samples = validate_data(self, X, dtype=_DTYPES)
        return self._fit_spectrum(_with_fixed_signs(Spectrum.from_samples(samples)))

    def transform(self, X: Any) -> NDArray[Any]:
        r"""Posterior means :math:`E(x-\mu)`, shape (n_samples, k).

        ``PCA.transform`` gives the projections :math:`u_i^\top(x-\mu)`, whose variances are λᵢ.
        Here each is multiplied by :math:`\sqrt{(\lambda_i-\tau)_+}/\lambda_i`, τ = βσ². As β → 0
        with σ² fixed that is ``PCA(whiten=True)`` (up to sign, and its division by N − 1); at
        larger β the latents are whitened and shrunk, to the variance 1 − τ/λᵢ on the training
        data, and those of dead modes (λᵢ ≤ τ) are zero.
        """
        samples = self._samples(X)
        return self.model_.encode(samples).astype(samples.dtype, copy=False)

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Decoder means D z + μ, shape (n_samples, n_features), of latents (n_samples, k).

        Not the inverse of :meth:`transform`: it gives the reconstruction of each sample, whose
        variance in mode i is shrunk from λᵢ to (λᵢ − τ)₊²/λᵢ.
        """
        check_is_fitted(self)
        latents = check_array(X, dtype=_DTYPES, input_name="X")
        return self.model_.decode(latents).astype(latents.dtype, copy=False)

    def score_samples(self, X: Any) -> FloatArray:
        r"""Log-likelihood :math:`\log p(x)` of each sample, nats, shape (n_samples,).

        .. math:: p(x) = \mathcal N(\mu,\; DD^\top + \sigma^2 I)
        """
        samples = self._samples(X).astype(np.float64, copy=False)
        return _log_likelihoods(self.model_, samples)

    def score(self, X: Any, y: Any = None) -> float:
        """Average log-likelihood of the samples, nats; y is ignored."""
        return float(self.score_samples(X).mean())

    def evaluate(self, X: Any) -> Terms:
        """Exact rate, distortion, squared error, objective and ELBO of the model on X."""
        samples = self._samples(X)
        return self.model_.evaluate(Spectrum.from_samples(samples), self.beta_)

    def sample(self, n_samples: int = 1, random_state: Any = None) -> FloatArray:
        """Draw from p(x), shape (n_samples, n_features).

        Parameters
        ----------
        n_samples : int
        random_state : int, numpy Generator or RandomState, optional
            Fresh entropy when omitted; the global state of NumPy is never used.
        """
        check_is_fitted(self)
        if isinstance(random_state, np.random.RandomState):
            random_state = random_state.randint(2**31, size=4)
        return self.model_.sample(n_samples, np.random.default_rng(random_state))

    def get_covariance(self) -> FloatArray:
        """Covariance D Dᵀ + σ² I of p(x), shape (n_features, n_features)."""
        check_is_fitted(self)
        covariance = self.decoder_ @ self.decoder_.T
        covariance[np.diag_indices_from(covariance)] += self.noise_variance_
        return np.asarray(covariance)

    def at_beta(self, beta: float) -> LinearBetaVAE:
        """Return a fitted estimator for another β, without the data and without refitting.

        Equals ``clone(self).set_params(beta=beta).fit(X)`` on the same X.

        Raises
        ------
        InputError
            β not one number > 0.
        UnboundedObjectiveError
            No noise variance is optimal at this β.
        """
        check_is_fitted(self)
        other: LinearBetaVAE = clone(self).set_params(beta=beta)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self, name):
                setattr(other, name, getattr(self, name))
        return other._fit_spectrum(self.spectrum_)

    def _fit_spectrum(self, spectrum: Spectrum) -> LinearBetaVAE:
        beta = _number("beta", self.beta)
        k = self._latent_dim(spectrum)
        curve, variance = self._curve(spectrum, beta, k)
        model = response(spectrum, beta, latent_dim=k, noise_variance=variance)
        self.model_, self.spectrum_, self.frontier_ = model, spectrum, curve
        self.beta_, self.n_components_, self.noise_variance_ = beta, k, variance
        self.mean_ = spectrum.mean
        self.encoder_, self.decoder_ = model.encoder, model.decoder
        self.posterior_variance_ = model.posterior_variance
        critical = curve.critical_betas
        self.critical_betas_ = np.concatenate([critical, np.zeros(k - critical.size)])
        self.active_ = int(np.count_nonzero(model.decoder.any(axis=0)))
        return self

    def _latent_dim(self, spectrum: Spectrum) -> int:
        if self.n_components is None:
            return max(1, spectrum.rank - 1)
        return check_count("n_components", self.n_components, 1, spectrum.n_features,
                           "choose 1 to n_features components, or None")  # fmt: skip

    def _curve(
        self, spectrum: Spectrum, beta: float, k: int
    ) -> tuple[Frontier | CalibratedFrontier, float]:
        if self.noise_variance is not None:
            given = _number("noise_variance", self.noise_variance)
            return Frontier(spectrum, latent_dim=k, noise_variance=given), given
        try:
            calibrated = CalibratedFrontier(spectrum, latent_dim=k)
            return calibrated, float(calibrated.noise_variance(beta))
        except UnboundedObjectiveError as error:
            raise UnboundedObjectiveError(
                f"noise_variance: got None for n_samples={spectrum.n_samples}, "
                f"n_features={spectrum.n_features}, rank {spectrum.rank}, {k} components and "
                f"beta={beta:g}; expected data with variance outside the latents, or a larger "
                "beta; pass noise_variance, or fewer n_components"
            ) from error

    def _samples(self, X: Any) -> NDArray[Any]:
        check_is_fitted(self)
        samples: NDArray[Any] = validate_data(self, X, dtype=_DTYPES, reset=False)
        return samples

    @property
    def _n_features_out(self) -> int:
        """Number of latents, for get_feature_names_out."""
        return self.n_components_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = list(_DTYPES)
        return tags


def _number(name: str, value: Any) -> float:
    number = as_positive(name, value, "pass one number > 0")
    if number.ndim:
        fail(name, f"shape {number.shape}", "one number > 0",
             "fit once and call at_beta for several β")  # fmt: skip
    return float(number)


def _with_fixed_signs(spectrum: Spectrum) -> Spectrum:
    """Make the largest loading of each eigenvector positive, the first one of equals."""
    vectors = spectrum.eigenvectors
    size = np.abs(vectors)
    largest = (size >= (1 - _SIGN_SLACK) * size.max(axis=0)).argmax(axis=0)
    signs = np.where(vectors[largest, np.arange(largest.size)] < 0, -1.0, 1.0)
    return replace(spectrum, eigenvectors=vectors * signs)


def _log_likelihoods(model: LinearVAE, samples: FloatArray) -> FloatArray:
    """Evaluate log N(x; μ, DDᵀ + σ²I) for orthogonal columns of D, which every optimum has."""
    gains = np.linalg.norm(model.decoder, axis=0)
    alive = gains > 0
    axes = model.decoder[:, alive] / gains[alive]  # shape: (n, active), orthonormal
    variance = float(model.noise_variance)
    total = gains[alive] ** 2 + variance
    centred = samples - model.decoder_offset
    along = centred @ axes  # shape: (N, active)
    outside = ((centred - along @ axes.T) ** 2).sum(axis=1)
    quadratic = outside / variance + (along**2 / total).sum(axis=1)
    n, m = axes.shape
    logdet = (n - m) * np.log(variance) + np.log(total).sum()
    return np.asarray(-0.5 * (n * np.log(2 * np.pi) + logdet + quadratic))
