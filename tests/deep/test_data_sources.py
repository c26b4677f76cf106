"""Gaussian sources, batches as functions of the step, pixels drawn from grey ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import linvae
from deep.config import DataConfig
from deep.data.batches import TensorBatches
from deep.data.binarise import BinarisedBatches, binarise_once
from deep.data.dataset import DataSet
from deep.data.gaussian import GaussianSource
from deep.data.load import batches_from, load_dataset, source_from
from deep.errors import DataError
from tests.tolerances import assert_close, tolerance

RNG = np.random.default_rng(7)
STANDARD_ERRORS = tolerance("monte_carlo")

# --- Gaussian sources ---------------------------------------------------------------------------

VALUES = (0.5, 4.0, 0.0, 1.0)
MEAN = (1.0, -2.0, 3.0, 0.0)


@pytest.mark.parametrize("rotation", [True, False])
def test_moments_of_a_source_are_those_of_its_spectrum(rotation):
    """Entries of the covariance of N samples have standard error √((S_ii S_jj + S_ij²)/N)."""
    source = GaussianSource(VALUES, seed=3, rotation=rotation, mean=MEAN, dtype=torch.float64)
    count = 40_000
    S = source.spectrum.covariance
    assert_close(np.linalg.eigvalsh(S)[::-1], np.sort(VALUES)[::-1], scale=1.0)
    assert np.allclose(S, np.diag(VALUES)) == (not rotation)
    error = np.sqrt((np.outer(np.diag(S), np.diag(S)) + S**2) / count)
    for x in (source.batch(0, count, seed=1).numpy(), source.sample(count, "test")):
        got = np.cov(x.T, bias=True)
        assert (np.abs(got - S) <= STANDARD_ERRORS * error + 1e-12).all()
        means = np.abs(x.mean(axis=0) - MEAN)
        assert (means <= STANDARD_ERRORS * np.sqrt(np.diag(S) / count) + 1e-12).all()


def test_batches_of_a_source_are_functions_of_their_arguments():
    source, same = (GaussianSource(VALUES, seed=3) for _ in range(2))
    first = source.batch(7, 5, seed=1)
    source.batch(8, 5, seed=1)
    assert torch.equal(first, source.batch(7, 5, seed=1))
    assert torch.equal(first, same.batch(7, 5, seed=1))
    assert first.dtype == torch.float32
    assert torch.equal(first.double(), same.to(torch.float64).batch(7, 5, 1).float().double())
    others = [source.batch(8, 5, seed=1), source.batch(7, 5, seed=2),
              GaussianSource(VALUES, seed=4).batch(7, 5, seed=1)]  # fmt: skip
    assert not any(torch.equal(first, other) for other in others)
    assert source.steps_per_epoch(128) == 390
    assert source.steps_per_epoch(10**6) == 1


def test_held_out_samples_of_a_source_are_fixed_and_its_own():
    source = GaussianSource(VALUES, seed=3)
    assert np.array_equal(
        source.sample(5, "test"), GaussianSource(VALUES, seed=3).sample(5, "test")
    )
    assert not np.array_equal(source.sample(5, "test"), source.sample(5, "valid"))
    with pytest.raises(DataError, match="count"):
        source.sample(0)


def test_random_rotations_are_orthogonal_and_have_no_preferred_sign():
    """A plain QR leaves signs fixed: the mean of an entry over seeds would not be near 0."""
    corners = []
    for seed in range(200):
        basis = GaussianSource([3.0, 2.0, 1.0], seed=seed).spectrum.eigenvectors
        assert_close(basis.T @ basis, np.eye(3))
        corners.append(basis[0, 0])
    assert abs(np.mean(corners)) <= STANDARD_ERRORS * math.sqrt(1 / 3 / 200)


@pytest.mark.parametrize(
    ("values", "mean", "said"),
    [
        ([], None, "spectrum"),
        ([[1.0]], None, "spectrum"),
        ([1.0, math.nan], None, "nan"),
        ([math.inf], None, "inf"),
        ([1.0] * 10_001, None, "10001"),
        ([1.0], [1.0, 2.0], "mean: got 2 numbers"),
    ],
)
def test_sources_that_cannot_be_are_refused(values, mean, said):
    with pytest.raises(DataError, match=said):
        GaussianSource(values, mean=mean)


def test_a_source_from_its_settings():
    config = DataConfig(name="gaussian", spectrum=(2.0, 1.0), limit=30)
    source = source_from(config)
    assert source is not None
    assert isinstance(source.spectrum, linvae.Spectrum)
    train, test = (load_dataset(config, split=split) for split in ("train", "test"))
    assert train.samples.shape == (30, 2)
    assert np.array_equal(test.samples, source.sample(30, "test"))
    assert not np.array_equal(train.samples, test.samples)
    batches = batches_from(config, dtype=torch.float64)
    assert torch.equal(batches.batch(3, 4, 5), source.to(torch.float64).batch(3, 4, 5))
    assert source_from(DataConfig(name="digits")) is None
    default = load_dataset(DataConfig(name="gaussian", spectrum=(1.0,)), split="test")
    assert len(default) == 10_000


# --- batches ------------------------------------------------------------------------------------


def test_batches_of_settings_data_sets_and_sources():
    config = DataConfig(name="digits", limit=20)
    data = load_dataset(config, split="train")
    from_data = batches_from(data).batch(3, 4, 5)
    assert isinstance(batches_from(data), TensorBatches)
    assert torch.equal(batches_from(config).batch(3, 4, 5), from_data)
    assert from_data.shape == (4, 8, 8)
    flat = batches_from(config, flatten=True)
    assert flat.sample_shape == (64,)
    assert torch.equal(flat.batch(3, 4, 5), from_data.reshape(4, 64))
    source = GaussianSource([1.0])
    assert batches_from(source) is source


def grey(rows):
    return DataSet("grey", "train", np.tile(np.array([[0, 51, 255]], np.uint8), (rows, 1)),
                   (0.0, 1.0), grey_probabilities=True)  # fmt: skip


def test_grey_pixels_are_drawn_anew_at_every_step_as_functions_of_it():
    """Standard error of a frequency of p = 0.2 among 20 000 draws: 0.0028."""
    batches = batches_from(grey(20_000))
    assert isinstance(batches, BinarisedBatches)
    first = batches.batch(0, 20_000, 1)
    assert set(first.unique().tolist()) == {0.0, 1.0}
    means = first.mean(dim=0)
    assert (means[0], means[2]) == (0, 1)
    assert abs(means[1] - 0.2) <= STANDARD_ERRORS * math.sqrt(0.2 * 0.8 / 20_000)
    assert torch.equal(first, batches.batch(0, 20_000, 1))
    assert not torch.equal(first, batches.batch(1, 20_000, 1))
    assert not torch.equal(first, batches.batch(0, 20_000, 2))
    assert (batches.steps_per_epoch(10), batches.sample_shape) == (2000, (3,))


def test_the_spectrum_of_drawn_pixels_counts_the_drawing():
    p = RNG.integers(0, 256, (300, 3), dtype=np.uint8)
    data = DataSet("grey", "train", p, (0.0, 1.0), grey_probabilities=True)
    probability = p / 255
    want = np.cov(probability.T, bias=True)
    mean = probability.mean(axis=0)
    # The variance of a pixel that is 0 or 1 is that of its mean.
    want[np.diag_indices(3)] = mean * (1 - mean)
    got = data.spectrum()
    assert_close(got.covariance, want)
    assert_close(got.mean, mean)


def test_binarised_splits_of_digits():
    config = DataConfig(name="digits", binarise=True)
    train, test = (load_dataset(config, split=split) for split in ("train", "test"))
    assert train.grey_probabilities
    assert not test.grey_probabilities
    assert test.samples.dtype == np.bool_
    assert np.array_equal(test.samples, load_dataset(config, split="test").samples)
    plain = load_dataset(DataConfig(name="digits"), split="test").samples
    assert not test.samples[plain == 0].any()
    assert test.samples[plain == 1].all()
    assert set(batches_from(config).batch(0, 64, 0).unique().tolist()) == {0.0, 1.0}
    assert not np.array_equal(binarise_once(plain, "test"), binarise_once(plain, "valid"))


def test_binary_data_are_not_binarised_again(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((20, 2), np.bool_))
    with pytest.raises(DataError, match=r"data\.binarise"):
        load_dataset(
            DataConfig(name="file", path=str(tmp_path / "a.npy"), binarise=True), split="train"
        )
