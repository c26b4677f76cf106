"""Command-line values: the parser that answers in one line, and the kinds of numbers it reads."""

from __future__ import annotations

import argparse
import difflib
import math
import re
from typing import Any, NoReturn

import numpy as np

from linvae._validation import FloatArray
from linvae.errors import InputError

__all__ = [
    "Parser",
    "add_common_options",
    "add_data_options",
    "at_least_one",
    "betas_of",
    "nonnegative",
    "positive",
    "real",
    "variance",
]

_MOST_BETAS = 1_000_000
_NEGATIVE = re.compile(r"-(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$")


class Parser(argparse.ArgumentParser):
    """ArgumentParser whose errors are InputErrors of one line, and that abbreviates nothing."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})
        # argparse takes -5e1 for a flag; distortions are often negative.
        self._negative_number_matcher = _NEGATIVE

    def error(self, message: str) -> NoReturn:
        """Turn what argparse says into one line with a remedy."""
        message = " ".join(message.split())
        hint = f"see `{self.prog} --help`"
        known = {flag for action in self._actions for flag in action.option_strings}
        unknown = message.removeprefix("unrecognized arguments: ").split()
        if message.startswith("unrecognized") and (
            close := difflib.get_close_matches(unknown[0], known, n=1)
        ):
            hint = f"did you mean {close[0]}? {hint}"
        raise InputError(f"{message}; {hint}")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, reporting what is left over through the parser of the verb it was given to."""
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            getattr(found, "parser", self).error("unrecognized arguments: " + " ".join(rest))
        return found


def real(text: str) -> float:
    """Read a finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a finite number")
    return value


def positive(text: str) -> float:
    """Read a number > 0."""
    value = real(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a number > 0")
    return value


def nonnegative(text: str) -> float:
    """Read a number >= 0."""
    value = real(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a number >= 0")
    return value


def variance(text: str) -> float | str:
    """Read a number > 0, or the word ml."""
    if text == "ml":
        return text
    try:
        return positive(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"got {text!r}; expected a number > 0, or ml for the maximum-likelihood value"
        ) from None


def betas_of(text: str) -> FloatArray:
    """Read ``B``, ``B,B,...`` or ``LOW:HIGH:COUNT`` (log-spaced, both ends included)."""
    return np.concatenate([_betas_of_item(item) for item in text.split(",")])


def _betas_of_item(text: str) -> FloatArray:
    parts = text.split(":")
    wanted = "a number > 0 or LOW:HIGH:COUNT such as 0.01:10:7 (a data file goes before --beta)"
    try:
        low, high = positive(parts[0]), positive(parts[-2] if len(parts) > 1 else parts[0])
        count = int(parts[2]) if len(parts) > 1 else 1
        good = len(parts) in (1, 3) and low <= high and 1 <= count <= _MOST_BETAS
    except (argparse.ArgumentTypeError, ValueError, IndexError):
        good = False
    if not good or (count == 1) != (low == high):
        raise argparse.ArgumentTypeError(f"got {text!r}; expected {wanted}")
    return np.geomspace(low, high, count)


def at_least_one(text: str) -> int:
    """Read an integer >= 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected an integer >= 1")
    return value


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add the data argument and what turns data into a model: k and σ²."""
    parser.add_argument("data", metavar="DATA",
        help=".npy, .npz or .csv file with one row per sample, or the name digits")  # fmt: skip
    parser.add_argument("--key", metavar="NAME", help="array to take from a .npz file with several")
    parser.add_argument("--latent-dim", metavar="K", type=at_least_one,
        help="number of latents (default: 16, or one less than the rank of the data)")  # fmt: skip
    parser.add_argument("--noise-variance", metavar="S2", type=variance, default="ml",
        help="decoder variance in squared data units, or ml: the maximum-likelihood value of "
             "probabilistic PCA (default: ml)")  # fmt: skip


def add_common_options(parser: argparse.ArgumentParser, *, plot: bool = True) -> None:
    """Add what says how results leave: for machines, as a picture, not at all."""
    parser.add_argument("--json", action="store_true",
        help="print one JSON document and nothing else")  # fmt: skip
    parser.add_argument("--quiet", action="store_true",
        help="print errors only (and the document of --json)")  # fmt: skip
    if plot:
        parser.add_argument("--plot", metavar="FILE", help="write a picture, .png or .svg")
