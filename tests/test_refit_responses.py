"""Another response is held against the family and the levels of the fit before a refit."""

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace import datasets
from interlace_core.messages.errors import DataError, ResponseError


@pytest.fixture(scope="module")
def wine():
    data = datasets.load("wine")
    return data, interlace.clmm("rating ~ temp + (1 | judge)", data)


@pytest.fixture(scope="module")
def epil():
    data = datasets.load("epil")
    return data, interlace.glmer("y ~ lbase + (1 | subject)", data, "poisson")


def test_levels_by_name_or_code_are_the_same_response(wine):
    data, m = wine
    labels = data["rating"]
    codes = labels.cat.codes.to_numpy()
    for y in (labels, codes, codes.astype(float), labels.astype(str), list(labels.astype(str))):
        assert m.refit(y).llf == pytest.approx(m.llf, abs=1e-9)
    text = np.where(np.arange(60) % 3 == 0, "yes", "no")
    rows = pd.DataFrame({"y": text, "g": np.arange(60) % 6})
    b = interlace.glmer("y ~ 1 + (1 | g)", rows, "binomial")
    assert b.refit(text).llf == pytest.approx(b.llf, abs=1e-9)


@pytest.mark.parametrize("code", [-1, 5, 9, 0.5])
def test_codes_that_the_fit_does_not_have_are_refused(wine, code):
    data, m = wine
    y = data["rating"].cat.codes.to_numpy(dtype=float)
    y[3] = code
    with pytest.raises((DataError, ResponseError)):
        m.refit(y)


@pytest.mark.parametrize("y", [[[1], [2, 3]], {"a": 1}, "text", [{}] * 72, [None] * 72, 3, None])
def test_what_is_no_response_is_refused_in_words(wine, y):
    with pytest.raises(DataError, match="refit: the response must be"):
        wine[1].refit(y)


def test_a_level_of_another_name_is_refused_with_the_names_there_are(wine):
    data, m = wine
    y = data["rating"].astype(str).to_numpy(dtype=object)
    y[7] = "splendid"
    with pytest.raises(DataError, match=r"1, 2, 3, 4, 5, .*'splendid' in row 7"):
        m.refit(y)


@pytest.mark.parametrize("value", [-1.0, 0.5])
def test_what_the_family_does_not_take_is_refused(epil, value):
    data, m = epil
    y = data["y"].to_numpy(dtype=float).copy()
    y[0] = value
    with pytest.raises(ResponseError):
        m.refit(y)


def test_more_successes_than_trials_are_refused():
    data = datasets.load("cbpp")
    m = interlace.glmer("incidence / size ~ period + (1 | herd)", data, "binomial", weights="size")
    pairs = m.simulate(1, seed=1, raw=True)[0]
    assert np.isfinite(m.refit(pairs).llf)
    pairs[2] = [9, 4]
    with pytest.raises(ResponseError):
        m.refit(pairs)
