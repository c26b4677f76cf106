"""Environments beside the usual one: other Pythons, the oldest dependencies, the wheel, the pins.

``nox -l`` lists them. A Python that is not installed is skipped.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.options.sessions = ["wheel", "pins"]
nox.options.error_on_missing_interpreters = False

PYTHONS = ("3.11", "3.12", "3.13")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _test(session: nox.Session) -> None:
    """Run all tests; what follows -- replaces the choice of them."""
    chosen = session.posargs or ("-n", "2", "--dist", "loadgroup")
    session.run("python", "-m", "pytest", *chosen, env=ONE_THREAD)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All tests with the pinned versions, on every supported Python."""
    session.install("-c", "constraints.txt", "-e", ".[deep,dev]")
    _test(session)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """All tests with the oldest versions that are allowed."""
    session.install("-c", "constraints-lowest.txt", "-e", ".[deep,dev]")
    _test(session)


@nox.session(python=PYTHONS)
def wheel(session: nox.Session) -> None:
    """Build both distributions, install each into an empty environment, and use it from there."""
    root, made = Path.cwd(), Path(session.create_tmp()).resolve()
    session.install("-c", "constraints.txt", "build", "setuptools")
    session.run("python", "-m", "build", "--no-isolation", "--outdir", str(made), str(root),
                silent=True)  # fmt: skip
    for file in sorted(made.glob("linvae-*")):
        session.run("python", "-m", "venv", "--clear", str(made / "empty"))
        python = str(made / "empty" / ("Scripts" if os.name == "nt" else "bin") / "python")
        session.run(python, "-m", "pip", "install", "--quiet", "-c", str(root / "constraints.txt"),
                    str(file), external=True)  # fmt: skip
        with session.chdir(made):
            smoke = str(root / "tests" / "packaging" / "smoke.py")
            session.run(python, "-W", "error", smoke, str(root), external=True)
        file.unlink()


@nox.session(python=PYTHONS[0])
def pins(session: nox.Session) -> None:
    """Whether the pins fit pyproject.toml, and whether the index still has them."""
    session.install("packaging")
    session.run("python", "-m", "tests.packaging.pins", "--index", "constraints.txt")
