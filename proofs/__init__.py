"""One derivation per claim, by SymPy; ``python -m proofs`` runs them all. See ``README.md``."""

from __future__ import annotations

__all__ = ["MODULES"]

# In the order of reading: each uses only what stands before it.
MODULES = (
    # the joint optimum
    "mode_objective",
    "stationarity",
    "best_responses",
    "reduction",
    "optimum",
    "global_optimum",
    "critical",
    # the curve
    "slope",
    "inverse",
    "gap",
    "shannon",
    # information
    "aggregated",
    "information",
    "split",
    "evidence",
    "processing",
    # the noise variance
    "effective_beta",
    "calibrated",
    "straight",
    # Theorem 1
    "t1_a",
    "t1_b",
    "t1_c",
    "sigmoid_bound",
    "t1_d",
    "t1_d_rounding",
    "t1_e",
    "t1_f",
    "standardised",
    "constant_gates",
)
