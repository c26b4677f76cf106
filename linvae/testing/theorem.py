"""The theorem as a test suite for somebody else's implementation of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linvae._types import LinearVAE
from linvae.frontier import Frontier
from linvae.response import decoder_given_encoder, encoder_given_decoder

from .strategies import KINDS, Array, Problem, betas, generators, problems

__all__ = ["theorem_suite"]


def theorem_suite(
    response: Callable[..., Any],
    hypernetwork: Callable[..., Callable[[float], Any]] | None = None,
    *,
    tolerance: float = 1e-9,
    max_examples: int = 50,
) -> type:
    r"""Property tests of the response functions, as a class that pytest collects.

    .. math:: L_\beta(\psi(\beta)) = \min_{E, C, D} L_\beta(E, C, D)
              \quad\text{for every } \beta > 0

    Assign the result to a name that starts with ``Test`` in a test module::

        from linvae.testing import theorem_suite
        TestMine = theorem_suite(my_response, my_hypernetwork)

    Everything compared is free of gauge: signs, order and rotations of latents are yours.

    Parameters
    ----------
    response : callable
        ``response(spectrum, beta, latent_dim=k, noise_variance=s2)`` with a float β; anything
        with attributes encoder (k, n), posterior_variance (k,) and decoder (n, k).
    hypernetwork : callable, optional
        ``hypernetwork(spectrum, latent_dim=k, noise_variance=s2)``; the result is called at β.
    tolerance : float
        Allowed error, relative to the size of what is compared.
    max_examples : int
        Examples per property.

    Returns
    -------
    type
        One method per property; those of the hypernetwork only where one is given. They raise
        AssertionError, with the problem that was drawn.

    Notes
    -----
    Source: Bae et al. 2023, Theorem 1, as corrected by the claims T1.a and T1.d.
    """
    model = _reader(response)
    checks: dict[str, Callable[..., None]] = {
        name: _property(check, model, tolerance, max_examples) for name, check in _RESPONSE.items()
    }
    if hypernetwork is not None:
        network = _reader(_called_at_beta(hypernetwork))
        checks |= {
            f"{name}_by_the_hypernetwork": _property(check, network, tolerance, max_examples)
            for name, check in _RESPONSE.items()
        }
    return type("TheoremSuite", (), {name: staticmethod(check) for name, check in checks.items()})


Reader = Callable[[Problem, float], LinearVAE]


def _called_at_beta(hypernetwork: Callable[..., Callable[[float], Any]]) -> Callable[..., Any]:
    def respond(spectrum: Any, beta: float, **sizes: Any) -> Any:
        return hypernetwork(spectrum, **sizes)(beta)

    return respond


def _reader(response: Callable[..., Any]) -> Reader:
    """Whatever the implementation returns, with both offsets at the data mean."""

    def read(problem: Problem, beta: float) -> LinearVAE:
        found = response(problem.spectrum, beta, **problem.options)
        return LinearVAE(
            encoder=np.asarray(found.encoder),
            posterior_variance=np.asarray(found.posterior_variance),
            decoder=np.asarray(found.decoder),
            noise_variance=np.asarray(problem.s2),
            encoder_offset=problem.population.mean,
            decoder_offset=problem.population.mean,
        )

    return read


def _property(
    check: Callable[[Problem, float, np.random.Generator, Reader, float], None],
    read: Reader,
    tolerance: float,
    max_examples: int,
) -> Callable[[], None]:
    """Let hypothesis draw the problem, the β and the generator."""

    @settings(
        max_examples=max_examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(problems(kinds=KINDS, max_n=6), st.data())
    def test(problem: Problem, data: st.DataObject) -> None:
        beta = data.draw(betas(problem.critical), label="beta")
        check(problem, beta, data.draw(generators()), read, tolerance)

    test.__doc__ = check.__doc__
    return test


def _curve(problem: Problem) -> Frontier:
    return Frontier(problem.spectrum, **problem.options)


def _size(problem: Problem, beta: float) -> float:
    """Sum of the absolute terms of the objective: the unit of its rounding errors."""
    n, variance = problem.population.n, problem.s2
    rate = float(_curve(problem).at_beta(beta).rate)
    constant = abs(0.5 * n * np.log(2 * np.pi * variance))
    return float(constant + problem.population.values.sum() / (2 * variance) + beta * rate + 1)


def _top(problem: Problem) -> float:
    """Largest eigenvalue; data without variance are measured by the noise."""
    return float(problem.population.values[0]) or problem.s2


def _near(got: Array, want: Array, tolerance: float, what: str, size: float = 1.0) -> None:
    """Entries agree up to a share of the size such entries can have at any β."""
    off = float(np.abs(got - want).max()) / size
    assert off <= tolerance, f"{what} is off by {off:.2g} of its size; allowed {tolerance:.2g}"


def _on_the_frontier(
    problem: Problem, beta: float, _: np.random.Generator, read: Reader, tolerance: float
) -> None:
    """The objective at β is the least possible one."""
    reached = read(problem, beta).evaluate(problem.spectrum, beta)
    best = _curve(problem).at_beta(beta)
    off = abs(float(reached.objective - best.objective)) / _size(problem, beta)
    assert off <= tolerance, f"β = {beta:g}: objective off by {off:.2g} of its size"


def _not_improvable(
    problem: Problem, beta: float, rng: np.random.Generator, read: Reader, tolerance: float
) -> None:
    """No change of the parameters, small or large, lowers the objective."""
    model = read(problem, beta)
    least = float(model.evaluate(problem.spectrum, beta).objective)
    root = np.sqrt(max(float(problem.population.values[0]), problem.s2))
    for step in (1e-3, 0.03, 1.0):
        other = LinearVAE(
            encoder=model.encoder + step / root * rng.standard_normal(model.encoder.shape),
            posterior_variance=model.posterior_variance
            * np.exp(step * rng.standard_normal(problem.k)),
            decoder=model.decoder + step * root * rng.standard_normal(model.decoder.shape),
            noise_variance=model.noise_variance,
            encoder_offset=model.encoder_offset,
            decoder_offset=model.decoder_offset,
        )
        gain = least - float(other.evaluate(problem.spectrum, beta).objective)
        assert gain <= tolerance * _size(problem, beta), f"β = {beta:g}: {gain:.2g} nats to gain"


def _prior_on_average(
    problem: Problem, beta: float, _: np.random.Generator, read: Reader, tolerance: float
) -> None:
    """The aggregated posterior is the prior: E S Eᵀ + C = I."""
    model = read(problem, beta)
    # Through a root of S: a dense covariance has lost its small eigenvalues to rounding.
    means = model.encoder @ problem.spectrum.root
    whole = means @ means.T + np.diag(model.posterior_variance)
    _near(whole, np.eye(problem.k), tolerance, "E S Eᵀ + C")


def _collapsed_beyond(
    problem: Problem, beta: float, _: np.random.Generator, read: Reader, tolerance: float
) -> None:
    """Beyond the largest critical β the model ignores the data."""
    top = max(float(problem.critical[0]), beta if problem.critical[0] == 0 else 0.0)
    for factor in (1.0, 1.5, 1e3):
        model = read(problem, top * factor)
        terms = model.evaluate(problem.spectrum, top * factor)
        assert abs(float(terms.rate)) <= tolerance, f"β = {top * factor:g}: rate {terms.rate:.2g}"
        _near(model.posterior_variance, np.ones(problem.k), tolerance, "the posterior variance")


def _each_answers_the_other(
    problem: Problem, beta: float, _: np.random.Generator, read: Reader, tolerance: float
) -> None:
    """Each side is the best response to the other one."""
    model = read(problem, beta)
    root = problem.spectrum.root
    answer = encoder_given_decoder(model.decoder, beta, noise_variance=problem.s2)
    _near(answer.posterior_variance, model.posterior_variance, tolerance, "C given D")
    # E S Eᵀ <= I bounds the entries of E times a root of S.
    _near(answer.encoder @ root, model.encoder @ root, tolerance, "E given D")
    decoder = decoder_given_encoder(
        problem.spectrum, model.encoder, model.posterior_variance, noise_variance=problem.s2
    ).decoder
    _near(decoder, model.decoder, tolerance, "D given E", np.sqrt(_top(problem)))


def _one_unit_of_length(
    problem: Problem, beta: float, _: np.random.Generator, read: Reader, tolerance: float
) -> None:
    """Data, mean and noise measured in another unit give the same model in that unit."""
    plain, unit = read(problem, beta), 4.0  # a power of two: exact in floating point
    population = type(problem.population)(
        problem.population.values * unit**2,
        problem.population.vectors,
        problem.population.mean * unit,
        problem.population.kind,
    )
    scaled = read(Problem(population, problem.k, problem.s2 * unit**2), beta)
    _near(scaled.decoder @ scaled.encoder, plain.decoder @ plain.encoder, tolerance, "D E")
    got = scaled.decoder @ scaled.decoder.T / unit**2
    _near(got, plain.decoder @ plain.decoder.T, tolerance, "D Dᵀ", _top(problem))
    variances = (np.sort(model.posterior_variance) for model in (scaled, plain))
    _near(next(variances), next(variances), tolerance, "the posterior variance")


_RESPONSE = {
    "test_the_objective_is_on_the_frontier": _on_the_frontier,
    "test_nothing_nearby_is_better": _not_improvable,
    "test_the_aggregated_posterior_is_the_prior": _prior_on_average,
    "test_beyond_the_critical_beta_the_data_are_ignored": _collapsed_beyond,
    "test_each_side_answers_the_other": _each_answers_the_other,
    "test_units_do_not_matter": _one_unit_of_length,
}
