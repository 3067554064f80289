"""The adapter to the package marginaleffects, by that package's own functions on our fits."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace import datasets
from interlace.results.result import GLMMResult
from interlace_core.messages.errors import DataError, OptionError
from reference_fits import load_data, load_fit

me = pytest.importorskip("marginaleffects")
pl = pytest.importorskip("polars")
if int(pl.__version__.partition(".")[0]) >= 2:
    pytest.skip("marginaleffects 0.6 calls what polars 2 removed", allow_module_level=True)

from interlace.marginaleffects import adapt, with_t  # noqa: E402

# Its own; those of interlace stay errors.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
PAGE = Path(__file__).parents[1] / "docs" / "marginal-effects.md"


@cache
def cbpp() -> GLMMResult:
    return interlace.glmer(
        "incidence / size ~ period + (1 | herd)", datasets.load("cbpp"), "binomial", weights="size"
    )


@cache
def sleepstudy() -> GLMMResult:
    return interlace.glmer(
        "Reaction ~ Days + (Days | Subject)", datasets.load("sleepstudy"), "gaussian"
    )


@cache
def salamanders() -> GLMMResult:
    return interlace.glmer(
        "count ~ scale(DOY) * mined + offset(log(cover + 3)) + (1 | site)",
        datasets.load("Salamanders"), "negativebinomial", ziformula="~ mined",
    )  # fmt: skip


@cache
def wine() -> interlace.ordinal.CLMMResult:
    return interlace.clmm("rating ~ temp + contact + (1 | judge)", load_data("wine"))


def numbers(table: object, *columns: str) -> np.ndarray:
    return np.column_stack([np.asarray(table[column], dtype=float) for column in columns])


@pytest.mark.parametrize(
    ("type", "key", "name"),
    [("link", "emmeans_link", "emmean"), ("response", "emmeans_response", "prob")],
)
def test_means_by_period_agree_with_emmeans(type: str, key: str, name: str) -> None:
    model = adapt(cbpp(), datasets.load("cbpp"), type=type)
    grid = me.datagrid(model=model, period=["1", "2", "3", "4"])
    found = numbers(me.predictions(model, newdata=grid), "estimate", "std_error")
    expected = [[row[name], row["SE"]] for row in load_fit("cbpp_logit_lme4")["extras"][key]]
    # Standard errors: both packages take differences, of the mean here, of the deviance there.
    np.testing.assert_allclose(found, expected, rtol=5e-4)


@pytest.mark.parametrize(
    "fit_id",
    [
        "sleepstudy_ml_lme4",
        "sleepstudy_reml_lme4",
        "sleepstudy_reml_int_lme4",
        "sleepstudy_reml_uncor_lme4",
    ],
)
def test_means_of_a_linear_model_agree_with_emmeans(fit_id: str) -> None:
    reference, data = load_fit(fit_id), datasets.load("sleepstudy")
    method = "REML" if reference["REML"] else "ML"
    model = adapt(interlace.fit(reference["formula"], data, method=method), data)
    found = me.predictions(model, newdata=me.datagrid(model=model, Days=[0, 5, 9]), eps_vcov=1e-4)
    rows = reference["extras"]["emmeans_asymptotic"]
    expected = [[row["emmean"], row["SE"]] for row in rows]
    np.testing.assert_allclose(numbers(found, "estimate", "std_error"), expected, rtol=2e-4)


def test_average_slope_of_a_linear_model_is_its_coefficient() -> None:
    # Slopes are differences over 1e-4 of the range, their standard errors differences of those:
    # in steps of 1e-8, the default, rounding of means of 300 would leave 5e-4 of them.
    found = me.avg_slopes(adapt(sleepstudy(), datasets.load("sleepstudy")), eps_vcov=1e-4)
    expected = [[sleepstudy().fe_params["Days"], sleepstudy().fe_bse["Days"]]]
    np.testing.assert_allclose(numbers(found, "estimate", "std_error"), expected, rtol=1e-5)


@pytest.mark.parametrize("type", ["response", "mean", "zero", "link"])
def test_contrasts_are_differences_of_predictions(type: str) -> None:
    data = datasets.load("Salamanders")
    model = adapt(salamanders(), data, type=type)
    found = me.avg_comparisons(model, variables="mined")["estimate"][0]
    one, other = (
        salamanders().predict(data.assign(mined=level), type=type, include_re=False).mean()
        for level in ("no", "yes")
    )
    assert found == pytest.approx(one - other, rel=1e-10)


def test_predictions_with_groups_are_those_of_predict() -> None:
    data = datasets.load("cbpp")
    model = adapt(cbpp(), data, include_re=True)
    found = np.asarray(me.predictions(model)["estimate"])
    np.testing.assert_allclose(found, cbpp().predict(data), rtol=1e-12)
    assert set(me.avg_comparisons(model)["term"]) == {"period"}


def test_prediction_is_a_function_of_its_arguments_alone() -> None:
    model = adapt(cbpp(), datasets.load("cbpp"))
    rows = model.get_exog(model.get_modeldata())
    first = model.get_predict(model.get_coef(), rows)["estimate"].to_numpy()
    model.get_predict(model.get_coef() + 1.0, rows)
    again = model.get_predict(model.get_coef(), rows)["estimate"].to_numpy()
    np.testing.assert_array_equal(first, again)


def test_another_covariance_can_be_given() -> None:
    model = adapt(sleepstudy(), datasets.load("sleepstudy"))
    V = 4.0 * model.get_vcov()
    plain, wide = (me.avg_slopes(model, vcov=each)["std_error"][0] for each in (True, V))
    assert wide == pytest.approx(2.0 * plain, rel=1e-6)
    with pytest.raises(OptionError, match="HC3"):
        model.get_vcov("HC3")


def test_adapt_refuses_data_and_types_it_cannot_use() -> None:
    data = datasets.load("cbpp")
    with pytest.raises(DataError, match="period"):
        adapt(cbpp(), data.drop(columns="period"))
    with pytest.raises(OptionError, match="'link'"):
        adapt(cbpp(), data, type="logit")
    with pytest.raises(OptionError, match="population"):
        adapt(cbpp(), data, type="population", include_re=True)
    with pytest.raises(OptionError, match="prob"):
        adapt(wine(), load_data("wine"), type="class")


def test_numbers_that_are_levels_stay_levels() -> None:
    data = datasets.load("cbpp")
    data = data.assign(period=pd.Categorical(data["period"].astype(int)))
    m = interlace.glmer("incidence / size ~ period + (1 | herd)", data, "binomial", weights="size")
    found = me.avg_comparisons(adapt(m, data), variables="period")
    expected = me.avg_comparisons(adapt(cbpp(), datasets.load("cbpp")), variables="period")
    np.testing.assert_allclose(numbers(found, "estimate"), numbers(expected, "estimate"), atol=1e-9)


@pytest.mark.parametrize("type", ["prob", "cum.prob", "population"])
def test_each_ordered_category_has_a_row(type: str) -> None:
    data = load_data("wine")
    model = adapt(wine(), data, type=None if type == "prob" else type)
    found = me.predictions(model, newdata=data.iloc[:7].reset_index(drop=True), eps_vcov=1e-5)
    table = found.data.sort("group", "rowid")
    errors = wine().predict(data.iloc[:7], type=type, include_re=False, se=True)
    for category in wine().levels:
        own = table.filter(pl.col("group") == str(category))
        expected = errors[category]
        np.testing.assert_allclose(own["estimate"], expected["fit"], rtol=1e-9)
        np.testing.assert_allclose(own["std_error"], expected["se"], rtol=2e-4, atol=1e-9)


def test_contrasts_of_categories_are_differences_of_probabilities_and_add_up_to_0() -> None:
    data = load_data("wine")
    found = me.avg_comparisons(adapt(wine(), data), variables="temp").data
    assert found["estimate"].sum() == pytest.approx(0.0, abs=1e-12)
    one, other = (
        wine().predict(data.assign(temp=level), include_re=False).mean()
        for level in ("warm", "cold")
    )
    by_category = dict(zip(found["group"], found["estimate"], strict=True))
    for category in wine().levels:
        assert by_category[str(category)] == pytest.approx(one[category] - other[category])


@pytest.mark.parametrize("which", ["cbpp", "slopes", "two parameters"])
def test_population_means_and_their_errors_are_those_of_predict(which: str) -> None:
    if which == "cbpp":
        fit, data = cbpp(), datasets.load("cbpp")
    elif which == "slopes":
        fit, data = sleepstudy(), datasets.load("sleepstudy")
    else:
        fit, data = salamanders(), datasets.load("Salamanders")
    rows = data.iloc[[0, 5, 20]].reset_index(drop=True)
    found = me.predictions(adapt(fit, data, type="population"), newdata=rows, eps_vcov=1e-5)
    expected = fit.predict(rows, type="population", se=True)
    np.testing.assert_allclose(found["estimate"], expected["fit"], rtol=1e-9)
    np.testing.assert_allclose(found["std_error"], expected["se"], rtol=2e-4)


@pytest.mark.parametrize("df_method", ["satterthwaite", "kenward-roger", "none"])
def test_a_slope_of_a_linear_model_has_the_t_test_of_its_coefficient(df_method: str) -> None:
    data = datasets.load("sleepstudy")
    fit = interlace.fit("Reaction ~ Days + (Days | Subject)", data, df_method=df_method)
    model = adapt(fit, data)
    found = with_t(me.avg_slopes(model, eps_vcov=1e-4), model)
    row = found.data.row(0, named=True)
    low, high = fit.conf_int().loc["Days"]
    assert row["estimate"] == pytest.approx(fit.fe_params["Days"], rel=1e-8)
    if df_method != "kenward-roger":  # whose standard errors are others
        assert row["df"] == pytest.approx(fit.fe_df["Days"], rel=1e-4)
        assert row["p_value"] == pytest.approx(fit.fe_pvalues["Days"], rel=1e-3, abs=1e-15)
        assert (row["conf_low"], row["conf_high"]) == pytest.approx((low, high), rel=1e-5)


def test_each_mean_of_a_linear_model_has_its_own_degrees_of_freedom() -> None:
    data = datasets.load("sleepstudy")
    fit = interlace.fit("Reaction ~ Days + (Days | Subject)", data)
    model = adapt(fit, data)
    grid = me.datagrid(model=model, Days=[0, 5, 9])
    found = with_t(me.predictions(model, newdata=grid, eps_vcov=1e-4), model)
    for day, df in zip(found.data["Days"], found.data["df"], strict=True):
        assert df == pytest.approx(fit.contrast_df([1.0, day]), rel=1e-4)


def test_only_a_linear_model_has_t_tests() -> None:
    data = datasets.load("cbpp")
    model = adapt(cbpp(), data)
    with pytest.raises(OptionError, match=r"interlace\.fit"):
        with_t(me.avg_comparisons(model), model)
    sleep = datasets.load("sleepstudy")
    linear = adapt(interlace.fit("Reaction ~ Days + (1 | Subject)", sleep), sleep)
    with pytest.raises(OptionError, match="standard errors"):
        with_t(me.avg_slopes(linear, vcov=False), linear)
    with pytest.raises(OptionError, match="vcov"):
        with_t(me.avg_slopes(linear, vcov=4.0 * linear.get_vcov()), linear)


def test_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = PAGE.read_text(encoding="utf-8").split("```python no-run\n")[1:]
    assert len(blocks) == 5
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(block.partition("```")[0], namespace)
    assert "0.198" in capsys.readouterr().out
