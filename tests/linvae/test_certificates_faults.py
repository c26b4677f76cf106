"""A fault in a parameter, a table, a response or the eigenvectors is not certified."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

pytest.importorskip("flint")

import linvae as lv
from linvae.certificates import certify
from linvae.certificates import identities as identities_module
from linvae.certificates import points as points_module
from linvae.certificates._balls import working
from tests.linvae.certificate_tools import EXACT, RANGE, SPECTRUM, by_claim, run, spoiled


def test_other_gates_that_do_the_same_are_certified_by_halving() -> None:
    # sigmoid(0) base 2 is 1, but the bound of such gates knows nothing of what cancels.
    first, second = EXACT.posterior
    same = dataclasses.replace(second, gate="sigmoid", base=2 * second.base)
    network = dataclasses.replace(EXACT, posterior=(first, same))
    found = run(network, fine_radius=0.1)["gates.variance"]
    assert found.status == "certified"
    assert 0 < found.bound <= 0.1
    assert found.boxes > 3 * 32
    assert found.depth >= 5


def test_radii_that_are_too_small_are_refuted() -> None:
    refused = run(radius=1e-10)["gates.decoder"]
    assert refused.status == "refuted"
    assert "log β" in refused.note
    assert refused.bound > refused.radius


# layer pair, layer of the pair, parameter -> claims that must notice
FAULTS = [
    ("decoder", 0, "b_hyper", "gates.decoder.away"),
    ("decoder", 0, "w_hyper", "gates.decoder.away"),
    ("decoder", 0, "base", "gates.decoder.away"),
    ("decoder", 1, "base", "gates.decoder.away"),
    ("decoder", 1, "b_hyper", "gates.decoder.away"),
    ("encoder", 0, "base", "gates.encoder.away"),
    ("encoder", 0, "b_hyper", "gates.encoder.away"),
    ("encoder", 1, "b_hyper", "gates.encoder.away"),
    ("encoder", 1, "w_hyper", "gates.encoder.away"),
    ("encoder", 1, "base", "gates.encoder.away"),
    ("posterior", 0, "b_hyper", "gates.variance"),
    ("posterior", 0, "w_hyper", "gates.variance"),
    ("posterior", 0, "base", "gates.variance"),
    ("posterior", 1, "base", "gates.variance"),
]


def test_the_exact_network_meets_the_radius_of_the_next_test() -> None:
    assert all(certificate.passed for certificate in run(fine_radius=1e-9).values())


@pytest.mark.parametrize(("side", "which", "name", "claim"), FAULTS)
def test_a_parameter_off_by_a_millionth_is_not_certified(
    side: str, which: int, name: str, claim: str
) -> None:
    found = run(spoiled(side, which, name, 1e-6), fine_radius=1e-9)[claim]
    assert found.status == "refuted", found
    assert found.bound > 1e-9


@pytest.mark.parametrize("side", ["decoder", "encoder", "posterior"])
def test_what_spoiled_gains_achieve_is_not_certified(side: str) -> None:
    which = 1 if side == "encoder" else 0
    found = run(spoiled(side, which, "b_hyper", 1e-6))
    assert not found["optimum.objective"].passed
    assert not found["optimum.aggregated_posterior"].passed or side == "decoder"
    assert not found["optimum.squared_error"].passed
    assert not found["optimum.rate"].passed or side == "decoder"


def test_a_network_of_another_noise_variance_is_refuted() -> None:
    other = lv.Hypernetwork.exact(SPECTRUM, latent_dim=3, noise_variance=0.7001)
    found = run(other)
    for claim in ("gates.decoder", "gates.encoder", "gates.variance"):
        assert found[claim].status == "refuted"
    assert not found["points.hypernetwork"].passed


@pytest.mark.parametrize("side", ["encoder", "posterior", "decoder"])
def test_sigmoid_gates_are_refuted(side: str) -> None:
    pair = list(getattr(EXACT, side))
    which = 1 if side == "encoder" else 0
    pair[which] = dataclasses.replace(pair[which], gate="sigmoid")
    found = run(dataclasses.replace(EXACT, **{side: tuple(pair)}))
    claim = "gates.variance" if side == "posterior" else f"gates.{side}"
    assert found[claim].status == "refuted"
    assert not found["optimum.objective"].passed


def test_flipping_one_side_only_is_noticed() -> None:
    first, second = EXACT.encoder
    turned = dataclasses.replace(second, base=-second.base)
    found = run(dataclasses.replace(EXACT, encoder=(first, turned)))
    assert found["gates.encoder"].status == "refuted"
    assert not found["optimum.squared_error"].passed


def test_modes_without_variance_must_be_silent() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([2.0, 1.0, 0.0])
    options: dict[str, Any] = {"latent_dim": 3, "noise_variance": 0.5}
    network = lv.Hypernetwork.exact(spectrum, **options)
    assert all(c.passed for c in certify(spectrum, **options, beta_range=RANGE))
    first, second = network.decoder
    base = first.base.copy()
    base[2] = 1e-5
    loud = dataclasses.replace(network, decoder=(dataclasses.replace(first, base=base), second))
    found = by_claim(certify(spectrum, **options, beta_range=RANGE, hypernetwork=loud))
    assert found["gates.decoder"].status == "refuted"
    assert not found["optimum.squared_error"].passed
    first, second = network.posterior
    base = first.base.copy()
    base[2] = 1 + 1e-5
    loud = dataclasses.replace(network, posterior=(dataclasses.replace(first, base=base), second))
    found = by_claim(certify(spectrum, **options, beta_range=RANGE, hypernetwork=loud))
    assert found["gates.variance"].status == "refuted"
    assert not found["optimum.rate"].passed


def test_a_wrong_response_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    right = points_module.response

    def wrong(*args: Any, **kwargs: Any) -> lv.LinearVAE:
        model = right(*args, **kwargs)
        return dataclasses.replace(model, decoder=model.decoder * (1 + 1e-5))

    monkeypatch.setattr(points_module, "response", wrong)
    found = run()
    assert not found["points.response"].passed
    assert found["points.hypernetwork"].passed


@pytest.mark.parametrize(
    ("table", "claim"),
    [
        ("_rate_at", "frontier.rate"),
        ("_joins", "frontier.rate"),
        ("_tail", "frontier.squared_error"),
        ("_rate_at", "frontier.slope"),
        ("_tail", "frontier.slope"),
    ],
)
def test_a_wrong_frontier_is_not_certified(
    monkeypatch: pytest.MonkeyPatch, table: str, claim: str
) -> None:
    def wrong(*args: Any, **kwargs: Any) -> lv.Frontier:
        curve = lv.Frontier(*args, **kwargs)
        values = getattr(curve, table).copy()
        values[-1] *= 1 + 1e-8
        setattr(curve, table, values)
        return curve

    monkeypatch.setattr(identities_module, "Frontier", wrong)
    assert run()[claim].status == "not certified"


def test_a_rate_without_active_modes_is_not_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*args: Any, **kwargs: Any) -> lv.Frontier:
        curve = lv.Frontier(*args, **kwargs)
        curve._rate_at = np.concatenate([[1e-6], curve._rate_at[1:]])
        return curve

    monkeypatch.setattr(identities_module, "Frontier", wrong)
    found = run()["frontier.rate"]
    assert found.status == "not certified"
    assert found.bound >= 1e-6


def test_vectors_that_are_not_orthonormal_are_noticed() -> None:
    vectors = np.eye(3)
    vectors[1, 0] = 1e-6
    with working():
        assert not identities_module.orthonormality(vectors, 1e-10).passed
        nothing = identities_module.orthonormality(np.zeros((3, 0)), 1e-10)
        assert not identities_module.orthonormality(np.eye(3) * [1, 1, 0], 1e-10).passed
    assert nothing.passed
    assert nothing.boxes == 0
