r"""The closed forms of the package as SymPy expressions; nothing else in it imports SymPy.

Each module holds the expressions of one area as constants over the symbols of
:mod:`linvae.symbolic.symbols`; :func:`evaluate` gives their value to any number of digits. The
modules of ``proofs`` derive these expressions, the tests hold the NumPy functions to them. Needs
``pip install linvae[symbolic]``.
"""

from __future__ import annotations

try:
    import sympy as _  # noqa: F401
except ImportError as error:
    from linvae.errors import MissingPackageError

    raise MissingPackageError(
        "symbolic: got no sympy; expected symbolic algebra; "
        "install it with pip install linvae[symbolic]"
    ) from error

from . import (
    calibrated,
    curve,
    dynamics,
    hierarchical,
    information,
    landscape,
    modes,
    symbols,
    theorem,
    twins,
)
from ._evaluate import evaluate

__all__ = [
    "calibrated",
    "curve",
    "dynamics",
    "evaluate",
    "hierarchical",
    "information",
    "landscape",
    "modes",
    "symbols",
    "theorem",
    "twins",
]
