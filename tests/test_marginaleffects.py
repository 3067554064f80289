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
from reference_fits import load_fit

me = pytest.importorskip("marginaleffects")
pl = pytest.importorskip("polars")
if int(pl.__version__.partition(".")[0]) >= 2:
    pytest.skip("marginaleffects 0.6 calls what polars 2 removed", allow_module_level=True)

from interlace.marginaleffects import adapt  # noqa: E402

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
        adapt(cbpp(), data, type="population")


def test_numbers_that_are_levels_stay_levels() -> None:
    data = datasets.load("cbpp")
    data = data.assign(period=pd.Categorical(data["period"].astype(int)))
    m = interlace.glmer("incidence / size ~ period + (1 | herd)", data, "binomial", weights="size")
    found = me.avg_comparisons(adapt(m, data), variables="period")
    expected = me.avg_comparisons(adapt(cbpp(), datasets.load("cbpp")), variables="period")
    np.testing.assert_allclose(numbers(found, "estimate"), numbers(expected, "estimate"), atol=1e-9)


def test_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = PAGE.read_text(encoding="utf-8").split("```python no-run\n")[1:]
    assert len(blocks) == 3
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(block.partition("```")[0], namespace)
    assert "0.198" in capsys.readouterr().out
