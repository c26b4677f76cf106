"""Running other people's code without being changed by it."""

from __future__ import annotations

import contextlib
import io
import random
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import numpy as np

from linvae._validation import FloatArray, as_array
from linvae.errors import SubjectError

__all__ = ["as_numbers", "call", "undisturbed"]

State = Callable[[], AbstractContextManager[Any]]


@contextlib.contextmanager
def undisturbed(state: State | None = None) -> Iterator[io.StringIO]:
    """Keep output, seeds, warning filters and NumPy's error settings as they were.

    Yields what was printed meanwhile. `state` makes a context manager that keeps more, such as the
    seeds and the gradient mode of a library that is not imported here.
    """
    printed = io.StringIO()
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 (theirs, put back)
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(np.errstate())
        stack.enter_context(contextlib.redirect_stdout(printed))
        stack.enter_context(contextlib.redirect_stderr(printed))
        if state is not None:
            stack.enter_context(state())
        try:
            yield printed
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002


def call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call their code; whatever it raises becomes a SubjectError that says it is theirs.

    Raises
    ------
    SubjectError
        With the type and text of their exception and the innermost line it came from.
    """
    try:
        return function(*arguments, **options)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise SubjectError(
            f"{type(error).__name__}: {error} (raised by the examined code, "
            f"{where.filename}:{where.lineno} in {where.name})"
        ) from error


def as_numbers(name: str, value: Any) -> FloatArray:
    """Their array as float64, of whatever library, detached from any graph and device.

    Raises
    ------
    SubjectError
        What they returned is no array of real numbers.
    """
    for step in ("detach", "cpu"):
        if callable(getattr(value, step, None)):
            value = getattr(value, step)()
    try:
        return np.asarray(as_array(name, value), dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise SubjectError(f"{name}: {error}") from error
