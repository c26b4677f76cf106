"""Convolutional and residual VAEs: shapes, sizes, gates, layout, resuming, hostile inputs."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

torch = pytest.importorskip("torch")

from deep.config import ExperimentConfig, ModelConfig
from deep.data.batches import TensorBatches
from deep.errors import ConfigError, InputError
from deep.networks.build import network_from
from deep.networks.convolutional import convolutional_vae
from deep.networks.residual import residual_vae
from deep.networks.vae import VAE
from deep.objectives.elbo import objective_from
from deep.runs import dedicated_settings
from deep.training.checkpoints import latest, load
from deep.training.loop import fit
from tests.deep import tiny
from tests.tolerances import assert_close

RANGE = (0.01, 10.0)
F64 = torch.float64
SMALL = {"conv": (3, 4, 6), "resnet": (3, 4, 4)}
KINDS = tuple(SMALL)


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def build(kind, shape=(1, 28, 28), *, multi_rate=True, dtype=F64, seed=0, **model):
    config = ModelConfig(**{"kind": kind, "channels": SMALL[kind], "latent_dim": 2} | model)
    return network_from(config, shape, generator=gen(seed), beta_range=RANGE,
                        multi_rate=multi_rate, dtype=dtype)  # fmt: skip


def images(shape=(1, 28, 28), n=4, dtype=F64):
    return torch.rand(n, *shape, generator=gen(1), dtype=dtype)


def noise(n=4, k=2):
    return torch.randn(n, k, generator=gen(2), dtype=F64)


def close(got, want, level="exact"):
    assert_close(got.detach().numpy(), want.detach().numpy(), level)


def opened(kind, **options):
    """A gated network whose gates depend on β, with running statistics away from the start."""
    model = build(kind, **options)
    with torch.no_grad():
        for bank in model.network.gates.values():
            bank.slope.normal_(0, 0.5, generator=gen(5))
    model(images(), 1.0, noise=noise())
    return model.eval()


# --- sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 28, 28), (1, 32, 32), (3, 64, 64)])
@pytest.mark.parametrize("conditioning", ["gates", "input"])
def test_outputs_have_the_shape_of_the_samples(kind, shape, conditioning):
    model = build(kind, shape, conditioning=conditioning)
    out = model(images(shape), torch.tensor([0.1, 1.0, 2.0, 9.0]), noise=noise())
    assert out.output.shape == (4, *shape)
    assert out.output.is_contiguous()
    assert out.latent_mean.shape == out.latent_log_variance.shape == (4, 2)


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_the_published_sizes_by_hand():
    def stages(widths, kernel):
        return sum(kernel**2 * a * b + 2 * b for a, b in pairwise(widths))

    vae = convolutional_vae((1, 28, 28), 32, generator=gen())
    heads = 2 * (1024 + 1) * 32
    decoder = (32 + 1) * 1024 * 16 + stages((1024, 512, 256), 3) + 9 * 256 + 1
    assert count(vae.encoder) == stages((1, 128, 256, 512, 1024), 4) + heads
    assert count(vae.decoder) == decoder
    large = convolutional_vae((3, 64, 64), 64, generator=gen())
    assert count(large.encoder) == stages((3, 128, 256, 512, 1024), 4) + 2 * (16 * 1024 + 1) * 64
    more = stages((1024, 512, 256, 128), 3) + 9 * 3 * 128 + 3
    assert count(large.decoder) == 65 * 1024 * 16 + more

    block = 9 * 128 * 64 + 2 * 64 + 64 * 128 + 128
    vae = residual_vae((1, 28, 28), 32, generator=gen())
    down = stages((1, 64, 128), 4) + stages((128, 128), 3)
    assert count(vae.encoder) == down + 2 * block + 2 * (128 * 16 + 1) * 32
    up = 33 * 128 * 16 + stages((128, 128, 64), 3) + 9 * 64 + 1
    assert count(vae.decoder) == up + 2 * block


def test_stages_and_names():
    model = convolutional_vae((1, 28, 28), 2, channels=(3, 4, 6), generator=gen(), dtype=F64)
    e, d, x = model.encoder.eval(), model.decoder.eval(), images()
    h = x
    for stage, size in ((e.stage_1, 14), (e.stage_2, 7), (e.stage_3, 3)):
        h = torch.relu(stage.norm(stage.conv(h)))
        assert h.shape[2:] == (size, size)
    close(model.encode(x)[0], e.head.mean(h.flatten(1)))
    close(model.encode(x)[1], e.head.log_variance(h.flatten(1)))
    h = d.first(noise()).reshape(4, 6, 4, 4)
    for stage, size in ((d.stage_1, 7), (d.stage_2, 14)):
        h = torch.relu(stage.norm(stage.conv(h)))
        assert h.shape[2:] == (size, size)
    close(model.decode(noise()), d.output(h))


def test_residual_blocks_and_names():
    model = residual_vae((1, 28, 28), 2, channels=(3, 4, 4), generator=gen(), dtype=F64)
    e, d = model.encoder.eval(), model.decoder.eval()

    def block(part, h):
        inside = torch.relu(part.norm(part.conv(torch.relu(h))))
        assert inside.shape[1] == 2
        return h + part.out(inside)

    h = e.stage_3(e.stage_2(e.stage_1(images())))
    assert h.shape == (4, 4, 4, 4)
    h = block(e.residual_2, block(e.residual_1, h))
    close(model.encode(images())[0], e.head.mean(h.flatten(1)))
    h = d.stage_1(d.first(noise()).reshape(4, 4, 4, 4))
    h = block(d.residual_2, block(d.residual_1, h))
    close(model.decode(noise()), d.output(d.stage_2(h)))


# --- gates --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("placement", ["before_norm", "after_norm"])
@pytest.mark.parametrize("gate_hidden", [None, 3])
def test_gates_are_one_at_the_start_and_weights_those_of_the_plain_network(
    kind, placement, gate_hidden
):
    plain = build(kind, multi_rate=False).eval()
    model = build(kind, placement=placement, gate_hidden=gate_hidden).eval()
    assert isinstance(plain, VAE)
    want = plain(images(), 1.0, noise=noise())
    for beta in (0.001, torch.tensor([0.01, 1.0, 10.0, 300.0])):
        for got, part in zip(model(images(), beta, noise=noise()), want, strict=True):
            close(got, part)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"placement": "after_norm", "decoder_gate": "film"},
                                     {"gate_hidden": 3}])  # fmt: skip
def test_beta_per_example_is_a_loop_over_examples(kind, options):
    model = opened(kind, **options)
    betas = torch.tensor([0.02, 0.5, 3.0, 9.0], dtype=F64)
    got = model(images(), betas, noise=noise())
    for i, beta in enumerate(betas):
        alone = model(images()[i : i + 1], float(beta), noise=noise()[i : i + 1])
        for part, want in zip(got, alone, strict=True):
            close(part[i : i + 1], want)
    other = model(images(), 1.0, noise=noise())
    assert all(not torch.allclose(a, b) for a, b in zip(got, other, strict=True))


def test_gates_sit_before_or_after_the_normalisation():
    model = opened("conv", placement="after_norm")
    sites = {layer.layer: layer.at for layer in model.network.layers}
    assert sites["encoder.stage_1.conv"] == "encoder.stage_1.norm"
    assert sites["decoder.output"] == "decoder.output"
    stage, x = model.network.module.encoder.stage_1, images()
    gates = model.network.modulations(3.0)["encoder.stage_1.conv"].scale[:, None, None]
    with model.network.at(3.0):
        got = stage(x)
        free = torch.nn.functional.conv2d(x, stage.conv.weight, stride=2, padding=1)
    norm = stage.norm

    def normalised(h):
        return torch.nn.functional.batch_norm(
            h, norm.running_mean, norm.running_var, norm.weight, norm.bias
        )

    close(got, torch.relu(gates * normalised(free)))
    model = opened("conv")
    stage = model.network.module.encoder.stage_1
    gates = model.network.modulations(3.0)["encoder.stage_1.conv"].scale[:, None, None]
    norm = stage.norm
    free = torch.nn.functional.conv2d(x, stage.conv.weight, stride=2, padding=1)
    with model.network.at(3.0):
        close(stage(x), torch.relu(normalised(gates * free)))


def test_heads_and_outputs_can_be_left_without_gates():
    model = build("resnet", ungated=("*.head.*", "decoder.first", "decoder.output"))
    chosen = {layer.layer: layer.gate for layer in model.network.layers}
    assert set(chosen.values()) == {"sigmoid"}
    assert not any(n.split(".")[-1] in ("mean", "log_variance", "first", "output") for n in chosen)
    assert "encoder.residual_1.conv" in chosen
    assert "decoder.residual_2.out" in chosen
    full = {layer.layer: layer.gate for layer in build("resnet").network.layers}
    assert full["encoder.head.log_variance"] == "log_min_exp"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"conditioning": "input"},
        {"gate_hidden": 3},
        {"decoder_gate": "film", "placement": "after_norm"},
    ],
)
def test_gradients_reach_every_parameter(kind, options):
    model = build(kind, **options)
    if "gate_hidden" in options:  # a hidden layer learns once the rows have slopes
        with torch.no_grad():
            for bank in model.network.gates.values():
                bank.slope.normal_(0, 0.5, generator=gen(5))
    out = model(images(), torch.tensor([0.02, 0.5, 3.0, 9.0]), noise=noise())
    sum((part * torch.linspace(1, 2, part.numel()).reshape(part.shape)).sum()
        for part in out).backward()  # fmt: skip
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


# --- weights, precision, layout -----------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_weights_come_from_the_generator_alone(kind):
    state = torch.random.get_rng_state()
    options = {"gate_hidden": 3}
    one, two, other = (build(kind, seed=s, **options).state_dict() for s in (0, 0, 1))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(one[name], two[name]) for name in one)
    drawn = [n for n in one if n.endswith(("conv.weight", "features.slope"))]
    assert drawn
    assert not any(torch.equal(one[n], other[n]) for n in drawn)
    for name in (n for n in one if "encoder.stage" in n and n.endswith("conv.weight")):
        weight = one[name]
        bound = 1 / math.sqrt(weight[0].numel())
        assert 0.8 * bound < weight.abs().max() <= bound


def test_the_layout_changes_nothing_but_the_order_in_memory():
    for kind in KINDS:
        model = build(kind, dtype=torch.float32, multi_rate=False).eval()
        assert all(p.is_contiguous() for p in model.parameters())
        x = images(dtype=torch.float32)
        assert model.encoder.layout(x).stride(1) == 1
        wide = images((3, 28, 28), dtype=torch.float32).to(memory_format=torch.channels_last)
        assert model.encoder.layout(wide) is wide
        double = build(kind, multi_rate=False).eval()
        double.load_state_dict({n: t.double() for n, t in model.state_dict().items()})
        for got, want in zip(model(x), double(x.double()), strict=True):
            assert got.dtype == torch.float32
            assert torch.allclose(got.double(), want, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "64-true"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(tmp_path, kind, precision):
    dtype = F64 if precision == "64-true" else torch.float32
    config = ExperimentConfig(
        model={"kind": kind, "channels": SMALL[kind], "latent_dim": 2},
        likelihood={"kind": "bernoulli"},
    )
    batches = TensorBatches(images(n=16).round().to(torch.uint8) * 255, dtype=dtype)

    def run(folder, stop=None):
        def progress(done, total):
            if done == stop:
                raise KeyboardInterrupt

        model = build(kind, dtype=dtype, placement="after_norm")
        plan = tiny.plan(3, precision=precision)
        fit(model, objective_from(config), batches, plan, seed=3, folder=folder, resume=True,
            progress=progress)  # fmt: skip
        return model

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", stop=3)
    assert load(latest(tmp_path / "broken")).step == 2
    again = run(tmp_path / "broken")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    assert not torch.equal(
        whole.state_dict()["network.module.decoder.output.weight"],
        build(kind, dtype=dtype).state_dict()["network.module.decoder.output.weight"],
    )


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [convolutional_vae, residual_vae])
@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((784,), {}, r"sample_shape: got \(784,\); .* 28, 32 or 64; .*mlp"),
        ((28, 28), {}, "sample_shape"),
        ((1, 28, 32), {}, "sample_shape"),
        ((1, 48, 48), {}, "sample_shape"),
        ((0, 28, 28), {}, "sample_shape"),
        ((1, 28, 28), {"channels": (2,) * 5}, "channels: got .* 1 to 4 integers"),
        ((1, 28, 28), {"channels": ()}, "channels"),
        ((1, 28, 28), {"channels": (2, 0)}, "channels"),
        ((1, 28, 28), {"latent_dim": 0}, "latent_dim"),
    ],
)
def test_other_images_and_sizes_are_refused(make, shape, options, message):
    options = {"latent_dim": 2, "generator": gen(), **options}
    with pytest.raises(InputError, match=message):
        make(shape, **options)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"kind": "conv", "hidden": (3,)}, r"model.hidden: got \(3,\) for kind conv"),
        ({"kind": "resnet", "activation": "silu"}, "model.activation"),
        ({"kind": "mlp", "channels": (3,)}, "model.channels: .*conv or resnet only"),
        ({"kind": "mlp", "placement": "after_norm"}, "model.placement"),
        ({"kind": "linear", "gate_hidden": 2}, "model.gate_hidden"),
        ({"kind": "linear", "conditioning": "input"}, "model.conditioning"),
        ({"kind": "conv", "whitening": False}, "model.whitening"),
        ({"kind": "conv", "conditioning": "input", "gate_hidden": 2}, "model.gate_hidden"),
    ],
)
def test_settings_of_another_kind_are_refused(model, message):
    with pytest.raises(ConfigError, match=message):
        network_from(ModelConfig(**model), (1, 28, 28), generator=gen(), beta_range=RANGE)


def test_dedicated_networks_are_plain():
    config = ExperimentConfig(model={"kind": "conv", "conditioning": "input"})
    alone = dedicated_settings(config, 0.5)
    assert isinstance(build("conv", multi_rate=False, conditioning="input"), VAE)
    assert alone.beta.value == 0.5
