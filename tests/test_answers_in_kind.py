"""What is said of the rows of a fit comes in the library of the frame that it was fitted to."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import interlace
from interlace import plots
from interlace.prediction import kinds

mpl.use("Agg")
KINDS = {"polars": (pl.from_pandas, pl.Series, pl.DataFrame),
         "pyarrow": (pa.Table.from_pandas, pa.ChunkedArray, pa.Table),
         "pandas": (pd.DataFrame, pd.Series, pd.DataFrame)}  # fmt: skip


def fits_of(frame):
    """Return fits of each call to a frame."""
    return {
        "fit": interlace.fit("Reaction ~ Days + (1 | Subject)", frame),
        "glmer": interlace.glmer("count ~ Days + (1 | Subject)", frame, "poisson"),
        "clmm": interlace.clmm("grade ~ Days + (1 | Subject)", frame),
    }


@pytest.fixture(scope="module")
def data():
    found = interlace.datasets.load("sleepstudy")
    found["count"] = np.round(found["Reaction"] / 50).astype(int)
    found["grade"] = np.digitize(found["Reaction"], [250, 320])
    found.loc[[3, 40], "Days"] = np.nan
    return found.assign(Subject=found["Subject"].astype(str))


@pytest.fixture(scope="module", params=KINDS)
def kind(request, data):
    make, column, table = KINDS[request.param]
    return request.param, fits_of(make(data)), fits_of(data), column, table


CALLS = {
    "predict": lambda m: m.predict(),
    "link": lambda m: m.predict(type="link"),
    "errors": lambda m: m.predict(type="link", se=True),
    "interval": lambda m: m.predict(type="link", interval="confidence"),
    "fixed": lambda m: m.predict(type="link", include_re=False),
    "augment": lambda m: m.augment(),
    "fittedvalues": lambda m: m.fittedvalues,
    "resid": lambda m: m.resid,
    "residuals": lambda m: m.residuals("quantile", seed=3),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("model", ["fit", "glmer", "clmm"])
def test_rows_of_the_fit_come_in_the_library_of_its_data(kind, model, call):
    _, own, plain, column, table = kind
    found, expected = CALLS[call](own[model]), CALLS[call](plain[model])
    assert isinstance(found, column if isinstance(expected, pd.Series) else table)
    back = found if isinstance(found, (pd.Series, pd.DataFrame)) else found.to_pandas()
    np.testing.assert_array_equal(back.to_numpy(float), expected.to_numpy(float))
    assert len(back) == 178  # the rows used


def test_the_most_probable_category_keeps_its_order(data):
    found = fits_of(pl.from_pandas(data))["clmm"].predict(type="class")
    assert found.dtype == pl.Enum(["0", "1", "2"])


def test_a_saved_fit_answers_in_the_same_library(data, tmp_path):
    own = fits_of(pl.from_pandas(data))["glmer"]
    own.save(tmp_path / "fit")
    loaded = interlace.load(tmp_path / "fit")
    assert isinstance(loaded.predict(), pl.Series)
    assert loaded.predict().equals(own.predict())


def test_without_that_library_answers_come_in_pandas(data, tmp_path, monkeypatch):
    own = fits_of(pl.from_pandas(data))["glmer"]
    own.save(tmp_path / "fit")
    loaded = interlace.load(tmp_path / "fit")

    def absent(library):
        raise ModuleNotFoundError(f"No module named {library.value!r}")

    monkeypatch.setattr(kinds.nw.Implementation, "to_native_namespace", absent)
    assert isinstance(loaded.predict(), pd.Series)


def test_newdata_decides_where_it_is_given(data):
    own = fits_of(pl.from_pandas(data))["glmer"]
    new = data.iloc[:3]
    assert isinstance(own.predict(new), pd.Series)
    assert isinstance(own.predict(pa.Table.from_pandas(new)), pa.ChunkedArray)
    assert isinstance(own.predict(new.to_dict("list")), pd.Series)


@pytest.mark.parametrize("model", ["glmer", "clmm"])
@pytest.mark.parametrize("make", [pl.from_pandas, pa.Table.from_pandas], ids=["polars", "pyarrow"])
def test_pictures_and_reports_take_fits_of_any_library(data, make, model):
    own = fits_of(make(data))[model]
    plots.fitted(own)
    plots.residuals(own) if model == "glmer" else plots.effects(own, "Days", data)
    plots.scaled_residuals(own, n=5) if model == "glmer" else None
    assert str(own.summary()) and str(own.explain()) and own.r2() and len(own.tidy())
