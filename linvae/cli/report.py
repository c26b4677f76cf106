"""``linvae report``: one page about one data set, to look at, move and hand on."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np

from . import arguments, console

if TYPE_CHECKING:
    from linvae.report import Report

    from .problem import Problem

__all__ = ["SUMMARY", "add_options", "run"]

SUMMARY = "one interactive page about your data: a slider for β, reconstructions, claims"
_SUFFIXES = (".html", ".htm")
# Largest minus smallest possible value of the data that have a name.
_KNOWN_RANGE = {"digits": 16.0}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``linvae report``."""
    arguments.add_data_options(parser)
    parser.add_argument("-o", "--output", metavar="FILE", default="report.html",
        help="the page, one .html file that loads nothing (default: report.html)")  # fmt: skip
    parser.add_argument("--title", help="title of the page (default: one with the name of DATA)")
    images = parser.add_mutually_exclusive_group()
    images.add_argument("--image-shape", metavar="SIZE", nargs="+", type=arguments.at_least_one,
        help="H W or H W 3: samples are images of this size, given after DATA (default: as stored, "
             "or guessed when the number of features is a square)")  # fmt: skip
    images.add_argument("--no-images", action="store_true", help="show no reconstructions")
    parser.add_argument("--data-range", metavar="R", type=arguments.positive,
        help="largest minus smallest possible data value; adds the PSNR")  # fmt: skip
    parser.add_argument("--learned", metavar="FILE",
        help="results of linvae compare (.json): shows its points beside the curve")  # fmt: skip
    parser.add_argument("--examination", metavar="FILE",
        help="what linvae check --json printed: added as a section")  # fmt: skip
    arguments.add_common_options(parser, plot=False)


def run(options: argparse.Namespace) -> int:
    """Write the page; 1 when a claim fails on the data."""
    from linvae.datafiles import check_target
    from linvae.report import build_report, load_examination, load_learned

    from .problem import Problem, run_claims

    target = check_target("--output", options.output, _SUFFIXES)
    learned = None if options.learned is None else load_learned(options.learned)
    examination = None if options.examination is None else load_examination(options.examination)
    problem = Problem.from_options(options)
    if learned is not None:
        learned.check_fits(problem.frontier())
    shape, why = _image_shape(options, problem)
    data_range = options.data_range or _known_range(problem)
    checks = run_claims(problem, None, options.quiet)
    words = [*problem.in_words(), *why]
    report = build_report(
        problem.spectrum, **problem.model, samples=problem.data.samples, image_shape=shape,
        data_range=data_range, checks=checks, learned=learned, examination=examination,
        title=options.title or f"Rate and distortion of linear VAEs: {problem.data.source}",
        description=[" ".join(words[:-1 - len(why)]), " ".join(words[-1 - len(why):])],
    )  # fmt: skip
    report.write(target)
    _tell(options, problem, report, data_range, words)
    return 0 if all(check.passed for check in checks) else 1


def _image_shape(
    options: argparse.Namespace, problem: Problem
) -> tuple[tuple[int, ...] | None, list[str]]:
    """The shape of a sample, and how it was found, in words."""
    from linvae.report import guess_image_shape
    from linvae.report.images import check_image_shape

    n = problem.spectrum.n_features
    if options.no_images:
        return None, []
    if options.image_shape is not None:
        return check_image_shape("--image-shape", options.image_shape, n), []
    if problem.data.source == "digits":
        return (8, 8), []
    guess = guess_image_shape(problem.data.stored_shape, n)
    if guess is None:
        return None, []
    size = " x ".join(map(str, guess[0]))
    return guess[0], [f"Samples are shown as images of {size} ({guess[1]})."]


def _known_range(problem: Problem) -> float | None:
    if problem.data.samples.dtype == np.uint8:
        return 255.0
    return _KNOWN_RANGE.get(problem.data.source)


def _tell(
    options: argparse.Namespace,
    problem: Problem,
    report: Report,
    data_range: float | None,
    words: list[str],
) -> None:
    """Say what was written, to people or machines."""
    from linvae.datafiles import json_text

    from .problem import claims_as_plain, curve_as_plain

    size = len(report.html.encode(errors="backslashreplace"))
    printer = console.Printer(quiet=options.quiet or options.json)
    for line in (*words, *(f"Note: {note}" for note in report.notes)):
        printer.line(line)
    printer.line(console.claim_summary(list(report.checks)))
    printer.line(f"Written: {options.output} ({size / 1e6:.2f} MB); open it in any browser.")
    if options.json:
        document: dict[str, Any] = problem.as_plain("report")
        document["curve"] = curve_as_plain(problem.frontier())
        document["claims"] = claims_as_plain(list(report.checks))
        document["page"] = {
            "bytes": size,
            "beta_range": report.beta_range,
            "data_range": data_range,
            "images": _images_as_plain(report),
            "notes": report.notes,
        }
        document["files"] = {"output": options.output}
        print(json_text(document))


def _images_as_plain(report: Report) -> dict[str, Any] | None:
    if report.images is None:
        return None
    return {
        "shape": report.images.shape,
        "rows": report.images.rows,
        "largest_error": report.images.error,
    }
