"""Holding someone's trainer, or a model they trained, against the exact optimum."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from linvae._validation import as_positive_number, as_vector, check_count, check_spectrum
from linvae.doctor.examination import Examination, Finding
from linvae.doctor.model import Convert, ReadModel, read_model
from linvae.doctor.sandbox import State, call, undisturbed
from linvae.errors import SubjectError
from linvae.spectrum import Spectrum

from ._facts import facts_of
from ._hypotheses import Fit, factor_of
from ._laws import Laws, read_laws, stand
from ._readings import settle_reading
from ._sources import Source, SourcePlan, plan_sources
from ._verdict import conclude, settle_noise_variance

__all__ = ["examine_model", "examine_trainer"]

_ASKED = (
    "Do the trained parameters show the KL weight that was asked for?",
    "Do the decoder and the posterior variances see the same noise?",
    "Is every part of the model at its best value, given the others?",
    "Are the modes alive that should be?",
    "Does the model find the mean of the data?",
    "Does the trained model answer the same question in the same way?",
    "Has it converged?",
)

Progress = Callable[[int, int], None]


def examine_trainer(
    fit: Callable[..., Any],
    *,
    noise_variance: float | None = None,
    betas: Sequence[float] | None = None,
    seeds: Sequence[int] = (0,),
    quick: bool = False,
    convert: Convert | None = None,
    state: State | None = None,
    subject: str | None = None,
    progress: Progress | None = None,
) -> Examination:
    r"""Run a trainer on Gaussian sources with known optima and say what its models show.

    .. math:: \hat\tau_j = \frac{c_j \lVert d_j\rVert^2}{1 - c_j}, \qquad
              \hat\beta = \hat\tau / \sigma^2

    Parameters
    ----------
    fit : callable
        ``fit(X, beta, latent_dim, seed) -> model`` called by position, with X (N, n) and a model as
        :func:`linvae.doctor.model.read_model` reads it.
    noise_variance : float, optional
        σ² of the loss that is minimised: ½ for a sum of squares without ½, 1 with it. When omitted,
        whichever of the two fits better is taken, and named in the facts.
    betas : sequence of float, optional
        Weights to train at, one per source in turn. With a single one, a trainer that inverts or
        ignores beta cannot be told from one whose weight is off by a factor.
    seeds : sequence of int
        Each source is trained once for each.
    quick : bool
        Two sources instead of four: no modes near their critical beta, no ties.
    convert : callable, optional
        Turns a float64 array into what their code takes.
    state : callable, optional
        Makes a context manager that keeps more global state, such as torch's seeds.
    subject : str, optional
        Name in the report.
    progress : callable(done, total), optional
        Called after every fit.

    Returns
    -------
    Examination
        Facts: effective β, excess in nats, water levels mode by mode for every run.

    Raises
    ------
    InputError
        Options that make no sense. Exceptions of the examined code become `failure`.

    Examples
    --------
    >>> import linvae as lv
    >>> from linvae.doctor.training import examine_trainer
    >>> class Model:
    ...     def __init__(self, vae): self.vae = vae
    ...     def encode(self, x):
    ...         mean = self.vae.encode(x)
    ...         return mean, np.log(self.vae.posterior_variance) + 0 * mean
    ...     def decode(self, z): return self.vae.decode(z)
    >>> def fit(X, beta, latent_dim, seed):
    ...     spectrum = lv.Spectrum.from_samples(X)
    ...     return Model(lv.response(spectrum, beta, latent_dim=latent_dim, noise_variance=0.5))
    >>> examine_trainer(fit).healthy
    True
    """
    declared = None if noise_variance is None else _variance(noise_variance)
    weights = None if betas is None else [float(b) for b in as_vector("betas", betas)]
    for beta in weights or ():
        as_positive_number("betas", beta, "β weighs the rate and must be positive")
    for seed in seeds:
        check_count("seeds", seed, 0, 2**32 - 1, "pass integers")
    runner = _Runner(fit, declared, tuple(int(s) for s in seeds), convert, progress)
    name = subject or str(getattr(fit, "__qualname__", type(fit).__name__))
    return _examined("trainer", name, lambda: runner.run(plan_sources(weights, quick)), state)


def examine_model(
    model: Any,
    data: Any,
    beta: float,
    *,
    noise_variance: float | None = None,
    latent_dim: int | None = None,
    convert: Convert | None = None,
    state: State | None = None,
    subject: str | None = None,
    seed: int = 0,
) -> Examination:
    """Hold one trained model against the optimum at the β it was trained for.

    Parameters
    ----------
    model : object
        As :func:`linvae.doctor.model.read_model` reads it.
    data : array (N, n) or Spectrum
        What it was trained on.
    beta : float
        KL weight > 0 it was trained with.
    noise_variance : float, optional
        As for :func:`examine_trainer`.
    latent_dim : int, optional
        k; read off the model when omitted.
    convert, state, subject, seed
        As for :func:`examine_trainer`; the seed is that of the probes.

    Returns
    -------
    Examination

    Raises
    ------
    InputError
        Data or options that make no sense. Exceptions of the examined code become `failure`.
    """
    declared = None if noise_variance is None else _variance(noise_variance)
    weight = as_positive_number("beta", beta, "β weighs the rate and must be positive")
    check_count("seed", seed, 0, 2**32 - 1, "pass an integer")
    spectrum = data if hasattr(data, "leading_eigenvalues") else Spectrum.from_samples(data)
    check_spectrum(spectrum)
    source = Source("theirs", np.zeros((0, spectrum.n_features)), spectrum, 0, weight)

    def run() -> _Outcome:
        fit = _read_fit(model, source, latent_dim, seed, convert, 0.0)
        if fit.read.latent_dim > spectrum.n_features:
            raise SubjectError(
                f"model: got {fit.read.latent_dim} latents for {spectrum.n_features} features; a "
                "linear optimum uses at most one latent per feature"
            )
        return _judged([fit], declared)

    return _examined("model", subject or type(model).__name__, run, state)


_Outcome = tuple[dict[str, Any], tuple[Finding, ...]]


def _variance(value: float) -> float:
    return as_positive_number("noise_variance", value, "pass ½ for a sum of squares without ½")


def _examined(
    kind: Any, subject: str, run: Callable[[], _Outcome], state: State | None
) -> Examination:
    start = time.perf_counter()
    facts: dict[str, Any] = {}
    found: tuple[Finding, ...] = ()
    failure = None
    with undisturbed(state):
        try:
            facts, found = run()
        except SubjectError as error:
            failure = str(error)
    seconds = time.perf_counter() - start
    return Examination(kind, subject, _ASKED, facts, found, failure, seconds)


class _Runner:
    """Fits in order; what earlier ones show decides what is trained next."""

    def __init__(
        self,
        fit: Callable[..., Any],
        declared: float | None,
        seeds: tuple[int, ...],
        convert: Convert | None,
        progress: Progress | None,
    ) -> None:
        self._fit, self._declared, self._seeds = fit, declared, seeds
        self._convert, self._progress = convert, progress
        self._done = self._total = 0

    def run(self, plans: tuple[SourcePlan, ...]) -> _Outcome:
        self._total = len(plans) * len(self._seeds)
        fits = self._train(plans[0], 0.5 if self._declared is None else self._declared)
        fits += self._follow_up(plans[0], settle_reading(fits, self._declared)[0])
        as_meant, _ = settle_reading(fits, self._declared)
        variance = settle_noise_variance(as_meant, self._declared)
        for plan in plans[1:]:
            fits += self._train(plan, variance)
        return _judged(fits, self._declared)

    def _follow_up(self, plan: SourcePlan, fits: list[Fit]) -> list[Fit]:
        """Other weights where nothing, or everything, is encoded at the first."""
        variance = 0.5 if self._declared is None else self._declared
        scales: tuple[float, ...]
        if all(f.read.latent_dim > f.width for f in fits):
            scales = ()
        elif not any(f.laws is not None and f.laws.alive.any() for f in fits):
            scales = (1 / 30, 1 / 1000) if all(f.read.finite for f in fits) else ()
        else:
            factor = np.nanmedian([factor_of(f, variance) for f in fits])
            scales = (30.0,) if factor < 0.05 else ()
        self._total += len(scales) * len(self._seeds)
        more = []
        for scale in scales:
            more += self._train(plan, variance, plan.beta * scale)
        return more

    def _train(self, plan: SourcePlan, variance: float, beta: float | None = None) -> list[Fit]:
        fits = []
        for seed in self._seeds:
            source = plan.build(variance, seed, beta)
            given = source.samples.copy()
            start = time.perf_counter()
            model = call(
                self._fit,
                given if self._convert is None else self._convert(given),
                source.beta,
                source.latent_dim,
                seed,
            )
            seconds = time.perf_counter() - start
            # Any number of latents is read; one that was not asked for is a finding.
            fits.append(_read_fit(model, source, None, seed, self._convert, seconds))
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._total)
        return fits


def _read_fit(
    model: Any,
    source: Source,
    latent_dim: int | None,
    seed: int,
    convert: Convert | None,
    seconds: float,
) -> Fit:
    """Read a model over inputs like those of the source, and solve the laws."""
    spectrum = source.spectrum

    def ask(reading: str) -> tuple[ReadModel, Laws | None]:
        read = read_model(
            model, spectrum.n_features, latent_dim, convert=convert, mean=spectrum.mean,
            root=spectrum.root, seed=seed, reading=reading,
        )  # fmt: skip
        small = read.latent_dim <= spectrum.n_features  # an optimum has no more latents
        laws = read_laws(read.linear_vae(1.0), spectrum) if read.finite and small else None
        return read, laws

    read, laws = ask("log_var")
    others = {name: ask(name) for name in read.other_readings}
    return Fit(source, seed, read, laws, None, seconds, others)


def _judged(fits: list[Fit], declared: float | None) -> _Outcome:
    fits, misread = settle_reading(fits, declared)
    variance = settle_noise_variance(fits, declared)
    fits = [_placed(fit, variance) for fit in fits]
    found, best, _ = conclude(fits, variance, declared=declared is not None)
    return facts_of(fits, variance, declared, best), (*misread, *found)


def _placed(fit: Fit, variance: float) -> Fit:
    """The same fit with its place against the optimum, for which σ² must be known."""
    if fit.laws is None:
        return fit
    vae = fit.read.linear_vae(variance)
    return replace(fit, standing=stand(vae, fit.source.spectrum, fit.source.beta))
