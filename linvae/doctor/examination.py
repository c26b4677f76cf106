"""What an examination reports: facts measured, findings in plain words, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

__all__ = ["Examination", "Finding"]

Kind = Literal["loss", "trainer", "model", "metric"]


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes
    ----------
    code : str
        Stable identifier, such as ``"kl-averaged-over-latents"``.
    asked : str
        The question that was put.
    found : str
        The answer, in one sentence.
    evidence : mapping
        Name -> number or short text: what was measured, with units in the name.
    cause : str
        The likely cause.
    remedy : str
        What to change, in one line where that is possible.
    """

    code: str
    asked: str
    found: str
    evidence: Mapping[str, Any]
    cause: str
    remedy: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "evidence", MappingProxyType(dict(self.evidence)))


@dataclass(frozen=True)
class Examination:
    """The result of examining one loss, trainer, model or metric.

    Attributes
    ----------
    kind : str
        ``"loss"``, ``"trainer"``, ``"model"`` or ``"metric"``.
    subject : str
        What was examined, by the name it was given.
    asked : tuple of str
        Every question that was put, whether or not it led to a finding.
    facts : mapping
        What was measured, findings or not: scales, the effective β, excesses.
    findings : tuple of Finding
        The gravest first.
    failure : str or None
        Why nothing could be examined: their exception, or what their code returned.
    seconds : float
        Wall time.
    """

    kind: Kind
    subject: str
    asked: tuple[str, ...]
    facts: Mapping[str, Any]
    findings: tuple[Finding, ...] = ()
    failure: str | None = None
    seconds: float = field(default=0.0, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))

    @property
    def healthy(self) -> bool:
        """Whether it was examined and nothing was found."""
        return self.failure is None and not self.findings

    @property
    def exit_code(self) -> int:
        """0 healthy, 1 finding, 2 could not be examined."""
        if self.failure is not None:
            return 2
        return 1 if self.findings else 0

    def as_plain(self) -> dict[str, Any]:
        """Dictionaries, lists, numbers and text, for JSON."""
        return {
            "kind": self.kind,
            "subject": self.subject,
            "asked": list(self.asked),
            "facts": dict(self.facts),
            "findings": [{**vars(f), "evidence": dict(f.evidence)} for f in self.findings],
            "failure": self.failure,
            "healthy": self.healthy,
            "seconds": self.seconds,
        }
