"""A small problem, its certificates by claim, and a hypernetwork with one spoiled number."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

import linvae as lv
from linvae.certificates import Certificate, certify

SPECTRUM = lv.Spectrum.from_covariance(
    np.array([[5.0, 1.0, 0.3, 0.0], [1.0, 3.0, 0.2, 0.1], [0.3, 0.2, 1.0, 0.0], [0, 0.1, 0, 0.4]])
)
OPTIONS: dict[str, Any] = {"latent_dim": 3, "noise_variance": 0.7}
RANGE = (0.05, 20.0)
EXACT = lv.Hypernetwork.exact(SPECTRUM, **OPTIONS)
CLAIMS = [
    "gates.decoder",
    "gates.decoder.away",
    "gates.encoder",
    "gates.encoder.away",
    "gates.variance",
    "optimum.squared_error",
    "optimum.rate",
    "optimum.objective",
    "optimum.aggregated_posterior",
    "frontier.rate",
    "frontier.squared_error",
    "frontier.slope",
    "vectors",
    "points.hypernetwork",
    "points.response",
]


def by_claim(found: list[Certificate]) -> dict[str, Certificate]:
    return {certificate.claim: certificate for certificate in found}


def run(network: lv.Hypernetwork | None = None, **options: Any) -> dict[str, Certificate]:
    return by_claim(certify(SPECTRUM, **OPTIONS, beta_range=RANGE, hypernetwork=network, **options))


def spoiled(side: str, which: int, name: str, size: float) -> lv.Hypernetwork:
    pair = list(getattr(EXACT, side))
    values = getattr(pair[which], name).copy()
    values.flat[1] += size
    pair[which] = dataclasses.replace(pair[which], **{name: values})
    return dataclasses.replace(EXACT, **{side: tuple(pair)})


def some_betas() -> np.ndarray:
    critical = SPECTRUM.leading_eigenvalues(3) / 0.7
    beside = [np.nextafter(critical, 0), critical, np.nextafter(critical, np.inf)]
    return np.concatenate([np.geomspace(*RANGE, 40), *beside, critical * (1 - 1e-9)])
