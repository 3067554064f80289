"""Tables of several models by the package maketables: its protocol, and what comes of it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.reporting.tabled import Tabled
from interlace.results.result import GLMMResult
from interlace_core.messages.errors import OptionError
from reference_fits import load_data


@cache
def herds() -> GLMMResult:
    return interlace.glmer(
        "incidence / size ~ period + (1 | herd)", load_data("cbpp"), "binomial", weights="size"
    )


@cache
def counts() -> GLMMResult:
    return interlace.glmer(
        "count ~ mined + (1 | site)", load_data("Salamanders"), "negativebinomial",
        ziformula="~ mined",
    )  # fmt: skip


@cache
def sleep() -> GLMMResult:
    return interlace.fit("Reaction ~ Days + (Days | Subject)", load_data("sleepstudy"))


@cache
def wine() -> GLMMResult:
    return interlace.clmm("rating ~ temp + (1 | judge)", load_data("wine"))


def table(result: GLMMResult | Tabled) -> pd.DataFrame:
    return result.__maketables_coef_table__


def test_rows_are_coefficients_of_all_parts_then_random_effects() -> None:
    found = table(counts())
    assert found.index.name == "Coefficient"
    assert list(found.index) == [
        "Intercept", "mined[T.no]", "(pi) Intercept", "(pi) mined[T.no]", "sd(Intercept | site)",
        "theta",
    ]  # fmt: skip
    tidy = counts().tidy(effects="fixed", conf_int=True)
    ours = found.iloc[:4][["b", "se", "t", "p", "ci95l", "ci95u"]]
    theirs = tidy[["estimate", "std.error", "statistic", "p.value", "conf.low", "conf.high"]]
    np.testing.assert_allclose(ours, theirs)
    confint = counts().confint(["sd", "family"])
    np.testing.assert_allclose(found["ci95u"].iloc[4:], confint["upper"])
    assert found["p"].iloc[4:].isna().all()
    assert list(table(counts().tabled(random=False)).index) == list(found.index[:4])


def test_t_tests_and_thresholds_are_those_of_the_model() -> None:
    np.testing.assert_allclose(table(sleep())["p"].iloc[:2], sleep().fe_pvalues)
    assert list(table(wine()).index[1:5]) == ["1|2", "2|3", "3|4", "4|5"]


def test_exponentials_where_they_have_a_meaning() -> None:
    found = table(herds().tabled(exponentiate=True, level=0.9))
    tidy = herds().tidy(effects="fixed", conf_int=True, level=0.9, exponentiate=True)
    for ours, theirs in (("b", "estimate"), ("se", "std.error"), ("ci95l", "conf.low")):
        np.testing.assert_allclose(found[ours].iloc[:4], tidy[theirs])
    pd.testing.assert_frame_equal(table(sleep().tabled(exponentiate=True)), table(sleep()))
    assert table(wine().tabled(exponentiate=True))["b"]["1|2"] == wine().thresholds["1|2"]
    with pytest.raises(OptionError, match="level"):
        herds().tabled(level=2.0)


def test_statistics_are_those_of_the_fit() -> None:
    keys = herds().__maketables_default_stat_keys__
    assert keys == ["N", "ll", "aic", "bic", "Levels of herd"]
    found = [herds().__maketables_stat__(key) for key in keys]
    assert found == [56, herds().llf, herds().aic, herds().bic, 15]
    assert set(keys[:-1]) <= set(herds().__maketables_stat_labels__)
    assert herds().__maketables_stat__("r2") is None
    assert "(REML)" in str(sleep().__maketables_stat__("method"))
    assert herds().__maketables_depvar__ == "incidence / size"


def test_models_with_other_groups_have_labelled_rows_too() -> None:
    maketables = pytest.importorskip("maketables")
    latex = str(maketables.ETable([herds(), sleep(), wine()]).make(type="tex"))
    for group in ("herd", "Subject", "judge"):
        assert f"Levels of {group} & " in latex
    zeros = str(maketables.ETable([counts()]).make(type="tex"))
    assert "(pi) Intercept & " in zeros and "(pi) mined=no & " in zeros and "mined=no & " in zeros
    assert "_" not in latex.partition("midrule")[2]  # which LaTeX would take for an index


def test_maketables_writes_models_side_by_side() -> None:
    maketables = pytest.importorskip("maketables")
    both = maketables.ETable(
        [herds().tabled(exponentiate=True), herds()], coef_fmt="b:.3f \n (se:.3f)"
    )
    latex, html = both.make(type="tex"), both.make(type="html")
    estimate = herds().fe_params["period[T.2]"]
    for text in (str(latex), str(html)):
        assert f"{np.exp(estimate):.3f}" in text and f"{abs(estimate):.3f}" in text
        assert "Levels of herd" in text and "56" in text and "nan" not in text.lower()
