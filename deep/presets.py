"""Named experiments; `linvae train NAME` and `linvae compare NAME` run them.

Those called after a figure follow the source's experiment where the settings are known, and say in
``title`` what differs.
"""

from __future__ import annotations

from deep.config import ExperimentConfig

__all__ = ["PRESETS"]

_LIST: tuple[ExperimentConfig, ...] = ()

PRESETS: dict[str, ExperimentConfig] = {preset.name: preset for preset in _LIST}
