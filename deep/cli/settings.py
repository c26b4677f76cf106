"""What the verbs that train have in common: their settings, and a place to print."""

from __future__ import annotations

import argparse

import yaml

from deep._checks import fail
from deep.config import ExperimentConfig
from deep.errors import ConfigError
from deep.presets import PRESETS
from deep.settings import as_plain, read_settings, with_overrides
from linvae.cli import console
from linvae.datafiles import json_text

__all__ = ["INTERRUPTED", "printer_for", "settings_of"]

INTERRUPTED = 130  # exit code after Ctrl-C


def settings_of(options: argparse.Namespace) -> ExperimentConfig | None:
    """Settings with the changes of the command line; None when only a list was wanted."""
    printer = printer_for(options)
    if options.list:
        printer.table(("preset", "what it is"), [(p.name, p.title) for p in PRESETS.values()],
                      text=2)  # fmt: skip
        if options.json:
            print(json_text({name: preset.title for name, preset in PRESETS.items()}))
        return None
    if options.settings is None:
        fail("SETTINGS", "nothing", "the name of a preset or of a YAML file",
             "see the presets with --list", ConfigError)  # fmt: skip
    config = with_overrides(read_settings(options.settings), options.set)
    if options.show:
        if options.json:
            print(json_text(as_plain(config)))
            return None
        print(yaml.safe_dump(as_plain(config), sort_keys=False, allow_unicode=True).rstrip())
        return None
    return config


def printer_for(options: argparse.Namespace) -> console.Printer:
    """Silent with --quiet and --json."""
    return console.Printer(quiet=options.quiet or options.json)
