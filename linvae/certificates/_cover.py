"""Branch and bound: halve the boxes on which a bound is not yet good enough."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from .types import Certificate, CertificateStatus

__all__ = ["Box", "Cover", "Coverage", "halved", "merged", "prove_everywhere", "shrink_bound"]

# Intervals of the parameters, ends included.
Box = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Coverage:
    """How a region was covered: boxes examined, halvings, and a box left without a proof."""

    boxes: int
    depth: int
    open_boxes: tuple[Box, ...]

    @property
    def complete(self) -> bool:
        """Whether every box was proved."""
        return not self.open_boxes


@dataclass(frozen=True)
class Cover:
    """An upper bound over an interval, from the boxes that cover it.

    Attributes
    ----------
    bound : float
    boxes, depth : int
    witness : float or None
        A point at which the radius is proved to be exceeded.
    """

    bound: float
    boxes: int
    depth: int
    witness: float | None = None


def halved(box: Box, axis: int) -> tuple[Box, Box]:
    """Both halves of a box along one axis."""
    low, high = box[axis]
    middle = low + (high - low) / 2
    before, after = box[:axis], box[axis + 1 :]
    return (*before, (low, middle), *after), (*before, (middle, high), *after)


def prove_everywhere(
    box: Box,
    holds: Callable[[Box], bool],
    scale: tuple[float, ...],
    *,
    max_boxes: int,
    max_depth: int = 40,
) -> Coverage:
    """Prove a predicate on a box by halving, along the axis that is longest in units of `scale`.

    `holds` returns True only where it proves its statement for every point of the box.
    """
    waiting, boxes, deepest = [(box, 0)], 0, 0
    left_open: list[Box] = []
    while waiting:
        current, depth = waiting.pop()
        boxes, deepest = boxes + 1, max(deepest, depth)
        if boxes > max_boxes:
            left_open.append(current)
            break
        if holds(current):
            continue
        if depth >= max_depth:  # one box without a proof is enough to fail
            left_open.append(current)
            break
        widths = [(high - low) / unit for (low, high), unit in zip(current, scale, strict=True)]
        axis = max(range(len(widths)), key=widths.__getitem__)
        waiting += [(half, depth + 1) for half in halved(current, axis)]
    return Coverage(boxes, deepest, tuple(left_open))


def shrink_bound(
    interval: tuple[float, float],
    upper: Callable[[float, float], float],
    lower_at: Callable[[float], float],
    radius: float,
    *,
    candidates: tuple[float, ...] = (),
    max_boxes: int = 4096,
) -> Cover:
    """Halve the worst box until the bound over the interval is at most the radius.

    Parameters
    ----------
    interval : (low, high)
    upper : callable
        Rigorous upper bound over a box.
    lower_at : callable
        Rigorous lower bound at a point.
    radius : float
    candidates : tuple of float
        Points at which a violation is likely; they are tried first.
    max_boxes : int
    """
    low, high = interval
    for point in candidates:
        if low <= point <= high and lower_at(point) > radius:
            return Cover(upper(low, high), 1, 0, point)
    # Worst first; the bound holds whenever we stop, as the heap always covers the interval.
    heap = [(-upper(low, high), low, high, 0)]
    boxes, deepest = 1, 0
    while -heap[0][0] > radius and boxes < max_boxes:
        _, low, high, depth = heap[0]
        middle = low + (high - low) / 2
        if not low < middle < high:
            break
        if lower_at(middle) > radius:
            return Cover(-heap[0][0], boxes, deepest, middle)
        heapq.heapreplace(heap, (-upper(low, middle), low, middle, depth + 1))
        heapq.heappush(heap, (-upper(middle, high), middle, high, depth + 1))
        boxes, deepest = boxes + 2, max(deepest, depth + 1)
    return Cover(-heap[0][0], boxes, deepest)


def merged(claim: str, statement: str, covers: list[Cover], radius: float) -> Certificate:
    """One certificate of the covers of all modes."""
    bound = max((cover.bound for cover in covers), default=0.0)
    status: CertificateStatus = "certified" if bound <= radius else "not certified"
    witness = next((c.witness for c in covers if c.witness is not None), None)
    note = "" if covers else "nothing to bound: no β of the range is meant"
    if witness is not None:
        status, note = "refuted", f"violated at log β = {witness:.6g}"
    boxes, depth = sum(c.boxes for c in covers), max((c.depth for c in covers), default=0)
    return Certificate(claim, statement, bound, "<=", radius, boxes, depth, status, note)
