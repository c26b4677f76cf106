"""Pictures of images in a row of β's, and of what is measured on images against β."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from deep._checks import fail
from deep.evaluation.passes import FloatArray, as_betas
from deep.evaluation.quality import Quality
from linvae.plotting import new_figure

__all__ = ["draw_quality", "draw_reconstructions", "draw_samples"]

_WIDTH, _MOST_COLUMNS = 6.9, 20  # inches of a page; columns that stay legible on it
_MARGIN = 0.78  # inches beside the images, for what the numbers above are
# Of Okabe and Ito; markers and lines differ too, for a print in grey.
_LOOKS = (
    {"color": "#0072B2", "marker": "o", "ls": "-"},
    {"color": "#D55E00", "marker": "D", "ls": "--"},
    {"color": "#009E73", "marker": "^", "ls": "-."},
    {"color": "#CC79A7", "marker": "s", "ls": ":"},
)
_GREY = "#767676"


def draw_samples(images: Tensor, betas: ArrayLike, rates: ArrayLike | None = None) -> Any:
    r"""Draw images of latents of the prior: a row for each latent, a column for each β.

    .. math:: x_i(\beta) = \mathbb E_\beta[x|z_i]

    Parameters
    ----------
    images : Tensor (N, B, C, H, W)
        In [0, 1]; those of :func:`deep.evaluation.samples.prior_samples`.
    betas : array (B,)
    rates : array (B,), optional
        Nats per image, written under the β's.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    InputError
        Images that are no such array, other numbers of β's or rates than columns.
    """
    names = _column_names(images, betas, rates)
    return _mosaic(images, names, _corner(rates), first=None)


def draw_reconstructions(
    images: Tensor, originals: Tensor, betas: ArrayLike, rates: ArrayLike | None = None
) -> Any:
    r"""Draw images and what networks make of them: the originals first, then a column for each β.

    .. math:: \hat x_i(\beta) = \mathbb E_\beta[x|z = m_\beta(x_i)]

    Parameters
    ----------
    images : Tensor (N, B, C, H, W)
        In [0, 1]; those of :func:`deep.evaluation.samples.reconstructions`.
    originals : Tensor (N, C, H, W)
        In [0, 1].
    betas, rates
        As for :func:`draw_samples`.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    InputError
        As ``draw_samples``; originals of another number or shape.
    """
    names = _column_names(images, betas, rates)
    if originals.shape != (len(images), *images.shape[2:]):
        fail("originals", f"shape {tuple(originals.shape)}",
             f"{(len(images), *images.shape[2:])}",
             "pass the images that were encoded")  # fmt: skip
    return _mosaic(images, names, _corner(rates), first=originals)


def draw_quality(sets: Mapping[str, Sequence[Quality]]) -> Any:
    """Draw active units and Fréchet distance of samples against β, one line per kind of network.

    Lines are means over the seeds, points single seeds, bands from the smallest to the largest of
    them. The grey line is the distance between held-out and training images.

    Parameters
    ----------
    sets : mapping from label to the Quality of each seed
        One to four labels; the seeds of a label at the same β's, everything in the same features.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    InputError
        No sets or too many, seeds at different β's, different features, pixels or numbers of
        images.
    """
    every = _check_sets(sets)
    figure, (left, right) = new_figure(2, width=4.2, height=3.9)
    for look, (label, seeds) in zip(_LOOKS, sets.items(), strict=False):
        for ax, name in ((left, "active_units"), (right, "frechet_samples")):
            _line(ax, seeds, name, label, look)
    floor = float(np.mean([quality.floor for quality in every]))
    right.axhline(floor, color=_GREY, lw=1.6, ls=(0, (1, 1)), label="held-out and training images")
    most = max(quality.latent_dim for quality in every)
    left.set_ylim(-0.04 * most, 1.04 * most)
    right.set_ylim(bottom=0)
    left.set_ylabel(f"active units  [of {most} latents]")
    right.set_ylabel("Fréchet distance of samples\nsquared  [features²]")
    for ax in (left, right):
        ax.set_xscale("log")
        ax.set_xlabel("β")
        ax.grid(alpha=0.25, lw=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2,
                  frameon=False, fontsize=8.5)  # fmt: skip
    figure.supxlabel(_caption(every[0]), x=0.01, ha="left", fontsize=8)
    return figure


def _check_sets(sets: Mapping[str, Sequence[Quality]]) -> list[Quality]:
    every = [quality for seeds in sets.values() for quality in seeds]
    if not 1 <= len(sets) <= len(_LOOKS) or not all(sets.values()):
        fail("sets", f"{len(sets)} labels and {len(every)} measurements",
             f"1 to {len(_LOOKS)} labels, one measurement or more each",
             "choose fewer")  # fmt: skip
    for label, seeds in sets.items():
        if any(not np.array_equal(seeds[0].betas, other.betas) for other in seeds):
            fail(label, "seeds at different β's", "one set of β's", "evaluate all seeds alike")
    for name in ("features_sha256", "pixels", "n_images"):
        found = {getattr(quality, name) for quality in every}
        if len(found) > 1:
            fail("sets", f"{len(found)} different {name}", "one of them: distances would not "
                 "compare", "evaluate all networks alike")  # fmt: skip
    return every


def _line(
    ax: Any, seeds: Sequence[Quality], name: str, label: str, look: Mapping[str, Any]
) -> None:
    values = np.array([getattr(quality, name) for quality in seeds], dtype=np.float64)
    betas = seeds[0].betas
    ax.plot(betas, values.mean(axis=0), color=look["color"], ls=look["ls"], lw=1.6,
            marker=look["marker"], ms=5, mfc="white", label=label, zorder=3)  # fmt: skip
    if len(seeds) > 1:
        ax.fill_between(betas, values.min(axis=0), values.max(axis=0), color=look["color"],
                        alpha=0.18, lw=0)  # fmt: skip
        for row in values:
            ax.plot(betas, row, ls="none", marker=look["marker"], ms=2.2, color=look["color"])


def _caption(quality: Quality) -> str:
    what = {"drawn": "pixels drawn", "mean": "means of p(x|z)"}[quality.pixels]
    return f"features: {quality.features};\n{quality.n_images} images of each kind, {what}"


def _corner(rates: ArrayLike | None) -> str:
    return "β" if rates is None else "β\nrate [nats]"


def _column_names(images: Tensor, betas: ArrayLike, rates: ArrayLike | None) -> list[str]:
    values = as_betas(betas)
    if images.ndim != 5 or 0 in images.shape or images.shape[2] not in (1, 3):
        fail("images", f"shape {tuple(images.shape)}", "(N, B, C, H, W) with 1 or 3 channels",
             "make them with prior_samples or reconstructions")  # fmt: skip
    count = None if rates is None else len(np.atleast_1d(np.asarray(rates)))
    if len(values) != images.shape[1] or count not in (None, len(values)):
        fail("betas", f"{len(values)} of them and {count} rates for {images.shape[1]} columns",
             "one per column", "pass those the images were made at")  # fmt: skip
    if len(values) > _MOST_COLUMNS:
        fail("betas", f"{len(values)} of them", f"{_MOST_COLUMNS} or fewer",
             "choose some: more are too small to see")  # fmt: skip
    names = [f"{beta:.2g}" for beta in values]
    if rates is not None:
        read = np.asarray(rates, dtype=np.float64)
        names = [f"{name}\n{_short(rate)}" for name, rate in zip(names, read, strict=True)]
    return names


def _short(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 99.95 else f"{rate:.1f}"


def _mosaic(images: Tensor, names: list[str], corner: str, *, first: Tensor | None) -> Any:
    """Images in rows and columns, named above; the originals, if any, stand apart on the left."""
    tiles = _as_tiles(images)
    height, width = tiles.shape[2:4]
    gap = max(1, round(min(height, width) / 12))
    extra = 0
    if first is not None:
        tiles = np.concatenate([_as_tiles(first[:, None]), tiles], axis=1)
        names = ["original", *names]
        extra = 2 * gap
    rows, columns = tiles.shape[:2]
    total = (rows * (height + gap) - gap, columns * (width + gap) - gap + extra)
    picture = np.ones((*total, 3))
    lefts = [c * (width + gap) + (extra if c else 0) for c in range(columns)]
    for r in range(rows):
        for c, left in enumerate(lefts):
            top = r * (height + gap)
            picture[top : top + height, left : left + width] = tiles[r, c]
    return _figure(picture, [left + (width - 1) / 2 for left in lefts], names, corner)


def _figure(picture: NDArray[Any], centres: list[float], names: list[str], corner: str) -> Any:
    from matplotlib.figure import Figure

    lines = corner.count("\n") + 1
    above = 0.14 * lines + 0.1
    # Columns of few pixels need the room of their numbers; many share the width of the page.
    inner = min(_WIDTH - _MARGIN, 0.85 * len(centres))
    tall = inner * picture.shape[0] / picture.shape[1]
    figure = Figure(figsize=(inner + _MARGIN + 0.06, tall + above + 0.06))
    size = figure.get_size_inches()
    ax = figure.add_axes((_MARGIN / size[0], 0.06 / size[1], inner / size[0], tall / size[1]))
    ax.imshow(picture, interpolation="nearest", aspect="auto")
    ax.spines[:].set_visible(False)
    ax.set_yticks([])
    ax.tick_params(length=0, pad=2)
    ax.xaxis.tick_top()
    small = 8 if inner / len(centres) > 0.5 else 6.5
    ax.set_xticks(centres, names, fontsize=small, linespacing=1.2)
    ax.annotate(corner, (0, 1), xycoords="axes fraction", xytext=(-4, 2), fontsize=small,
                textcoords="offset points", ha="right", va="bottom", linespacing=1.2)  # fmt: skip
    return figure


def _as_tiles(images: Tensor) -> FloatArray:  # shape: (N, B, C, H, W) -> (N, B, H, W, 3)
    values = images.detach().cpu().double().numpy()
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        fail("images", "values beyond [0, 1] or not finite", "values in [0, 1]",
             "make them with to_images")  # fmt: skip
    colour = np.moveaxis(values, 2, -1)
    return np.broadcast_to(colour, (*colour.shape[:-1], 3))
