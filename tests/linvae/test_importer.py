"""from_layers: an imported model computes what the original layers do, on non-optimal weights."""

from __future__ import annotations

import doctest
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linvae import LinearVAE, Spectrum, importer
from linvae.errors import InputTypeError
from linvae.importer import from_layers
from tests.tolerances import assert_close, tolerance

STANDARD_ERRORS = tolerance("monte_carlo")
SINGLE = 2e-6  # relative, a float32 forward pass of a few layers
N, K = 7, 3


def layers(widths, rng, bias=True):
    """Anisotropic random layers (W, b), W as (out, in)."""
    pairs = []
    for wide, narrow in pairwise(widths):
        scale = rng.uniform(0.2, 1.5, size=(narrow, 1))
        weight = scale * rng.standard_normal((narrow, wide)) / np.sqrt(wide)
        pairs.append((weight, rng.standard_normal(narrow) if bias else None))
    return pairs


def forward(pairs, x):
    """Run the layers one after the other."""
    for weight, bias in pairs:
        x = x @ weight.T + (0 if bias is None else bias)
    return x


def trained(seed=0, hidden=(5, 4), bias=True):
    """Layers of both sides, log-variances, data and the imported model's noise variance."""
    rng = np.random.default_rng(seed)
    encoder = layers([N, *hidden, K], rng, bias)
    decoder = layers([K, *hidden[::-1], N], rng, bias)
    data = rng.standard_normal((400, N)) * np.linspace(0.3, 3, N) + 2 * rng.standard_normal(N)
    return encoder, decoder, np.array([-1.5, 0.2, -0.4]), data, 0.6


def torch_sequential(torch, pairs, extra=()):
    modules = []
    for weight, bias in pairs:
        linear = torch.nn.Linear(*weight.shape[::-1], bias=bias is not None)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(weight))
            if bias is not None:
                linear.bias.copy_(torch.tensor(bias))
        modules += [linear, torch.nn.Identity()]
    return torch.nn.Sequential(*extra, *modules)


class Dense:
    """Stands in for a Keras layer."""

    def __init__(self, kernel, bias=None, activation=None):
        self.kernel, self.bias, self.activation = kernel, bias, activation

    def call(self, x):
        return x @ self.kernel + self.bias


class Sequential:
    """Stands in for a Keras model."""

    def __init__(self, parts):
        self.layers = parts


class Exporting:
    """An array of a foreign library that offers DLPack alone."""

    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_docstring_example():
    outcome = doctest.testmod(importer)
    assert outcome.attempted >= 4
    assert outcome.failed == 0


class TestForwardPass:
    @pytest.mark.parametrize("bias", [True, False])
    @pytest.mark.parametrize("hidden", [(), (5,), (5, 4), (2,), (20, 1)])
    def test_layers_equal_the_model(self, hidden, bias):
        encoder, decoder, logs, data, noise = trained(1, hidden, bias)
        vae = from_layers(encoder, decoder, log_variance=logs, noise_variance=noise)
        latents = forward(encoder, data)
        assert_close(vae.encode(data), latents)
        assert_close(vae.decode(latents), forward(decoder, latents))
        assert_close(vae.posterior_variance, np.exp(logs))
        assert (vae.noise_variance, vae.latent_dim, vae.n_features) == (noise, K, N)
        assert not vae.encoder_offset.any()

    @given(
        widths=st.lists(st.integers(1, 6), max_size=3),
        seed=st.integers(0, 2**32 - 1),
        in_out=st.booleans(),
    )
    @settings(max_examples=60, deadline=None)
    def test_any_depth_and_layout(self, widths, seed, in_out):
        rng = np.random.default_rng(seed)
        encoder, decoder = layers([N, *widths, K], rng), layers([K, *widths, N], rng)
        x, z = rng.standard_normal((5, N)), rng.standard_normal((5, K))
        given_e, given_d = (
            [(w.T if in_out else w, b) for w, b in side] for side in (encoder, decoder)
        )
        vae = from_layers(given_e, given_d, log_variance=0.0, noise_variance=1.0,
                          layout="in_out" if in_out else "out_in")  # fmt: skip
        assert_close(vae.encode(x), forward(encoder, x))
        assert_close(vae.decode(z), forward(decoder, z))

    def test_every_form_of_layers_means_the_same(self):
        encoder, decoder, logs, _, noise = trained()
        want = from_layers(encoder, decoder, log_variance=logs, noise_variance=noise)
        flat = [part for pair in encoder for part in pair]
        forms = [
            flat,
            iter(flat),
            (pair for pair in encoder),
            [encoder[0], encoder[1:]],
            [encoder[:2], [encoder[2]]],
            [[w.tolist(), b.tolist()] for w, b in encoder],
            [(Exporting(w), b) for w, b in encoder],
            [Dense(w.T, b) for w, b in encoder],
            Sequential([Dense(w.T, b, lambda_linear) for w, b in encoder]),
        ]
        for form in forms:
            got = LinearVAE.from_layers(form, decoder, log_variance=logs, noise_variance=noise)
            for name in ("encoder", "decoder", "latent_offset", "decoder_offset"):
                assert np.array_equal(getattr(got, name), getattr(want, name))

    def test_single_matrices(self):
        rng = np.random.default_rng(3)
        E, D, b = rng.standard_normal((2, 4)), rng.standard_normal((4, 2)), np.array([1.0, -2])
        for encoder in (E, [E], (E, None), [(E, None)], E.tolist(), [E.tolist()]):
            vae = from_layers(encoder, D, log_variance=0, noise_variance=1)
            assert np.array_equal(vae.encoder, E)
            assert not vae.latent_offset.any()
        for encoder in ((E, b), [E, b], [(E, b)], (E.tolist(), b.tolist())):
            vae = from_layers(encoder, (D, None), log_variance=0, noise_variance=1)
            assert np.array_equal(vae.latent_offset, b)
        swapped = from_layers((E.T, b), D.T, log_variance=0, noise_variance=1, layout="in_out")
        assert np.array_equal(swapped.encoder, E)
        assert np.array_equal(swapped.decoder, D)
        # Two matrices in a row are two layers, with or without biases after them.
        A = rng.standard_normal((4, 4))
        for encoder in ([A, E, b], [A, None, E, b], [(A, None), (E, b)], (A, (E, b))):
            vae = from_layers(encoder, D, log_variance=0, noise_variance=1)
            assert_close(vae.encoder, E @ A, "rounding")
            assert np.array_equal(vae.latent_offset, b)

    def test_rank_deficient_encoder_keeps_its_bias(self):
        encoder = np.zeros((2, 3)), np.array([0.7, -0.2])
        vae = from_layers(encoder, np.ones((3, 2)), log_variance=0, noise_variance=1)
        assert np.array_equal(vae.encode(np.ones((1, 3))), [[0.7, -0.2]])

    def test_dtypes_and_order(self):
        encoder, decoder, logs, data, noise = trained()
        single = [
            (np.asfortranarray(w, dtype=np.float32), b.astype(np.float32)) for w, b in encoder
        ]
        vae = from_layers(single, decoder, log_variance=logs, noise_variance=noise)
        # Products are formed in double: the only error is that of the stored weights.
        assert_close(vae.encode(data), forward([(w.astype(float), b.astype(float))
                                                for w, b in single], data))  # fmt: skip
        whole = from_layers(np.eye(3, dtype=int), np.eye(3, dtype=bool), log_variance=0,
                            noise_variance=1)  # fmt: skip
        assert whole.encoder.dtype == whole.decoder.dtype == np.float64

    def test_later_changes_of_the_weights_do_not_reach_the_model(self):
        E, b = np.ones((2, 3)), np.ones(2)
        vae = from_layers((E, b), np.ones((3, 2)), log_variance=0, noise_variance=1)
        E[:], b[:] = 5, 5
        assert (vae.encoder == 1).all()
        assert (vae.latent_offset == 1).all()


def lambda_linear(x):
    return x


lambda_linear.__name__ = "linear"


class TestTrainedLoss:
    def test_evaluate_is_the_expected_loss(self):
        """400 data points, 500 draws of z for each, seed 7."""
        encoder, decoder, logs, data, noise = trained(4)
        vae = from_layers(encoder, decoder, log_variance=logs, noise_variance=noise)
        terms = vae.evaluate(Spectrum.from_samples(data), 0.3)
        rng, draws = np.random.default_rng(7), 500
        mean = forward(encoder, data)
        z = mean + np.exp(logs / 2) * rng.standard_normal((draws, *mean.shape))
        error = ((data - forward(decoder, z)) ** 2).sum(axis=-1)
        # The rate by sampling too: log q(z|x) - log p(z), no closed form.
        rate = 0.5 * (z**2 - (z - mean) ** 2 / np.exp(logs) - logs).sum(axis=-1)
        distortion = 0.5 * (N * np.log(2 * np.pi * noise) + error / noise)
        for name, samples in (
            ("squared_error", error),
            ("rate", rate),
            ("distortion", distortion),
            ("objective", distortion + 0.3 * rate),
        ):
            standard_error = np.sqrt(samples.var(axis=0, ddof=1).sum() / draws) / len(data)
            exact = getattr(terms, name)
            assert standard_error < 0.005 * abs(exact)  # else the comparison says little
            assert abs(samples.mean() - exact) < STANDARD_ERRORS * standard_error

    def test_torch_loss_with_shared_trunk(self):
        """The usual training loss of a torch model, 500 draws, seed 3."""
        torch = pytest.importorskip("torch")
        encoder, decoder, logs, data, noise = trained(5)
        x = torch.tensor(data, dtype=torch.float64)
        trunk = torch_sequential(torch, encoder[:2], [torch.nn.Flatten()]).double()
        mean_head = torch_sequential(torch, encoder[2:]).double()
        writer = torch_sequential(torch, decoder).double()
        log_variance = torch.nn.Parameter(torch.tensor(logs))
        vae = from_layers([trunk, mean_head], writer, log_variance=log_variance,
                          noise_variance=torch.tensor(noise, dtype=torch.float64))  # fmt: skip
        generator, draws = torch.Generator().manual_seed(3), 500
        with torch.no_grad():
            mean = mean_head(trunk(x))
            kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
            shape = (draws, *mean.shape)
            eps = torch.randn(shape, generator=generator, dtype=torch.float64)
            flat = (mean + eps * (log_variance / 2).exp()).reshape(-1, K)
            output = writer(flat).reshape(draws, *x.shape)
            losses = (((output - x) ** 2).sum(2).mean(1) / (2 * noise) + 4.0 * kl).numpy()
        terms = vae.evaluate(Spectrum.from_samples(data), 4.0)
        exact = terms.objective - 0.5 * N * np.log(2 * np.pi * noise)
        standard_error = losses.std(ddof=1) / np.sqrt(draws)
        assert standard_error < 1e-3 * exact
        assert abs(losses.mean() - exact) < STANDARD_ERRORS * standard_error
        assert_close(terms.rate, float(kl))


class TestTorch:
    def test_modules_parameters_and_tensors(self):
        torch = pytest.importorskip("torch")
        encoder, decoder, logs, data, noise = trained(2)
        net, back = torch_sequential(torch, encoder), torch_sequential(torch, decoder)
        x = torch.tensor(data, dtype=torch.float32)
        forms = [
            (net, back),
            (list(net), list(back)),
            (net.parameters(), back.parameters()),  # these require grad
            ([(m.weight, m.bias) for m in net[::2]], torch.nn.ModuleList(back)),
        ]
        for reader, writer in forms:
            vae = LinearVAE.from_layers(reader, writer, log_variance=torch.tensor(logs),
                                        noise_variance=torch.tensor([noise]))  # fmt: skip
            latents = net(x).detach()
            scale = float(latents.abs().max())
            assert np.abs(vae.encode(data) - latents.numpy()).max() < SINGLE * scale
            output = back(latents).detach().numpy()
            assert np.abs(vae.decode(latents) - output).max() < SINGLE * np.abs(output).max()

    def test_linear_without_bias_and_known_layout(self):
        torch = pytest.importorskip("torch")
        linear = torch.nn.Linear(4, 2, bias=False)
        # A module says how it stores its weight: `layout` is about bare arrays.
        for layout, D in (("out_in", np.ones((4, 2))), ("in_out", np.ones((2, 4)))):
            vae = from_layers([linear], D, log_variance=0, noise_variance=1, layout=layout)
            assert np.array_equal(vae.encoder, linear.weight.detach().numpy().astype(float))

    def test_parametrised_linear_layers_are_read_as_they_compute(self):
        torch = pytest.importorskip("torch")
        linear = torch.nn.Linear(4, 2, dtype=torch.float64)
        torch.nn.utils.parametrizations.weight_norm(linear)
        x = torch.arange(8.0, dtype=torch.float64).reshape(2, 4)
        vae = from_layers(linear, np.ones((4, 2)), log_variance=0, noise_variance=1)
        assert_close(vae.encode(x), linear(x).detach().numpy())

    def test_modules_that_are_not_linear_are_refused_by_name(self):
        torch = pytest.importorskip("torch")
        nn = torch.nn

        class Gated(nn.Linear):
            def forward(self, x):
                return super().forward(x) ** 2

        class Skipping(nn.Sequential):
            def forward(self, x):
                return x + super().forward(x)

        class Network(nn.Module):
            pass

        modules = {
            "ReLU": nn.ReLU(),
            "Dropout": nn.Dropout(),
            "BatchNorm1d": nn.BatchNorm1d(2),
            "PReLU": nn.PReLU(),
            "Embedding": nn.Embedding(4, 2),
            "Conv2d": nn.Conv2d(1, 1, 3),
            "Gated": Gated(4, 2),
            "Skipping": Skipping(nn.Linear(4, 2)),
            "Network": Network(),
            "relu": nn.functional.relu,
        }
        for name, module in modules.items():
            for form in (module, [nn.Linear(4, 2), module]):
                with pytest.raises(InputTypeError, match=f"encoder: got {name};.*no activations"):
                    from_layers(form, np.ones((4, 2)), log_variance=0, noise_variance=1)
        with pytest.raises(InputTypeError, match="decoder: got ReLU"):
            from_layers(np.ones((2, 4)), nn.Sequential(nn.Linear(2, 4), nn.ReLU()), log_variance=0,
                        noise_variance=1)  # fmt: skip

    @pytest.mark.filterwarnings("ignore:Lazy modules")
    def test_tensors_numpy_cannot_read(self):
        torch = pytest.importorskip("torch")
        for odd in (torch.ones(2, 4, dtype=torch.bfloat16), torch.ones(2, 4).to_sparse()):
            with pytest.raises(InputTypeError, match=r"encoder: got Tensor that NumPy cannot read"):
                from_layers(odd, np.ones((4, 2)), log_variance=0, noise_variance=1)
        with pytest.raises(InputTypeError, match="encoder: got LazyLinear"):
            from_layers(torch.nn.LazyLinear(2), np.ones((4, 2)), log_variance=0, noise_variance=1)
