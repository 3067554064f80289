"""Mistakes in calls of `fit` and `clmm`, and messages that say what to do."""

import numpy as np
import pytest

import interlace
from interlace_core.messages.errors import ConvergenceWarning, OptionError, UnsupportedModelError
from reference_fits import load_data


@pytest.fixture(scope="module")
def sleep():
    return load_data("sleepstudy")


@pytest.fixture(scope="module")
def model(sleep):
    return interlace.fit("Reaction ~ Days + (1 | Subject)", sleep)


@pytest.fixture(scope="module")
def wine():
    return load_data("wine")


@pytest.mark.parametrize(
    ("formula", "response", "nouns"),
    [
        ("y ~ Days", lambda d: 2.0 * d["Days"] + 7.0, "fixed effects that predict"),
        ("y ~ 1", lambda d: d["Subject"].astype(int) * 1.5, "same in all rows .* 'Subject'"),
    ],
)
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_a_response_without_residual_is_refused(sleep, formula, response, nouns, method):
    with pytest.raises(UnsupportedModelError, match=f"needs a residual.*{nouns}.*leave out terms"):
        interlace.fit(formula, sleep.assign(y=response), groups="Subject", method=method)


def test_as_many_coefficients_as_rows_are_refused(sleep):
    few = sleep.iloc[:12].assign(g=list("ab") * 6, row=[f"r{i}" for i in range(12)])
    with pytest.raises(UnsupportedModelError, match="12 coefficients for 12 rows"):
        interlace.fit("Reaction ~ row", few, groups="g")


def test_a_small_residual_beside_a_large_mean_is_fitted(sleep, model):
    moved = interlace.fit(model.formula, sleep.assign(Reaction=sleep["Reaction"] + 1e8))
    assert moved.scale == pytest.approx(model.scale, rel=1e-5)


@pytest.mark.parametrize("contrast", [[1.0], "Days", [[1.0, 0.0]], None])
def test_a_contrast_has_a_number_for_each_coefficient(model, contrast):
    with pytest.raises(OptionError, match="contrast_df: contrast must be one finite number"):
        model.contrast_df(contrast)


def test_anova_takes_fits_and_a_choice(model):
    with pytest.raises(OptionError, match="anova: expected fits, got 3"):
        interlace.anova(model, 3)
    with pytest.raises(OptionError, match="anova: refit must be True or False, got 'yes'"):
        interlace.anova(model, model, refit="yes")


def test_a_type_of_prediction_that_does_not_exist_is_answered_with_those_that_do(wine):
    model = interlace.clmm("rating ~ temp", wine, groups="judge")
    with pytest.raises(OptionError, match="'prob', 'cum.prob', 'class'.*got 'probs'"):
        model.predict(type="probs")
    assert "CLMMResult" in repr(model)
    assert str(model.summary()).startswith("Cumulative mixed model")


def test_a_column_that_predicts_categories_perfectly_is_named(wine):
    codes = wine["rating"].cat.codes.to_numpy()
    data = wine.assign(x=np.where(codes >= 3, 1.0, 0.0), r=np.where(codes >= 3, 2, codes % 2))
    with pytest.warns(ConvergenceWarning, match="clmm: column 'x' separates the response"):
        interlace.clmm("r ~ x", data, groups="judge")
