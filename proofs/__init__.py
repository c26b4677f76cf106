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
    "sigmoid_certified",
    "t1_d",
    "t1_d_rounding",
    "t1_e",
    "t1_f",
    "standardised",
    "constant_gates",
    # twins of what deep papers plot
    "active_units",
    "frechet",
    "fixed_decoder",
    "label_information",
    # the landscape and the way down
    "landscape_reduced",
    "landscape_stationary",
    "landscape_index",
    "landscape_minima",
    "alignment",
    "saddle_escape",
    "gate_gradient",
    "annealing",
    # two layers of latents
    "hierarchical_objective",
    "hierarchical_assignment",
    "hierarchical_surface",
    "hierarchical_bottom_up",
)
