"""What the two parts of encode() are, where they are not (mean, log_var)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from linvae.doctor.examination import Finding

from ._hypotheses import Fit, best_explanation
from ._laws import read_laws
from ._words import finding

__all__ = ["settle_reading"]

_MISFIT = 0.2  # another reading must explain the models
_BETTER = 0.15  # and much better than the contract does
_CODES = {
    "log_std": "log-variance-is-log-std",
    "std": "second-output-is-a-standard-deviation",
    "variance": "second-output-is-a-variance",
    "swapped": "mean-and-log-variance-swapped",
}


def settle_reading(
    fits: Sequence[Fit], declared: float | None
) -> tuple[list[Fit], tuple[Finding, ...]]:
    """The fits as they are meant, and the finding where that is not what the contract says.

    Another reading is taken only where the models of all runs allow it by their numbers, where it
    explains them up to the weight of the KL, and where nothing explains them by the contract.
    """
    kept = list(fits)
    if not kept or any(f.laws is None for f in kept):
        return kept, ()
    cost, code = _least(kept, declared, factors_only=False)
    if code == _CODES["log_std"] and cost < _MISFIT:
        return _chosen("log_std", [_of_log_std(f) for f in kept], cost)
    names = set.intersection(*(set(f.others) for f in kept))
    scored = []
    for name in sorted(names):
        others = [replace(f, read=f.others[name][0], laws=f.others[name][1]) for f in kept]
        if all(f.laws is not None for f in others):
            scored.append((_least(others, declared, factors_only=True)[0], name, others))
    if not scored:
        return kept, ()
    best, name, others = min(scored, key=lambda entry: entry[0])
    if best < _MISFIT and best + _BETTER < cost:
        return _chosen(name, others, best)
    return kept, ()


def _least(fits: Sequence[Fit], declared: float | None, *, factors_only: bool) -> tuple[float, str]:
    """Misfit and code of the best explanation at the declared σ², or at either convention."""
    variances = (0.5, 1.0) if declared is None else (declared,)
    found = [
        best_explanation(fits, s, declared=declared is not None, factors_only=factors_only)[0]
        for s in variances
    ]
    best = min(found, key=lambda explanation: explanation.cost)
    return best.misfit, best.code


def _of_log_std(fit: Fit) -> Fit:
    read = replace(
        fit.read,
        posterior_variance=fit.read.posterior_variance**2,
        encode_returns="(mean, log_std)",
    )
    return replace(fit, read=read, laws=read_laws(read.linear_vae(1.0), fit.source.spectrum))


def _chosen(name: str, fits: list[Fit], misfit: float) -> tuple[list[Fit], tuple[Finding, ...]]:
    variances = np.concatenate([f.read.posterior_variance for f in fits])
    evidence = {
        "misfit": misfit,
        "smallest_posterior_variance_then": float(variances.min()),
        "largest_posterior_variance_then": float(variances.max()),
    }
    return fits, (finding(_CODES[name], evidence),)
