"""What every picture shares: colours, sizes that follow a style, legends, labels kept apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from linvae._validation import FloatArray, fail
from linvae.datafiles import atomic_write, check_target
from linvae.errors import InputTypeError

__all__ = [
    "PICTURE_SUFFIXES",
    "STYLES",
    "axes_or_new",
    "check_axes",
    "drawn_before",
    "frame",
    "label_points",
    "legend_above",
    "legend_inside",
    "line_width",
    "look",
    "marker_size",
    "new_figure",
    "save_figure",
    "style",
    "text_size",
    "usual_width",
]

PICTURE_SUFFIXES = (".png", ".svg")

BLACK, GREY = "#000000", "#767676"
BLUE, SKY, ORANGE, VERMILLION, GREEN = "#0072B2", "#56B4E9", "#E69F00", "#D55E00", "#009E73"
PURPLE = "#CC79A7"
# For sets and latents in turn; the markers tell them apart in a print in grey.
COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
LINES = ("-", "--", ":", "-.")

# By how much the layout may shrink axes after labels were placed in them.
_SHRINKS = 0.88

# Matplotlib's parameters under each name; "screen" is also what is drawn without a style.
STYLES: dict[str, dict[str, Any]] = {
    "screen": {
        "figure.figsize": (6.4, 4.8),
        "font.size": 10.0,
        "lines.linewidth": 1.5,
        "lines.markersize": 6.0,
    },
    "print": {
        "figure.figsize": (3.3, 2.7),
        "font.size": 7.0,
        "lines.linewidth": 1.0,
        "lines.markersize": 3.8,
        "axes.linewidth": 0.6,
        "xtick.major.size": 2.5,
        "xtick.minor.size": 1.5,
        "ytick.major.size": 2.5,
        "ytick.minor.size": 1.5,
        "xtick.major.pad": 2.5,
        "ytick.major.pad": 2.5,
        "axes.labelpad": 2.5,
    },
    "slides": {
        "figure.figsize": (10.0, 5.8),
        "font.size": 16.0,
        "lines.linewidth": 2.5,
        "lines.markersize": 9.5,
        "axes.linewidth": 1.2,
        "xtick.major.size": 6.0,
        "ytick.major.size": 6.0,
        "xtick.major.width": 1.2,
        "ytick.major.width": 1.2,
    },
}


@contextmanager
def style(name: str) -> Iterator[None]:
    """Sizes for where a picture is shown, inside a ``with`` block.

    Every plotting function scales its text, lines and markers with matplotlib's ``font.size``,
    ``lines.linewidth`` and ``lines.markersize``, so that other style sheets work, too.

    Parameters
    ----------
    name : str
        ``"screen"``: 6.4 in wide, 10 point; ``"print"``: one column of a paper, 3.3 in wide, 7
        point; ``"slides"``: 10 in wide, 16 point.

    Raises
    ------
    InputError
        A name that is none of these.

    Examples
    --------
    .. plot::
        :include-source:

        import linvae as lv
        import matplotlib.pyplot as plt
        from linvae.plotting import plot_frontier, style

        spectrum = lv.Spectrum.from_eigenvalues([9.0, 4.0, 2.0, 1.0, 0.5])
        frontier = lv.Frontier(spectrum, latent_dim=4, noise_variance=0.5)
        with style("slides"):
            figure, ax = plt.subplots(layout="constrained")
            plot_frontier(frontier, ax, tangent_at=2.0)
    """
    import matplotlib

    if not isinstance(name, str) or name not in STYLES:
        fail("style", repr(name)[:40], f"one of {', '.join(STYLES)}", "choose one of them")
    with matplotlib.rc_context(STYLES[name]):
        yield


def new_figure(
    panels: int = 1, *, width: float | None = None, height: float | None = None
) -> tuple[Any, Any]:
    """Return a figure and its axes (one, or an array of several side by side); no global state.

    Width and height of one panel are in inches, those of the current :func:`style` when omitted.
    """
    import matplotlib
    from matplotlib.figure import Figure

    usual = matplotlib.rcParams["figure.figsize"]
    width = float(usual[0]) if width is None else width
    height = float(usual[1]) if height is None else height
    figure = Figure(figsize=(width * panels, height), layout="constrained")
    return figure, figure.subplots(1, panels)


def save_figure(figure: Any, path: str | Path) -> Path:
    """Write a figure as PNG or SVG, whole or not at all; the extension chooses.

    Raises
    ------
    DataFileError
        Another extension, a missing directory, a disk that does not take the file.
    """
    import matplotlib

    target = check_target("picture", path, PICTURE_SUFFIXES)
    kind = Path(path).suffix.lower()[1:]
    # Neither date nor random ids: the same curve gives the same file.
    settings = {"svg.hashsalt": "linvae", "svg.fonttype": "path"}
    metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {}
    with matplotlib.rc_context(settings), atomic_write(target) as file:
        figure.savefig(file, format=kind, dpi=160, metadata=metadata)
    return target


def text_size(factor: float) -> float:
    """Points, as a multiple of the current font size."""
    import matplotlib

    return factor * float(matplotlib.rcParams["font.size"])


def line_width(points: float) -> float:
    """Width in points at matplotlib's usual 1.5, scaled to the current one."""
    import matplotlib

    return points * float(matplotlib.rcParams["lines.linewidth"]) / 1.5


def marker_size(points: float) -> float:
    """Size in points at matplotlib's usual 6, scaled to the current one."""
    import matplotlib

    return points * float(matplotlib.rcParams["lines.markersize"]) / 6


def look(turn: int) -> dict[str, str]:
    """Colour, marker and fill of the marker for the set or latent of a number from 0.

    Colours repeat after 7, but then markers are full, and after 14 they are other markers: 98
    looks in all.
    """
    count = len(COLOURS)
    colour, again = COLOURS[turn % count], turn // count
    marker = MARKERS[(turn + again // 2) % len(MARKERS)]
    return {"color": colour, "marker": marker, "mfc": colour if again % 2 else "white"}


def axes_or_new(ax: Any) -> Any:
    """Return the axes given, or those of a new figure."""
    if ax is None:
        return new_figure()[1]
    check_axes(ax)
    return ax


def check_axes(ax: Any, also: tuple[str, ...] = ()) -> None:
    """Refuse what is not matplotlib axes (a figure, an array of axes), or not flat ones.

    Other libraries register flat axes under names of their own: only the round and the solid ones
    of matplotlib are refused.
    """
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        fail("ax", type(ax).__name__, "matplotlib Axes", "pass one Axes, as plt.subplots() returns",
             InputTypeError)  # fmt: skip
    if ax.name in ("3d", "polar") and ax.name not in also:
        fail("ax", f"{ax.name} axes", "flat axes", "leave out the projection", InputTypeError)


def frame(ax: Any, x_label: str, y_label: str, title: str | None = None) -> None:
    """Name the axes, draw a light grid, leave out the box."""
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    if title is not None:
        ax.set_title(title, loc="left", fontsize=text_size(1.1))
    ax.grid(alpha=0.25, lw=line_width(0.6))
    ax.spines[["top", "right"]].set_visible(False)


def legend_inside(ax: Any, place: str = "upper right") -> None:
    """Legend in a corner that the data leave free."""
    ax.legend(frameon=False, fontsize=text_size(0.85), loc=place)


def legend_above(
    ax: Any, title: str, handles: Sequence[Any] | None = None, columns: int = 2
) -> None:
    """Title and legend over the axes, where no data can be; the title is the legend's own."""
    some: dict[str, Any] = {} if handles is None else {"handles": handles}
    ax.legend(frameon=False, fontsize=text_size(0.85), loc="lower left", bbox_to_anchor=(0, 1),
              borderaxespad=0.2, borderpad=0, ncols=columns, title=title, alignment="left",
              title_fontsize=text_size(1.1), columnspacing=1.2, **some)  # fmt: skip


def drawn_before(ax: Any, kind: str) -> list[Any]:
    """Lines of a kind (their ``gid``) that the axes hold already."""
    return [line for line in ax.lines if line.get_gid() == kind]


def label_points(ax: Any, x: FloatArray, y: FloatArray, texts: Sequence[str]) -> None:
    """Write a text beside each point, as far as texts keep clear of markers and of one another.

    A few labels say more than all of them on top of one another. What an earlier call wrote is
    placed again, as there may be new markers in its way.
    """
    before = [note for note in ax.texts if note.get_gid() == "label"]
    wanted = [(*note.xy, note.get_text()) for note in before]
    for note in before:
        note.remove()
    wanted += zip(x, y, texts, strict=True)
    if not wanted:
        return
    ends = np.sort([ax.get_xlim(), ax.get_ylim()])  # limits are found late: now
    size = text_size(0.8)
    em = ax.figure.dpi * size / 72  # pixels
    edge = _SHRINKS * ax.get_window_extent().x1
    taken = _marker_boxes(ax)
    for here, text in zip(_pixels(ax, [w[:2] for w in wanted]), wanted, strict=True):
        if (text[:2] < ends[:, 0]).any() or (text[:2] > ends[:, 1]).any():
            continue  # not in the picture: cut off, or rate 0 on a logarithmic axis
        # To the left, and a little higher, where there is no room on the right.
        late = here[0] + (0.62 * len(text[2]) + 1) * em > edge
        box = _label_box(here, len(text[2]), em, late)
        if any(_overlap(box, other) for other in taken):
            continue
        taken.append(box)
        ax.annotate(text[2], text[:2], xytext=(-0.6 if late else 0.9, 0.9 if late else 0.6),
                    textcoords="offset fontsize", fontsize=size, annotation_clip=False,
                    ha="right" if late else "left", va="bottom", zorder=7, gid="label")  # fmt: skip


def _pixels(ax: Any, places: Any) -> FloatArray:
    """Places in pixels, nearer than they are now: the layout may yet make the axes smaller."""
    flat = np.asarray(places, dtype=np.float64).reshape(-1, 2)
    return np.asarray(_SHRINKS * ax.transData.transform(flat))


def _marker_boxes(ax: Any) -> list[FloatArray]:
    """What labels must not cover: left, low, right, high of every marker, in pixels."""
    found: list[FloatArray] = []
    for line in ax.lines:
        if line.get_marker() not in ("None", "none", "", None):
            half = line.get_markersize() * ax.figure.dpi / 144
            spots = _pixels(ax, np.column_stack(line.get_data()))
            found += [np.concatenate([spot - half, spot + half]) for spot in spots]
    return found


def _label_box(here: FloatArray, letters: int, em: float, late: bool) -> FloatArray:
    """Left, low, right, high of a label in pixels, with a margin."""
    width = (0.62 * letters + 0.6) * em
    low = here[1] + (0.7 if late else 0.4) * em
    left = here[0] + (-0.4 * em - width if late else 0.7 * em)
    return np.array([left, low, left + width, low + 1.7 * em])


def _overlap(a: FloatArray, b: FloatArray) -> bool:
    return bool((a[:2] < b[2:]).all() and (b[:2] < a[2:]).all())


def usual_width(ax: Any) -> float:
    """Width of the axes in ems, before the layout has its say."""
    return float(ax.get_window_extent().width / (ax.figure.dpi * text_size(1.0) / 72))
