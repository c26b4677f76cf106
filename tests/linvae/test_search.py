"""The fast sorted search equals numpy.searchsorted, whatever the table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linvae._search import RisingTable

positive = st.floats(min_value=5e-324, max_value=1.7e308, allow_nan=False)


@given(st.lists(positive, max_size=40), st.lists(positive, min_size=1, max_size=40))
def test_equals_searchsorted(entries: list[float], extra: list[float]) -> None:
    table = np.sort(np.array(entries))
    with np.errstate(over="ignore"):
        beside = np.concatenate([np.nextafter(table, 0), np.nextafter(table, np.inf)])
    queries = np.concatenate([table, beside[np.isfinite(beside) & (beside > 0)], extra])
    want = np.searchsorted(table, queries, side="right")
    assert (RisingTable(table).count_up_to(queries) == want).all()


@pytest.mark.parametrize(
    "table",
    [np.full(9, 2.0), np.geomspace(1e-300, 1e300, 784), np.linspace(1, 1 + 1e-13, 50)],
    ids=["one bucket", "wide", "cluster"],
)
def test_tables_that_need_each_route(table: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    queries = np.concatenate([table, np.exp(rng.uniform(-600, 600, 5000)), 1 + rng.random(5000)])
    want = np.searchsorted(table, queries, side="right")
    assert (RisingTable(table).count_up_to(queries) == want).all()
