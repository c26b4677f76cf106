"""Hypothesis profiles and fixtures shared by all tests."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

_COMMON = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("dev", max_examples=25, **_COMMON)
settings.register_profile("ci", max_examples=25, derandomize=True, **_COMMON)
# For a long look: pytest --hypothesis-profile=thorough
settings.register_profile("thorough", max_examples=300, **_COMMON)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Shells start background jobs with Ctrl-C ignored; the tests of it need it heard."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with the real data sets; LINVAE_TEST_DATA names another one."""
    named = os.environ.get("LINVAE_TEST_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} does not exist (set LINVAE_TEST_DATA to its folder)")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a stated seed, fresh for every test."""
    return np.random.default_rng(20240229)
