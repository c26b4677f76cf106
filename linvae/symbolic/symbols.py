"""The symbols that all expressions share; ``proofs/notation.md`` says what they stand for."""

from __future__ import annotations

import sympy as sp

__all__ = ["beta", "c", "d", "e", "k", "lam", "m", "n", "s2", "tau", "x"]

lam = sp.Symbol("lambda", positive=True)  # eigenvalue of the data covariance
s2 = sp.Symbol("sigma2", positive=True)  # noise variance of the decoder, σ²
beta = sp.Symbol("beta", positive=True)  # weight of the rate
tau = sp.Symbol("tau", positive=True)  # water level βσ²
e = sp.Symbol("e", real=True)  # gain of the encoder along one eigenvector
c = sp.Symbol("c", positive=True)  # posterior variance of one latent
d = sp.Symbol("d", real=True)  # gain of the decoder along one eigenvector
x = sp.Symbol("x", real=True)  # argument of a gate
n = sp.Symbol("n", integer=True, positive=True)  # data dimensions
k = sp.Symbol("k", integer=True, positive=True)  # latents
m = sp.Symbol("m", integer=True, nonnegative=True)  # active modes
