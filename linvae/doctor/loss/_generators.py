"""Generators of random numbers that a loss holds itself: found, and put back to where they were."""

from __future__ import annotations

import contextlib
import functools
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

__all__ = ["generators_in", "state_of", "unseeded_alike"]

_DEEPEST = 6
_MOST = 2000  # things looked at: a loss may hold a whole data set


def generators_in(loss: Any) -> list[Any]:
    """Generators in the closure, defaults, attributes and module of a loss, or of what it calls."""
    found: list[Any] = []
    seen: set[int] = set()
    waiting: list[tuple[Any, int]] = [(loss, 0)]
    while waiting and len(seen) < _MOST:
        thing, depth = waiting.pop(0)
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if _is_generator(thing):
            found.append(thing)
        elif depth < _DEEPEST:
            waiting += [(part, depth + 1) for part in _parts(thing)]
    return found


def _is_generator(thing: Any) -> bool:
    if isinstance(thing, np.random.Generator | np.random.RandomState | random.Random):
        return True
    torch: Any = sys.modules.get("torch")
    return torch is not None and isinstance(thing, torch.Generator)


def _parts(thing: Any) -> list[Any]:
    """What a function, an object or a container holds."""
    if isinstance(thing, Mapping):
        return list(thing.values()) if isinstance(thing, dict) else []
    if isinstance(thing, list | tuple | set):
        return list(thing)
    if isinstance(thing, functools.partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if hasattr(thing, "__func__"):
        return [thing.__self__, thing.__func__]
    if hasattr(thing, "__code__"):
        return _of_function(thing)
    if isinstance(thing, type) or type(thing).__name__ == "module":
        return []
    own = getattr(thing, "__dict__", None)
    call = vars(type(thing)).get("__call__") or vars(type(thing)).get("forward")
    return [*(own.values() if isinstance(own, dict) else ()), *([call] if call else [])]


def _of_function(function: Any) -> list[Any]:
    found = list(function.__defaults__ or ()) + list((function.__kwdefaults__ or {}).values())
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # not filled yet
            found.append(cell.cell_contents)
    around = function.__globals__
    named = [around[name] for name in _names(function.__code__) if name in around]
    # Of functions and classes only those of the same module: a library keeps its own seeds.
    home = function.__module__
    return found + [part for part in named if getattr(part, "__module__", home) == home
                    or _is_generator(part)]  # fmt: skip


def _names(code: Any) -> set[str]:
    inner = (part for part in code.co_consts if hasattr(part, "co_names"))
    return set(code.co_names).union(*(_names(part) for part in inner))


def state_of(generator: Any) -> Callable[[], None]:
    """A function that puts a generator back to the state it has now."""
    if isinstance(generator, np.random.Generator):
        bits, kept = generator.bit_generator, generator.bit_generator.state
        return lambda: setattr(bits, "state", kept)
    if isinstance(generator, random.Random):
        python = generator.getstate()
        return lambda: generator.setstate(python)
    state = generator.get_state()
    return lambda: generator.set_state(state)


@contextlib.contextmanager
def unseeded_alike(seed: int) -> Iterator[None]:
    """Meanwhile ``np.random.default_rng()`` without a seed gives the same generator each time."""
    original = np.random.default_rng

    def seeded(given: Any = None) -> np.random.Generator:
        return original(seed if given is None else given)

    np.random.default_rng = seeded  # type: ignore[assignment]
    try:
        yield
    finally:
        np.random.default_rng = original
