"""Explanations of what trained models show, each scored against the same evidence.

An explanation predicts, for every latent that carries something, the three numbers of
:mod:`linvae.doctor.training._laws`. Its misfit is how far they are from what was read, relative;
the explanation with the least misfit plus a small price for its freedom is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from linvae._validation import FloatArray
from linvae.doctor.model import ReadModel

from ._laws import Laws, Standing
from ._sources import Source

__all__ = ["MISFIT", "Explanation", "Fit", "best_explanation", "explanations", "factor_of"]

MISFIT = 0.30  # above it no explanation explains
_FLOOR = 0.03  # of a latent's own scale: what cannot be told from zero in a trained model
_NOISE_FLOOR = 0.15  # the same for the noise, which is read from a small difference
_CAP = 2.0  # one wild latent must not decide alone
# A free factor fits everything a little better than the right one: 0.9 to 1.1 stay unsaid.
_CONSTANT_PRICE = 0.06
_NATURAL_PRICE = 0.05
_HALF_PRICE = 0.03


@dataclass(frozen=True, eq=False)
class Fit:
    """One model of theirs, read and held against the optimum; laws are None where not finite."""

    source: Source
    seed: int
    read: ReadModel
    laws: Laws | None
    standing: Standing | None
    seconds: float
    # What is read and solved when the parts of encode() are taken for something else.
    others: Mapping[str, tuple[ReadModel, Laws | None]] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """Number of features n."""
        return self.source.spectrum.n_features

    @property
    def count(self) -> int | None:
        """Number of samples N, where known."""
        return self.source.spectrum.n_samples


@dataclass(frozen=True)
class _Prediction:
    """τ of the encoder, v of the decoder and c; None where an explanation leaves it open."""

    level: FloatArray | None
    noise: FloatArray | None
    variance: FloatArray | None


Predict = Callable[[Fit, Laws, float], _Prediction]  # the float is τ = βσ² as declared


@dataclass(frozen=True)
class Explanation:
    """A code, what it predicts, and how well it fits."""

    code: str
    predict: Predict
    price: float
    factor: float | None = None  # of the KL weight, where it is one number
    formula: str = ""
    correction: str = ""  # what the KL term is to be multiplied by
    misfit: float = float("inf")

    @property
    def factor_only(self) -> bool:
        """Whether it says that the weight of the KL is off, or nothing."""
        return bool(self.formula)

    @property
    def cost(self) -> float:
        """Misfit plus price."""
        return self.misfit + self.price


def factor_of(fit: Fit, noise_variance: float) -> float:
    """Effective over declared β of one model: the median over its latents and both levels."""
    laws = fit.laws
    if laws is None or not laws.alive.any():
        return float("nan")
    tau = fit.source.beta * noise_variance
    levels = np.concatenate([laws.encoder_level[laws.alive], laws.variance_level[laws.alive]])
    # An encoder level below its rounding floor says "small", no more; the other says how small.
    usable = levels[np.isfinite(levels) & (levels > 0)]
    return float(np.exp(np.median(np.log(usable / tau)))) if usable.size else float("nan")


def best_explanation(
    fits: Sequence[Fit],
    noise_variance: float,
    *,
    declared: bool,
    factors_only: bool = False,
) -> tuple[Explanation, list[Explanation]]:
    """Return the cheapest explanation, and all of them from the cheapest to the dearest.

    With `factors_only`, those of which every part is right but the weight of the KL.
    """
    scored = [
        replace(e, misfit=_misfit(e, fits, noise_variance))
        for e in explanations(fits, noise_variance, declared=declared)
        if e.factor_only or not factors_only
    ]
    scored.sort(key=lambda e: e.cost)
    return scored[0], scored


def _misfit(explanation: Explanation, fits: Sequence[Fit], noise_variance: float) -> float:
    total = weight = 0.0
    for fit in fits:
        if fit.laws is None or not fit.laws.alive.any():
            continue
        said = explanation.predict(fit, fit.laws, fit.source.beta * noise_variance)
        off = _off(fit.laws, said)[fit.laws.alive]
        sure = np.clip(np.abs(fit.laws.share[fit.laws.alive]), 0.0, 1.0)
        total += float((sure * off).sum() / sure.sum())
        weight += 1.0
    return total / weight if weight else float("inf")


def _off(laws: Laws, said: _Prediction) -> FloatArray:
    """Root mean square over the predicted laws of each latent's relative error, shape (k,)."""
    parts = []
    if said.level is not None:
        size = np.abs(said.level) + _FLOOR * laws.eigenvalue
        parts.append((laws.encoder_level - said.level) / size)
    if said.noise is not None:
        parts.append((laws.seen_noise - said.noise) / (said.noise + _NOISE_FLOOR * laws.signal))
    if said.variance is not None:
        parts.append(np.log(laws.variance / said.variance))
    capped = [np.minimum(np.abs(np.nan_to_num(part, nan=_CAP)), _CAP) ** 2 for part in parts]
    return np.asarray(np.sqrt(np.mean(capped, axis=0)))


def explanations(
    fits: Sequence[Fit], noise_variance: float, *, declared: bool
) -> Iterator[Explanation]:
    """Everything that is held against the evidence."""
    yield Explanation("right", _scaled(lambda fit: 1.0), 0.0, 1.0, "1")
    yield from _natural_factors(noise_variance, declared)
    yield from _free_factors(fits, noise_variance)
    yield from _structural(fits)
    yield from _with_one_number(fits, noise_variance)


def _scaled(factor: Callable[[Fit], float]) -> Predict:
    def predict(fit: Fit, laws: Laws, tau: float) -> _Prediction:
        level = np.full(laws.variance.size, factor(fit) * tau)
        return _Prediction(level, laws.variance, _balanced(laws, factor(fit) * tau))

    return predict


def _constant(number: float) -> Callable[[Fit], float]:
    return lambda fit: number


def _times(number: float, shape: Callable[[Fit], float]) -> Callable[[Fit], float]:
    return lambda fit: number * shape(fit)


def _balanced(laws: Laws, tau: float) -> FloatArray:
    """Posterior variance τ/(‖d‖² + τ) that balances error and KL."""
    return np.asarray(tau / (laws.decoder_norms + tau))


def _natural_factors(noise_variance: float, declared: bool) -> Iterator[Explanation]:
    halves = (1.0, 0.5, 2.0) if declared else (1.0,)
    shapes: tuple[tuple[str, str, str, Callable[[Fit], float]], ...] = (
        ("squared-error-averaged", "n", "1 / n", lambda f: f.width),
        ("kl-averaged-over-latents", "1/k", "k", lambda f: 1 / f.read.latent_dim),
        ("both-averaged", "n/k", "k / n", lambda f: f.width / f.read.latent_dim),
        ("kl-divided-by-features", "1/n", "n", lambda f: 1 / f.width),
        ("kl-multiplied-by-latents", "k", "1 / k", lambda f: f.read.latent_dim),
        ("kl-summed-over-batch", "N", "1 / N", lambda f: f.count or np.nan),
        ("kl-divided-by-batch-size", "1/N", "N", lambda f: 1 / f.count if f.count else np.nan),
        ("beta-inverted", "1/beta^2", "beta^2", lambda f: f.source.beta**-2),
        ("beta-squared", "beta", "1 / beta", lambda f: f.source.beta),
    )
    for half in halves:
        if half != 1.0:
            yield Explanation(
                "half-missing",
                _scaled(_constant(half)),
                _HALF_PRICE,
                half,
                f"{half:g}",
                f"{1 / half:g}",
            )
        for code, text, inverse, shape in shapes:
            yield Explanation(
                code,
                _scaled(_times(half, shape)),
                _NATURAL_PRICE if half == 1.0 else _NATURAL_PRICE + 0.005,
                formula=text if half == 1.0 else f"{half:g} {text}",
                correction=inverse if half == 1.0 else f"{1 / half:g} · {inverse}",
            )
    if declared and noise_variance not in (0.5, 1.0):
        for used in (0.5, 1.0):
            ratio = used / noise_variance
            text = f"{used:g}/noise_variance"
            code = "decoder-variance-forgotten"
            inverse = f"{1 / ratio:.4g}"
            price = 0.8 * _HALF_PRICE
            yield Explanation(code, _scaled(_constant(ratio)), price, ratio, text, inverse)


def _free_factors(fits: Sequence[Fit], noise_variance: float) -> Iterator[Explanation]:
    """One number fitted to the evidence: a constant factor, a constant weight, one that grows."""
    shapes: tuple[tuple[str, str, str, Callable[[Fit], float], float], ...] = (
        ("factor", "constant", "", lambda f: 1.0, _CONSTANT_PRICE),
        ("beta-ignored", "constant/beta", " · beta", lambda f: 1 / f.source.beta, 0.055),
        ("annealing-unfinished", "constant N", " / N", lambda f: f.count or np.nan,
         _CONSTANT_PRICE + 0.01),
    )  # fmt: skip
    factors = np.array([factor_of(fit, noise_variance) for fit in fits])
    for code, text, inverse, shape, price in shapes:
        if code != "factor" and len({shape(f) for f in fits}) < 2:
            continue
        ratios = factors / np.array([shape(f) for f in fits])
        ratios = ratios[np.isfinite(ratios)]
        if not ratios.size:
            continue
        number = float(np.exp(np.median(np.log(ratios))))
        if code == "annealing-unfinished" and max(number * shape(f) for f in fits) > 1.02:
            continue
        named = _name_of_constant(number) if code == "factor" else code
        told = f"{1 / number:.4g}{inverse}"
        yield Explanation(named, _scaled(_times(number, shape)), price, number, text, told)


def _name_of_constant(factor: float) -> str:
    if factor > 1:
        return "kl-weight-too-large" if factor < 7.5 else "kl-summed-over-batch"
    return "annealing-unfinished" if factor > 0.02 else "kl-divided-by-batch-size"


def _structural(fits: Sequence[Fit]) -> Iterator[Explanation]:
    """Faults that touch one term or one block, not the whole weight."""
    logs = [np.log(f.laws.variance[f.laws.alive]) for f in fits if f.laws is not None]
    pooled = np.concatenate(logs) if logs else np.zeros(0)
    same = float(np.exp(np.median(pooled))) if pooled.size else 1.0

    def full(laws: Laws, value: float) -> FloatArray:
        return np.full(laws.variance.size, value)

    def vanished(laws: Laws, tau: float) -> FloatArray:
        return np.minimum(laws.variance, 0.03 * _balanced(laws, tau))

    table: dict[str, Predict] = {
        "no-sampling-noise": lambda f, w, t: _Prediction(None, full(w, 0.0), full(w, 1.0)),
        "log-variance-not-trained": lambda f, w, t: _Prediction(
            full(w, t), w.variance, full(w, same)
        ),
        "mean-missing-from-kl": lambda f, w, t: _Prediction(
            full(w, 0.0), w.variance, _balanced(w, t)
        ),
        "variance-missing-from-kl": lambda f, w, t: _Prediction(
            full(w, t), w.variance, vanished(w, t)
        ),
        "kl-never-on": lambda f, w, t: _Prediction(full(w, 0.0), w.variance, vanished(w, t)),
        "log-variance-is-log-std": lambda f, w, t: _Prediction(
            full(w, t), w.variance**2, np.sqrt(_balanced(w, t))
        ),
        "log-std-in-sampling": lambda f, w, t: _Prediction(
            full(w, t), w.variance**2, _sampled_as_std(w, t)
        ),
        "log-std-in-kl": lambda f, w, t: _Prediction(full(w, t), w.variance, _kl_as_std(w, t)),
        "square-root-in-sampling": lambda f, w, t: _Prediction(
            full(w, t), np.sqrt(w.variance), _sampled_as_root(w, t)
        ),
    }
    for code, predict in table.items():
        yield Explanation(code, predict, _NATURAL_PRICE)


def _with_one_number(fits: Sequence[Fit], noise_variance: float) -> Iterator[Explanation]:
    """A prior of another variance, and a floor under the posterior variances."""
    levels, variances = [np.zeros(0)], [np.zeros(0)]
    for fit in fits:
        if fit.laws is not None:
            alive = fit.laws.alive
            levels.append(fit.source.beta * noise_variance / fit.laws.encoder_level[alive])
            variances.append(fit.laws.variance[alive])
    ratios, read = np.concatenate(levels), np.concatenate(variances)
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    prior = float(np.median(ratios)) if ratios.size else 1.0
    if not 0.8 < prior < 1.25:

        def wider(fit: Fit, laws: Laws, tau: float) -> _Prediction:
            level = np.full(laws.variance.size, tau / prior)
            return _Prediction(level, laws.variance, prior * _balanced(laws, tau / prior))

        yield Explanation("prior-variance", wider, _CONSTANT_PRICE, prior)
    floor = float(read.min(initial=np.inf))
    # At least two at the floor and one above it, or nothing speaks for a floor; none is above 1.
    if floor < 0.95 and (read < 1.01 * floor).sum() >= 2 and (read > 1.2 * floor).any():
        for trained in (False, True):

            def floored(fit: Fit, laws: Laws, tau: float, trained: bool = trained) -> _Prediction:
                balanced = _balanced(laws, tau)
                seen = laws.variance if trained else balanced
                level = np.full(laws.variance.size, tau)
                return _Prediction(level, seen, np.maximum(balanced, floor))

            code = "log-variance-clamped" if trained else "log-variance-clamped-at-evaluation"
            yield Explanation(code, floored, _NATURAL_PRICE, floor)


def _sampled_as_std(laws: Laws, tau: float) -> FloatArray:
    """Root of 2‖d‖²c²/τ + c = 1: the noise has variance c², the KL reads c."""
    ratio = np.maximum(laws.decoder_norms / tau, 1e-12)
    return np.asarray((np.sqrt(1 + 8 * ratio) - 1) / (4 * ratio))


def _sampled_as_root(laws: Laws, tau: float) -> FloatArray:
    """Root of √c ‖d‖²/(2τ) + c = 1: the noise has variance √c, the KL reads c."""
    half = laws.decoder_norms / (4 * tau)
    return np.asarray((np.sqrt(half**2 + 1) - half) ** 2)


def _kl_as_std(laws: Laws, tau: float) -> FloatArray:
    """Root of c² + c‖d‖²/(2τ) = 1: the noise has variance c, the KL reads c²."""
    half = laws.decoder_norms / (4 * tau)
    return np.asarray(np.sqrt(half**2 + 1) - half)
