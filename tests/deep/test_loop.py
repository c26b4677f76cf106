"""The training loop: equal to one written out by hand, and quiet about it."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from deep.config import OptimiserConfig
from deep.errors import (
    ConfigError,
    InputError,
)
from deep.gates import RowGates
from deep.randomness import generator
from deep.training import checkpoints, optimisers, tensorboard
from deep.training.history import History
from tests.deep import tiny
from tests.deep.tiny import TOTAL

ROOT = Path(__file__).resolve().parents[2]
# float32 over a dozen steps in another order of operations
CLOSE = {"rtol": 1e-4, "atol": 1e-6}


def _plain() -> tiny.Tiny:
    model = tiny.Tiny(dropout=0.0)
    model.norm = nn.Identity()
    return model


# -- what it computes ------------------------------------------------------------------------------


def _by_hand(model, scale, ranks: int = 1) -> list[dict[str, float]]:
    """Warm-up, cosine, clipping, decoupled decay on matrices only, all from plain torch."""
    everything = [*model.parameters(), *scale.parameters()]
    matrices = [p for p in everything if p.ndim == 2]
    rest = [p for p in everything if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, foreach=False)
    records = []
    for step in range(TOTAL):
        warm = 4  # 0.3 of 12 steps, rounded up
        factor = (step + 1) / warm
        if step >= warm:
            factor = (1 + math.cos(math.pi * (step - warm) / (TOTAL - warm))) / 2
        for group in optimiser.param_groups:
            group["lr"] = 0.02 * factor
        shares = tiny.batches().batch(step, 8, 11).chunk(ranks)
        found = []
        for rank, samples in enumerate(shares):
            draws = generator(11, "objective", step, rank)
            found.append(scale(model, samples, done=step / TOTAL, generator=draws))
        means = [torch.stack(v).mean() for v in zip(*found, strict=True)]
        optimiser.zero_grad()
        means[0].backward()
        norm = nn.utils.clip_grad_norm_(everything, 1.0)
        optimiser.step()
        names = ("loss", "rate", "distortion", "beta_low")
        record = {n: v.item() for n, v in zip(names, means, strict=True)}
        records.append({**record, "gradient_norm": norm.item(), "learning_rate": 0.02 * factor})
    return records


def _assert_same_weights(one: nn.Module, other: nn.Module) -> None:
    for name, tensor in other.state_dict().items():
        torch.testing.assert_close(one.state_dict()[name], tensor, **CLOSE)


def test_equals_a_loop_written_out():
    # No normalisation: the gradient of a bias before it is rounding alone, which Adam scales up.
    model, scale = _plain(), tiny.Scale()
    result = tiny.run(None, model=model, objective=scale)
    assert (result.status, result.steps, result.checkpoint) == ("finished", TOTAL, None)
    other, own = _plain(), tiny.Scale()
    want = _by_hand(other, own)
    norms = [r["gradient_norm"] for r in want]
    assert max(norms) > 1 > min(norms), "clipping must act in some steps and not in all"
    for name in want[0]:
        np.testing.assert_allclose(
            result.history.column(name), [r[name] for r in want], rtol=1e-4, err_msg=name
        )
    assert result.history.column("step").tolist() == list(range(1, TOTAL + 1))
    np.testing.assert_allclose(result.history.column("epoch"), np.arange(1, TOTAL + 1) / 3)
    _assert_same_weights(model, other)
    _assert_same_weights(scale, own)
    assert abs(float(scale.log_scale.detach())) > 0.01


def test_the_betas_of_a_step_are_summed_up():
    def many(found):
        return found._replace(beta=torch.tensor([0.1, 1.0, 10.0, 1.0]))

    record = tiny.run(None, objective=tiny.At(5, many)).history[4]
    assert (record.beta_low, record.beta_high) == (pytest.approx(0.1), 10.0)
    assert record.beta_mean == pytest.approx(1.0)


def test_learning_rate_ends_where_it_should():
    config = OptimiserConfig(warmup=0.1, final=0.25)
    rates = [optimisers.learning_rate_factor(s, 100, config) for s in range(100)]
    assert rates[:11] == pytest.approx([*(np.arange(1, 11) / 10), 1.0])
    assert all(np.diff(rates[10:]) < 0)
    assert rates[55] == pytest.approx(0.625)
    assert 0.25 < rates[-1] < 0.252
    assert optimisers.learning_rate_factor(0, 1, OptimiserConfig(warmup=0.0)) == 1.0


class _Gated(tiny.Tiny):
    def __init__(self) -> None:
        super().__init__(dropout=0.0)
        self.gates = RowGates(torch.zeros(4), torch.ones(4), "sigmoid")

    def forward(self, samples, beta, **options):
        out = super().forward(samples, beta, **options)
        gates = self.gates(torch.as_tensor(beta))
        return out._replace(output=out.output * gates)


class _Saying(_Gated):
    """Names as gates what nobody would guess."""

    def parameter_groups(self):
        gates = [self.first.weight]
        rest = [p for p in self.parameters() if p is not self.first.weight]
        return [{"params": gates, "role": "gates"}, {"params": rest, "role": "weights"}]


@pytest.mark.parametrize(
    ("kind", "gates"), [(_Gated, ["gates.slope", "gates.bias"]), (_Saying, ["first.weight"])]
)
def test_gates_have_their_own_rate(kind, gates):
    model, before = kind(), kind().state_dict()
    settings = {"name": "adam", "learning_rate": 1e-5, "gate_learning_rate": 1e-2, "warmup": 0}
    tiny.run(None, model=model, settings=tiny.plan(1, optimiser=settings))
    for name, parameter in model.named_parameters():
        moved = float((parameter.detach() - before[name]).abs().max())
        assert (moved > 1e-3) == (name in gates), (name, moved)


def test_groups_that_forget_or_repeat_a_parameter_are_refused():
    def offering(groups):
        model = _Gated()
        model.parameter_groups = lambda: groups(model)
        return model

    everything = {"role": "weights"}
    for groups, message in (
        (lambda m: [{"params": [m.first.weight], **everything}], "nothing about first.bias"),
        (lambda m: [{"params": [*m.parameters(), m.first.weight], **everything}], "named twice"),
        (lambda m: [{"params": list(m.parameters()), "role": "gate"}], "role 'gate'"),
    ):
        with pytest.raises(InputError, match=message):
            tiny.run(None, model=offering(groups))


# -- around it ----------------------------------------------------------------------------------


def test_bad_arguments():
    with pytest.raises(InputError, match="seed: got -1"):
        tiny.run(None, seed=-1)
    with pytest.raises(ConfigError, match="batch_size: got 8 for 3 devices"):
        tiny.run(None, settings=tiny.plan(devices=3))
    with pytest.raises(ConfigError, match=r"32-true for .*float64.*64-true"):
        tiny.run(None, model=tiny.Tiny().double())
    frozen = tiny.Tiny().requires_grad_(False)
    with pytest.raises(InputError, match="without parameters to train"):
        tiny.run(None, model=frozen, objective=tiny.terms)
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="use accelerator 'cpu'"):
            tiny.run(None, settings=tiny.plan(accelerator="gpu"))


def test_progress_about_a_hundred_times():
    seen = []
    settings = tiny.plan(80, log_every=1000)  # 240 steps
    tiny.run(None, settings=settings, progress=lambda *a: seen.append(a))
    assert 100 <= len(seen) <= 121
    assert seen[-1] == (240, 240)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_validation_keeps_the_best(tmp_path):
    """Called without training mode and gradients; what it draws does not matter."""
    values = iter([3.0, 1.0, 2.0, math.nan, 5.0, 4.0])

    def validate(model):
        assert not model.training
        assert not torch.is_grad_enabled()
        torch.rand(3)
        return next(values)

    settings = tiny.plan(keep_last=1)
    tiny.run(tmp_path / "a", settings=settings, validate=validate)
    names = sorted(p.name for p in (tmp_path / "a" / "checkpoints").iterdir())
    assert names == ["step-00000004", "step-00000012"]
    assert checkpoints.best(tmp_path / "a").name == "step-00000004"
    tiny.run(tmp_path / "b", settings=settings)
    assert tiny.weights(tmp_path / "a") == tiny.weights(tmp_path / "b")


def test_the_world_is_left_as_it_was(tmp_path, capfd, caplog):
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    model = tiny.Tiny().eval()
    with caplog.at_level("DEBUG"):
        tiny.run(tmp_path, model=model, settings=tiny.plan(threads=threads + 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert not model.training
    assert torch.get_default_dtype() == torch.float32
    assert capfd.readouterr() == ("", "")
    assert [r for r in caplog.records if r.name.startswith("lightning")] == []


def test_double_precision_is_double_throughout():
    model, scale = tiny.Tiny(dropout=0.0), tiny.Scale()
    seen = []

    class Watching(tiny.Scale):
        def forward(self, model, samples, **options):
            seen.append((samples.dtype, model(samples, 1.0).output.dtype))
            found = super().forward(model, samples, **options)
            seen.append((found.loss.dtype, found.rate.dtype))
            return found

    tiny.run(None, model=model, objective=Watching(), settings=tiny.plan(1, precision="64-true"))
    assert {d for pair in seen for d in pair} == {torch.float64}
    assert all(p.dtype == torch.float64 for p in model.parameters())
    assert scale.log_scale.dtype == torch.float32


def test_bfloat16_trains_float32_weights():
    seen = []

    class Watching(nn.Linear):
        def forward(self, inputs):
            seen.append(super().forward(inputs).dtype)
            return super().forward(inputs)

    model = tiny.Tiny()
    model.first = Watching(4, 5)
    result = tiny.run(None, model=model, settings=tiny.plan(precision="bf16-mixed"))
    assert set(seen) == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert np.isfinite(result.history.column("loss")).all()


def test_tensorboard_curves(tmp_path, monkeypatch):
    settings = tiny.plan(tensorboard=True)
    with pytest.raises(ConfigError, match="folder"):
        tiny.run(None, settings=settings)
    with monkeypatch.context() as patch:
        patch.setattr(tensorboard, "_WRITERS", ("no_such_module",))
        with pytest.raises(ConfigError, match="pip install"):
            tiny.run(tmp_path / "a", settings=settings)
    pytest.importorskip("tensorboardX")
    tiny.run(tmp_path / "b", settings=settings)
    written = b"".join(p.read_bytes() for p in (tmp_path / "b" / "tensorboard").iterdir())
    assert b"gradient_norm" in written
    assert written.count(b"distortion") == TOTAL


TWO = """
import sys
from pathlib import Path
import torch
from tests.deep import tiny
torch.set_num_threads(1)
class Share(tiny.Scale):
    def forward(self, model, samples, **options):
        assert samples.shape == (4, 4), samples.shape
        return super().forward(model, samples, **options)
settings = tiny.plan(accelerator="cpu", devices=2)
model = tiny.Tiny(dropout=0.0)
model.norm = torch.nn.Identity()
folder = Path(sys.argv[1])
result = tiny.run(folder, model=model, objective=Share(), settings=settings)
assert (result.status, result.steps) == ("finished", 12)
"""


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path):
    """Both start from the same weights, share each batch, and one of them writes."""
    script = tmp_path / "two.py"
    script.write_text(TWO)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "run")],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")
    model, scale = _plain(), tiny.Scale()
    checkpoints.load_weights(tmp_path / "run", model)
    checkpoints.load_weights(tmp_path / "run", scale, part="objective")
    other, own = _plain(), tiny.Scale()
    want = _by_hand(other, own, ranks=2)
    _assert_same_weights(model, other)
    _assert_same_weights(scale, own)
    history = History.read(tmp_path / "run" / "history.jsonl")
    for name in ("loss", "rate", "distortion", "gradient_norm"):
        np.testing.assert_allclose(history.column(name), [r[name] for r in want], rtol=1e-4)


def test_gradients_from_before_do_not_count():
    model, fresh = tiny.Tiny(), tiny.Tiny()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    tiny.run(None, model=model)
    tiny.run(None, model=fresh)
    assert all(map(torch.equal, model.parameters(), fresh.parameters()))
