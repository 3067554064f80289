import datetime
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fakes import build
from interlace.data.frames import open_table, read_columns
from interlace_core.messages.errors import DataError

COLUMNS = {
    "text": ["b", "a", None],
    "whole": [1, None, 3],
    "whole_full": [1, 2, 3],
    "real": [1.5, None, 2.5],
    "truth": [True, None, False],
    "truth_full": [True, True, False],
    "day": [datetime.date(2020, 1, 1)] * 3,
}


def read(data, *names):
    return read_columns(open_table(data), names or tuple(COLUMNS))


def frames():
    return {
        "dict": COLUMNS,
        "pandas": pd.DataFrame(COLUMNS),
        "object": pd.DataFrame(COLUMNS, dtype=object),
        "nullable": pd.DataFrame(COLUMNS).convert_dtypes(),
        "pyarrow-backed": pd.DataFrame(COLUMNS).convert_dtypes(dtype_backend="pyarrow"),
        "polars": pl.DataFrame(COLUMNS),
        "pyarrow": pa.table(COLUMNS),
    }


@pytest.mark.parametrize("kind", list(frames()))
def test_every_frame_is_read_alike(kind):
    frame = read(frames()[kind])
    assert list(frame["text"].levels) == ["a", "b"]
    assert list(frame["text"].values) == [1, 0, -1]
    np.testing.assert_array_equal(frame["whole"].numbers, [1.0, np.nan, 3.0])
    np.testing.assert_array_equal(frame["whole_full"].numbers, [1, 2, 3])
    np.testing.assert_array_equal(frame["real"].numbers, [1.5, np.nan, 2.5])
    assert frame["truth"].is_boolean
    np.testing.assert_array_equal(frame["truth"].missing, [False, True, False])
    np.testing.assert_array_equal(frame["truth"].numbers, [1.0, np.nan, 0.0])
    assert frame["truth_full"].is_boolean
    assert len(frame["day"].levels) == 1
    for name in ("whole", "real", "truth"):
        assert frame[name].numbers.dtype == np.float64


def test_decimals_are_numbers():
    data = pa.table({"x": pa.array([decimal.Decimal("1.5"), None], pa.decimal128(5, 2))})
    np.testing.assert_array_equal(read(data, "x")["x"].numbers, [1.5, np.nan])


def test_category_order_is_kept():
    values, levels = ["b", "c", None], ["c", "b", "a"]
    pandas = pd.DataFrame({"f": pd.Categorical(values, categories=levels)})
    polars = pl.DataFrame({"f": pl.Series(values, dtype=pl.Enum(levels))})
    arrow = pa.table({"f": pa.DictionaryArray.from_arrays(pa.array([1, 0, None]), levels)})
    for data in (pandas, polars, arrow):
        column = read(data, "f")["f"]
        assert list(column.levels) == levels
        assert list(column.values) == [1, 0, -1]


def test_polars_categorical_has_no_order_and_is_sorted():
    pl.Series(["zzz", "yyy"], dtype=pl.Categorical)  # fills the pool that such columns share
    data = pl.DataFrame({"f": pl.Series(["v", "u", None], dtype=pl.Categorical)})
    column = read(data, "f")["f"]
    assert list(column.levels) == ["u", "v"]
    assert list(column.values) == [1, 0, -1]


def test_index_is_kept_for_pandas_only():
    assert list(open_table(pd.DataFrame({"x": [1, 2]}, index=["p", "q"])).index) == ["p", "q"]
    assert list(open_table(pl.DataFrame({"x": [1, 2]})).index) == [0, 1]


def test_duplicated_column_is_refused_only_if_needed():
    data = pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"])
    assert list(read(data, "b")) == ["b"]
    with pytest.raises(DataError, match="2 columns named 'a' .*duplicated"):
        read(data, "b", "a")


def test_duplicated_column_of_a_pyarrow_table_is_named():
    data = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(DataError, match=r"named '?a'? \(duplicated"):
        read(data, "a")


def test_missing_column_offers_the_closest():
    with pytest.raises(DataError, match="newdata: .* period.*Did you mean 'periods'.*: herd, peri"):
        read_columns(open_table({"herd": [1], "periods": [2]}), ["period"], argument="newdata")


@pytest.mark.parametrize(
    "data", [pd.DataFrame({"x": []}), pl.DataFrame({"x": []}), {"x": []}, pa.table({"x": []})]
)
def test_zero_rows_are_refused(data):
    with pytest.raises(DataError, match="data: expected at least one row, .* zero rows"):
        open_table(data)


@pytest.mark.parametrize("data", [5, [1, 2], np.ones((2, 2)), pl.LazyFrame({"x": [1]}), "a.csv"])
def test_what_is_no_frame_is_named_by_type(data):
    with pytest.raises(DataError, match=f"got a {type(data).__name__}"):
        open_table(data)


def test_columns_of_several_lengths_are_refused():
    with pytest.raises(DataError, match="columns of one length"):
        open_table({"x": [1, 2], "y": [1]})


@pytest.mark.parametrize("values", [[[1], [2]], np.array([1j, 2.0])])
def test_column_that_is_neither_number_nor_text_is_named(values):
    with pytest.raises(DataError, match="column 'x': expected numbers, text"):
        read(pd.DataFrame({"x": values}), "x")


@pytest.mark.parametrize("convert", [pl.DataFrame, pa.table, dict])
def test_problem_does_not_depend_on_the_frame(convert):
    data = {
        "y": [1, 2, 3, 4, 5, None],
        "f": ["a", "b", "a", "b", "a", "b"],
        "x": [0.5, 1.0, 2.0, 1.0, 3.0, 1.0],
        "g": ["u", "u", "v", "v", None, "u"],
    }
    ours = build("y ~ f + x + (1 | g)", convert(data))
    reference = build("y ~ f + x + (1 | g)", pd.DataFrame(data))
    np.testing.assert_array_equal(ours.problem.y, reference.problem.y)
    np.testing.assert_array_equal(ours.problem.predictors[0].X, reference.problem.predictors[0].X)
    np.testing.assert_array_equal(ours.problem.terms[0].codes, reference.problem.terms[0].codes)
    assert ours.rows.missing == {"y": 1, "g": 1}
