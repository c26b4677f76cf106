"""Reading a trained model by asking it: what it does to inputs, whatever it is made of."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from linvae._types import LinearVAE, Sealed
from linvae._validation import FloatArray, as_vector, check_count, fail
from linvae.errors import SubjectError

from ._model_reader import READINGS, Convert, Reader, plausible_readings
from .sandbox import call

__all__ = ["Convert", "ReadModel", "read_model"]

_REPEATS = 64  # calls that are averaged when the answers are noisy
_ROUNDING = 1e-5  # what float32 arithmetic of a small network leaves, relative


@dataclass(frozen=True, eq=False)
class ReadModel(Sealed):
    r"""What a model does, as far as an affine map can say it.

    .. math:: \text{mean}(x) \approx E x + h, \qquad \hat x(z) \approx D z + m

    Attributes
    ----------
    encoder : ndarray, shape (k, n)
        E, the best affine fit over the probes.
    latent_offset : ndarray, shape (k,)
        h = mean(0) of that fit.
    posterior_variance : ndarray, shape (k,)
        Geometric mean of exp(log_var) over the probes.
    decoder : ndarray, shape (n, k)
        D.
    decoder_offset : ndarray, shape (n,)
        m.
    encoder_nonlinearity, decoder_nonlinearity : float
        Root mean square of what the affine fit misses, relative to what varies.
    variance_spread : float
        Largest standard deviation of a log_var over the probes: 0 where it ignores x.
    encoder_noise : ndarray, shape (k,)
        Standard deviation of the returned mean between calls with the same x.
    decoder_noise : float
        The same of x̂ for the same z, root mean square over features.
    batch_dependence : float
        Change of an answer when it is asked for alone, relative to what varies.
    mode_dependence : float or None
        Change of the answers between train() and eval(), relative; None without such modes.
    left_in_training : bool
        The model came back in training mode.
    saturates : bool
        Doubling a very large z no longer changes x̂: the output is bounded.
    encode_returns : str
        What the parts were taken for: ``"(mean, log_var)"`` unless another reading was asked for,
        or three parts begin with a sample.
    other_readings : tuple of str
        Values of `reading` that the numbers of this one allow.
    skipped : str or None
        Why an answer could not be asked for alone: the exception of the model.
    """

    encoder: FloatArray
    latent_offset: FloatArray
    posterior_variance: FloatArray
    decoder: FloatArray
    decoder_offset: FloatArray
    encoder_nonlinearity: float
    decoder_nonlinearity: float
    variance_spread: float
    encoder_noise: FloatArray
    decoder_noise: float
    batch_dependence: float
    mode_dependence: float | None
    left_in_training: bool
    saturates: bool
    encode_returns: str = READINGS["log_var"]
    other_readings: tuple[str, ...] = ()
    skipped: str | None = None

    @property
    def latent_dim(self) -> int:
        """Number of latents k."""
        return int(self.posterior_variance.size)

    @property
    def finite(self) -> bool:
        """Whether every number that was read is finite."""
        parts = (self.encoder, self.latent_offset, self.decoder, self.decoder_offset)
        good = all(np.isfinite(part).all() for part in parts)
        return good and bool(np.isfinite(np.log(self.posterior_variance)).all())

    def linear_vae(self, noise_variance: float) -> LinearVAE:
        """The affine model that was read, with the decoder variance that is declared for it."""
        return LinearVAE(
            self.encoder,
            self.posterior_variance,
            self.decoder,
            np.asarray(noise_variance),
            decoder_offset=self.decoder_offset,
            latent_offset=self.latent_offset,
        )


def read_model(
    model: Any,
    n_features: int,
    latent_dim: int | None = None,
    *,
    convert: Convert | None = None,
    mean: Any = None,
    root: Any = None,
    seed: int = 0,
    reading: str = "log_var",
) -> ReadModel:
    r"""Read E, h, C, D and m off a model through its ``encode`` and ``decode`` alone.

    .. math:: (E, h) = \arg\min \sum_x \lVert \text{mean}(x) - E x - h \rVert^2

    The fit is exact for an affine model, and the best linear description of any other over Gaussian
    inputs N(mean, root rootᵀ). Nothing is trained. A model with ``eval()`` is read in that mode and
    given back in its own.

    Parameters
    ----------
    model : object
        ``encode(x) -> (mean, log_var)`` with arrays (N, k), or three of them, (mean, log_var, z)
        or (z, mean, log_var), told apart by their numbers; ``decode(z) -> x_hat`` with an array
        (N, n) or a tuple that begins with one.
    n_features : int
        n.
    latent_dim : int, optional
        k; read off the model when omitted.
    convert : callable, optional
        Turns a float64 array into what the model takes, such as
        ``lambda a: torch.tensor(a, dtype=torch.float32)``.
    mean : array (n,), optional
        Centre of the probes, zero when omitted.
    root : array (n, m), optional
        Square root of the covariance of the probes; the identity when omitted.
    seed : int
        Of the probes.
    reading : {"log_var", "log_std", "std", "variance", "swapped"}
        What the pair is taken for; ``"swapped"`` is (log_var, mean).

    Returns
    -------
    ReadModel

    Raises
    ------
    SubjectError
        The model raised an exception, or returned what is no such array.
    InputError
        Sizes that make no sense.

    Examples
    --------
    >>> import numpy as np
    >>> class Mine:
    ...     def encode(self, x):
    ...         mean = x[:, :1] * 0.5
    ...         return mean, np.full_like(mean, np.log(0.25))
    ...
    ...     def decode(self, z):
    ...         return np.concatenate([z, 0 * z], axis=1) + 1.0
    >>> read = read_model(Mine(), 2)
    >>> np.round(read.encoder, 6), np.round(read.posterior_variance, 6)
    (array([[0.5, 0. ]]), array([0.25]))
    """
    n = check_count("n_features", n_features, 1, None, "pass the number of columns of X")
    if latent_dim is not None:
        check_count("latent_dim", latent_dim, 1, None, "pass the number of latents")
    if reading not in READINGS:
        fail("reading", repr(reading), f"one of {', '.join(READINGS)}", "leave it out")
    rng = np.random.default_rng(seed)
    reader = Reader(model, n, latent_dim, convert or (lambda array: array), reading)
    centre = np.zeros(n) if mean is None else as_vector("mean", mean, n)
    spread = np.eye(n) if root is None else np.asarray(root, dtype=np.float64)
    count = 4 * n + 96
    x = centre + rng.standard_normal((count, spread.shape[1])) @ spread.T
    left = bool(getattr(model, "training", False)) and callable(getattr(model, "eval", None))
    changed = _mode_dependence(reader, x)
    with _evaluating(model):
        return _read(reader, x, rng, left, changed)


def _read(
    reader: Reader,
    x: FloatArray,
    rng: np.random.Generator,
    left: bool,
    changed: float | None,
) -> ReadModel:
    answers, noise = _averaged(lambda: np.stack(reader.encode(x)))
    mean, log_var = answers
    E, h, missed = _affine(x, mean, noise[0])
    with np.errstate(over="ignore", invalid="ignore"):
        variance = np.exp(log_var.mean(axis=0))
        z = mean + np.sqrt(np.minimum(variance, 1e6)) * rng.standard_normal(mean.shape)
    # Half along what the encoder says, half along the prior: a dead latent is seen, too.
    z = np.concatenate([z, rng.standard_normal(z.shape)])
    z = np.where(np.isfinite(z), z, 0.0)
    (x_hat,), decoder_noise = _averaged(lambda: reader.decode(z)[None])
    D, m, bent = _affine(z, x_hat, decoder_noise[0])
    dependence, skipped = _batch_dependence(reader, x, z, (mean, x_hat), (noise[0], decoder_noise))
    return ReadModel(
        encoder=E,
        latent_offset=h,
        posterior_variance=variance,
        decoder=D,
        decoder_offset=m,
        encoder_nonlinearity=missed,
        decoder_nonlinearity=bent,
        variance_spread=float(np.max(np.std(log_var, axis=0))),
        encoder_noise=noise[0],
        decoder_noise=float(np.sqrt((decoder_noise[0] ** 2).mean())),
        batch_dependence=dependence,
        mode_dependence=changed,
        left_in_training=left,
        saturates=_saturates(reader, z, bent),
        encode_returns="(z, mean, log_var)" if reader.sample_first else READINGS[reader.reading],
        other_readings=plausible_readings(mean, log_var) if reader.reading == "log_var" else (),
        skipped=skipped,
    )


def _averaged(ask: Callable[[], FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Answers (parts, N, width), averaged over calls if they differ; noise (parts, width)."""
    first, second = ask(), ask()
    size = np.abs(first).max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        if not (np.abs(first - second) > _ROUNDING * size + 1e-12).any():
            return first, np.zeros((len(first), first.shape[-1]))
    calls = np.stack([first, second, *(ask() for _ in range(_REPEATS - 2))])
    return calls.mean(axis=0), np.sqrt(calls.var(axis=0, ddof=1).mean(axis=1))


def _affine(
    inputs: FloatArray, outputs: FloatArray, noise: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """Weight (out, in), offset (out,) and the relative size of what they miss, noise aside."""
    if not np.isfinite(outputs).all():
        nowhere = np.full(outputs.shape[1], np.nan)
        return np.full((outputs.shape[1], inputs.shape[1]), np.nan), nowhere, float("nan")
    # Columns of comparable size: a latent of tiny spread would vanish in the cut-off of lstsq.
    centre, scale = inputs.mean(axis=0), inputs.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    design = np.column_stack([(inputs - centre) / scale, np.ones(len(inputs))])
    solution = np.linalg.lstsq(design, outputs, rcond=1e-8)[0]
    weight = solution[:-1].T / scale
    missed = ((outputs - design @ solution) ** 2).mean(axis=0).sum()
    missed = max(0.0, missed - 2 * float((noise**2).sum()) / _REPEATS)
    varying = max(float(outputs.var(axis=0).sum()), 1e-12 * float((outputs**2).mean()), 1e-300)
    return weight, solution[-1] - weight @ centre, float(np.sqrt(missed / varying))


def _batch_dependence(
    reader: Reader,
    x: FloatArray,
    z: FloatArray,
    together: tuple[FloatArray, FloatArray],
    noise: tuple[FloatArray, FloatArray],
) -> tuple[float, str | None]:
    """Largest relative change of an answer that is asked for alone, and why one was not given.

    0 where answers are noisy. Some code refuses a batch of one, or batches of another size.
    """
    if noise[0].any() or noise[1].any():
        return 0.0, None
    # A part of the batch with other moments, and a single row.
    chosen = np.argsort(x[:, 0])[: max(2, len(x) // 8)]
    probes: tuple[tuple[Callable[[], FloatArray], Any, FloatArray], ...] = (
        (lambda: reader.encode(x[chosen]).mean, chosen, together[0]),
        (lambda: reader.decode(z[chosen]), chosen, together[1]),
        (lambda: reader.encode(x[:1]).mean, slice(1), together[0]),
    )
    largest, skipped = 0.0, None
    for ask, rows, whole in probes:
        try:
            largest = max(largest, _change(ask(), whole[rows], whole))
        except SubjectError as error:
            skipped = f"a batch of {len(whole[rows])}: {error}"
    return largest, skipped


def _change(one: FloatArray, other: FloatArray, whole: FloatArray) -> float:
    size = float(np.sqrt(whole.var(axis=0).sum() + 1e-12 * (whole**2).mean()))
    difference = float(np.sqrt(((one - other) ** 2).mean(axis=0).sum()))
    return difference / max(size, 1e-300) if np.isfinite(difference) else 0.0


def _mode_dependence(reader: Reader, x: FloatArray) -> float | None:
    """Relative change of x̂ between train() and eval(), averaged over calls; None without modes."""
    model = reader.model
    if not (callable(getattr(model, "eval", None)) and callable(getattr(model, "train", None))):
        return None
    with _evaluating(model):
        still = reader.decode(reader.encode(x).mean)
    with _evaluating(model, training=True):
        try:
            moved = reader.decode(reader.encode(x).mean)
        except SubjectError:  # some layers refuse to train without gradients
            return None
    return _change(moved, still, still)


@contextlib.contextmanager
def _evaluating(model: Any, training: bool = False) -> Iterator[None]:
    """Put the model, and every module in it, into one mode, and each back into its own."""
    if not (callable(getattr(model, "eval", None)) and callable(getattr(model, "train", None))):
        yield
        return
    modules = list(model.modules()) if callable(getattr(model, "modules", None)) else [model]
    flags = [(part, part.training) for part in modules if hasattr(part, "training")]
    buffers = _buffers(model)
    call(model.train if training else model.eval)
    try:
        yield
    finally:
        for part, flag in flags:
            part.training = flag
        for held, value in buffers:
            held[...] = value


def _buffers(model: Any) -> list[tuple[Any, Any]]:
    """Running statistics, which a forward pass in training mode would change."""
    if not callable(getattr(model, "buffers", None)):
        return []
    return [(held, held.detach().clone()) for held in model.buffers()]


def _saturates(reader: Reader, z: FloatArray, bent: float) -> bool:
    """Whether x̂ stops moving far out: true of tanh and sigmoid outputs, of no affine map."""
    if not bent > 1e-3:
        return False
    far = 1e3 * np.sign(z[:32]) * (1 + np.abs(np.sin(z[:32])))  # every latent far out, none tied
    near, beyond = reader.decode(far), reader.decode(2.0 * far)
    start = reader.decode(np.zeros_like(far))
    moved = np.abs(near - start).mean()
    return bool(np.abs(beyond - near).mean() < 0.05 * moved)
