"""Rows of new data that the fit's data say nothing about: NaN and one notice, never a number.

Whether a row is estimable does not depend on the coding, so that the answer is the same whatever
the order of levels (Searle 1971, chapter 5; R's emmeans says "nonEst").
"""

import warnings

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_core.messages.errors import DataWarning


@pytest.fixture(scope="module")
def data():
    """Two factors without rows in the cell (c, v), and two groups of ways to say the same."""
    rng = np.random.default_rng(12)
    n = 240
    d = pd.DataFrame(
        {
            "g": rng.integers(0, 12, n),
            "a": rng.choice(list("abc"), n),
            "t": rng.choice(list("uv"), n),
            "x": rng.normal(size=n),
        }
    )
    d = d[(d["a"] != "c") | (d["t"] != "v")]
    eta = 0.3 * (d["a"] == "b") + 0.2 * (d["t"] == "v") + rng.normal(0, 0.4, 12)[d["g"]]
    d["y"] = eta + rng.normal(size=len(d))
    d["count"] = rng.poisson(np.exp(eta))
    d["rating"] = 1 + np.clip(np.round(d["y"] + 1.5), 0, 3).astype(int)
    return d.reset_index(drop=True)


CELLS = pd.DataFrame({"a": list("aabbcc"), "t": list("uvuvuv"), "g": 0, "x": 0.0})
FITS = {
    "fit": lambda d: interlace.fit("y ~ a * t + (1 | g)", d),
    "poisson": lambda d: interlace.glmer("count ~ a * t + (1 | g)", d, "poisson"),
    "clmm": lambda d: interlace.clmm("rating ~ a * t + (1 | g)", d),
    "no intercept": lambda d: interlace.fit("y ~ 0 + a:t + (1 | g)", d),
}


def quietly(fit, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return fit(data)


@pytest.mark.parametrize("kind", FITS)
def test_cell_without_data_has_no_prediction_whatever_the_order_of_levels(data, kind):
    for order in ("abc", "cba"):
        fit = quietly(FITS[kind], data.assign(a=pd.Categorical(data["a"], list(order))))
        with pytest.warns(DataWarning, match=r"1 of 6 row\(s\) have no estimate.*row 5") as said:
            found = fit.predict(CELLS)
        gone = np.isnan(np.asarray(found, dtype=float).reshape(6, -1)).all(axis=1)
        assert gone.tolist() == [False] * 5 + [True]
        assert len(said) == 1


def test_cells_with_data_are_predicted_alike_whatever_the_order_of_levels(data):
    found = []
    for order in ("abc", "cab"):
        fit = quietly(FITS["fit"], data.assign(a=pd.Categorical(data["a"], list(order))))
        found.append(fit.predict(CELLS.iloc[:5]))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-8)


def test_intervals_of_such_a_row_are_missing_too(data):
    fit = quietly(FITS["poisson"], data)
    with pytest.warns(DataWarning, match="no estimate"):
        found = fit.predict(CELLS, interval="confidence")
    assert found.iloc[5].isna().all()
    assert found.iloc[:5].notna().all(axis=None)


def test_row_that_keeps_to_a_collinearity_is_predicted_and_one_that_does_not_is_not(data):
    twice = data.assign(z=2.0 * data["x"] + 3.0)
    fit = quietly(lambda d: interlace.fit("y ~ x + z + (1 | g)", d), twice)
    new = pd.DataFrame({"x": [0.5, 0.5], "z": [4.0, 4.1], "g": 0})
    with pytest.warns(DataWarning, match="the fit dropped z"):
        found = fit.predict(new)
    assert found.isna().tolist() == [False, True]
    plain = interlace.fit("y ~ x + (1 | g)", data)
    assert found[0] == pytest.approx(plain.predict(new)[0], rel=1e-8)


def test_cell_without_data_in_the_dispersion_does_not_touch_the_mean(data):
    fit = quietly(
        lambda d: interlace.glmer("y ~ x + (1 | g)", d, "gaussian", dispformula="~ a * t"), data
    )
    with pytest.warns(DataWarning, match="no estimate"):
        mean = fit.predict(CELLS)
    with pytest.warns(DataWarning, match="no estimate"):
        scale = fit.predict(CELLS, type="dispersion")
    assert mean.notna().all()
    assert scale.isna().tolist() == [False] * 5 + [True]


def test_a_saved_fit_knows_which_rows_have_no_estimate(data, tmp_path):
    fit = quietly(FITS["fit"], data)
    fit.save(tmp_path / "m.interlace")
    with pytest.warns(DataWarning, match="no estimate"):
        assert np.isnan(interlace.load(tmp_path / "m.interlace").predict(CELLS)[5])


def test_weights_of_0_take_a_level_out_of_what_is_estimated(data):
    weights = np.where(data["a"] == "c", 0.0, 1.0)
    fit = quietly(
        lambda d: interlace.glmer("count ~ a + (1 | g)", d, "poisson", weights=weights), data
    )
    assert fit.dropped_columns == ("a[T.c]",)
    with pytest.warns(DataWarning, match="no estimate"):
        assert np.isnan(fit.predict(CELLS, include_re=False)[4])
