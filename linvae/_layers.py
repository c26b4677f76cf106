"""What counts as a linear layer, in arrays and in the objects of deep-learning libraries."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Real
from typing import Any, NamedTuple, NoReturn, TypeAlias

from numpy.typing import NDArray

from ._validation import as_array, fail
from .errors import InputTypeError

__all__ = ["WHAT_LAYERS_ARE", "LayerItem", "LayerObject", "layer_items"]

# Modules that leave a flattened sample as it is.
_PASS_THROUGH = {"Identity", "Flatten", "Unflatten", "InputLayer"}
_CONTAINERS = {"Sequential", "ModuleList"}
WHAT_LAYERS_ARE = "weights of linear layers: W, (W, bias), or a sequence of them"

LayerItem: TypeAlias = "NDArray[Any] | LayerObject | None"


class LayerObject(NamedTuple):
    """Weights taken from a layer object, whose layout is known."""

    weight: NDArray[Any]  # shape: (out, in)
    bias: NDArray[Any] | None


def layer_items(name: str, value: Any) -> Iterator[LayerItem]:
    """Flatten nested sequences and containers into arrays, layer objects and missing biases."""
    if value is None:
        yield None
    elif isinstance(value, (list, tuple, Iterator)) and not _is_numbers(value):
        for part in value:
            yield from layer_items(name, part)
    elif isinstance(value, (list, tuple, Real)) or _is_array(value):
        yield as_array(name, value)
    else:
        yield from _items_of_object(name, value)


def _is_numbers(value: Any, depth: int = 2) -> bool:
    """Tell a vector or matrix written as a list from a list of layers."""
    if isinstance(value, Iterator) or not value:
        return False
    if all(isinstance(part, Real) for part in value):
        return True
    return depth > 1 and all(
        isinstance(part, (list, tuple)) and _is_numbers(part, depth - 1) for part in value
    )


def _is_array(value: Any) -> bool:
    try:
        shaped = hasattr(value, "shape")
    except RuntimeError:  # torch's lazy parameters have no shape before the first forward pass
        return False
    return shaped and any(hasattr(value, how) for how in ("__array__", "__dlpack__", "detach"))


def _items_of_object(name: str, module: Any) -> Iterator[LayerItem]:
    """Layers of a torch or Keras object, recognised by class name and attributes alone."""
    if _base(module, _PASS_THROUGH):
        return
    if _base(module, _CONTAINERS):
        for part in getattr(module, "layers", module):
            yield from layer_items(name, part)
    elif _base(module, {"Linear"}) and _is_array(getattr(module, "weight", None)):
        yield _module(name, module.weight, getattr(module, "bias", None), transpose=False)
    elif _base(module, {"Dense"}) and _is_array(getattr(module, "kernel", None)):
        _refuse_activation(name, module)
        yield _module(name, module.kernel, getattr(module, "bias", None), transpose=True)
    else:
        _refuse(name, module)


def _module(name: str, weight: Any, bias: Any, *, transpose: bool) -> LayerObject:
    matrix = as_array(name, weight)
    shift = None if bias is None else as_array(name, bias)
    return LayerObject(matrix.T if transpose else matrix, shift)


def _base(module: Any, names: set[str]) -> bool:
    """Whether an object's class is, or computes exactly what is computed by, a class so named."""
    kind = type(module)
    for base in kind.__mro__:
        if base.__name__ in names:
            # A subclass with a forward pass of its own may compute anything.
            return all(
                _method(kind, how) is _method(base, how) for how in ("forward", "call", "__call__")
            )
    return False


def _method(kind: type, name: str) -> Any:
    """Return what a class or its nearest base defines; getattr would ask the metaclass as well."""
    return next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)


def _refuse_activation(name: str, layer: Any) -> None:
    activation = getattr(layer, "activation", None)
    if activation is not None and getattr(activation, "__name__", "") != "linear":
        _refuse(name, activation)


def _refuse(name: str, value: Any) -> NoReturn:
    what = getattr(value, "__name__", None) or type(value).__name__
    fail(
        name,
        what,
        WHAT_LAYERS_ARE,
        "a linear VAE has no activations or other non-linear parts; of a class with a forward "
        "pass of its own, pass the linear layers in order",
        InputTypeError,
    )
