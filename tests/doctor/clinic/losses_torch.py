"""Losses as torch code has them, right ones and faulty ones; importing needs torch."""

from __future__ import annotations

import torch
from torch.nn import functional

from deep.adapters.adapted import gradient_with

from ._loss_terms import BETA


def to_float32(array):
    return torch.as_tensor(array, dtype=torch.float32)


def kld(m, s):
    return -0.5 * torch.sum(1 + s - m.pow(2) - s.exp())


def tutorial(x, y, m, s):
    """Both summed."""
    return functional.binary_cross_entropy(y, x.view(-1, 784), reduction="sum") + kld(m, s)


def tutorial_mean(x, y, m, s):
    """The 784 stands in the code, so that it cannot be varied."""
    return functional.binary_cross_entropy(y, x.view(-1, 784)) + kld(m, s) / len(x)


def logits(x, y, m, s):
    bce = functional.binary_cross_entropy_with_logits(y, x, reduction="none")
    return (bce.flatten(1).sum(1) + BETA * kld(m, s) / len(x)).mean().item()


def gaussian(x, y, m, s):
    variance = torch.full_like(y, 0.1)
    nll = functional.gaussian_nll_loss(y, x, variance, full=True, reduction="sum")
    return (nll + kld(m, s)) / len(x)


def mse(x, y, m, s):
    return functional.mse_loss(y, x) + BETA * kld(m, s) / len(x)


def minibatch_weight(x, y, m, s):
    """The KL is weighed by a batch size over a data size."""
    kl = torch.mean(-0.5 * torch.sum(1 + s - m**2 - s.exp(), dim=1), dim=0)
    recons = functional.mse_loss(y, x)
    return {"loss": recons + 0.00025 * kl, "Reconstruction_Loss": recons.detach()}


def distributions(x, y, m, s):
    normal = torch.distributions.Normal
    kl = torch.distributions.kl_divergence(normal(m, (s / 2).exp()), normal(0.0, 1.0))
    nll = -normal(y, 1.0).log_prob(x)
    return nll.flatten(1).sum(1).mean() + BETA * kl.sum(1).mean()


def distributions_scale(x, y, m, s):
    """The scale of a Normal is a standard deviation."""
    normal = torch.distributions.Normal
    kl = torch.distributions.kl_divergence(normal(m, s.exp()), normal(0.0, 1.0))
    return 0.5 * (x - y).square().flatten(1).sum(1).mean() + BETA * kl.sum(1).mean()


def scale_is_log_var(x, y, m, s):
    """Raises for negative ones."""
    normal = torch.distributions.Normal
    kl = torch.distributions.kl_divergence(normal(m, s), normal(0.0, 1.0))
    return 0.5 * (x - y).square().flatten(1).sum(1).mean() + BETA * kl.sum(1).mean()


def column(x, y, m, s):
    """One number per sample, (N, 1), with a gradient."""
    squares = 0.5 * (x - y).square().flatten(1).sum(1, keepdim=True)
    m = m.requires_grad_()
    return squares - BETA * 0.5 * (1 + s - m**2 - s.exp()).sum(1, keepdim=True)


def half_precision(x, y, m, s):
    """Bfloat16, as in mixed precision."""
    kl = -0.5 * (1 + s - m**2 - s.exp()).sum(1)
    squares = 0.5 * (x - y).square().flatten(1).sum(1)
    return (squares + BETA * kl).mean().to(torch.bfloat16)


def _terms(x, y, m, s):
    """½ squared error and KL, one per sample."""
    return 0.5 * (x - y).square().flatten(1).sum(1), -0.5 * (1 + s - m**2 - s.exp()).sum(1)


def _sum(terms):
    return (terms[0] + BETA * terms[1]).mean()


def detached_mean(x, y, m, s):
    return _sum(_terms(x, y, m.detach(), s))


def detached_log_var(x, y, m, s):
    return _sum(_terms(x, y, m, s.detach()))


def detached_output(x, y, m, s):
    return _sum(_terms(x, y.detach(), m, s))


def no_grad_kl(x, y, m, s):
    with torch.no_grad():
        kl = _terms(x, y, m, s)[1]
    return _sum((_terms(x, y, m, s)[0], kl))


def half_of_the_kl_detached(x, y, m, s):
    squares, kl = _terms(x, y, m, s)
    return _sum((squares, (kl + kl.detach()) / 2))


def sampled_kl(x, y, m, s):
    """One draw by torch's generator."""
    normal = torch.distributions.Normal
    q = normal(m, (s / 2).exp())
    z = q.rsample()
    kl = (q.log_prob(z) - normal(0.0, 1.0).log_prob(z)).sum(1)
    return _sum((_terms(x, y, m, s)[0], kl))


def free_gradients(x, y, m, s):
    """Clamped where training is not, works in place, and changes the mode."""
    torch.set_grad_enabled(True)
    y.sub_(x).pow_(2)
    return 0.5 * y.flatten(1).sum(1).mean() + BETA * _terms(y, y, m, s.clamp(-20, 10))[1].mean()


def number(x, y, m, s):
    """No graph to differentiate."""
    return _sum(_terms(x, y, m, s)).item()


def stated_variance(x, y, m, s):
    """σ = 0.1, in the code alone: its constant states it."""
    nll = -torch.distributions.Normal(y, 0.1).log_prob(x).flatten(1).sum(1)
    return (nll + BETA * _terms(x, y, m, s)[1]).mean()


_ONE = {"convert": to_float32}
_FOUR = _ONE | {"beta": BETA}
_GRADIENTS = {"gradient": gradient_with(to_float32), "reseed": torch.manual_seed}
_DIFFERENTIATED = _FOUR | _GRADIENTS
TORCH_RIGHT = {
    "torch_free_gradients": (free_gradients, _DIFFERENTIATED),
    "torch_number": (number, _DIFFERENTIATED),
    "torch_gradient_column": (column, _DIFFERENTIATED),
    "torch_gradient_half_precision": (half_precision, _DIFFERENTIATED),
    "torch_gradient_bernoulli": (tutorial, _ONE | _GRADIENTS | {"likelihood": "bernoulli"}),
    "torch_sampled_kl": (sampled_kl, _DIFFERENTIATED),
    "torch_stated_variance": (stated_variance, _DIFFERENTIATED),
    "torch_tutorial": (tutorial, _ONE | {"likelihood": "bernoulli"}),
    "torch_logits": (logits, _FOUR | {"likelihood": "bernoulli-logits"}),
    "torch_gaussian_nll": (gaussian, _ONE | {"noise_variance": 0.1}),
    "torch_column": (column, _FOUR),
    "torch_half_precision": (half_precision, _FOUR),
    "torch_distributions": (distributions, _FOUR | {"noise_variance": 1.0}),
}
_AVERAGED = "reconstruction-averaged-over-features"
TORCH_FAULTY = {
    "torch_detached_mean": (detached_mean, _DIFFERENTIATED, "mean-gradient-missing"),
    "torch_detached_log_var": (
        detached_log_var,
        _DIFFERENTIATED,
        "log-variance-gradient-missing",
    ),
    "torch_detached_output": (
        detached_output,
        _DIFFERENTIATED,
        "reconstruction-gradient-missing",
    ),
    "torch_no_grad_kl": (no_grad_kl, _DIFFERENTIATED, "kl-gradient-missing"),
    "torch_half_detached": (half_of_the_kl_detached, _DIFFERENTIATED, "gradient-differs"),
    "torch_tutorial_mean": (tutorial_mean, _ONE | {"likelihood": "bernoulli"}, _AVERAGED),
    "torch_mse": (mse, _FOUR, _AVERAGED),
    "torch_minibatch_weight": (minibatch_weight, _ONE, _AVERAGED),
    "torch_scale_is_log_var": (scale_is_log_var, _FOUR, "log-variance-read-as-std"),
    "torch_scale": (distributions_scale, _FOUR, "log-variance-read-as-log-std"),
}
