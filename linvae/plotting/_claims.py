"""The claims and how far they hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from linvae._validation import fail
from linvae.errors import InputTypeError

from . import _style

if TYPE_CHECKING:
    from linvae.verification import Check

__all__ = ["plot_checks"]


def plot_checks(checks: Sequence[Check], ax: Any = None) -> Any:
    r"""Measured residual of every claim beside the tolerance it is held against.

    .. math:: \text{holds} \iff |\text{residual}| \le \text{tolerance}, \qquad
              \text{impossible (shown)} \iff |\text{gap}| \ge \text{tolerance}

    Claims that do not apply are left out.

    Parameters
    ----------
    checks : sequence of Check
    ax : matplotlib Axes, optional
        Drawn into; a new figure when omitted.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputTypeError
        What is not a sequence of checks.

    Examples
    --------
    .. plot::
        :include-source:

        import linvae as lv
        import matplotlib.pyplot as plt
        from linvae.plotting import plot_checks

        spectrum = lv.Spectrum.from_eigenvalues([5.0, 3.0, 2.0, 1.0])
        checks = lv.verify(spectrum, latent_dim=2, noise_variance=0.5)
        figure, ax = plt.subplots(figsize=(7.5, 1.9 + 0.27 * len(checks)), layout="constrained")
        plot_checks(checks, ax)
    """
    remedy = "pass what linvae.verify returned"
    if not isinstance(checks, Sequence) or not all(hasattr(check, "residual") for check in checks):
        fail("checks", type(checks).__name__, "a sequence of Check", remedy, InputTypeError)
    if ax is not None:
        _style.check_axes(ax)
    checks = [check for check in checks if check.status in ("holds", "impossible", "fails")]
    if ax is None:
        inches = _style.text_size(0.1)
        ax = _style.new_figure(width=7.5 * inches, height=(1.9 + 0.27 * len(checks)) * inches)[1]
    rows = np.arange(len(checks))
    floor = 1e-18  # a residual of exactly zero has no place on a logarithmic axis
    residual = np.array([max(abs(check.residual), floor) for check in checks])
    limit = np.array([max(check.tolerance, floor) for check in checks])
    ax.hlines(rows, np.minimum(residual, limit), np.maximum(residual, limit), color=_style.GREY,
              lw=_style.line_width(0.8))  # fmt: skip
    ax.plot(limit, rows, "|", color=_style.BLACK, ms=_style.marker_size(11),
            mew=_style.line_width(1.8), label="tolerance")  # fmt: skip
    for status, marker, color, text in (
        ("holds", "o", _style.BLUE, "holds: residual at most the tolerance"),
        ("impossible", "s", _style.ORANGE, "impossible (shown): gap at least the tolerance"),
        ("fails", "X", _style.VERMILLION, "FAILS"),
    ):
        chosen = np.array([check.status == status for check in checks], dtype=bool)
        if chosen.any():
            ax.plot(residual[chosen], rows[chosen], marker, color=color, label=text,
                    ms=_style.marker_size(7))  # fmt: skip
    ax.set_xscale("log")
    ax.set_yticks(rows, [check.claim for check in checks], fontsize=_style.text_size(0.85))
    ax.invert_yaxis()
    ax.set_xlabel(f"residual  (0 is drawn at {floor:.0e})")
    ax.grid(axis="x", alpha=0.25, lw=_style.line_width(0.6))
    ax.spines[["top", "right"]].set_visible(False)
    _style.legend_above(ax, "What was measured of every claim", columns=1)
    return ax
