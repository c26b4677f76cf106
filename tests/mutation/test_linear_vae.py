"""What any parameters achieve: against sigma points, dense matrices and many digits."""

from __future__ import annotations

from dataclasses import replace

import mpmath
import numpy as np
import pytest

import linvae.linear_vae
from linvae import LinearVAE, Spectrum
from linvae.errors import InputError, PartialSpectrumError
from tests import oracles
from tests.mutation.cases import (
    MEAN,
    Parameters,
    assert_digits,
    dense,
    leading,
    model,
    parameters,
    spectrum,
)
from tests.tolerances import EPS, assert_close

BATCH = [parameters(4, 3, seed) for seed in (11, 12, 13)]
SQUARE = [parameters(4, 4, 21), parameters(4, 1, 22)]


@pytest.mark.parametrize("p", [*BATCH, *SQUARE])
def test_rate_distortion_and_objective(p: Parameters) -> None:
    given = spectrum()
    S = dense(given)
    terms = model(p).evaluate(given, 0.7)
    assert isinstance(terms.rate, float)
    assert_close(terms.rate, oracles.rate(S, MEAN, p), "rounding")
    error = oracles.squared_error(S, MEAN, p)
    assert_close(terms.squared_error, error, "rounding")
    assert_close(terms.distortion, oracles.distortion(S, MEAN, p), "rounding")
    assert_close(terms.objective, oracles.objective(S, MEAN, p, 0.7), "rounding")
    assert (terms.beta, terms.noise_variance, terms.n_features) == (0.7, p.s2, 4)


def test_a_batch_is_its_models() -> None:
    given, batch = spectrum(), model(*BATCH)
    S = dense(given)
    betas = np.array([0.3, 1.1, 6.0])
    terms, parts = batch.evaluate(given, betas), batch.information(given)
    likelihood, split = batch.log_likelihood(given), batch.elbo_split(given)
    for i, p in enumerate(BATCH):
        assert_close(terms.objective[i], oracles.objective(S, MEAN, p, betas[i]), "rounding")
        one = model(p).information(given)
        for name, value in vars(one).items():
            assert_close(getattr(parts, name)[i], value, "rounding")
        assert_close(likelihood[i], oracles.log_likelihood(S, MEAN, p), "rounding")
        assert_close(split.data_kl[i], model(p).elbo_split(given).data_kl, "rounding")
    two = model(*BATCH[:2]).information(given)  # as many models as latents could hide a mistake
    assert_close(two.aggregated_covariance, parts.aggregated_covariance[:2], "ulps")
    table = batch.evaluate(given, betas[:2, None])
    assert table.objective.shape == (2, 3)
    assert_close(table.objective[1], terms.distortion + 1.1 * terms.rate, "rounding")
    with pytest.raises(InputError, match=r"beta: got shape \(2,\); expected .*with \(3,\)"):
        batch.evaluate(given, [1.0, 2.0])


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of models whose missed variances were summed together."""
    sizes: list[int] = []
    einsum = np.einsum

    def counted(pattern: str, *operands: np.ndarray) -> np.ndarray:
        sizes.append(len(operands[0]))
        return einsum(pattern, *operands)

    monkeypatch.setattr(np, "einsum", counted)
    return sizes


@pytest.mark.parametrize(
    ("entries", "sizes"), [(1, [1, 1, 1]), (16, [1, 1, 1]), (40, [2, 1]), (2**22, [3])]
)
def test_large_batches_are_worked_off_in_parts(
    entries: int, sizes: list[int], parts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The root of S has 16 entries."""
    given, batch = spectrum(), model(*BATCH)
    want = [oracles.squared_error(dense(given), MEAN, p) for p in BATCH]
    monkeypatch.setattr(linvae.linear_vae, "_BATCH_ENTRIES", entries)
    assert_close(batch.evaluate(given, 1.0).squared_error, want, "rounding")
    assert parts == sizes


class _Wide(np.ndarray):
    """A small root of S that says it has 65536 entries."""

    size = property(lambda self: 2**16)  # type: ignore[assignment]


def test_the_largest_temporary_array_has_four_million_entries(
    parts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Spectrum, "root", property(lambda self: np.eye(2).view(_Wide)))
    batch = LinearVAE(np.zeros((65, 1, 2)), [1.0], np.zeros((2, 1)), 1.0)
    batch.evaluate(spectrum([1.0, 1.0], None), 1.0)
    assert parts == [64, 1]


@pytest.mark.parametrize("p", [*BATCH, *SQUARE])
def test_where_the_rate_goes(p: Parameters) -> None:
    given = spectrum()
    S = dense(given)
    parts = model(p).information(given)
    mean, covariance = oracles.aggregated(S, MEAN, p)
    assert_close(parts.aggregated_mean, mean, "rounding")
    assert_close(parts.aggregated_covariance, covariance, "rounding")
    mutual = oracles.conditional_entropy_information(S, p)
    assert_close(parts.mutual_information, mutual, "rounding")
    total = oracles.total_correlation(S, p)
    assert_close(parts.total_correlation, total, "rounding", scale=1 + total)
    dimension_wise = oracles.dimension_wise_kl(S, MEAN, p)
    assert_close(parts.dimension_wise_kl, dimension_wise, "rounding")
    marginal = oracles.gaussian_kl(mean, covariance, np.zeros(p.c.size), np.eye(p.c.size))
    assert_close(parts.marginal_kl, marginal, "rounding")
    assert_close(parts.rate, oracles.rate(S, MEAN, p), "rounding")
    assert_close(parts.rate, mutual + marginal, "rounding")
    per_latent = 0.5 * (p.c - 1 - np.log(p.c) + np.einsum("kn,nm,km->k", p.E, S, p.E) + mean**2)
    assert_close(parts.rate_per_latent, per_latent, "rounding")


@pytest.mark.parametrize("p", [*BATCH, *SQUARE])
def test_likelihood_and_the_four_terms(p: Parameters) -> None:
    given = spectrum()
    S = dense(given)
    vae = model(p)
    likelihood = oracles.log_likelihood(S, MEAN, p)
    assert_close(vae.log_likelihood(given), likelihood, "rounding")
    split = vae.elbo_split(given)
    elbo = -oracles.distortion(S, MEAN, p) - oracles.rate(S, MEAN, p)
    assert_close(split.elbo, elbo, "rounding")
    assert_close(split.elbo, likelihood - oracles.elbo_gap(S, MEAN, p), "rounding")
    assert_close(split.log_likelihood, likelihood, "rounding")
    entropy = oracles.gaussian_entropy(S)
    assert_close(split.data_entropy, entropy, "rounding")
    marginal = p.D @ p.D.T + p.s2 * np.eye(4)
    data_kl = oracles.gaussian_kl(MEAN, S, p.md, marginal)
    assert_close(split.data_kl, data_kl, "rounding")
    ratio = -oracles.distortion(S, MEAN, p) - likelihood
    assert_close(split.likelihood_ratio, ratio, "rounding", scale=abs(likelihood))
    mutual = oracles.conditional_entropy_information(S, p)
    assert_close(split.mutual_information, mutual, "rounding")
    identity = split.likelihood_ratio - split.mutual_information - split.data_kl - split.marginal_kl
    assert_close(split.elbo + split.data_entropy, identity, "rounding", scale=abs(likelihood))


VARIANCES = [1e-300, 1e-9, 0.1, 0.499, 0.5, 0.51, 0.9, 1 - 1e-9, 1.0, 1.1, 1.49, 1.5, 1.51, 1e9]


@pytest.mark.parametrize("variance", VARIANCES)
def test_rates_of_posterior_variances_to_the_last_digits(variance: float) -> None:
    """(c - 1 - log c) / 2 keeps its digits where it nearly vanishes, up to an ulp of c - 1."""
    vae = LinearVAE([[0.0]], [variance], [[0.0]], 1.0)
    with mpmath.workdps(50):
        exact = mpmath.mpf(variance)
        want = (exact - 1 - mpmath.log(exact)) / 2
    scale = max(float(want), abs(variance - 1))
    assert_digits(vae.evaluate(spectrum([1.3]), 1.0).rate, want, 2, scale)


def test_tiny_posterior_variances_and_no_reading() -> None:
    vae = LinearVAE(np.diag([1.0, 2.0, 3.0]), np.full(3, 1e-200), np.zeros((3, 3)), 1.0)
    parts = vae.information(spectrum([1.1, 1.1, 1.1], None, turned=False))
    with mpmath.workdps(30):
        want = sum(mpmath.log1p(mpmath.mpf(1.1 * g * g) * mpmath.mpf(10) ** 200) for g in (1, 2, 3))
    assert_digits(parts.mutual_information, want / 2, 16)
    blind = replace(vae, encoder=np.zeros((3, 3)))
    assert blind.information(spectrum([1.1] * 3, None)).mutual_information == 0.0
    weak = replace(vae, encoder=1e-9 * np.eye(3), posterior_variance=np.ones(3))
    got = weak.information(spectrum([1.1] * 3, None)).mutual_information
    assert_digits(got, 3 * 1.1e-18 / 2, 64)


def _likelihood(vae: LinearVAE, given: Spectrum) -> float:
    """By the dense marginal covariance, in many digits."""
    with mpmath.workdps(60):
        D = mpmath.matrix(vae.decoder.tolist())
        M = D * D.T + mpmath.mpf(float(vae.noise_variance)) * mpmath.eye(vae.n_features)
        U = mpmath.matrix(given.eigenvectors.tolist())
        S = U * mpmath.diag([mpmath.mpf(float(v)) for v in given.eigenvalues]) * U.T
        delta = mpmath.matrix([mpmath.mpf(float(m)) for m in given.mean - vae.decoder_offset])
        inner = M**-1 * (S + delta * delta.T)
        trace = mpmath.fsum(inner[i, i] for i in range(vae.n_features))
        logs = vae.n_features * mpmath.log(2 * mpmath.pi) + mpmath.log(mpmath.det(M))
        return float(-(logs + trace) / 2)


@pytest.mark.parametrize("small", [1e-3, 1e-9, 1e-14, 1e-100])
def test_likelihood_of_loadings_of_very_different_length(small: float) -> None:
    p = parameters(4, 3)
    given = spectrum()
    for columns in ([1.0, small, 0.3], [small, small, small], [1e5, small, 1.0]):
        vae = replace(model(p), decoder=p.D * columns)
        assert_close(vae.log_likelihood(given), _likelihood(vae, given), "exact")


def test_likelihood_of_a_short_loading_that_matters() -> None:
    """Beside a column of length 1e9, one of length 1 still shapes the density."""
    p = parameters(4, 2)
    given = spectrum()
    vae = replace(model(p), decoder=p.D * [1e9, 0.8])
    assert_close(vae.log_likelihood(given), _likelihood(vae, given), "exact")
    without = replace(vae, decoder=p.D * [1e9, 0.0])
    assert abs(vae.log_likelihood(given) - without.log_likelihood(given)) > 0.1


def test_likelihood_of_repeated_and_missing_loadings() -> None:
    p = parameters(4, 3)
    given = spectrum()
    for decoder in (p.D[:, [0, 0, 1]], p.D * [1.0, 0.0, 1.0], np.zeros((4, 3))):
        vae = replace(model(p), decoder=decoder)
        assert_close(vae.log_likelihood(given), _likelihood(vae, given), "rounding")


def test_directions_that_no_column_spans_are_not_asked_for() -> None:
    """On a leading spectrum every arbitrary direction of zero gain would be refused."""
    whole, part = spectrum([5.3, 2.9, 0.71, 0.23], None), leading([5.3, 2.9, 0.71, 0.23], 2)
    held = whole.eigenvectors[:, :2]
    p = parameters(4, 3)
    rows = p.E[:, :2] @ held.T
    columns = [
        np.stack([held[:, 0], np.zeros(4), held[:, 1]], axis=1),
        np.stack([held[:, 0], 0.3 * held[:, 0], -held[:, 0]], axis=1),
        np.stack([held @ [0.6, 0.8], held @ [0.3, -0.2], held @ [0.1, 1.0]], axis=1),
        np.zeros((4, 3)),
    ]
    for decoder in columns:
        vae = LinearVAE(rows, p.c, decoder, p.s2)
        for ask in ("log_likelihood", "information"):
            got, want = getattr(vae, ask)(part), getattr(vae, ask)(whole)
            if ask == "information":
                got, want = got.rate, want.rate
            assert_close(got, want, "rounding")
        error = vae.evaluate(whole, 1.0).squared_error
        assert_close(vae.evaluate(part, 1.0).squared_error, error, "rounding")
    seeing = LinearVAE(rows, p.c, p.D, p.s2)
    with pytest.raises(PartialSpectrumError, match="data directions"):
        seeing.log_likelihood(part)


def test_perfect_copies_leave_no_negative_error() -> None:
    """E = D = I on the held directions: only the noise and what is not held remain."""
    whole = spectrum([5.3, 2.9, 0.71, 0.23], None, turned=False)
    copy = LinearVAE(np.eye(4), np.full(4, 1e-9), np.eye(4), 0.4)
    assert_close(copy.evaluate(whole, 1.0).squared_error, 4e-9, "rounding")
    part = leading([5.3, 2.9, 0.71, 0.23], 2)
    held = part.eigenvectors
    half = LinearVAE(held.T, [1e-9, 1e-9], held, 0.4)
    assert_close(half.evaluate(part, 1.0).squared_error, 0.94 + 2e-9, "rounding")


def test_refusals() -> None:
    vae = model(BATCH[0])
    wide, narrow = spectrum([3.0] * 5, None), spectrum([3.0] * 3, None)
    for other in (wide, narrow):
        for ask in (vae.information, vae.log_likelihood, vae.elbo_split):
            with pytest.raises(InputError, match=r"spectrum: got \d features; expected 4"):
                ask(other)
        with pytest.raises(InputError, match=r"spectrum: got \d features; expected 4"):
            vae.evaluate(other, 1.0)
    with pytest.raises(InputError, match="beta: got 0"):
        vae.evaluate(spectrum(), 0.0)
    loud = replace(vae, encoder=np.full((3, 4), 1e300), decoder=np.full((4, 3), 1e300))
    for ask in (loud.information, loud.log_likelihood, lambda s: loud.evaluate(s, 1.0)):
        with pytest.raises(InputError, match=r"parameters \(.*\): got values that lead beyond"):
            ask(spectrum())


def _asks_for_more(columns: list[np.ndarray]) -> bool:
    """Whether a decoder is found to span more than the direction of its first column."""
    first = columns[0] / np.linalg.norm(columns[0])
    held = Spectrum(np.zeros(first.size), [3.0], first[:, None], 5.0, complete=False)
    k = len(columns)
    vae = LinearVAE(np.zeros((k, first.size)), np.ones(k), np.stack(columns, axis=1), 0.4)
    try:
        vae.log_likelihood(held)
    except PartialSpectrumError:
        return True
    return False


@pytest.mark.parametrize("shape", [[1.0, 0.0], [1.0, -0.5]])
def test_columns_less_than_eight_n_eps_apart_are_one_direction(shape: list[float]) -> None:
    """Two unit columns at an angle θ have the singular values √2 and θ/√2."""
    n = 64
    column = np.tile(shape, n // 2) if shape[1] else np.eye(n)[0]
    other = (
        np.tile(shape[::-1], n // 2) * np.tile([-1.0, 1.0], n // 2) if shape[1] else np.eye(n)[1]
    )
    assert column @ other == 0
    for share, apart in ((0.94, False), (1.06, True)):
        angle = share * 8 * n * EPS * np.sqrt(2)
        assert _asks_for_more([column, column + angle * other]) == apart, share
        assert _asks_for_more([column, 0.25 * (column + angle * other)]) == apart, share


def test_gains_up_to_eps_of_the_largest_span_nothing() -> None:
    first, second = np.eye(3)[:2]
    for size in (2.0**-70, 1.0, 8.0):
        for share, spans in ((0.5, False), (1.0, False), (1.01, True), (1e3, True)):
            assert _asks_for_more([size * first, share * EPS * size * second]) == spans, share
    assert not _asks_for_more([first, 0 * second])
    # Of the largest of the same model, not of the batch.
    held = Spectrum(np.zeros(3), [3.0], first[:, None], 5.0, complete=False)
    decoders = np.stack([1e20 * first, second])[..., None]
    with pytest.raises(PartialSpectrumError):
        LinearVAE(np.zeros((1, 3)), [1.0], decoders, 0.4).log_likelihood(held)


def test_loadings_whose_squares_underflow_still_add_up() -> None:
    """64 entries of 1.5e-162: each square rounds to 0, their sum is 29 times the noise variance."""
    n, entry, noise = 64, 1.5e-162, 5e-324
    nothing = Spectrum.from_eigenvalues(np.zeros(n))
    with_loading, without = (
        LinearVAE(np.zeros((1, n)), [1.0], np.full((n, 1), size), noise).log_likelihood(nothing)
        for size in (entry, 0.0)
    )
    gain = mpmath.mpf(entry) ** 2 * n / mpmath.mpf(noise)
    # Subnormal numbers have few digits.
    assert without - with_loading == pytest.approx(float(mpmath.log1p(gain)) / 2, rel=0.02)
