"""Every refusal says what came, what was expected and what to do."""

from __future__ import annotations

import numpy as np
import pytest

from linvae import errors
from linvae._validation import (
    as_array,
    as_matrix,
    as_positive,
    as_vector,
    check_count,
    check_finite,
    check_latent_dim,
    fail,
    frozen,
)
from linvae.errors import InputError, InputTypeError


def test_fail_has_three_parts_and_a_chosen_class():
    with pytest.raises(InputError, match=r"^x: got 1; expected 2; do this$"):
        fail("x", 1, "2", "do this")
    with pytest.raises(errors.RangeError):
        fail("x", 1, "2", "do this", errors.RangeError)


def test_the_classes_can_be_caught_as_the_builtin_ones():
    kinds = [getattr(errors, name) for name in errors.__all__]
    for kind in kinds:
        if issubclass(kind, Warning):
            assert issubclass(kind, errors.LinvaeWarning)
        elif kind in (errors.SubjectError, errors.FlowError):
            assert issubclass(kind, RuntimeError)  # not about what was passed in
        else:
            assert issubclass(kind, InputError)
            assert issubclass(kind, ValueError)
    assert issubclass(InputTypeError, TypeError)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint64", "bool"])
def test_real_dtypes_pass_and_are_kept(dtype):
    array = as_array("x", np.ones(3, dtype))
    assert array.dtype == dtype
    assert as_vector("x", np.ones(3, dtype)).dtype == np.float64


class _Tensor:
    """A tensor that needs gradients: it refuses __array__ until detached and moved."""

    def __init__(self, values, ready=False):
        self._values, self._ready = values, ready

    def detach(self):
        return _Tensor(self._values)

    def cpu(self):
        return _Tensor(self._values, ready=True)

    def __array__(self, dtype=None, copy=None):
        if not self._ready:
            raise RuntimeError("call detach and cpu first")
        return np.array(self._values, dtype=dtype)


class _DLPack:
    """An array that speaks DLPack only."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


class _Unreadable:
    def __array__(self, dtype=None, copy=None):
        raise TypeError("no such layout")


def test_arrays_of_other_libraries():
    assert as_array("x", _Tensor([1.0, 2.0])).tolist() == [1.0, 2.0]
    assert as_array("x", _DLPack(np.arange(3.0))).tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(InputTypeError, match=r"x: got _Unreadable .*no such layout.*dense array"):
        as_array("x", _Unreadable())


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (1j, "got dtype complex128; expected real numbers"),
        (np.array([1.0], object), "got dtype object; expected real numbers"),
        ("a", "got dtype <U1; expected real numbers"),
        (b"a", r"got dtype \|S1; expected real numbers"),
        (None, "got dtype object; expected real numbers"),
        (object(), "got dtype object"),
        (np.datetime64("2020-01-01"), "got dtype datetime64"),
        (np.zeros(2, [("a", float)]), "got dtype .*; expected real numbers"),
    ],
)
def test_kinds_that_are_no_numbers(bad, message):
    for check in (as_array, as_vector, as_matrix, lambda n, v: as_positive(n, v, "fix it")):
        with pytest.raises(InputTypeError, match=rf"^x: {message}"):
            check("x", bad)


def test_ragged_and_masked():
    with pytest.raises(InputError, match="x: got rows of unequal length; expected a rectangular"):
        as_array("x", [[1.0], [1.0, 2.0]])
    with pytest.raises(InputError, match="x: got a masked array; expected a plain array; fill"):
        as_array("x", np.ma.masked_invalid([1.0, np.nan]))


def test_finite():
    check_finite("x", np.array([1.0]))
    check_finite("x", np.array([1, 2]))
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(InputError, match=rf"x: got {bad} at index .*1, 0.*expected finite num"):
            check_finite("x", np.array([[1.0, 2.0], [bad, np.nan]]))
        with pytest.raises(InputError, match=rf"^x: got {bad}; expected finite numbers only"):
            check_finite("x", np.array(bad))


@pytest.mark.parametrize("bad", [3.0, [], [[1.0]], np.zeros((0, 2))])
def test_vectors(bad):
    with pytest.raises(InputError, match=r"x: got shape .*; expected a non-empty array of shape"):
        as_vector("x", bad)
    with pytest.raises(InputError, match=r"of shape \(4,\); pass one number per entry"):
        as_vector("x", bad, 4)
    with pytest.raises(InputError, match="x: got 2 entries; expected 4 entries"):
        as_vector("x", [1.0, 2.0], 4)


@pytest.mark.parametrize("bad", [3.0, [], [1.0], np.zeros((0, 2)), np.zeros((1, 2, 3))])
def test_matrices(bad):
    with pytest.raises(InputError, match=r"expected a non-empty array of shape \(rows, columns\)"):
        as_matrix("x", bad)
    assert as_matrix("x", [[1, 2]]).shape == (1, 2)
    with pytest.raises(InputError, match=r"x: got nan at index"):
        as_matrix("x", [[np.nan]])


@pytest.mark.parametrize("bad", [0, -1, 0.0, -0.0, np.nan, np.inf, -np.inf, [1, 0], False])
def test_positive(bad):
    with pytest.raises(InputError, match=r"x: got .*; expected finite numbers > 0; fix it"):
        as_positive("x", bad, "fix it")


def test_positive_keeps_shapes():
    assert as_positive("x", 2, "fix").shape == ()
    assert as_positive("x", [[5e-324, 1.7e308]], "fix").shape == (1, 2)
    with pytest.raises(InputError, match="x: got an empty array; expected at least one number > 0"):
        as_positive("x", [], "fix")
    with pytest.raises(InputError, match=r"got -3.0; expected finite"):
        as_positive("x", [1.0, -3.0, np.nan], "fix")


def test_positive_numbers_are_a_copy():
    source = np.array([1.0, 2.0])
    held = as_positive("x", source, "fix")
    source[0] = -1.0
    assert held.tolist() == [1.0, 2.0]


def test_counts():
    assert check_count("k", np.int32(3), 1, 3, "fix") == 3
    assert type(check_count("k", np.int32(3), 1, 3, "fix")) is int
    assert check_count("k", 10**12, 1, None, "fix") == 10**12
    for bad in (0, 4, -1):
        with pytest.raises(InputError, match=rf"k: got {bad}; expected an integer >= 1 and <= 3"):
            check_count("k", bad, 1, 3, "fix")
    with pytest.raises(InputError, match="k: got 0; expected an integer >= 1; fix"):
        check_count("k", 0, 1, None, "fix")
    for bad in (1.0, True, np.True_, "1", None, np.array(1), np.nan):
        with pytest.raises(InputTypeError, match=r"k: got .*; expected an integer >= 1"):
            check_count("k", bad, 1, 3, "fix")
    assert check_latent_dim(2, 2) == 2
    with pytest.raises(InputError, match=r"latent_dim: got 3; .*<= 2; a linear VAE uses between"):
        check_latent_dim(3, 2)


def test_frozen_arrays_are_nobody_elses():
    source = np.ones(3)
    held = frozen(source)
    source[0] = 5.0
    assert held.tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(ValueError, match=r"read-only"):
        held[0] = 2.0
    assert frozen(held) is held
    wide = np.broadcast_to(np.ones(1), (1000, 1000))
    assert frozen(wide).strides == (0, 0), "a broadcast array is not written out"
