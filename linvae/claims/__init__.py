"""The claims of the theory, one function each that measures it on given data."""

from __future__ import annotations

__all__: list[str] = []
