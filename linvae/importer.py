"""Trained weights of any library, read as one linear VAE; no deep-learning library is imported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._layers import WHAT_LAYERS_ARE, LayerItem, LayerObject, layer_items
from ._types import LinearVAE
from ._validation import FloatArray, as_positive, check_finite, fail

__all__ = ["from_layers"]

_LAYOUTS = ("out_in", "in_out")


class _Affine(NamedTuple):
    """x -> weight x + bias."""

    weight: FloatArray  # shape: (out, in)
    bias: FloatArray  # shape: (out,)


def from_layers(
    encoder: Any,
    decoder: Any,
    *,
    log_variance: Any,
    noise_variance: Any,
    layout: str = "out_in",
) -> LinearVAE:
    r"""Turn the trained weights of several linear layers into a linear VAE.

    .. math:: E x + h = W_L(\cdots(W_1 x + b_1)\cdots) + b_L, \qquad
              D z + m = V_M(\cdots(V_1 z + a_1)\cdots) + a_M, \qquad c = e^{\text{log variance}}

    Biases become ``latent_offset`` h and ``decoder_offset`` m, which represents every bias, also
    when E is rank-deficient; ``encoder_offset`` is 0.

    Parameters
    ----------
    encoder : array, or sequence of layers
        From data (n) to posterior means (k), the first layer first. A layer is a matrix W, a pair
        (W, b), or (W, None); sequences may be nested and biases may follow their weights in a flat
        list, so ``[trunk, mean_head]`` for a shared trunk, ``model.get_weights()`` of Keras and
        ``model.parameters()`` of torch are understood. Layer objects are read too: torch's
        ``Linear`` and Keras' ``Dense`` without activation, ``Sequential`` of them, with
        ``Identity`` and ``Flatten``. Arrays may be of any library that offers ``__array__`` or
        DLPack.
    decoder : array, or sequence of layers
        From latents (k) to the means of p(x|z) (n), in the same forms.
    log_variance : number, array (k,), or layers
        Natural logarithm of the posterior variances; one number stands for all latents. A head
        (W, b) is accepted when its weights are zero.
    noise_variance : float
        σ² of p(x|z), squared data units: ½ for a loss of summed squared error plus β KL.
    layout : {"out_in", "in_out"}
        How matrices are stored: (out, in) as torch does, or (in, out) as Keras and Flax do. Layer
        objects know theirs. For square matrices nothing can reveal a wrong layout.

    Returns
    -------
    LinearVAE

    Raises
    ------
    InputError
        Shapes that do not fit, more latents than features, values that are not finite, a
        log-variance that depends on x.
    InputTypeError
        Activations, other non-linear modules, functions, or arrays that are not real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from linvae.importer import from_layers
    >>> trunk, mean_head = np.ones((3, 4)), (np.eye(2, 3), np.array([0.5, 0.0]))
    >>> vae = from_layers([trunk, mean_head], np.ones((4, 2)), log_variance=-1, noise_variance=0.5)
    >>> vae.encode(np.ones((1, 4)))
    array([[4.5, 4. ]])
    """
    if layout not in _LAYOUTS:
        fail(
            "layout",
            repr(layout),
            "'out_in' or 'in_out'",
            "use 'out_in' for torch weights, 'in_out' for Keras kernels",
        )
    reading = _compose("encoder", layer_items("encoder", encoder), layout)
    writing = _compose("decoder", layer_items("decoder", decoder), layout)
    _check_ends(reading.weight.shape, writing.weight.shape, layout)
    k = len(reading.weight)
    return LinearVAE(
        encoder=reading.weight,
        posterior_variance=_posterior_variance(log_variance, k, layout),
        decoder=writing.weight,
        noise_variance=_noise_variance(noise_variance),
        decoder_offset=writing.bias,
        latent_offset=reading.bias,
    )


def _check_ends(reading: tuple[int, ...], writing: tuple[int, ...], layout: str) -> None:
    (k, n), (n_out, k_in) = reading, writing
    if k > n:
        fail(
            "encoder",
            f"{k} latents for {n} features",
            "k <= n",
            f"pass layout={_other(layout)!r} if matrices are stored the other way",
        )
    if (n_out, k_in) == (n, k):
        return
    remedy = "pass encoder and decoder of the same model"
    if (k_in, n_out) == (n, k):
        remedy = "transpose the decoder's matrices, so that both sides have one layout"
    elif k == 2 * k_in and n_out == n:
        remedy = (
            "if the encoder's last layer gives means and log-variances, pass its rows for the "
            "means here and the others as log_variance"
        )
    fail(
        "decoder",
        f"a map from {k_in} to {n_out} values",
        f"one from {k} to {n}, the inverse direction of the encoder",
        remedy,
    )


def _posterior_variance(log_variance: Any, k: int, layout: str) -> FloatArray:
    name = "log_variance"
    items = list(layer_items(name, log_variance))
    if len(items) == 1 and isinstance(items[0], np.ndarray):
        logs = _vector(name, items[0])
    else:
        logs = _constant_head(_compose(name, items, layout))
    if logs.size not in (1, k):
        fail(
            name,
            f"{logs.size} entries",
            f"{k}, one per latent, or a single number",
            "pass the logarithms of the posterior variances",
        )
    with np.errstate(over="ignore", under="ignore"):
        variance = np.exp(logs)
    bad = ~np.isfinite(variance) | (variance == 0)
    if bad.any():
        fail(
            name,
            logs[bad][0],
            "logarithms whose exponential float64 holds, -745 to 709",
            "pass natural logarithms of variances",
        )
    return np.broadcast_to(variance, (k,))


def _vector(name: str, array: NDArray[Any]) -> FloatArray:
    if array.ndim > 1 or array.size == 0:
        fail(
            name,
            f"shape {array.shape}",
            "one number per latent, or one for all of them",
            "flatten it, or pass a constant head as (W, b)",
        )
    check_finite(name, array)
    return np.atleast_1d(array).astype(np.float64)


def _constant_head(head: _Affine) -> FloatArray:
    largest = float(np.abs(head.weight).max())
    if largest > 0:
        fail(
            "log_variance",
            f"a head with weights up to {largest:.3g}",
            "weights that are zero, a posterior variance that is the same for every x",
            "this model is not a linear VAE with a shared C: train a log-variance vector instead "
            "of a head",
        )
    return head.bias


def _noise_variance(value: Any) -> FloatArray:
    variance = as_positive("noise_variance", value, "pass the decoder's variance σ²")
    if variance.size != 1:
        fail(
            "noise_variance",
            f"shape {variance.shape}",
            "one number",
            "a linear VAE has the same σ² in every dimension",
        )
    return variance.reshape(())


def _compose(name: str, items: Iterable[LayerItem], layout: str) -> _Affine:
    """Multiply the layers out into one affine map."""
    pairs = list(_pairs(name, items, layout))
    if not pairs:
        fail(name, "no layer with weights", WHAT_LAYERS_ARE, "pass at least one linear layer")
    _check_chain(name, [weight.shape for weight, _ in pairs], layout)
    (weight, bias), rest = pairs[0], pairs[1:]
    with np.errstate(over="ignore", invalid="ignore"):
        for matrix, shift in rest:
            weight, bias = matrix @ weight, matrix @ bias + shift
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        fail(
            name,
            "layers whose product exceeds float64",
            "representable numbers",
            "rescale the layers: a factor moved from one to the next changes nothing",
        )
    return _Affine(weight, bias)


def _check_chain(name: str, shapes: list[tuple[int, ...]], layout: str) -> None:
    """Every layer takes what the one before it gives."""
    for number in range(1, len(shapes)):
        before, here = shapes[number - 1], shapes[number]
        if here[1] == before[0]:
            continue
        remedy = "pass the layers in the order in which data flows through them"
        if all(a[1] == b[0] for a, b in pairwise(shapes)):
            remedy = f"the transposes fit: pass layout={_other(layout)!r}"
        elif here[0] == before[0]:
            remedy = f"its transpose fits: store every layer as {layout}"
        fail(
            f"{name} layer {number + 1}",
            f"{here[1]} inputs (shape {_stored(here, layout)})",
            f"{before[0]}, the outputs of layer {number} (shape {_stored(before, layout)})",
            remedy,
        )


def _other(layout: str) -> str:
    return _LAYOUTS[layout == "out_in"]


def _stored(shape: tuple[int, ...], layout: str) -> tuple[int, ...]:
    return shape if layout == "out_in" else shape[::-1]


def _pairs(name: str, items: Iterable[LayerItem], layout: str) -> Iterator[_Affine]:
    """Weights (out, in) and biases of each layer, biases of zero where there are none."""
    weight: FloatArray | None = None
    count = 0
    for item in items:
        if item is None or (isinstance(item, np.ndarray) and item.ndim == 1):
            if weight is None:
                got = "no weight" if item is None else f"a vector of shape {item.shape}"
                fail(
                    f"{name} layer {count + 1}",
                    got,
                    "a weight matrix before its bias",
                    "pass each layer as W or (W, b)",
                )
            yield _Affine(weight, _bias(f"{name} layer {count}", item, len(weight)))
            weight = None
            continue
        if weight is not None:
            yield _Affine(weight, np.zeros(len(weight)))
            weight = None
        count += 1
        label = f"{name} layer {count}"
        if isinstance(item, LayerObject):
            matrix = _matrix(label, item.weight, "out_in")
            yield _Affine(matrix, _bias(label, item.bias, len(matrix)))
        else:
            weight = _matrix(label, item, layout)
    if weight is not None:
        yield _Affine(weight, np.zeros(len(weight)))


def _matrix(label: str, array: NDArray[Any], layout: str) -> FloatArray:
    if array.ndim != 2 or 0 in array.shape:
        expected = "(out, in)" if layout == "out_in" else "(in, out)"
        fail(
            f"{label} weight",
            f"shape {array.shape}",
            f"a non-empty matrix {expected}",
            "import one model at a time, fully connected layers only",
        )
    check_finite(f"{label} weight", array)
    matrix = array.astype(np.float64)
    return matrix if layout == "out_in" else matrix.T


def _bias(label: str, array: NDArray[Any] | None, size: int) -> FloatArray:
    if array is None:
        return np.zeros(size)
    if array.shape != (size,):
        fail(
            f"{label} bias",
            f"shape {array.shape}",
            f"({size},), one entry per output",
            "check the layout of the weight, or pass None for no bias",
        )
    check_finite(f"{label} bias", array)
    return array.astype(np.float64)
