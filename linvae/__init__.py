"""Exact rate-distortion theory of linear variational autoencoders.

See the README for the idea, and ``linvae --help`` for the command line. Units are nats.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._types import CurvePoints, LinearVAE, Terms
from .frontier import Frontier
from .hypernetwork import Hypernetwork
from .response import response
from .spectrum import Spectrum

if TYPE_CHECKING:
    from .calibrated import CalibratedFrontier
    from .estimator import LinearBetaVAE
    from .verification import Check, verify

__version__ = "0.1.0"

__all__ = [
    "CalibratedFrontier",
    "Check",
    "CurvePoints",
    "Frontier",
    "Hypernetwork",
    "LinearBetaVAE",
    "LinearVAE",
    "Spectrum",
    "Terms",
    "response",
    "verify",
]

# Imported on first use: `import linvae` costs little more than `import numpy`.
_LAZY = {
    "CalibratedFrontier": "calibrated",
    "Check": "verification",
    "LinearBetaVAE": "estimator",
    "verify": "verification",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
