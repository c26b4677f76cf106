"""The claims hold on everything drawn, and each one fails when its subject is broken."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import linvae as lv
import linvae.claims.curve as claims_curve
import linvae.claims.theorem as claims_theorem
import linvae.claims.types as claim_types
from linvae.errors import InputError
from linvae.testing.strategies import KINDS, Problem, problems
from linvae.verification import CLAIMS, Check, verify

SPECTRUM = lv.Spectrum.from_eigenvalues([5.0, 3.0, 2.0, 1.0, 0.4, 0.1])
OPTIONS: dict[str, Any] = {"latent_dim": 4, "noise_variance": 0.5}
UNIT_STATUS = {"T1.c": "impossible"}


def statuses(checks: list[Check]) -> dict[str, str]:
    return {check.claim: check.status for check in checks}


@settings(max_examples=40)
@given(problems(kinds=KINDS))
def test_every_claim_on_drawn_problems(problem: Problem) -> None:
    for check in verify(problem.spectrum, **problem.options):
        assert check.passed, check
        assert np.isfinite(check.residual)


@settings(max_examples=15)
@given(problems(extreme=True))
def test_every_claim_at_extreme_scales(problem: Problem) -> None:
    assert all(check.passed for check in verify(problem.spectrum, **problem.options))


def test_every_claim_on_digits() -> None:
    from sklearn.datasets import load_digits

    spectrum = lv.Spectrum.from_samples(load_digits().data)
    checks = verify(spectrum, latent_dim=16, noise_variance=4.0)
    assert {c.claim for c in checks if c.status == "not applicable"} == {"processing"}
    assert all(check.passed for check in checks)


def test_the_registry() -> None:
    names = [claim.id for claim in CLAIMS]
    assert len(set(names)) == len(names)
    assert {"T1.a", "T1.b", "T1.c", "T1.d", "T1.e", "T1.f"} <= set(names)
    checks = verify(SPECTRUM, **OPTIONS)
    assert [check.claim for check in checks] == names
    assert [check.statement for check in checks] == [claim.statement for claim in CLAIMS]
    assert all(claim.statement.endswith(".") for claim in CLAIMS)


def test_full_rank_data_leave_nothing_out() -> None:
    found = statuses(verify(SPECTRUM, **OPTIONS))
    assert set(found.values()) == {"holds", "impossible"}
    assert [name for name, status in found.items() if status == "impossible"] == ["T1.c"]


def test_impossibility_is_a_number_and_says_what_it_means() -> None:
    check = next(c for c in verify(SPECTRUM, **OPTIONS) if c.claim == "T1.c")
    assert check.relation == ">="
    assert check.residual >= check.tolerance >= 1e-4
    assert "does not hold for the joint optimum" in check.note
    assert check.passed


def test_leading_spectrum_leaves_out_only_what_it_cannot_know() -> None:
    samples = np.random.default_rng(0).standard_normal((40, 9)) @ np.diag(np.arange(9, 0, -1.0))
    part = lv.Spectrum.from_samples(samples, leading=5)
    found = statuses(verify(part, latent_dim=4, noise_variance=2.0))
    unknown = {"processing", "shannon", "frechet", "excess", "index", "landscape"}
    assert {n for n, s in found.items() if s == "not applicable"} == unknown
    assert "fails" not in found.values()


def test_data_without_variance_have_nothing_to_claim() -> None:
    still = lv.Spectrum.from_eigenvalues([0.0, 0.0, 0.0])
    found = statuses(verify(still, latent_dim=2, noise_variance=1.0))
    assert {n for n, s in found.items() if s == "not applicable"} == {
        "critical", "inverse", "processing", "calibrated", "straight", "T1.c", "T1.e",
        "excess", "index", "landscape", "rotation",
    }  # fmt: skip
    assert "fails" not in found.values()


def test_modes_without_variance_stay_out_of_the_way() -> None:
    thin = lv.Spectrum.from_eigenvalues([2.0, 1.0, 0.0, 0.0])
    assert all(check.passed for check in verify(thin, latent_dim=3, noise_variance=0.5))


def test_chosen_betas_are_used_in_any_order() -> None:
    betas = [10.0, 0.1, 6.0, 0.1]
    assert all(check.passed for check in verify(SPECTRUM, betas=betas, **OPTIONS))
    only_critical = SPECTRUM.eigenvalues[:1] / 0.5
    assert all(check.passed for check in verify(SPECTRUM, betas=only_critical, **OPTIONS))


def test_progress_is_reported() -> None:
    seen: list[tuple[int, int]] = []
    verify(SPECTRUM, progress=lambda done, total: seen.append((done, total)), **OPTIONS)
    assert seen == [(i + 1, len(CLAIMS)) for i in range(len(CLAIMS))]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent_dim": 0, "noise_variance": 1.0}, "latent_dim: got 0"),
        ({"latent_dim": 7, "noise_variance": 1.0}, "latent_dim: got 7"),
        ({"latent_dim": 2, "noise_variance": -1.0}, "noise_variance: got -1.0"),
        ({"latent_dim": 2, "noise_variance": 1.0, "betas": [1.0, 0.0]}, "betas: got 0.0"),
        ({"latent_dim": 2, "noise_variance": 1.0, "betas": []}, "betas: got an empty array"),
    ],
)
def test_bad_input(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        verify(SPECTRUM, **options)


def test_nan_never_passes() -> None:
    assert not claim_types.judged(CLAIMS[0], float("nan"), 1.0, "").passed
    assert not claim_types.demonstrated(CLAIMS[0], float("nan"), 1e-3, "").passed
    assert not claim_types.demonstrated(CLAIMS[0], 1e-9, 1e-3, "").passed


# A registry that cannot fail proves nothing. Each entry breaks one thing by 1e-6 (or by its nature)
# and names claims that must notice.


def _broken_response(**changes: Callable[[np.ndarray], np.ndarray]) -> Callable[..., lv.LinearVAE]:
    def broken(*args: Any, **kwargs: Any) -> lv.LinearVAE:
        model = lv.response(*args, **kwargs)
        return dataclasses.replace(
            model, **{name: change(getattr(model, name)) for name, change in changes.items()}
        )

    return broken


def _slightly(array: np.ndarray) -> np.ndarray:
    return array * (1 + 1e-4)


class _WrongSlope(lv.Frontier):
    def _finish(self, beta: Any, *args: Any, **kwargs: Any) -> lv.CurvePoints:
        return super()._finish(beta * 1.01, *args, **kwargs)


class _WrongRate(lv.Frontier):
    def at_rate(self, rate: Any) -> lv.CurvePoints:
        return super().at_rate(np.asarray(rate) * (1 + 1e-6))


class _HalfError(lv.Frontier):
    """Forgets the ½ of the rate."""

    def _points(self, *args: Any) -> lv.CurvePoints:
        points = super()._points(*args)
        return dataclasses.replace(points, rate=2 * points.rate)


class _ShiftedThreshold(lv.Frontier):
    def _points(self, *args: Any) -> lv.CurvePoints:
        points = super()._points(*args)
        return dataclasses.replace(points, active=np.maximum(points.active, 1))


def _shannon_above(spectrum: lv.Spectrum, *, noise_variance: float) -> lv.Frontier:
    return lv.Frontier(spectrum, latent_dim=1, noise_variance=noise_variance)


class _MiscalibratedCurve(lv.CalibratedFrontier):
    def _priced(self, *args: Any) -> lv.CurvePoints:
        points = super()._priced(*args)
        return dataclasses.replace(
            points, noise_variance=points.noise_variance * 1.3, distortion=points.distortion + 0.05
        )


class _BentCurve(lv.CalibratedFrontier):
    def at_rate(self, rate: Any) -> lv.CurvePoints:
        points = super().at_rate(rate)
        return dataclasses.replace(points, distortion=points.distortion - 0.3 * points.rate)


class _Ungated(lv.Hypernetwork):
    @classmethod
    def exact(cls, spectrum: Any, *, latent_dim: int, noise_variance: float) -> lv.Hypernetwork:
        decoder = lv.response(
            spectrum, 1e-3, latent_dim=latent_dim, noise_variance=noise_variance
        ).decoder
        return lv.Hypernetwork.published(decoder=decoder, noise_variance=noise_variance)


class _WrongBias(lv.Hypernetwork):
    @classmethod
    def published(cls, **kwargs: Any) -> lv.Hypernetwork:
        kwargs["noise_variance"] *= 1 + 1e-6
        return lv.Hypernetwork.published(**kwargs)


class _DriftingDecoder(lv.Hypernetwork):
    @classmethod
    def published(cls, **kwargs: Any) -> lv.Hypernetwork:
        kwargs["noise_variance"] *= 1.5
        return lv.Hypernetwork.published(**kwargs)


def _perfect_fit(*args: Any, **kwargs: Any) -> Any:
    return dataclasses.replace(claims_theorem.best_posterior_fit(1, starts=1), worst_excess=1e-7)


FAULTS = [
    (claim_types, "response", _broken_response(decoder=_slightly), {"optimum"}),
    (claim_types, "response", _broken_response(encoder=_slightly), {"optimum", "aggregated"}),
    (claim_types, "response", _broken_response(posterior_variance=_slightly),
     {"optimum", "aggregated", "information", "T1.d"}),
    (claim_types, "response", _broken_response(decoder=lambda d: d * 1.2), {"evidence", "T1.a"}),
    (claim_types, "Frontier", _WrongSlope, {"slope"}),
    (claim_types, "Frontier", _WrongRate, {"inverse"}),
    (claim_types, "Frontier", _HalfError, {"optimum", "slope", "global"}),
    (claim_types, "Frontier", _ShiftedThreshold, {"critical"}),
    (claims_curve, "CalibratedFrontier", _MiscalibratedCurve, {"calibrated"}),
    (claims_curve, "CalibratedFrontier", _BentCurve, {"straight"}),
    (claims_theorem, "Hypernetwork", _Ungated, {"T1.a", "T1.d", "T1.d+"}),
    (claims_theorem, "Hypernetwork", _WrongBias, {"T1.b"}),
    (claims_theorem, "Hypernetwork", _DriftingDecoder, {"T1.f"}),
    (claims_theorem, "decoder_given_encoder",
     lambda *a, **k: lv.response(SPECTRUM, 1.0, **OPTIONS), {"T1.f"}),
    (claims_theorem, "_LEAST_SUP_EXCESS", 1.0, {"T1.c"}),
]  # fmt: skip


@pytest.mark.parametrize(("module", "name", "fault", "noticed"), FAULTS)
def test_every_fault_is_noticed(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, fault: Any, noticed: set[str]
) -> None:
    monkeypatch.setattr(module, name, fault)
    failing = {c.claim for c in verify(SPECTRUM, **OPTIONS) if not c.passed}
    assert noticed <= failing


def test_a_shannon_curve_above_the_rank_k_curve_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims_curve.Frontier, "shannon", _shannon_above)
    failing = {c.claim for c in verify(SPECTRUM, **OPTIONS) if not c.passed}
    assert failing == {"shannon"}


def test_information_above_the_rate_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = lv.LinearVAE.information

    def inflated(self: lv.LinearVAE, spectrum: lv.Spectrum) -> Any:
        parts = real(self, spectrum)
        return dataclasses.replace(parts, mutual_information=parts.mutual_information + 1e-3)

    monkeypatch.setattr(lv.LinearVAE, "information", inflated)
    failing = {c.claim for c in verify(SPECTRUM, **OPTIONS) if not c.passed}
    assert {"processing", "information"} <= failing


@pytest.mark.parametrize("gate", ["sigmoid", "sqrt_relu"])
def test_a_limit_that_is_not_reached_is_noticed(monkeypatch: pytest.MonkeyPatch, gate: str) -> None:
    real = claims_theorem.GATES[gate]
    monkeypatch.setitem(claims_theorem.GATES, gate, lambda x: real(x) * (1 - 1e-3))
    failing = {c.claim for c in verify(SPECTRUM, **OPTIONS) if not c.passed}
    assert "T1.e" in failing


def test_a_fit_below_the_bound_refutes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = claims_theorem.best_posterior_fit
    monkeypatch.setattr(
        claims_theorem,
        "best_posterior_fit",
        lambda gates, **options: dataclasses.replace(real(gates, **options), worst_excess=1e-5),
    )
    failing = {c.claim for c in verify(SPECTRUM, **OPTIONS) if not c.passed}
    assert failing == {"T1.c"}


class _WrongVariance(lv.Hypernetwork):
    @classmethod
    def exact(cls, *args: Any, **kwargs: Any) -> lv.Hypernetwork:
        whole = lv.Hypernetwork.exact(*args, **kwargs)
        return dataclasses.replace(whole, noise_variance=whole.noise_variance * 1.01)


class _LostOffset(lv.Hypernetwork):
    @classmethod
    def exact(cls, *args: Any, **kwargs: Any) -> lv.Hypernetwork:
        whole = lv.Hypernetwork.exact(*args, **kwargs)
        return dataclasses.replace(whole, offset=0 * whole.offset)


SHIFTED = lv.Spectrum.from_eigenvalues(SPECTRUM.eigenvalues, mean=np.arange(6.0))


@pytest.mark.parametrize("fault", [_WrongVariance, _LostOffset])
def test_the_whole_model_of_the_corrected_theorem_is_checked(
    monkeypatch: pytest.MonkeyPatch, fault: Any
) -> None:
    monkeypatch.setattr(claims_theorem, "Hypernetwork", fault)
    failing = {c.claim for c in verify(SHIFTED, **OPTIONS) if not c.passed}
    assert "T1.d" in failing


@pytest.mark.parametrize(
    ("method", "spoil", "noticed"),
    [
        ("log_likelihood", lambda v: v + 0.1, "evidence"),
        ("information", lambda p: dataclasses.replace(p, marginal_kl=p.marginal_kl + 0.1), "split"),
        (
            "information",
            lambda p: dataclasses.replace(p, dimension_wise_kl=1.01 * p.dimension_wise_kl),
            "split",
        ),
        (
            "elbo_split",
            lambda s: dataclasses.replace(s, likelihood_ratio=s.likelihood_ratio + 0.1),
            "split",
        ),
    ],
)
def test_wrong_evaluations_are_noticed(
    monkeypatch: pytest.MonkeyPatch, method: str, spoil: Any, noticed: str
) -> None:
    real = getattr(lv.LinearVAE, method)
    monkeypatch.setattr(lv.LinearVAE, method, lambda self, spectrum: spoil(real(self, spectrum)))
    failing = {c.claim for c in verify(SHIFTED, **OPTIONS) if not c.passed}
    assert noticed in failing


def test_evaluations_that_ignore_offsets_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = lv.LinearVAE.evaluate

    def deaf(self: lv.LinearVAE, spectrum: lv.Spectrum, beta: Any) -> lv.Terms:
        mean = spectrum.mean
        still = dataclasses.replace(self, encoder_offset=mean, decoder_offset=mean)
        return real(still, spectrum, beta)

    monkeypatch.setattr(lv.LinearVAE, "evaluate", deaf)
    failing = {c.claim for c in verify(SHIFTED, **OPTIONS) if not c.passed}
    assert {"split", "evidence"} <= failing


@pytest.mark.parametrize("method", ["gap", "collapsed_loss"])
def test_wrong_gaps_are_noticed(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    real = getattr(lv.Frontier, method)
    monkeypatch.setattr(lv.Frontier, method, lambda *args: 1.001 * real(*args) + 1e-3)
    failing = {c.claim for c in verify(SPECTRUM, **OPTIONS) if not c.passed}
    assert "gap" in failing


def test_a_wrong_calibration_by_beta_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = lv.CalibratedFrontier.noise_variance
    monkeypatch.setattr(lv.CalibratedFrontier, "noise_variance", lambda *args: 1.1 * real(*args))
    failing = {c.claim for c in verify(SPECTRUM, **OPTIONS) if not c.passed}
    assert "calibrated" in failing


def test_small_betas_do_not_stop_the_checks() -> None:
    checks = verify(SPECTRUM, betas=[1e-300, 1e-100, 1e-16, 1e-14], **OPTIONS)
    assert all(check.passed for check in checks)


def test_many_features_need_no_square_matrix() -> None:
    samples = np.random.default_rng(4).standard_normal((30, 3000))
    spectrum = lv.Spectrum.from_samples(samples, leading=4)
    tracemalloc.start()
    checks = verify(spectrum, latent_dim=4, noise_variance=1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert all(check.passed for check in checks)
    assert peak < 8 * 3000**2
