"""What the tests of ``linvae check`` share: code to examine, and stand-ins for what examines it."""

from __future__ import annotations

from types import SimpleNamespace

from linvae.cli import subjects
from linvae.doctor import Examination, Finding

CODE = """
    import os, sys
    import numpy as np

    print("said while it was imported")

    def kl(mean, log_var):
        return -0.5 * (1 + log_var - mean**2 - np.exp(log_var)).sum()

    def right(x, x_hat, mean, log_var):
        return ((x - x_hat) ** 2).sum() + kl(mean, log_var)

    def averaged(x, x_hat, mean, log_var):
        np.random.seed(1)
        print("said while it ran", file=sys.stderr)
        return ((x - x_hat) ** 2).mean() + kl(mean, log_var) / len(x)

    def raising(x, x_hat, mean, log_var):
        raise KeyError("<weights>")

    def leaving(x, x_hat, mean, log_var):
        sys.exit(3)

    class Model:
        def encode(self, x):
            mean = x[:, :1] * 0.5
            return mean, np.full_like(mean, -1.0)

        def decode(self, z):
            return np.concatenate([z, z, z], axis=1)

    class NeedsSize(Model):
        def __init__(self, size):
            self.size = size

    model = Model()

    class Inside:
        right = staticmethod(right)

    class Estimator:
        def fit(self, X, beta, latent_dim, seed):
            return model

    def train(X, beta, latent_dim, seed):
        return model

    def active(mean):
        return int((mean.var(axis=0) > 0.01).sum())

    number = 3
"""


def with_adapter(monkeypatch, adapt):
    entry = SimpleNamespace(load=lambda: adapt)
    monkeypatch.setattr(subjects, "entry_points", lambda group: [entry])


def examinations(monkeypatch):
    """Replace what trains and measures; returns the calls."""
    import linvae.doctor.metrics as metrics
    import linvae.doctor.training as training

    calls = []

    def fake(kind):
        def examine(*arguments, **options):
            calls.append((kind, arguments, options))
            finding = Finding("a-code", "asked?", "found.", {"x": 1.0}, "cause", "remedy")
            facts = {"runs": [{"n": 1, "latents": [{"c": 2.0}]}]}
            return Examination(kind, options["subject"], ("asked?",), facts, (finding,))

        return examine

    monkeypatch.setattr(training, "examine_trainer", fake("trainer"))
    monkeypatch.setattr(training, "examine_model", fake("model"))
    monkeypatch.setattr(metrics, "examine_metric", fake("metric"))
    return calls
