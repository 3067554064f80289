"""tidy(), glance() and augment() held against what broom.mixed and broom make of the same fits.

`tests/reference/broom.json` is their stored output, made by broom.R beside it.
"""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.results.result import GLMMResult
from reference_fits import FOLDER, load_data

BROOM = json.loads((FOLDER / "broom.json").read_text())
SLEEP = "Reaction ~ Days + (Days | Subject)"
NAMES = {"mined[T.no]": "minedno", "temp[T.warm]": "tempwarm", "contact[T.yes]": "contactyes"}
NAMES |= {f"period[T.{i}]": f"period{i}" for i in (2, 3, 4)}
"""R's names of our columns for levels of factors; all other terms are the same."""


@cache
def fitted(case: str) -> GLMMResult:
    match case:
        case "lmer_reml":
            return interlace.fit(SLEEP, load_data("sleepstudy"))
        case "lmer_ml":
            return interlace.fit(SLEEP, load_data("sleepstudy"), method="ML")
        case "glmmtmb_normal":
            return interlace.glmer(SLEEP, load_data("sleepstudy"), "gaussian")
        case "glmer":
            formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
            return interlace.glmer(formula, load_data("cbpp"), "binomial")
        case "clmm":
            return interlace.clmm("rating ~ temp + contact + (1 | judge)", load_data("wine"))
    family = {"glmmtmb_nb": "negativebinomial", "glmmtmb_zip": "poisson"}[case]
    zeros = "~ mined + (1 | site)" if case == "glmmtmb_zip" else None
    formula = "count ~ mined + (1 | site)"
    return interlace.glmer(formula, load_data("Salamanders"), family, ziformula=zeros)


def table_of(columns: dict) -> pd.DataFrame:
    return pd.DataFrame(columns).fillna(np.nan)


def keyed(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table by its names; broom's of clmm has no effect, and none of group or component.

    What R leaves out of a table is filled in where it goes without saying.
    """
    table = table.replace({"term": NAMES}).assign(
        effect=table.get("effect", "fixed"),
        component=table.get("component", "cond"),
        group=[str(each) if isinstance(each, str) else "" for each in table["group"]]
        if "group" in table
        else "",
    )
    return table.set_index(["effect", "component", "group", "term"]).sort_index()


CASES = ["lmer_reml", "lmer_ml", "glmer", "glmmtmb_nb", "glmmtmb_zip", "glmmtmb_normal", "clmm"]
TOLERANCES = {"estimate": 2e-4, "std.error": 3e-3, "statistic": 3e-3, "df": 1e-3}
"""Of a standard error or relative: lme4's and glmmTMB's optima, their Hessians by differences."""


@pytest.mark.parametrize("case", CASES)
def test_tidy_has_the_rows_and_numbers_of_broom(case: str) -> None:
    expected = table_of(BROOM[case]["tidy"])
    found = fitted(case).tidy(conf_int="conf.low" in expected)
    assert set(expected.columns) <= {*found.columns, "df", "coef.type"}
    if case == "clmm":  # broom has no parameters of random effects there
        found = found[found["effect"] == "fixed"]
        assert list(found["term"].replace(NAMES)) == list(expected["term"])  # thresholds first
        assert list(found["coef.type"]) == list(expected["coef.type"])
    ours, theirs = keyed(found), keyed(expected)
    assert list(ours.index) == list(theirs.index)
    assert ("df" in ours) == ("df" in theirs)
    # lme4's standard errors of a glmer come from differences with a coarse step
    slack = 15.0 if case == "glmer" else 1.0
    for column in set(TOLERANCES) & set(theirs):
        a, b = ours[column].to_numpy(float), theirs[column].to_numpy(float)
        known = ~np.isnan(b)  # the errors of standard deviations are not in broom
        np.testing.assert_allclose(a[known], b[known], rtol=slack * TOLERANCES[column])
    fixed = ours.index.get_level_values("effect") == "fixed"
    both = fixed & (theirs["p.value"].to_numpy(float) > 0.0)  # R writes 0 for the smallest
    p, q = (np.log(each["p.value"].to_numpy(float)[both]) for each in (ours, theirs))
    np.testing.assert_allclose(p, q, rtol=slack * 5e-3, atol=5e-3)
    if "conf.low" in theirs:
        for end in ("conf.low", "conf.high"):
            a, b = ours[end].to_numpy(float)[fixed], theirs[end].to_numpy(float)[fixed]
            se = theirs["std.error"].to_numpy(float)[fixed]
            assert np.all(np.abs(a - b) < slack * 3e-3 * se)


@pytest.mark.parametrize("case", ["glmer", "clmm"])
def test_exponentiated_tables_are_brooms(case: str) -> None:
    theirs = keyed(table_of(BROOM[case]["ratios"]))
    found = fitted(case).tidy(effects="fixed", conf_int=True, exponentiate=True)
    ours = keyed(found)
    np.testing.assert_allclose(ours["estimate"], theirs["estimate"], rtol=1e-3)
    np.testing.assert_allclose(ours["conf.high"], theirs["conf.high"], rtol=3e-2)
    if case == "glmer":  # broom leaves the errors of clmm's coefficients as they were
        np.testing.assert_allclose(ours["std.error"], theirs["std.error"], rtol=5e-2)


@pytest.mark.parametrize("case", CASES)
def test_glance_has_the_columns_and_numbers_of_broom(case: str) -> None:
    row = fitted(case).glance().iloc[0]
    expected = {("df" if name == "edf" else name): v for name, v in BROOM[case]["glance"].items()}
    if case == "glmmtmb_nb":
        expected.pop("sigma")  # glmmTMB's sigma() is theta there; ours is a standard deviation
    assert set(expected) <= set(row.index)
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-5, abs=1e-4), name


def test_random_effects_are_brooms() -> None:
    expected = table_of(BROOM["lmer_reml"]["ran_vals"])
    found = fitted("lmer_reml").tidy(effects="ran_vals").head(3)
    assert list(found["level"]) == [str(each) for each in expected["level"]]
    assert list(found["term"]) == list(expected["term"])
    np.testing.assert_allclose(found["estimate"], expected["estimate"], rtol=1e-4)
    np.testing.assert_allclose(found["std.error"], expected["std.error"], rtol=1e-4)


@pytest.mark.parametrize(
    ("case", "data", "kind"),
    [
        ("lmer_reml", "sleepstudy", "response"),
        ("glmmtmb_normal", "sleepstudy", "response"),
        ("glmer", "cbpp", "deviance"),
    ],
)
def test_augmented_rows_are_brooms(case: str, data: str, kind: str) -> None:
    expected = table_of(BROOM[case]["augment"])
    found = fitted(case).augment(load_data(data), residuals=kind).head(len(expected))
    shared = [name for name in expected if name.startswith(".") and name in found]
    assert {".fitted", ".resid"} <= set(shared)
    assert case == "glmmtmb_normal" or {".fixed", ".mu", ".offset"} <= set(shared)
    for name in shared:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, atol=1e-5, err_msg=name)


def test_rows_of_categories_have_no_mean_of_codes() -> None:
    found = fitted("clmm").augment(load_data("wine"))
    assert ".mu" not in found and ".resid" not in found
    np.testing.assert_allclose(found[".fitted"], fitted("clmm").predict(type="link"))
