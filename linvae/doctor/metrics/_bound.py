"""Examination of an importance-weighted bound, from log-densities or from a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from linvae._types import LinearVAE
from linvae._validation import FloatArray
from linvae.doctor.sandbox import as_numbers
from linvae.errors import SubjectError
from linvae.spectrum import Spectrum

from ._call import Caller, as_value, is_called, required_names
from ._match import Case, Guess, Outcome, diagnose, finding
from ._texts import BOUND
from ._weights import (
    Weights,
    bound,
    bound_problems,
    draw_weights,
    log_marginal,
    weight_guesses,
)

__all__ = ["LinearModel", "examine_bound"]

_ASKED = "Is it log (1/K) Σ p(x, zₖ) / q(zₖ|x), averaged over x, between ELBO and log p(x)?"
_COUNTS = (1, 4, 24)
_ROWS, _REPEATS, _DRAWS = 80, 6, 24
_FAR = 4000.0  # nats: exp of such log-weights underflows

_ARRAYS = ("log_weights", "log_px", "log_pz", "log_qz", "log_joint")
_MODEL = (
    "model",
    "encode",
    "decode",
    "x",
    "n_samples",
    "noise_variance",
    "noise_std",
    "batch_size",
)


class LinearModel:
    """What a bound that takes a model gets: encode, decode and noise_variance, nothing trained."""

    def __init__(self, model: LinearVAE, convert: Callable[[FloatArray], Any] | None) -> None:
        self._model, self._convert = model, convert or np.asarray
        self.noise_variance = float(model.noise_variance)
        self.latent_dim = model.latent_dim

    def encode(self, x: Any) -> tuple[Any, Any]:
        """Return (mean, log_var), each (N, k), of x (N, n)."""
        mean = self._model.encode(np.atleast_2d(as_numbers("x", x)))
        log_var = np.broadcast_to(np.log(self._model.posterior_variance), mean.shape)
        return self._convert(mean), self._convert(log_var.copy())

    def decode(self, z: Any) -> Any:
        """Means of p(x|z), (..., n), of latents (..., k)."""
        latents = as_numbers("z", z)
        flat = self._model.decode(latents.reshape(-1, latents.shape[-1]))
        return self._convert(flat.reshape(*latents.shape[:-1], -1))


def examine_bound(metric: Callable[..., Any], convert: Any, seed: int) -> Outcome:
    """Evaluate linear models whose ELBO and log-likelihood are exact, at several sample counts."""
    caller = _caller(metric, convert, seed)
    rng = np.random.default_rng((seed, 51))
    chosen = [
        (spectrum, model, spectrum.sample(_ROWS, rng)) for spectrum, model in bound_problems(rng)
    ]
    if "n_samples" not in caller.takes and "x" in caller.takes:
        raise SubjectError(
            "importance_weighted_bound: no parameter says how many importance samples to draw; "
            "add one, n_samples"
        )
    examine = _with_model if "n_samples" in caller.takes else _with_weights
    case, guesses, far = examine(caller, chosen, rng)
    best, found = diagnose(case, guesses, BOUND)
    if found is not None and examine is _with_model:
        # They draw: what a second look at other draws does not show was chance.
        second, guesses, _ = examine(caller, chosen, rng)
        other, doubt = diagnose(second, guesses, BOUND)
        if doubt is None:
            case, best, found = second, other, None
    facts = _facts(caller, chosen, case)
    if best is not None and not best.code:
        if best.note:
            facts["convention"] = best.note
        if not far:
            found = finding(case, "iw-underflow", BOUND, {"log-weights below, nats": -_FAR})
    return Outcome((_ASKED,), facts, () if found is None else (found,))


def _caller(metric: Callable[..., Any], convert: Any, seed: int) -> Caller:
    extra = ("seed", "rng")
    names = required_names(metric, ("n_samples",)) or ("model", "x", "n_samples")
    roles: tuple[str, ...] = (*_ARRAYS, *_MODEL, *extra)
    if len(names) == 1:
        return Caller(metric, ("log_weights",), ("log_weights",), convert, seed)
    with_model = any(is_called(n, role) for n in names for role in ("model", "encode", "decode"))
    if len(names) == 2 and not with_model:
        roles = ("log_joint", "log_px", "log_pz", "log_qz", "log_weights", *extra)
        return Caller(metric, roles, ("log_joint", "log_qz"), convert, seed)
    places = ("model", "x", "n_samples")
    return Caller(metric, roles, places, convert, seed, always=("n_samples",))


Chosen = list[tuple[Spectrum, LinearVAE, FloatArray]]


def _case(values: FloatArray, truth: FloatArray, slack: FloatArray) -> Case:
    names = tuple(f"problem {p + 1}, K = {k}" for p in range(len(values) // 3) for k in _COUNTS)
    return Case("iw", _ASKED, names, truth, values, slack, relative=1e-3)


def _with_weights(
    caller: Caller, chosen: Chosen, rng: np.random.Generator
) -> tuple[Case, Iterator[Guess], bool]:
    """Log-weights are passed: nothing is left to chance."""
    drawn = [draw_weights(m, x, k, rng) for _, m, x in chosen for k in _COUNTS]
    values = np.array([_of_arrays(caller, w) for w in drawn])
    guesses = []
    for guess in weight_guesses(drawn):
        code = guess.code
        if code == "iw-wrong-axis":  # a layout where there is no other evidence of the axis
            code, note = "", "one row per importance sample: (K, N)"
            guess = Guess(code, guess.values, note)
        guesses.append(guess)
    case = _case(values, guesses[0].values, np.full(values.size, 1e-4))
    far = _survives(lambda: _of_arrays(caller, drawn[1], _FAR))
    return case, _in_conventions(guesses), far


def _of_arrays(caller: Caller, w: Weights, far: float = 0.0) -> float:
    supply = {
        "log_px": w.log_px - far,
        "log_pz": w.log_pz,
        "log_qz": w.log_qz,
        "log_joint": w.log_joint - far,
        "log_weights": w.log_weights - far,
    }
    returned = caller(supply)
    count = int(np.size(as_numbers("importance_weighted_bound", _first(returned))))
    return as_value("importance_weighted_bound", returned, count)


def _first(returned: Any) -> Any:
    if isinstance(returned, tuple) and returned:
        return returned[0]
    return next(iter(returned.values())) if isinstance(returned, dict) else returned


def _survives(value: Callable[[], float]) -> bool:
    try:
        return bool(np.isfinite(value()))
    except SubjectError:
        return False


def _with_model(
    caller: Caller, chosen: Chosen, rng: np.random.Generator
) -> tuple[Case, Iterator[Guess], bool]:
    """They draw the latents: values are compared in mean, at the same x."""
    runs = np.array(
        [
            [_of_model(caller, m, x, k) for _ in range(_REPEATS)]
            for _, m, x in chosen
            for k in _COUNTS
        ]
    )
    repeats = [
        [draw_weights(m, x, k, rng) for _, m, x in chosen for k in _COUNTS] for _ in range(_DRAWS)
    ]
    reference = _bounds(repeats)
    error = reference.std(axis=0, ddof=1) * np.sqrt(1 / _REPEATS + 1 / _DRAWS)
    case = _case(runs.mean(axis=1), reference.mean(axis=0), 0.01 + 5 * error)

    def guesses() -> Iterator[Guess]:  # the costly ones only if the number is not right
        yield from _in_conventions([Guess("", case.truth)])
        wrong = _averaged([list(weight_guesses(r)) for r in repeats])
        yield from _in_conventions([*wrong, *_misread(chosen, rng)])

    _, model, x = chosen[-1]
    far = _survives(lambda: _of_model(caller, model, x + _far_off(model), 4))
    return case, guesses(), far


def _bounds(repeats: list[list[Weights]]) -> FloatArray:
    return np.array([[bound(w.log_weights) for w in row] for row in repeats])


def _far_off(model: LinearVAE) -> float:
    """How far every feature must be for log p(x|z) to be about minus _FAR."""
    return float(np.sqrt(2 * _FAR * model.noise_variance))


def _of_model(caller: Caller, model: LinearVAE, x: FloatArray, count: int) -> float:
    linear = LinearModel(model, caller.convert)
    supply = {
        "model": linear,
        "encode": linear.encode,
        "decode": linear.decode,
        "x": x,
        "n_samples": count,
        "noise_variance": linear.noise_variance,
        "noise_std": float(np.sqrt(linear.noise_variance)),
        "batch_size": x.shape[0],
    }
    return as_value("importance_weighted_bound", caller(supply), x.shape[0])


def _averaged(tables: list[list[Guess]]) -> list[Guess]:
    return [
        Guess(_of_axis(column[0].code), np.mean([g.values for g in column], axis=0))
        for column in zip(*tables, strict=True)
    ]


def _of_axis(code: str) -> str:
    """Weights averaged over the batch alone, or over the batch, too, are all but the same."""
    return "iw-over-batch" if code == "iw-wrong-axis" else code


def _misread(chosen: Chosen, rng: np.random.Generator) -> list[Guess]:
    """The posterior variance or the noise variance misread, or no noise at all."""
    options: tuple[tuple[str, Callable[[LinearVAE], dict[str, Any]]], ...] = (
        ("iw-log-var-as-log-std", lambda m: {"variance": m.posterior_variance**2}),
        ("iw-log-std-in-sampling", lambda m: {"drawn_with": m.posterior_variance**2}),
        (
            "iw-log-std-in-sampling",
            lambda m: {"drawn_with": m.posterior_variance**2, "of_noise": True},
        ),
        ("iw-variance-as-std", lambda m: {"variance": np.sqrt(m.posterior_variance)}),
        ("iw-no-noise", lambda m: {"quiet": True}),
        ("iw-noise-variance-ignored", lambda m: {"noise_variance": 1.0}),
        ("iw-noise-variance-ignored", lambda m: {"noise_variance": 0.5}),
    )
    guesses = []
    for code, option in options:
        repeats = [
            [draw_weights(m, x, k, rng, **option(m)) for _, m, x in chosen for k in _COUNTS]
            for _ in range(_DRAWS)
        ]
        guesses.append(Guess(code, _bounds(repeats).mean(axis=0)))
    return guesses


def _in_conventions(guesses: list[Guess]) -> Iterator[Guess]:
    """Each guess as it is, with the opposite sign, summed over the batch, or in bits."""
    scales = (
        (1.0, ""),
        (-1.0, "its negative: a loss to be minimised"),
        (float(_ROWS), f"summed over the batch of {_ROWS}: divide by the batch size"),
        (-float(_ROWS), f"negative and summed over the batch of {_ROWS}"),
        (1 / np.log(2), "in bits: multiply by log 2 for nats"),
        (-1 / np.log(2), "its negative, in bits: multiply by -log 2 for nats"),
    )
    for scale, note in scales:
        for guess in guesses:
            notes = "; ".join(filter(None, (guess.note, note)))
            yield Guess(guess.code, scale * guess.values, notes, scale)


def _facts(caller: Caller, chosen: Chosen, case: Case) -> dict[str, Any]:
    """The chain ELBO ≤ bound ≤ log-likelihood, for the x that were drawn."""
    facts: dict[str, Any] = {"passed": list(caller.takes), "n_samples": list(_COUNTS)}
    for i, (_, model, x) in enumerate(chosen):
        at = slice(i * len(_COUNTS), (i + 1) * len(_COUNTS))
        own = Spectrum.from_samples(x)
        evidence = float(log_marginal(model, x).mean())
        facts[f"problem {i + 1}"] = {
            "elbo": round(float(model.evaluate(own, 1.0).elbo), 4),
            "log_likelihood": round(evidence, 4),
            "returned": [round(float(v), 4) for v in case.values[at]],
            "expected": [round(float(v), 4) for v in case.truth[at]],
            "below_log_likelihood": [round(evidence - float(v), 4) for v in case.values[at]],
        }
    return facts
