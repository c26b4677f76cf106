"""What people read: sentences, tables and a progress bar."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from linvae._types import CurvePoints
    from linvae.datafiles import Data
    from linvae.frontier import Frontier
    from linvae.spectrum import Spectrum
    from linvae.verification import Check

__all__ = [
    "LONG_INPUT",
    "Printer",
    "claim_summary",
    "claim_table",
    "conventions",
    "curve_in_words",
    "curve_table",
    "data_in_words",
    "decades",
    "error_stream",
    "number",
    "numbers",
    "progress_bar",
    "readable_streams",
    "verdict",
]

# Entries of a data set whose reading takes long enough to deserve a progress bar.
LONG_INPUT = 2**26
# Rows of a table that people still read.
_MOST_ROWS = 60

_SPELLED = dict(zip("βσλτπ", ("beta", "sigma", "lambda", "tau", "pi"), strict=True)) | {
    "²": "^2", "·": "*", "−": "-", "≤": "<=", "≥": ">=", "√": "sqrt", "∞": "inf", "ᵢ": "_i",
    "\u00a0": " ",
}  # fmt: skip

Progress = Callable[[int, "int | None"], None]


class Printer:
    """Writes sentences and tables to standard output, or swallows them when quiet."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet

    def line(self, text: str = "", *, bullet: str = "") -> None:
        """Print a sentence, wrapped at spaces only, so that file names stay whole."""
        if self._quiet:
            return
        rows = textwrap.wrap(
            text, min(_width(), 100), initial_indent=bullet, subsequent_indent=" " * len(bullet),
            break_long_words=False, break_on_hyphens=False)  # fmt: skip
        for row in rows or [""]:
            sys.stdout.write(row + "\n")

    def heading(self, text: str) -> None:
        """Print the title of a part."""
        if not self._quiet:
            from rich.text import Text

            self.line()
            _render(Text(text, style="bold"))

    def table(
        self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, text: int = 0
    ) -> None:
        """Print rows under column names; the first `text` columns are words, the others numbers."""
        if self._quiet:
            return
        from rich import box
        from rich.table import Table
        from rich.text import Text

        lines = box.SIMPLE_HEAD if _unicode() else box.ASCII
        table = Table(box=lines, pad_edge=False, show_edge=False)
        for index, name in enumerate(columns):
            words = index < text
            table.add_column(Text(name), justify="left" if words else "right",
                             no_wrap=not words, overflow="fold")  # fmt: skip
        hidden = len(rows) - _MOST_ROWS
        half = _MOST_ROWS // 2
        shown = [*rows[:half], ["..."] * len(columns), *rows[-half:]] if hidden > 0 else rows
        for row in shown:
            table.add_row(*(Text(cell) for cell in row))
        _render(table)
        if hidden > 0:
            self.line(f"({hidden} rows not shown; --json has all of them)")


def _width() -> int:
    return max(shutil.get_terminal_size((80, 24)).columns, 40)


def _unicode() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")


def _render(thing: Any) -> None:
    from rich.console import Console

    # Rendered apart from being written: rich would answer a closed pipe with an exit of its own.
    text = io.StringIO()
    console = Console(file=text, highlight=False, markup=False, emoji=False, width=_width(),
                      force_terminal=sys.stdout.isatty())  # fmt: skip
    console.print(thing)
    sys.stdout.write("".join(line.rstrip() + "\n" for line in text.getvalue().splitlines()))


@contextlib.contextmanager
def progress_bar(title: str, *, wanted: bool) -> Iterator[Progress | None]:
    """A callback (done, total) that draws a bar on standard error, or None where nobody looks."""
    if not wanted or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextlib.contextmanager
def readable_streams() -> Iterator[None]:
    """Spell out, while it lasts, the letters that a terminal's encoding does not have."""
    codecs.register_error("linvae-words", _words)
    changed = []
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            changed.append((stream, stream.errors))
            stream.reconfigure(errors="linvae-words")
    try:
        yield
    finally:
        for stream, errors in changed:
            stream.reconfigure(errors=errors)


@contextlib.contextmanager
def error_stream() -> Iterator[None]:
    """Give messages a place to vanish into, while it lasts, where standard error is closed."""
    if sys.stderr is not None:
        yield
        return
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        yield


def _words(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)  # these streams are only written to
    letters = error.object[error.start : error.end]
    return "".join(_SPELLED.get(letter, "?") for letter in letters), error.end


def number(value: Any, digits: int = 5) -> str:
    """A number as people write it."""
    return f"{float(value):.{digits}g}"


def numbers(values: Iterable[Any], digits: int = 4) -> str:
    """A list of numbers, comma-separated."""
    return ", ".join(number(value, digits) for value in values)


def data_in_words(data: Data, spectrum: Spectrum) -> list[str]:
    """Say what came in."""
    samples, features = data.samples.shape
    lines = [f"Data: {data.source}, {samples} samples of {features} features."]
    lines += [f"Note: {note}." for note in data.notes]
    lines.append(
        f"Its covariance has {spectrum.rank} positive eigenvalues and total variance "
        f"{number(spectrum.total_variance)}."
    )
    return lines


def curve_in_words(frontier: Frontier) -> list[str]:
    """Say what kind of curve this is and where its modes switch off."""
    k = frontier.latent_dim
    latents = f"{k} latent" + "s" * (k != 1)
    if frontier.kind == "shannon":
        kind = (
            f"Curve: shannon. {latents.capitalize()} cover all directions in which the data vary, "
            "so this is the Shannon rate-distortion function of Gaussian data with this covariance."
        )
    else:
        kind = (
            f"Curve: rank-k. This is the best any linear VAE with {latents} can do; at high rates "
            "a model with more latents would do better, down to the Shannon curve."
        )
    alive = frontier.critical_betas[frontier.critical_betas > 0]
    if not alive.size:
        return [kind, "The data do not vary: nothing can be encoded, at any β."]
    shown = numbers(alive[:32]) + (", ..." if alive.size > 32 else "")
    return [
        kind,
        f"Critical β (at and above it the mode is switched off), modes 1 to {alive.size}: {shown}.",
    ]


def curve_table(printer: Printer, points: CurvePoints, data_range: float | None = None) -> None:
    """Print points of a frontier, with their PSNR if the range of the data is known."""
    columns = [points.beta, points.rate, points.distortion, points.squared_error, points.active,
               points.bits_per_dimension]  # fmt: skip
    names = ["β", "rate", "distortion", "sq. error", "active", "bits/dim"]
    if data_range is not None:
        columns.append(points.psnr(data_range))
        names.append("PSNR dB")
    printer.table(names, [[number(v) for v in row] for row in zip(*columns, strict=True)])


def conventions(n_features: int) -> list[str]:
    """Say the units and the meaning of every column."""
    return [
        "Conventions: nats per sample; distortion = (n/2) log(2π σ²) + squared error / (2σ²) with "
        f"n = {n_features}; squared error is summed over the features; objective = distortion + "
        'β · rate. A loss "summed squared error + β · KL" is the case σ² = 1/2.',
    ]


def verdict(check: Check) -> str:
    """Word for the status; an impossibility is never made to look as if the print held."""
    words = {"fails": "FAILS", "impossible": "impossible (shown)"}
    return words.get(check.status, check.status)


def _comparison(check: Check) -> str:
    if check.status == "not applicable":
        return ""
    sign = "≤" if check.relation == "<=" else "≥"
    return f"{check.residual:.1e} {sign} {check.tolerance:.0e}"


def claim_table(printer: Printer, checks: Sequence[Check]) -> None:
    """Print every claim with its measured residual and verdict, then the notes."""
    printer.table(
        ("claim", "statement", "verdict", "measured, limit"),
        [(c.claim, c.statement, verdict(c), _comparison(c)) for c in checks],
        text=3,
    )
    for check in checks:
        if check.note and check.status != "holds":
            printer.line(f"{check.claim}: {check.note.rstrip('.')}.")


def claim_summary(checks: Sequence[Check]) -> str:
    """Count the verdicts in one sentence."""
    kinds = ("holds", "impossible", "not applicable", "fails")
    count = {kind: sum(c.status == kind for c in checks) for kind in kinds}
    parts = [f"{count['holds']} of {len(checks)} claims hold"]
    if count["impossible"]:
        names = ", ".join(c.claim for c in checks if c.status == "impossible")
        parts.append(f"{count['impossible']} ({names}) "
                     "shown to be impossible as printed, by a gap that stays open")  # fmt: skip
    if count["not applicable"]:
        names = ", ".join(c.claim for c in checks if c.status == "not applicable")
        parts.append(f"{count['not applicable']} ({names}) not applicable to these data")
    if count["fails"]:
        names = ", ".join(c.claim for c in checks if c.status == "fails")
        parts.append(f"{count['fails']} FAIL ({names})")
    else:
        parts.append("none fails")
    return "; ".join(parts) + "."


def decades(values: Any) -> tuple[float, float]:
    """Powers of ten strictly around positive numbers; (0.1, 10) when there are none."""
    values = np.asarray(values)
    values = values[values > 0]
    if not values.size:
        return 0.1, 10.0
    low, high = np.ceil(np.log10(values.min())) - 1, np.floor(np.log10(values.max())) + 1
    return float(10.0 ** max(low, -307)), float(10.0 ** min(high, 308))
