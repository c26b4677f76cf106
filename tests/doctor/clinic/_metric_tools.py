"""Where the metrics of the clinic are entered, and the densities that they share."""

from __future__ import annotations

from typing import Any

import numpy as np

Entry = tuple[Any, dict[str, Any]]
FaultyEntry = tuple[Any, dict[str, Any], str]
RIGHT: dict[str, Entry] = {}
FAULTY: dict[str, FaultyEntry] = {}


def right(what, **options):
    def keep(function):
        RIGHT[function.__name__] = (function, {"what": what, **options})
        return function

    return keep


def faulty(what, code, **options):
    def keep(function):
        FAULTY[function.__name__] = (function, {"what": what, **options}, code)
        return function

    return keep


LOG_2PI = np.log(2 * np.pi)


def log_normal(z, mean, log_var):
    return -0.5 * ((z - mean) ** 2 / np.exp(log_var) + log_var + LOG_2PI)


def table(z, mean, log_var):
    return log_normal(z[:, None], mean[None], log_var[None])


def sampled(mean, log_var):
    return mean + np.exp(log_var / 2) * np.random.standard_normal(mean.shape)  # noqa: NPY002
