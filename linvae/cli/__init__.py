"""The command line: ``linvae VERB ...``.

Exit codes: 0 fine, 1 a claim fails or a training diverges, 2 bad input (one line on standard
error), 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from linvae import __version__
from linvae.errors import InputError, LinvaeWarning

from . import arguments, check, console, report

__all__ = ["VERBS", "Verb", "main"]

# Other packages add verbs here, as objects with the attributes of a Verb.
_GROUP = "linvae.verbs"
_EPILOG = "Exit codes: 0 fine, 1 a claim fails or a training diverges, 2 bad input."


@dataclass(frozen=True)
class Verb:
    """One subcommand.

    Attributes
    ----------
    summary : str
        What it does, one sentence.
    add_options : callable(parser)
        Declares its options.
    run : callable(options) -> int
        Does the work and returns the exit code; imports what it needs when called.
    """

    summary: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def _beta_option(parser: Any, text: str) -> None:
    parser.add_argument("--beta", metavar="B", nargs="+", type=arguments.betas_of,
        help="numbers > 0 and log-spaced ranges LOW:HIGH:COUNT, given after DATA "
             f"(default: {text})")  # fmt: skip


def _demo_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", metavar="DIR", default="linvae-demo",
        help="directory for the pictures and JSON files (default: linvae-demo)")  # fmt: skip
    parser.add_argument("--no-train", action="store_true", help="leave out the training part")
    arguments.add_common_options(parser, plot=False)


def _frontier_options(parser: argparse.ArgumentParser) -> None:
    arguments.add_data_options(parser)
    query = parser.add_mutually_exclusive_group()
    _beta_option(query, "10 values around the critical β's")
    for flag, kind, text in (
        ("--rate", arguments.nonnegative, "rates in nats"),
        ("--distortion", arguments.real, "distortions in nats"),
        ("--squared-error", arguments.nonnegative, "squared errors, summed over features"),
        ("--psnr", arguments.real, "peak signal-to-noise ratios in dB; needs --data-range"),
    ):
        query.add_argument(flag, metavar="X", nargs="+", type=kind, help=f"look up {text}")
    parser.add_argument("--data-range", metavar="R", type=arguments.positive,
        help="largest minus smallest possible data value; adds the PSNR to the table")  # fmt: skip
    arguments.add_common_options(parser)


def _respond_options(parser: argparse.ArgumentParser) -> None:
    arguments.add_data_options(parser)
    _beta_option(parser, "1, the ordinary VAE")
    parser.add_argument("--output", metavar="FILE",
        help="write encoder, posterior_variance, decoder, offsets, beta to FILE.npz")  # fmt: skip
    arguments.add_common_options(parser)


def _verify_options(parser: argparse.ArgumentParser) -> None:
    arguments.add_data_options(parser)
    _beta_option(parser, "25 values around the critical β's")
    parser.add_argument(
        "--certify", action="store_true",
        help="prove bounds by ball arithmetic, from the least to the largest given β or over "
             "decades around the critical ones; needs python-flint",
    )  # fmt: skip
    arguments.add_common_options(parser)


def _demo(options: argparse.Namespace) -> int:
    from .demo import demo_command

    return demo_command(options)


def _frontier(options: argparse.Namespace) -> int:
    from .commands import frontier_command

    return frontier_command(options)


def _respond(options: argparse.Namespace) -> int:
    from .commands import respond_command

    return respond_command(options)


def _verify(options: argparse.Namespace) -> int:
    from .commands import verify_command

    return verify_command(options)


VERBS: dict[str, Verb] = {
    "demo": Verb(
        "the whole story on handwritten digits: frontier, claims, picture, training",
        _demo_options, _demo),
    "frontier": Verb(
        "exact rate-distortion curve of linear VAEs on your data", _frontier_options, _frontier),
    "respond": Verb("the optimal encoder and decoder at a given β", _respond_options, _respond),
    "verify": Verb("check every claim of the theory on your data", _verify_options, _verify),
    "report": Verb(report.SUMMARY, report.add_options, report.run),
    "check": Verb(check.SUMMARY, check.add_options, check.run),
}  # fmt: skip


def _parser(verbs_known: dict[str, Verb]) -> argparse.ArgumentParser:
    parser = arguments.Parser(
        prog="linvae", epilog=_EPILOG,
        description="Exact rate-distortion theory of linear variational autoencoders. "
                    "Rates and distortions are in nats.")  # fmt: skip
    parser.add_argument("--version", action="version", version=f"linvae {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", dest="verb")
    for name, verb in verbs_known.items():
        sub = verbs.add_parser(
            name, help=verb.summary, epilog=_EPILOG,
            description=verb.summary[0].upper() + verb.summary[1:] + ".")  # fmt: skip
        verb.add_options(sub)
        sub.set_defaults(run=verb.run, parser=sub)
    return parser


def _announced() -> dict[str, Verb]:
    """Verbs of other installed packages; they cannot take the place of those here."""
    found = entry_points(group=_GROUP)
    return {e.name: e.load() for e in found if e.name not in VERBS}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process when omitted.

    Returns
    -------
    int
        0 fine, 1 a claim fails, 2 bad input, 130 interrupted, 141 when the reader of standard
        output went away.
    """
    with console.readable_streams(), console.error_stream(), _warnings_in_one_line():
        return _guarded(argv)


def _guarded(argv: Sequence[str] | None) -> int:
    """Run, and turn every foreseen end into its exit code and at most one line."""
    if sys.stdout is None:  # what Python makes of `>&-`
        return _complain("standard output: got a closed stream; expected one to write to; "
                         "use --quiet > /dev/null to see nothing", 2)  # fmt: skip
    try:
        code = _run(argv)
        sys.stdout.flush()
        return code
    except InputError as error:
        return _complain(error, 2)
    except MemoryError:
        return _complain("got data too large for the memory; expected them to fit; "
                         "use fewer features or a smaller file", 2)  # fmt: skip
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except OSError as error:
        if error.filename is not None:  # about a file, not about standard output
            raise
        # What Python flushes at exit must not complain either.
        with contextlib.suppress(OSError, ValueError):
            output = sys.stdout.fileno()
            os.dup2(os.open(os.devnull, os.O_WRONLY), output)
        if isinstance(error, BrokenPipeError):  # nobody reads any more
            return 141
        return _complain(f"standard output: got {error.strerror or error}; expected a stream that "
                         "takes the results; write them somewhere else", 2)  # fmt: skip


def _run(argv: Sequence[str] | None) -> int:
    words = sys.argv[1:] if argv is None else argv
    # A verb from here needs no other package: their verbs are loaded for all else, help included.
    own = bool(words) and words[0] in VERBS
    known = VERBS if own else {**VERBS, **_announced()}
    parser = _parser(known)
    try:
        options = parser.parse_args(argv)
    except SystemExit as end:  # --help and --version
        return int(end.code or 0)
    if options.verb is None:
        parser.error(f"got no verb; expected one of {', '.join(known)}")
    run: Callable[[argparse.Namespace], int] = options.run
    return run(options)


def _complain(message: object, code: int) -> int:
    with contextlib.suppress(BrokenPipeError):
        if sys.stdout is not None:
            sys.stdout.flush()
    print("linvae: error:", " ".join(str(message).split()), file=sys.stderr)
    return code


@contextlib.contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Show the package's own warnings to people as sentences, each once."""
    with warnings.catch_warnings():
        plain = warnings.showwarning
        ours = {"linvae", *(e.value.partition(".")[0] for e in entry_points(group=_GROUP))}

        def show(message: Any, category: Any, *rest: Any, **more: Any) -> None:
            if category.__module__.partition(".")[0] in ours:
                print("linvae: warning:", " ".join(str(message).split()), file=sys.stderr)
            else:
                plain(message, category, *rest, **more)

        warnings.simplefilter("default", LinvaeWarning)
        warnings.showwarning = show
        yield
