"""Losses of several styles: every argument in its place, and beta where it is asked for."""

from __future__ import annotations

import collections

import numpy as np
import pytest

from linvae.doctor.loss import examine_loss

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from deep.adapters import adapt  # noqa: E402
from deep.errors import InputError  # noqa: E402

from .adapter_tools import LossModule, exact, in_our_order, of_tensors, parts  # noqa: E402


def unnamed(a, b, c, d):
    return exact(a, b, c, d)


def keras_style(y_true, y_pred, z_mean, z_log_var):
    return exact(y_true, y_pred, z_mean, z_log_var)


def y_is_data(y_pred, y, mu, logvar):
    return exact(y, y_pred, mu, logvar)


def of_std(x, recon, mu, std):
    return exact(x, recon, mu, 2 * np.log(std))


def of_log_std(x, recon, mu, *, log_std):
    return exact(x, recon, mu, 2 * log_std)


def of_variance(x, recon, mu, var):
    return exact(x, recon, mu, np.log(var))


def with_latents(recon_x, x, mu, log_var, z):
    assert z.shape == mu.shape
    return exact(x, recon_x, mu, log_var)


def as_tuple(x, x_hat, mu, logvar):
    return exact(x, x_hat, mu, logvar), 1.0, 2.0


def as_mapping(x, x_hat, mu, logvar):
    return {"KLD": 2.0, "loss": exact(x, x_hat, mu, logvar)}


def variable(*args, **kwargs):
    recons, original, mu, log_var = args
    assert kwargs["M_N"] == 1.0
    return {"loss": exact(original, recons, mu, log_var), "KLD": 0.0}


class Result(collections.namedtuple("Result", "kl total_loss")):
    pass


def as_named_tuple(x, x_hat, mu, logvar):
    return Result(0.0, exact(x, x_hat, mu, logvar))


LOSSES = [of_tensors, in_our_order, unnamed, keras_style, y_is_data, of_std, of_log_std,
          of_variance, with_latents, as_tuple, as_mapping, variable, as_named_tuple,
          LossModule()]  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: getattr(f, "__name__", "module"))
def test_a_loss_gets_every_argument_in_its_place(loss):
    adapted = adapt(loss, kind="loss")
    value = adapted.loss(*parts())
    total = value["loss"] if isinstance(value, dict) else value
    assert float(total) == pytest.approx(exact(*parts()), rel=1e-12)


def test_what_had_to_be_guessed_is_said():
    assert adapt(of_std).notes == ("parameter std was given the standard deviation",)
    assert "posterior mean" in adapt(with_latents).notes[0]
    assert "no names" in adapt(variable, kind="loss").notes[0]


def needs_beta(x, recon, mu, logvar, beta):
    return exact(x, recon, mu, logvar, beta)


def knows_beta(x, recon, mu, logvar, kl_weight=3.0):
    return exact(x, recon, mu, logvar, kl_weight)


def test_beta_is_passed_on_where_it_is_asked_for():
    assert adapt(needs_beta).loss(*parts()) == pytest.approx(exact(*parts()))
    assert adapt(needs_beta, beta=4.0).loss(*parts()) == pytest.approx(exact(*parts(), 4.0))
    assert adapt(knows_beta).loss(*parts()) == pytest.approx(exact(*parts(), 3.0))
    assert adapt(knows_beta, beta=4.0).loss(*parts()) == pytest.approx(exact(*parts(), 4.0))


def of_five(x, recon, mu, logvar, capacity):
    return 0.0


def of_three(x, recon, mu):
    return 0.0


@pytest.mark.parametrize("loss", [of_five, of_three])
def test_parameters_that_cannot_be_filled_are_refused(loss):
    with pytest.raises(InputError, match="wrap it in a function"):
        adapt(loss, kind="loss")


class Dropping(nn.Module):
    """Another KL weight in evaluation."""

    def loss_function(self, recon_x, x, mu, logvar):
        kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        return (x - recon_x).pow(2).sum() + (1.0 if self.training else 0.5) * kl


def test_a_loss_that_is_a_method_is_examined_in_both_modes_and_left_in_its_own():
    module = Dropping().eval()
    adapted = adapt(module, kind="loss")
    result = examine_loss(adapted.loss, evaluation=adapted.evaluation, convert=adapted.convert,
                          state=adapted.state)  # fmt: skip
    assert result.failure is None
    assert result.facts["effective_beta"] == pytest.approx(1.0)
    assert result.facts["evaluation_effective_beta"] == pytest.approx(0.5)
    assert result.findings
    assert not module.training


def test_the_pytorch_example_of_a_loss_is_read_as_it_is_meant():
    """Arguments (recon_x, x, ...): in the given order the cross-entropy would be upside down."""

    def loss_function(recon_x, x, mu, logvar):
        bce = nn.functional.binary_cross_entropy(recon_x, x, reduction="sum")
        return bce - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())

    adapted = adapt(loss_function)
    result = examine_loss(adapted.loss, convert=adapted.convert, state=adapted.state)
    assert result.healthy, (result.failure, result.findings)
    assert result.facts["effective_beta"] == pytest.approx(1.0)
