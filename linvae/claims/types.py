"""What a claim is: its check, its verdict, and what it is checked on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from linvae._types import LinearVAE, Terms
from linvae._validation import FloatArray
from linvae.frontier import Frontier
from linvae.response import response
from linvae.spectrum import Spectrum

__all__ = ["Check", "Claim", "Setting", "demonstrated", "judged", "not_applicable"]

Status: TypeAlias = Literal["holds", "fails", "impossible", "not applicable"]


@dataclass(frozen=True)
class Check:
    """One claim of the theory, measured.

    Attributes
    ----------
    claim : str
        Identifier, such as ``"T1.a"``.
    statement : str
        The claim in one sentence.
    residual : float
        What was measured.
    relation : str
        ``"<="`` or ``">="``: how the residual must stand to the tolerance.
    tolerance : float
    status : str
        ``"holds"``; ``"fails"``; ``"impossible"`` when the claim is an impossibility and was
        confirmed by a gap bounded away from zero; ``"not applicable"`` when the data lack what the
        claim speaks of.
    note : str
        What the residual is, and what follows.
    """

    claim: str
    statement: str
    residual: float
    relation: Literal["<=", ">="]
    tolerance: float
    status: Status
    note: str

    @property
    def passed(self) -> bool:
        """False only for a claim that fails."""
        return self.status != "fails"


@dataclass(frozen=True, eq=False)
class Setting:
    """The data and sizes on which the claims are checked; shared quantities are computed once."""

    spectrum: Spectrum
    latent_dim: int
    noise_variance: float
    betas: FloatArray  # shape: (B,), rising

    @cached_property
    def curve(self) -> Frontier:
        """The closed-form frontier."""
        return Frontier(
            self.spectrum, latent_dim=self.latent_dim, noise_variance=self.noise_variance
        )

    @cached_property
    def model(self) -> LinearVAE:
        """The joint optimum at every β, a batch."""
        return self.optimum(self.betas)

    @cached_property
    def terms(self) -> Terms:
        """What the joint optimum achieves, by the objective's own definition."""
        return self.model.evaluate(self.spectrum, self.betas)

    def optimum(self, beta: FloatArray | float) -> LinearVAE:
        """Joint optimum at given β."""
        return response(
            self.spectrum,
            beta,
            latent_dim=self.latent_dim,
            noise_variance=self.noise_variance,
        )

    @property
    def critical_betas(self) -> FloatArray:
        """The critical β's of the modes that can live, descending."""
        values = self.curve.critical_betas
        return values[values > 0]

    @cached_property
    def magnitude(self) -> FloatArray:
        """Sum of the absolute terms of the objective: the unit of its rounding errors."""
        spectrum, variance = self.spectrum, self.noise_variance
        points = self.curve.at_beta(self.betas)
        constant = abs(0.5 * spectrum.n_features * np.log(2 * np.pi * variance))
        size = constant + spectrum.total_variance / (2 * variance) + points.beta * points.rate
        return np.asarray(size + np.finfo(np.float64).tiny)

    def visible(self, encoder: FloatArray) -> FloatArray:
        """The part of an encoder that a leading-k spectrum can evaluate; all of it otherwise."""
        if self.spectrum.complete:
            return encoder
        vectors = self.spectrum.eigenvectors
        return np.asarray((encoder @ vectors) @ vectors.T)

    @property
    def decoder(self) -> FloatArray:
        """A fixed decoder that is optimal for no β: DᵀD is not even diagonal."""
        rng = np.random.default_rng(0)
        k = self.latent_dim
        turn = np.linalg.qr(rng.standard_normal((k, k)))[0]
        values = self.spectrum.leading_eigenvalues(k)
        # Any decoder will do; columns far smaller than the largest would be lost in the mixture.
        values = np.maximum(values, 1e-8 * values[0])
        return np.asarray((self.spectrum.leading_eigenvectors(k) * np.sqrt(values)) @ turn)


@dataclass(frozen=True)
class Claim:
    """A claim's identifier, its statement and the function that measures it."""

    id: str
    statement: str
    check: Callable[[Setting, Claim], Check]


def judged(claim: Claim, residual: float, tolerance: float, note: str) -> Check:
    """A claim that holds when its residual is at most the tolerance."""
    holds = residual <= tolerance  # False for NaN
    return Check(
        claim.id,
        claim.statement,
        float(residual),
        "<=",
        tolerance,
        "holds" if holds else "fails",
        note,
    )


def demonstrated(claim: Claim, gap: float, least: float, note: str) -> Check:
    """An impossibility, shown by a gap of at least `least`."""
    return Check(
        claim.id,
        claim.statement,
        float(gap),
        ">=",
        least,
        "impossible" if gap >= least else "fails",
        note,
    )


def not_applicable(claim: Claim, note: str) -> Check:
    """A claim about something the data do not have."""
    return Check(claim.id, claim.statement, 0.0, "<=", 0.0, "not applicable", note)
