"""Conversion to multi-rate: against gating by hand, and nothing of a call outlives it."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from deep.conversion import multi_rate
from deep.errors import InputError
from deep.gates import GATES, KINDS, BetaInput
from tests.tolerances import assert_close

RANGE = (0.1, 10.0)
F64 = torch.float64


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def opened(module, **options):
    """Converted, with drawn slopes, so that β matters."""
    options = {"beta_range": RANGE, "slope_std": 0.5, "generator": gen(), **options}
    return multi_rate(module, **options)


def mlp():
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3, bias=False)).double()


def conv():
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=2, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.ConvTranspose2d(6, 3, 4, stride=2, padding=1, bias=False),
        nn.GroupNorm(1, 3),
        nn.ReLU(),
        nn.Conv2d(3, 1, 1),
    ).double()


def close(got, want):
    assert_close(got.detach().numpy(), want.detach().numpy(), "exact")


def by_hand(gated, beta):
    """Gates from the parameters alone, by layer name; sigmoid only."""
    t = (math.log(beta) - math.log(math.sqrt(RANGE[0] * RANGE[1]))) / (
        (math.log(RANGE[1]) - math.log(RANGE[0])) / math.sqrt(12)
    )
    bank = gated.gates["sigmoid"]
    values = 2 * torch.sigmoid(bank.slope * t + bank.bias)
    return dict(
        zip(
            [layer.layer for layer in gated.layers],
            values.split([layer.rows for layer in gated.layers]),
            strict=True,
        )
    )


def test_gates_scale_pre_activations():
    net = mlp()
    gated = opened(net)
    x = torch.randn(7, 5, dtype=F64)
    for beta in (0.05, 1.0, 30.0):
        g = by_hand(gated, beta)
        want = g["2"] * (torch.tanh(g["0"] * (x @ net[0].weight.T + net[0].bias)) @ net[2].weight.T)
        close(gated(x, beta=beta), want)
        close(gated(x, beta=torch.tensor(beta, dtype=F64)), want)
    assert not torch.allclose(gated(x, beta=0.1), gated(x, beta=5.0))


def test_gates_of_convolutions_are_per_output_channel_before_and_after_normalisation():
    net = conv().eval()
    net[1].running_mean.normal_()
    x = torch.randn(3, 2, 8, 8, dtype=F64)
    for placement in ("before_norm", "after_norm"):
        gated = opened(net, placement=placement)
        g = {name: v[:, None, None] for name, v in by_hand(gated, 2.0).items()}
        h = net[0](x)
        h = g["0"] * net[1](h) if placement == "after_norm" else net[1](g["0"] * h)
        h = net[3](torch.relu(h))
        h = g["3"] * net[4](h) if placement == "after_norm" else net[4](g["3"] * h)
        close(gated(x, beta=2.0), g["6"] * net[6](torch.relu(h)))
        where = ["1", "4", "6"] if placement == "after_norm" else ["0", "3", "6"]
        assert [layer.at for layer in gated.layers] == where


@pytest.mark.parametrize("placement", ["before_norm", "after_norm"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [mlp, conv])
def test_a_converted_network_starts_as_the_unconverted_one(make, kind, placement):
    net = make().eval()
    x = torch.randn(*((4, 5) if make is mlp else (4, 2, 8, 8)), dtype=F64)
    gated = multi_rate(net, beta_range=RANGE, gate=kind, placement=placement)
    for sharpness in (2.0, math.inf):
        close(gated(x, beta=0.01, sharpness=sharpness), net(x))
        close(gated(x, beta=torch.rand(4) + 0.1, sharpness=sharpness), net(x))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [mlp, conv])
def test_beta_per_example_equals_example_by_example(make, kind):
    net = make().eval()
    x = torch.randn(*((4, 5) if make is mlp else (4, 2, 8, 8)), dtype=F64)
    gated = opened(net, gate=kind, placement="after_norm")
    betas = torch.tensor([0.1, 1.0, 7.0, 0.4], dtype=F64)
    got = gated(x, beta=betas, sharpness=3.0)
    want = [gated(x[i : i + 1], beta=float(b), sharpness=3.0) for i, b in enumerate(betas)]
    close(got, torch.cat(want))
    assert not torch.allclose(got, gated(x, beta=1.0, sharpness=3.0))


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("name", ["Conv", "ConvTranspose"])
def test_convolutions_of_any_dimension_are_gated_by_channel(name, axes):
    net = nn.Sequential(getattr(nn, f"{name}{axes}d")(2, 3, 2), getattr(nn, f"BatchNorm{axes}d")(3))
    net = net.double().eval()
    net[1].running_mean.normal_()
    x = torch.randn(4, 2, *(3,) * axes, dtype=F64)
    betas = torch.tensor([0.1, 1.0, 7.0, 0.4], dtype=F64)
    for placement in ("before_norm", "after_norm"):
        gated = opened(net, placement=placement)
        for i, beta in enumerate(betas):
            g = by_hand(gated, float(beta))["0"].reshape(-1, *(1,) * axes)
            h = net[0](x)
            want = g * net[1](h) if placement == "after_norm" else net[1](g * h)
            close(gated(x, beta=float(beta)), want)
            close(gated(x, beta=betas)[i], want[i])


def test_linear_layers_with_more_axes():
    net = nn.Linear(5, 4).double()
    gated = opened(net)
    x = torch.randn(3, 6, 5, dtype=F64)
    betas = torch.tensor([0.1, 1.0, 7.0], dtype=F64)
    want = torch.stack([gated(row, beta=b) for row, b in zip(x, betas, strict=True)])
    close(gated(x, beta=betas), want)


def test_gradients_equal_finite_differences():
    gated = opened(mlp(), gate={"0": "sqrt_relu", "*": "film"})
    x = torch.randn(3, 5, dtype=F64)
    names = [name for name, _ in gated.named_parameters()]
    values = [p.detach().clone().requires_grad_() for p in gated.parameters()]

    def call(beta, *parameters):
        given = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(gated, given, (x,), {"beta": beta, "sharpness": 3.0})

    for beta in (torch.tensor(2.0, dtype=F64), torch.tensor([0.2, 1.0, 5.0], dtype=F64)):
        assert torch.autograd.gradcheck(call, (beta.requires_grad_(), *values))


def test_vmap_over_beta_equals_a_loop():
    for gated, x in (
        (opened(mlp()), torch.randn(3, 5, dtype=F64)),
        (opened(conv().eval(), placement="after_norm"), torch.randn(3, 2, 8, 8, dtype=F64)),
    ):
        betas = torch.tensor([0.1, 1.0, 5.0, 100.0], dtype=F64)
        got = torch.func.vmap(lambda b, m=gated, x=x: m(x, beta=b))(betas)
        close(got, torch.stack([gated(x, beta=b) for b in betas]))


def test_a_layer_used_twice_has_one_set_of_gates():
    shared = nn.Linear(3, 3).double()
    gated = opened(nn.Sequential(shared, nn.Tanh(), shared))
    assert [(layer.layer, layer.rows) for layer in gated.layers] == [("0", 3)]
    x = torch.randn(2, 3, dtype=F64)
    g = by_hand(gated, 4.0)["0"]
    close(gated(x, beta=4.0), g * shared(torch.tanh(g * shared(x))))


def test_tied_weights_stay_tied_and_have_their_own_gates():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)).double()
    net[1].weight = net[0].weight
    gated = opened(net)
    assert gated.module[0].weight is gated.module[1].weight
    g = by_hand(gated, 4.0)
    x = torch.randn(2, 3, dtype=F64)
    close(gated(x, beta=4.0), g["1"] * net[1](g["0"] * net[0](x)))
    assert sum(p.numel() for p in gated.parameters()) == 9 + 3 + 3 + 2 * 6


def test_batch_norm_and_dropout_keep_their_modes():
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)).double()
    gated = opened(net, placement="after_norm")
    x = torch.randn(64, 4, dtype=F64)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        trained = gated(x, beta=2.0)
    assert (trained == 0).double().mean() == pytest.approx(0.5, abs=5 / math.sqrt(4 * 256))
    # After normalisation β leaves the batch statistics alone.
    other = opened(net, placement="after_norm")
    other(x, beta=0.1)
    close(other.module[1].running_mean, gated.module[1].running_mean)
    assert int(gated.module[1].num_batches_tracked) == 1
    gated.eval()
    assert torch.equal(gated(x, beta=2.0), gated(x, beta=2.0))


class Residual(nn.Module):
    """Not sequential: a skip, a normalisation that is not fed by the layer before it."""

    def __init__(self, straight):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1).double()
        self.norm = nn.BatchNorm2d(2).double()
        self.straight = straight

    def forward(self, x):
        h = self.conv(x)
        return x + self.norm(h if self.straight else h + x)


def test_custom_modules_and_a_normalisation_that_only_seems_to_follow():
    x = torch.randn(3, 2, 5, 5, dtype=F64)
    net = Residual(straight=True).eval()
    gated = opened(net, placement="after_norm")
    g = by_hand(gated, 2.0)["conv"][:, None, None]
    close(gated(x, beta=2.0), x + g * net.norm(net.conv(x)))
    misled = opened(Residual(straight=False), placement="after_norm")
    with pytest.raises(InputError, match=r"'norm' not called on its output; .*before_norm"):
        misled(x, beta=2.0)
    opened(Residual(straight=False))(x, beta=2.0)


def test_a_normalisation_that_is_never_called_is_noticed():
    class Skips(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.norm = nn.Linear(2, 2), nn.LayerNorm(2)

        def forward(self, x):
            return self.layer(x)

    gated = opened(Skips(), placement="after_norm")
    with pytest.raises(InputError, match="'norm' not called"):
        gated(torch.zeros(1, 2), beta=1.0)


def test_normalisations_that_cannot_be_told_apart_are_refused():
    norm, layer = nn.LayerNorm(2), nn.Linear(2, 2)
    shared = nn.Sequential(nn.Linear(2, 2), norm, nn.Linear(2, 2), norm)
    with pytest.raises(InputError, match="after both '0' and '2'"):
        opened(shared, placement="after_norm")
    twice = nn.Sequential(layer, nn.LayerNorm(2), layer, nn.ReLU())
    with pytest.raises(InputError, match="a layer used several times"):
        opened(twice, placement="after_norm")
    same = nn.Sequential(layer, norm, layer, norm)
    assert opened(same, placement="after_norm")(torch.ones(1, 2), beta=1.0).shape == (1, 2)


def test_patterns_choose_layers_and_kinds():
    net = nn.ModuleDict({"encoder": mlp(), "decoder": mlp()})

    def chosen(**options):
        return {s.layer: s.gate for s in multi_rate(net, beta_range=RANGE, **options).layers}

    both = {"encoder.*": "sigmoid", "*": "sqrt_relu"}
    assert chosen(gate=both) == {
        "encoder.0": "sigmoid",
        "encoder.2": "sigmoid",
        "decoder.0": "sqrt_relu",
        "decoder.2": "sqrt_relu",
    }
    assert chosen(gated=("encoder.*",), ungated=("*.2",)) == {"encoder.0": "sigmoid"}
    assert chosen(gate={"decoder.*": "none", "*": "tanh"}) == {
        "encoder.0": "tanh",
        "encoder.2": "tanh",
    }


def test_one_pair_of_parameters_per_kind():
    gated = multi_rate(conv(), beta_range=RANGE, gate={"0": "film", "*": "sigmoid"})
    shapes = {name: tuple(p.shape) for name, p in gated.gates.named_parameters()}
    assert shapes == {
        "film.slope": (2, 6),
        "film.bias": (2, 6),
        "sigmoid.slope": (4,),
        "sigmoid.bias": (4,),
    }


def test_mixed_precision_keeps_the_gates_precise():
    gated = opened(mlp().float())
    x = torch.randn(3, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = gated(x, beta=torch.tensor([0.1, 1.0, 10.0]))
        inside = gated.modulations(2.0)
    assert output.dtype == torch.bfloat16
    outside = gated.modulations(2.0)
    assert all(torch.equal(inside[name].scale, outside[name].scale) for name in outside)
    half = opened(mlp().bfloat16())
    assert half(x.bfloat16(), beta=2.0).dtype == torch.bfloat16


def test_a_closed_exact_gate_stays_closed_and_the_smoothed_one_reopens():
    # One row that should be open and is closed: the pitfall in a network, and the remedy.
    def trained(sharpness):
        gated = multi_rate(nn.Linear(1, 1).double(), beta_range=RANGE, gate="sqrt_relu")
        bank = gated.gates["sqrt_relu"]
        torch.nn.init.constant_(bank.bias, 0.5)
        optimiser = torch.optim.SGD([bank.bias, bank.slope], lr=0.3)
        x = torch.ones(1, 1, dtype=F64)
        target = (gated.module.weight + gated.module.bias).detach()
        for _ in range(100):
            optimiser.zero_grad()
            ((gated(x, beta=1.0, sharpness=sharpness) - target) ** 2 / target**2).sum().backward()
            optimiser.step()
        return bank.bias.item(), (gated(x, beta=1.0, sharpness=sharpness) / target).item()

    assert trained(math.inf) == (0.5, 0.0)
    bias, reached = trained(1.0)
    assert bias < 0
    assert reached == pytest.approx(1, abs=0.05)


def test_the_gates_in_use_are_those_of_the_table():
    gated = opened(nn.Linear(2, 3).double(), gate="min_exp")
    bank = gated.gates["min_exp"]
    t = BetaInput.of_range(RANGE)(2.0, bank.slope)
    ratio = gated.modulations(2.0)[""].scale / GATES["min_exp"](bank.slope * t + bank.bias)
    assert_close(ratio.detach().numpy(), np.full(3, 2.0), "rounding")
