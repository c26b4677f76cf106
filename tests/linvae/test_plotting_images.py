"""Rows of images hold the pixels that the model makes, each in its place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from linvae import Frontier, Hypernetwork, Spectrum, response
from linvae.errors import InputError, InputTypeError
from linvae.plotting import new_figure, plot_reconstructions, plot_samples, plot_traversal
from tests.tolerances import assert_close

BETAS = [0.1, 1.0, 50.0]
MODEL = {"latent_dim": 3, "noise_variance": 0.5}
COVARIANCE = np.diag(np.arange(12.0, 0.0, -1.0))
SPECTRUM = Spectrum.from_covariance(COVARIANCE, mean=np.linspace(-1, 1, 12))  # images of 3 × 4
FRONTIER = Frontier(SPECTRUM, **MODEL)
EXACT = Hypernetwork.exact(SPECTRUM, **MODEL)
X = np.random.default_rng(3).normal(size=(4, 12))
Z = np.random.default_rng(4).normal(size=(2, 3))
SHAPE = (3, 4)


def vae(beta: float) -> Any:
    return response(SPECTRUM, beta, **MODEL)


def tiles(ax: Any, rows: int, columns: int, shape: Any = SHAPE) -> Any:
    """Pixels of every image, shape (rows, columns, height, width[, 3]), and their tick places."""
    (image,) = ax.images
    picture = np.ma.filled(image.get_array(), np.nan)
    assert picture.ndim == len(shape)
    found = np.empty((rows, columns, *shape))
    for row, y in enumerate(ax.get_yticks()):
        for column, x in enumerate(ax.get_xticks()):
            top, left = round(y - (shape[0] - 1) / 2), round(x - (shape[1] - 1) / 2)
            found[row, column] = picture[top : top + shape[0], left : left + shape[1]]
    assert np.count_nonzero(~np.isnan(picture)) == found.size or len(shape) == 3
    return found


def names(ax: Any) -> list[str]:
    return [label.get_text() for label in ax.get_xticklabels()]


@pytest.mark.parametrize("model", [FRONTIER, EXACT], ids=["frontier", "hypernetwork"])
def test_reconstructions_of_linear_models(model: Any) -> None:
    ax = plot_reconstructions(model, X, BETAS, image_shape=SHAPE)
    found = tiles(ax, 4, 4)
    np.testing.assert_array_equal(found[:, 0], X.reshape(4, *SHAPE))
    for column, beta in enumerate(BETAS, 1):
        at = vae(beta)
        want = at.decode(at.encode(X)).reshape(4, *SHAPE)
        assert_close(found[:, column], want, "hypernetwork")
    # Past the last critical β the mean is left, the same for every sample.
    assert_close(found[:, 3], np.broadcast_to(SPECTRUM.mean.reshape(SHAPE), (4, *SHAPE)), "exact")
    assert names(ax) == ["data", "0.1", "1", "50"]
    assert ax.get_xlabel() == "β"


def test_reconstructions_of_any_callable() -> None:
    """Networks come as functions; they get the samples as they are, and β as a number."""
    seen = []

    def network(images: Any, beta: float) -> Any:
        seen.append((images.shape, beta))
        return images[:, None] * beta  # with an axis for the channel

    images = X.reshape(4, *SHAPE)
    found = tiles(plot_reconstructions(network, images, BETAS), 4, 4)
    assert seen == [((4, 3, 4), beta) for beta in BETAS]
    for column, factor in enumerate([1.0, *BETAS]):
        np.testing.assert_array_equal(found[:, column], images * factor)


def test_samples_decode_the_same_latents(rng: np.random.Generator) -> None:
    ax = plot_samples(FRONTIER, Z, BETAS, image_shape=SHAPE)
    found = tiles(ax, 2, 3)
    for column, beta in enumerate(BETAS):
        assert_close(found[:, column], vae(beta).decode(Z).reshape(2, *SHAPE), "exact")
    assert names(ax) == ["0.1", "1", "50"]
    from_callable = plot_samples(lambda z, beta: EXACT(beta).decode(z), Z, BETAS, image_shape=SHAPE)
    assert_close(tiles(from_callable, 2, 3), found, "hypernetwork")


def test_traversals_move_one_latent_at_a_time() -> None:
    start, values = np.array([0.5, -1.0, 2.0]), [-2.0, 0.0, 1.5]
    ax = plot_traversal(FRONTIER, 0.7, latents=[2, 0], values=values, start=start,
                        image_shape=SHAPE)  # fmt: skip
    found = tiles(ax, 2, 3)
    for row, latent in enumerate([2, 0]):
        for column, value in enumerate(values):
            z = start.copy()
            z[latent] = value
            assert_close(found[row, column].ravel(), vae(0.7).decode(z[None])[0], "exact")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["3", "1"]
    assert names(ax) == ["−2", "0", "1.5"]
    np.testing.assert_array_equal(start, [0.5, -1.0, 2.0])


def test_traversal_of_one_latent_over_betas() -> None:
    ax = plot_traversal(EXACT, BETAS, latents=1, image_shape=SHAPE)
    found = tiles(ax, 3, 7)
    for row, beta in enumerate(BETAS):
        z = np.outer(np.linspace(-3, 3, 7), [0.0, 1.0, 0.0])
        assert_close(found[row], vae(beta).decode(z).reshape(7, *SHAPE), "hypernetwork")
    assert np.ptp(found[2], axis=0).max() == 0, "switched off at β = 50"
    assert "latent 2" in ax.get_title(loc="left")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0.1", "1", "50"]
    assert tiles(plot_traversal(FRONTIER, 1.0, image_shape=SHAPE), 3, 7).shape[0] == 3
    network = plot_traversal(lambda z, b: z @ np.ones((2, 12)) + b, 1.0, start=[0.0, 5.0],
                             image_shape=SHAPE)  # fmt: skip
    assert_close(tiles(network, 2, 7)[1, 0], np.full(SHAPE, -3.0 + 1.0), "exact")


def test_black_and_white_are_the_range_of_the_data() -> None:
    (image,) = plot_reconstructions(FRONTIER, X, BETAS, image_shape=SHAPE).images
    assert image.get_clim() == (X.min(), X.max())
    (image,) = plot_samples(FRONTIER, Z, BETAS, image_shape=SHAPE, value_range=(0, 16)).images
    assert image.get_clim() == (0, 16)
    assert image.get_cmap().name == "gray"
    drawn = plot_samples(FRONTIER, Z, BETAS, image_shape=SHAPE)
    found = tiles(drawn, 2, 3)
    assert drawn.images[0].get_clim() == (found.min(), found.max())
    assert drawn.images[0].get_interpolation() == "nearest"
    (flat,) = plot_samples(lambda z, b: np.ones((2, 4)), Z, 1.0).images  # no contrast at all
    assert flat.get_clim() == (0.5, 1.5)


def test_colours_are_scaled_and_cut_off() -> None:
    shape = (2, 2, 3)
    rng = np.random.default_rng(5)
    images = rng.uniform(0, 10, (3, *shape))
    ax = plot_reconstructions(lambda x, b: x * b, images, [1.0, 2.0], value_range=(0, 10))
    found = tiles(ax, 3, 3, shape)
    assert_close(found[:, 0], images / 10, "exact")
    assert_close(found[:, 2], np.minimum(images / 5, 1), "exact")


def test_square_images_need_no_shape() -> None:
    square = Frontier(Spectrum.from_eigenvalues(np.arange(9.0, 0, -1)), **MODEL)
    assert tiles(plot_samples(square, Z, BETAS), 2, 3, (3, 3)).shape == (2, 3, 3, 3)


def test_given_axes_are_used() -> None:
    _, (left, middle, right) = new_figure(3)
    assert plot_reconstructions(FRONTIER, X, BETAS, left, image_shape=SHAPE) is left
    assert plot_samples(FRONTIER, Z, BETAS, middle, image_shape=SHAPE) is middle
    assert plot_traversal(FRONTIER, 1.0, right, image_shape=SHAPE) is right


def test_colours_of_a_span_beyond_float64() -> None:
    images = np.array([[1e308, -1e308, 0.0] * 4])
    ax = plot_reconstructions(lambda x, b: x, images, [1.0], image_shape=(2, 2, 3))
    shown = np.asarray(ax.images[0].get_array())[0, 0]
    np.testing.assert_array_equal(shown, [1.0, 0.0, 0.5])


BAD: dict[str, tuple[Any, str]] = {
    "not square": (lambda: plot_reconstructions(FRONTIER, X, BETAS), "image_shape"),
    "another size": (
        lambda: plot_reconstructions(FRONTIER, X, BETAS, image_shape=(3, 3)),
        r"shape \(4, 12\); expected 4 images of shape \(3, 3\)",
    ),
    "another width": (lambda: plot_reconstructions(FRONTIER, X[:, :9], BETAS), "12 features"),
    "one image": (lambda: plot_reconstructions(FRONTIER, X[0], BETAS), "samples.*one row each"),
    "nan": (lambda: plot_reconstructions(FRONTIER, X * np.nan, BETAS), "samples.*finite"),
    "beta 0": (lambda: plot_reconstructions(FRONTIER, X, [0.0], image_shape=SHAPE), "betas"),
    "no beta": (lambda: plot_reconstructions(FRONTIER, X, [], image_shape=SHAPE), "betas"),
    "four numbers": (
        lambda: plot_reconstructions(FRONTIER, X, BETAS, image_shape=(1, 2, 2, 3)),
        "image_shape",
    ),
    "no pixels": (
        lambda: plot_reconstructions(FRONTIER, X, BETAS, image_shape=(0, 12)),
        "image_shape",
    ),
    "range": (
        lambda: plot_reconstructions(FRONTIER, X, BETAS, image_shape=SHAPE, value_range=(1, 0)),
        "value_range",
    ),
    "latents": (
        lambda: plot_samples(EXACT, np.zeros((2, 4)), BETAS, image_shape=SHAPE),
        "the model has 3 latents",
    ),
    "start": (lambda: plot_traversal(EXACT, 1.0, start=[0.0] * 4, image_shape=SHAPE), "start"),
    "no start": (lambda: plot_traversal(lambda z, b: z, 1.0), "start.*np.zeros"),
    "no such latent": (lambda: plot_traversal(EXACT, 1.0, latents=[3]), "there are 3"),
    "both": (lambda: plot_traversal(EXACT, [1.0, 2.0], latents=[0, 1]), "one β, or one latent"),
    "values": (lambda: plot_traversal(EXACT, 1.0, values=[np.inf], image_shape=SHAPE), "values"),
    "fewer images": (
        lambda: plot_reconstructions(lambda x, b: x[1:], X, BETAS, image_shape=SHAPE),
        "model: got images of shape",
    ),
    "nan made": (
        lambda: plot_reconstructions(lambda x, b: x * np.nan, X, BETAS, image_shape=SHAPE),
        "model.*finite",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_error(name: str) -> None:
    call, match = BAD[name]
    with pytest.raises(InputError, match=match):
        call()


@pytest.mark.parametrize("model", [vae(1.0), SPECTRUM, Frontier, None])
def test_what_is_no_model_is_refused(model: Any) -> None:
    for draw, given in ((plot_reconstructions, (X, BETAS)), (plot_samples, (Z, BETAS)),
                        (plot_traversal, (1.0,))):  # fmt: skip
        with pytest.raises(InputTypeError, match="a callable"):
            draw(model, *given)  # type: ignore[operator]
