"""The helper that reads the reference fits, against R's own names and counts."""

import re
from pathlib import Path

import formulaic
import pytest

from reference_fits import coefficient_name, fit_ids, load_data, load_fit, load_schema


@pytest.mark.parametrize("name", sorted(load_schema()))
def test_data_have_the_size_and_levels_of_the_schema(name):
    schema = load_schema()[name]
    data = load_data(name)
    assert data.shape == (schema["nrow"], schema["ncol"])
    for column, spec in schema["columns"].items():
        if "levels" in spec:
            assert list(data[column].cat.categories) == spec["levels"]
            assert data[column].cat.ordered == (spec["type"] == "ordered")


def test_data_keep_missing_values_only_where_r_has_them():
    assert load_data("cbpp_na")[["incidence", "period", "herd"]].isna().sum().tolist() == [2, 2, 1]
    # "NL" and "no" are levels, not missing values.
    assert not load_data("Arabidopsis").isna().any(axis=None)


def test_every_fit_belongs_to_a_data_set():
    assert len(fit_ids()) == 214
    assert {load_fit(each)["dataset"] for each in fit_ids()} <= set(load_schema())


def test_coefficient_name_translates_interactions_and_leaves_numbers():
    factors = load_fit("sal_nb2_tmb")["factors"]
    assert coefficient_name("(Intercept)", factors) == "Intercept"
    assert coefficient_name("sppEC-A:minedno", factors) == "spp[T.EC-A]:mined[T.no]"
    assert coefficient_name("DOY", factors) == "DOY"
    epil = load_fit("epil_slope_tmb")["factors"]
    assert coefficient_name("lbase:trtprogabide", epil) == "lbase:trt[T.progabide]"


def test_coefficient_name_refuses_other_contrasts():
    factors = load_fit("cake_reml_poly_lme4")["factors"]
    with pytest.raises(ValueError, match=r"recipe1.*contr\.sum"):
        coefficient_name("recipe1", factors)


@pytest.mark.parametrize(
    "fit_id", ["sal_nb2_tmb", "epil_slope_tmb", "arabidopsis_pois_tmb", "bacteria_tmb"]
)
def test_coefficient_names_are_the_columns_of_formulaic(fit_id):
    fit = load_fit(fit_id)
    names = {coefficient_name(each, fit["factors"]) for each in fit["fixef"]}
    right = re.sub(r"\+ \([^)]*\)", "", fit["formula"].split("~")[1])
    assert names == set(formulaic.model_matrix(right, load_data(fit["dataset"])).columns)


def test_the_readme_counts_them():
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    by_hand = [each for each in fit_ids() if load_fit(each)["engine"].startswith("R (own")]
    assert len(by_hand) == 2
    assert f"{len(fit_ids()) - 2} fits by lme4, glmmTMB, ordinal" in text
