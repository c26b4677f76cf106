"""Ten million rows in constant memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np

import linvae as lv

SCALES = np.array([3.0, 1.0, 0.5])
ROWS, CHUNK = 10**7, 200_000


def chunks() -> Iterator[np.ndarray]:
    rng = np.random.default_rng(11)
    for _ in range(ROWS // CHUNK):
        yield 100.0 + SCALES * rng.standard_normal((CHUNK, 3))


def test_ten_million_rows_stream_through_constant_memory() -> None:
    seen: list[int] = []
    tracemalloc.start()
    spectrum = lv.Spectrum.from_samples(chunks(), progress=lambda done, total: seen.append(done))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert spectrum.n_samples == ROWS == seen[-1]
    # All rows would take 240 MB; working space is a buffer and a chunk or two.
    assert peak < 100e6
    # Standard error of a variance: λ √(2/N).
    error = np.abs(spectrum.eigenvalues / SCALES**2 - 1)
    assert (error < 5 * np.sqrt(2 / ROWS)).all()
    assert (np.abs(spectrum.mean - 100) < 5 * SCALES / np.sqrt(ROWS)).all()
