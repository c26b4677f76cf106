"""The same call from eight threads, and from processes, gives the same bits."""

from __future__ import annotations

import hashlib
import multiprocessing
import random
import sys
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import linvae as lv
from linvae import landscape, storage
from linvae.claims.types import Setting
from linvae.doctor import examine_loss
from linvae.fixed_decoder import FixedDecoderFrontier
from tests.linvae.result_objects import OPTIONS, bits, spectrum

THREADS = 8
BETAS = np.geomspace(0.05, 12.0, 40_000)  # several blocks


def _samples():
    return np.random.default_rng(11).standard_normal((3000, 6)) * np.arange(6.0, 0.0, -1.0) + 100.0


def _curve():
    return lv.Frontier(spectrum(), **OPTIONS)


def mean_squared(x, x_hat, mean, log_variance):
    """A loss of other people: sums of squares and the usual KL."""
    rate = 0.5 * (mean**2 + np.exp(log_variance) - log_variance - 1).sum(axis=1)
    return (((x - x_hat) ** 2).sum(axis=1) + rate).mean()


def _examined():
    return examine_loss(mean_squared, latent_dim=2).as_plain() | {"seconds": 0.0}


CALLS = {
    "response": lambda: lv.response(spectrum(), BETAS[::100], **OPTIONS),
    "evaluate": lambda: lv.response(spectrum(), BETAS[::100], **OPTIONS).evaluate(
        spectrum(), BETAS[::100]
    ),
    "at_beta": lambda: _curve().at_beta(BETAS),
    "at_beta_random": lambda: _curve().at_beta(np.random.default_rng(0).permutation(BETAS)),
    "at_rate": lambda: _curve().at_rate(np.linspace(0.0, 6.0, 5000)),
    "calibrated": lambda: lv.CalibratedFrontier(spectrum(), latent_dim=2).at_beta(BETAS[::10]),
    "hypernetwork": lambda: lv.Hypernetwork.exact(spectrum(), **OPTIONS)(BETAS[::100]),
    "from_samples": lambda: lv.Spectrum.from_samples(_samples()),
    "from_stream": lambda: lv.Spectrum.from_samples(iter(np.array_split(_samples(), 7))),
    "verify": lambda: lv.verify(spectrum(), betas=[0.3, 2.0], **OPTIONS),
    "landscape": lambda: landscape.stationary_points(spectrum(), 0.7, **OPTIONS),
    "examine": _examined,
}  # fmt: skip


def digest(name: str) -> str:
    """Hash of every bit of the answer to a call; what processes send back."""
    return hashlib.sha256(repr(sorted(bits(CALLS[name]()).items())).encode()).hexdigest()


@pytest.fixture(scope="module")
def alone():
    return {name: digest(name) for name in CALLS}


@pytest.fixture
def eager():
    """Threads that take turns ten times as often as usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


def _at_once(calls):
    """Run calls in as many threads, none of which starts before all are there.

    They are started one after another: what measures coverage is installed in each as it begins,
    and Python refuses to install two at once.
    """
    gate = threading.Barrier(len(calls))

    def run(call, here):
        here.set()
        gate.wait(timeout=60)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        futures = []
        for call in calls:
            here = threading.Event()
            futures.append(pool.submit(run, call, here))
            assert here.wait(timeout=60)
        return [future.result() for future in futures]


def test_the_digest_sees_a_single_bit():
    first, second = _curve().at_beta(0.5), _curve().at_beta(np.nextafter(0.5, 1.0))
    assert bits(first) != bits(second)
    assert len({digest(name) for name in ("response", "at_beta", "at_rate")}) == 3


@pytest.mark.parametrize("name", CALLS)
def test_eight_threads_get_the_bits_of_one(name, alone, eager):
    assert _at_once([lambda: digest(name)] * THREADS) == [alone[name]] * THREADS


def test_eight_different_calls_at_once(alone, eager):
    names = [name for name in CALLS if name not in ("verify", "examine")][:THREADS]
    assert len(names) == THREADS
    got = _at_once([lambda name=name: digest(name) for name in names])
    assert got == [alone[name] for name in names]


def test_threads_that_share_their_objects(eager):
    """One curve, one hypernetwork, one spectrum for all; what is computed on first use, too."""
    data, curve = spectrum(), _curve()
    network = lv.Hypernetwork.exact(data, **OPTIONS)
    decoder = np.asarray(lv.response(data, 0.5, **OPTIONS).decoder)
    for make, use in (
        (lambda: curve, lambda c: c.at_beta(BETAS)),
        (lambda: network, lambda h: h(BETAS[::100])),
        (lambda: data, lambda s: (s.covariance, s.tail_variances(3), s.gaussian_entropy)),
        (lambda: FixedDecoderFrontier(data, decoder, 0.5), lambda f: f.at_beta(BETAS)),
        (lambda: landscape.stationary_points(data, 0.7, **OPTIONS),
         lambda points: [(p.decoder, p.descent) for p in points]),
        (lambda: Setting(data, 2, 0.5, np.geomspace(0.1, 5.0, 7)),
         lambda s: [getattr(s, n) for n in dir(type(s)) if not n.startswith("_")
                    and hasattr(getattr(type(s), n), "func")]),
    ):  # fmt: skip
        want = bits(use(make()))
        shared = make()
        got = _at_once([lambda use=use, shared=shared: bits(use(shared))] * THREADS)
        assert all(answer == want for answer in got)


def test_threads_that_save_over_one_another(tmp_path, eager):
    """The file is one of those that were written, whole; nothing is left beside it."""
    path = tmp_path / "kept.npz"
    curves = [_curve().at_beta(BETAS[: 10 * (number + 1)]) for number in range(THREADS)]
    _at_once([lambda curve=curve: storage.save(path, curve) for curve in curves])
    assert bits(storage.load(path)) in [bits(curve) for curve in curves]
    assert list(tmp_path.iterdir()) == [path]


def test_spawned_processes_get_the_bits_of_this_one(alone):
    """Nothing is inherited: new interpreters import, compute and send back a hash."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        got = dict(zip(CALLS, pool.map(digest, CALLS), strict=True))
    assert got == alone


def test_processes_take_and_return_results(tmp_path):
    curve = _curve()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        points = pool.submit(curve.at_beta, BETAS[:100]).result(timeout=120)
    assert bits(points) == bits(curve.at_beta(BETAS[:100]))
    assert not points.rate.flags.writeable


def test_examinations_take_turns_with_what_a_process_has_one_of(eager, capsys):
    """Standard output, filters of warnings and seeds are as they were, and no print gets out."""

    def noisy(x, x_hat, mean, log_variance):
        print("a word", np.random.rand())  # noqa: NPY002 (what their code does)
        np.random.seed(1)  # noqa: NPY002
        warnings.simplefilter("always")
        return mean_squared(x, x_hat, mean, log_variance)

    def state():
        seeds = np.random.get_state()[1].tobytes()  # noqa: NPY002
        return sys.stdout, sys.stderr, list(warnings.filters), seeds, random.getstate()

    before = state()
    want = examine_loss(noisy, latent_dim=2).as_plain() | {"seconds": 0.0}
    got = _at_once([lambda: examine_loss(noisy, latent_dim=2).as_plain()] * THREADS)
    assert [plain | {"seconds": 0.0} for plain in got] == [want] * THREADS
    assert state() == before
    assert capsys.readouterr().out == ""
