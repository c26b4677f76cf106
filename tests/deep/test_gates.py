"""Gates: values against linvae's, gradients where the exact gates have none, no side effects."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from deep import gates  # noqa: E402
from linvae import hypernetwork  # noqa: E402
from tests.tolerances import assert_close  # noqa: E402

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


def test_both_packages_know_the_same_gates():
    assert gates.GATES.keys() == hypernetwork.GATES.keys()


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
