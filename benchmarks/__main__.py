"""What can be measured: ``python -m benchmarks`` lists it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

__all__ = ["listed", "main"]


def listed() -> dict[str, str]:
    """Modules that measure something when run, with the first line of what they say they do."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        text = path.read_text(encoding="utf-8")
        if '__name__ == "__main__"' not in text:
            continue
        first = (ast.get_docstring(ast.parse(text)) or "").partition("\n\n")[0]
        found[path.stem] = " ".join(first.partition(": ``python")[0].split())
    return found


def main() -> int:
    """Print them."""
    rows = listed()
    width = max(map(len, rows))
    for name, says in rows.items():
        print(f"python -m benchmarks.{name:{width}s}  {says}")
    print("\nEach has --help. Results go to results/ unless --output names another file.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
