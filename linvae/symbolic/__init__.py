r"""The closed forms of the package as SymPy expressions; nothing else in it imports SymPy.

Each module holds the expressions of one area as constants over the symbols of
:mod:`linvae.symbolic.symbols`; :func:`evaluate` gives their value to any number of digits. The
modules of ``proofs`` derive these expressions, the tests hold the NumPy functions to them. Needs
``pip install linvae[symbolic]``.
"""

from __future__ import annotations

from linvae._validation import missing_package

try:
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
except ModuleNotFoundError as error:
    raise missing_package("sympy", "symbolic algebra", "symbolic") from error

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
