"""Losses that take what a model returned as one argument: (x_hat, mean, log_var)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deep.adapters.callables import loss_in_order, total_first
from deep.adapters.names import required, role, signature_of

__all__ = ["in_order"]

_ROLES = ("x_hat", "x", "beta")


def in_order(
    function: Callable[..., Any], convert: Callable[[Any], Any], beta: float | None = None
) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """A loss called as (x, x_hat, mean, log_var); of two parameters, one is taken for the rest.

    A loss such as ``criterion(outputs, x)`` gets ``outputs = (x_hat, mean, log_var)``; where it
    unpacks another number of parts, ``(x_hat, x, mean, log_var)``.

    Raises
    ------
    InputError
        Parameters that cannot be filled.
    """
    names = _data_and_outputs(function)
    if names is None:
        return loss_in_order(function, convert, beta)
    data, outputs = names

    def loss(x: Any, x_hat: Any, mean: Any, log_var: Any) -> Any:
        given = [convert(part) for part in (x, x_hat, mean, log_var)]
        forms = ((given[1], *given[2:]), (given[1], given[0], *given[2:]))
        try:
            value = function(**{data: given[0], outputs: forms[0]})
        except (ValueError, IndexError) as error:
            if "unpack" not in str(error) and not isinstance(error, IndexError):
                raise
            value = function(**{data: given[0], outputs: forms[1]})
        return total_first(value)

    return loss, (f"parameter {outputs} was given (x_hat, mean, log_var)",)


def _data_and_outputs(function: Callable[..., Any]) -> tuple[str, str] | None:
    """Names of the data and of the model's outputs, of a loss that needs these two alone."""
    needed = [p for p in signature_of(function) or () if required(p)]
    roles = {p.name: role(p.name, _ROLES) for p in needed}
    named = all(p.kind is not p.POSITIONAL_ONLY for p in needed)
    data = [name for name, part in roles.items() if part == "x"]
    others = [name for name, part in roles.items() if part != "x"]
    return (data[0], others[0]) if named and len(data) == len(others) == 1 else None
