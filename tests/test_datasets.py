"""The shipped data sets, held against the reference data they were made from."""

import pandas as pd
import pytest

from interlace import datasets
from interlace_core.messages.errors import UnknownNameError
from reference_fits import load_data


@pytest.mark.parametrize("name", datasets.names())
def test_load_gives_the_reference_data(name):
    data = datasets.load(name)
    pd.testing.assert_frame_equal(data, load_data(name)[list(data.columns)], check_dtype=False)


@pytest.mark.parametrize("name", datasets.names())
def test_load_keeps_r_levels_and_order(name):
    data, reference = datasets.load(name), load_data(name)
    factors = data.select_dtypes("category").columns
    assert set(factors) == set(reference.select_dtypes("category").columns) & set(data.columns)
    for column in factors:
        assert list(data[column].cat.categories) == list(reference[column].cat.categories)
        assert data[column].cat.ordered == reference[column].cat.ordered


def test_load_reads_whole_numbers_as_integers():
    assert datasets.load("cbpp")[["incidence", "size"]].dtypes.astype(str).tolist() == ["int64"] * 2
    assert str(datasets.load("sleepstudy")["Reaction"].dtype) == "float64"


def test_load_returns_a_frame_of_ones_own():
    changed = datasets.load("cbpp")
    changed["incidence"] = 0
    assert datasets.load("cbpp")["incidence"].sum() == 99


def test_load_unknown_name_suggests_the_closest_and_lists_all():
    with pytest.raises(UnknownNameError, match="'cbp' does not exist.*'cbpp'.*VerbAgg"):
        datasets.load("cbp")
    with pytest.raises(UnknownNameError) as caught:
        datasets.describe("something else")
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize("name", datasets.names())
def test_describe_says_what_to_cite_and_where_the_copy_came_from(name):
    text = datasets.describe(name)
    assert text.startswith(name)
    assert "Cite: " in text
    assert "Copied from: " in text
    assert all(column in text for column in datasets.load(name).columns)


def test_describe_names_the_study_of_cbpp():
    text = datasets.describe("cbpp")
    assert "Lesnoff" in text
    assert "Preventive Veterinary Medicine" in text


def test_notes_are_true_of_the_data():
    ticks = datasets.load("grouseticks")
    centred = ticks["HEIGHT"] - ticks["HEIGHT"].mean()
    pd.testing.assert_series_equal(ticks["cHEIGHT"], centred, check_names=False)
    epil = datasets.load("epil")
    assert abs(epil[["lbase", "lage"]].mean()).max() < 1e-9
