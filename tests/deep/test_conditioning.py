"""β as an input, a hidden layer before the gates, variants of settings, data by kind of network."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from deep.config import ExperimentConfig, ModelConfig
from deep.conversion import multi_rate
from deep.data.dataset import DataSet
from deep.errors import ConfigError, InputError
from deep.gate_banks import GateBank, GateFeatures
from deep.gates import BetaInput
from deep.material import Material, as_images
from deep.networks.build import network_from
from deep.networks.conditioned import BetaInputVAE
from deep.runs import dedicated_settings, run_name, train_run, variant_settings
from deep.settings import checked
from tests.tolerances import assert_close

RANGE = (0.1, 10.0)
F64 = torch.float64


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def close(got, want):
    assert_close(got.detach().numpy(), want.detach().numpy(), "exact")


# --- β as an input ------------------------------------------------------------------------------


def told(kind="mlp", shape=(1, 28, 28), **model):
    config = ModelConfig(kind=kind, latent_dim=2, conditioning="input", **model)
    return network_from(config, shape, generator=gen(), beta_range=RANGE, dtype=F64).eval()


@pytest.mark.parametrize(("kind", "sizes"), [("mlp", {"hidden": (5,)}), ("mlp", {"hidden": ()}),
                                             ("conv", {"channels": (3, 4)}),
                                             ("resnet", {"channels": (3, 4, 4)})])  # fmt: skip
def test_beta_is_one_more_input_of_encoder_and_decoder(kind, sizes):
    model = told(kind, **sizes)
    assert isinstance(model, BetaInputVAE)
    x = torch.rand(3, 1, 28, 28, generator=gen(1), dtype=F64)
    e = torch.randn(3, 2, generator=gen(2), dtype=F64)
    betas = torch.tensor([0.2, 1.0, 8.0], dtype=F64)
    # Standardised by hand: log-uniform on the range has mean 0 and standard deviation log(100)/√12.
    t = torch.log(betas) / (math.log(100) / math.sqrt(12))
    got = model(x, betas, noise=e)
    assert got.output.shape == x.shape
    for i in range(3):
        one = x[i : i + 1]
        if kind == "mlp":
            joined = torch.cat([one.flatten(1), t[i].reshape(1, 1)], 1)
        else:
            joined = torch.cat([one, t[i].expand(1, 1, 28, 28)], 1)
        mean, log_variance = model.vae.encoder(joined)
        z = mean + torch.exp(log_variance / 2) * e[i : i + 1]
        close(got.latent_mean[i : i + 1], mean)
        close(got.output[i : i + 1], model.vae.decoder(torch.cat([z, t[i].reshape(1, 1)], 1)))
        close(model.decode(z, float(betas[i])), got.output[i : i + 1])
        close(model.encode(one, float(betas[i]))[1], log_variance)
    assert not torch.allclose(model(x, 0.2).output, model(x, 5.0).output)


def test_wrong_calls_of_a_network_that_is_told_beta():
    model = told("conv", channels=(3,))
    x = torch.rand(3, 1, 28, 28, dtype=F64)
    with pytest.raises(InputError, match=r"beta: got shape \(2,\); expected \(\) or \(3,\)"):
        model(x, torch.ones(2))
    with pytest.raises(InputError, match="beta"):
        model(x, -1.0)
    with pytest.raises(InputError, match="samples: got shape"):
        model(x.flatten(1), 1.0)
    with pytest.raises(InputError, match="noise"):
        model(x, 1.0, noise=torch.zeros(1, 2))


# --- a hidden layer before the gates ------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sigmoid", "film", "min_exp"])
def test_gates_behind_a_hidden_layer_by_hand(kind):
    net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 300)).double()
    model = multi_rate(net, beta_range=RANGE, gate=kind, gate_hidden=5, slope_std=0.5,
                       generator=gen())  # fmt: skip
    features, bank = model.features, model.gates[kind]
    for beta in (0.3, 4.0):
        t = BetaInput.of_range(RANGE)(beta, bank.bias)
        h = nn.functional.silu(features.slope * t + features.bias)
        rows = (h[:, None] * bank.slope).sum(-2) + bank.bias
        if kind == "film":
            scale, shift = 1 + rows[0], rows[1]
        else:
            gate = torch.sigmoid if kind == "sigmoid" else lambda v: torch.exp(v.clamp(max=0))
            scale, shift = 2 * gate(rows), None
        got = model.modulations(beta)
        close(torch.cat([got["0"].scale, got["1"].scale]), scale)
        many = model.modulations(torch.tensor([beta, 1.0], dtype=F64))
        close(torch.cat([many["0"].scale, many["1"].scale], 1)[0], scale)
        if shift is not None:
            close(torch.cat([many["0"].shift, many["1"].shift], 1)[0], shift)


def test_gates_of_many_betas_are_those_of_each():
    sizes = [3, 5, 300, 7, 260, 1]
    bank = GateBank(sum(sizes), "sigmoid", slope_std=1.0, generator=gen(),
                    like=torch.zeros((), dtype=F64))  # fmt: skip
    t = torch.tensor([-1.0, 0.5, 2.0], dtype=F64, requires_grad=True)
    parts = bank.split(t, sizes, math.inf)
    assert [part.scale.shape for part in parts] == [(3, size) for size in sizes]
    close(torch.cat([part.scale for part in parts], 1), bank(t).scale)
    for i in range(3):
        close(bank(t[i]).scale, bank(t).scale[i])
    weights = torch.linspace(1, 2, 3 * sum(sizes), dtype=F64).reshape(3, -1)
    loss = (torch.cat([part.scale for part in parts], 1) * weights).sum()
    slope, bias = torch.autograd.grad(loss, [bank.slope, bank.bias])
    s = torch.sigmoid(t[:, None] * bank.slope + bank.bias)
    inner = 2 * s * (1 - s) * weights
    close(bias, inner.sum(0))
    close(slope, (inner * t[:, None]).sum(0))


def test_the_hidden_layer_is_a_gate_parameter_and_needs_a_generator():
    config = ModelConfig(latent_dim=2, hidden=(4,), gate_hidden=3)
    model = network_from(config, (6,), generator=gen(), beta_range=RANGE)
    groups = {g["role"]: g["params"] for g in model.parameter_groups()}
    both = [id(p) for group in groups.values() for p in group]
    assert sorted(both) == sorted(map(id, model.parameters()))
    rows = 4 + 2 + 2 + 4 + 6
    assert sum(p.numel() for p in groups["gates"]) == (3 + 1) * rows + 2 * 3
    for width, draws in ((0, gen()), (3, None)):
        with pytest.raises(InputError, match="gate_hidden"):
            GateFeatures(width, draws)


# --- variants -----------------------------------------------------------------------------------


def experiment(**variants):
    return checked(
        {
            "data": {"name": "digits"},
            "model": {"kind": "mlp", "latent_dim": 2, "hidden": [4], "ungated": ["*.output"]},
            "beta": {"low": 0.1, "high": 5.0},
            "training": {"epochs": 1, "threads": 1, "optimiser": {"learning_rate": 0.01}},
            "dedicated": {"points": 2, "also_annealed": "linear"},
            "variants": variants,
        },
        "test",
    )


def test_a_variant_changes_what_it_names_at_every_depth():
    config = experiment(slow={"training": {"optimiser": {"learning_rate": 0.5}}},
                        wide={"beta": {"high": 50.0}, "model": {"ungated": []}})  # fmt: skip
    slow = variant_settings(config, "slow")
    assert slow.training.optimiser.learning_rate == 0.5
    assert slow.variants == {}
    plain = config.model_dump() | {"variants": {}}
    plain["training"]["optimiser"]["learning_rate"] = 0.5
    plain["evaluation"] |= {"low": 0.1, "high": 5.0}
    assert slow == ExperimentConfig.model_validate(plain)
    wide = variant_settings(config, "wide")
    assert (wide.beta.low, wide.beta.high) == (0.1, 50.0)
    assert wide.reading_range == (0.1, 5.0)
    assert wide.model.ungated == ()
    with pytest.raises(ConfigError, match="variant: got 'fast'; expected one of slow, wide"):
        variant_settings(config, "fast")


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ({"x": {"model": {"kindd": "mlp"}}}, "variant x: model.kindd"),
        ({"x": {"training": {"optimiser": {"learning_rate": -1}}}}, "x: .*learning_rate"),
        ({"x": {"data": {"name": "mnist"}}}, "variant x: got data"),
        ({"x": {"beta": {"low": 6.0}}}, "variant x: .*low < high"),
        ({"x": {"beta": {"draw": "constant"}}}, "variant x: .*dedicated"),
        ({"x": {"model": 3}}, "x"),
        ({"multi-rate": {}}, "variant multi-rate: got the name"),
        ({"beta-1": {}}, "variant beta-1: got the name"),
        ({"a/b": {}}, "variants"),
    ],
)
def test_wrong_variants_are_refused_when_settings_are_read(variant, message):
    with pytest.raises(ConfigError, match=message):
        experiment(**variant)


def test_every_run_has_a_folder_of_its_own():
    config = experiment(film={"model": {"decoder_gate": "film"}})
    names = [
        run_name(config, 0),
        run_name(variant_settings(config, "film"), 0, "film"),
        run_name(dedicated_settings(config, 0.1), 0),
        run_name(dedicated_settings(config, 0.1, annealed=True), 0),
        run_name(config, 1),
    ]
    assert names == ["seed-0/multi-rate", "seed-0/film", "seed-0/beta-0.1",
                     "seed-0/beta-0.1-annealed", "seed-1/multi-rate"]  # fmt: skip
    annealed = dedicated_settings(config, 0.1, annealed=True)
    assert annealed.beta.annealing == "linear"
    assert annealed.variants == {}
    # Annealed in its only training: the plain name.
    only = config.with_changes(dedicated={"annealing": "linear", "also_annealed": "none"})
    assert run_name(dedicated_settings(only, 0.1), 0) == "seed-0/beta-0.1"


# --- data by kind of network --------------------------------------------------------------------


def test_images_get_a_channel_axis_and_vectors_are_refused():
    grey = DataSet("grey", "train", np.zeros((5, 28, 28), np.uint8))
    assert as_images(grey).sample_shape == (1, 28, 28)
    colour = DataSet("colour", "train", np.zeros((5, 3, 32, 32), np.uint8))
    assert as_images(colour) is colour
    with pytest.raises(ConfigError, match=r"samples of rows of shape \(7,\); .*use kind mlp"):
        as_images(DataSet("rows", "train", np.zeros((5, 7), np.uint8)))
    source = ExperimentConfig(data={"name": "gaussian", "spectrum": (2.0, 1.0)},
                              model={"kind": "conv"})  # fmt: skip
    with pytest.raises(ConfigError, match=r"of shape \(2,\)"):
        _ = Material(source).batches


def test_one_material_serves_networks_of_every_kind(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "images.npy"
    np.save(path, rng.integers(0, 256, (20, 28, 28)).astype(np.uint8))
    config = ExperimentConfig(
        data={"name": "file", "path": str(path)},
        model={"kind": "mlp", "latent_dim": 2, "hidden": (3,)},
        training={"epochs": 1, "batch_size": 6, "threads": 1, "accelerator": "cpu"},
        variants={
            "conv": {"model": {"kind": "conv", "hidden": [400], "channels": [2, 2]}},
            "told": {"model": {"conditioning": "input"}},
        },
    )
    material = Material(config)
    assert material.batches.sample_shape == (784,)
    monkeypatch.setattr("deep.material.load_dataset", None)  # nothing is read a second time
    for name, shape in (("conv", (1, 28, 28)), ("told", (784,))):
        settings = variant_settings(config, name)
        assert material.suited(settings).split("train").sample_shape == shape
        run = train_run(settings, material, seed=0)
        x = material.suited(settings).split("train").tensor()
        run.network.eval()
        assert run.network(x, 1.0).output.shape == x.shape
    assert material.suited(config) is material
    with pytest.raises(ConfigError, match="material"):
        material.suited(config.with_changes(data={"limit": 3}))
