"""``linvae verify --certify``: bounds that ball arithmetic proves, printed beside the claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from linvae._validation import FloatArray

from . import console
from .problem import Problem

if TYPE_CHECKING:
    from linvae.certificates import Certificate

__all__ = ["certificate_table", "certificates_as_plain", "run_certificates"]


def run_certificates(problem: Problem, betas: FloatArray | None, quiet: bool) -> list[Certificate]:
    """Certify over the whole range of the given β's, or of decades around the critical ones."""
    from linvae.certificates import certificates

    low, high = console.decades(problem.frontier().critical_betas)
    if betas is not None and np.unique(betas).size > 1:
        low, high = float(betas.min()), float(betas.max())
    with console.progress_bar("certifying", wanted=not quiet) as progress:
        done: list[str] = []

        def step(certificate: Certificate) -> None:
            done.append(certificate.claim)
            if progress is not None:
                progress(len(done), max(_ABOUT, len(done)))

        return certificates(
            problem.spectrum, beta_range=(low, high), progress=step, **problem.model
        )


_ABOUT = 20  # certificates, for the bar


def certificate_table(printer: console.Printer, found: Sequence[Certificate]) -> None:
    """Print every certified bound with what was asked and the boxes it took."""
    printer.heading("Certified by ball arithmetic")
    printer.table(
        ("certificate", "what is bounded", "verdict", "bound", "asked", "boxes"),
        [
            (
                c.claim,
                c.statement,
                c.status,
                f"{c.relation} {c.bound:.2g}",
                f"{c.relation} {c.radius:.2g}",
                str(c.boxes),
            )
            for c in found
        ],
        text=3,
    )
    for c in found:
        if c.note and not c.passed:
            printer.line(f"{c.claim}: {c.note.rstrip('.')}.")
    boxes = sum(c.boxes for c in found)
    passed = sum(c.passed for c in found)
    printer.line(f"{passed} of {len(found)} bounds certified, {boxes} boxes.")


def certificates_as_plain(found: Sequence[Certificate]) -> list[dict[str, Any]]:
    """Certificates for machines."""
    return [dict(vars(certificate)) for certificate in found]
