"""Integrated gradient flow against what the closed forms predict of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import differential_evolution

import linvae as lv
from linvae import dynamics
from linvae.dynamics import BetaSchedule, cyclical, linear_warmup, mode_flow, model_flow
from linvae.errors import FlowError, InputError, InputTypeError
from tests import oracles
from tests.linvae.test_dynamics import unpacked
from tests.tolerances import assert_close

Array = np.ndarray
MODEST = st.floats(-0.5, 0.5).map(lambda x: float(10.0**x))
STARTS = st.floats(-1, 1).filter(lambda x: x == 0 or abs(x) >= 1e-100)
SETTLED = 1e-6  # what a flow of finite length and finite tolerance leaves


def optimum(value: float, beta: float, s2: float = 1.0) -> tuple[float, float, float]:
    above = max(value - beta * s2, 0.0)
    return float(np.sqrt(above)) / value, min(1.0, beta * s2 / value), float(np.sqrt(above))


def at(path: dynamics.Trajectory, index: int) -> tuple[float, float, float]:
    return (
        float(path.encoder_gain[index]),
        float(path.posterior_variance[index]),
        float(path.decoder_gain[index]),
    )


@settings(max_examples=12)
@given(MODEST, MODEST, st.floats(0.1, 2.0), STARTS, STARTS, st.data())
def test_the_objective_falls_while_beta_stands_still(
    value: float, s2: float, ratio: float, e: float, d: float, data: st.DataObject
) -> None:
    beta = ratio * value / s2
    flow = data.draw(st.sampled_from(["joint", "decoder"]))
    start: Any = (e, 0.3, d) if flow == "joint" else d
    path = mode_flow(value, beta, start, np.linspace(0, 20, 80), noise_variance=s2, flow=flow)
    scale = np.abs(path.objective).max() + 1e-9
    assert np.diff(path.objective).max() <= SETTLED**1.5 * scale
    assert path.objective[-1] >= oracle_objective(value, s2, beta, optimum(value, beta, s2)) - 1e-9
    for index in (0, 40, -1):  # the numbers are those of the oracle at the recorded parameters
        assert_close(path.objective[index], oracle_objective(value, s2, beta, at(path, index)),
                     scale=scale)  # fmt: skip


def oracle_objective(value: float, s2: float, beta: float, point: tuple[float, ...]) -> float:
    e, c, d = point
    p = unpacked(np.array([e, d, np.log(c)]), 1, 1, s2)
    S, mu = np.array([[value]]), np.zeros(1)
    return oracles.trace_squared_error(S, mu, p) / (2 * s2) + beta * oracles.trace_rate(S, mu, p)


@settings(max_examples=15)
@given(MODEST, MODEST, st.floats(0.05, 0.95), st.floats(1e-4, 0.2), st.floats(0.3, 0.999))
def test_decoder_flow_takes_the_predicted_time(
    value: float, s2: float, ratio: float, first: float, share: float
) -> None:
    beta = ratio * value / s2
    best = np.sqrt(value * (1 - ratio))
    time = dynamics.escape_time(
        value, beta, first * best, noise_variance=s2, share=share, flow="decoder"
    )
    assert time > 0
    path = mode_flow(
        value, beta, first * best, [0.0, float(time)], noise_variance=s2, flow="decoder"
    )
    assert_close(path.decoder_gain[-1], share * best, "difference")


@pytest.mark.parametrize(("value", "beta"), [(4.0, 1.0), (1.0, 0.9), (0.3, 0.02)])
def test_escape_is_delayed_by_the_predicted_time(value: float, beta: float) -> None:
    """A start ten times smaller takes log(10)/γ longer, whatever follows after the escape."""
    rate = dynamics.escape_rate(value, beta, noise_variance=1.0)
    direction = dynamics.escape_direction(value, beta, noise_variance=1.0)
    half = optimum(value, beta)[2] / 2
    reached = []
    for size in (1e-4, 1e-5):
        e, d = size * direction
        guess = float(dynamics.escape_time(value, beta, d, noise_variance=1.0))
        times = np.linspace(0.8 * guess, 1.6 * guess, 2000)
        times[0] = 0
        path = mode_flow(value, beta, (e, 1.0, d), times, noise_variance=1.0)
        crossing = int(np.argmax(path.decoder_gain > half))
        near = slice(crossing - 3, crossing + 4)
        fit = np.polyfit(path.decoder_gain[near] - half, times[near], 3)
        reached.append(fit[-1])
        # To leading order the time itself is the predicted one.
        assert abs(reached[-1] * rate - guess * rate) < 1.5
    assert (reached[1] - reached[0]) * rate == pytest.approx(np.log(10), rel=1e-5)


@pytest.mark.parametrize("posterior", ["log", "variance"])
@pytest.mark.parametrize(("value", "beta"), [(2.0, 0.5), (1.0, 0.9), (1.0, 1.6)])
def test_the_end_is_approached_at_the_predicted_rate(
    value: float, beta: float, posterior: Any
) -> None:
    rate = dynamics.convergence_rate(value, beta, noise_variance=1.0, posterior=posterior)
    e, c, d = optimum(value, beta)
    times = np.array([0.0, 9.0, 10.0]) / rate
    path = mode_flow(
        value, beta, (e + 1e-3, c, d + 1e-3), times, noise_variance=1.0, posterior=posterior
    )
    lowest = oracle_objective(value, 1.0, beta, (e, c, d))
    assert path.objective[1] - lowest < 1e-9
    gaps = [abs(np.array(at(path, i)) - (e, c, d)).max() for i in (1, 2)]
    assert np.log(gaps[0] / gaps[1]) == pytest.approx(1.0, rel=2e-2)


def test_at_the_critical_beta_the_decay_is_algebraic() -> None:
    """d² d/dt(1/d²) → 2β/τ², so that 1/d² grows linearly."""
    times = np.array([0.0, 1e5, 2e5])
    path = mode_flow(1.0, 1.0, 1e-1, times, noise_variance=1.0, flow="decoder")
    inverse = 1 / path.decoder_gain**2
    assert (inverse[2] - inverse[1]) / 1e5 == pytest.approx(2.0, rel=1e-3)
    joint = mode_flow(1.0, 1.0, (0.1, 1.0, 0.1), 100 * times, noise_variance=1.0)
    inverse = 1 / joint.decoder_gain**2
    assert inverse[2] / inverse[1] == pytest.approx(2.0, rel=1e-3)


SCHEDULES = st.one_of(
    st.builds(linear_warmup, st.just(1.0), st.floats(0.5, 20), initial=st.floats(0, 3)),
    st.builds(
        cyclical, st.just(1.0), st.floats(0.5, 10), st.integers(1, 4), ramp=st.floats(0.1, 1)
    ),
    st.lists(st.tuples(st.floats(0.5, 5), st.floats(0.01, 4)), min_size=1, max_size=4).map(
        lambda steps: BetaSchedule(
            np.cumsum([0.0, *(t for t, _ in steps)]), np.array([*(b for _, b in steps), 1.0])
        )
    ),
)


@settings(max_examples=15)
@given(SCHEDULES, st.sampled_from([0.4, 0.8, 1.3, 3.0]), st.floats(0.01, 2), st.floats(0.01, 2))
def test_every_schedule_ends_at_the_optimum_of_its_last_beta(
    schedule: BetaSchedule, value: float, e: float, d: float
) -> None:
    assert schedule(1e9) == 1.0
    last = float(schedule.time[-1])
    rate = float(dynamics.convergence_rate(value, 1.0, noise_variance=1.0))
    path = mode_flow(value, schedule, (e, 1.0, d), [0, last + 300 / rate], noise_variance=1.0)
    assert_close(np.array(at(path, -1)), np.array(optimum(value, 1.0)), scale=SETTLED / 1e-10)
    assert path.beta[-1] == 1.0


@pytest.mark.slow
def test_no_schedule_found_ends_elsewhere() -> None:
    """Search for a schedule and a start, gains of equal sign, that miss the optimum."""
    value, best = 1.5, np.array(optimum(1.5, 1.0))
    rate = float(dynamics.convergence_rate(value, 1.0, noise_variance=1.0))

    def hit(v: Array) -> float:
        steps = np.cumsum([0.0, *v[:2]])
        schedule = BetaSchedule(steps, np.array([*v[2:4], 1.0]))
        end = [0.0, float(steps[-1] + 400 / rate)]
        path = mode_flow(value, schedule, (v[4], v[5], v[6]), end, noise_variance=1.0,
                         tolerance=1e-8)  # fmt: skip
        return -float(np.abs(np.array(at(path, -1)) - best).max())

    bounds = [(0.1, 10), (0.1, 10), (0.01, 4), (0.01, 4), (0.01, 3), (0.05, 5), (0.01, 3)]
    found = differential_evolution(hit, bounds, seed=0, maxiter=3, popsize=5, polish=False)
    assert -found.fun < SETTLED


@pytest.mark.parametrize("flow", ["joint", "decoder"])
@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_a_moving_beta_is_followed_at_the_predicted_lag(flow: Any, direction: float) -> None:
    """First order in the speed: halving it halves what is left of the relative difference."""
    value, s2, middle, begin = 2.0, 0.8, 1.2, -80.0
    errors = []
    for speed in (direction * 2e-4, direction * 1e-4):

        def beta(t: float, speed: float = speed) -> float:
            return middle + speed * t

        e, c, d = optimum(value, beta(begin), s2)
        start: Any = (e, c, d) if flow == "joint" else d
        path = mode_flow(
            value, beta, start, [begin, 0.0], noise_variance=s2, flow=flow, tolerance=1e-12
        )
        lag = path.decoder_gain[-1] - optimum(value, middle, s2)[2]
        stated = dynamics.tracking_lag(value, middle, speed, noise_variance=s2, flow=flow)
        assert np.sign(lag) == direction
        errors.append(abs(lag / stated - 1))
    assert errors[0] < 1e-2
    assert errors[1] < 0.55 * errors[0]


@pytest.mark.parametrize(("final", "survives"), [(1.1, True), (3.0, False)])
def test_cycles_revive_a_mode_if_it_grows_more_than_it_shrinks(
    final: float, survives: bool
) -> None:
    """What counts is the escape rate summed over a cycle; dead at the last β it is either way."""
    schedule, cycles = cyclical(final, 60.0, 3, initial=0.01, ramp=1.0), np.arange(3)
    times = np.linspace(0, 1000, 10001)
    path = mode_flow(1.0, schedule, (0.1, 1.0, 0.1), times, noise_variance=1.0)
    inside = (times > 0) & (times < 60)
    grown = dynamics.escape_rate(1.0, schedule(times[inside]), noise_variance=1.0).mean() * 60
    assert (grown > 0) == survives
    best = [path.decoder_gain[(times > 60 * n) & (times < 60 * n + 60)].max() for n in cycles]
    assert best[0] > 0.5
    if survives:
        assert best[2] > 0.5
    else:
        assert best[2] < 0.1 * best[0]
    assert path.decoder_gain[-1] < 0.01, "what counts in the end is the last β"
    dies = np.argmax(schedule(times) > 1.0)
    assert path.decoder_gain[dies] > 0.1, "lag: alive at its critical β"


def test_schedules() -> None:
    warm = linear_warmup(2.0, 4.0, initial=1.0)
    assert_close(warm(np.array([-1.0, 0.0, 2.0, 4.0, 9.0])), np.array([1.0, 1.0, 1.5, 2.0, 2.0]))
    jumps = cyclical(1.0, 2.0, 2, ramp=1.0)
    assert jumps(2.0) == 0
    assert jumps.before(2.0) == 1
    assert jumps(5.0) == 1
    times = np.linspace(0, 6, 7)
    pair = (np.array([0.0, 3.0, 3.0]), np.array([0.5, 1.0, 0.2]))
    options: dict[str, Any] = {"noise_variance": 1.0}
    same = [
        mode_flow(2.0, given, (0.3, 1.0, 0.3), times, **options)
        for given in (pair, BetaSchedule(*pair))
    ]
    assert_close(same[0].decoder_gain, same[1].decoder_gain)
    assert_close(same[0].beta, np.array([0.5, 2 / 3, 5 / 6, 0.2, 0.2, 0.2, 0.2]))
    # A jump is not smoothed over: the flow is that of two runs, one after the other.
    first = mode_flow(2.0, warm, (0.3, 1.0, 0.3), [0.0, 3.0], **options)
    second = mode_flow(2.0, 0.2, at(first, -1), [3.0, 6.0], **options)
    joined = BetaSchedule(np.array([0.0, 3.0, 3.0]), np.array([1.0, 1.75, 0.2]))
    whole = mode_flow(2.0, joined, (0.3, 1.0, 0.3), times, **options)
    assert_close(whole.decoder_gain[-1], second.decoder_gain[-1], "difference", scale=1e-2)
    assert not whole.decoder_gain.flags.writeable


def random_model(n: int, k: int, size: float, seed: int) -> lv.LinearVAE:
    rng = np.random.default_rng(seed)
    return lv.LinearVAE(
        size * rng.standard_normal((k, n)), np.ones(k), size * rng.standard_normal((n, k)),
        np.array(1.0),
    )  # fmt: skip


def test_modes_of_a_model_that_starts_aligned_are_scalar_modes() -> None:
    values = np.array([3.0, 1.5, 0.4])
    spectrum = lv.Spectrum.from_eigenvalues(values)
    E, D = np.zeros((2, 3)), np.zeros((3, 2))
    E[0, 0], E[1, 1], D[0, 0], D[1, 1] = 0.1, 0.2, 0.3, 0.1
    start = lv.LinearVAE(E, np.array([1.0, 0.5]), D, np.array(1.0))
    schedule = linear_warmup(1.0, 3.0)
    times = np.linspace(0, 8, 9)
    path = model_flow(spectrum, schedule, start, times, tolerance=1e-11)
    for j, c in enumerate((1.0, 0.5)):
        mode = mode_flow(values[j], schedule, (E[j, j], c, D[j, j]), times, noise_variance=1.0)
        assert_close(path.model.decoder[:, j, j], mode.decoder_gain, "difference")
        assert_close(path.model.encoder[:, j, j], mode.encoder_gain, "difference")
        assert_close(path.model.posterior_variance[:, j], mode.posterior_variance, "difference")
    terms = path.model.evaluate(spectrum, 1.0)
    assert_close(path.objective, terms.distortion + path.beta * terms.rate)
    assert (np.diff(path.objective[path.time >= 3]) < 0).all()


def test_a_random_small_start_grows_mode_by_mode() -> None:
    """While all is small, mode i grows by its own rate, whatever the latents are mixed of."""
    values, beta = np.array([3.0, 2.0, 1.0, 0.2]), 0.5
    spectrum = lv.Spectrum.from_eigenvalues(values)
    start = random_model(4, 2, 1e-7, 3)
    path = model_flow(spectrum, beta, start, [0.0, 1.0, 3.0], tolerance=1e-11)
    e, d = dynamics.escape_direction(values, beta, noise_variance=1.0).T
    growing = e[:, None] * np.swapaxes(path.model.encoder, 1, 2) + d[:, None] * path.model.decoder
    size = np.linalg.norm(growing, axis=2)  # (T, n)
    measured = np.log(size[2] / size[1]) / 2
    stated = dynamics.escape_rate(values, beta, noise_variance=1.0)
    assert (stated[:3] > 0).all()
    assert stated[3] < 0
    assert_close(measured, stated, "difference")


@pytest.mark.parametrize("values", [(3.0, 1.5), (2.0, 1.9)])
def test_rotated_latents_align_at_the_predicted_rate(values: tuple[float, float]) -> None:
    beta = 0.5
    spectrum = lv.Spectrum.from_eigenvalues(values)
    best = lv.response(spectrum, beta, latent_dim=2, noise_variance=1.0)
    angle = 1e-3
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    start = lv.LinearVAE(turn.T @ best.encoder, best.posterior_variance, best.decoder @ turn,
                         best.noise_variance)  # fmt: skip
    rate = dynamics.alignment_rates(spectrum, beta, latent_dim=2, noise_variance=1.0)[0, 1]
    path = model_flow(spectrum, beta, start, np.array([0.0, 3.0, 4.0]) / rate, tolerance=1e-10)
    off = path.model.decoder[1:, 0, 1] - path.model.decoder[1:, 1, 0]
    assert np.log(off[0] / off[1]) == pytest.approx(1.0, rel=1e-3)


def test_bad_input() -> None:
    good: dict[str, Any] = {"noise_variance": 1.0}
    start, times = (0.1, 1.0, 0.1), [0.0, 1.0]
    spectrum = lv.Spectrum.from_eigenvalues([2.0, 1.0])
    for match, call in (
        ("times", lambda: mode_flow(1.0, 1.0, start, [0.0, 0.0], **good)),
        ("flow", lambda: mode_flow(1.0, 1.0, start, times, flow="E", **good)),
        ("posterior", lambda: mode_flow(1.0, 1.0, start, times, posterior="sd", **good)),
        ("start", lambda: mode_flow(1.0, 1.0, (0.1, 0.1), times, **good)),
        ("start c", lambda: mode_flow(1.0, 1.0, (0.1, -1.0, 0.1), times, **good)),
        ("β >= 0", lambda: mode_flow(1.0, lambda t: -1.0, start, times, **good)),
        ("β >= 0", lambda: mode_flow(1.0, -1.0, start, times, **good)),
        ("β > 0", lambda: mode_flow(1.0, 0.0, 0.1, times, flow="decoder", **good)),
        ("tolerance", lambda: mode_flow(1.0, 1.0, start, times, tolerance=1e-30, **good)),
        ("tolerance", lambda: mode_flow(1.0, 1.0, start, times, tolerance=1.0, **good)),
        ("start: got 1e-300", lambda: mode_flow(1.0, 1.0, (1e-300, 1.0, 0.1), times, **good)),
        ("span", lambda: mode_flow(1.0, 1.0, start, [-1e308, 1e308], **good)),
        ("beta: got two parts", lambda: mode_flow(1.0, [1, 2], start, times, **good)),
        ("beta: got two parts", lambda: mode_flow(1.0, np.ones(2), start, times, **good)),
        ("period, cycles", lambda: cyclical(1.0, 1e308, 10)),
        ("cycles", lambda: cyclical(1.0, 1.0, 10**10)),
        ("3 parts", lambda: mode_flow(1.0, ([0], [1], [2]), start, times, **good)),
        ("fall", lambda: BetaSchedule([1.0, 0.0], [1.0, 1.0])),
        ("entries", lambda: BetaSchedule([1.0, 2.0], [1.0])),
        ("duration", lambda: linear_warmup(1.0, 0.0)),
        ("ramp", lambda: cyclical(1.0, 1.0, 1, ramp=1.5)),
        ("cycles", lambda: cyclical(1.0, 1.0, 0)),
        ("one model of 2", lambda: model_flow(spectrum, 1.0, random_model(3, 1, 1, 0), times)),
    ):
        with pytest.raises(InputError, match=match):
            call()
    with pytest.raises(InputTypeError, match="LinearVAE"):
        model_flow(spectrum, 1.0, np.eye(2), times)  # type: ignore[arg-type]


def test_a_flow_that_explodes_says_so() -> None:
    with pytest.raises(FlowError, match=r"got stuck.*float64 range"):
        mode_flow(1.0, 1.0, (1e200, 1.0, 1e200), [0.0, 3.0], noise_variance=1.0)
    assert issubclass(FlowError, RuntimeError)
