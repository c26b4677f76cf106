"""Exercises of the course: ``from course import check``.

A notebook's working directory is its folder, so this package is imported as ``course``. In a
notebook the import also sees to it that a figure on the last line of a cell is shown.
"""

from .checking import Exercise, Mistake, Verdict, check, exercise, exercises
from .kinds import Choice, Choices, Expression, Function, Satisfies, Values

__all__ = [
    "Choice",
    "Choices",
    "Exercise",
    "Expression",
    "Function",
    "Mistake",
    "Satisfies",
    "Values",
    "Verdict",
    "check",
    "exercise",
    "exercises",
]


def _show_figures() -> None:
    """Let the notebook show figures that were made without pyplot, as those of linvae are."""
    try:
        from IPython.core.getipython import get_ipython
        from IPython.core.pylabtools import select_figure_formats
    except ModuleNotFoundError:
        return
    shell = get_ipython()
    if shell is not None:
        # Figures are cropped to nothing: their size on the page is the one that was set.
        select_figure_formats(shell, {"png"}, bbox_inches=None)  # type: ignore[no-untyped-call]


_show_figures()
