"""Data space: reconstructions, samples and traversals as rows of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from linvae._validation import (
    FloatArray,
    as_array,
    as_vector,
    check_finite,
    fail,
)
from linvae.errors import InputTypeError
from linvae.frontier import Frontier
from linvae.hypernetwork import Hypernetwork

from . import _mosaic, _style
from ._points import as_betas, family, features_of, latents_of, mode_indices

__all__ = ["plot_reconstructions", "plot_samples", "plot_traversal"]

Model = Frontier | Hypernetwork | Callable[[Any, float], Any]


def plot_reconstructions(
    model: Model,
    samples: Any,
    betas: Any,
    ax: Any = None,
    *,
    image_shape: tuple[int, ...] | None = None,
    value_range: tuple[float, float] | None = None,
) -> Any:
    r"""The same images, reconstructed at every β.

    .. math:: \hat x(\beta) = D(\beta)E(\beta)(x - \mu) + \mu

    One row per sample; the data in the first column, then one column per β. Of a linear VAE, the
    posterior mean is decoded.

    Parameters
    ----------
    model : Frontier, Hypernetwork or callable
        A frontier stands for the optimum at each β. A callable maps (samples, β) to
        reconstructions (N, ...): any network, any library.
    samples : array (N, n) or (N, height, width[, 3])
        Data units.
    betas : array
        β > 0.
    ax : matplotlib Axes, optional
        Drawn into; a new figure when omitted.
    image_shape : (height, width) or (height, width, 3), optional
        By default that of the samples, or square.
    value_range : (low, high), optional
        Drawn black and white, values beyond cut off; the range of the samples when omitted.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        Samples that are no such images or that the model does not fit, β ≤ 0, NaN.

    Examples
    --------
    .. plot::
        :include-source:

        import linvae as lv
        import matplotlib.pyplot as plt
        from linvae.plotting import plot_reconstructions
        from sklearn.datasets import load_digits

        images = load_digits().data
        spectrum = lv.Spectrum.from_samples(images)
        frontier = lv.Frontier(spectrum, latent_dim=32, noise_variance=5.0)
        figure, ax = plt.subplots(figsize=(6.4, 4.3), layout="constrained")
        plot_reconstructions(frontier, images[:5], [0.1, 1, 3, 10, 30, 100], ax)
    """
    weights = as_betas(betas)
    given = _rows_of_numbers("samples", samples)
    flat = given.reshape(len(given), -1)
    at = family(model)
    if at is None:
        apply = _callable(model)
    else:
        _fit("samples", flat, features_of(model), "features")  # type: ignore[arg-type]

        def apply(x: FloatArray, beta: float) -> FloatArray:
            vae = at(beta)
            return vae.decode(vae.encode(x))

    shape = _mosaic.shape_of_images(image_shape, given.shape[1:])
    rows = [_mosaic.images("samples", flat, shape, len(flat))]
    sent = given if at is None else flat
    rows += [_mosaic.images("model", apply(sent, float(b)), shape, len(flat)) for b in weights]
    span = (flat.min(), flat.max()) if value_range is None else value_range
    names = ["data", *(f"{beta:.3g}" for beta in weights)]
    ax = _mosaic.draw(ax, np.stack(rows, axis=1), span, names)
    ax.set_xlabel("β")
    _mosaic.name_rows(ax, None, "samples")
    ax.set_title("Reconstructions at every β", loc="left", fontsize=_style.text_size(1.1))
    return ax


def plot_samples(
    model: Model,
    latents: Any,
    betas: Any,
    ax: Any = None,
    *,
    image_shape: tuple[int, ...] | None = None,
    value_range: tuple[float, float] | None = None,
) -> Any:
    r"""Images that the model makes of the same latents at every β.

    .. math:: x(\beta) = D(\beta)z + \mu, \qquad z \sim \mathcal N(0, I)

    One row per latent vector, one column per β; means of p(x|z), without its noise.

    Parameters
    ----------
    model : Frontier, Hypernetwork or callable
        A frontier stands for the optimum at each β. A callable maps (latents, β) to images
        (N, ...).
    latents : array (N, k)
        Draws from the prior, say ``rng.standard_normal((5, k))``.
    betas : array
        β > 0.
    ax : matplotlib Axes, optional
        Drawn into; a new figure when omitted.
    image_shape : (height, width) or (height, width, 3), optional
        By default that of a callable's images, or square.
    value_range : (low, high), optional
        Drawn black and white, values beyond cut off; the range of what is drawn when omitted.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        Latents of another number than the model's, images of another shape, β ≤ 0, NaN.

    Examples
    --------
    .. plot::
        :include-source:

        import linvae as lv
        import matplotlib.pyplot as plt
        import numpy as np
        from linvae.plotting import plot_samples
        from sklearn.datasets import load_digits

        spectrum = lv.Spectrum.from_samples(load_digits().data)
        frontier = lv.Frontier(spectrum, latent_dim=32, noise_variance=5.0)
        latents = np.random.default_rng(0).standard_normal((5, 32))
        figure, ax = plt.subplots(figsize=(6.4, 4.9), layout="constrained")
        plot_samples(frontier, latents, [0.1, 1, 3, 10, 30, 100], ax, value_range=(0, 16))
    """
    weights = as_betas(betas)
    z = _rows_of_numbers("latents", latents)
    decode = _decoder(model, z)
    columns = _decoded(decode, [(z, float(beta)) for beta in weights], image_shape)
    names = [f"{beta:.3g}" for beta in weights]
    ax = _mosaic.draw(ax, np.stack(columns, axis=1), value_range, names)
    ax.set_xlabel("β")
    _mosaic.name_rows(ax, None, "samples")
    ax.set_title("The same latents decoded at every β", loc="left", fontsize=_style.text_size(1.1))
    return ax


def plot_traversal(
    model: Model,
    beta: Any,
    ax: Any = None,
    *,
    latents: Any = None,
    values: Any = None,
    start: Any = None,
    image_shape: tuple[int, ...] | None = None,
    value_range: tuple[float, float] | None = None,
) -> Any:
    r"""Images as one latent moves and the others stay.

    .. math:: x_j(v) = D(\beta)\,[z + (v - z_j)e_j] + \mu

    At one β, a row per latent; of one latent, a row per β. A latent that is switched off gives a
    row of equal images.

    Parameters
    ----------
    model : Frontier, Hypernetwork or callable
        A frontier stands for the optimum at β. A callable maps (latents, β) to images (N, ...).
    beta : float or array
        β > 0; several only together with a single latent.
    ax : matplotlib Axes, optional
        Drawn into; a new figure when omitted.
    latents : int or array of int, optional
        Which, counted from 0; the first five when omitted, or the first for several β.
    values : array, optional
        Of the moving latent; seven from −3 to 3 when omitted.
    start : array (k,), optional
        Latents that stay, 0 when omitted; a callable needs it, as it tells k.
    image_shape : (height, width) or (height, width, 3), optional
        By default that of a callable's images, or square.
    value_range : (low, high), optional
        Drawn black and white, values beyond cut off; the range of what is drawn when omitted.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        Latents that do not exist, several β for several latents, images of another shape, NaN.

    Examples
    --------
    .. plot::
        :include-source:

        import linvae as lv
        import matplotlib.pyplot as plt
        from linvae.plotting import plot_traversal
        from sklearn.datasets import load_digits

        spectrum = lv.Spectrum.from_samples(load_digits().data)
        frontier = lv.Frontier(spectrum, latent_dim=32, noise_variance=5.0)
        figure, ax = plt.subplots(figsize=(6.4, 4.3), layout="constrained")
        plot_traversal(frontier, 1.0, ax, latents=[0, 1, 2, 3], value_range=(0, 16))
    """
    weights = as_betas(beta, "beta")
    given = np.linspace(-3, 3, 7) if values is None else values
    moves = as_vector("values", np.atleast_1d(as_array("values", given)))
    base = _start(model, start)
    chosen = mode_indices(latents, base.size, 1 if weights.size > 1 else 5)
    if weights.size > 1 and len(chosen) > 1:
        fail("beta", f"{weights.size} values for {len(chosen)} latents", "one of the two to be one",
             "pass one β, or one latent")  # fmt: skip
    decode = _decoder(model, base[None, :])
    turns = [(mode, float(weight)) for mode in chosen for weight in weights]
    rows = _decoded(decode, [(_moved(base, mode, moves), w) for mode, w in turns], image_shape)
    names = [f"{value:.3g}".replace("-", "−") for value in moves]
    ax = _mosaic.draw(ax, np.stack(rows), value_range, names)
    ax.set_xlabel("value of the latent  [prior standard deviations]")
    if weights.size > 1:
        _mosaic.name_rows(ax, [f"{weight:.3g}" for weight in weights], "β")
        title = f"Traversal of latent {chosen[0] + 1} at every β"
    else:
        _mosaic.name_rows(ax, [f"{mode + 1}" for mode in chosen], "latent")
        title = f"Latent traversals at β = {weights[0]:.4g}"
    ax.set_title(title, loc="left", fontsize=_style.text_size(1.1))
    return ax


def _moved(base: FloatArray, mode: int, moves: FloatArray) -> FloatArray:
    rows = np.repeat(base[None, :], moves.size, axis=0)
    rows[:, mode] = moves
    return rows


def _rows_of_numbers(name: str, value: Any) -> FloatArray:
    array = as_array(name, value)
    if array.ndim < 2 or 0 in array.shape:
        fail(
            name, f"shape {array.shape}", "(N, ...), one row each", "pass x[None] for a single one"
        )
    check_finite(name, array)
    return np.asarray(array, dtype=np.float64)


def _callable(model: Any) -> Callable[[Any, float], Any]:
    if not callable(model) or isinstance(model, type):
        fail("model", type(model).__name__, "a Frontier, a Hypernetwork or a callable (array, β)",
             "wrap a network as lambda x, beta: ...", InputTypeError)  # fmt: skip
    return model  # type: ignore[no-any-return]


def _fit(name: str, rows: FloatArray, want: int, what: str) -> None:
    if rows.ndim != 2 or rows.shape[1] != want:
        fail(name, f"shape {rows.shape}", f"(N, {want}): the model has {want} {what}",
             "pass what this model was made for")  # fmt: skip


def _decoder(model: Any, latents: FloatArray) -> Callable[[FloatArray, float], Any]:
    """(latents, β) ↦ images, of any of the kinds of model."""
    at = family(model)
    if at is None:
        return _callable(model)
    _fit("latents", latents, latents_of(model), "latents")
    return lambda z, beta: at(beta).decode(z)


def _start(model: Any, start: Any) -> FloatArray:
    """Latents that stay, shape (k,)."""
    linear = family(model) is not None
    if start is not None:
        return as_vector("start", start, latents_of(model) if linear else None)
    if not linear:
        _callable(model)
        fail("start", "None", "latents (k,) for a model that is a callable",
             "pass np.zeros(k) with its number of latents")  # fmt: skip
    return np.zeros(latents_of(model))


def _decoded(
    decode: Callable[[FloatArray, float], Any],
    queries: list[tuple[FloatArray, float]],
    image_shape: tuple[int, ...] | None,
) -> list[FloatArray]:
    """Images of every query; the shape is found from the first when it is not given."""
    made = [_rows_of_numbers("model", decode(z, beta)) for z, beta in queries]
    shape = _mosaic.shape_of_images(image_shape, made[0].shape[1:])
    return [
        _mosaic.images("model", out, shape, len(z))
        for out, (z, _) in zip(made, queries, strict=True)
    ]
