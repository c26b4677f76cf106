"""Examination of other people's losses, models, trainers and metrics against exact answers.

What is examined is recognised by what it can do, not by its class. Arrays may be of any library
that NumPy reads through ``__array__`` or DLPack; `convert` makes theirs of ours.

- A loss, ``loss(x, x_hat, mean, log_var) -> number or mapping``: :func:`examine_loss`, which trains
  nothing.
- A model, ``encode(x) -> (mean, log_var)`` and ``decode(z) -> x_hat``: :func:`examine_model` holds
  it against the optimum on its data, :func:`read_model` only reads it.
- A trainer, ``fit(X, beta, latent_dim, seed) -> model``: :func:`examine_trainer` trains it on
  Gaussian sources of which the optimum is known.
- A metric, such as ``total_correlation(z) -> number``: :func:`examine_metric`.

Each of these functions shows an example of ten lines. All return an :class:`Examination`.
"""

from __future__ import annotations

from .examination import Examination, Finding
from .loss import examine_loss
from .metrics import examine_metric
from .model import ReadModel, read_model
from .training import examine_model, examine_trainer

__all__ = [
    "Examination",
    "Finding",
    "ReadModel",
    "examine_loss",
    "examine_metric",
    "examine_model",
    "examine_trainer",
    "read_model",
]
