"""Arrays of other libraries: moments where the array is, in float64, and nothing else moves."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linvae import Spectrum, _arrays, _moments
from linvae.errors import InputError, InputTypeError
from linvae.testing import strategies
from tests.tolerances import assert_close

DTYPES = ("float32", "float64", "int32", "uint8", "bool")


class _Elsewhere:
    """An array of the array API that counts what leaves its device."""

    def __init__(self, array, space):
        self.array, self.space = array, space
        self.dtype, self.shape, self.ndim = array.dtype, array.shape, array.ndim
        self.device = "elsewhere"

    def __array_namespace__(self, api_version=None):
        return self.space

    def get(self):
        self.space.moved.append(self.shape)
        return self.array

    def _with(self, other, operation):
        other = other.array if isinstance(other, _Elsewhere) else other
        return _Elsewhere(operation(self.array, other), self.space)

    def __getitem__(self, key):
        return _Elsewhere(self.array[key], self.space)

    def __bool__(self):
        return bool(self.array)

    def __add__(self, other):
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other):
        return self._with(other, lambda a, b: a - b)

    def __mul__(self, other):
        return self._with(other, lambda a, b: a * b)

    def __ne__(self, other):
        return self._with(other, lambda a, b: a != b)

    __hash__ = None
    __radd__, __rmul__ = __add__, __mul__


class _Space:
    """The part of the array API standard that is used, over NumPy."""

    float64 = np.dtype("float64")

    def __init__(self, supports_double=True):
        self.moved = []
        self.double = np.float64 if supports_double else np.float32

    def __getattr__(self, name):
        function = getattr(np, name)

        def call(*values, **options):
            plain = [v.array if isinstance(v, _Elsewhere) else v for v in values]
            return _Elsewhere(function(*plain, **options), self)

        return call

    def isdtype(self, dtype, kind):
        return np.isdtype(dtype, kind)

    def astype(self, value, dtype):
        return _Elsewhere(value.array.astype(self.double), self)

    def asarray(self, value, device):
        assert device == "elsewhere"
        return _Elsewhere(value, self)


def _check(found: Spectrum, X: np.ndarray) -> None:
    want = Spectrum.from_samples(X)
    size = X.shape[1]
    scale = want.total_variance + 1e-300
    assert_close(found.eigenvalues, want.eigenvalues, "rounding", scale=scale, size=size)
    assert_close(found.covariance, want.covariance, "rounding", scale=scale, size=size)
    assert_close(found.mean, want.mean, "ulps", scale=np.abs(X).max() + 1e-300)
    assert (found.rank, found.n_samples) == (want.rank, want.n_samples)
    for array in (found.mean, found.eigenvalues, found.eigenvectors):
        assert type(array) is np.ndarray
        assert array.dtype == np.float64


@given(strategies.generators(), st.integers(2, 60), st.integers(1, 9), st.sampled_from([0, 1e8]))
def test_only_small_matrices_leave_the_device(rng, count, n, offset):
    X = offset + rng.standard_normal((count, n))
    space = _Space()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_moments, "_BLOCK_ENTRIES", 13 * n)
        _check(Spectrum.from_samples(_Elsewhere(X, space)), X)
    small = min(count, n)
    assert set(space.moved) <= {
        (n,),
        (small, small),
        (n, small),
        (n, np.linalg.matrix_rank(X - X[0])),
    }


def test_a_device_without_float64_is_left():
    X = np.random.default_rng(0).standard_normal((20, 3))
    space = _Space(supports_double=False)

    class Old(_Elsewhere):
        def __array__(self, dtype=None, copy=None):
            return self.array

    _check(Spectrum.from_samples(Old(X, space)), X)
    assert not space.moved


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(70, 4), (3, 6)])
def test_torch_tensors(dtype, shape):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    X = (100 + 30 * rng.standard_normal(shape)).astype(dtype)
    if dtype == "bool":
        X = rng.random(shape) < 0.5
    seen: list[tuple[int, int | None]] = []
    tensor = torch.from_numpy(X)
    _check(Spectrum.from_samples(tensor, progress=lambda *now: seen.append(now)), X)
    assert seen[-1] == (shape[0], shape[0])
    assert np.array_equal(tensor.numpy(), X), "the input must not be changed"


def test_torch_tensors_stay_in_torch(monkeypatch):
    """A tensor with a gradient, a large mean and constant columns; NumPy sees small arrays only."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("array_api_compat")
    X = 1e8 + np.random.default_rng(2).standard_normal((500, 4))
    X[:, 2] = 0.1
    sizes: list[int] = []
    host = _arrays._host
    monkeypatch.setattr(_arrays, "_host", lambda a: sizes.append(a.numel()) or host(a))
    found = Spectrum.from_samples(torch.from_numpy(X).requires_grad_())
    _check(found, X)
    assert max(sizes) == 16
    assert found.rank == 3


def test_without_array_api_compat_tensors_go_through_numpy(monkeypatch):
    torch = pytest.importorskip("torch")
    X = np.random.default_rng(3).standard_normal((9, 3))

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(_arrays, "import_module", missing)
    _check(Spectrum.from_samples(torch.from_numpy(X)), X)


def test_torch_leading_and_iterative():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    for shape in ((120, 60), (60, 120)):
        X = rng.standard_normal(shape) * np.geomspace(3, 0.1, shape[1])
        want = Spectrum.from_samples(X).eigenvalues[:2]
        for solver in ("direct", "iterative"):
            found = Spectrum.from_samples(torch.from_numpy(X), leading=2, solver=solver)
            assert_close(found.eigenvalues, want)
            assert (found.eigenvalue_errors is None) == (solver == "direct")


def test_bad_tensors():
    torch = pytest.importorskip("torch")
    bad = torch.zeros(5, 3)
    bad[4, 1] = float("nan")
    for source in (bad, bad.double(), torch.cat([bad.T, bad.T])[:, :5]):
        place = "row 4, column 1" if source.shape == (5, 3) else "row 1, column 4"
        with pytest.raises(InputError, match=f"nan at {place}"):
            Spectrum.from_samples(source)
    with pytest.raises(InputError, match="nan at row 1, column 4"):
        Spectrum.from_samples(bad.T)
    with pytest.raises(InputTypeError, match="complex"):
        Spectrum.from_samples(torch.zeros(5, 3, dtype=torch.complex64))
    with pytest.raises(InputError, match=r"got shape \(3,\)"):
        Spectrum.from_samples(torch.zeros(3))
    for size, word in ((1e-170, "vanish"), (1e160, "exceed")):
        for shape in ((9, 3), (3, 9)):
            values = torch.from_numpy(np.random.default_rng(0).standard_normal(shape) * size)
            with pytest.raises(InputError, match=f"squares {word}"):
                Spectrum.from_samples(values)


def test_torch_is_not_imported_for_others(monkeypatch):
    """Lists and NumPy arrays ask for no other library."""
    real = builtins.__import__

    def guarded(name, *args, **options):
        assert name.partition(".")[0] not in ("torch", "dask", "array_api_compat")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", guarded)
    X = np.eye(3)
    assert Spectrum.from_samples(X).rank == Spectrum.from_samples(X.tolist()).rank == 2
