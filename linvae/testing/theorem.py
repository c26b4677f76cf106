"""The theorem as a test suite for somebody else's implementation of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException

from linvae._types import LinearVAE
from linvae._validation import as_array, as_positive_number, check_count, check_finite, fail
from linvae.errors import InputError, InputTypeError
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

    Everything compared is free of gauge: signs and order of the latents are yours, and the basis
    inside tied eigenvalues.

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
        AssertionError, with the problem that was drawn, also where your code raises an exception
        or returns something else.

    Raises
    ------
    InputError
        response or hypernetwork not callable, tolerance not a number > 0, max_examples not an
        integer >= 1.

    Notes
    -----
    Source: Bae et al. 2023, Theorem 1, as corrected by the claims T1.a and T1.d.
    """
    allowed = as_positive_number("tolerance", tolerance, "pass a share such as 1e-9")
    examples = check_count("max_examples", max_examples, 1, None, "draw at least one example")
    readers = {"": _reader("response", _callable("response", response))}
    if hypernetwork is not None:
        network = _called_at_beta(_callable("hypernetwork", hypernetwork))
        readers["_by_the_hypernetwork"] = _reader("hypernetwork", network)
    # Like that of a named tuple: the module in which the class is made.
    home = sys._getframe(1).f_globals.get("__name__", __name__)
    members: dict[str, Any] = {
        name + suffix: staticmethod(_property(check, name + suffix, home, read, allowed, examples))
        for suffix, read in readers.items()
        for name, check in _RESPONSE.items()
    }
    whose = " and ".join(_name_of(each) for each in (response, hypernetwork) if each is not None)
    doc = f"Properties that Theorem 1, as corrected, demands of {whose}."
    return type("TheoremSuite", (), {**members, "__doc__": doc, "__module__": home})


Reader = Callable[[Problem, float], LinearVAE]
Check = Callable[[Problem, float, np.random.Generator, Reader, float], None]


def _callable(name: str, value: Any) -> Callable[..., Any]:
    if not callable(value):
        got = f"{type(value).__name__} {str(value)[:60]}"
        fail(name, got, "a function", "pass the function itself, not its result", InputTypeError)
    return value  # type: ignore[no-any-return]


def _name_of(function: Any) -> str:
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def _called_at_beta(hypernetwork: Callable[..., Callable[[float], Any]]) -> Callable[..., Any]:
    def respond(spectrum: Any, beta: float, **sizes: Any) -> Any:
        network = hypernetwork(spectrum, **sizes)
        if not callable(network):
            got = f"{type(network).__name__} {str(network)[:60]}"
            raise AssertionError(f"your hypernetwork returned {got}; expected a function of beta")
        return network(beta)

    return respond


def _reader(name: str, respond: Callable[..., Any]) -> Reader:
    """Whatever the implementation returns, with both offsets at the data mean."""

    def read(problem: Problem, beta: float) -> LinearVAE:
        try:
            found = respond(problem.spectrum, beta, **problem.options)
        except (AssertionError, HypothesisException):
            raise
        except Exception as error:
            got = f"{type(error).__name__}: {error}"
            raise AssertionError(f"your {name} raised {got}; expected parameters") from error
        return _model(name, found, problem)

    return read


def _model(name: str, found: Any, problem: Problem) -> LinearVAE:
    n, k = problem.population.n, problem.k
    shapes = {"encoder": (k, n), "posterior_variance": (k,), "decoder": (n, k)}
    arrays = {part: _part(name, found, part, shape) for part, shape in shapes.items()}
    least = arrays["posterior_variance"].min()
    assert least > 0, f"your {name} returned the posterior variance {least:g}; expected all > 0"
    return LinearVAE(
        **arrays,
        noise_variance=np.asarray(problem.s2),
        encoder_offset=problem.population.mean,
        decoder_offset=problem.population.mean,
    )


def _part(name: str, found: Any, part: str, shape: tuple[int, ...]) -> Array:
    """One array of what the implementation returned."""
    expected = f"expected an attribute {part} of shape {shape}"
    try:
        value = getattr(found, part)
    except AttributeError as error:
        got = f"{type(found).__name__} {str(found)[:60]} without it"
        raise AssertionError(f"your {name} returned {got}; {expected}") from error
    try:
        array = as_array(part, value)
        check_finite(part, array)
    except InputError as error:
        raise AssertionError(f"your {name} returned {error}; {expected}") from error
    got = f"{part} of shape {array.shape}"
    assert array.shape == shape, f"your {name} returned {got}; {expected}"
    return np.asarray(array, dtype=np.float64)


def _property(
    check: Check, name: str, home: str, read: Reader, tolerance: float, max_examples: int
) -> Callable[[], None]:
    """Let hypothesis draw the problem, the β and the generator."""

    def test(problem: Problem, data: st.DataObject) -> None:
        beta = data.draw(betas(problem.critical), label="beta")
        try:
            check(problem, beta, data.draw(generators()), read, tolerance)
        except InputError as error:  # finite parameters, yet beyond what can be computed with
            what = f"parameters that cannot be evaluated ({error}); expected those of an optimum"
            raise AssertionError(f"your code returned {what}") from error

    # Before hypothesis sees it: its examples are stored under these names.
    test.__name__, test.__module__, test.__doc__ = name, home, check.__doc__
    drawn = given(problems(kinds=KINDS, max_n=6), st.data())(test)
    drawn.__qualname__ = f"TheoremSuite.{name}"
    return settings(
        max_examples=max_examples,
        deadline=None,
        report_multiple_bugs=False,  # one AssertionError, never a group of them
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )(drawn)


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
    """No change of the parameters, small or large, lowers the objective; nor does one side's."""
    model = read(problem, beta)
    least = float(model.evaluate(problem.spectrum, beta).objective)
    for what, other in (
        ("the encoder that is best for the decoder", _other_encoder(problem, beta, model)),
        ("the decoder that is best for the encoder", _other_decoder(problem, model)),
        ("parameters nearby", _nearby(problem, model, rng)),
    ):
        gain = least - float(np.min(other.evaluate(problem.spectrum, beta).objective))
        assert gain <= tolerance * _size(problem, beta), (
            f"β = {beta:g}: {what} would gain {gain:.2g} nats"
        )


def _other_encoder(problem: Problem, beta: float, model: LinearVAE) -> LinearVAE:
    mean = problem.population.mean
    return encoder_given_decoder(model.decoder, beta, noise_variance=problem.s2, offset=mean)


def _other_decoder(problem: Problem, model: LinearVAE) -> LinearVAE:
    return decoder_given_encoder(
        problem.spectrum, model.encoder, model.posterior_variance, noise_variance=problem.s2
    )


_STEPS = np.geomspace(1e-5, 1.0, 11)


def _nearby(problem: Problem, model: LinearVAE, rng: np.random.Generator) -> LinearVAE:
    """A batch of models: every step forth and back, for each latent and for all at once.

    A step of 1 is the size of what it changes, so that the stiffest latent does not set the step
    of the others. Half the models change the sizes only, the others the directions, too.
    """
    k, root = problem.k, np.sqrt(max(_top(problem), problem.s2))
    signed = np.concatenate([_STEPS, -_STEPS])
    # shape: (k + 1, k), the latents that change
    which = np.concatenate([np.eye(k), np.ones((1, k))])
    steps = (signed[:, None, None] * which).reshape(-1, k)
    steps, turned = np.concatenate([steps, steps]), np.repeat([0.0, 1.0], len(steps))
    rows, columns = (
        vectors * rng.standard_normal((k, 1))
        + turned[:, None, None] * _random_like(vectors, size, rng)
        for vectors, size in ((model.encoder, 1 / root), (model.decoder.T, root))
    )
    return replace(
        model,
        encoder=model.encoder + steps[..., None] * rows,
        posterior_variance=model.posterior_variance * np.exp(steps * rng.standard_normal(k)),
        decoder=model.decoder + np.swapaxes(steps[..., None] * columns, -1, -2),
        noise_variance=np.full(len(steps), problem.s2),
    )


def _random_like(vectors: Array, size: float, rng: np.random.Generator) -> Array:
    """Random directions as long as the rows given; of the size given where a row is 0."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    drawn = rng.standard_normal(vectors.shape)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return np.asarray(np.where(lengths > 0, lengths, size) * drawn)


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
    answer = _other_encoder(problem, beta, model)
    _near(answer.posterior_variance, model.posterior_variance, tolerance, "C given D")
    # E S Eᵀ <= I bounds the entries of E times a root of S.
    _near(answer.encoder @ root, model.encoder @ root, tolerance, "E given D")
    decoder = _other_decoder(problem, model).decoder
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
