"""Who may import whom, what `import linvae` loads, and the shape of every module."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import linvae

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "scipy", "sklearn", "matplotlib", "rich", "sympy", "pandas", "bokeh", "dask")


def _modules(package: str) -> dict[str, Path]:
    """Dotted name -> file, of every module of a package."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path
    return found


LINVAE = _modules("linvae")
DEEP = _modules("deep")


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def _statements(tree: ast.Module, lazy: bool) -> list[ast.AST]:
    """Import statements (and import calls); without `lazy`, only those run at import time."""
    found: list[ast.AST] = []

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if _is_type_checking(child):
                continue
            if isinstance(child, ast.Import | ast.ImportFrom | ast.Call):
                found.append(child)
            if lazy or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                visit(child)

    visit(tree)
    return found


def _called(node: ast.Call) -> list[str]:
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if name not in ("import_module", "__import__", "importorskip"):
        return []
    return [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]


@cache
def _imports(name: str, lazy: bool = True) -> frozenset[str]:
    """Absolute names a module imports; `from . import x` counts as the module x."""
    path = {**LINVAE, **DEEP}[name]
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in _statements(ast.parse(path.read_text(encoding="utf-8")), lazy):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*up, base] if base else up)
            found.add(base)
            found |= {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call):
            found |= set(_called(node))
    return frozenset(found)


def _inner(name: str, lazy: bool = True) -> set[str]:
    """Names of the package's own modules that a module imports, their parent packages included."""
    found = {i for i in _imports(name, lazy) if i in LINVAE}
    found |= {parent for i in found for parent in _parents(i)}
    return found - {"linvae", name}


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _closure(name: str, lazy: bool) -> set[str]:
    reached, waiting = set(), [name]
    while waiting:
        for other in _inner(waiting.pop(), lazy) - reached:
            reached.add(other)
            waiting.append(other)
    return reached


def _roots(name: str) -> set[str]:
    return {i.partition(".")[0] for i in _imports(name)}


def test_the_parser_sees_what_it_should():
    """The checks below are only worth what this finds."""
    assert "linvae.spectrum" in _inner("linvae.response")
    assert "linvae.linear_vae" in _inner("linvae._types"), "imports inside functions count"
    assert "linvae.linear_vae" not in _inner("linvae._types", lazy=False)
    assert "numpy" in _roots("linvae.frontier")
    assert len(LINVAE) > 10


SIDES = ("linvae.linear_vae", "linvae.response", "linvae.frontier")


@pytest.mark.parametrize("side", SIDES)
def test_the_three_sides_never_import_one_another(side):
    others = {*SIDES, "linvae.hypernetwork"} - {side}
    assert not _inner(side) & others, "not even inside a function"
    assert not _closure(side, lazy=False) & others, "not even through another module"


def test_hypernetwork_imports_types_only():
    allowed = {"linvae._types", "linvae._validation", "linvae.spectrum", "linvae.errors"}
    assert _inner("linvae.hypernetwork") <= allowed
    reached = _closure("linvae.hypernetwork", lazy=False)
    assert not reached & {"linvae.response", "linvae.frontier", "linvae.linear_vae"}


def test_shared_types_hold_no_mathematics():
    assert not _closure("linvae._types", lazy=False) - {"linvae._validation", "linvae.errors"}


def test_verification_imports_all_sides_and_the_shell_imports_verification():
    reached = _closure("linvae.verification", lazy=True)
    assert {*SIDES, "linvae.hypernetwork"} <= reached
    for shell in ("linvae.cli", "linvae.report"):
        if shell in LINVAE:
            assert "linvae.verification" in _closure(shell, lazy=True), shell
    for side in (*SIDES, "linvae.hypernetwork"):
        assert "linvae.verification" not in _closure(side, lazy=False)


@pytest.mark.parametrize("name", sorted(LINVAE))
def test_linvae_never_imports_deep_torch_or_tests(name):
    assert not _roots(name) & {"deep", "torch", "tests"}
    homes = {
        "sympy": "linvae.symbolic",
        "flint": "linvae.certificates",
        "hypothesis": "linvae.testing",
    }
    for package, home in homes.items():
        assert package not in _roots(name) or name.startswith(home), package


def test_only_three_modules_of_deep_import_linvae():
    users = {name.split(".")[1] for name in DEEP if "." in name and "linvae" in _roots(name)}
    assert users <= {"comparison", "data", "cli"}
    assert "deep" not in DEEP or "linvae" not in _roots("deep")


def _loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sorted(m.partition('.')[0] for m in sys.modules))"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert run.stderr == ""
    return set(run.stdout.split())


def test_import_linvae_loads_numpy_alone():
    loaded = _loaded_after("import linvae")
    assert "numpy" in loaded
    assert not loaded & {*HEAVY, "deep"}


def test_the_main_use_loads_numpy_alone():
    use = """
import linvae as lv
s = lv.Spectrum.from_eigenvalues([3.0, 1.0])
lv.response(s, 0.5, latent_dim=1, noise_variance=1.0).evaluate(s, 0.5)
lv.Frontier(s, latent_dim=1, noise_variance=1.0).at_rate(0.3)
lv.Hypernetwork.exact(s, latent_dim=1, noise_variance=1.0)(0.5)
"""
    assert not _loaded_after(use) & {*HEAVY, "deep"}


@pytest.mark.parametrize("name", sorted({**LINVAE, **DEEP}))
def test_modules_are_short_and_say_what_is_public(name):
    path = {**LINVAE, **DEEP}[name]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 400, f"{len(lines)} lines"
    tree = ast.parse("\n".join(lines))
    assert ast.get_docstring(tree), "no docstring"
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    if name == "linvae.__main__" or (path.stem == "__init__" and not defined):
        return
    if name.startswith("deep"):
        pytest.importorskip("torch")
    module = import_module(name)
    assert isinstance(module.__all__, list)
    assert len(set(module.__all__)) == len(module.__all__)
    for public in module.__all__:
        assert hasattr(module, public), public
    assert defined <= set(module.__all__), "public by name, yet not in __all__"


def test_the_top_level_is_small_and_complete():
    assert len(linvae.__all__) <= 14
    contract = {
        "Spectrum",
        "LinearVAE",
        "Frontier",
        "Hypernetwork",
        "LinearBetaVAE",
        "response",
        "verify",
        "CurvePoints",
        "Check",
    }
    assert contract <= set(linvae.__all__)
    assert set(linvae.__all__) <= set(dir(linvae))
    for name in linvae.__all__:
        assert getattr(linvae, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = linvae.nothing
    assert (ROOT / "linvae" / "py.typed").exists()
