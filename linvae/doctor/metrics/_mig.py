"""Examination of a mutual information gap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linvae._validation import FloatArray
from linvae.errors import SubjectError

from ._call import Caller, as_value
from ._match import Case, Guess, Outcome, diagnose, fit_in_size
from ._texts import MIG

__all__ = ["examine_mig", "gaussian_code_information"]

_ASKED = "Is it the mean over factors of (largest - second largest I(vₖ; zⱼ)) / H(vₖ)?"
_NOISE = 0.02  # standard deviation of a code, in units of the spacing of its levels
_SLACK = 0.05  # binning loses and gains a little
_LADDER, _REPEATS = (200, 400, 800, 1600), 4

ROLES = ("factors", "codes", "mean", "log_var", "z", "log_std", "std", "var", "seed", "rng")

Levels = NDArray[np.int64]

# Probabilities of each factor's values; for each design the codes as functions of the factors.
_PROBABILITIES = ((0.4, 0.3, 0.2, 0.1), (0.5, 0.3, 0.2), (0.7, 0.3))
_COPIES = 1000  # all products of the probabilities are multiples of 1/1000: counts are exact


@dataclass(frozen=True, eq=False)
class _Design:
    """Factors (N, F) and codes (N, k) whose mutual informations are entropies of partitions."""

    name: str
    factors: Levels
    levels: Levels  # (N, k): what each code says, before scale, offset and noise
    codes: FloatArray
    log_var: FloatArray

    @property
    def table(self) -> FloatArray:
        """I(zⱼ; vₖ) in nats, (k, F)."""
        return _table(self.levels, self.factors)

    @property
    def entropies(self) -> FloatArray:
        """H(vₖ) in nats, (F,)."""
        return np.array([_entropy(v) for v in self.factors.T])


def examine_mig(metric: Callable[..., Any], convert: Any, seed: int) -> Outcome:
    """Factors of unequal probabilities, codes whose information about them is known exactly."""
    caller = Caller(metric, ROLES, ("factors", "codes"), convert, seed)
    rng = np.random.default_rng((seed, 41))
    designs = _designs(rng)
    truth = np.array([_gap(d.table, d.entropies) for d in designs])
    values, rows = _values(caller, designs, truth)
    case = Case(
        "mig",
        _ASKED,
        tuple(d.name for d in designs),
        truth,
        values,
        np.full(len(designs), _SLACK),
        relative=0.0,
    )
    _, found = diagnose(case, _guesses(designs), MIG)
    facts: dict[str, Any] = {
        "passed": list(caller.takes),
        "layout": "one row per sample" if rows else "one row per factor and per code",
        "returned": [round(float(v), 4) for v in values],
        "exact": [round(float(v), 4) for v in truth],
    }
    if found is None:
        facts["bias"] = _against_size(caller, rng, rows)
    return Outcome((_ASKED,), facts, () if found is None else (found,))


def _values(caller: Caller, designs: list[_Design], truth: FloatArray) -> tuple[FloatArray, bool]:
    """Values, and whether samples were rows: where that is wrong, columns may be right."""
    straight: FloatArray | None = None
    if not _grows_like_columns(caller, designs[0]):
        try:
            straight = np.array([_value(caller, d) for d in designs])
        except SubjectError as error:
            failure = error
        else:
            if _agrees(straight, truth) or _is_reshaped(straight, designs):
                return straight, True
    try:
        turned = np.array([_value(caller, d, rows=False) for d in designs])
    except SubjectError:
        turned = np.full(len(designs), np.nan)
    if _agrees(turned, truth):
        return turned, False
    if straight is not None:
        return straight, True
    if np.isfinite(turned).all():
        return turned, False
    raise failure


def _agrees(values: FloatArray, truth: FloatArray) -> bool:
    return bool((np.abs(values - truth) <= _SLACK).all())


def _is_reshaped(values: FloatArray, designs: list[_Design]) -> bool:
    return any(_agrees(values, guess.values) for guess in _reshaped(designs))


def _grows_like_columns(caller: Caller, design: _Design) -> bool:
    """Whether time grows with the square of the rows, as when every row is taken for a code."""
    seconds = []
    for count in (25, 100):
        try:
            _value(caller, _subset(design, count))
        except SubjectError:
            return False
        seconds.append(caller.seconds)
    return seconds[1] > max(0.05, 8 * seconds[0])


def _subset(design: _Design, count: int) -> _Design:
    return _Design(
        design.name,
        design.factors[:count],
        design.levels[:count],
        design.codes[:count],
        design.log_var[:count],
    )


def _value(caller: Caller, design: _Design, rows: bool = True) -> float:
    supply: dict[str, Any] = {
        "factors": design.factors,
        "codes": design.codes,
        "mean": design.codes,
        "z": design.codes,
        "log_var": design.log_var,
        "log_std": design.log_var / 2,
        "std": np.exp(design.log_var / 2),
        "var": np.exp(design.log_var),
    }
    if not rows:
        supply = {name: np.ascontiguousarray(value.T) for name, value in supply.items()}
    returned = caller(supply)
    return as_value("mig", _averaged(returned, design.factors.shape[1]))


def _averaged(returned: Any, n_factors: int) -> Any:
    """One gap per factor is as good as their mean."""
    if isinstance(returned, list | np.ndarray) and np.shape(returned) == (n_factors,):
        return float(np.mean(returned))
    return returned


def _designs(rng: np.random.Generator) -> list[_Design]:
    grid = np.stack(np.meshgrid(*(np.arange(len(p)) for p in _PROBABILITIES), indexing="ij"), -1)
    cells = grid.reshape(-1, 3)
    share = np.array(
        [np.prod([p[i] for p, i in zip(_PROBABILITIES, c, strict=True)]) for c in cells]
    )
    v = rng.permutation(np.repeat(cells, np.rint(share * _COPIES).astype(int), axis=0))
    a, b, c = v.T
    nothing = rng.permutation(np.arange(len(v)) % 3)
    return [
        _design("each factor twice", v, (a // 2, b, a, 2 * c + (b == 0), nothing), rng),
        _design("merged values", v[:, :2], (a, (a == 0) + 0, (b == 0) + 0), rng),
        _design("one code for two factors", v[:, [0, 2]], (a + c, 2 * a + c, (a > 0) + c), rng),
        _design("nearly separate", v[:, 1:], (c, b, (b == 2) + 0), rng),
    ]


def _design(
    name: str, factors: Levels, levels: tuple[Levels, ...], rng: np.random.Generator
) -> _Design:
    known = np.stack(levels, axis=1)
    k = known.shape[1]
    scale = rng.permutation(np.geomspace(0.5, 2.0, k))
    noise = _NOISE * scale
    codes = known * scale + rng.uniform(-1, 1, k) + noise * rng.standard_normal(known.shape)
    log_var = np.broadcast_to(2 * np.log(noise), known.shape).copy()
    return _Design(name, np.ascontiguousarray(factors), known, codes, log_var)


def _entropy(values: NDArray[Any]) -> float:
    share = np.unique(values, return_counts=True)[1] / values.size
    return float(-(share * np.log(share)).sum())


def _table(codes: Levels, factors: Levels) -> FloatArray:
    """I(zⱼ; vₖ) of discrete codes (N, k) and factors (N, F)."""
    base = int(factors.max()) + 1
    joint = [[_entropy(z * base + v) for v in factors.T] for z in codes.T]
    h_codes = np.array([_entropy(z) for z in codes.T])
    h_factors = np.array([_entropy(v) for v in factors.T])
    return np.asarray(h_codes[:, None] + h_factors - np.array(joint))


def _gap(table: FloatArray, entropies: FloatArray | float) -> float:
    ordered = np.sort(table, axis=0)
    return float(((ordered[-1] - ordered[-2]) / entropies).mean())


def _binned(codes: FloatArray, bins: int = 20) -> Levels:
    """Equal bins for each column, from its smallest to its largest value."""
    low, high = codes.min(axis=0), codes.max(axis=0)
    return np.asarray(np.minimum((bins * (codes - low) / (high - low)).astype(int), bins - 1))


def _reshaped(designs: list[_Design]) -> Iterator[Guess]:
    """A reshape where a transpose is meant, of the codes, of the factors, or of both."""

    def mixed(array: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(array.reshape(array.shape[1], -1).T)

    both, codes, factors = [], [], []
    for d in designs:
        turned = _binned(mixed(d.codes))
        shuffled = np.asarray(mixed(d.factors), dtype=np.int64)
        entropies = np.array([_entropy(v) for v in shuffled.T])
        both.append(_gap(_table(turned, shuffled), entropies))
        codes.append(_gap(_table(turned, d.factors), d.entropies))
        factors.append(_gap(_table(_binned(d.codes), shuffled), entropies))
    for values in (both, codes, factors):
        yield Guess("mig-wrong-reshape", np.array(values))


def _guesses(designs: list[_Design]) -> Iterator[Guess]:
    tables = [(d.table, d.entropies) for d in designs]

    def of(rule: Callable[[FloatArray, FloatArray], float]) -> FloatArray:
        return np.array([rule(table, entropies) for table, entropies in tables])

    exact = of(_gap)
    yield Guess("", exact)
    yield Guess("mig-not-normalised", of(lambda t, h: _gap(t, 1.0)))
    values = [np.log([len(np.unique(v)) for v in d.factors.T]) for d in designs]
    logs = [_gap(d.table, n) for d, n in zip(designs, values, strict=True)]
    yield Guess("mig-normalised-by-log-values", np.array(logs))
    yield Guess("mig-normalised-by-largest", of(lambda t, h: _gap(t, t.max(axis=0))))
    yield Guess("mig-normalised-by-code-entropy", np.array([_by_code_entropy(d) for d in designs]))
    yield Guess("mig-wrong-axis", of(lambda t, h: _over_factors(t, h)))
    yield Guess("mig-wrong-axis", np.array([_over_factors(d.table, _code_h(d)) for d in designs]))
    yield Guess("mig-wrong-axis", of(lambda t, h: _over_factors(t, np.full(len(t), h.mean()))))
    yield Guess("mig-sorted-upwards", of(lambda t, h: _lowest_gap(t, h)))
    yield Guess("mig-sorted-upwards", of(lambda t, h: -_lowest_gap(t, h)))
    yield Guess("mig-normalised-by-mean-entropy", of(lambda t, h: _gap(t, h.mean())))
    yield Guess("mig-table-reshaped", of(lambda t, h: _gap(_misshapen(t), h)))
    yield Guess("mig-table-reshaped", of(lambda t, h: _gap(_misshapen(t), h.mean())))
    yield Guess("mig-gap-to-smallest", of(lambda t, h: float((np.ptp(t, axis=0) / h).mean())))
    yield Guess("mig-no-gap", of(lambda t, h: float((t.max(axis=0) / h).mean())))
    yield Guess("mig-gap-to-mean", of(_gap_to_mean))
    yield Guess("mig-summed-over-factors", of(lambda t, h: _gap(t, h) * h.size))
    yield Guess("mig-mixed-units", exact / np.log(2))
    yield Guess("mig-mixed-units", exact * np.log(2))
    yield Guess("mig-sign", -exact)
    yield from _reshaped(designs)


def _lowest_gap(table: FloatArray, entropies: FloatArray) -> float:
    """Smallest minus second smallest, where the list is sorted upwards; never above 0."""
    ordered = np.sort(table, axis=0)
    return float(((ordered[0] - ordered[1]) / entropies).mean())


def _misshapen(table: FloatArray) -> FloatArray:
    """The table (k, F) after reshape(F, k) where .T is meant, as (k, F) again."""
    return table.reshape(table.shape[1], -1).T


def _code_h(design: _Design) -> FloatArray:
    return np.array([max(_entropy(z), 1e-12) for z in design.levels.T])


def _by_code_entropy(design: _Design) -> float:
    best = _code_h(design)[design.table.argmax(axis=0)]
    return _gap(design.table, best)


def _over_factors(table: FloatArray, entropies: FloatArray) -> float:
    """Return the gap between the two factors that a code says most about."""
    ordered = np.sort(table, axis=1)
    gaps = ordered[:, -1] - ordered[:, -2]
    own = entropies if entropies.size == gaps.size else entropies[table.argmax(axis=1)]
    return float((gaps / own).mean())


def _gap_to_mean(table: FloatArray, entropies: FloatArray) -> float:
    return float(((table.max(axis=0) - table.mean(axis=0)) / entropies).mean())


def gaussian_code_information(levels: FloatArray, shares: FloatArray, noise: float) -> float:
    r"""I(v; z) of a discrete factor and a code z = level(v) + noise, by quadrature, nats.

    .. math:: I = h(z) - \tfrac12 \log 2\pi e s^2
    """
    low, high = levels.min() - 10 * noise, levels.max() + 10 * noise
    grid = np.linspace(low, high, 4001)
    bells = np.exp(-((grid[:, None] - levels) ** 2) / (2 * noise**2))
    density = bells @ shares / np.sqrt(2 * np.pi * noise**2)
    safe = np.where(density > 0, density, 1.0)
    entropy = -float((density * np.log(safe)).sum() * (grid[1] - grid[0]))
    return entropy - 0.5 * float(np.log(2 * np.pi * np.e * noise**2))


def _against_size(caller: Caller, rng: np.random.Generator, rows: bool) -> dict[str, Any]:
    """Two factors, a noisy code for each and a noisier copy: bins and small samples both count."""
    shares = [np.array(p) for p in _PROBABILITIES[:2]]
    noise = (0.25, 0.35, 0.8, 0.9)
    known = [
        [gaussian_code_information(np.arange(float(p.size)), p, s) for s in noise[i::2]]
        for i, p in enumerate(shares)
    ]
    entropies = [-float((p * np.log(p)).sum()) for p in shares]
    truth = float(np.mean([(a - b) / h for (a, b), h in zip(known, entropies, strict=True)]))

    def draw(n: int) -> _Design:
        v = np.stack([rng.choice(p.size, size=n, p=p) for p in shares], axis=1)
        levels = np.concatenate([v, v], axis=1)
        codes = levels + np.array(noise) * rng.standard_normal(levels.shape)
        log_var = np.broadcast_to(2 * np.log(noise), codes.shape).copy()
        return _Design("noisy codes", v, levels, codes, log_var)

    table = [[_value(caller, draw(n), rows) for _ in range(_REPEATS)] for n in _LADDER]
    return fit_in_size(_LADDER, table, truth)
