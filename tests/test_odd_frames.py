"""Frames of unusual kinds through every door: an answer like the plain frame's, or words."""

import datetime
import decimal
import io
import types
import warnings
from collections import ChainMap
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import interlace
from interlace import plots
from interlace_core.messages.errors import DataError, InterlaceError, InterlaceWarning
from odd.calls import data, fits

mpl.use("Agg")
D = data()
N = len(D)
ORD = D["g"].map(ord)


def polars(**columns):
    """Return the data in polars with other columns."""
    return pl.from_pandas(D).with_columns(**columns)


def arrow(x):
    """Return the data in pyarrow with another x."""
    return pa.table({**{name: D[name].to_list() for name in D}, "x": x})


SAME = {
    "pyarrow-backed": lambda: D.convert_dtypes(dtype_backend="pyarrow"),
    "nullable": lambda: D.convert_dtypes(),
    "text of pyarrow": lambda: D.astype({"g": "string[pyarrow]", "f": "string[pyarrow]"}),
    "sparse": lambda: D.assign(y=pd.arrays.SparseArray(D["y"]), x=pd.arrays.SparseArray(D["x"])),
    "objects": lambda: D.astype({"y": object, "x": object, "z": object}),
    "index of pairs": lambda: D.set_index(pd.MultiIndex.from_product([range(8), range(5)])),
    "labels twice": lambda: D.set_index(np.zeros(N, int)),
    "times as labels": lambda: D.set_index(pd.date_range("2020", periods=N, tz="Europe/Berlin")),
    "periods as labels": lambda: D.set_index(pd.period_range("2020", periods=N, freq="M")),
    "a label missing": lambda: D.set_index(np.r_[np.nan, np.arange(N - 1)]),
    "an index called x": lambda: D.rename_axis("x"),
    "a column called None": lambda: D.assign(q=1).rename(columns={"q": None}),
    "a column twice, not used": lambda: pd.concat([D, D[["f"]]], axis=1),
    "groups as times": lambda: D.assign(g=pd.to_datetime(ORD, unit="D", utc=True)),
    "groups as intervals": lambda: D.assign(g=pd.cut(ORD, range(96, 105))),
    "groups as decimals": lambda: D.assign(g=ORD.map(decimal.Decimal)),
    "groups as pairs": lambda: D.assign(g=D["g"].map(lambda each: (each, 1))),
    "groups as paths": lambda: D.assign(g=D["g"].map(Path)),
    "unused categories": lambda: D.assign(g=pd.Categorical(D["g"], list("abcdefghz"))),
    "a dict": lambda: D.to_dict("list"),
    "a chain of dicts": lambda: ChainMap(D.to_dict("list")),
    "a mapping that is none": lambda: types.MappingProxyType(D.to_dict("list")),
    "polars": lambda: polars(),
    "polars, 128 bits": lambda: polars(y=pl.col("y").cast(pl.Int128)),
    "polars, categorical": lambda: polars(g=pl.col("g").cast(pl.Categorical)),
    "arrow": lambda: pa.Table.from_pandas(D),
}  # fmt: skip

REFUSED = {
    "groups with half a character": lambda: D.assign(
        g=pd.Series([each + "\ud800" for each in D["g"]], dtype=object)
    ),
    "x beyond double precision": lambda: D.assign(x=[10**400 + i for i in range(N)]),
    "x complex": lambda: D.assign(x=D["x"] + 1j),
    "x infinite": lambda: D.assign(x=np.r_[np.inf, D["x"][1:]]),
    "x missing": lambda: D.assign(x=np.nan),
    "x of times": lambda: D.assign(x=pd.date_range("2020", periods=N, tz="UTC")),
    "x of durations": lambda: D.assign(x=pd.to_timedelta(np.arange(N), unit="h")),
    "x of periods": lambda: D.assign(x=pd.period_range("2020", periods=N, freq="M")),
    "x of lists": lambda: D.assign(x=[[1.0]] * N),
    "x of arrays": lambda: D.assign(x=[np.ones(2)] * N),
    "x twice": lambda: pd.concat([D, D[["x"]]], axis=1),
    "levels of columns": lambda: pd.concat({"a": D}, axis=1),
    "no rows": lambda: D.iloc[:0],
    "one row": lambda: D.iloc[:1],
    "no columns": lambda: pd.DataFrame(index=range(3)),
    "a series": lambda: D["x"],
    "an array": lambda: D[["y", "x"]].to_numpy(),
    "records": lambda: D.to_dict("records"),
    "a generator": lambda: (row for row in D.to_dict("records")),
    "sets": lambda: {name: set(D[name]) for name in D},
    "lengths": lambda: {**D.to_dict("list"), "x": [1.0, 2.0]},
    "a matrix": lambda: {**D.to_dict("list"), "x": np.ones((N, 2))},
    "a batch of arrow": lambda: pa.RecordBatch.from_pandas(D),
    "a path": lambda: Path("data.csv"),
    "a stream": lambda: io.StringIO(D.to_csv()),
    "polars lists": lambda: polars(x=pl.concat_list("x", "z")),
    "polars structs": lambda: polars(x=pl.struct("x", "z")),
    "polars null": lambda: polars(x=pl.lit(None)),
    "polars times": lambda: polars(x=pl.lit(datetime.time(3))),
    "arrow lists": lambda: arrow([[1.0]] * N),
    "arrow null": lambda: arrow(pa.nulls(N)),
    "arrow dates": lambda: arrow(pa.array([datetime.date(2020, 1, 1)] * N)),
}

MODELS = {
    "glmer": lambda frame: interlace.glmer("y ~ x + (1 | g)", frame, "poisson"),
    "fit": lambda frame: interlace.fit("z ~ x + (x | g)", frame),
    "clmm": lambda frame: interlace.clmm("r ~ x + (1 | g)", frame),
}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("model", MODELS)
def test_the_same_data_in_another_form_give_the_same_fit(name, model):
    frame = SAME[name]()
    found = MODELS[model](frame)
    assert found.llf == pytest.approx(MODELS[model](D).llf, rel=1e-9)
    assert str(found.summary()) and len(found.ranef()) and len(found.tidy())
    assert len(found.augment(frame)) == N


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("model", MODELS)
def test_what_is_no_data_is_refused_in_words(name, model):
    with pytest.raises(InterlaceError):
        MODELS[model](REFUSED[name]())


def others(fit):
    """Return calls that take a frame beside a fit."""
    return {
        "predict": fit.predict,
        "errors": lambda frame: fit.predict(frame, se=True),
        "augment": fit.augment,
        "augment new": lambda frame: fit.augment(newdata=frame),
        "effects": lambda frame: plots.effects(fit, "x", frame),
        "power": lambda frame: interlace.power(
            "y ~ x + (1 | g)", frame, "poisson", fixed={"x": 0.3}, sd={"g": 0.5}, test="x", n=1,
            seed=1,
        ),
    }  # fmt: skip


@pytest.mark.parametrize("call", others(fits()["glmm"]))
def test_other_calls_answer_or_refuse_without_a_foreign_word(call):
    function = others(fits()["glmm"])[call]
    for name, make in (SAME | REFUSED).items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of any other library
            warnings.simplefilter("ignore", InterlaceWarning)
            try:
                function(make())
            except InterlaceError as error:
                assert str(error), name
            finally:
                plt.close("all")


def test_words_name_the_column():
    for name in ("groups with half a character", "x beyond double precision"):
        with pytest.raises(DataError, match="column '[xg]'"):
            MODELS["glmer"](REFUSED[name]())
    with pytest.raises(DataError, match="levels of names"):
        fits()["glmm"].augment(pd.concat({"a": D}, axis=1))
