"""Hold the pinned versions against pyproject.toml and, where one can be reached, the index.

``python -m tests.packaging.pins`` needs no network; with ``--index`` pip is asked for every pin of
the named files, so that versions that were withdrawn or never existed are found.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
FILES = ("constraints.txt", "constraints-lowest.txt")


def requirements() -> dict[str, list[Requirement]]:
    """Name -> every requirement of pyproject.toml on it, of the package and of its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        lines += extra
    found: dict[str, list[Requirement]] = {}
    for requirement in map(Requirement, lines):
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def pins(file: str) -> dict[str, Version]:
    """Name -> version of every line of a file of constraints; a ValueError names a loose one."""
    found = {}
    for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if not text:
            continue
        requirement = Requirement(text)
        (one,) = requirement.specifier
        name = canonicalize_name(requirement.name)
        if one.operator != "==" or name in found:
            raise ValueError(f"{file}: {text} is not a single pin")
        found[name] = Version(one.version)
    return found


def problems() -> list[str]:
    """What does not fit together, one sentence each; needs no network."""
    wanted, found = requirements(), []
    for file in FILES:
        found += [f"{file}: {name}=={version} is outside {requirement}"
                  for name, version in pins(file).items() for requirement in wanted.get(name, [])
                  if version not in requirement.specifier]  # fmt: skip
    highest, lowest = (pins(file) for file in FILES)
    found += [f"constraints.txt: {name} is not pinned" for name in _first(wanted) - set(highest)]
    found += [f"constraints-lowest.txt: {name}=={version} is above {highest[name]}"
              for name, version in lowest.items()
              if version > highest.get(name, version)]  # fmt: skip
    for name, version in lowest.items():
        bound = max(Version(s.version) for r in wanted[name] for s in r.specifier)
        # 1.11 means 1.11.1 where 1.11.0 was never published.
        if (*bound.release, 0)[:2] != (*version.release, 0)[:2]:
            found.append(f"constraints-lowest.txt: {name}=={version} is not the least, {bound}")
    return found


def _first(wanted: dict[str, list[Requirement]]) -> set[str]:
    """Packages that somebody who installs everything but the site's and course's tools gets."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = project["dependencies"] + extras["deep"] + extras["symbolic"] + extras["certify"]
    return {canonicalize_name(Requirement(line).name) for line in lines} & set(wanted)


def index_problems(file: str) -> list[str]:
    """What the index has against the pins of a file, asked of pip without installing anything."""
    ask = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--ignore-installed",
           "--quiet", "--report", "-", "-r", file]  # fmt: skip
    answer = subprocess.run(ask, capture_output=True, text=True, cwd=ROOT)
    if answer.returncode:
        return [f"{file}: {line}" for line in answer.stderr.splitlines() if "ERROR" in line]
    chosen = json.loads(answer.stdout)["install"]
    return [f"{file}: {item['metadata']['name']}=={item['metadata']['version']} was withdrawn"
            for item in chosen if item.get("is_yanked")]  # fmt: skip


def main(arguments: list[str]) -> int:
    """Print what is wrong; 1 if anything is."""
    found = problems()
    if "--index" in arguments:
        for file in [a for a in arguments if a != "--index"] or FILES:
            found += index_problems(file)
    print("\n".join(found) or "the pins fit")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
