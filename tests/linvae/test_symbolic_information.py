"""Rate, likelihood and information in NumPy equal the symbolic expressions at 50 digits."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from linvae import response
from linvae.symbolic import evaluate
from linvae.symbolic import information as forms
from linvae.testing import strategies
from linvae.testing.strategies import Parameters, Population, Problem
from tests.tolerances import assert_close

TAME = ("random", "tied", "flat", "zeros", "near")
FULL = ("random", "tied", "flat", "near")
DIGITS = 60

Case = tuple[Population, Parameters]


@st.composite
def cases(draw: st.DrawFn, kinds: tuple[str, ...] = TAME) -> Case:
    population = draw(strategies.populations(max_n=5, kinds=kinds))
    k = draw(st.integers(1, population.n))
    scale = float(population.values[0])
    return population, draw(strategies.parameters(population.n, k, scale=scale))


def exact(array: Any) -> mpmath.matrix:
    array = np.asarray(array, dtype=np.float64)
    return mpmath.matrix(np.atleast_2d(array if array.ndim == 2 else array[:, None]).tolist())


def covariance(population: Population) -> mpmath.matrix:
    root = exact(population.vectors)
    return root * mpmath.diag([mpmath.mpf(v) for v in population.values]) * root.T


def trace(matrix: mpmath.matrix) -> mpmath.mpf:
    return mpmath.fsum(matrix[i, i] for i in range(matrix.rows))


def logdet(matrix: mpmath.matrix) -> mpmath.mpf:
    """Of a positive definite matrix, by its Cholesky factor."""
    factor = mpmath.cholesky(matrix)
    return 2 * mpmath.fsum(mpmath.log(factor[i, i]) for i in range(matrix.rows))


class Dense:
    """The matrices of a case in mpmath, and the numbers the expressions take."""

    def __init__(self, case: Case) -> None:
        population, p = case
        self.n, self.k = population.n, p.k
        self.S, self.E, self.D = covariance(population), exact(p.E), exact(p.D)
        self.C, self.c = mpmath.diag([mpmath.mpf(v) for v in p.c]), p.c
        self.s2 = mpmath.mpf(p.s2)
        mu = exact(population.mean)
        self.a = self.E * (mu - exact(p.me)) + exact(p.h)
        self.delta = mu - exact(p.md)
        self.A = self.E * self.S * self.E.T + self.C

    @property
    def encoder(self) -> dict[str, Any]:
        return {
            "trace_aggregated": trace(self.A),
            "mean_square": (self.a.T * self.a)[0],
            "k": self.k,
            "logdet_posterior": mpmath.fsum(mpmath.log(mpmath.mpf(v)) for v in self.c),
            "logdet_aggregated": logdet(self.A),
            "sum_log_variances": mpmath.fsum(mpmath.log(self.A[j, j]) for j in range(self.k)),
        }

    @property
    def squared_error(self) -> mpmath.mpf:
        missed = mpmath.eye(self.n) - self.D * self.E
        shift = self.delta - self.D * self.a
        return (
            trace(missed * self.S * missed.T)
            + trace(self.D * self.C * self.D.T)
            + (shift.T * shift)[0]
        )

    @property
    def likelihood(self) -> dict[str, Any]:
        model = self.D * self.D.T + self.s2 * mpmath.eye(self.n)
        inside = model**-1 * (self.S + self.delta * self.delta.T)
        return {"n": self.n, "logdet_model": logdet(model), "quadratic_model": trace(inside)}

    @property
    def gap(self) -> dict[str, Any]:
        precision = mpmath.eye(self.k) + self.D.T * self.D / self.s2
        reader = precision**-1 * self.D.T / self.s2
        off, shift = self.E - reader, self.a - reader * self.delta
        inside = self.C + off * self.S * off.T + shift * shift.T
        return {
            "k": self.k,
            "logdet_precision": logdet(precision),
            "logdet_posterior": self.encoder["logdet_posterior"],
            "quadratic_posterior": trace(precision * inside),
        }

    @property
    def conditional(self) -> dict[str, Any]:
        regression = self.S * self.E.T * self.A**-1
        given = self.S - regression * self.E * self.S
        off, shift = regression - self.D, self.delta - self.D * self.a
        inside = trace(given) + trace(off * self.A * off.T) + (shift.T * shift)[0]
        return {
            "n": self.n,
            "sigma2": self.s2,
            "logdet_conditional": logdet((given + given.T) / 2),
            "quadratic_conditional": inside / self.s2,
        }

    def sizes(self) -> tuple[float, float]:
        """Sizes of the summands of rate and distortion, for tolerances."""
        read = float(trace(self.E * self.S * self.E.T))
        a = float((self.a.T * self.a)[0])
        least = float(min(self.c))
        nats = self.k + float(trace(self.C)) + read + a + np.abs(np.log(self.c)).sum()
        nats += np.sqrt(read / least)  # largest singular value behind the information
        gain = float(trace(self.D.T * self.D))
        moments = float(trace(self.S)) + float((self.delta.T * self.delta)[0])
        error = moments + gain * (a + read + float(trace(self.C)))
        logs = self.n * (2 + abs(np.log(float(self.s2)))) + np.log1p(gain / float(self.s2)) * self.k
        return float(nats), float(error / float(self.s2) + logs)


def of(expression: Any, values: dict[str, Any]) -> float:
    """Value of an expression; names it does not hold are left out."""
    free = {symbol.name for symbol in expression.free_symbols}
    chosen = {name: value for name, value in values.items() if name in free}
    return float(evaluate(expression, DIGITS, **chosen))


@given(cases())
def test_information_of_any_model(case: Case) -> None:
    population, p = case
    got = p.vae.information(population.spectrum)
    with mpmath.workdps(DIGITS):
        dense = Dense(case)
        values, size = dense.encoder, dense.sizes()[0]
        wanted = {
            "rate": forms.RATE,
            "mutual_information": forms.MUTUAL_INFORMATION,
            "marginal_kl": forms.MARGINAL_KL,
            "total_correlation": forms.TOTAL_CORRELATION,
        }
        for name, expression in wanted.items():
            assert_close(
                getattr(got, name), of(expression, values), "rounding", scale=size, size=p.k
            )
        total = of(forms.DIMENSION_WISE_SUM, values)
        assert_close(got.dimension_wise_kl.sum(), total, "rounding", scale=size, size=p.k)
        for j in range(p.k):
            one = {"variance": dense.A[j, j], "mean": dense.a[j]}
            want = of(forms.DIMENSION_WISE_KL, one)
            assert_close(got.dimension_wise_kl[j], want, "rounding", scale=size)


@given(cases())
def test_evidence_of_any_model(case: Case) -> None:
    population, p = case
    terms = p.vae.evaluate(population.spectrum, 1.0)
    likelihood = p.vae.log_likelihood(population.spectrum)
    with mpmath.workdps(DIGITS):
        dense = Dense(case)
        rate_size, size = dense.sizes()
        values = {"n": p.D.shape[0], "sigma2": p.s2, "squared_error": dense.squared_error}
        distortion = of(forms.DISTORTION, values)
        assert_close(terms.distortion, distortion, "rounding", scale=size, size=p.k)
        want = of(forms.LOG_LIKELIHOOD, dense.likelihood)
        assert_close(likelihood, want, "rounding", scale=size, size=p.k)
        gap = of(forms.POSTERIOR_GAP, dense.gap)
        assert_close(likelihood - terms.elbo, gap, "rounding", scale=size + rate_size, size=2 * p.k)
        # The identity of the proof itself, far below the rounding of floats.
        exact_gap = evaluate(forms.POSTERIOR_GAP, DIGITS, **dense.gap)
        elbo = -distortion_of(dense) - evaluate(
            forms.RATE, DIGITS, **{n: v for n, v in dense.encoder.items() if n in RATE_NAMES}
        )
        logs = evaluate(forms.LOG_LIKELIHOOD, DIGITS, **dense.likelihood)
        assert abs(elbo - logs + exact_gap) <= mpmath.mpf(10) ** -35 * (size + rate_size)


RATE_NAMES = {symbol.name for symbol in forms.RATE.free_symbols}


def distortion_of(dense: Dense) -> mpmath.mpf:
    return evaluate(
        forms.DISTORTION, DIGITS, n=dense.n, sigma2=dense.s2, squared_error=dense.squared_error
    )


@given(cases(kinds=FULL))
def test_processing_of_any_model(case: Case) -> None:
    population, p = case
    terms = p.vae.evaluate(population.spectrum, 1.0)
    information = p.vae.information(population.spectrum).mutual_information
    entropy = population.spectrum.gaussian_entropy
    with mpmath.workdps(DIGITS):
        dense = Dense(case)
        rate_size, size = dense.sizes()
        want = of(forms.DATA_ENTROPY, {"n": population.n, "logdet_data": logdet(dense.S)})
        assert_close(entropy, want, "rounding", scale=abs(want) + population.n)
        size = size + rate_size + abs(entropy) + np.abs(np.log(population.values)).sum()
        gap = of(forms.PROCESSING_GAP, dense.conditional)
        assert gap >= 0
        assert_close(
            terms.distortion + information - entropy, gap, "rounding", scale=size, size=2 * p.k
        )


@given(strategies.problems(max_n=6), st.data())
def test_modes_at_the_optimum(problem: Problem, data: st.DataObject) -> None:
    """At, beside and away from critical β's: A = I, the information and both gaps."""
    spectrum, s2, k = problem.spectrum, problem.s2, problem.k
    beta = data.draw(strategies.betas(problem.critical))
    vae = response(spectrum, beta, **problem.options)
    parts, terms = vae.information(spectrum), vae.evaluate(spectrum, beta)
    values = spectrum.eigenvalues
    gains = np.einsum("kn,nk->k", vae.encoder, spectrum.eigenvectors[:, :k])
    information = posterior = processing = 0.0
    for i, value in enumerate(map(float, values)):
        if value == 0:
            continue
        if i < k:
            at = {"lambda_": value, "e": gains[i], "c": vae.posterior_variance[i]}
            assert_close(float(evaluate(forms.AGGREGATED_VARIANCE, **at)), 1.0, "rounding")
            information += float(evaluate(forms.MODE_INFORMATION, **at))
            at = {"lambda_": value, "beta": beta, "sigma2": s2}
            posterior += float(evaluate(forms.MODE_POSTERIOR_GAP, **at))
        # A mode beyond the k latents is never active: as one above its critical β.
        weight = beta if i < k else 2 * value / s2
        processing += float(
            evaluate(forms.MODE_PROCESSING_GAP, lambda_=value, beta=weight, sigma2=s2)
        )
    # Rows for small eigenvalues are long: they read what rounding leaves of the large ones.
    small = problem.spectrum.eigenvalues[problem.spectrum.eigenvalues > 0][:k][-1:]
    spread = float(np.sqrt(problem.spectrum.eigenvalues[0] / small[0])) if small.size else 1.0
    assert_close(
        parts.aggregated_covariance, np.eye(k), "rounding", scale=1.0, size=k, condition=spread
    )
    assert_close(parts.mutual_information, information, "rounding", scale=k + information, size=k)
    n = problem.population.n
    size = n * (2 + abs(np.log(s2))) + values.sum() / s2 + terms.rate + n * beta
    gap = vae.log_likelihood(spectrum) - terms.elbo
    assert_close(gap, posterior, "rounding", scale=size, size=n)
    if values[-1] > 0:
        size = size + np.abs(np.log(values)).sum()
        lost = terms.distortion + parts.mutual_information - spectrum.gaussian_entropy
        assert_close(lost, processing, "rounding", scale=size, size=n)


def test_a_wrong_expression_would_be_seen() -> None:
    """The comparison has the power it needs: a factor of 1 + 1e-9 is far outside the tolerance."""
    population = Population(np.array([3.0, 1.0, 0.4]), np.eye(3), np.zeros(3))
    rng = np.random.default_rng(5)
    p = Parameters(
        rng.standard_normal((2, 3)), np.array([0.3, 2.0]), rng.standard_normal((3, 2)), 0.7,
        rng.standard_normal(3), rng.standard_normal(3), rng.standard_normal(2),
    )  # fmt: skip
    got = p.vae.information(population.spectrum)
    with mpmath.workdps(DIGITS):
        dense = Dense((population, p))
        bound = 64 * np.finfo(float).eps * 2 * dense.sizes()[0]
        for name, expression in (
            ("rate", forms.RATE),
            ("mutual_information", forms.MUTUAL_INFORMATION),
            ("total_correlation", forms.TOTAL_CORRELATION),
        ):
            want = of(expression, dense.encoder)
            assert abs(getattr(got, name) - want) <= bound < abs(want) * 1e-9
