"""The suite for other implementations passes ours and fails every broken one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import linvae as lv
from linvae.errors import InputError
from linvae.hypernetwork import GATES
from linvae.testing import smallest_counterexample, theorem, theorem_suite
from linvae.testing.counterexample import refutes_sigmoid_gates
from linvae.testing.strategies import Population, Problem, gated_layers

TestOurs = theorem_suite(lv.response, lv.Hypernetwork.exact, max_examples=20)


def broken(change: Callable[[lv.LinearVAE, lv.Spectrum, float], dict[str, Any]]) -> Any:
    """Our response with some of its parameters replaced."""

    def respond(spectrum: lv.Spectrum, beta: float, **sizes: Any) -> lv.LinearVAE:
        model = lv.response(spectrum, beta, **sizes)
        return replace(model, **change(model, spectrum, beta))

    return respond


def half_the_noise(spectrum: lv.Spectrum, beta: float, **sizes: Any) -> lv.LinearVAE:
    """The classical slip: summed squared error without ½ is taken for σ² = 1."""
    return lv.response(spectrum, beta, **{**sizes, "noise_variance": sizes["noise_variance"] / 2})


FAULTS = {
    "half_the_noise": half_the_noise,
    "decoder_of_a_larger_beta": lambda spectrum, beta, **sizes: replace(
        lv.response(spectrum, beta, **sizes),
        decoder=lv.response(spectrum, beta * 1.001, **sizes).decoder,
    ),
    "encoder_transposed_decoder": broken(lambda m, s, b: {"encoder": m.decoder.T}),
    "variance_as_deviation": broken(
        lambda m, s, b: {"posterior_variance": np.sqrt(m.posterior_variance)}
    ),
    "one_dead_mode": broken(lambda m, s, b: {"decoder": m.decoder * (np.arange(m.latent_dim) > 0)}),
    "eigenvalues_with_ddof_one": lambda spectrum, beta, **sizes: lv.response(
        lv.Spectrum.from_eigenvalues(
            spectrum.eigenvalues * 1.01, eigenvectors=spectrum.eigenvectors, mean=spectrum.mean
        ),
        beta,
        **sizes,
    ),
    "absolute_threshold": broken(
        lambda m, s, b: {"decoder": m.decoder * (np.linalg.norm(m.decoder, axis=0) > 0.1)}
    ),
}


def lost_mode(spectrum: lv.Spectrum, beta: float, **sizes: Any) -> lv.LinearVAE:
    """A saddle: either side is the best response to the other."""
    model = lv.response(spectrum, beta, **sizes)
    kept = np.arange(model.latent_dim) > 0
    return replace(
        model,
        encoder=model.encoder * kept[:, None],
        posterior_variance=np.where(kept, model.posterior_variance, 1.0),
        decoder=model.decoder * kept,
    )


NOT_STATIONARY = {
    "twice_beta": lambda s, b, **o: lv.response(s, 2 * b, **o),
    "a_percent_of_beta": lambda s, b, **o: lv.response(s, 1.01 * b, **o),
    "half_the_noise": half_the_noise,
    "lost_mode": lost_mode,
}


@pytest.mark.parametrize("partial", [True, False])
@pytest.mark.parametrize("name", NOT_STATIONARY)
def test_what_is_not_the_optimum_can_be_improved(
    monkeypatch: pytest.MonkeyPatch, name: str, partial: bool
) -> None:
    """By this property alone: with the best answers of either side, and by steps nearby alone."""
    if not partial:
        monkeypatch.setattr(theorem, "_other_encoder", lambda problem, beta, model: model)
        monkeypatch.setattr(theorem, "_other_decoder", lambda problem, model: model)
    suite = theorem_suite(NOT_STATIONARY[name], max_examples=30)
    with pytest.raises(AssertionError, match="would gain"):
        suite.test_nothing_nearby_is_better()  # type: ignore[attr-defined]


def test_steps_are_forth_and_back_and_of_the_size_of_each_latent(rng: np.random.Generator) -> None:
    values = np.array([1.0, 1e-8])
    spectrum = lv.Spectrum.from_eigenvalues(values)
    problem = Problem(Population(values, np.eye(2), np.zeros(2)), 2, 1.0)
    model = lv.response(spectrum, 1e-9, **problem.options)
    others = theorem._nearby(problem, model, rng)
    change = np.linalg.norm(others.decoder - model.decoder, axis=-2)  # shape: (models, latents)
    size = np.linalg.norm(model.decoder, axis=0)
    assert ((change > 0).sum(axis=1) == 1).any()
    for j in range(2):
        alone = change[(change[:, j] > 0) & (change[:, 1 - j] == 0), j] / size[j]
        assert 1e-8 < alone.min() < 1e-4
        assert 1e-3 < alone.max() < 10
    moved = np.log(others.posterior_variance / model.posterior_variance)
    assert ((moved > 0).any(axis=0) & (moved < 0).any(axis=0)).all()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"response": None}, "response: got NoneType None; expected a function"),
        ({"response": lv.Spectrum.from_eigenvalues([1.0])}, "response: got Spectrum"),
        ({"hypernetwork": 3}, "hypernetwork: got int 3"),
        ({"tolerance": np.nan}, "tolerance"),
        ({"tolerance": "a"}, "tolerance"),
        ({"tolerance": None}, "tolerance"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"tolerance": [1e-9]}, "tolerance"),
        ({"max_examples": 0}, "max_examples"),
        ({"max_examples": 2.5}, "max_examples"),
        ({"max_examples": True}, "max_examples"),
    ],
)
def test_arguments_are_checked_at_once(change: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        theorem_suite(**{"response": lv.response, **change})


def raising(spectrum: lv.Spectrum, beta: float, **sizes: Any) -> Any:
    raise KeyError("no such thing")


def as_changed(name: str, change: Callable[[np.ndarray], Any]) -> Any:
    def respond(spectrum: lv.Spectrum, beta: float, **sizes: Any) -> Any:
        model = lv.response(spectrum, beta, **sizes)
        parts = {n: getattr(model, n) for n in ("encoder", "posterior_variance", "decoder")}
        return SimpleNamespace(**{**parts, name: change(parts[name])})

    return respond


@pytest.mark.parametrize(
    ("respond", "match"),
    [
        (raising, "your response raised KeyError: 'no such thing'; expected parameters"),
        (lambda: None, "your response raised TypeError"),
        (lambda *a, **o: None, "returned NoneType None without it; expected an attribute encoder"),
        (lambda *a, **o: (1, 2, 3), "your response returned tuple"),
        (as_changed("encoder", lambda e: e[None]), r"encoder of shape \(1, .*expected .*encoder"),
        (as_changed("decoder", lambda d: d[:-1]), "your response returned decoder of shape"),
        (as_changed("decoder", lambda d: d * np.nan), "your response returned decoder: got nan"),
        (as_changed("decoder", lambda d: d * 1j), "your response returned decoder: got dtype comp"),
        (as_changed("decoder", lambda d: d + 1e200), "cannot be evaluated"),
        (as_changed("encoder", lambda e: "text"), "your response returned encoder: got dtype"),
        (as_changed("posterior_variance", lambda c: -c), r"variance -[\d.e-]+; expected all > 0"),
        (as_changed("posterior_variance", np.diag), "posterior_variance of shape"),
    ],
)
def test_what_is_no_answer_is_an_assertion_error(respond: Any, match: str) -> None:
    suite = theorem_suite(respond, max_examples=5)
    with pytest.raises(AssertionError, match=match):
        suite.test_the_objective_is_on_the_frontier()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("network", "match"),
    [
        (raising, "your hypernetwork raised TypeError"),
        (lambda spectrum, **sizes: 3.0, "your hypernetwork returned float 3.0; expected a func"),
        (lambda spectrum, **sizes: lambda beta: None, "your hypernetwork returned NoneType None"),
    ],
)
def test_what_is_no_network_is_an_assertion_error(network: Any, match: str) -> None:
    suite: Any = theorem_suite(lv.response, network, max_examples=5)
    with pytest.raises(AssertionError, match=match):
        suite.test_units_do_not_matter_by_the_hypernetwork()


def test_lists_and_other_floats_are_answers() -> None:
    def respond(spectrum: lv.Spectrum, beta: float, **sizes: Any) -> Any:
        model = lv.response(spectrum, beta, **sizes)
        parts = ("encoder", "posterior_variance", "decoder")
        return SimpleNamespace(**{name: getattr(model, name).tolist() for name in parts})

    suite: Any = theorem_suite(respond, max_examples=5)
    suite.test_the_objective_is_on_the_frontier()


def test_assumptions_of_the_implementation_are_left_to_hypothesis() -> None:
    def respond(spectrum: lv.Spectrum, beta: float, **sizes: Any) -> lv.LinearVAE:
        assume(spectrum.n_features < 4)
        return lv.response(spectrum, beta, **sizes)

    suite: Any = theorem_suite(respond, max_examples=5)
    suite.test_the_objective_is_on_the_frontier()


def test_the_class_says_whose_and_where_it_is() -> None:
    suite = theorem_suite(half_the_noise, lv.Hypernetwork.exact)
    assert suite.__module__ == __name__
    assert "half_the_noise and Hypernetwork.exact" in (suite.__doc__ or "")
    for name, check in vars(suite).items():
        if name.startswith("test_"):
            assert check.__name__ == name
            assert check.__qualname__ == f"TheoremSuite.{name}"
            assert check.__doc__


def test_without_hypothesis_the_extra_is_named() -> None:
    code = """
import sys
sys.modules["hypothesis"] = None
from linvae.errors import InputError, MissingPackageError
for name in ("linvae.testing", "linvae.testing.strategies"):
    try:
        __import__(name)
    except MissingPackageError as error:
        assert "pip install linvae[testing]" in str(error), error
        assert isinstance(error, InputError) and isinstance(error, ImportError)
    else:
        raise SystemExit(name)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_response_is_noticed(name: str) -> None:
    def fails(check: Callable[[], None]) -> bool:
        try:
            check()
        except AssertionError:
            return True
        return False

    suite = vars(theorem_suite(FAULTS[name], max_examples=30))
    checks = [check.__func__ for method, check in suite.items() if method.startswith("test_")]
    assert any(fails(check) for check in checks)


def test_the_published_gates_do_not_pass_for_the_joint_optimum() -> None:
    """Their decoder is made for one β and does not move."""

    def published(spectrum: lv.Spectrum, **sizes: Any) -> Any:
        middle = float(np.median(spectrum.eigenvalues)) / sizes["noise_variance"] / 2 or 1.0
        decoder = lv.response(spectrum, middle, **sizes).decoder
        return lv.Hypernetwork.published(
            decoder=decoder, noise_variance=sizes["noise_variance"], offset=spectrum.mean
        )

    suite = vars(theorem_suite(lv.response, published, max_examples=20))
    suite["test_units_do_not_matter"].__func__()
    with pytest.raises(AssertionError):
        suite["test_the_objective_is_on_the_frontier_by_the_hypernetwork"].__func__()


def test_without_a_hypernetwork_only_the_response_is_tested() -> None:
    names = {n for n in vars(theorem_suite(lv.response)) if n.startswith("test_")}
    assert names
    assert not [n for n in names if n.endswith("hypernetwork")]


def test_the_smallest_counterexample() -> None:
    found = smallest_counterexample()
    assert (found.eigenvalue, found.betas) == (4, (1, 2, 4))
    assert found.posterior_variances == (Fraction(1, 4), Fraction(1, 2), Fraction(1))
    spectrum = lv.Spectrum.from_eigenvalues([float(found.eigenvalue)])
    model = lv.response(
        spectrum, np.array(found.betas, dtype=float), latent_dim=1, noise_variance=1.0
    )
    assert model.posterior_variance[:, 0].tolist() == [0.25, 0.5, 1.0]
    assert refutes_sigmoid_gates(*found.posterior_variances)


@pytest.mark.parametrize(
    "values",
    [(0, 1, 2), (1, -1, 2), (Fraction(1, 2), 1, 0.0), (1, np.nan, 2), (1, np.inf, 2), (1, "2", 3),
     (1, None, 2), (True, 1, 2), (1, [2], 3), (1, 1j, 2)],
)  # fmt: skip
def test_only_positive_numbers_can_be_refuted(values: tuple[Any, Any, Any]) -> None:
    with pytest.raises(InputError, match=r"low|middle|high"):
        refutes_sigmoid_gates(*values)


def test_the_values_are_taken_exactly() -> None:
    assert refutes_sigmoid_gates(1, 2, 4)
    assert refutes_sigmoid_gates(0.25, np.float64(0.5), 1.0)
    assert not refutes_sigmoid_gates(0.25, float(np.nextafter(0.5, 1)), 1.0)
    assert not refutes_sigmoid_gates(3, 3, 3)
    assert refutes_sigmoid_gates(10**400, 10**401, 10**402)


def test_nothing_smaller_is_one() -> None:
    for eigenvalue in (1, 2, 3):
        values = [min(Fraction(1), Fraction(beta, eigenvalue)) for beta in (1, 2, 4)]
        assert not refutes_sigmoid_gates(*values), eigenvalue


@given(st.data(), st.integers(1, 4))
def test_products_of_sigmoid_gates_are_never_refuted(data: st.DataObject, layers: int) -> None:
    """The condition speaks of every product: none may meet it, up to rounding."""
    x = np.log(data.draw(st.floats(0.01, 10))) + np.log(data.draw(st.floats(1.1, 9))) * np.arange(3)
    value = np.zeros(3)
    for _ in range(layers):
        layer = data.draw(gated_layers(1, 1, gates=["sigmoid"], diagonal=True))
        value = value + np.log(layer.gate_values(x)[:, 0])
    assert 2 * value[1] >= value[0] + value[2] - 1e-12 * (1 + np.abs(value).max())


@given(st.data(), st.sampled_from(sorted(GATES)))
def test_gated_layers_are_what_was_asked(data: st.DataObject, gate: str) -> None:
    layer = data.draw(gated_layers(3, 2, gates=[gate]))
    assert layer.base.shape == (3, 2)
    assert layer.gate == gate
    values = layer.gate_values(np.linspace(-5, 5, 7))
    assert ((values >= 0) & (values <= 1)).all()
    assert data.draw(gated_layers(3, 2, diagonal=True)).is_diagonal
