"""Write the claim table of ``README.md`` from the proofs themselves: ``python -m proofs.table``."""

from __future__ import annotations

import sys
from pathlib import Path

from . import MODULES
from .__main__ import prove_all
from .argument import Proof

__all__ = ["README", "main", "row", "table"]

README = Path(__file__).with_name("README.md")
HEADER = (
    "| claim | statement | verdict | proof | functions | property tests | numerical attacks |\n"
    "| --- | --- | --- | --- | --- | --- | --- |\n"
)


def _test(node: str) -> str:
    path, _, name = node.partition("::")
    return f"[{name}](../{path})"


def row(module: str, proof: Proof) -> str:
    """One line of the table."""
    # A bar would end the cell.
    statement = proof.statement.replace("|", "\\|")
    cells = (
        proof.claim,
        statement,
        proof.verdict,
        f"[{module}]({module}.py)",
        ", ".join(f"`{name}`" for name in proof.functions),
        ", ".join(_test(node) for node in proof.properties),
        ", ".join(_test(node) for node in proof.optimisations),
    )
    return "| " + " | ".join(cells) + " |\n"


def table(jobs: int = 1) -> str:
    """Return the table of all proofs, as text."""
    return HEADER + "".join(row(module, proof) for module, proof in prove_all(MODULES, jobs))


def main() -> int:
    """Replace the table in the README."""
    text = README.read_text(encoding="utf-8")
    start = text.index(HEADER.split("\n")[0])
    end = text.find("\n\n", start)
    end = len(text) if end < 0 else end + 1
    README.write_text(text[:start] + table(jobs=2) + text[end:], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
