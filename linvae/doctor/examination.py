"""What an examination reports: facts measured, findings in plain words, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal

from linvae._validation import fail

__all__ = ["Examination", "Finding", "examination_from_plain"]

Kind = Literal["loss", "trainer", "model", "metric"]
_LONGEST = 1e9  # seconds
_TEXTS = ("code", "asked", "found", "cause", "remedy")


class _Record:
    """A frozen dataclass with mappings, which Python can neither pickle nor hash by itself."""

    def __reduce__(self) -> tuple[Any, ...]:
        kept = (getattr(self, f.name) for f in fields(self))  # type: ignore[arg-type]
        plain = (dict(item) if isinstance(item, MappingProxyType) else item for item in kept)
        return type(self), tuple(plain)


@dataclass(frozen=True)
class Finding(_Record):
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

    def __hash__(self) -> int:
        return hash((self.code, self.asked, self.found))


@dataclass(frozen=True)
class Examination(_Record):
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

    def __hash__(self) -> int:
        return hash((self.kind, self.subject, self.asked, self.findings, self.failure))

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


def examination_from_plain(document: Any, *, name: str = "examination") -> Examination:
    """Read an examination back from what :meth:`Examination.as_plain` gave, by way of JSON.

    Parameters
    ----------
    document : mapping
    name : str
        What error messages call it.

    Returns
    -------
    Examination

    Raises
    ------
    InputError
        Something is missing or of another kind; the message names the first such part.
    """
    plain = _kind(document, Mapping, name, "the document")
    for key in ("kind", "subject"):
        _kind(plain.get(key), str, name, key)
    _kind(plain.get("failure"), (str, type(None)), name, "failure")
    findings = _kind(plain.get("findings"), list, name, "findings")
    seconds = _kind(plain.get("seconds", 0.0), (int, float), name, "seconds")
    if not 0 <= seconds < _LONGEST:
        fail(name, f"{seconds!r} as seconds"[:80], "a number >= 0", "write it again")
    return Examination(
        plain["kind"],
        plain["subject"],
        tuple(_kind(q, str, name, "asked") for q in _kind(plain.get("asked"), list, name, "asked")),
        _kind(plain.get("facts"), Mapping, name, "facts"),
        tuple(_finding(item, name, number) for number, item in enumerate(findings, 1)),
        plain.get("failure"),
        float(seconds),
    )


def _finding(plain: Any, name: str, number: int) -> Finding:
    place = f"finding {number}"
    item = _kind(plain, Mapping, name, place)
    texts = {key: _kind(item.get(key), str, name, f"{key} of {place}") for key in _TEXTS}
    evidence = _kind(item.get("evidence"), Mapping, name, f"evidence of {place}")
    return Finding(**texts, evidence=evidence)


def _kind(value: Any, kinds: Any, name: str, part: str) -> Any:
    if not isinstance(value, kinds):
        fail(name, f"{type(value).__name__} as {part}", "what linvae check --json printed",
             "write it again with: linvae check SUBJECT --json > FILE")  # fmt: skip
    return value
