"""The NumPy landscape is the expressions that are proved, to many digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from hypothesis import assume, given
from hypothesis import strategies as st

import linvae as lv
from linvae.landscape import (
    Descent,
    block_stationary_point,
    collapse_beta,
    reduced_hessian,
    reduced_objective,
    stationary_point,
)
from linvae.landscape._blocks import Block, block_deficit, block_root, index_and_nullity
from linvae.symbolic import evaluate
from linvae.symbolic import landscape as shape
from tests.tolerances import assert_close

positive = st.floats(1e-3, 1e3)
shares = st.floats(0.01, 0.99)


def value(expression: Any, **numbers: float) -> float:
    """The expression at those of the numbers that it needs."""
    names = {symbol.name for symbol in expression.free_symbols}
    return float(
        evaluate(expression, **{k: v for k, v in numbers.items() if k.rstrip("_") in names})
    )


@given(positive, st.floats(-30, 30), positive, positive)
def test_reduced_objective_of_one_mode(lam: float, d: float, s2: float, beta: float) -> None:
    spectrum = lv.Spectrum.from_eigenvalues([lam])
    got = reduced_objective(spectrum, [[d]], beta, noise_variance=s2)
    constant = 0.5 * np.log(2 * np.pi * s2)
    want = value(shape.REDUCED_MODE, lambda_=lam, d=d, sigma2=s2, beta=beta)
    assert_close(got - constant, want, scale=abs(want) + abs(constant))


@given(positive, positive, st.floats(0.0, 1.0))
def test_saving_of_one_mode(lam: float, s2: float, share: float) -> None:
    """Down to one ulp below the critical β, where λ/τ − 1 − log(λ/τ) cancels."""
    spectrum = lv.Spectrum.from_eigenvalues([lam])
    critical = lam / s2
    beta = min(critical * (1 - share**8), float(np.nextafter(critical, 0)))
    assume(beta > 1e-6 * critical)
    point = stationary_point(spectrum, beta, [], latent_dim=1, noise_variance=s2)
    # As floats the eigenvalue is what the critical β says it is.
    want = value(shape.SAVING, lambda_=critical, sigma2=1.0, beta=beta)
    assert_close(point.excess, want)
    assert point.descent is not None
    assert_close(point.descent.drop, want)


@st.composite
def blocks(draw: st.DrawFn) -> tuple[list[float], int]:
    values = draw(st.lists(st.floats(0.05, 20.0), min_size=1, max_size=4))
    return sorted(values, reverse=True), draw(st.integers(max(2, len(values)), len(values) + 2))


@given(blocks(), st.floats(1e-3, 20.0))
def test_deficits(drawn: tuple[list[float], int], tau: float) -> None:
    values, q = drawn
    roots = np.sqrt(np.array(values) / tau)
    root = block_root(roots, q)
    assume(root * roots.min() > 1)  # the block exists
    numbers = {"beta": 2.0, "root": root}  # units of β/2
    terms = [
        value(
            shape.DEFICIT_ALIVE if ratio > 1 else shape.DEFICIT_FAINT,
            **numbers, lambda_=float(ratio) ** 2 * tau, tau=tau,
        )
        for ratio in roots
    ]  # fmt: skip
    want = sum(terms) + (q - len(values)) * value(shape.DEFICIT_SPARE, **numbers)
    assert min(terms) >= -1e-12
    assert_close(block_deficit(roots, root, q), want, scale=abs(want) + 1e-12)


@given(blocks(), positive, shares)
def test_blocks(drawn: tuple[list[float], int], s2: float, share: float) -> None:
    values, q = drawn
    assume(len(values) == 1 or np.diff(values).max() < -1e-2)
    r, n = len(values), max(q, len(values))
    spectrum = lv.Spectrum.from_eigenvalues([*values, *np.zeros(n - r)])
    edge = collapse_beta(spectrum, range(r), noise_variance=s2, latents=q)
    beta = share * edge
    options: dict[str, Any] = {"latent_dim": q, "noise_variance": s2}
    point = block_stationary_point(spectrum, beta, [(range(r), q)], **options)
    (block,) = point.blocks
    tau = beta * s2
    numbers = {
        "q": q,
        "r": r,
        "sum_roots": float(np.sqrt(values).sum()),
        "sum_ratios": float(np.sum(values)) / tau,
        "lambda_min": values[-1],
        "tau": tau,
        "sigma2": s2,
        "beta": beta,
    }
    assert_close(edge, value(shape.BLOCK_THRESHOLD, **numbers))
    root = value(shape.BLOCK_ROOT, **numbers)
    assert_close(block.root, root)
    for gain, lam in zip(block.gains, values, strict=True):
        want = value(shape.BLOCK_GAIN_SQUARED, **numbers, root=root, lambda_=lam)
        assert_close(gain**2, want, scale=want + tau)
    gram = point.decoder.T @ point.decoder
    diagonal = value(shape.BLOCK_DIAGONAL, **numbers, root=root)
    assert_close(np.diagonal(gram), np.full(q, diagonal), scale=diagonal + tau)
    collapsed = stationary_point(spectrum, beta, [], **options)
    saved = value(shape.BLOCK_SAVING, **numbers, root=root)
    assert_close(collapsed.objective - point.objective, saved, scale=abs(collapsed.objective) + 1)
    assert_close(collapsed.excess - point.excess, saved, scale=beta * numbers["sum_ratios"])


@given(st.floats(0.05, 20.0), st.floats(0.05, 20.0), positive, shares)
def test_curvatures(lam: float, free: float, s2: float, share: float) -> None:
    """Of one mode in use and one free, and of two latents on one mode."""
    spectrum = lv.Spectrum.from_eigenvalues([lam, free])
    own = 0 if lam >= free else 1  # position in the spectrum; the axes stay as given
    beta = share * lam / s2
    tau = beta * s2
    options: dict[str, Any] = {"latent_dim": 2, "noise_variance": s2}
    numbers = {"lambda_": lam, "lambda_free": free, "sigma2": s2, "beta": beta, "tau": tau}
    unit = (1 + lam / tau + free / tau) / s2
    point = stationary_point(spectrum, beta, [own], **options)
    hessian = reduced_hessian(spectrum, point.decoder, beta, noise_variance=s2)
    spot = 2  # row of the free mode, first latent
    assert_close(hessian[spot, spot], value(shape.SWAP_CURVATURE, **numbers), scale=unit)
    revival = value(shape.REVIVAL_CURVATURE, **numbers)
    assert_close(hessian[spot + 1, spot + 1], revival, scale=unit)
    pair = block_stationary_point(spectrum, beta, [([own], 2)], **options)
    numbers["root"] = pair.blocks[0].root
    gram = pair.decoder.T @ pair.decoder
    numbers["g"], numbers["h"] = float(gram[0, 0]), float(gram[0, 1])
    hessian = reduced_hessian(spectrum, pair.decoder, beta, noise_variance=s2)
    sign = np.sign(gram[0, 1])
    shared = np.array([1.0, sign]) / np.sqrt(2)
    lone = np.array([1.0, -sign]) / np.sqrt(2)
    rows = hessian.reshape(2, 2, 2, 2)
    own_rows, free_rows = rows[0, :, 0], rows[1, :, 1]
    swap = value(shape.BLOCK_SWAP_CURVATURE, **numbers)
    assert_close(shared @ free_rows @ shared, swap, scale=unit)
    assert_close(lone @ free_rows @ lone, value(shape.SPARE_CURVATURE, **numbers), scale=unit)
    turn = value(shape.TURN_CURVATURE, **numbers)
    assert_close(lone @ own_rows @ lone, turn, scale=unit)
    assert pair.descent is not None
    assert_close(pair.descent.curvature, turn)


# Few values, exact as floats, so that ties are drawn: of modes, of roots, and with τ/x².
ratios = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, 3.0])
roots = st.sampled_from([1.25, 1.5, 2.0])


@st.composite
def block_data(draw: st.DrawFn) -> tuple[list[float], list[tuple[int, float, list[float]]], int]:
    """Free eigenvalues in units of τ, blocks (latents, root, eigenvalues), unused latents."""
    blocks = []
    for _ in range(draw(st.integers(0, 3))):
        x, values = draw(roots), draw(st.lists(ratios, min_size=1, max_size=3))
        latents = len(values) + draw(st.integers(0, 2))
        # The root of a single latent is that of its eigenvalue.
        blocks.append((latents, x, values if latents > 1 else [x**2]))
    return draw(st.lists(ratios, max_size=4)), blocks, draw(st.integers(0, 3))


@given(block_data(), st.sampled_from([0.5, 1.0, 4.0]))
def test_counts(
    data: tuple[list[float], list[tuple[int, float, list[float]]], int], beta: float
) -> None:
    """The integers that the library returns are the sum of the counts that are proved."""
    free, blocks, unused = data
    critical = [beta * ratio for ratio in free]
    built = []
    for latents, x, values in blocks:
        modes = tuple(range(len(critical), len(critical) + len(values)))
        critical += [beta * ratio for ratio in values]
        built.append(
            Block(modes, latents, x, np.ones(len(values)), np.eye(latents)[:, : len(values)])
        )
    got = index_and_nullity(np.array(critical), beta, built, unused)
    exact = [
        (sp.Integer(latents), sp.Rational(x), [sp.Rational(beta * ratio) for ratio in values])
        for latents, x, values in blocks
    ]
    want = shape.index_and_nullity(
        [sp.Rational(beta * ratio) for ratio in free], exact, sp.Integer(unused), sp.Rational(beta)
    )
    assert got == want


@given(st.floats(1.05, 20.0), st.floats(1.05, 20.0), positive, positive, shares)
def test_paths(ratio: float, more: float, s2: float, beta: float, t: float) -> None:
    tau = beta * s2
    lam, free = ratio * tau, ratio * more * tau
    spectrum = lv.Spectrum.from_eigenvalues([free, lam])
    numbers = {"lambda_": lam, "lambda_free": free, "tau": tau, "beta": beta, "t": t}
    one: dict[str, Any] = {"latent_dim": 1, "noise_variance": s2}
    swap = stationary_point(spectrum, beta, [1], **one).descent
    revival = stationary_point(spectrum, beta, [], **one).descent
    pair = block_stationary_point(spectrum, beta, [([0, 1], 2)], latent_dim=2, noise_variance=s2)
    assert swap is not None
    assert revival is not None
    assert pair.descent is not None
    gram = pair.decoder.T @ pair.decoder
    numbers["g"], numbers["h"] = float(gram[0, 0]), float(gram[0, 1])
    check_path(swap, "swap", shape.SWAP_CHANGE, shape.SWAP_DROP, numbers)
    check_path(revival, "revival", shape.REVIVAL_CHANGE, shape.REVIVAL_DROP, numbers)
    check_path(pair.descent, "turn", shape.TURN_CHANGE, shape.TURN_DROP, numbers)


def check_path(way: Descent, kind: str, change: Any, drop: Any, numbers: dict[str, float]) -> None:
    assert way.kind == kind
    want = value(drop, **numbers)
    assert_close(way.drop, want, scale=want + 1e-3 * numbers["beta"])
    scale = want + 1e-3 * numbers["beta"]
    assert_close(way.change(numbers["t"]), value(change, **numbers), scale=scale)
