"""What the landscape refuses, and how it says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import linvae as lv
from linvae.errors import InputError, InputTypeError, PartialSpectrumError
from linvae.landscape import (
    block_stationary_point,
    collapse_beta,
    reduced_gradient,
    reduced_hessian,
    reduced_objective,
    stable_range,
    stationary_point,
    stationary_points,
)

SPECTRUM = lv.Spectrum.from_eigenvalues(np.arange(30, 0, -1.0))
PARTIAL = lv.Spectrum.from_samples(
    np.random.default_rng(0).standard_normal((40, 9)) @ np.diag(np.arange(9, 0, -1.0)), leading=5
)
OPTIONS: dict[str, Any] = {"latent_dim": 3, "noise_variance": 1.0}

BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: stationary_point(SPECTRUM, 0.5, [0, 0], **OPTIONS), "with repetitions"),
    (lambda: stationary_point(SPECTRUM, 0.5, [30], **OPTIONS), "modes: got 30"),
    (lambda: stationary_point(SPECTRUM, 0.5, [-1], **OPTIONS), "modes: got -1"),
    (lambda: stationary_point(SPECTRUM, 0.5, [0, 1, 2, 3], **OPTIONS), "4 latents in use"),
    (lambda: stationary_point(SPECTRUM, 1.0, [29], **OPTIONS), "expected beta < 1.0"),
    (lambda: stationary_point(SPECTRUM, 0.0, [0], **OPTIONS), "beta: got 0.0"),
    (lambda: stationary_point(SPECTRUM, 0.5, [0], latent_dim=31, noise_variance=1.0), "latent_dim"),
    (lambda: stationary_point(SPECTRUM, 0.5, [0], latent_dim=3, noise_variance=-1), "noise"),
    (lambda: stationary_point(SPECTRUM, 1e-310, [0], **OPTIONS), "use a larger β"),
    (
        lambda: stationary_point(SPECTRUM, 1.0, [0], latent_dim=3, noise_variance=1e-308),
        "rescale data and noise variance",
    ),
    (lambda: stationary_points(SPECTRUM, 0.5, latent_dim=20, noise_variance=1.0), "limit: got"),
    (lambda: stationary_points(SPECTRUM, 0.5, shared=True, limit=5000, **OPTIONS), "more than"),
    (lambda: stationary_points(SPECTRUM, 0.5, limit=0, **OPTIONS), "limit: got 0"),
    (lambda: block_stationary_point(SPECTRUM, 0.5, [([0, 1], 1)], **OPTIONS), "latents: got 1"),
    (lambda: block_stationary_point(SPECTRUM, 0.5, [([], 1)], **OPTIONS), "without eigenvectors"),
    (lambda: block_stationary_point(SPECTRUM, 0.5, [([0], 2), ([0], 1)], **OPTIONS), "repetitions"),
    (lambda: block_stationary_point(SPECTRUM, 0.5, [([0], 4)], **OPTIONS), "4 latents in use"),
    (lambda: block_stationary_point(SPECTRUM, 29.0, [([0, 29], 2)], **OPTIONS), "expected beta <"),
    (
        lambda: block_stationary_point(
            lv.Spectrum.from_eigenvalues([2.0, 2.0, 1.0]), 0.5, [([0, 1], 2)], **OPTIONS
        ),
        "come apart",
    ),
    (lambda: collapse_beta(SPECTRUM, [], noise_variance=1.0), "without eigenvectors"),
    (lambda: collapse_beta(SPECTRUM, [0, 1], noise_variance=1.0, latents=1), "latents: got 1"),
    (lambda: stable_range(SPECTRUM, [0, 1, 2, 3], **OPTIONS), "4 latents in use"),
    (lambda: reduced_objective(SPECTRUM, np.ones((3, 2)), 1.0, noise_variance=1.0), "decoder"),
    (lambda: reduced_objective(SPECTRUM, np.ones((30, 31)), 1.0, noise_variance=1.0), "decoder"),
    (lambda: reduced_gradient(SPECTRUM, np.full((30, 2), np.nan), 1.0, noise_variance=1.0), "nan"),
    (
        lambda: reduced_objective(SPECTRUM, np.full((30, 1), 1e200), 1.0, noise_variance=1.0),
        "decoder: got values that lead beyond",
    ),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_one_clear_sentence(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_kinds() -> None:
    with pytest.raises(InputTypeError, match="modes"):
        stationary_point(SPECTRUM, 0.5, [0.5], **OPTIONS)  # type: ignore[list-item]
    with pytest.raises(InputTypeError, match="Spectrum"):
        stationary_points(np.eye(3), 0.5, **OPTIONS)  # type: ignore[arg-type]
    with pytest.raises(InputTypeError, match="rng"):
        block_stationary_point(SPECTRUM, 0.5, [([0], 2)], rng=3, **OPTIONS)  # type: ignore[arg-type]


@pytest.mark.parametrize("modes", [0, None, "ab", b"ab", 0.5, np.array(0)])
def test_modes_that_are_no_sequence(modes: Any) -> None:
    for call in (
        lambda: stationary_point(SPECTRUM, 0.5, modes, **OPTIONS),
        lambda: collapse_beta(SPECTRUM, modes, noise_variance=1.0),
        lambda: stable_range(SPECTRUM, modes, **OPTIONS),
        lambda: block_stationary_point(SPECTRUM, 0.5, [(modes, 1)], **OPTIONS),
    ):
        with pytest.raises(InputTypeError, match=r"^modes: got ") as caught:
            call()  # type: ignore[no-untyped-call]
        assert str(caught.value).endswith("; pass [0], or [((0, 1), 2)]")


@pytest.mark.parametrize(
    ("blocks", "name"),
    [
        (5, "blocks"),
        ([5], "blocks"),
        (None, "blocks"),
        ("ab", "blocks"),
        (["ab"], "blocks"),
        ([(0,)], "blocks"),
        ([((0,), 1, 2)], "blocks"),
        ([(0, 1)], "modes"),
        ({(0, 1): 2}, "modes"),
        ([((0,), None)], "latents"),
    ],
)
def test_blocks_that_are_no_pairs(blocks: Any, name: str) -> None:
    with pytest.raises(InputError, match=f"^{name}: got ") as caught:
        block_stationary_point(SPECTRUM, 0.5, blocks, **OPTIONS)
    if name != "latents":
        assert "[((0, 1), 2)]" in str(caught.value)


def test_any_sequence_will_do() -> None:
    want = block_stationary_point(SPECTRUM, 0.5, [((0, 1), 2)], **OPTIONS)
    for blocks in (iter([([0, 1], 2)]), ((range(2), 2),), [(np.arange(2), np.int64(2))]):
        got = block_stationary_point(SPECTRUM, 0.5, blocks, **OPTIONS)  # type: ignore[arg-type]
        assert (got.decoder == want.decoder).all()


@pytest.mark.parametrize("shared", ["no", 0, 1, None])
def test_switches_are_bools(shared: Any) -> None:
    with pytest.raises(InputTypeError, match=r"shared: got .* True or False"):
        stationary_points(SPECTRUM, 29.5, shared=shared, **OPTIONS)


def test_more_latents_than_features() -> None:
    for latents in (31, 10**400):
        with pytest.raises(InputError, match=r"latents: got .* <= 30"):
            collapse_beta(SPECTRUM, [0, 1], noise_variance=1.0, latents=latents)


@pytest.mark.parametrize("call", [reduced_objective, reduced_gradient, reduced_hessian])
def test_values_beyond_float64(call: Callable[..., Any]) -> None:
    """One error or a finite value, never a warning."""
    refused = 0
    for size in (1e-200, 1.0, 1e120, 1e150):
        for top in (1e-300, 1.0, 1e300):
            for noise in (1e-300, 1e-150, 1.0, 1e150, 1e300):
                spectrum = lv.Spectrum.from_eigenvalues([top, 0.5 * top, 0.0])
                decoder = size * np.array([[1.0, 0.0], [1.0, 2.0], [0.0, 1.0]])
                try:
                    assert np.isfinite(call(spectrum, decoder, 1.0, noise_variance=noise)).all()
                except InputError:
                    refused += 1
    assert 0 < refused < 50


def test_a_water_level_that_vanishes() -> None:
    tiny = lv.Spectrum.from_eigenvalues([1e-300, 0.0])
    with pytest.raises(InputError, match="βσ² vanishes"):
        stationary_point(tiny, 1e-170, [], latent_dim=1, noise_variance=1e-160)


def test_leading_spectra_are_refused() -> None:
    for call in (
        lambda: stationary_point(PARTIAL, 0.5, [0], **OPTIONS),
        lambda: stationary_points(PARTIAL, 0.5, **OPTIONS),
        lambda: collapse_beta(PARTIAL, [0], noise_variance=1.0),
        lambda: reduced_objective(PARTIAL, np.ones((9, 1)), 1.0, noise_variance=1.0),
    ):
        with pytest.raises(PartialSpectrumError, match="the landscape of the objective"):
            call()  # type: ignore[no-untyped-call]


def test_large_hessians_are_refused() -> None:
    wide = lv.Spectrum.from_eigenvalues(np.ones(70))
    with pytest.raises(InputError, match="at most 4096"):
        reduced_hessian(wide, np.ones((70, 60)), 1.0, noise_variance=1.0)


def test_places_on_a_path() -> None:
    way = stationary_point(SPECTRUM, 0.5, [], **OPTIONS).descent
    assert way is not None
    for bad in (-0.1, 1.5, float("nan")):
        with pytest.raises(InputError, match="t: got"):
            way.decoder(bad)
        with pytest.raises(InputError, match="t: got"):
            way.change(bad)


def test_results_are_read_only() -> None:
    point = stationary_point(SPECTRUM, 0.5, [0], **OPTIONS)
    assert not point.decoder.flags.writeable
    assert not point.blocks[0].gains.flags.writeable
    assert point.descent is not None
    assert not point.descent.direction.flags.writeable
