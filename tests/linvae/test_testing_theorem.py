"""The suite for other implementations passes ours and fails every broken one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import linvae as lv
from linvae.hypernetwork import GATES
from linvae.testing import smallest_counterexample, theorem_suite
from linvae.testing.counterexample import refutes_sigmoid_gates
from linvae.testing.strategies import gated_layers

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


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_response_is_noticed(name: str) -> None:
    def fails(check: Callable[[], None]) -> bool:
        try:
            check()
        except (AssertionError, ExceptionGroup):
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
    with pytest.raises((AssertionError, ExceptionGroup)):
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
