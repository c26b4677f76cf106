"""Why an answer is neither right nor wrong."""

from __future__ import annotations

__all__ = ["UnansweredError", "UnreadableError"]


class UnansweredError(Exception):
    """The answer, or a part of it, is still ``...``."""


class UnreadableError(Exception):
    """The answer is not of the kind that the question asks for."""
