"""What the whole matrices of a hypernetwork achieve lies within the bounds of `optimum.*`."""

from __future__ import annotations

import dataclasses
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("flint")

import linvae as lv
from linvae.certificates import certify
from linvae.certificates._balls import ball, working
from linvae.certificates._frame import frame_of
from linvae.certificates._modes import read_modes
from linvae.testing.strategies import generators
from tests.linvae.certificate_tools import (
    EXACT,
    OPTIONS,
    SPECTRUM,
    by_claim,
    run,
    some_betas,
    spoiled,
)

NAMES = ("squared_error", "rate", "objective", "aggregated_posterior")
OPTIMUM = [f"optimum.{name}" for name in NAMES]


def nearest_orthonormal(vectors: np.ndarray) -> mp.matrix:
    u = mp.matrix(vectors.tolist())
    values, q = mp.eigsy(u.T * u)
    return u * (q * mp.diag([1 / mp.sqrt(v) for v in values]) * q.T)


def trace(matrix: mp.matrix) -> mp.mpf:
    return mp.fsum(matrix[i, i] for i in range(matrix.rows))


def matrices(network: lv.Hypernetwork, beta: float) -> tuple[mp.matrix, list[mp.mpf], mp.matrix]:
    """E, the diagonal of C and D at one β from the printed formulas."""
    gates = {
        "sqrt_relu": lambda x: mp.sqrt(max(mp.mpf(0), -mp.expm1(x))),
        "min_exp": lambda x: mp.exp(min(mp.mpf(0), x)),
    }
    at = (mp.log(mp.mpf(beta)) - mp.mpf(network.input_mean)) / mp.mpf(network.input_std)

    def weights(layer: lv.hypernetwork.GatedLayer) -> mp.matrix:
        rows = zip(layer.w_hyper.tolist(), layer.b_hyper.tolist(), strict=True)
        size = [gates[layer.gate](mp.mpf(w) * at + mp.mpf(b)) for w, b in rows]
        return mp.diag(size) * mp.matrix(layer.dense_base.tolist())

    pairs = (network.encoder, network.posterior, network.decoder)
    e, c, d = (weights(second) * weights(first) for first, second in pairs)
    return e, [c[i, i] for i in range(c.rows)], d


def achieved(
    network: lv.Hypernetwork, spectrum: lv.Spectrum, s2: float, beta: float
) -> dict[str, mp.mpf]:
    """Distances from water-filling at one β, of full matrices on the complete covariance."""
    e, c, d = matrices(network, beta)
    k, n = e.rows, e.cols
    v = nearest_orthonormal(spectrum.eigenvectors[:, :k])
    values, eye = [mp.mpf(x) for x in spectrum.eigenvalues.tolist()], mp.eye(n)
    rest = (eye - v * v.T) * (values[k] if k < n else mp.mpf(0))  # one direction, or equal ones
    s = v * mp.diag(values[:k]) * v.T + rest
    tau = mp.mpf(beta) * mp.mpf(s2)
    left = eye - d * e
    error = trace(left * s * left.T) + trace(d * mp.diag(c) * d.T)
    error -= mp.fsum(min(x, tau) for x in values[:k]) + trace(rest)
    seen = e * s * e.T
    moments = [seen[i, i] + c[i] - 1 for i in range(k)]
    rate = mp.fsum(m - mp.log(x) for m, x in zip(moments, c, strict=True)) / 2
    rate -= mp.fsum(mp.log(max(x / tau, mp.mpf(1))) for x in values[:k]) / 2
    objective = error / (2 * mp.mpf(s2)) + mp.mpf(beta) * rate
    return {
        "optimum.squared_error": abs(error) / mp.mpf(spectrum.total_variance),
        "optimum.rate": abs(rate),
        "optimum.objective": abs(objective) * mp.mpf(s2) / values[0],
        "optimum.aggregated_posterior": max(abs(m) for m in moments),
    }


def turned(size: float, rng: np.random.Generator, side: str = "both") -> lv.Hypernetwork:
    """The exact network, its directions moved by about `size`, anywhere."""
    changes: dict[str, Any] = {}
    for name in ("encoder", "decoder"):
        if side in (name, "both"):
            first, last = getattr(EXACT, name)
            # Relative to a row of the encoder; the decoder's unit columns are held doubled.
            scale = np.abs(last.base).max(axis=1, keepdims=True) if name == "encoder" else 2.0
            noise = rng.standard_normal(last.base.shape) * size * scale
            changes[name] = (first, dataclasses.replace(last, base=last.base + noise))
    return dataclasses.replace(EXACT, **changes)


@pytest.mark.parametrize("standardised", [False, True])
@pytest.mark.parametrize("size", [0.0, 1e-12])
def test_what_is_achieved_lies_within_the_bounds(size: float, standardised: bool) -> None:
    network = spoiled("encoder", 1, "b_hyper", size)
    network = network.standardised((0.01, 33.0)) if standardised else network
    found = run(network)
    with mp.workdps(60):
        each = [achieved(network, SPECTRUM, 0.7, float(beta)) for beta in some_betas()]
    for claim in OPTIMUM:
        worst = max(values[claim] for values in each)
        assert found[claim].passed
        assert worst <= found[claim].bound
        # The objective is stationary at the optimum: its true difference is of second order.
        assert found[claim].bound <= 300 * worst or claim == "optimum.objective"


@given(generators(), st.floats(-7.0, -0.9), st.sampled_from(["encoder", "decoder", "both"]))
def test_what_turned_directions_achieve_lies_within_the_bounds(
    rng: np.random.Generator, power: float, side: str
) -> None:
    network = turned(10.0**power, rng, side)
    found = run(network, fine_radius=1e6, radius=1e6)
    with mp.workdps(40):
        each = [achieved(network, SPECTRUM, 0.7, float(b)) for b in np.geomspace(0.05, 20, 9)]
    for claim in OPTIMUM:
        assert max(values[claim] for values in each) <= found[claim].bound < np.inf


@pytest.mark.parametrize("side", ["encoder", "decoder", "both"])
def test_turned_directions_are_not_certified(side: str) -> None:
    found = run(turned(1e-3, np.random.default_rng(3), side))
    changed = OPTIMUM[::2] if side == "decoder" else OPTIMUM
    assert not any(found[claim].passed for claim in changed)
    assert not found[f"gates.{'decoder' if side == 'both' else side}"].passed


def test_directions_off_the_eigenvectors_are_not_certified() -> None:
    # Orthogonal to the columns' own eigenvectors: their gains along these are exact.
    spectrum = lv.Spectrum.from_eigenvalues([3.0, 1.0, 0.5, 0.2])
    options: dict[str, Any] = {"latent_dim": 2, "noise_variance": 0.5}
    exact = lv.Hypernetwork.exact(spectrum, **options)
    base = exact.decoder[1].base.copy()
    base[2, 0] += 0.7
    base[3, 1] -= 0.4
    last = dataclasses.replace(exact.decoder[1], base=base)
    network = dataclasses.replace(exact, decoder=(exact.decoder[0], last))
    options["beta_range"] = (0.1, 8.0)
    assert all(c.passed for c in certify(spectrum, **options))
    found = by_claim(certify(spectrum, **options, hypernetwork=network))
    gap = network(1.0).evaluate(spectrum, 1.0).squared_error - 1.7
    assert gap > 0.3
    for claim in OPTIMUM[::2]:
        assert found[claim].status == "not certified"
    assert found["optimum.squared_error"].bound >= gap / spectrum.total_variance
    # The encoder is untouched: rate and aggregated posterior are what they were.
    assert found["optimum.rate"].passed
    assert found["optimum.aggregated_posterior"].passed


def test_latents_that_share_a_direction_are_not_certified() -> None:
    first, last = EXACT.encoder
    base = last.base.copy()
    base[1] += 1e-3 * base[0] - 1e-3 * base[2]
    mixed = dataclasses.replace(EXACT, encoder=(first, dataclasses.replace(last, base=base)))
    found = run(mixed)
    assert not any(found[claim].passed for claim in OPTIMUM)


def test_another_offset_or_noise_variance_is_not_certified() -> None:
    moved = dataclasses.replace(EXACT, offset=np.array([1e-3, 0.0, 0.0, 0.0]))
    other = dataclasses.replace(EXACT, noise_variance=0.7001)
    for network, word in ((moved, "mean"), (other, "noise variance")):
        found = run(network)
        for claim in OPTIMUM:
            assert found[claim].status == "not certified"
            assert word in found[claim].note
        assert not found["points.hypernetwork"].passed
        assert found["points.response"].passed


@given(generators(), st.floats(-9.0, -2.0))
def test_frames_enclose_the_nearest_orthonormal_vectors(
    rng: np.random.Generator, power: float
) -> None:
    vectors = np.eye(4)[:, :3] + 10.0**power * rng.standard_normal((4, 3))
    spectrum = dataclasses.replace(
        SPECTRUM,
        eigenvalues=SPECTRUM.eigenvalues[:3],
        eigenvectors=vectors,
        complete=False,
    )
    with working(), mp.workdps(50):
        frame = frame_of(vectors)
        assert frame is not None
        v = nearest_orthonormal(vectors)
        for i, mode in enumerate(read_modes(EXACT, spectrum, 3, 0.7)):
            p = [ball(x) for x in (EXACT.decoder[1].base[:, i] / 2).tolist()]
            for j, found in enumerate(frame.components(mode.decoder)):
                # Digits of mpmath, taken as a ball, times a column that rounding has not touched.
                digits = [ball(mp.nstr(v[row, j], 45)) for row in range(4)]
                want = sum((a * b for a, b in zip(p, digits, strict=True)), ball(0))
                assert abs(found.mid() - want) <= found.rad() + 1e-14
            off = mp.norm(v[:, i] - mp.matrix(vectors[:, i].tolist()))
            assert off <= float(frame.defect) * (1 + 1e-12)


def test_vectors_far_from_orthonormal_have_no_frame() -> None:
    with working():
        assert frame_of(np.array([[1.0, 0.8], [0.0, 0.6]])) is None
    vectors = SPECTRUM.eigenvectors.copy()
    vectors[:, 1] += vectors[:, 0]
    skewed = dataclasses.replace(SPECTRUM, eigenvectors=vectors)
    found = by_claim(certify(skewed, **OPTIONS, beta_range=(0.1, 8.0)))
    assert not any(found[claim].passed for claim in [*OPTIMUM, "vectors"])
