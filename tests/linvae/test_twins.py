"""Active units, Fréchet distance and the accuracy bound against definitions and attacks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.optimize import minimize

import linvae as lv
from linvae.errors import InputError, InputTypeError, PartialSpectrumError
from linvae.testing.strategies import (
    KINDS,
    Problem,
    betas,
    generators,
    orthogonal_matrix,
    parameters,
    populations,
    problems,
)
from linvae.twins import accuracy_bound, active_units, frechet_distance
from tests.tolerances import assert_close, tolerance


@given(problems(kinds=KINDS), st.data(), st.sampled_from([0.0, 0.01, 0.3]))
def test_active_units_at_the_optimum(problem: Problem, data: st.DataObject, limit: float) -> None:
    beta = data.draw(betas(problem.critical, edges=False))
    got = active_units(
        lv.response(problem.spectrum, beta, **problem.options), problem.spectrum, threshold=limit
    )
    assert got.shape == ()
    ends = (1 - limit) * problem.critical
    sure = np.abs(beta - ends) > 1e-9 * ends  # within rounding of the end either answer is right
    assert (beta < ends)[sure].sum() <= got <= (beta < ends)[sure].sum() + (~sure).sum()


def test_active_units_counts_latents_with_varying_means() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([4.0, 1.0, 0.25])
    vae = lv.LinearVAE(
        np.diag([0.5, 0.0, 0.1]), np.full(3, 0.1), np.eye(3), np.asarray(1.0), np.ones(3)
    )
    # Variances 1, 0 and 0.0025; the offset moves means, not their variance.
    assert active_units(vae, spectrum) == 1
    assert active_units(vae, spectrum, threshold=0.001) == 2


@pytest.mark.parametrize("beta", [0.5, 2.5])
def test_active_units_of_an_optimised_model(beta: float) -> None:
    """Found by a minimiser that knows nothing of modes."""
    spectrum = lv.Spectrum.from_eigenvalues([3.0, 2.0, 0.7])

    def model(v: np.ndarray) -> lv.LinearVAE:
        return lv.LinearVAE(
            v[:6].reshape(2, 3), np.exp(v[6:8]), v[8:14].reshape(3, 2), np.asarray(1.0)
        )

    start = np.random.default_rng(1).standard_normal(14) * 0.3
    found = minimize(lambda v: model(v).evaluate(spectrum, beta).objective, start, method="BFGS")
    want = sum(value > beta / 0.99 for value in (3.0, 2.0))
    assert active_units(model(found.x), spectrum) == want


@given(problems(kinds=KINDS), st.data())
def test_frechet_distance_at_the_optimum(problem: Problem, data: st.DataObject) -> None:
    beta = data.draw(betas(problem.critical))
    values = problem.population.values
    kept = np.maximum(values - beta * problem.s2, 0.0) * (np.arange(values.size) < problem.k)
    made = kept + problem.s2
    got = frechet_distance(lv.response(problem.spectrum, beta, **problem.options), problem.spectrum)
    want = ((np.sqrt(values) - np.sqrt(made)) ** 2).sum()
    assert_close(got, want, scale=values.sum() + made.sum())


@given(populations(max_n=5), st.data(), st.booleans())
def test_frechet_distance_of_any_model(population, data: st.DataObject, noise: bool) -> None:
    """Against the textbook formula with matrix square roots."""
    k = data.draw(st.integers(1, population.n))
    vae = data.draw(parameters(population.n, k, scale=float(population.values[0]))).vae
    covariance = population.covariance
    model = vae.decoder @ vae.decoder.T + noise * float(vae.noise_variance) * np.eye(population.n)
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ model @ root)
    cross = np.sqrt(np.maximum(inner, 0)).sum()
    shift = ((population.mean - vae.decoder_offset) ** 2).sum()
    want = shift + np.trace(covariance) + np.trace(model) - 2 * cross
    got = frechet_distance(vae, population.spectrum, noise=noise)
    scale = shift + np.trace(covariance) + np.trace(model)
    # The square root of the smallest eigenvalues loses half of the digits.
    assert abs(got - want) <= 1e-6 * scale
    assert got >= 0


def test_frechet_distance_against_matrix_square_roots() -> None:
    rng = np.random.default_rng(0)
    spectrum = lv.Spectrum.from_samples(rng.standard_normal((60, 4)) @ rng.standard_normal((4, 4)))
    vae = lv.LinearVAE(
        np.zeros((2, 4)), np.ones(2), rng.standard_normal((4, 2)), np.asarray(0.7),
        decoder_offset=rng.standard_normal(4),
    )  # fmt: skip
    model = vae.decoder @ vae.decoder.T + 0.7 * np.eye(4)
    root = sqrtm(spectrum.covariance)
    cross = np.trace(np.real(sqrtm(root @ model @ root)))
    shift = ((spectrum.mean - vae.decoder_offset) ** 2).sum()
    want = shift + np.trace(spectrum.covariance + model) - 2 * cross
    assert_close(frechet_distance(vae, spectrum), want)


@given(populations(max_n=4), generators(), st.data())
def test_no_coupling_beats_the_frechet_distance(population, rng, data: st.DataObject) -> None:
    """Any rotation between the two square roots is a coupling, and costs at least as much."""
    n = population.n
    vae = data.draw(parameters(n, 1, scale=float(population.values[0]))).vae
    least = frechet_distance(vae, population.spectrum)
    root = np.zeros((n, n))
    root[:, : population.spectrum.eigenvalues.size] = population.spectrum.root
    model = vae.decoder @ vae.decoder.T + float(vae.noise_variance) * np.eye(n)
    other = np.linalg.cholesky(model)
    shift = ((population.mean - vae.decoder_offset) ** 2).sum()
    size = shift + (root**2).sum() + np.trace(model)
    for _ in range(20):
        cost = shift + ((root - other @ orthogonal_matrix(n, rng)) ** 2).sum()
        assert least <= cost + tolerance("rounding") * size


def test_frechet_distance_of_batches_and_leading_spectra() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([5.0, 2.0, 0.5])
    grid = np.array([[0.1, 1.0, 3.0], [6.0, 0.5, 2.0]])
    models = lv.response(spectrum, grid, latent_dim=2, noise_variance=0.5)
    got = frechet_distance(models, spectrum)
    assert got.shape == (2, 3)
    single = lv.response(spectrum, 2.0, latent_dim=2, noise_variance=0.5)
    assert_close(got[1, 2], frechet_distance(single, spectrum), "rounding")
    leading = lv.Spectrum(np.zeros(3), np.array([5.0, 2.0]), np.eye(3)[:, :2], 7.5, complete=False)
    with pytest.raises(PartialSpectrumError, match="Fréchet distance"):
        frechet_distance(single, leading)
    assert active_units(single, leading) == 2


@given(generators(), st.integers(2, 6), st.integers(2, 5))
def test_accuracy_bound_holds_for_drawn_channels(rng, classes: int, symbols: int) -> None:
    shares = rng.dirichlet(np.ones(classes)) * 0.98 + 0.02 / classes
    channel = rng.dirichlet(np.full(symbols, rng.choice([0.1, 1.0])), classes)
    joint = shares[:, None] * channel
    outer = shares[:, None] * joint.sum(axis=0)
    seen = joint > 0
    nats = float((joint[seen] * np.log(joint[seen] / outer[seen])).sum())
    accuracy = joint.max(axis=0).sum()
    assert accuracy <= accuracy_bound(max(nats, 0.0), shares)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_no_channel_beats_the_accuracy_bound(classes: int) -> None:
    """Maximise accuracy minus bound over all channels; the symmetric one reaches it."""
    equal = np.full(classes, 1 / classes)

    def gap(v: np.ndarray) -> float:
        logits = v.reshape(classes, classes)
        channel = np.exp(logits - logits.max(axis=1, keepdims=True))
        channel = channel / channel.sum(axis=1, keepdims=True)
        joint = channel / classes
        nats = float((joint * np.log(joint / (equal[:, None] * joint.sum(axis=0)))).sum())
        return float(accuracy_bound(max(nats, 0.0), classes) - joint.max(axis=0).sum())

    rng = np.random.default_rng(classes)
    best = min(
        minimize(gap, rng.standard_normal(classes**2), method="Powell", options={"maxiter": 3}).fun
        for _ in range(2)
    )
    assert best >= 0
    symmetric = gap((2 * np.eye(classes)).ravel())
    assert 0 <= symmetric <= 1e-9


def test_accuracy_bound_at_its_ends() -> None:
    assert accuracy_bound(0.0, 10) == pytest.approx(0.1, abs=1e-6)  # flat there: √ulp
    assert accuracy_bound([2.5, np.inf], 10).tolist() == [1.0, 1.0]
    uneven = accuracy_bound(0.0, [0.9, 0.1])
    assert uneven == pytest.approx(0.9, abs=1e-6), "without information guess the larger class"
    rising = accuracy_bound(np.linspace(0, 2.3, 50), 10)
    assert (np.diff(rising) > 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda v, s: active_units(v, s, threshold=1.0), "threshold.*0 <= threshold < 1"),
        (lambda v, s: active_units(v, s, threshold=np.nan), "threshold"),
        (lambda v, s: active_units(v, lv.Spectrum.from_eigenvalues([1.0, 1.0])), "2 features"),
        (lambda v, s: frechet_distance(3, s), "int.*a LinearVAE"),
        (lambda v, s: accuracy_bound(-1.0, 3), "information.*-1.0.*nats >= 0"),
        (lambda v, s: accuracy_bound(np.nan, 3), "information"),
        (
            lambda v, s: accuracy_bound(1.0, 1),
            "class_probabilities: got 1; expected an integer >= 2",
        ),
        (lambda v, s: accuracy_bound(1.0, 2.0), "class_probabilities: got 2.0; .*an integer >= 2"),
        (lambda v, s: accuracy_bound(1.0, True), "class_probabilities: got True; .*an integer"),
        (lambda v, s: accuracy_bound(1.0, [0.5, 0.6]), "sum 1.1"),
        (lambda v, s: frechet_distance(v, s, noise="no"), "noise: got 'no'; expected True or"),
        (lambda v, s: frechet_distance(v, s, noise=None), "noise: got None"),
        (lambda v, s: frechet_distance(v, s, noise=2), "noise: got 2"),
        (lambda v, s: accuracy_bound(1.0, [1.0, 0.0]), "positive"),
        (lambda v, s: accuracy_bound(1.0, [0.5, np.inf]), "class_probabilities"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    spectrum = lv.Spectrum.from_eigenvalues([3.0, 2.0, 1.0])
    vae = lv.response(spectrum, 1.0, latent_dim=2, noise_variance=0.5)
    with pytest.raises(InputError, match=message):
        call(vae, spectrum)


def test_a_wrong_kind_of_model_is_a_type_error() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([3.0, 2.0, 1.0])
    for call in (active_units, frechet_distance):
        with pytest.raises(InputTypeError, match="vae: got ndarray"):
            call(np.eye(3), spectrum)


def test_accuracy_bound_with_many_classes() -> None:
    for classes in (2, 10, 1000):
        equal = np.full(classes, 1 / classes)
        nats = np.linspace(0, np.log(classes), 7)
        # Where f is flat, at 1/M, the two entropies' rounding moves the bound by √ulp.
        assert_close(accuracy_bound(nats[1:], classes), accuracy_bound(nats[1:], equal))
    many = [float(accuracy_bound(0.3, 10**power)) for power in (6, 9, 400)]
    assert many == sorted(many, reverse=True)
    assert 0 < many[-1] < 1e-3


def test_psnr_of_a_model_is_that_of_its_point() -> None:
    spectrum = lv.Spectrum.from_eigenvalues([3.0, 2.0, 1.0])
    vae = lv.response(spectrum, 1.0, latent_dim=2, noise_variance=0.5)
    curve = lv.Frontier(spectrum, latent_dim=2, noise_variance=0.5)
    got = vae.evaluate(spectrum, 1.0).psnr(2.0)
    assert_close(got, curve.at_beta(1.0).psnr(2.0), "rounding")
    worse = replace(vae, decoder=0 * vae.decoder).evaluate(spectrum, 1.0).psnr(2.0)
    assert worse < got
