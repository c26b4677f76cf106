"""Threads that evaluate one model: the same bits, and the model as it was."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deep.evaluation.curve import evaluate_curve
from deep.evaluation.passes import evaluating
from deep.objectives.likelihoods import Gaussian
from tests.deep.oracle_networks import LinearGaussian, population

BETAS = np.geomspace(0.1, 20.0, 5)


class Moody(LinearGaussian):
    """Gives other numbers while it is in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.mood = torch.nn.Dropout(0.5)

    def forward(self, samples, *arguments, **options):
        return super().forward(self.mood(samples), *arguments, **options)


def _bits(curve):
    held = vars(curve).items()
    return {name: np.asarray(v).tobytes() for name, v in held if isinstance(v, np.ndarray)}


def test_eight_threads_get_the_bits_of_one():
    samples = population().sample(300, np.random.default_rng(2))
    model = Moody()
    want = _bits(evaluate_curve(model.eval(), samples, BETAS, Gaussian(0.5)))
    assert len(want) > 6
    model.train()
    gate = threading.Barrier(8)

    def run():
        gate.wait(timeout=60)
        return [_bits(evaluate_curve(model, samples, BETAS, Gaussian(0.5))) for _ in range(3)]

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            got = [future.result() for future in [pool.submit(run) for _ in range(8)]]
    finally:
        sys.setswitchinterval(usual)
    assert got == [[want] * 3] * 8
    assert model.training
    assert model.mood.training


def test_the_last_to_leave_puts_the_modes_back():
    model = Moody().train()
    model.mood.eval()
    inside, leave = threading.Event(), threading.Event()

    def other():
        with evaluating(model):
            inside.set()
            assert leave.wait(timeout=60)
            return model.training, torch.is_inference_mode_enabled()

    with ThreadPoolExecutor(1) as pool:
        with evaluating(model):
            future = pool.submit(other)
            assert inside.wait(timeout=60)
        assert not model.training, "the other thread is still at work"
        assert not torch.is_inference_mode_enabled()
        leave.set()
        assert future.result(timeout=60) == (False, True)
    assert model.training
    assert not model.mood.training


def test_modes_come_back_after_an_error():
    model = Moody().train()
    with pytest.raises(RuntimeError, match="boo"), evaluating(model), evaluating(model):
        raise RuntimeError("boo")
    assert model.training
    assert model.mood.training
    with evaluating(model):
        assert not model.training
