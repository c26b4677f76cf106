"""When a training is to be stopped, and what to say about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

__all__ = ["Watch", "diagnosis", "first_nonfinite"]

# A loss is running away when so many steps in a row lie above the lowest loss by so many times the
# size of the first loss (or its fall since, or one nat): no noise and no change of β does that.
_FACTOR, _PATIENCE = 100.0, 50


class Watch:
    """Looks at each step's loss and gradient norm, in order; its memory is part of checkpoints."""

    def __init__(self, memory: Mapping[str, float | int | None] | None = None) -> None:
        known = memory or {}
        self._first = known.get("first")
        self._lowest = known.get("lowest")
        self._above = int(known.get("above") or 0)

    def memory(self) -> dict[str, float | int | None]:
        """What a resumed run has to know."""
        return {"first": self._first, "lowest": self._lowest, "above": self._above}

    def complaint(self, loss: float, norm: float) -> str | None:
        """What is wrong after a step, or None."""
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        if not math.isfinite(norm):
            return f"the gradient norm is {norm}"
        if self._first is None or self._lowest is None:
            self._first = self._lowest = loss
        self._lowest = min(self._lowest, loss)
        size = max(1.0, abs(self._first), self._first - self._lowest)
        self._above = self._above + 1 if loss > self._lowest + _FACTOR * size else 0
        if self._above >= _PATIENCE:
            return (
                f"the loss ran away: for {_PATIENCE} steps more than {_FACTOR * size:.3g} nats "
                f"above its lowest, {self._lowest:.6g}"
            )
        return None


def first_nonfinite(named: Mapping[str, nn.Parameter]) -> str | None:
    """Name the first parameter with a value that is not finite, else with such a gradient."""
    for name, parameter in named.items():
        if not bool(torch.isfinite(parameter).all()):
            return f"values of {name}"
    for name, parameter in named.items():
        if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all()):
            return f"gradient of {name}"
    return None


def diagnosis(
    complaint: str,
    *,
    step: int,
    total: int,
    terms: Mapping[str, float],
    norm: float,
    learning_rate: float,
    beta: Tensor | None,
    culprit: str | None,
    checkpoint: Path | None,
) -> str:
    """One paragraph: when, which term, which parameter, under which settings, what is saved."""
    bad = [name for name, value in terms.items() if not math.isfinite(value)]
    numbers = ", ".join(f"{name} {value:.6g}" for name, value in terms.items())
    parts = [
        f"training: got trouble at step {step} of {total}, {complaint} ({numbers}, gradient norm "
        f"{norm:.6g}, learning rate {learning_rate:.3g}{_range(beta)})",
        f"not finite: {', '.join(bad)}" if bad else "all terms are finite",
        f"first parameter not finite: {culprit}" if culprit else "all parameters are finite",
        "expected finite numbers that do not run away",
        f"last good checkpoint: {checkpoint}" if checkpoint else "no checkpoint was written yet",
        "start again with a lower learning_rate, a longer warmup or clip",
    ]
    return "; ".join(parts)


def _range(beta: Tensor | None) -> str:
    if beta is None:
        return ""
    return f", β from {float(beta.min()):.4g} to {float(beta.max()):.4g}"
