"""The verbs that answer one question about one data set."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from linvae._validation import FloatArray, fail
from linvae.budget import error_of_psnr
from linvae.datafiles import check_target, json_text, save_arrays
from linvae.frontier import Frontier
from linvae.response import response

from . import console
from .certify import (
    certificate_table,
    certificates_as_plain,
    certified_range,
    require_ball_arithmetic,
    run_certificates,
)
from .problem import Problem, claims_as_plain, curve_as_plain, points_as_plain, run_claims

if TYPE_CHECKING:
    from linvae._types import CurvePoints, LinearVAE

__all__ = ["frontier_command", "respond_command", "verify_command"]

_DEFAULT_BETAS = 10


def _default_betas(frontier: Frontier) -> FloatArray:
    return np.geomspace(*console.decades(frontier.critical_betas), _DEFAULT_BETAS)


def _betas(options: argparse.Namespace) -> FloatArray | None:
    return None if options.beta is None else np.concatenate(options.beta)


def _picture_target(options: argparse.Namespace) -> Path | None:
    from linvae.plotting import PICTURE_SUFFIXES

    if options.plot is None:
        return None
    return check_target("--plot", options.plot, PICTURE_SUFFIXES)


def _finish(
    printer: console.Printer, options: argparse.Namespace, document: dict[str, Any]
) -> None:
    """Print the document for machines, or say to people where the files are."""
    document["files"] = {
        name: getattr(options, name)
        for name in ("plot", "output")
        if getattr(options, name, None) is not None
    }
    if options.json:
        print(json_text(document))
    for name in document["files"].values():
        printer.line(f"Written: {name}")


def _printer(options: argparse.Namespace) -> console.Printer:
    return console.Printer(quiet=options.quiet or options.json)


# --- linvae frontier -----------------------------------------------------------------------------


def frontier_command(options: argparse.Namespace) -> int:
    """Print the frontier at the queried points."""
    target = _picture_target(options)
    if options.psnr is not None and options.data_range is None:
        fail("--psnr", "no --data-range", "the range of the data",
             "add --data-range R with R = largest - smallest possible value")  # fmt: skip
    problem = Problem.from_options(options)
    curve = problem.frontier()
    points = _query(curve, options)
    if target:
        from linvae import plotting

        ax = plotting.plot_frontier(curve, betas=points.beta[points.beta > 0])
        plotting.save_figure(ax.figure, target)
    printer = _printer(options)
    for line in (*problem.in_words(), *console.curve_in_words(curve)):
        printer.line(line)
    printer.line()
    console.curve_table(printer, points, options.data_range)
    printer.line()
    for line in console.conventions(points.n_features):
        printer.line(line)
    document = problem.as_plain("frontier")
    document["curve"] = curve_as_plain(curve)
    document["points"] = points_as_plain(points, options.data_range)
    _finish(printer, options, document)
    return 0


def _query(curve: Frontier, options: argparse.Namespace) -> CurvePoints:
    if options.rate is not None:
        return curve.at_rate(np.array(options.rate))
    if options.distortion is not None:
        return curve.at_distortion(np.array(options.distortion))
    if options.squared_error is not None:
        return curve.at_squared_error(np.array(options.squared_error))
    if options.psnr is not None:
        n = curve.spectrum.n_features
        error = error_of_psnr(options.psnr, options.data_range, n, name="--psnr")
        return curve.at_squared_error(error)
    betas = _betas(options)
    return curve.at_beta(_default_betas(curve) if betas is None else betas)


# --- linvae respond ------------------------------------------------------------------------------


def respond_command(options: argparse.Namespace) -> int:
    """Print the optimal model at one or more β's."""
    target = _picture_target(options)
    output = None
    if options.output is not None:
        output = check_target("--output", options.output, (".npz",))
    problem = Problem.from_options(options)
    given = _betas(options)
    betas = np.ones(1) if given is None else given
    single = betas.size == 1
    models = response(problem.spectrum, betas[0] if single else betas, **problem.model)
    reports = [
        _report(problem, models if single else models[index], float(beta))
        for index, beta in enumerate(betas)
    ]
    if target:
        from linvae import plotting

        ax = plotting.plot_water_filling(problem.frontier(), float(betas[0]))
        plotting.save_figure(ax.figure, target)
    if output:
        save_arrays(output, {**vars(models), "beta": betas[0] if single else betas})
    printer = _printer(options)
    for line in problem.in_words():
        printer.line(line)
    for report in reports:
        _print_report(printer, report, problem.latent_dim)
    printer.line()
    for line in console.conventions(problem.spectrum.n_features):
        printer.line(line)
    document = problem.as_plain("respond")
    document["models"] = reports
    _finish(printer, options, document)
    return 0


def _report(problem: Problem, model: LinearVAE, beta: float) -> dict[str, Any]:
    values = problem.spectrum.leading_eigenvalues(problem.latent_dim)
    gains = np.sqrt((model.decoder**2).sum(axis=0))
    terms = model.evaluate(problem.spectrum, beta)
    names = ("rate", "distortion", "squared_error", "objective", "elbo")
    return {
        "beta": beta,
        "water_level": beta * problem.noise_variance,
        "terms": {name: float(getattr(terms, name)) for name in names},
        "modes": {
            "mode": np.arange(1, problem.latent_dim + 1),
            "eigenvalue": values,
            "critical_beta": values / problem.noise_variance,
            "active": values / problem.noise_variance > beta,
            "gain": gains,
            "posterior_variance": model.posterior_variance,
            "rate": model.information(problem.spectrum).rate_per_latent,
        },
    }


def _print_report(printer: console.Printer, report: dict[str, Any], k: int) -> None:
    modes, terms = report["modes"], report["terms"]
    active = int(np.count_nonzero(modes["active"]))
    beta = console.number(report["beta"])
    printer.heading(f"Optimal model at β = {beta}: {active} of {k} modes active")
    if not active:
        printer.line(
            f"β = {beta} is at or above every critical β: the best model ignores the data."
        )
    else:
        columns = [modes[name] for name in modes if name != "active"]
        rows = zip(*(column[modes["active"]] for column in columns), strict=True)
        printer.table(("mode", "λ", "critical β", "gain", "post. var.", "rate"),
                      [[console.number(v) for v in row] for row in rows])  # fmt: skip
        printer.line("gain: length of the decoder column; post. var.: variance of q(z|x).")
    shown = ("rate", "distortion", "squared_error", "objective", "elbo")
    words = (f"{name.replace('_', ' ')} {console.number(terms[name], 7)}" for name in shown)
    printer.line("; ".join(words).replace("elbo", "ELBO") + ".")


# --- linvae verify -------------------------------------------------------------------------------


def verify_command(options: argparse.Namespace) -> int:
    """Check every claim on the data; 1 when one fails, or a bound asked for is not certified."""
    target = _picture_target(options)
    if options.certify:
        require_ball_arithmetic()
    problem = Problem.from_options(options)
    printer = _printer(options)
    for line in problem.in_words():
        printer.line(line)
    printer.line()
    checks = run_claims(problem, _betas(options), options.quiet)
    if target:
        from linvae import plotting

        plotting.save_figure(plotting.plot_checks(checks).figure, target)
    console.claim_table(printer, checks)
    printer.line()
    printer.line(console.claim_summary(checks))
    document = problem.as_plain("verify")
    document["claims"] = claims_as_plain(checks)
    passed = all(check.passed for check in checks)
    if options.certify:
        beta_range = certified_range(problem, _betas(options))
        found = run_certificates(problem, beta_range, options.quiet)
        printer.line()
        certificate_table(printer, found, beta_range)
        document["certified_beta_range"] = beta_range
        document["certificates"] = certificates_as_plain(found)
        passed = passed and all(certificate.passed for certificate in found)
    _finish(printer, options, document)
    return 0 if passed else 1
