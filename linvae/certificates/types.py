"""What a certificate says: a bound that ball arithmetic proves, and how it was reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Certificate", "CertificateStatus", "bounded"]

CertificateStatus: TypeAlias = Literal["certified", "refuted", "not certified"]


@dataclass(frozen=True)
class Certificate:
    r"""A rigorous bound on one quantity over a whole range.

    .. math:: \sup_\beta |\text{difference}| \le \text{bound} \quad\text{(relation <=)},
        \qquad \inf_\psi \sup_\beta \text{excess} \ge \text{bound} \quad\text{(relation >=)}

    Attributes
    ----------
    claim : str
        Identifier, such as ``"gates.decoder"``.
    statement : str
        What is bounded, in which units, over which range.
    bound : float
        The rigorous bound. Of a claim that is refuted or not certified: the best upper bound found
        (relation ``<=``), or 0 (relation ``>=``).
    relation : str
        ``"<="`` or ``">="``: how the quantity stands to the bound.
    radius : float
        The bound that was asked for.
    boxes, depth : int
        Boxes examined, and how often one of them was halved at most.
    status : str
        ``"certified"``; ``"refuted"`` when a point is proved to violate the radius; ``"not
        certified"`` when neither was shown.
    note : str
        Where a refutation was found, and what else is worth saying.
    """

    claim: str
    statement: str
    bound: float
    relation: Literal["<=", ">="]
    radius: float
    boxes: int
    depth: int
    status: CertificateStatus
    note: str = ""

    @property
    def passed(self) -> bool:
        """True only for what is certified."""
        return self.status == "certified"


def bounded(
    claim: str, statement: str, bound: float, radius: float, *, boxes: int, note: str = ""
) -> Certificate:
    """A bound found without halving: certified when it is at most the radius (NaN is not)."""
    status: CertificateStatus = "certified" if bound <= radius else "not certified"
    return Certificate(claim, statement, bound, "<=", radius, boxes, 0, status, note)
