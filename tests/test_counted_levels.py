"""Whole numbers are counted into levels as sorting makes them, and rows sorted as by argsort."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlace.data.columns import factorise_numbers
from interlace_core.engine.structure import order_by

TYPES = (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64)


@given(st.data(), st.sampled_from(TYPES))
def test_levels_of_whole_numbers_are_those_of_sorting(data, dtype):
    limits = np.iinfo(dtype)
    least = data.draw(st.integers(limits.min, limits.max))
    most = data.draw(st.sampled_from([least, min(least + 30, limits.max), limits.max]))
    numbers = data.draw(st.lists(st.integers(least, most), min_size=1, max_size=60))
    values = np.array(numbers, dtype=dtype)
    codes, levels = factorise_numbers(values)
    expected_codes, expected_levels = pd.factorize(values, sort=True)
    np.testing.assert_array_equal(codes, expected_codes)
    np.testing.assert_array_equal(levels, expected_levels)
    assert codes.dtype == np.intp
    assert levels.dtype == dtype


@pytest.mark.parametrize("most", [1, 2**16 - 1, 2**16, 2**20, 2**33, 2**50])
def test_rows_are_in_the_order_of_a_stable_sort(most):
    codes = np.random.default_rng(1).integers(0, most, 2000, endpoint=True)
    codes[::7] = most
    np.testing.assert_array_equal(order_by(codes), np.argsort(codes, kind="stable"))


def test_no_rows_have_an_order():
    assert order_by(np.zeros(0, dtype=np.intp)).size == 0
