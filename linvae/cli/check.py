"""``linvae check``: examine somebody's loss, model, trainer or metric."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from linvae._validation import fail
from linvae.errors import SubjectError

from . import arguments, console

if TYPE_CHECKING:
    from linvae.doctor import Examination

    from .subjects import Subject

__all__ = ["SUMMARY", "add_options", "run"]

SUMMARY = "examine the loss, model, trainer or metric of other code against exact answers"
_METRICS = ("mutual_information", "total_correlation", "active_units", "mig", "frechet_distance",
            "importance_weighted_bound")  # fmt: skip

_LIKELIHOODS = ("gaussian", "bernoulli", "bernoulli-logits", "laplace", "continuous-bernoulli")
_KIND_OF = {"what": ("metric",), "data": ("model",), "likelihood": ("loss",), "quick": ("trainer",),
            "feature_shape": ("loss",), "evaluation": ("loss",),
            "latent_dim": ("loss", "model")}  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``linvae check``."""
    parser.epilog = "Exit codes: 0 nothing wrong found, 1 findings, 2 could not be examined."
    parser.add_argument("subject", metavar="SUBJECT",
        help="package.module:name or path/to/file.py:name")  # fmt: skip
    parser.add_argument("--kind", choices=("loss", "model", "trainer", "metric"),
        help="what it is (default: guessed from its parameters and methods)")  # fmt: skip
    parser.add_argument("--what", choices=_METRICS, help="what a metric measures")
    parser.add_argument("--beta", metavar="B", type=arguments.positive,
        help="the β that is meant (default: 1; for trainers, several)")  # fmt: skip
    parser.add_argument("--noise-variance", metavar="S2", type=arguments.positive,
        help="the decoder variance that is meant, in squared data units")  # fmt: skip
    parser.add_argument("--likelihood", choices=_LIKELIHOODS,
        help="the p(x|z) that a loss means (default: found out)")  # fmt: skip
    parser.add_argument("--evaluation", metavar="SUBJECT",
        help="the loss used in validation, to be held against that of training")  # fmt: skip
    parser.add_argument("--feature-shape", metavar="N", nargs="+", type=arguments.at_least_one,
        help="shape of one sample, for a loss that accepts only one")  # fmt: skip
    parser.add_argument("--latent-dim", metavar="K", type=arguments.at_least_one,
        help="number of latents, for a loss that accepts only one, or a model that does not show "
             "it")  # fmt: skip
    parser.add_argument("--data", metavar="FILE",
        help="samples a model was trained on: .npy, .npz, .csv, or the name digits")  # fmt: skip
    parser.add_argument("--key", metavar="NAME", help="array to take from a .npz file with several")
    parser.add_argument("--seed", metavar="S", type=int, default=0, help="default: 0")
    parser.add_argument("--quick", action="store_true",
        help="train on fewer sources: a first answer in a fraction of the time")  # fmt: skip
    parser.add_argument("--html", metavar="FILE", help="write the examination as a page, .html")
    arguments.add_common_options(parser, plot=False)


def run(options: argparse.Namespace) -> int:
    """Examine, print, and return 0 healthy, 1 finding, 2 could not be examined."""
    from linvae.datafiles import check_target

    target = None
    if options.html is not None:
        target = check_target("--html", options.html, (".html", ".htm"))
    subject, examination = _examined(options)
    if target is not None:
        _write_page(target, examination)
    printer = console.Printer(quiet=options.quiet or options.json)
    _print(printer, subject, examination)
    if options.json:
        _print_json(options, subject, examination)
    elif target is not None:
        printer.line(f"Written: {options.html}")
    return examination.exit_code


def _examined(options: argparse.Namespace) -> tuple[Subject | None, Examination]:
    """Find the subject and examine it; what their code raises becomes the failure."""
    from linvae.doctor.sandbox import process_kept, told, undisturbed

    from . import subjects

    data = _absolute(options.data)
    # What an import sets (folders to import from, variables) their code may need until the end.
    both = options.subject, options.evaluation or options.subject
    with subjects.reachable(both[0]), subjects.reachable(both[1]), process_kept():
        try:
            with undisturbed(process=False):
                thing = subjects.find(options.subject)
                subject = subjects.recognise(thing, options.kind, options.beta)
                if options.evaluation is not None:
                    other = subjects.find(options.evaluation)
                    evaluation = subjects.recognise(other, "loss", options.beta).target
                    subject = subject._replace(evaluation=evaluation)
        except SubjectError as error:
            return None, _failed(options, str(error))
        _check_options(options, subject)
        try:
            return subject, _examine(subject, options, data)
        except SystemExit as error:
            return subject, _failed(options, told(error), subject.kind)


def _absolute(data: str | None) -> str | None:
    """The path of a file as seen from here, wherever their code may change to."""
    return str(Path(data).absolute()) if data is not None and Path(data).exists() else data


def _failed(options: argparse.Namespace, reason: str, kind: str | None = None) -> Examination:
    from linvae.doctor import Examination

    # Of code that cannot even be imported the kind is not known.
    named = cast("Any", kind or options.kind or "code")
    return Examination(named, options.subject, (), {}, (), reason)


def _check_options(options: argparse.Namespace, subject: Subject) -> None:
    """Refuse options that the kind of subject needs and lacks, or cannot use."""
    kind = subject.kind
    if kind == "metric" and options.what is None:
        fail("--what", "nothing", f"one of {', '.join(_METRICS)}", "say what the metric measures")
    if kind == "model" and options.data is None:
        fail("--data", "nothing", "the samples the model was trained on",
             "add --data FILE, or --kind loss to examine the model's loss")  # fmt: skip
    for name, of in _KIND_OF.items():
        if getattr(options, name) not in (None, False) and kind not in of:
            flag = "--" + name.replace("_", "-")
            fail(flag, f"{flag} for a {kind}", f"a {' or '.join(of)}", f"drop {flag}")


def _examine(subject: Subject, options: argparse.Namespace, data: str | None) -> Examination:
    common = {"convert": subject.convert, "state": subject.state, "subject": options.subject}
    if subject.kind == "model":
        return _model(subject, options, common, str(data))
    examine = {"loss": _loss, "trainer": _trainer, "metric": _metric}
    return examine[subject.kind](subject, options, common)


def _beta(options: argparse.Namespace) -> float:
    return 1.0 if options.beta is None else float(options.beta)


def _loss(subject: Subject, options: argparse.Namespace, common: dict[str, Any]) -> Examination:
    from linvae.doctor.loss import examine_loss

    return examine_loss(
        subject.target, beta=_beta(options), noise_variance=options.noise_variance,
        likelihood=options.likelihood, evaluation=subject.evaluation, seed=options.seed,
        feature_shape=None if options.feature_shape is None else tuple(options.feature_shape),
        latent_dim=options.latent_dim, **common,
    )  # fmt: skip


def _trainer(subject: Subject, options: argparse.Namespace, common: dict[str, Any]) -> Examination:
    from linvae.doctor.training import examine_trainer

    betas = subject.betas if options.beta is None else (options.beta,)
    variance = options.noise_variance or subject.noise_variance
    wanted = not (options.quiet or options.json)
    with console.progress_bar("training", wanted=wanted) as progress:
        return examine_trainer(
            subject.target, noise_variance=variance, betas=betas, seeds=(options.seed,),
            quick=options.quick, progress=progress, **common,
        )  # fmt: skip


def _model(
    subject: Subject, options: argparse.Namespace, common: dict[str, Any], data: str
) -> Examination:
    from linvae.datafiles import load_data
    from linvae.doctor.training import examine_model

    variance = options.noise_variance or subject.noise_variance
    samples = load_data(data, key=options.key).samples
    return examine_model(
        subject.target, samples, _beta(options), noise_variance=variance,
        latent_dim=options.latent_dim, seed=options.seed, **common,
    )  # fmt: skip


def _metric(subject: Subject, options: argparse.Namespace, common: dict[str, Any]) -> Examination:
    from linvae.doctor.metrics import examine_metric

    return examine_metric(subject.target, options.what, seed=options.seed, **common)


def _print(printer: console.Printer, subject: Subject | None, examination: Examination) -> None:
    from linvae.doctor.render import closing_of, heading_of

    printer.heading(heading_of(examination))
    if examination.failure is not None:
        printer.line(examination.failure)
    for note in subject.notes if subject is not None else ():
        printer.line(f"Note: {note}.")
    for number, finding in enumerate(examination.findings, 1):
        printer.heading(f"{number}. {finding.found}")
        for label in ("asked", "cause", "remedy", "code"):
            printer.line(f"{label}: {getattr(finding, label)}", bullet="   ")
        _print_measured(printer, "evidence", finding.evidence)
    if examination.facts:
        printer.heading("Measured")
        _print_measured(printer, "fact", examination.facts)
    printer.line()
    printer.line(closing_of(examination))


def _print_measured(printer: console.Printer, name: str, facts: Mapping[str, Any]) -> None:
    from linvae.doctor.render import as_rows, as_tables

    rows = as_rows(facts)
    if rows:
        printer.table((name, "measured"), rows, text=2)
    tables = as_tables(facts, nested=False)
    for table in tables:
        printer.line()
        printer.table((table.title, *table.columns[1:]), table.rows, text=len(table.columns))
    if len(as_tables(facts)) > len(tables):
        printer.line("(tables within these are in --html and --json)")


def _print_json(
    options: argparse.Namespace, subject: Subject | None, examination: Examination
) -> None:
    from linvae.datafiles import json_text
    from linvae.doctor.render import as_plain

    from .problem import versions

    document = {
        "command": "check",
        "examination": as_plain(examination),
        "adapter": None if subject is None else
            {"library": subject.library, "notes": list(subject.notes)},
        "settings": {name: getattr(options, name) for name in
                     ("beta", "noise_variance", "likelihood", "what", "data", "seed", "quick")},
        "versions": versions(),
        "files": {} if options.html is None else {"html": options.html},
    }  # fmt: skip
    print(json_text(document))


def _write_page(target: Any, examination: Examination) -> None:
    from linvae.datafiles import atomic_write
    from linvae.doctor.render import as_html_page

    page = as_html_page([examination], title=f"Examination of {examination.subject}")
    with atomic_write(target) as file:
        file.write(page.encode(errors="backslashreplace"))
