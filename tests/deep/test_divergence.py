"""Losses that are not finite or run away: stopped, explained, never saved."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")


from deep.errors import DivergenceError
from deep.objectives.base import LossTerms
from deep.training import checkpoints, steps
from tests.deep import tiny


def _nan_rate(found: LossTerms) -> LossTerms:
    bad = found.rate * math.nan
    return LossTerms(found.loss + found.beta * bad, bad, found.distortion, found.beta)


def _nan_loss(found: LossTerms) -> LossTerms:
    return found._replace(loss=found.loss * math.nan)


def test_a_loss_that_is_not_finite_is_diagnosed(tmp_path):
    model = tiny.Tiny()
    with pytest.raises(DivergenceError) as caught:
        tiny.run(tmp_path, model=model, objective=tiny.At(6, _nan_rate))
    message = str(caught.value)
    for part in ("step 6 of 12", "the loss is nan", "not finite: loss, rate;", "β from ",
                 "learning rate 0.0", "step-00000004", "lower learning_rate"):  # fmt: skip
        assert part in message, message
    assert all(torch.isfinite(p).all() for p in model.parameters()), "the update was not made"
    assert checkpoints.load(checkpoints.latest(tmp_path)).step == 4


def test_a_gradient_that_is_not_finite_is_diagnosed(tmp_path):
    class Root(tiny.Tiny):
        def forward(self, samples, beta, **options):
            out = super().forward(samples, beta, **options)
            # The root of zero: a finite value with an infinite slope, times zero.
            return out._replace(output=out.output + torch.sqrt(self.norm.bias * 0).sum())

    with pytest.raises(DivergenceError) as caught:
        tiny.run(tmp_path, model=Root(), objective=tiny.Scale())
    message = str(caught.value)
    for part in ("step 1 of 12", "gradient norm is nan", "all terms are finite",
                 "gradient of model.norm.bias", "no checkpoint"):  # fmt: skip
        assert part in message, message


def test_looking_less_often_saves_nothing_bad(tmp_path, monkeypatch):
    """As on an accelerator, where each look would wait for the device."""
    monkeypatch.setattr(steps, "_LOOK_EVERY", {"cpu": 25})
    settings = tiny.plan(checkpoint_every=4, log_every=100)
    with pytest.raises(DivergenceError, match=r"step 6 of 12, the loss is nan") as caught:
        tiny.run(tmp_path, settings=settings, objective=tiny.At(6, _nan_loss))
    assert "step-00000004" in str(caught.value)
    assert "first parameter not finite: values of model." in str(caught.value)
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["step-00000004"]


def test_weights_that_overflow_are_not_saved(tmp_path):
    settings = {"learning_rate": 1e38, "warmup": 0.0}
    with pytest.raises(DivergenceError, match=r"not finite|loss is|norm is"):
        tiny.run(tmp_path, settings=tiny.plan(checkpoint_every=1, optimiser=settings))
    for path in tmp_path.glob("checkpoints/*"):
        assert all(torch.isfinite(t).all() for t in checkpoints.load(path).parts["model"].values())


def test_a_run_away_is_stopped_and_a_noisy_loss_is_not(tmp_path):
    def scaled(size):
        class Scaled(tiny.Scale):
            def forward(self, model, samples, *, done, generator):
                found = super().forward(model, samples, done=done, generator=generator)
                return found._replace(loss=found.loss + size(round(done * 300)))

        return Scaled()

    settings = tiny.plan(100, checkpoint_every=100, log_every=100)
    with pytest.raises(DivergenceError, match=r"step 190 of 300, the loss ran away: for 50 steps"):
        tiny.run(tmp_path, settings=settings, objective=scaled(lambda s: 1e5 * (s >= 140)))
    noisy = scaled(lambda s: 1e5 * (s % 50 > 1))  # never fifty in a row
    assert tiny.run(None, settings=settings, objective=noisy).status == "finished"
