"""Certificates: they hold on everything drawn, and true values lie within their bounds."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("flint")

import linvae as lv
from linvae.certificates import Certificate, certificates, certify
from linvae.certificates._balls import above, ball, below, span, working
from linvae.certificates._cover import prove_everywhere, shrink_bound
from linvae.certificates._modes import gate_at, gate_over
from linvae.errors import InputError, MissingPackageError, PartialSpectrumError
from linvae.testing.strategies import KINDS, Problem, problems
from tests.linvae.certificate_tools import (
    CLAIMS,
    EXACT,
    OPTIONS,
    RANGE,
    SPECTRUM,
    by_claim,
    run,
    some_betas,
)


def reach_of(problem: Problem) -> tuple[float, float]:
    alive = problem.critical[problem.critical > 0]
    if not alive.size:
        return RANGE
    return float(alive[-1]) / 7, float(alive[0]) * 7


@given(problems(kinds=KINDS))
def test_every_drawn_problem_is_certified(problem: Problem) -> None:
    found = certify(problem.spectrum, **problem.options, beta_range=reach_of(problem))
    assert [certificate.claim for certificate in found] == CLAIMS
    for certificate in found:
        assert certificate.passed, certificate
        assert 0 <= certificate.bound <= certificate.radius


@given(problems(kinds=KINDS, extreme=True))
def test_every_extreme_problem_is_certified(problem: Problem) -> None:
    for certificate in certify(problem.spectrum, **problem.options, beta_range=reach_of(problem)):
        assert certificate.passed, certificate


def test_digits_are_certified() -> None:
    from sklearn.datasets import load_digits

    spectrum = lv.Spectrum.from_samples(load_digits().data)
    found = certify(spectrum, latent_dim=16, noise_variance=4.0, beta_range=(0.01, 100.0))
    assert all(certificate.passed for certificate in found)
    fine = [c for c in found if c.claim not in ("gates.decoder", "gates.encoder")]
    fine = [c for c in fine if not c.claim.startswith("points")]
    assert max(c.bound for c in fine) < 1e-12


def exact_differences(network: lv.Hypernetwork, beta: float) -> dict[str, mp.mpf]:
    """Differences at one β from the printed formulas, in mpmath, layer by layer."""
    gates = {
        "sqrt_relu": lambda x: mp.sqrt(max(mp.mpf(0), -mp.expm1(x))),
        "min_exp": lambda x: mp.exp(min(mp.mpf(0), x)),
    }
    s2, at = mp.mpf(network.noise_variance), mp.log(mp.mpf(beta))
    at = (at - mp.mpf(network.input_mean)) / mp.mpf(network.input_std)

    def gate(layer: Any, row: int) -> mp.mpf:
        return gates[layer.gate](mp.mpf(layer.w_hyper[row]) * at + mp.mpf(layer.b_hyper[row]))

    worst = dict.fromkeys(("decoder", "encoder", "variance"), mp.mpf(0))
    values = SPECTRUM.leading_eigenvalues(3)
    (e1, e2), (c1, c2), (d1, d2) = network.encoder, network.posterior, network.decoder
    for i, value in enumerate(map(mp.mpf, values)):
        gain = mp.sqrt(max(mp.mpf(0), value - mp.mpf(beta) * s2))
        u = [mp.mpf(entry) for entry in SPECTRUM.eigenvectors[:, i]]
        column = [
            gate(d1, i) * mp.mpf(d1.base[i]) * gate(d2, j) * mp.mpf(d2.base[j, i]) for j in range(4)
        ]
        row = [
            gate(e2, i) * mp.mpf(e2.base[i, j]) * gate(e1, j) * mp.mpf(e1.base[j]) for j in range(4)
        ]
        variance = gate(c1, i) * mp.mpf(c1.base[i]) * gate(c2, i) * mp.mpf(c2.base[i])
        off = mp.sqrt(mp.fsum((a - gain * b) ** 2 for a, b in zip(column, u, strict=True)))
        away = mp.sqrt(mp.fsum((a - gain / value * b) ** 2 for a, b in zip(row, u, strict=True)))
        least = min(mp.mpf(1), mp.mpf(beta) * s2 / value)
        worst["decoder"] = max(worst["decoder"], off / mp.sqrt(value))
        worst["encoder"] = max(worst["encoder"], away * mp.sqrt(value))
        worst["variance"] = max(worst["variance"], abs(variance / least - 1))
    return worst


@pytest.mark.parametrize("standardised", [False, True])
def test_true_differences_lie_within_the_bounds(standardised: bool) -> None:
    network = EXACT.standardised((0.01, 33.0)) if standardised else EXACT
    found = run(network)
    with mp.workdps(60):
        worst = dict.fromkeys(("decoder", "encoder", "variance"), mp.mpf(0))
        for beta in some_betas():
            for side, value in exact_differences(network, float(beta)).items():
                worst[side] = max(worst[side], value)
    for side, value in worst.items():
        certificate = found[f"gates.{side}"]
        assert certificate.passed
        # Within the bound, and the bound is not idle: points beside the thresholds come near.
        assert value <= certificate.bound <= 60 * value


def test_the_frontier_lies_within_the_bounds_of_its_tables() -> None:
    found = run()
    curve = lv.Frontier(SPECTRUM, **OPTIONS)
    points = curve.at_beta(some_betas())
    values = [mp.mpf(v) for v in SPECTRUM.eigenvalues]
    with mp.workdps(60):
        for beta, rate, error in zip(points.beta, points.rate, points.squared_error, strict=True):
            tau = mp.mpf(beta) * mp.mpf(0.7)
            want = mp.fsum(mp.log(max(v / tau, mp.mpf(1))) / 2 for v in values[:3])
            left = mp.fsum(min(v, tau) for v in values[:3]) + values[3]
            # Evaluating the tables rounds by a few ulps more.
            assert abs(rate - want) <= found["frontier.rate"].bound + 1e-15 * (1 + want)
            slack = found["frontier.squared_error"].bound + 1e-15
            assert abs(error - left) <= slack * mp.mpf(SPECTRUM.total_variance)


def test_leading_spectra() -> None:
    part = lv.Spectrum(
        np.zeros(4), SPECTRUM.eigenvalues[:3], SPECTRUM.eigenvectors[:, :3], 9.4, complete=False
    )
    assert all(c.passed for c in certify(part, **OPTIONS, beta_range=RANGE))
    with pytest.raises(PartialSpectrumError):
        certify(part, latent_dim=4, noise_variance=0.7, beta_range=RANGE)


def test_everything_for_the_command_line() -> None:
    seen: list[Certificate] = []
    found = certificates(SPECTRUM, **OPTIONS, beta_range=RANGE, progress=seen.append)
    assert found == seen
    assert [c.claim for c in found] == [*CLAIMS, "sigmoid.one_gate", "sigmoid.any_gates"]
    assert all(c.passed and c.boxes > 0 for c in found)
    assert certificates(SPECTRUM, **OPTIONS, beta_range=RANGE) == found


def test_a_range_that_is_never_away_says_so() -> None:
    found = by_claim(
        certify(
            lv.Spectrum.from_eigenvalues([1.0]),
            latent_dim=1,
            noise_variance=1.0,
            beta_range=(0.9999, 1.0001),
        )
    )
    assert found["gates.decoder.away"].boxes == 0
    assert "nothing" in found["gates.decoder.away"].note


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beta_range": (2.0, 1.0)}, "beta_range"),
        ({"beta_range": (0.0, 1.0)}, "beta_range"),
        ({"beta_range": (1.0, 2.0, 3.0)}, "beta_range"),
        ({"latent_dim": 5}, "latent_dim"),
        ({"noise_variance": -1.0}, "noise_variance"),
        ({"radius": 0.0}, "radius"),
        ({"fine_radius": np.nan}, "fine_radius"),
        ({"margin": -1.0}, "margin"),
        ({"hypernetwork": 3}, "hypernetwork"),
        ({"hypernetwork": lv.Hypernetwork.exact(SPECTRUM, latent_dim=2, noise_variance=1.0)}, "hy"),
        (
            {"hypernetwork": lv.Hypernetwork.published(decoder=np.eye(4)[:, :3], noise_variance=1)},
            "hypernetwork",
        ),
    ],
)
def test_bad_input(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        certify(SPECTRUM, **{**OPTIONS, "beta_range": RANGE, **changes})


def test_gated_directions_are_refused() -> None:
    first, second = EXACT.decoder
    moving = dataclasses.replace(second, w_hyper=np.full(4, 0.1))
    with pytest.raises(InputError, match="slope 0"):
        run(dataclasses.replace(EXACT, decoder=(first, moving)))


def test_critical_betas_below_the_float_range_are_refused() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([1.0, 1e-200])
    with pytest.raises(InputError, match="λ/σ²"):
        certify(spectrum, latent_dim=2, noise_variance=1e150, beta_range=(1e-200, 1.0))


def test_without_flint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(MissingPackageError, match=r"pip install linvae\[certify\]") as caught:
        certify(SPECTRUM, **OPTIONS, beta_range=RANGE)
    assert isinstance(caught.value, InputError)
    assert isinstance(caught.value, ImportError)


def test_importing_the_package_does_not_load_flint() -> None:
    code = "import sys, linvae.certificates; print('flint' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_working_precision_is_restored() -> None:
    import flint

    before = flint.ctx.prec
    run()
    assert flint.ctx.prec == before


@given(st.floats(-1e300, 1e300), st.floats(-600, 600))
def test_float_bounds_of_balls_enclose(number: float, power: float) -> None:
    with working():
        value = ball(number) * ball(power).exp()
        for bound, sign in ((above(value), 1), (below(value), -1)):
            if np.isfinite(bound):
                assert sign * (ball(bound) - value) >= 0
        assert above(ball(number)) == number == below(ball(number))
        assert above(ball(number) / 3) - below(ball(number) / 3) <= 2 * np.spacing(abs(number) / 3)
        assert above(ball(-1).sqrt()) == np.inf  # not a number: nothing is known


@given(
    st.sampled_from(["sqrt_relu", "sigmoid", "min_exp"]),
    st.floats(-20, 5),
    st.floats(0, 4),
    st.floats(0, 1),
)
def test_ranges_of_gates_enclose_their_values(
    kind: str, low: float, width: float, share: float
) -> None:
    with working():
        x = low + share * width
        box = span(low, max(low + width, x))
        assert gate_over(kind, box).overlaps(gate_at(kind, ball(x)))
        value = float(gate_at(kind, ball(x)))
    assert value == pytest.approx(float(lv.hypernetwork.GATES[kind](np.array(x))), abs=1e-7)


def test_covers_prove_what_holds_and_only_that() -> None:
    def holds(limit: float) -> Any:
        return lambda box: box[0][1] * box[1][1] < limit  # of xy on [0, 1]²

    assert prove_everywhere(((0.0, 1.0), (0.0, 1.0)), holds(1.01), (1.0, 1.0), max_boxes=9).complete
    open_one = prove_everywhere(((0.0, 1.0), (0.0, 1.0)), holds(0.9), (1.0, 1.0), max_boxes=10**5)
    assert not open_one.complete
    ((x, y),) = open_one.open_boxes
    assert x[1] * y[1] >= 0.9
    few = prove_everywhere(((0.0, 1.0),), lambda box: box[0][1] < 0.01, (1.0,), max_boxes=3)
    assert not few.complete


def test_bounds_shrink_to_the_radius_or_are_refuted() -> None:
    # x(1 - x) on [0, 1] by its dependent interval form; the maximum is 1/4.
    def upper(low: float, high: float) -> float:
        return high * (1 - low)

    def at(x: float) -> float:
        return x * (1 - x)

    done = shrink_bound((0.0, 1.0), upper, at, 0.26)
    assert 0.25 <= done.bound <= 0.26
    assert done.witness is None
    assert done.boxes > 10
    refuted = shrink_bound((0.0, 1.0), upper, at, 0.24)
    assert refuted.witness is not None
    assert at(refuted.witness) > 0.24
    tried = shrink_bound((0.0, 1.0), upper, at, 0.24, candidates=(0.5, 3.0))
    assert (tried.witness, tried.boxes) == (0.5, 1)
    given_up = shrink_bound((0.0, 1.0), upper, at, 0.26, max_boxes=5)
    assert given_up.bound > 0.26
