r"""The closed forms of the package as SymPy expressions; nothing else in it imports SymPy.

Each module holds the expressions of one area as constants over the symbols of
:mod:`linvae.symbolic.symbols`; :func:`evaluate` gives their value to any number of digits. The
modules of ``proofs`` derive these expressions, the tests hold the NumPy functions to them.
"""

from __future__ import annotations

from ._evaluate import evaluate

__all__ = ["evaluate"]
