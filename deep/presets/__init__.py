"""Named experiments; ``linvae train NAME`` and ``linvae compare NAME`` run them.

Those called after a figure follow the source's experiment as far as its settings are known, and say
where they are written what differs.
"""

from __future__ import annotations

from deep.config import ExperimentConfig
from deep.presets.images import IMAGE_PRESETS
from deep.presets.small_images import SMALL_IMAGE_PRESETS
from deep.presets.vectors import VECTOR_PRESETS

__all__ = ["PRESETS"]

PRESETS: dict[str, ExperimentConfig] = {
    preset.name: preset for preset in (*VECTOR_PRESETS, *SMALL_IMAGE_PRESETS, *IMAGE_PRESETS)
}
