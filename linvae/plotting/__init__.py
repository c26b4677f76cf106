"""Pictures of the frontier and of what is behind it. Matplotlib is loaded when one is drawn.

Every function takes an optional ``ax`` and returns it. Colours are those of Okabe and Ito, told
apart by every kind of colour vision; lines and markers also differ in shape, so that a print in
grey stays readable. :func:`style` sets the sizes for a paper or for slides.
"""

from __future__ import annotations

from ._claims import plot_checks
from ._curves import plot_frontier, plot_gap, plot_learned_points
from ._gains import plot_gains, plot_gates
from ._images import plot_reconstructions, plot_samples, plot_traversal
from ._modes import plot_active_modes, plot_water_filling
from ._style import PICTURE_SUFFIXES, new_figure, save_figure, style
from ._surfaces import plot_beta_map, plot_rate_surface

__all__ = [
    "PICTURE_SUFFIXES",
    "new_figure",
    "plot_active_modes",
    "plot_beta_map",
    "plot_checks",
    "plot_frontier",
    "plot_gains",
    "plot_gap",
    "plot_gates",
    "plot_learned_points",
    "plot_rate_surface",
    "plot_reconstructions",
    "plot_samples",
    "plot_traversal",
    "plot_water_filling",
    "save_figure",
    "style",
]
