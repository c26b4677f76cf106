"""The verbs that train: ``linvae train | evaluate | compare``.

Declared here without loading torch, so that the other verbs and ``--help`` stay quick; the work is
in :mod:`deep.cli.commands` and :mod:`deep.cli.compare`.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from importlib.util import find_spec

from deep.errors import DivergenceError, InputError
from linvae.cli import Verb, arguments
from linvae.errors import InputError as LinvaeInputError

__all__ = ["COMPARE", "EVALUATE", "TRAIN"]

_NEEDED = ("torch", "lightning_fabric", "safetensors", "pydantic", "yaml", "pooch")
_SETTINGS = "name of a preset (see --list) or a YAML file"


def _settings_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("settings", metavar="SETTINGS", nargs="?", help=_SETTINGS)
    parser.add_argument("--list", action="store_true", help="list the presets and stop")
    parser.add_argument("--set", metavar="KEY=VALUE", nargs="+", action="extend", default=[],
        help="change single settings, for example training.epochs=5 data.path=FOLDER")  # fmt: skip
    parser.add_argument("--show", action="store_true",
        help="print the settings as YAML, checked and complete, and stop")  # fmt: skip


def _train_options(parser: argparse.ArgumentParser) -> None:
    _settings_options(parser)
    parser.add_argument("--output", metavar="DIR",
        help="folder of the run (default: runs/NAME/seed-S/multi-rate)")  # fmt: skip
    parser.add_argument("--seed", metavar="S", type=int, help="default: the first of the settings")
    parser.add_argument("--dedicated", metavar="B", type=arguments.positive,
        help="train the network without gates for this β alone")  # fmt: skip
    parser.add_argument("--resume", action="store_true",
        help="go on from the last checkpoint in the folder")  # fmt: skip
    arguments.add_common_options(parser, plot=False)


def _evaluate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="folder of a finished run")
    parser.add_argument("--beta", metavar="B", nargs="+", type=arguments.betas_of,
        help="numbers > 0 and ranges LOW:HIGH:COUNT (default: those of the run)")  # fmt: skip
    parser.add_argument("--find-rate", metavar="R", type=arguments.nonnegative,
        help="find the β with this rate in nats")  # fmt: skip
    parser.add_argument("--find-distortion", metavar="D", type=arguments.real,
        help="find the β with this distortion in nats")  # fmt: skip
    parser.add_argument("--split", choices=("train", "valid", "test"), default="test")
    parser.add_argument("--importance-samples", metavar="K", type=int, default=0,
        help="also bound −log p(x) with K importance samples per x")  # fmt: skip
    parser.add_argument("--samples", metavar="PICTURE",
        help="draw images of the same latents at every β (PNG or SVG)")  # fmt: skip
    parser.add_argument("--reconstructions", metavar="PICTURE",
        help="draw held-out images and their reconstructions at every β (PNG or SVG)")  # fmt: skip
    parser.add_argument("--frechet", action="store_true",
        help="also measure Fréchet distances of images; a small classifier gives the features, "
             "trained in a minute the first time")  # fmt: skip
    parser.add_argument("--features", metavar="FILE",
        help="features of this TorchScript network; it is a program: use what you "
             "trust")  # fmt: skip
    arguments.add_common_options(parser, plot=False)


def _compare_options(parser: argparse.ArgumentParser) -> None:
    _settings_options(parser)
    parser.add_argument("--runs", metavar="DIR", default="runs",
        help="folder for the trained networks; finished ones in it are not trained again "
             "(default: runs)")  # fmt: skip
    parser.add_argument("--output", metavar="DIR", default="results",
        help="folder for NAME.json and its pictures (default: results)")  # fmt: skip
    parser.add_argument("--jobs", metavar="N", type=arguments.at_least_one, default=1,
        help="train so many networks side by side, in processes of one thread each")  # fmt: skip
    arguments.add_common_options(parser, plot=False)


def _guarded(module: str, name: str, options: argparse.Namespace) -> int:
    """Load the work, run it, and turn deep's foreseen errors into those of the command line."""
    missing = [needed for needed in _NEEDED if find_spec(needed) is None]
    if missing:
        raise LinvaeInputError(
            f"linvae {options.verb}: got no {', '.join(missing)}; expected the packages that "
            "train; install them with: pip install 'linvae[deep]'"
        )
    try:
        code: int = getattr(import_module(f"deep.cli.{module}"), name)(options)
    except InputError as error:
        raise LinvaeInputError(str(error)) from error
    except OSError as error:
        if error.filename is None:  # about standard output
            raise
        raise LinvaeInputError(
            f"{error.filename}: got {error.strerror or error}; expected a file or folder that can "
            "be read and written; check the path and its permissions"
        ) from error
    except DivergenceError as error:
        print("linvae: error:", " ".join(str(error).split()), file=sys.stderr)
        return 1
    return code


def _train(options: argparse.Namespace) -> int:
    return _guarded("commands", "train_command", options)


def _evaluate(options: argparse.Namespace) -> int:
    return _guarded("commands", "evaluate_command", options)


def _compare(options: argparse.Namespace) -> int:
    return _guarded("compare", "compare_command", options)


TRAIN = Verb("train one network for all β, or for one", _train_options, _train)
EVALUATE = Verb("rate and distortion of a trained network at any β", _evaluate_options, _evaluate)
COMPARE = Verb(
    "a whole experiment: train, evaluate, hold against an optimum and against dedicated β-VAEs",
    _compare_options, _compare,
)  # fmt: skip
