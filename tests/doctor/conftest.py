"""The command ``linvae check`` without adapters, and a file for it to examine."""

from __future__ import annotations

import sys
import textwrap

import pytest

from linvae import cli
from linvae.cli import check, subjects
from tests.linvae.cli_tools import runner

from .check_tools import CODE


@pytest.fixture
def run(capsys, monkeypatch):
    verb = cli.Verb(check.SUMMARY, check.add_options, check.run)
    monkeypatch.setitem(cli.VERBS, "check", verb)
    monkeypatch.setattr(subjects, "entry_points", lambda group: ())
    return runner(capsys)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    path = tmp_path / "mine.py"
    path.write_text(textwrap.dedent(CODE))
    monkeypatch.chdir(tmp_path)
    yield path
    sys.modules.pop("mine", None)
