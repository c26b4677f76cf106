"""History records as TensorBoard curves, for those who installed a writer."""

from __future__ import annotations

from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from deep._checks import fail
from deep.errors import ConfigError
from deep.training.history import Record

__all__ = ["Curves"]

_WRITERS = ("tensorboardX", "torch.utils.tensorboard")


class Curves:
    """Writer of ``tensorboard/`` in a run's folder; steps after the start are written anew.

    Raises
    ------
    ConfigError
        No writer is installed, or the run has no folder.
    """

    def __init__(self, folder: Path | None, start: int) -> None:
        if folder is None:
            fail("training.tensorboard", "true for a run without a folder", "a folder to write to",
                 "pass folder=", ConfigError)  # fmt: skip
        self._writer: Any = _writer_class()(str(folder / "tensorboard"), purge_step=start + 1)

    def add(self, record: Record) -> None:
        """Write one record."""
        for name, value in asdict(record).items():
            if name != "step":
                self._writer.add_scalar(name, value, record.step)

    def close(self) -> None:
        """Flush and close."""
        self._writer.close()


def _writer_class() -> Any:
    for name in _WRITERS:
        try:
            return import_module(name).SummaryWriter
        except ImportError:
            continue
    return fail("training.tensorboard", "true, but no writer is installed", "tensorboardX",
                "pip install 'linvae[tensorboard]' or switch it off", ConfigError)  # fmt: skip
