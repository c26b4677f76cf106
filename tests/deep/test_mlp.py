"""VAEs: the protocol, plain and multi-rate; initial weights; hostile inputs; images."""

from __future__ import annotations

import json
import math

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from deep.config import ModelConfig
from deep.errors import ConfigError, InputError
from deep.networks.build import network_from
from deep.networks.mlp import GaussianHead, linear, mlp_vae
from deep.networks.vae import VAE, MultiRateVAE
from tests.tolerances import assert_close

RANGE = (0.01, 10.0)
F64 = torch.float64


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def build(beta_range=RANGE, shape=(6,), **options):
    options = {"generator": gen(), "hidden": (5,), "dtype": F64, **options}
    return mlp_vae(shape, 2, beta_range=beta_range, **options)


def samples(shape=(6,), n=4):
    return torch.randn(n, *shape, generator=gen(1), dtype=F64)


def noise(n=4):
    return torch.randn(n, 2, generator=gen(2), dtype=F64)


def close(got, want):
    assert_close(got.detach().numpy(), want.detach().numpy(), "exact")


@pytest.mark.parametrize("beta_range", [None, RANGE])
def test_forward_is_encode_draw_decode(beta_range):
    model = build(beta_range, slope_std=0.5)
    x, e = samples(), noise()
    for beta in (0.3, torch.tensor(2.0), torch.tensor([0.1, 1.0, 3.0, 20.0])):
        for sharpness in (2.0, math.inf):
            out = model(x, beta, noise=e, sharpness=sharpness)
            mean, log_variance = model.encode(x, beta, sharpness=sharpness)
            close(out.latent_mean, mean)
            close(out.latent_log_variance, log_variance)
            z = mean + torch.sqrt(torch.exp(log_variance)) * e
            close(out.output, model.decode(z, beta, sharpness=sharpness))
            silent = model(x, beta, sharpness=sharpness)
            close(silent.output, model.decode(mean, beta, sharpness=sharpness))


def test_the_network_is_what_its_names_say():
    vae = build(None, hidden=(5, 3), activation="tanh")
    x = samples()
    e, d = vae.encoder, vae.decoder
    h = torch.tanh(e.hidden_2(torch.tanh(e.hidden_1(x))))
    close(vae.encode(x)[0], e.head.mean(h))
    close(vae.encode(x)[1], e.head.log_variance(h))
    z = noise()
    close(vae.decode(z), d.output(torch.tanh(d.hidden_2(torch.tanh(d.hidden_1(z))))))
    shapes = [tuple(layer.weight.shape) for layer in (d.hidden_1, d.hidden_2, d.output)]
    assert shapes == [(3, 2), (5, 3), (6, 5)]


def test_a_plain_network_ignores_beta_and_a_multi_rate_one_starts_like_it():
    plain, gated = build(None), build()
    x, e = samples(), noise()
    want = plain(x, 1.0, noise=e)
    for beta in (0.001, torch.tensor([0.1, 1.0, 3.0, 100.0])):
        for model in (plain, gated):
            for got, part in zip(model(x, beta, noise=e), want, strict=True):
                close(got, part)


def test_gates_reach_every_part_and_beta_is_per_example():
    model = build(slope_std=0.5)
    x, e = samples(), noise()
    betas = torch.tensor([0.1, 1.0, 3.0, 20.0], dtype=F64)
    together = model(x, betas, noise=e)
    for i, beta in enumerate(betas):
        alone = model(x[i : i + 1], beta, noise=e[i : i + 1])
        for got, want in zip(together, alone, strict=True):
            close(got[i : i + 1], want)
    for got, other in zip(together, model(x, 0.5, noise=e), strict=True):
        assert not torch.isclose(got, other).any()
    out = model(x, betas, noise=e)
    sum(part.square().sum() for part in out).backward()
    assert all((p.grad != 0).any() for p in model.parameters())


@pytest.mark.parametrize(("gate", "kind"), [("min_exp", "log_min_exp"), ("sigmoid", "log_sigmoid")])
def test_posterior_gates_multiply_the_variance(gate, kind):
    model = build(posterior_gate=gate)
    bank = model.network.gates[kind]
    torch.nn.init.constant_(bank.slope, 1.0)
    x = samples()
    low, high = (torch.exp(model.encode(x, beta)[1]) for beta in (0.05, 0.1))
    inputs = model.network.inputs
    arguments = [inputs(beta, bank.slope) + bank.bias for beta in (0.05, 0.1)]
    gates = {"min_exp": lambda v: torch.exp(v.clamp(max=0)), "sigmoid": torch.sigmoid}[gate]
    want = gates(arguments[1]) / gates(arguments[0])
    close(high / low, want.expand_as(low))
    assert (want > 1).all()


def test_patterns_and_gate_kinds_by_part():
    model = build(encoder_gate="tanh", decoder_gate="film", ungated=("*.output", "*.head.mean"))
    chosen = {layer.layer: layer.gate for layer in model.network.layers}
    assert chosen == {
        "encoder.hidden_1": "tanh",
        "encoder.head.log_variance": "log_min_exp",
        "decoder.hidden_1": "film",
    }


def test_initial_weights_come_from_the_generator_alone():
    state = torch.random.get_rng_state()
    first, second, other = build(), build(), build(generator=gen(1))
    assert torch.equal(state, torch.random.get_rng_state())
    weights = [list(m.state_dict().values()) for m in (first, second, other)]
    assert all(torch.equal(a, b) for a, b in zip(*weights[:2], strict=True))
    assert not torch.equal(weights[0][0], weights[2][0])
    # Gates take nothing from the generator unless slopes are drawn.
    plain = dict(build(None).state_dict())
    held = first.network.module.state_dict()
    assert all(torch.equal(held[name], value) for name, value in plain.items())


def test_initial_weights_are_uniform_on_one_over_root_inputs():
    layer = linear(64, 500, gen())
    for values in (layer.weight, layer.bias):
        u = values.detach().double().flatten() * 8
        assert u.abs().max() <= 1
        # Uniform on ±1: mean 0 ± 0.577/√n, mean square 1/3 ± 0.298/√n.
        n = math.sqrt(u.numel())
        assert abs(u.mean()) < 5 * 0.577 / n
        assert abs(u.square().mean() - 1 / 3) < 5 * 0.298 / n


@pytest.mark.parametrize("size", [1e6, 1e15, 1e30])
@pytest.mark.parametrize("beta_range", [None, RANGE])
def test_huge_inputs_give_no_nan(beta_range, size):
    model = build(beta_range, dtype=torch.float32)
    x = (size * samples()).float()
    for sign in (1, -1):
        out = model(sign * x, 1.0, noise=noise().float())
        assert all(torch.isfinite(part).all() for part in out)
        assert torch.isfinite(torch.exp(out.latent_log_variance)).all()
    model(x / size, 1.0, noise=torch.zeros(4, 2)).output.sum().backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


class ConvEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 4, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.head = GaussianHead(4 * 4 * 4, 2, gen())

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.conv(x))).flatten(1))


def conv_vae():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        decoder = nn.Sequential(
            nn.Linear(2, 4 * 4 * 4),
            nn.Unflatten(1, (4, 4, 4)),
            nn.ReLU(),
            nn.ConvTranspose2d(4, 1, 4, stride=2, padding=1),
        )
        return VAE(ConvEncoder(), decoder, 2)


@pytest.mark.parametrize("placement", ["before_norm", "after_norm"])
def test_images_and_convolutions(placement):
    plain = conv_vae().double()
    model = MultiRateVAE(plain, beta_range=RANGE, placement=placement).eval()
    plain.eval()
    x = samples((1, 8, 8))
    for beta in (1.0, torch.tensor([0.1, 1.0, 3.0, 20.0])):
        got = model(x, beta, noise=noise())
        assert got.output.shape == x.shape
        for part, want in zip(got, plain(x, beta, noise=noise()), strict=True):
            close(part, want)
    model.train()(x, beta, noise=noise()).output.sum().backward()
    assert model.network.gates["sigmoid"].slope.grad.abs().sum() > 0


def test_flattened_images_keep_their_shape():
    model = build(shape=(1, 2, 3))
    assert model(samples((1, 2, 3)), 1.0).output.shape == (4, 1, 2, 3)


def test_the_configuration_is_followed():
    config = ModelConfig(hidden=(7, 3), latent_dim=2, activation="gelu", encoder_gate="tanh",
                         posterior_gate="none", decoder_gate="affine",
                         gated=("encoder.*", "*.output"), ungated=("*.hidden_2",))  # fmt: skip
    model = network_from(config, (6,), generator=gen(), beta_range=RANGE)
    assert isinstance(model, MultiRateVAE)
    assert {layer.layer: layer.gate for layer in model.network.layers} == {
        "encoder.hidden_1": "tanh",
        "encoder.head.mean": "tanh",
        "decoder.output": "affine",
    }
    vae = model.network.module
    assert isinstance(vae.encoder.activation_1, nn.GELU)
    assert vae.encoder.hidden_2.weight.shape == (3, 7)
    alone = network_from(config, (6,), generator=gen(), beta_range=RANGE, multi_rate=False)
    assert isinstance(alone, VAE)
    without = ModelConfig(encoder_gate="none", posterior_gate="none", decoder_gate="none")
    assert isinstance(network_from(without, (6,), generator=gen(), beta_range=RANGE), VAE)


def test_training_the_gates_makes_one_network_fit_several_betas():
    # Only gates are trained, on one β per example: what they learn must depend on β.
    model = build(hidden=(8,))
    x = samples(n=32)
    optimiser = torch.optim.Adam(model.network.gates.parameters(), lr=0.05)
    betas = torch.tensor([0.05, 5.0], dtype=F64).repeat(16)
    losses = []
    for _ in range(60):
        mean, log_variance, output = model(x, betas)
        rate = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)
        loss = (((output - x) ** 2).sum(1) + betas * rate).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.05
    assert model.network.gates["sigmoid"].slope.detach().abs().max() > 0.1
    low, high = ((model(x, beta).output - x).square().sum().item() for beta in (0.05, 5.0))
    assert low < high - 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": (0,)}, "sizes"),
        ({"shape": ()}, "sizes"),
        ({"activation": "elu"}, "activation: got 'elu'"),
        ({"encoder_gate": "relu"}, "gate: got 'relu'"),
        ({"ungated": ("decoder.hidden_2",)}, "ungated: got the pattern"),
        ({"beta_range": (1.0, 0.5)}, "beta_range"),
    ],
)
def test_wrong_settings_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        build(**options)


@pytest.mark.parametrize("gate", ["tanh", "affine", "sqrt_relu"])
def test_posterior_gates_that_could_make_a_variance_zero_are_refused(gate):
    with pytest.raises(ConfigError, match="posterior_gate"):
        build(posterior_gate=gate)


def test_the_overhead_is_recorded_for_each_choice_of_layers(tmp_path):
    pytest.importorskip("threadpoolctl")
    from benchmarks import gating_overhead

    path = tmp_path / "overhead.json"
    threads = str(torch.get_num_threads())
    options = ["--rounds", "2", "--threads", threads, "--output", str(path)]
    assert gating_overhead.main([*options, "--networks", "mlp", "conv"]) == 0
    rows = json.loads(path.read_text())["networks"]
    found = {(r["network"], r["gated"], r["beta_per"]): r for r in rows}
    sizes = [len(gating_overhead.CHOICES[network]) + 1 for network in ("mlp", "conv")]
    assert len(found) == len(rows) == 2 * sum(sizes)
    # Two numbers per row: 400 + 32 + 32 + 400 + 784 rows.
    plain, gated = (found["mlp", name, "batch"] for name in ("plain", "all layers"))
    assert gated["parameters"] - plain["parameters"] == 2 * 1648
    assert plain["wall"]["overhead_median"] == 0
    # Channels of the stages, latents twice, and maps of 4 x 4 as rows of a linear layer.
    plain, gated = (found["conv", name, "example"] for name in ("plain", "all layers"))
    count = 16 + 32 + 64 + 2 * 32 + 64 * 16 + 32 + 16 + 1
    assert gated["parameters"] - plain["parameters"] == 2 * count
    assert all(row["parameter_overhead"] <= 0.02 for row in rows)


def test_wrong_calls_are_refused():
    model = build()
    with pytest.raises(InputError, match=r"noise: got shape \(3, 2\); expected \(4, 2\)"):
        model(samples(), 1.0, noise=torch.zeros(3, 2, dtype=F64))
    with pytest.raises(InputError, match="beta"):
        model(samples(), torch.ones(3))
    with pytest.raises(InputError, match="the encoder's mean"):
        VAE(build(None).encoder, nn.Identity(), 3)(samples())
    with pytest.raises(InputError, match="latent_dim"):
        VAE(nn.Identity(), nn.Identity(), 0)


def test_parameter_groups_hold_every_parameter_once_and_gates_apart():
    model = mlp_vae((6,), 2, generator=torch.Generator().manual_seed(0), hidden=(4,),
                    beta_range=(0.1, 10.0))  # fmt: skip
    groups = {g["role"]: g["params"] for g in model.parameter_groups()}
    both = [id(p) for group in groups.values() for p in group]
    assert sorted(both) == sorted(map(id, model.parameters()))
    rows = 4 + 2 + 2 + 4 + 6
    assert sum(p.numel() for p in groups["gates"]) == 2 * rows
