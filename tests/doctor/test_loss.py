"""The manners of the examination of a loss: failures, state, sizes, modes and options."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest

from linvae.doctor.loss import examine_loss
from linvae.errors import InputError

from .loss_tools import _kl, _reduce


def _right(x, y, m, s):
    return _reduce((x - y) ** 2, True, False) + _reduce(_kl(m, s), True, False)


def test_their_exception_is_theirs():
    def loss(x, y, m, s):
        raise KeyError("weights")

    examined = examine_loss(loss, subject="their loss")
    assert examined.exit_code == 2
    assert examined.subject == "their loss"
    assert "KeyError: 'weights' (raised by the examined code" in examined.failure
    assert "test_loss.py" in examined.failure
    assert "feature_shape=" in examined.failure


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (None, "the loss"),
        ("text", "the loss"),
        ({}, "name it 'loss'"),
        ({"a": 1.0, "b": 2.0}, "name it 'loss'"),
        (np.ones((4, 6)), "expected one number"),
        (np.nan, "the loss is nan"),
    ],
)
def test_results_that_are_no_loss(result, words):
    examined = examine_loss(lambda *arrays: result)
    assert examined.exit_code == 2
    assert words in examined.failure


def test_state_and_output_are_kept(capsys):
    def loss(x, y, m, s):
        print("epoch 1")
        warnings.warn("deprecated", stacklevel=1)
        np.random.seed(0)  # noqa: NPY002
        random.seed(0)
        x[:] = 0  # in place
        np.seterr(all="ignore")
        return ((x - y) ** 2).sum() + _kl(m, s).sum()

    kept = []

    class State:
        def __enter__(self):
            kept.append("in")

        def __exit__(self, *error):
            kept.append("out")

    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = random.getstate(), np.random.get_state()[1].copy(), np.geterr()  # noqa: NPY002
    examine_loss(loss, state=State)
    after = random.getstate(), np.random.get_state()[1], np.geterr()  # noqa: NPY002
    assert before[0] == after[0]
    assert (before[1] == after[1]).all()
    assert before[2] == after[2]
    assert kept == ["in", "out"]
    assert capsys.readouterr() == ("", "")


def test_the_same_seed_gives_the_same_examination():
    assert examine_loss(_right, seed=3) == examine_loss(_right, seed=3)
    assert examine_loss(_right, seed=3).facts != examine_loss(_right, seed=4).facts


def test_a_loss_is_called_a_few_hundred_times():
    """So that the time is theirs: the bookkeeping is small beside it."""
    examined = examine_loss(_right)
    assert examined.facts["calls"] < 500
    assert 0 < examined.seconds < 60


def test_the_example_of_the_module():
    """The ten lines in its documentation run, and say what they say."""
    import textwrap

    from linvae.doctor import loss as module

    lines = module.__doc__.partition("::\n")[2]
    names: dict = {}
    exec(textwrap.dedent(lines), names)
    facts = names["examined"].facts
    assert facts["effective_beta_formula"] == "1 · n"
    assert facts["noise_variance"] == 0.5
    assert "'1 · n' at σ² = ½" in lines


def test_fixed_sizes():
    def loss(x, y, m, s):
        assert x.shape[1:] == (3, 5, 7)
        assert m.shape[1] == 20
        return _right(x, y, m, s)

    assert examine_loss(loss).exit_code == 2
    examined = examine_loss(loss, feature_shape=(3, 5, 7), latent_dim=20)
    assert examined.healthy
    assert "3 x 5 x 7" in examined.facts["probed_with"]
    assert "fixed" in examined.facts["kl_reduction"]


def test_the_mode_of_a_module_is_restored():
    class Loss:
        training = False
        seen = ()

        def train(self, mode=True):
            self.training = mode

        def eval(self):
            self.training = False

        def __call__(self, *arrays):
            self.seen = {*self.seen, self.training}
            return _right(*arrays)

    loss = Loss()
    examined = examine_loss(loss)
    assert examined.healthy
    assert loss.seen == {True, False}
    assert not loss.training
    assert examined.facts["evaluation_effective_beta"] == pytest.approx(1.0)


def test_parts_that_are_no_parts_are_left_alone():
    def loss(x, y, m, s):
        first, kl = _reduce((x - y) ** 2, True, False), _reduce(_kl(m, s), True, False)
        return {"loss": first + kl, "recon": first, "kl": kl, "kl_weight": 1.0, "z": m,
                "learning_rate": 1e-3, "elbo": -(first + kl), "name": "vae"}  # fmt: skip

    examined = examine_loss(loss)
    assert examined.healthy
    assert examined.facts["total_is"] == "1 x recon + 1 x kl"
    assert examined.facts["reported_kl_per_nat"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "options",
    [
        {"beta": 0.0},
        {"beta": "one"},
        {"noise_variance": -1.0},
        {"likelihood": "poisson"},
        {"likelihood": "bernoulli", "noise_variance": 1.0},
        {"evaluation": 3},
        {"latent_dim": 0},
        {"feature_shape": (0,)},
        {"seed": -1},
    ],
)
def test_bad_options_are_refused(options):
    with pytest.raises(InputError):
        examine_loss(_right, **options)
    with pytest.raises(InputError):
        examine_loss("not a function")


def test_draws_that_happen_to_rise_are_not_a_loss_that_changes():
    rng = np.random.default_rng(0)
    rising = np.linspace(-1.0, 1.0, 6).tolist()

    def loss(x, x_hat, mean, log_var):
        drawn = rising.pop(0) if rising else rng.standard_normal()
        kl = -0.5 * (1 + log_var - mean**2 - np.exp(log_var)).sum(axis=1)
        return ((x - x_hat) ** 2).reshape(len(x), -1).sum(axis=1).mean() + kl.mean() + 0.01 * drawn

    found = examine_loss(loss)
    assert found.healthy
    assert not found.facts["repeatable"]
