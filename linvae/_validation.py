"""Checks of outside input. A failure is one sentence: what came, what was expected, what to do."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from .errors import InputError, InputTypeError, MissingPackageError

__all__ = [
    "FloatArray",
    "as_array",
    "as_matrix",
    "as_number",
    "as_positive",
    "as_positive_number",
    "as_vector",
    "check_broadcast",
    "check_count",
    "check_finite",
    "check_generator",
    "check_latent_dim",
    "check_no_underflow",
    "check_representable",
    "check_spectrum",
    "fail",
    "frozen",
    "missing_package",
]

FloatArray = NDArray[np.float64]


def fail(
    name: str, got: object, expected: str, remedy: str, kind: type[InputError] = InputError
) -> NoReturn:
    """Raise `kind` with the three parts every linvae error message has."""
    raise kind(f"{name}: got {got}; expected {expected}; {remedy}")


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only array, so that results cannot be changed behind their owner's back.

    An array that can still be written to is copied: its maker may hold it, too.
    """
    if array.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    return array


def as_array(name: str, value: Any) -> NDArray[Any]:
    """Turn a number, a sequence or any library's array into a real NumPy array (dtype kept)."""
    # torch refuses __array__ for tensors that require grad or live on a device.
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            value = np.from_dlpack(value)
        array = np.asarray(value)
    except ValueError:
        fail(name, "rows of unequal length", "a rectangular array", "pad or drop the odd rows")
    except (TypeError, RuntimeError) as error:  # bfloat16, sparse and the like
        fail(
            name,
            f"{type(value).__name__} that NumPy cannot read ({error})",
            "a dense array of a NumPy dtype",
            "convert it first, say with .float() or .to_dense()",
            InputTypeError,
        )
    if np.ma.isMaskedArray(value):
        fail(name, "a masked array", "a plain array", "fill or drop the masked entries first")
    if array.dtype.kind not in "biuf":
        fail(
            name,
            f"dtype {array.dtype}",
            "real numbers (float, integer or bool)",
            "convert it with .astype(float), or drop the columns that are not numbers",
            InputTypeError,
        )
    return array


def check_finite(name: str, array: NDArray[Any]) -> None:
    """Refuse NaN and infinity, naming the first place."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        where = f" at index {', '.join(map(str, index))}" if index else ""
        fail(
            name,
            f"{array[index]}{where}",
            "finite numbers only",
            "remove or impute such entries (np.isfinite finds them)",
        )


def _as_float(name: str, value: Any, ndim: int, shape_text: str) -> FloatArray:
    array = as_array(name, value)
    if array.ndim != ndim or 0 in array.shape:
        fail(
            name,
            f"shape {array.shape}",
            f"a non-empty array of shape {shape_text}",
            "reshape it (one row per sample, one column per feature)"
            if ndim == 2
            else "pass one number per entry",
        )
    check_finite(name, array)
    return np.asarray(array, dtype=np.float64)


def as_matrix(name: str, value: Any, shape_text: str = "(rows, columns)") -> FloatArray:
    """Return a finite, non-empty float64 matrix."""
    return _as_float(name, value, 2, shape_text)


def as_vector(name: str, value: Any, size: int | None = None) -> FloatArray:
    """Return a finite, non-empty float64 vector, of the given size if one is given."""
    vector = _as_float(name, value, 1, "(n,)" if size is None else f"({size},)")
    if size is not None and vector.size != size:
        fail(name, f"{vector.size} entries", f"{size} entries", "pass exactly that many")
    return vector


def as_positive(name: str, value: Any, remedy: str) -> FloatArray:
    """Return float64 number(s) that are finite and > 0, of any shape; a copy."""
    array = as_array(name, value)
    if array.size == 0:
        fail(name, "an empty array", "at least one number > 0", remedy)
    # A copy: results hold these numbers, and the caller may go on writing to the array.
    numbers = np.array(array, dtype=np.float64)
    good = np.isfinite(numbers) & (numbers > 0)
    if not good.all():
        fail(name, f"{numbers[~good].flat[0]}", "finite numbers > 0", remedy)
    return numbers


def as_number(name: str, value: Any, remedy: str) -> float:
    """Return one finite number; sequences and text are refused."""
    array = as_array(name, value)
    if array.ndim:
        fail(name, f"shape {array.shape}", "a single number", remedy)
    check_finite(name, array)
    return float(array)


def as_positive_number(name: str, value: Any, remedy: str) -> float:
    """Return one finite number > 0."""
    number = as_positive(name, value, remedy)
    if number.ndim:
        fail(name, f"shape {number.shape}", "a single number", remedy)
    return float(number)


def check_broadcast(**arrays: NDArray[Any]) -> None:
    """Refuse arrays that do not go together, naming their shapes."""
    try:
        np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        fail(
            ", ".join(arrays),
            "shapes " + ", ".join(str(array.shape) for array in arrays.values()),
            "shapes that broadcast",
            "pass one value of each per point, or a single number",
        )


def check_representable(name: str, array: NDArray[Any] | float, remedy: str) -> None:
    """Refuse a result that has left the float64 range."""
    if not np.isfinite(array).all():
        fail(name, "values that lead beyond the float64 range", "a finite result", remedy)


def check_no_underflow(posterior_variance: FloatArray) -> FloatArray:
    """Return posterior variances, all > 0; below that, β is too small for float64."""
    if not (posterior_variance > 0).all():
        fail(
            "beta",
            "a value whose posterior variance min(1, βσ²/λ) vanishes in float64",
            "β above 1e-300 times the largest critical β λ₁/σ²",
            "use a larger β",
        )
    return posterior_variance


def check_count(name: str, value: Any, low: int, high: int | None, remedy: str) -> int:
    """Return an integer within [low, high]; floats and bools are refused."""
    expected = f"an integer >= {low}" + ("" if high is None else f" and <= {high}")
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        fail(name, repr(value), expected, remedy, InputTypeError)
    if value < low or (high is not None and value > high):
        fail(name, str(value), expected, remedy)
    return int(value)


def check_latent_dim(latent_dim: Any, n_features: int) -> int:
    """Return the latent size k with 1 <= k <= n."""
    return check_count(
        "latent_dim",
        latent_dim,
        1,
        n_features,
        "a linear VAE uses between one latent and one per feature",
    )


def check_spectrum(value: Any) -> None:
    """Refuse what is not a spectrum, above all the data or the covariance themselves."""
    if not hasattr(value, "leading_eigenvalues") or isinstance(value, type):
        shape = getattr(value, "shape", None)
        fail(
            "spectrum",
            type(value).__name__ + (f" of shape {shape}" if isinstance(shape, tuple) else ""),
            "a Spectrum",
            "build it with Spectrum.from_samples(X) or Spectrum.from_covariance(S)",
            InputTypeError,
        )


def missing_package(package: str, what: str, extra: str) -> MissingPackageError:
    """Return the error about an optional package, which names the extra that brings it."""
    return MissingPackageError(
        f"{package}: got no such package; expected {what}; "
        f"install it with pip install linvae[{extra}]"
    )


def check_generator(rng: Any) -> None:
    """Refuse seeds and the legacy RandomState where a generator is expected."""
    if not isinstance(rng, np.random.Generator):
        fail(
            "rng",
            f"{type(rng).__name__} {str(rng)[:40]}",
            "a numpy Generator",
            "pass np.random.default_rng(seed)",
            InputTypeError,
        )
