"""Examination of other people's losses, models, trainers and metrics against exact answers."""

from __future__ import annotations

from .examination import Examination, Finding

__all__ = ["Examination", "Finding"]
