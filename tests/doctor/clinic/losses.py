"""Small losses written for the examination: each with one known fault, or right in its own style.

``FAULTY`` maps a name to (loss, options of ``examine_loss``, expected code), ``RIGHT`` to (loss,
options).
"""

from __future__ import annotations

import importlib.util

from . import losses_right, losses_shapes, losses_weights

RIGHT = {**losses_right.RIGHT}
FAULTY = {**losses_weights.FAULTY, **losses_shapes.FAULTY}

if importlib.util.find_spec("torch") is not None:
    from .losses_torch import TORCH_FAULTY, TORCH_RIGHT

    RIGHT |= TORCH_RIGHT
    FAULTY |= TORCH_FAULTY
