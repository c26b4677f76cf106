"""Which library a piece of code speaks, and what of that library's state it may disturb."""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

__all__ = ["kept", "seed_all", "speaks_torch", "tensors", "with_names"]


def speaks_torch(function: Callable[..., Any]) -> bool:
    """Whether a function takes tensors: its annotations or the module it stands in say so.

    A function that calls ``torch.from_numpy`` itself takes NumPy arrays.
    """
    if _root(type(function)) == "torch":  # compiled by torch.jit
        return True
    inner = inspect.unwrap(function)
    inner = getattr(inner, "__func__", getattr(inner, "func", inner))
    if not hasattr(inner, "__code__"):
        inner = vars(type(inner)).get("__call__", inner)
    if "from_numpy" in _names_used(getattr(inner, "__code__", None)):
        return False
    hints = [str(hint) for hint in getattr(inner, "__annotations__", {}).values()]
    if any("Tensor" in hint for hint in hints):
        return True
    if any("ndarray" in hint or "NDArray" in hint for hint in hints):
        return False
    used = _libraries_used(inner, set())
    if used & {"torch", "numpy"}:
        return "torch" in used
    # Methods alone, such as x.pow(2): whoever imports torch means tensors.
    return any(
        _root(thing) == "torch" for thing in list(getattr(inner, "__globals__", {}).values())
    )


def with_names(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function or method compiled by torch.jit with the signature that it lacks; others as is."""
    parts = getattr(getattr(function, "schema", None), "arguments", None)
    if parts is None or _root(type(function)) != "torch":
        return function

    def called(*given: Any, **named: Any) -> Any:
        return function(*given, **named)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    missing = inspect.Parameter.empty
    called.__name__ = str(getattr(function, "name", "scripted"))
    called.__signature__ = inspect.Signature([  # type: ignore[attr-defined]
        inspect.Parameter(
            part.name, kind, default=part.default_value if part.has_default_value() else missing
        )
        for part in (parts[1:] if type(function).__name__ == "ScriptMethod" else parts)
    ])  # fmt: skip
    return called


def _names_used(code: Any) -> set[str]:
    if code is None:
        return set()
    inner = (c for c in code.co_consts if hasattr(c, "co_names"))
    return set(code.co_names).union(*(_names_used(c) for c in inner))


def _libraries_used(function: Any, seen: set[int]) -> set[str]:
    """Packages that a function uses, itself or through functions and classes of its module."""
    if id(function) in seen:
        return set()
    seen.add(id(function))
    around = getattr(function, "__globals__", {})
    names = _names_used(getattr(function, "__code__", None))
    packages: tuple[str, ...] = ("torch", "numpy")
    found = {name for name in packages if name in names and name not in around}
    for name in names & around.keys():
        thing = around[name]
        if isinstance(thing, type):
            found |= {_root(base) for base in thing.__mro__}
        elif hasattr(thing, "__code__") and _root(thing) == _root(function):
            found |= _libraries_used(thing, seen)
        else:
            found.add(_root(thing))
    return found


def _root(thing: Any) -> str:
    """The package a module, class or function belongs to; empty where none."""
    name = thing.__name__ if isinstance(thing, ModuleType) else getattr(thing, "__module__", "")
    return name.partition(".")[0] if isinstance(name, str) else ""


def tensors(module: Any = None, *, double: bool = True) -> Callable[[Any], Any]:
    """A conversion from arrays to tensors.

    Of a network's dtype and device; without one float64, or torch's default where not `double`.
    """
    import torch

    first = None if module is None else next(iter(module.parameters()), None)
    dtype = torch.float64 if double else torch.get_default_dtype()
    device = torch.device("cpu")
    if first is not None:
        dtype, device = first.dtype, first.device

    def convert(array: Any) -> Any:
        if isinstance(array, torch.Tensor):
            return array.to(device=device, dtype=dtype)
        return torch.tensor(array, dtype=dtype, device=device)

    return convert


def seed_all(seed: int) -> None:
    """Seed the generators of torch, where it is loaded, of NumPy and of Python."""
    import random

    import numpy as np

    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (theirs)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


@contextlib.contextmanager
def kept(modules: Sequence[Any] = ()) -> Iterator[None]:
    """Put back, whatever their code does, what a process has one of.

    Environment variables and the level of logging; with torch loaded its seeds, gradient mode,
    default dtype, deterministic algorithms, number of threads, precision of matrix products and
    settings of cuDNN; of the given networks the mode and the buffers of every part.
    """
    environment, silenced = dict(os.environ), logging.root.manager.disable
    with contextlib.ExitStack() as stack:
        if "torch" in sys.modules:
            stack.enter_context(_torch_kept(modules))
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(silenced)
            if dict(os.environ) != environment:
                os.environ.clear()
                os.environ.update(environment)


@contextlib.contextmanager
def _torch_kept(modules: Sequence[Any]) -> Iterator[None]:
    import torch

    flags = [(part, part.training) for module in modules for part in module.modules()]
    buffers = [(b, b.detach().clone()) for module in modules for b in module.buffers()]
    before = _settings()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=list(devices)):
        try:
            yield
        finally:
            _put_back(before)
            for part, training in flags:
                part.training = training
            with torch.no_grad():
                for buffer, value in buffers:
                    buffer.copy_(value)


def _settings() -> dict[str, Any]:
    import torch

    cudnn = torch.backends.cudnn
    return {
        "grad": torch.is_grad_enabled(),
        "dtype": torch.get_default_dtype(),
        "deterministic": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        "threads": torch.get_num_threads(),
        "precision": torch.get_float32_matmul_precision(),
        "anomaly": torch.is_anomaly_enabled(),
        "device": torch.get_default_device(),
        "cudnn": (cudnn.benchmark, cudnn.deterministic),
    }


def _put_back(before: dict[str, Any]) -> None:
    """Set what differs, and nothing else: some of these calls load large parts of torch."""
    import torch

    def cudnn(both: tuple[bool, bool]) -> None:
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = both

    setters: dict[str, Callable[[Any], Any]] = {
        "grad": torch.set_grad_enabled,
        "dtype": torch.set_default_dtype,
        "deterministic": lambda both: torch.use_deterministic_algorithms(
            both[0], warn_only=both[1]
        ),
        "threads": torch.set_num_threads,
        "precision": torch.set_float32_matmul_precision,
        "anomaly": torch.autograd.set_detect_anomaly,
        "device": torch.set_default_device,
        "cudnn": cudnn,
    }
    for name, value in _settings().items():
        if value != before[name]:
            setters[name](before[name])
