"""``linvae verify --certify``: bounds that ball arithmetic proves, printed beside the claims."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from linvae._validation import FloatArray

from . import console
from .problem import Problem

if TYPE_CHECKING:
    from linvae.certificates import Certificate

__all__ = [
    "certificate_table",
    "certificates_as_plain",
    "certified_range",
    "outward",
    "require_ball_arithmetic",
    "run_certificates",
]

_ABOUT = 17  # certificates, for the bar


def require_ball_arithmetic() -> None:
    """Complain at once, not after the claims, when python-flint is missing."""
    from linvae.certificates._balls import flint

    flint()


def certified_range(problem: Problem, betas: FloatArray | None) -> tuple[float, float]:
    """From the least to the largest of several given β's, or decades around the critical ones."""
    if betas is not None and np.unique(betas).size > 1:
        return float(betas.min()), float(betas.max())
    return console.decades(problem.frontier().critical_betas)


def run_certificates(
    problem: Problem, beta_range: tuple[float, float], quiet: bool
) -> list[Certificate]:
    """Certify over a range of β, with a progress bar where somebody looks."""
    from linvae.certificates import certificates

    with console.progress_bar("certifying", wanted=not quiet) as progress:
        done: list[str] = []

        def step(certificate: Certificate) -> None:
            done.append(certificate.claim)
            if progress is not None:
                progress(len(done), max(_ABOUT, len(done)))

        return certificates(problem.spectrum, beta_range=beta_range, progress=step, **problem.model)


def outward(value: float, relation: str) -> str:
    """Two digits that claim no more than the value: up for upper bounds, down for lower ones."""
    if not np.isfinite(value) or value == 0:
        return f"{value:g}"
    exact = Decimal(value)
    unit = Decimal(1).scaleb(exact.adjusted() - 1)
    rounding = ROUND_CEILING if relation == "<=" else ROUND_FLOOR
    return f"{exact.quantize(unit, rounding=rounding):.1e}"


def certificate_table(
    printer: console.Printer, found: Sequence[Certificate], beta_range: tuple[float, float]
) -> None:
    """Print every bound with what was asked and the boxes it took, then what it bounds."""
    low, high = (f"{value:.6g}" for value in beta_range)
    printer.heading(f"Certified by ball arithmetic, at every β from {low} to {high}")
    printer.table(
        ("certificate", "verdict", "bound", "asked", "boxes"),
        [
            (
                c.claim,
                c.status,
                f"{c.relation} {outward(c.bound, c.relation)}",
                f"{c.relation} {c.radius:.3g}",
                str(c.boxes),
            )
            for c in found
        ],
        text=2,
    )
    for c in found:
        printer.line(f"{c.claim}: {c.statement.rstrip('.')}.")
        if c.note and (not c.passed or c.bound == 0):
            printer.line(f"  {c.note.rstrip('.')}.")
    boxes = sum(c.boxes for c in found)
    passed = sum(c.passed for c in found)
    printer.line(f"{passed} of {len(found)} bounds certified, {boxes} boxes.")


def certificates_as_plain(found: Sequence[Certificate]) -> list[dict[str, Any]]:
    """Certificates for machines."""
    return [dict(vars(certificate)) for certificate in found]
