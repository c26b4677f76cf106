"""One page per public module, in areas; a module that no area takes stops the build."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Any

__all__ = ["AREAS", "area_of", "homes", "pages", "public_modules"]

# A module belongs to the area that names the longest beginning of its name.
AREAS: dict[str, tuple[str, ...]] = {
    "The core": (
        "linvae", "linvae.spectrum", "linvae.linear_vae", "linvae.response", "linvae.frontier",
        "linvae.hypernetwork", "linvae.calibrated", "linvae.budget", "linvae.uncertainty",
        "linvae.importer", "linvae.estimator",
    ),
    "Claims and certificates": ("linvae.verification", "linvae.claims", "linvae.certificates"),
    "Beyond one optimum": (
        "linvae.landscape", "linvae.dynamics", "linvae.hierarchical", "linvae.twins",
        "linvae.fixed_decoder",
    ),
    "Other people's code": ("linvae.doctor", "linvae.testing", "deep.adapters"),
    "Pictures, reports, files, shell": (
        "linvae.plotting", "linvae.report", "linvae.storage", "linvae.datafiles", "linvae.cli",
        "deep.cli",
        "deep.demo", "linvae.errors", "deep.errors",
    ),
    "Closed forms in SymPy": ("linvae.symbolic",),
    "Training": (
        "deep", "deep.config", "deep.presets", "deep.settings", "deep.runs", "deep.variants",
        "deep.gates", "deep.gate_banks", "deep.conversion", "deep.networks", "deep.objectives",
        "deep.training", "deep.randomness",
    ),
    "Data, evaluation, comparison": (
        "deep.data", "deep.material", "deep.evaluation", "deep.comparison",
    ),
}  # fmt: skip
# Their own top level would take every new module, which is to be placed by hand.
_ROOTS = ("linvae", "deep")


def public_modules() -> list[str]:
    """Every module without an underscore in its path."""
    names = list(_ROOTS)
    for root in _ROOTS:
        path = importlib.import_module(root).__path__
        names += [found.name for found in pkgutil.walk_packages(path, f"{root}.")]
    return [name for name in names if not any(part[0] == "_" for part in name.split("."))]


def area_of(module: str) -> str:
    """Area of a module; a ValueError says where to enter one that has none."""
    fits = [
        (len(prefix), area)
        for area, prefixes in AREAS.items()
        for prefix in prefixes
        if module == prefix or (prefix not in _ROOTS and module.startswith(f"{prefix}."))
    ]
    if not fits:
        raise ValueError(f"{module} belongs to no area: enter it in AREAS of {__file__}")
    return max(fits)[1]


def pages() -> dict[str, str]:
    """Return every page of the section, by file name."""
    names = public_modules()
    modules = {name: importlib.import_module(name) for name in names}
    found = homes(modules)
    made = {f"{name}.rst": _page(modules[name], found) for name in names}
    made |= {f"{_file(area)}.rst": _area_page(area, modules) for area in AREAS}
    made["index.rst"] = _index(modules)
    return made


def _order(name: str) -> tuple[int, str]:
    prefixes = AREAS[area_of(name)]
    best = max((p for p in prefixes if name == p or name.startswith(f"{p}.")), key=len)
    return prefixes.index(best), name


def _index(modules: dict[str, ModuleType]) -> str:
    text = _heading("API reference") + (
        "Every public module. Units are nats, covariances divide by N, see\n"
        ":doc:`/conventions`. ``import linvae`` gives the names of :mod:`linvae`.\n\n"
    )
    for area in AREAS:
        text += _heading(area, "-") + _listed(_members(area, modules), modules)
    return text + _toctree([_file(area) for area in AREAS])


def _area_page(area: str, modules: dict[str, ModuleType]) -> str:
    names = _members(area, modules)
    return _heading(area) + _listed(names, modules) + _toctree(names)


def _members(area: str, modules: dict[str, ModuleType]) -> list[str]:
    return sorted((name for name in modules if area_of(name) == area), key=_order)


def _file(area: str) -> str:
    return "area-" + "-".join("".join(c if c.isalnum() else " " for c in area.lower()).split())


def _listed(names: list[str], modules: dict[str, ModuleType]) -> str:
    return "".join(f":mod:`{name}`\n   {_summary(modules[name])}\n" for name in names) + "\n"


def _toctree(names: list[str]) -> str:
    return "\n.. toctree::\n   :hidden:\n\n" + "".join(f"   {name}\n" for name in names)


def _summary(module: ModuleType) -> str:
    return (module.__doc__ or "").strip().splitlines()[0]


def _heading(text: str, mark: str = "=") -> str:
    return f"{text}\n{mark * len(text)}\n\n"


def _exported(module: ModuleType) -> list[str]:
    return list(getattr(module, "__all__", []))


def homes(modules: dict[str, ModuleType]) -> dict[int, tuple[str, str]]:
    """Where each class and function is documented: where it is defined, if that is public."""
    found: dict[int, tuple[str, str]] = {}
    for name in sorted(modules, key=lambda m: (-m.count("."), m)):
        for item in _exported(modules[name]):
            thing = getattr(modules[name], item)
            if _documents_itself(thing) and (thing.__module__ == name or id(thing) not in found):
                found[id(thing)] = (name, item)
    return found


def _documents_itself(thing: Any) -> bool:
    return inspect.isclass(thing) or inspect.isroutine(thing)


def _page(module: ModuleType, found: dict[int, tuple[str, str]]) -> str:
    name = module.__name__
    text = _heading(name) + f".. automodule:: {name}\n\n"
    elsewhere = []
    for item in _exported(module):
        thing = getattr(module, item)
        if inspect.ismodule(thing):
            elsewhere.append(thing.__name__)
        elif not _documents_itself(thing):
            text += _value(item, thing)
        elif found[id(thing)] == (name, item):
            text += _entry(item, thing)
        else:
            elsewhere.append(".".join(found[id(thing)]))
    if elsewhere:
        text += ".. rubric:: Names from other modules\n\n"
        text += "".join(f"- :py:obj:`{path.rsplit('.', 1)[-1]} <{path}>`\n" for path in elsewhere)
    return text


def _entry(name: str, thing: Any) -> str:
    if not inspect.isclass(thing):
        return f".. autofunction:: {name}\n\n"
    kind = "autoexception" if issubclass(thing, BaseException) else "autoclass"
    # Methods of our own private base classes are shown; what other libraries give is theirs.
    theirs = {
        base.__name__ for base in thing.__mro__ if base.__module__.split(".")[0] not in _ROOTS
    }
    bases = ", ".join(sorted(theirs))
    return f".. {kind}:: {name}\n   :members:\n   :inherited-members: {bases}\n\n"


def _value(name: str, value: Any) -> str:
    """A constant; expressions of SymPy as formulas."""
    text = f".. py:data:: {name}\n"
    if type(value).__module__.split(".")[0] == "sympy":
        import sympy

        formula = sympy.latex(value)
        return text + (f"\n   .. math:: {formula}\n\n" if formula != name else "\n")
    shown = repr(value)
    return text + (f"   :value: {shown}\n\n" if len(shown) < 60 and "0x" not in shown else "\n")
