"""The frozen types that all modules share. They hold numbers; the mathematics lives elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._validation import (
    FloatArray,
    as_array,
    as_positive,
    as_positive_number,
    check_count,
    check_finite,
    check_generator,
    fail,
    frozen,
)

if TYPE_CHECKING:
    from .linear_vae import ElboSplit, Information
    from .spectrum import Spectrum

__all__ = ["CurvePoints", "LinearVAE", "NormalisedGap", "Sealed", "Terms"]


class Sealed:
    """Base of result classes: their arrays are read-only views, also in copies and pickles."""

    def __post_init__(self) -> None:
        self.__setstate__(dict(vars(self)))

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            if isinstance(value, np.ndarray):
                value = value.view()
                value.flags.writeable = False
            object.__setattr__(self, name, value)


def _zero() -> FloatArray:
    return np.zeros(())


class _Quality:
    """What follows from the squared error of a model as of a point of a curve."""

    squared_error: Any
    n_features: int

    def psnr(self, data_range: float) -> FloatArray:
        r"""Peak signal-to-noise ratio :math:`10\log_{10}(r^2 n / \varepsilon)` in decibels.

        Infinite where the squared error is 0.

        Raises
        ------
        InputError
            A range that is not one finite number > 0.
        """
        remedy = "pass max - min of the data, 1 for [0, 1]"
        peak = as_positive_number("data_range", data_range, remedy)
        with np.errstate(divide="ignore"):
            error = np.log10(self.squared_error)
        return np.asarray(10 * (2 * np.log10(peak) + np.log10(self.n_features) - error))


@dataclass(frozen=True, eq=False)
class Terms(_Quality, Sealed):
    r"""The parts of the β-VAE objective of a model on some data.

    .. math:: L_\beta = \mathcal D + \beta \mathcal R, \qquad
              \mathcal D = \tfrac n2 \log(2\pi\sigma^2) + \frac{\varepsilon}{2\sigma^2}

    Every attribute is a scalar for a single model, or an array over its batch.

    Attributes
    ----------
    beta, noise_variance : float or ndarray
    rate : float or ndarray
        Average KL(q(z|x) ‖ p(z)), nats.
    distortion : float or ndarray
        Average of −log p(x|z), nats.
    squared_error : float or ndarray
        E‖x − Dz − m‖², summed over dimensions, no ½, in squared data units.
    objective : float or ndarray
        distortion + beta · rate, nats.
    n_features : int
    """

    beta: Any
    rate: Any
    distortion: Any
    squared_error: Any
    objective: Any
    noise_variance: Any
    n_features: int

    @property
    def elbo(self) -> Any:
        """Evidence lower bound −(distortion + rate), nats, whatever β the model was made for."""
        return -(self.distortion + self.rate)

    @property
    def bits_per_dimension(self) -> Any:
        """Negative ELBO in bits, per data dimension."""
        return -self.elbo / (self.n_features * np.log(2))


@dataclass(frozen=True, eq=False)
class CurvePoints(_Quality, Sealed):
    """Points of a rate-distortion curve; all arrays have the shape of the query.

    Attributes
    ----------
    beta : ndarray
        Minus the slope of the curve there. At rate 0 the smallest such β, the largest critical one.
    rate, distortion : ndarray
        In nats.
    squared_error : ndarray
        Summed over dimensions, in squared data units.
    active : ndarray of int
        Number of modes with λ > water level.
    noise_variance : ndarray
        Decoder variance σ² at each point (one number repeated unless it is calibrated).
    n_features : int
    """

    beta: FloatArray
    rate: FloatArray
    distortion: FloatArray
    squared_error: FloatArray
    active: NDArray[np.intp]
    noise_variance: FloatArray
    n_features: int

    @property
    def objective(self) -> FloatArray:
        """Lagrangian distortion + beta · rate, nats."""
        return self.distortion + self.beta * self.rate

    @property
    def water_level(self) -> FloatArray:
        """Water level τ = β σ², in squared data units; inf above the float64 range."""
        with np.errstate(over="ignore"):
            return np.asarray(self.beta * self.noise_variance)

    @property
    def bits_per_dimension(self) -> FloatArray:
        """Negative ELBO (distortion + rate) in bits, per data dimension."""
        return np.asarray((self.distortion + self.rate) / (self.n_features * np.log(2)))


@dataclass(frozen=True, eq=False)
class NormalisedGap(Sealed):
    """Excess of measured points, relative to what a collapsed model would lose where that counts.

    Attributes
    ----------
    value : float or ndarray
        0 = optimal, 1 = no better than ignoring the data; in nats where `in_nats` is True.
    in_nats : bool or ndarray of bool
        True where a collapsed model would lose at most 1 nat, too little to divide by.
    collapsed_loss : float or ndarray
        Excess of a collapsed model, nats.
    """

    value: Any
    in_nats: Any
    collapsed_loss: Any


@dataclass(frozen=True, eq=False)
class LinearVAE(Sealed):
    r"""A linear VAE: any parameters, optimal or not, one model or a batch of them.

    .. math:: q(z|x) = \mathcal N(E(x - m_e) + h,\; \operatorname{diag} c), \qquad
              p(x|z) = \mathcal N(D z + m_d,\; \sigma^2 I), \qquad p(z) = \mathcal N(0, I)

    Leading dimensions of the parameters are batch dimensions and broadcast.

    Parameters
    ----------
    encoder : array (..., k, n)
        E.
    posterior_variance : array (..., k)
        c, the diagonal of C, > 0.
    decoder : array (..., n, k)
        D.
    noise_variance : float or array (...)
        σ² > 0, squared data units.
    encoder_offset, decoder_offset : array (..., n) or number, optional
        mₑ and m_d, zero when omitted. At the optimum both are the data mean.
    latent_offset : array (..., k) or number, optional
        h, zero when omitted: the part of a trained encoder's bias that no mₑ can express.

    Raises
    ------
    InputError
        Shapes that do not fit, values that are not finite, variances that are not positive, k > n.
    """

    encoder: FloatArray
    posterior_variance: FloatArray
    decoder: FloatArray
    noise_variance: FloatArray
    encoder_offset: FloatArray = field(default_factory=_zero)
    decoder_offset: FloatArray = field(default_factory=_zero)
    latent_offset: FloatArray = field(default_factory=_zero)

    def __post_init__(self) -> None:
        given = {name: as_array(name, getattr(self, name)) for name in _CORE_NDIM}
        if given["encoder"].ndim < 2 or 0 in given["encoder"].shape:
            fail(
                "encoder",
                f"shape {given['encoder'].shape}",
                "(..., k latents, n features)",
                "pass the matrix E, one row per latent",
            )
        k, n = given["encoder"].shape[-2:]
        if k > n:
            fail(
                "encoder",
                f"{k} latents for {n} features",
                "k <= n",
                "pass E as (latents, features), transposed if need be",
            )
        for name in ("posterior_variance", "noise_variance"):
            as_positive(
                name, given[name], "pass variances, not log-variances or standard deviations"
            )
        core = {
            "encoder": (k, n),
            "posterior_variance": (k,),
            "decoder": (n, k),
            "noise_variance": (),
            "encoder_offset": (n,),
            "decoder_offset": (n,),
            "latent_offset": (k,),
        }
        for name, array in _broadcast(given, core).items():
            object.__setattr__(self, name, frozen(array))

    @classmethod
    def from_layers(
        cls,
        encoder: Any,
        decoder: Any,
        *,
        log_variance: Any,
        noise_variance: Any,
        layout: str = "out_in",
    ) -> LinearVAE:
        """Import trained weights; see :func:`linvae.importer.from_layers`."""
        from .importer import from_layers

        return from_layers(
            encoder,
            decoder,
            log_variance=log_variance,
            noise_variance=noise_variance,
            layout=layout,
        )

    @property
    def latent_dim(self) -> int:
        """Number of latents k."""
        return int(self.encoder.shape[-2])

    @property
    def n_features(self) -> int:
        """Number of data dimensions n."""
        return int(self.encoder.shape[-1])

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch of models; () for a single one."""
        return self.encoder.shape[:-2]

    def __getitem__(self, index: Any) -> LinearVAE:
        """Pick models out of a batch (an index into the batch dimensions only)."""
        if not self.batch_shape:
            raise TypeError("LinearVAE: got an index into a single model; only a batch takes one")
        flat = np.arange(np.prod(self.batch_shape)).reshape(self.batch_shape)[index]
        dims = len(self.batch_shape)
        return LinearVAE(
            **{
                name: array.reshape(-1, *array.shape[dims:])[flat]
                for name, array in vars(self).items()
            }
        )

    def encode(self, samples: Any) -> FloatArray:
        r"""Posterior means :math:`E(x - m_e) + h`, shape (..., N, k), of samples (..., N, n)."""
        x = _rows("samples", samples, self.n_features)
        centred = x - self.encoder_offset[..., None, :]
        return np.asarray(
            centred @ np.swapaxes(self.encoder, -1, -2) + self.latent_offset[..., None, :]
        )

    def decode(self, latents: Any) -> FloatArray:
        r"""Means :math:`D z + m_d` of p(x|z), shape (..., N, n), of latents (..., N, k)."""
        z = _rows("latents", latents, self.latent_dim)
        return np.asarray(z @ np.swapaxes(self.decoder, -1, -2) + self.decoder_offset[..., None, :])

    def sample(self, n_samples: int, rng: np.random.Generator, *, noise: bool = True) -> FloatArray:
        """Draw from the model, shape (..., n_samples, n); without `noise`, means of p(x|z) only."""
        count = check_count("n_samples", n_samples, 1, None, "ask for at least one sample")
        check_generator(rng)
        means = self.decode(rng.standard_normal((*self.batch_shape, count, self.latent_dim)))
        if not noise:
            return means
        scale = np.sqrt(self.noise_variance)[..., None, None]
        return np.asarray(means + scale * rng.standard_normal(means.shape))

    # What follows is defined, with its equations, in linvae.linear_vae.

    def evaluate(self, spectrum: Spectrum, beta: Any) -> Terms:
        """Exact rate, distortion and objective; see :func:`linvae.linear_vae.evaluate`."""
        from . import linear_vae

        return linear_vae.evaluate(self, spectrum, beta)

    def log_likelihood(self, spectrum: Spectrum) -> Any:
        """Average log p(x) in nats; see :func:`linvae.linear_vae.log_likelihood`."""
        from . import linear_vae

        return linear_vae.log_likelihood(self, spectrum)

    def information(self, spectrum: Spectrum) -> Information:
        """Where the rate goes; see :func:`linvae.linear_vae.information`."""
        from . import linear_vae

        return linear_vae.information(self, spectrum)

    def elbo_split(self, spectrum: Spectrum) -> ElboSplit:
        """Four terms of the ELBO; see :func:`linvae.linear_vae.elbo_split`."""
        from . import linear_vae

        return linear_vae.elbo_split(self, spectrum)


# Fields of LinearVAE, with the number of dimensions one model's parameter has.
_CORE_NDIM = {
    "encoder": 2,
    "posterior_variance": 1,
    "decoder": 2,
    "noise_variance": 0,
    "encoder_offset": 1,
    "decoder_offset": 1,
    "latent_offset": 1,
}


def _broadcast(
    given: dict[str, NDArray[Any]], core: dict[str, tuple[int, ...]]
) -> dict[str, FloatArray]:
    """Check each parameter's own shape and give all of them the same batch shape."""
    shaped = {}
    for name, array in given.items():
        check_finite(name, array)
        need = core[name]
        # A number stands for an offset that is the same in every dimension.
        if array.ndim == 0 and name.endswith("_offset"):
            array = np.full(need, array, dtype=np.float64)
        if array.shape[array.ndim - len(need) :] != need or array.ndim < len(need):
            fail(
                name,
                f"shape {array.shape}",
                f"(..., {', '.join(map(str, need))})",
                "E is (k, n), c is (k,), D is (n, k), data offsets are (n,)",
            )
        shaped[name] = array.astype(np.float64)
    batches = [a.shape[: a.ndim - len(core[name])] for name, a in shaped.items()]
    try:
        batch = np.broadcast_shapes(*batches)
    except ValueError:
        fail(
            "LinearVAE",
            f"batch shapes {batches}",
            "shapes that broadcast",
            "give every parameter the same leading dimensions",
        )
    return {name: np.broadcast_to(a, batch + core[name]) for name, a in shaped.items()}


def _rows(name: str, value: Any, width: int) -> FloatArray:
    array = as_array(name, value)
    if array.ndim < 2 or array.shape[-1] != width:
        fail(name, f"shape {array.shape}", f"(..., N, {width})", "pass one row per sample")
    check_finite(name, array)
    return array.astype(np.float64, copy=False)
