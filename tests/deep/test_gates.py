"""Gates: values against linvae's, gradients where the exact gates have none, no side effects."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deep import gates
from deep.gate_banks import GateBank
from linvae import hypernetwork
from tests.tolerances import assert_close

X = np.concatenate([np.linspace(-40, 40, 801), [-1e-9, 0.0, 1e-9, -800.0, 800.0]])
KINKED = ("sqrt_relu", "min_exp")


def slopes(name, x, sharpness=math.inf, dtype=torch.float64):
    """Derivative of a gate at each x."""
    point = torch.tensor(x, dtype=dtype, requires_grad=True)
    gates.GATES[name](point, sharpness).sum().backward()
    return point.grad.numpy()


@pytest.mark.parametrize("name", ["sigmoid", *KINKED])
def test_exact_gates_equal_those_of_the_theory(name):
    got = gates.GATES[name](torch.tensor(X), math.inf).numpy()
    assert_close(got, hypernetwork.GATES[name](X), "rounding", scale=1.0)


def test_both_packages_know_the_gates_of_the_theory():
    assert gates.GATES.keys() == {*hypernetwork.GATES, "tanh", "affine"}


def test_other_gates_equal_their_formulas():
    x = torch.tensor(X)
    assert_close(gates.GATES["tanh"](x, math.inf).numpy(), np.tanh(X), "rounding", scale=1.0)
    assert_close(gates.GATES["affine"](x, 3.0).numpy(), 1 + X, "rounding", scale=1 + abs(X))


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 20.0, math.inf])
def test_smoothed_gates_complement_each_other(sharpness):
    x = torch.tensor(X)
    total = gates.min_exp(x, sharpness) + gates.sqrt_relu(x, sharpness) ** 2
    assert_close(total.numpy(), np.ones_like(X), "rounding")


def test_at_sharpness_one_the_gates_are_sigmoids():
    x = torch.tensor(X)
    assert_close(gates.min_exp(x, 1.0).numpy(), torch.sigmoid(x).numpy(), "rounding", scale=1.0)
    want = torch.sqrt(torch.sigmoid(-x)).numpy()
    assert_close(gates.sqrt_relu(x, 1.0).numpy(), want, "rounding", scale=1.0)


@pytest.mark.parametrize("name", KINKED)
def test_smoothed_gates_approach_the_exact_ones(name):
    x = torch.tensor(X)
    exact = gates.GATES[name](x, math.inf)
    errors = [float((gates.GATES[name](x, s) - exact).abs().max()) for s in (1.0, 10.0, 100.0)]
    # The ramp is off by log(2)/s at most, the root of that for the square-root gate.
    power = 0.5 if name == "sqrt_relu" else 1.0
    bounds = [(math.log(2) / s) ** power for s in (1.0, 10.0, 100.0)]
    assert all(0.5 * b < e <= b for e, b in zip(errors, bounds, strict=True))


@pytest.mark.parametrize("name", KINKED)
def test_exact_gates_have_no_gradient_beyond_the_kink(name):
    assert (slopes(name, [1e-300, 1e-12, 0.5, 30.0, 800.0]) == 0).all()
    assert np.isfinite(slopes(name, X)).all()


def test_exact_square_root_gate_has_gradient_zero_at_the_kink_itself():
    assert slopes("sqrt_relu", [0.0]) == 0


def test_exact_square_root_gate_has_an_unbounded_slope_at_the_kink():
    steep = slopes("sqrt_relu", [-1e-4, -1e-8, -1e-12])
    assert_close(steep * np.sqrt([1e-4, 1e-8, 1e-12]), [-0.5] * 3, "difference", condition=200)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sharpness", [0.5, 1.0, 20.0, 100.0])
def test_smoothed_gate_can_reopen(sharpness, dtype):
    # Closed by up to 60 widths 1/s of the kink: the slope is small but points the right way.
    closed = np.array([0.0, 0.1, 1.0, 10.0, 60.0]) / sharpness
    assert (slopes("sqrt_relu", closed, sharpness, dtype) < 0).all()
    everywhere = slopes("sqrt_relu", X, sharpness, dtype)
    assert np.isfinite(everywhere).all()
    # No slope of the smoothed gate exceeds that of a root at the width of the kink.
    assert np.abs(everywhere).max() <= math.sqrt(sharpness)


def test_a_closed_gate_stays_closed_when_exact_and_reopens_when_smoothed():
    bias = {s: torch.tensor([0.5], requires_grad=True) for s in (1.0, math.inf)}
    for sharpness, b in bias.items():
        optimiser = torch.optim.SGD([b], lr=1.0)
        for _ in range(50):
            optimiser.zero_grad()
            ((gates.sqrt_relu(b, sharpness) - 1) ** 2).sum().backward()
            optimiser.step()
    assert bias[math.inf].item() == 0.5
    assert bias[1.0].item() < -1


@pytest.mark.parametrize("sharpness", [0.0, -1.0, math.nan])
def test_sharpness_must_be_positive(sharpness):
    with pytest.raises(ValueError, match=r"sharpness: got .*; expected a number > 0"):
        gates.sqrt_relu(torch.zeros(1), sharpness)


def test_unknown_gate_is_refused():
    with pytest.raises(ValueError, match=r"gate: got 'relu'; expected one of sigmoid"):
        gates.RowGates(torch.zeros(2), torch.zeros(2), "relu")
    with pytest.raises(ValueError, match="gate"):
        gates.direction("relu")


@pytest.mark.parametrize("name", ["sigmoid", *KINKED])
def test_direction_is_that_of_the_gate(name):
    rise = np.diff(hypernetwork.GATES[name](np.array([-3.0, -0.1])))
    assert np.sign(rise[0]) == gates.direction(name)


def test_row_gates_keep_their_own_parameters():
    start = torch.tensor([0.5, -1.0])
    rows = gates.RowGates(start, start, "min_exp")
    with torch.no_grad():
        rows.slope += 1
    assert rows.bias.tolist() == [0.5, -1.0]
    values = rows(torch.tensor([[0.0], [2.0], [1.0]]))
    assert values.shape == (3, 1, 2)


@pytest.mark.parametrize("sharpness", [1.0, 20.0, math.inf])
@pytest.mark.parametrize("kind", gates.KINDS)
def test_banks_start_as_the_identity_and_are_alive(kind, sharpness):
    bank = GateBank(3, kind, like=torch.zeros(1, dtype=torch.float64))
    t = torch.linspace(-4, 4, 5, dtype=torch.float64)
    scale, shift = bank(t, sharpness)
    for part, neutral in ((scale, 1.0), (shift, 0.0)):
        if part is not None:
            assert part.shape == (5, 3)
            assert_close(part.detach().numpy(), np.full((5, 3), neutral), "rounding", scale=1.0)
    # Alive at the start, at every sharpness: a unit of the bias moves each gate by over 5 %.
    gate_of(bank, t, sharpness).mean(0).sum().backward()
    assert (bank.bias.grad.reshape(-1, 3)[0].abs() > 0.05).all()
    bank.zero_grad()
    gate_of(bank, t[-1:], sharpness).sum().backward()
    assert (bank.slope.grad.reshape(-1, 3)[0].abs() > 0.2).all()


def gate_of(bank, t, sharpness=math.inf):
    """The scale, or the shift where there is no scale."""
    scale, shift = bank(t, sharpness)
    return shift if scale is None else scale


@pytest.mark.parametrize("kind", ["sigmoid", "sqrt_relu", "min_exp", "tanh"])
def test_banks_are_gates_of_an_affine_map_up_to_a_constant(kind):
    bank = GateBank(4, kind, like=torch.zeros(1, dtype=torch.float64))
    w, b = np.array([0.5, -1.0, 2.0, 0.0]), np.array([-2.0, -0.3, -0.1, -1.0])
    with torch.no_grad():
        bank.slope.copy_(torch.tensor(w))
        bank.bias.copy_(torch.tensor(b))
    t = np.array([-1.0, 0.0, 2.0])
    got = gate_of(bank, torch.tensor(t)).detach().numpy()
    known = {**hypernetwork.GATES, "tanh": np.tanh}[kind](w * t[:, None] + b)
    ratio = got[known != 0] / known[known != 0]
    assert_close(ratio, np.full_like(ratio, ratio[0]), "rounding")
    assert (got[known == 0] == 0).all()


@pytest.mark.parametrize("sharpness", [1.0, 20.0, math.inf])
@pytest.mark.parametrize("name", ["sigmoid", "min_exp"])
def test_log_banks_are_logarithms_and_do_not_underflow(name, sharpness):
    like = torch.zeros(1, dtype=torch.float64)
    multiplied, added = (
        GateBank(1, name, like=like),
        GateBank(1, f"log_{name}", like=like),
    )
    for bank in (multiplied, added):
        torch.nn.init.constant_(bank.slope, 1.0)
    t = torch.tensor([-30.0, -1.0, 0.0, 5.0], dtype=torch.float64)
    logs = gate_of(added, t, sharpness).detach().numpy()
    assert_close(logs, np.log(gate_of(multiplied, t, sharpness).detach().numpy()), "exact", scale=1)
    far = gate_of(added, torch.tensor([-5000.0], dtype=torch.float64), sharpness)
    far.sum().backward()
    assert -5001 < far.item() < -4990
    assert added.bias.grad.item() == pytest.approx(1)


def test_film_is_affine_in_both_parts():
    bank = GateBank(2, "film", like=torch.zeros(1, dtype=torch.float64))
    with torch.no_grad():
        bank.slope.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64))
        bank.bias.copy_(torch.tensor([[0.1, 0.2], [0.3, 0.4]], dtype=torch.float64))
    scale, shift = bank(torch.tensor([0.5], dtype=torch.float64))
    assert_close(scale.detach().numpy(), [[1.6, 2.2]], "rounding")
    assert_close(shift.detach().numpy(), [[1.8, 2.4]], "rounding")


def test_drawn_slopes_need_a_generator_and_come_from_it():
    with pytest.raises(ValueError, match=r"slope_std: got 1.0; expected .*generator"):
        GateBank(2, "sigmoid", slope_std=1.0)
    with pytest.raises(ValueError, match="slope_std: got -1"):
        GateBank(2, "sigmoid", slope_std=-1)
    state = torch.random.get_rng_state()
    banks = [
        GateBank(500, "sigmoid", slope_std=2.0, generator=torch.Generator().manual_seed(seed))
        for seed in (3, 3, 4)
    ]
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(banks[0].slope, banks[1].slope)
    assert not torch.equal(banks[0].slope, banks[2].slope)
    # Standard error of a standard deviation of 500 normals: 2/sqrt(1000) = 0.063.
    assert abs(banks[0].slope.std().item() - 2) < 5 * 0.063


def test_input_is_log_beta_standardised_over_the_range():
    # Against the moments of a fine uniform grid of log β.
    low, high = 0.01, 10.0
    logs = np.linspace(math.log(low), math.log(high), 200_001)
    want = (math.log(0.3) - logs.mean()) / logs.std()
    inputs = gates.BetaInput.of_range((low, high))
    like = torch.zeros(1, dtype=torch.float64)
    assert inputs(0.3, like).item() == pytest.approx(want, rel=1e-4)
    ends = inputs(torch.tensor([low, high, 10 * high], dtype=torch.float64), like)
    assert_close(ends[:2].numpy(), [-math.sqrt(3), math.sqrt(3)], "rounding")
    assert ends[2] > 2  # outside the range is legal


def test_input_has_the_shape_of_beta_and_the_dtype_asked_for():
    inputs = gates.BetaInput.of_range((0.01, 10.0))
    assert inputs(1, torch.zeros(1)).dtype == torch.float32
    assert inputs(np.float64(2.0), torch.zeros(1, dtype=torch.float64)).shape == ()
    assert inputs(torch.tensor([1, 2]), torch.zeros(1)).shape == (2,)
    one, two = inputs(0.7, torch.zeros(1)), inputs(torch.tensor(0.7), torch.zeros(1))
    assert_close(one.numpy(), two.numpy(), "stored", "float32", scale=1.0)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_beta_must_be_positive_and_finite(bad):
    inputs = gates.BetaInput.of_range((0.01, 10.0))
    for beta in (bad, torch.tensor(bad), torch.tensor([1.0, bad, 2.0])):
        with pytest.raises(ValueError, match=r"beta: got values from .*; expected finite"):
            inputs(beta, torch.zeros(1))
    # Values cannot be looked at under vmap: NaN marks the bad one and only that.
    seen = torch.func.vmap(lambda b: inputs(b, torch.zeros(1)))(torch.tensor([1.0, bad]))
    assert torch.isnan(seen).tolist() == [False, True]


@pytest.mark.parametrize("bad", [(1.0, 1.0), (0.0, 1.0), (2.0, 1.0), (1.0, math.inf)])
def test_the_range_must_be_one(bad):
    with pytest.raises(ValueError, match="beta_range"):
        gates.BetaInput.of_range(bad)


def test_import_has_no_side_effects():
    code = (
        "import torch; s = torch.random.get_rng_state(); n = torch.get_num_threads()\n"
        "d = torch.get_default_dtype()\n"
        "import sys, deep\n"
        "assert [m for m in sys.modules if m.startswith('deep.')] == []\n"
        "import deep.gates, deep.networks.linear, deep.training.exact\n"
        "assert 'linvae' not in sys.modules\n"
        "import deep.comparison.linear, deep.demo\n"
        "assert torch.equal(s, torch.random.get_rng_state())\n"
        "assert n == torch.get_num_threads() and d == torch.get_default_dtype()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
