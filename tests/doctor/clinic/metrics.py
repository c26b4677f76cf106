"""Small metrics as people write them: right ones in several styles, and each known fault once.

FAULTY: name -> (metric, options of examine_metric, the code expected). RIGHT: name -> (metric,
options). Those that tests call by name stand here too.
"""

from __future__ import annotations

from ._metric_tools import FAULTY, RIGHT
from .metrics_information import mi_broadcast, mi_gaussian, mi_minibatch, tc_of_mean_codes
from .metrics_latents import au_pair, au_share, mig_columns
from .metrics_models import (
    fd_samples,
    fd_unsquared,
    iw_loss,
    iw_model,
    iw_rows_are_samples,
    iw_weights,
)

__all__ = [
    "FAULTY",
    "RIGHT",
    "au_pair",
    "au_share",
    "fd_samples",
    "fd_unsquared",
    "iw_loss",
    "iw_model",
    "iw_rows_are_samples",
    "iw_weights",
    "mi_broadcast",
    "mi_gaussian",
    "mi_minibatch",
    "mig_columns",
    "tc_of_mean_codes",
]
