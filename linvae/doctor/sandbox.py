"""Running other people's code without being changed by it."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import random
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from linvae._validation import FloatArray, as_array
from linvae.errors import SubjectError

__all__ = ["as_numbers", "call", "process_kept", "told", "undisturbed"]

State = Callable[[], AbstractContextManager[Any]]

# A process has one standard output and one of each seed: examinations take turns.
_TURN = threading.RLock()
_PACKAGE = Path(__file__).resolve().parents[1]
_LONGEST = 400  # characters of their message that are shown


@contextlib.contextmanager
def process_kept() -> Iterator[None]:
    """Put back what a process has one of, whatever their code does meanwhile.

    The working directory, the environment variables, ``sys.path`` and ``sys.argv`` (contents and
    list), the limit of recursion, the level of logging, and how NumPy prints.
    """
    with _TURN, _process_kept():
        yield


@contextlib.contextmanager
def _process_kept() -> Iterator[None]:
    folder, environment = _folder(), dict(os.environ)
    path, arguments = (sys.path, list(sys.path)), (sys.argv, list(sys.argv))
    deepest, silenced = sys.getrecursionlimit(), logging.root.manager.disable
    printed = np.get_printoptions()
    try:
        yield
    finally:
        if folder is not None and _folder() != folder:
            with contextlib.suppress(OSError):  # they removed it
                os.chdir(folder)
        if dict(os.environ) != environment:
            os.environ.clear()
            os.environ.update(environment)
        sys.path, sys.argv = path[0], arguments[0]
        sys.path[:], sys.argv[:] = path[1], arguments[1]
        sys.setrecursionlimit(deepest)
        logging.disable(silenced)
        np.set_printoptions(**printed)


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it no longer exists
        return None


@contextlib.contextmanager
def undisturbed(state: State | None = None, *, process: bool = True) -> Iterator[io.StringIO]:
    """Keep output, seeds, warning filters and NumPy's error settings as they were.

    Yields what was printed meanwhile. `state` makes a context manager that keeps more, such as the
    seeds and the gradient mode of a library that is not imported here. With `process`, so does
    :func:`process_kept`; without it, whoever calls sees to that. Threads wait for one another.
    """
    printed = io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(_TURN)
        python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 (put back)
        if process:
            stack.enter_context(process_kept())
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

    Ending the program counts as raising. Where the call itself does not fit, or an adapter cannot
    read what came back, no line of theirs is blamed.

    Raises
    ------
    SubjectError
        With the type and text of their exception and the innermost line of theirs.
    """
    try:
        return function(*arguments, **options)
    except SubjectError:
        raise
    except (Exception, SystemExit) as error:
        raise SubjectError(told(error)) from error


def told(error: BaseException) -> str:
    """Type and text of an exception of theirs, and the innermost line of theirs it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not _is_ours(frame.filename)]
    if not theirs and type(error).__name__ == "InputError":  # of an adapter, not of their code
        return str(error)
    text = _short(" ".join(str(error).split()))
    if isinstance(error, SystemExit) and error.code is None:
        text = "the code ended the program"
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if not theirs:  # their code never came to run
        importing = isinstance(error, ImportError | SyntaxError)
        return said if importing else f"{said} (when the examined code was called)"
    where = theirs[-1]
    return f"{said} (raised by the examined code, {where.filename}:{where.lineno} in {where.name})"


def _short(text: str) -> str:
    """Without the middle of what is long, such as an array printed whole."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 90]} ... {text[-80:]}"


def _is_ours(filename: str) -> bool:
    """Whether a line is of this package, of the adapters, or of Python's own import."""
    place = Path(filename)
    if filename.startswith("<frozen "):
        return True
    return any(folder in place.parents for folder in (_PACKAGE, _PACKAGE.with_name("deep")))


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
