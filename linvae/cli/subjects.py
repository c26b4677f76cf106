"""Finding what ``linvae check`` is pointed at, and what kind of thing it is."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from linvae._validation import fail
from linvae.doctor.sandbox import call
from linvae.errors import InputError

__all__ = ["GROUP", "KINDS", "Subject", "find", "reachable", "recognise"]

# Other packages announce here functions (thing, *, kind, beta) -> adapted code or None.
GROUP = "linvae.adapters"
KINDS = ("loss", "model", "trainer", "metric")
_FORM = "package.module:name or path/to/file.py:name"


class Subject(NamedTuple):
    """Code to examine, in the form the examinations call."""

    target: Any
    kind: str
    library: str = "plain"
    notes: tuple[str, ...] = ()
    convert: Callable[[Any], Any] | None = None
    state: Callable[[], Any] | None = None
    evaluation: Callable[..., Any] | None = None
    betas: tuple[float, ...] | None = None
    noise_variance: float | None = None


@contextlib.contextmanager
def reachable(text: str) -> Iterator[None]:
    """Let imports find, while it lasts, what stands in the directory of the file, or in this one.

    Raises
    ------
    InputError
        The text is of another form.
    """
    place, _, name = text.rpartition(":")
    if not place or not name:
        fail("SUBJECT", repr(text), _FORM, "put a colon before the name of the object")
    folder = Path(place).resolve().parent if _is_file(place) else Path.cwd()
    before = list(sys.path)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = before


def _is_file(place: str) -> bool:
    return place.endswith(".py")


def find(text: str) -> Any:
    """Import what ``package.module:name`` or ``file.py:name`` stands for.

    Raises
    ------
    InputError
        No such module, file or name.
    SubjectError
        Importing it raised an exception, or ended the program.
    """
    place, _, name = text.rpartition(":")
    found: Any = _from_file(place) if _is_file(place) else _module(place)
    for part in name.split("."):
        if not hasattr(found, part):
            known = [n for n in dir(found) if not n.startswith("_")]
            close = difflib.get_close_matches(part, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "check the name"
            fail("SUBJECT", f"{part!r}, not in {place}", "a name that is there", hint)
        found = getattr(found, part)
    return found


def _from_file(place: str) -> ModuleType:
    path = Path(place)
    if not path.is_file():
        fail("SUBJECT", f"{place!r}, which does not exist", _FORM, "check the path")
    name = f"_linvae_check_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # a path that ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look their module up
    try:
        call(spec.loader.exec_module, module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _module(place: str) -> ModuleType:
    try:
        known = importlib.util.find_spec(place) is not None
    except ModuleNotFoundError as error:
        known = error.name is None or not f"{place}.".startswith(f"{error.name}.")
    except (ImportError, ValueError):
        known = False
    except Exception:  # of a parent package, which is told below
        known = True
    if not known:
        fail("SUBJECT", f"no module {place!r}", _FORM,
             "start in the directory that holds it, or install it")  # fmt: skip
    module: ModuleType = call(importlib.import_module, place)
    return module


def recognise(thing: Any, kind: str | None, beta: float | None) -> Subject:
    """Bring it into the form of an examination, with the help of the adapters that are installed.

    Raises
    ------
    InputError
        Nothing that could be examined, or a kind that cannot be guessed.
    """
    adapted = _adapted(thing, kind, beta)
    if adapted is None and isinstance(thing, type):
        thing = _instance(thing)
        adapted = _adapted(thing, kind, beta)
    if adapted is not None:
        return _of_adapted(adapted)
    guess = kind or _guess(thing)
    if guess is None:
        fail("SUBJECT", type(thing).__name__, "a loss, a model, a trainer or a metric",
             "say which with --kind")  # fmt: skip
    if guess == "trainer" and not callable(thing):
        thing = getattr(thing, "fit", thing)
    return Subject(thing, guess)


def _instance(kind: type) -> Any:
    try:
        parameters = list(inspect.signature(kind).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in variable]
    if needed:
        fail("SUBJECT", f"the class {kind.__name__}, which needs {', '.join(needed)}",
             "an object", f"make one in your module: subject = {kind.__name__}(...)")  # fmt: skip
    return call(kind)


def _adapted(thing: Any, kind: str | None, beta: float | None) -> Any:
    for entry in entry_points(group=GROUP):
        try:
            found = entry.load()(thing, kind=kind, beta=beta)
        except InputError:
            raise
        except ValueError as error:  # how an adapter says that it cannot
            raise InputError(str(error)) from error
        if found is not None:
            return found
    return None


def _of_adapted(adapted: Any) -> Subject:
    target = {
        "loss": adapted.loss,
        "trainer": adapted.fit,
        "metric": adapted.metric,
        "model": adapted,
    }[adapted.kind]
    return Subject(
        target, adapted.kind, adapted.library, tuple(adapted.notes), adapted.convert,
        adapted.state, adapted.evaluation, adapted.betas, adapted.noise_variance,
    )  # fmt: skip


def _guess(thing: Any) -> str | None:
    """The kind of plain objects and functions."""
    if all(callable(getattr(thing, name, None)) for name in ("encode", "decode")):
        return "model"
    if callable(getattr(thing, "fit", None)):
        return "trainer"
    if not callable(thing):
        return None
    try:
        names = [name.lower() for name in inspect.signature(thing).parameters]
    except (TypeError, ValueError):
        return None
    if {"beta", "latent_dim"} & set(names):
        return "trainer"
    return "loss" if len(names) == 4 else None
