"""from_layers: every form of log-variances, and one clear error for each kind of bad weights."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from linvae.errors import InputError
from linvae.importer import from_layers
from tests.linvae.test_importer import Dense
from tests.tolerances import assert_close


def import_pair(encoder, decoder=None, **options):
    decoder = np.ones((4, 2)) if decoder is None else decoder
    return from_layers(encoder, decoder, **{"log_variance": 0, "noise_variance": 1} | options)


class TestLogVariance:
    @pytest.mark.parametrize(
        "value",
        [-2, -2.0, np.float32(-2), np.array(-2.0), np.array([-2.0]), [-2, -2], (-2.0, -2.0),
         np.array([-2.0, -2.0]), (np.zeros((2, 4)), np.array([-2.0, -2.0])),
         [np.zeros((3, 4)), np.zeros(3), np.ones((2, 3)), [-2.0, -2.0]],
         Dense(np.zeros((4, 2)), np.array([-2.0, -2.0]))],
    )  # fmt: skip
    def test_forms(self, value):
        vae = import_pair(np.ones((2, 4)), log_variance=value)
        assert_close(vae.posterior_variance, np.exp([-2.0, -2.0]), "rounding")

    def test_iterator_of_layers(self):
        vae = import_pair(np.ones((2, 4)), log_variance=iter([np.zeros((2, 4)), [-2, -1]]))
        assert_close(vae.posterior_variance, np.exp([-2.0, -1.0]), "rounding")

    @pytest.mark.parametrize(
        ("value", "match"),
        [
            ((np.full((2, 4), 1e-3), np.zeros(2)), "weights up to 0.001.*every x.*shared C"),
            (np.zeros(3), "log_variance: got 3 entries; expected 2"),
            (np.zeros((1, 2)), r"log_variance: got shape \(1, 2\)"),
            (np.zeros(0), r"log_variance: got shape \(0,\)"),
            ([], "log_variance: got no layer"),
            (None, "log_variance layer 1: got no weight"),
            ([0.0, np.nan], "log_variance: got nan at index"),
            ([0.0, 800.0], "log_variance: got 800.0; expected logarithms"),
            (-800, "log_variance: got -800.0; expected logarithms"),
            ("log", "log_variance: got str"),
        ],
    )
    def test_errors(self, value, match):
        with pytest.raises(InputError, match=match):
            import_pair(np.ones((2, 4)), log_variance=value)


class TestBadInput:
    def test_layers_that_do_not_follow_one_another(self):
        one, two = np.ones((4, 3)), np.ones((3, 2))  # Keras' layout: 4 -> 3 -> 2
        with pytest.raises(InputError, match=r"encoder layer 2: got 2 inputs \(shape \(3, 2\)\); "
                           r"expected 4, the outputs of layer 1 \(shape \(4, 3\)\); "
                           r".*layout='in_out'"):  # fmt: skip
            import_pair([one, two])
        with pytest.raises(InputError, match=r"layer 2: got 2 inputs \(shape \(2, 5\)\); "
                           r"expected 5, .*\(shape \(4, 5\)\).*transpose fits"):  # fmt: skip
            import_pair([np.ones((4, 5)), np.ones((2, 5))], layout="in_out")

    def test_wrong_ends(self):
        with pytest.raises(InputError, match=r"4 latents for 2 features.*layout='in_out'"):
            import_pair(np.ones((4, 2)), np.ones((2, 4)))
        with pytest.raises(InputError, match="layout='out_in'"):
            import_pair(np.ones((2, 4)), np.ones((4, 2)), layout="in_out")
        with pytest.raises(InputError, match=r"decoder: got a map from 4 to 2.*transpose"):
            import_pair(np.ones((2, 4)), np.ones((2, 4)))
        with pytest.raises(InputError, match=r"from 2 to 5 values; expected one from 2 to 4.*same"):
            import_pair(np.ones((2, 4)), np.ones((5, 2)))
        with pytest.raises(InputError, match="means and log-variances"):
            import_pair(np.ones((4, 4)), np.ones((4, 2)))

    @pytest.mark.parametrize(
        ("encoder", "match"),
        [
            ([], "encoder: got no layer"),
            ([np.ones((3, 4)), np.tanh, np.ones((2, 3))], "encoder: got tanh;.*no activations"),
            (lambda x: x, "encoder: got <lambda>"),
            ({"kernel": np.ones((4, 2))}, "encoder: got dict"),
            ("weights.npz", "encoder: got str"),
            (Dense(np.ones((4, 2)), None, np.tanh), "encoder: got tanh"),
            (SimpleNamespace(weight=np.ones((2, 4))), "encoder: got SimpleNamespace"),
            (np.ones((5, 2, 4)), r"layer 1 weight: got shape \(5, 2, 4\).*one model at a time"),
            (3.0, r"layer 1 weight: got shape \(\)"),
            ([np.ones((4, 4)), np.ones((0, 4))], r"layer 2 weight: got shape \(0, 4\)"),
            ((np.ones((2, 4)), np.ones(4)), r"layer 1 bias: got shape \(4,\); expected \(2,\)"),
            ([np.ones(4)], r"layer 1: got a vector of shape \(4,\)"),
            ([np.ones((2, 4)), None, None], "layer 2: got no weight"),
            ((np.full((2, 4), np.nan), None), r"layer 1 weight: got nan at index 0, 0"),
            ([np.ones((2, 4)), [np.inf, 0]], "layer 1 bias: got inf"),
            ([np.full((4, 4), 1e200), np.full((2, 4), 1e200)], "product exceeds float64"),
            (np.ones((2, 4)) * 1j, "encoder: got dtype complex128"),
            ([["a"]], "encoder: got str"),
            ([[1.0, 2.0], [3.0]], "encoder: got rows of unequal length"),
        ],
    )  # fmt: skip
    def test_layers(self, encoder, match):
        with pytest.raises(InputError, match=match):
            import_pair(encoder)

    def test_options(self):
        E = np.ones((2, 4))
        with pytest.raises(InputError, match="layout: got 'torch'; expected 'out_in' or 'in_out'"):
            import_pair(E, layout="torch")
        for bad in (0.0, -1.0, np.nan, np.inf):
            with pytest.raises(InputError, match="noise_variance: got"):
                import_pair(E, noise_variance=bad)
        with pytest.raises(InputError, match=r"noise_variance: got shape \(2,\)"):
            import_pair(E, noise_variance=[1.0, 2.0])
