"""Results on disk: one versioned format, as .npz or as .json, exact to the last bit.

The format is described in ``docs/formats.md``. Nothing in a file names code: what may be stored is
listed here, and every field of a file is held against the type that its class declares.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from ._validation import fail
from .datafiles import atomic_write, check_target, refuse
from .errors import InputError, InputTypeError

__all__ = ["FORMAT", "KINDS", "VERSION", "field_types", "load", "save"]

FORMAT = "linvae"
VERSION = 1

# Kind in the file -> module and class. A field more without a default, or a field less, is a new
# VERSION; what older files lack is then filled in where they are read.
KINDS: dict[str, tuple[str, str]] = {
    "Spectrum": ("spectrum", "Spectrum"),
    "LinearVAE": ("_types", "LinearVAE"),
    "Terms": ("_types", "Terms"),
    "CurvePoints": ("_types", "CurvePoints"),
    "NormalisedGap": ("_types", "NormalisedGap"),
    "Information": ("linear_vae", "Information"),
    "ElboSplit": ("linear_vae", "ElboSplit"),
    "Frontier": ("frontier", "Frontier"),
    "CalibratedFrontier": ("calibrated", "CalibratedFrontier"),
    "CalibratedSegment": ("calibrated", "Segment"),
    "FixedDecoderFrontier": ("fixed_decoder", "FixedDecoderFrontier"),
    "Hypernetwork": ("hypernetwork", "Hypernetwork"),
    "GatedLayer": ("hypernetwork", "GatedLayer"),
    "Check": ("claims.types", "Check"),
    "Certificate": ("certificates.types", "Certificate"),
    "Budget": ("budget", "Budget"),
    "Band": ("_bands", "Band"),
    "Uncertainty": ("uncertainty", "Uncertainty"),
    "StationaryPoint": ("landscape._points", "StationaryPoint"),
    "LandscapeProblem": ("landscape._points", "Field"),
    "LandscapeBlock": ("landscape._blocks", "Block"),
    "Descent": ("landscape._descent", "Descent"),
    "BetaRange": ("landscape", "BetaRange"),
    "BetaSchedule": ("dynamics", "BetaSchedule"),
    "Trajectory": ("dynamics", "Trajectory"),
    "ModelTrajectory": ("dynamics", "ModelTrajectory"),
    "HierarchicalPoints": ("hierarchical", "HierarchicalPoints"),
    "HierarchicalTerms": ("hierarchical", "HierarchicalTerms"),
    "HierarchicalVAE": ("hierarchical", "HierarchicalVAE"),
    "BottomUpPoints": ("hierarchical.bottom_up", "BottomUpPoints"),
    "BottomUpVAE": ("hierarchical.bottom_up", "BottomUpVAE"),
    "Examination": ("doctor", "Examination"),
    "Finding": ("doctor", "Finding"),
}
# Curves hold tables; what they are built from is stored, and the tables are computed again.
_INPUTS = {
    "Frontier": ("spectrum", "latent_dim", "noise_variance"),
    "CalibratedFrontier": ("spectrum", "latent_dim"),
}
_NUMBERS = "biuf"
_WIDEST = 8  # bytes; wider floats differ from one machine to the next
_DEEPEST = 64  # levels of nesting
_REMEDY = "write it again with linvae.storage.save"
_SUFFIXES = (".npz", ".json")


def save(path: str | Path, result: Any) -> None:
    r"""Write a result, or a list of results, so that :func:`load` returns it to the last bit.

    .. math:: \operatorname{load}(\operatorname{save}(x)) = x

    Parameters
    ----------
    path : path
        Ends in ``.npz`` (arrays as they lie in memory; readable with ``numpy.load``) or ``.json``
        (text, several times larger). A file that is there is replaced, whole or not at all.
    result : object
        One of :data:`KINDS`, or a list, tuple or mapping of them, of arrays, numbers and text.

    Raises
    ------
    DataFileError
        Another extension, or a place that cannot be written to.
    InputTypeError
        Something that the format does not hold, such as an array of objects.
    """
    from ._archive import pack

    target = check_target("path", path, _SUFFIXES)
    arrays: list[NDArray[Any]] = []
    content = _encode(result, arrays, {}, 0)
    # What is written can be read: this refuses, before a file is touched, what load would refuse.
    _decode(content, arrays, 0)
    document = {"format": FORMAT, "version": VERSION, "content": content, "arrays": len(arrays)}
    if Path(path).suffix.lower() == ".json":
        document["arrays"] = [_as_lists(array) for array in arrays]
        body = (_text(document) + "\n").encode()
    else:
        body = pack(_text(document), arrays)
    with atomic_write(target) as file:
        file.write(body)


def load(path: str | Path) -> Any:
    """Read what :func:`save` wrote.

    Parameters
    ----------
    path : path
        A ``.npz`` or ``.json`` file. Nothing in it is executed, and no more memory is taken than
        a few times its size.

    Returns
    -------
    object
        Of the class that was saved; NumPy scalars come back as Python numbers. Arrays are
        read-only.

    Raises
    ------
    DataFileError
        A file that is missing, truncated, damaged, of another version or of another origin, arrays
        whose declared shape is not the one they have, or values that their class does not take.
    """
    name = str(path)
    suffix = Path(path).suffix.lower()
    if suffix not in _SUFFIXES:
        refuse("path", repr(name), " or ".join(_SUFFIXES), "change its extension")
    try:
        body = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        refuse("path", f"{name!r} ({_brief(error)})", "a readable file", "check the path")
    try:
        return _read(body, suffix)
    except (InputError, ValueError, TypeError, OverflowError, LookupError) as error:
        refuse("path", f"{name!r}, {_brief(error)}", "a result written by linvae.storage.save",
               _REMEDY)  # fmt: skip


def _read(body: bytes, suffix: str) -> Any:
    from ._archive import unpack

    if suffix == ".json":
        document = _checked(_parsed(body))
        arrays = [_from_lists(entry) for entry in _a(list, document.get("arrays"))]
    else:
        header, arrays = unpack(body)
        document = _checked(_parsed(header))
        if document.get("arrays") != len(arrays):
            raise ValueError(f"with {len(arrays)} arrays instead of {document.get('arrays')!r}")
    return _decode(document.get("content"), arrays, 0)


def field_types(kind: str) -> Mapping[str, Any]:
    """Return what a kind is made of in a file: name of every field -> its declared type."""
    return _types_of(kind)


@cache
def _types_of(kind: str) -> Mapping[str, Any]:
    module, name = KINDS[kind]
    cls = getattr(import_module(f"linvae.{module}"), name)
    names = _INPUTS.get(kind) or [f.name for f in fields(cls) if f.init]
    hints = get_type_hints(cls if is_dataclass(cls) else cls.__init__)
    return types.MappingProxyType({name: hints[name] for name in names})


def _optional(kind: str) -> set[str]:
    """Fields that a class can do without, so that it could gain them after a file was written."""
    module, name = KINDS[kind]
    cls = getattr(import_module(f"linvae.{module}"), name)
    parts = fields(cls) if is_dataclass(cls) else ()
    return {f.name for f in parts if f.default is not MISSING or f.default_factory is not MISSING}


def _brief(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else text[:297] + "..."


# --- objects to plain values ---------------------------------------------------------------------


def _encode(value: Any, arrays: list[NDArray[Any]], seen: dict[int, int], depth: int) -> Any:
    """Plain values for JSON; arrays are put aside, each of them once."""
    if depth > _DEEPEST:
        fail("result", "lists in lists without end", f"at most {_DEEPEST} levels", "flatten it")
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.generic) and value.dtype.kind in _NUMBERS:
        if value.dtype.itemsize > _WIDEST:
            _refuse_kind(value)
        value = value.item()
    if isinstance(value, np.ndarray):
        return {"array": _put_aside(value, arrays, seen)}
    if isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}

    def inner(item: Any) -> Any:
        return _encode(item, arrays, seen, depth + 1)

    if type(value) is list:
        return [inner(item) for item in value]
    if type(value) is tuple:
        return {"tuple": [inner(item) for item in value]}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {"mapping": {key: inner(item) for key, item in value.items()}}
    kind = _kind_of(value)
    parts = {name: inner(_part(value, name)) for name in field_types(kind)}
    return {"kind": kind, "fields": parts}


def _put_aside(value: NDArray[Any], arrays: list[NDArray[Any]], seen: dict[int, int]) -> int:
    if type(value) is not np.ndarray or value.dtype.kind not in _NUMBERS:
        _refuse_kind(value)
    if value.dtype.itemsize > _WIDEST:
        _refuse_kind(value)
    if id(value) not in seen:
        seen[id(value)] = len(arrays)
        arrays.append(value)
    return seen[id(value)]


def _kind_of(value: Any) -> str:
    for kind, (module, name) in KINDS.items():
        # The name first: a module that is asked for here is one that made the value.
        if type(value).__name__ == name:
            home = getattr(import_module(f"linvae.{module}"), name)
            if type(value) is home:
                return kind
    _refuse_kind(value)


def _part(value: Any, name: str) -> Any:
    if name == "spectrum" and type(value).__name__ == "CalibratedFrontier":
        return value._curve.spectrum
    return getattr(value, name)


def _refuse_kind(value: Any) -> NoReturn:
    what = f"{type(value).__name__}" + (f" of {value.dtype}" if hasattr(value, "dtype") else "")
    fail("result", what, "a result of linvae, real arrays, numbers or text",
         "see linvae.storage.KINDS for what can be stored", InputTypeError)  # fmt: skip


def _text(document: Any) -> str:
    return json.dumps(document, indent=1, allow_nan=False)


def _as_lists(array: NDArray[Any]) -> dict[str, Any]:
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    order: Literal["F", "C"] = "F" if fortran else "C"
    values: Sequence[Any] = array.ravel(order=order).tolist()
    if array.dtype.kind == "f":
        values = [v if math.isfinite(v) else repr(v) for v in values]
    dtype = array.dtype.newbyteorder("<").str
    return {"dtype": dtype, "shape": list(array.shape), "order": order, "values": values}


# --- plain values to objects ---------------------------------------------------------------------


def _parsed(text: bytes) -> Any:
    def no_constant(name: str) -> Any:
        raise ValueError(f"whose number {name} is not one of JSON")

    try:
        return json.loads(text.decode(), parse_constant=no_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError("which is not text in UTF-8") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"which is not complete JSON ({error})") from error


def _checked(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"which does not say that its format is {FORMAT!r}")
    version = document.get("version")
    if type(version) is not int or version != VERSION:
        raise ValueError(f"of version {version!r}; this package reads version {VERSION}")
    return document


def _a(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise ValueError(f"with {type(value).__name__} where {kind.__name__} belongs")
    return value


def _from_lists(entry: Any) -> NDArray[Any]:
    from ._archive import allowed_dtype, sealed

    entry = _a(dict, entry)
    dtype = allowed_dtype(_a(str, entry.get("dtype")))
    shape = tuple(_a(int, size) for size in _a(list, entry.get("shape")))
    values, order = _a(list, entry.get("values")), entry.get("order")
    if min(shape, default=0) < 0 or math.prod(shape) != len(values) or len(shape) > 32:
        raise ValueError(f"whose array of {len(values)} values declares the shape {shape}")
    if order not in ("C", "F"):
        raise ValueError(f"whose array has the order {order!r}")
    names = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
    if dtype.kind == "f":
        values = [names[v] if isinstance(v, str) else _a(float, v) for v in values]
    else:
        values = [_a(bool if dtype.kind == "b" else int, v) for v in values]
    return sealed(np.array(values, dtype=dtype).reshape(shape, order=order))


def _decode(node: Any, arrays: Sequence[NDArray[Any]], depth: int) -> Any:
    if depth > 2 * _DEEPEST:
        raise ValueError("nested too deeply")
    if node is None or isinstance(node, (bool, int, float, str)):
        return node

    def inner(item: Any) -> Any:
        return _decode(item, arrays, depth + 1)

    if isinstance(node, list):
        return [inner(item) for item in node]
    tags = sorted(_a(dict, node))
    if tags == ["array"] and type(node["array"]) is int and 0 <= node["array"] < len(arrays):
        return arrays[node["array"]]
    if tags == ["float"] and node["float"] in ("nan", "inf", "-inf"):
        return float(node["float"])
    if tags == ["tuple"]:
        return tuple(inner(item) for item in _a(list, node["tuple"]))
    if tags == ["mapping"]:
        return {key: inner(item) for key, item in _a(dict, node["mapping"]).items()}
    if tags == ["fields", "kind"]:
        return _built(node["kind"], {k: inner(v) for k, v in _a(dict, node["fields"]).items()})
    raise ValueError(f"with an entry of {', '.join(tags) or 'nothing'}, which means nothing")


def _built(kind: Any, given: dict[str, Any]) -> Any:
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"which holds the unknown kind {kind!r}")
    hints = field_types(kind)
    needed = set(hints) - _optional(kind)
    if not needed <= set(given) <= set(hints):
        raise ValueError(f"whose {kind} has the fields {sorted(given)}, not {sorted(hints)}")
    for name, value in given.items():
        if not _fits(value, hints[name]):
            raise ValueError(f"whose {kind}.{name} is {type(value).__name__}")
    module, name = KINDS[kind]
    return getattr(import_module(f"linvae.{module}"), name)(**given)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the declared type; arrays by dtype, containers by their entries."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is np.ndarray:
        return isinstance(value, np.ndarray) and value.dtype == np.dtype(get_args(inner[1])[0])
    if origin is Literal:
        return type(value) is str and value in inner
    if origin in (Union, types.UnionType):
        return any(_fits(value, choice) for choice in inner)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        wanted = (inner[0],) * len(value) if inner[1:] == (...,) else inner
        return len(value) == len(wanted) and all(map(_fits, value, wanted))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, dict) and all(_fits(item, inner[1]) for item in value.values())
    if hint is float:
        return type(value) in (float, int)
    return type(value) is hint
