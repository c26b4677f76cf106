"""Ordinary torch loops over mini-batches, right ones and faulty ones; importing needs torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


def convert(array):
    """What such code takes."""
    return torch.tensor(np.asarray(array), dtype=torch.float32)


def state():
    """Keep torch's seeds."""
    return torch.random.fork_rng(devices=[])


class VAE(nn.Module):
    """Linear encoder with two heads, linear decoder."""

    def __init__(self, n, k, *, output=None, inner=None):
        super().__init__()
        self.inner = inner or nn.Identity()
        self.mean = nn.Linear(n, k)
        self.log_var = nn.Linear(n, k)
        self.decoder = nn.Linear(k, n)
        self.output = output or nn.Identity()

    def encode(self, x):
        h = self.inner(x)
        return self.mean(h), self.log_var(h)

    def decode(self, z):
        return self.output(self.decoder(z))


def _loop(model, X, seed, loss, *, steps=1500, batch=128, rate=0.02, parameters=None):
    """Adam, mini-batches drawn with replacement, the rate falling to zero."""
    optimiser = torch.optim.Adam(parameters or model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda t: 1 - t / steps)
    generator = torch.Generator().manual_seed(seed)
    for step in range(steps):
        x = X[torch.randint(len(X), (batch,), generator=generator)]
        optimiser.zero_grad()
        loss(model, x, step).backward()
        optimiser.step()
        schedule.step()
    return model


def _terms(model, x, *, detach=False, noise=True):
    mean, log_var = model.encode(x)
    z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean) * noise
    error = ((x - model.decode(z)) ** 2).sum(-1).mean()
    held = mean.detach() if detach else mean
    kl = -0.5 * (1 + log_var - held**2 - log_var.exp()).sum(-1).mean()
    return error, kl


def _summed(X, beta, latent_dim, seed):
    """Sum of squares plus beta KL."""
    torch.manual_seed(seed)

    def loss(model, x, step):
        error, kl = _terms(model, x)
        return error + beta * kl

    return _loop(VAE(X.shape[1], latent_dim), X, seed, loss, steps=2500).eval()


def _by_distributions(X, beta, latent_dim, seed):
    """torch.distributions, negative log-likelihood at unit variance, summed over the batch."""
    torch.manual_seed(seed)
    normal = torch.distributions.Normal

    def loss(model, x, step):
        mean, log_var = model.encode(x)
        posterior = normal(mean, torch.exp(0.5 * log_var))
        likelihood = normal(model.decode(posterior.rsample()), 1.0).log_prob(x).sum()
        prior = normal(torch.zeros_like(mean), torch.ones_like(mean))
        return -likelihood + beta * torch.distributions.kl_divergence(posterior, prior).sum()

    return _loop(VAE(X.shape[1], latent_dim), X, seed, loss, steps=2500)


class Deep(VAE):
    """One hidden layer of rectifiers on either side: no linear VAE, yet with the same optimum."""

    def __init__(self, n, k, width=48):
        super().__init__(width, k, inner=nn.Sequential(nn.Linear(n, width), nn.ReLU()))
        self.decoder = nn.Sequential(nn.Linear(k, width), nn.ReLU(), nn.Linear(width, n))


def _hidden(X, beta, latent_dim, seed):
    torch.manual_seed(seed)

    def loss(model, x, step):
        error, kl = _terms(model, x)
        return error + beta * kl

    return _loop(Deep(X.shape[1], latent_dim), X, seed, loss, steps=2000, rate=0.005)


def _annealed(X, beta, latent_dim, seed):
    """A warm-up of 4000 steps, of which 1500 are made."""
    torch.manual_seed(seed)

    def loss(model, x, step):
        error, kl = _terms(model, x)
        return error + beta * min(1.0, step / 4000) * kl

    return _loop(VAE(X.shape[1], latent_dim), X, seed, loss)


def _detached(X, beta, latent_dim, seed):
    torch.manual_seed(seed)

    def loss(model, x, step):
        error, kl = _terms(model, x, detach=True)
        return error + beta * kl

    return _loop(VAE(X.shape[1], latent_dim), X, seed, loss)


def _deterministic(X, beta, latent_dim, seed):
    torch.manual_seed(seed)

    def loss(model, x, step):
        error, kl = _terms(model, x, noise=False)
        return error + beta * kl

    return _loop(VAE(X.shape[1], latent_dim), X, seed, loss)


def _mse(X, beta, latent_dim, seed):
    """nn.functional.mse_loss with its default reduction."""
    torch.manual_seed(seed)

    def loss(model, x, step):
        error, kl = _terms(model, x)
        return error / x.shape[1] + beta * kl

    return _loop(VAE(X.shape[1], latent_dim), X, seed, loss)


def _without_decoder(X, beta, latent_dim, seed):
    """The optimiser is given the encoder alone."""
    torch.manual_seed(seed)
    model = VAE(X.shape[1], latent_dim)

    def loss(model, x, step):
        error, kl = _terms(model, x)
        return error + beta * kl

    parts = [*model.mean.parameters(), *model.log_var.parameters()]
    return _loop(model, X, seed, loss, parameters=parts)


def _tanh(X, beta, latent_dim, seed):
    torch.manual_seed(seed)

    def loss(model, x, step):
        error, kl = _terms(model, x)
        return error + beta * kl

    return _loop(VAE(X.shape[1], latent_dim, output=nn.Tanh()), X, seed, loss)


def _dropout(X, beta, latent_dim, seed):
    """Dropout on the inputs, and no eval() before the model is handed over."""
    torch.manual_seed(seed)

    def loss(model, x, step):
        error, kl = _terms(model, x)
        return error + beta * kl

    return _loop(VAE(X.shape[1], latent_dim, inner=nn.Dropout(0.1)), X, seed, loss)


TORCH_FAULTY = {
    "torch: warm-up too long": (_annealed, {"noise_variance": 0.5}, "annealing-unfinished"),
    "torch: mean detached in KL": (_detached, {}, "mean-missing-from-kl"),
    "torch: deterministic": (_deterministic, {}, "no-sampling-noise"),
    "torch: mse_loss": (_mse, {}, "squared-error-averaged"),
    "torch: decoder not optimised": (_without_decoder, {}, "decoder-frozen"),
    "torch: tanh output": (_tanh, {}, "bounded-output"),
    "torch: dropout on": (_dropout, {}, "left-in-training-mode"),
}

TORCH_RIGHT = {
    "torch: sum of squares": (_summed, {"noise_variance": 0.5}),
    "torch: distributions": (_by_distributions, {}),
    "torch: hidden layers": (_hidden, {}),
}

for _case in (*TORCH_FAULTY.values(), *TORCH_RIGHT.values()):
    _case[1].update(convert=convert, state=state)
