"""The rows of anova() are told apart by what their models differ in, and tested where nested."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

import interlace
from interlace import datasets
from interlace.reporting.differences import names_of
from interlace.results.result import GLMMResult
from interlace_core.messages.errors import OptionError
from reference_fits import load_data


@cache
def salamanders(family: str = "poisson", **options: str) -> GLMMResult:
    data = datasets.load("Salamanders")
    return interlace.glmer("count ~ mined + (1 | site)", data, family, **options)


@cache
def sleep(**options: str) -> GLMMResult:
    return interlace.fit("Reaction ~ Days", load_data("sleepstudy"), groups="Subject", **options)


@cache
def wine(right: str = "temp", **options: str) -> GLMMResult:
    return interlace.clmm(f"rating ~ {right}", load_data("wine"), groups="judge", **options)


def test_rows_of_one_formula_differ_by_their_zero_parts() -> None:
    small, large = salamanders(ziformula="~ 1"), salamanders(ziformula="~ mined")
    found = interlace.anova(large, small)
    formula = "count ~ mined + (1 | site); ziformula"
    assert list(found.index) == [f"{formula} ~ 1", f"{formula} ~ mined"]
    assert found["chi_df"].iloc[1] == 1


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: [salamanders(), salamanders("negativebinomial")], ["poisson", "negativebinomial"]),
        (
            lambda: [
                salamanders("negativebinomial"),
                salamanders("negativebinomial", dispformula="~ mined"),
            ],
            ["site)", "dispformula ~ mined"],
        ),
        (lambda: [wine(), wine(link="probit")], ["link logit", "link probit"]),
        (
            lambda: [wine(), wine(threshold="equidistant")],
            ["cumulative (link logit, flexible thresholds)", "equidistant thresholds)"],
        ),
        (lambda: [sleep(), sleep(method="ML")], ["REML", "; ML"]),
        (
            lambda: [sleep(), sleep(correlation="ar1(Days | Subject)")],
            ["independent rows", "correlation ar1(Days | Subject)"],
        ),
        (lambda: [sleep(), sleep(weights="Days + 1")], ["no weights", "weights Days + 1"]),
        (lambda: [sleep(), sleep(offset="Days")], ["Subject)", "offset Days"]),
        (
            lambda: [
                salamanders("negativebinomial"),
                interlace.glmer(
                    "count ~ mined + (1 | site)", datasets.load("Salamanders"),
                    "negativebinomial", hold={"theta": 1.0},
                ),
            ],
            ["site)", "theta = 1"],
        ),
        (lambda: [sleep(), sleep()], ["(1)", "(2)"]),
    ],
    ids=["family", "dispersion", "link", "thresholds", "method", "correlation", "weights",
         "offset", "held", "nothing"],
)  # fmt: skip
def test_names_have_what_differs(make, parts: list[str]) -> None:
    names = names_of(make())
    assert len(set(names)) == len(names)
    for name, part in zip(names, parts, strict=True):
        assert part in name


def test_structures_and_groups_given_beside_the_formula_are_in_the_names() -> None:
    data = load_data("Penicillin")
    one, two = (interlace.fit("diameter ~ 1", data, groups=g) for g in ("plate", "sample"))
    assert names_of([one, two]) == ["diameter ~ 1 + (1 | plate)", "diameter ~ 1 + (1 | sample)"]
    arguments = ("Reaction ~ Days + (Days | Subject)", load_data("sleepstudy"))
    plain = interlace.fit(*arguments)
    structured = interlace.fit(*arguments, covariance={"Subject": "diag"})
    assert names_of([plain, structured]) == [
        "Reaction ~ Days + (Days | Subject); us covariances",
        "Reaction ~ Days + (Days | Subject); diag(Subject)",
    ]
    table = interlace.anova(structured, plain)
    assert table["chi_df"].iloc[1] == 1 and np.isfinite(table["pvalue"].iloc[1])


def test_rows_can_be_named() -> None:
    small, large = salamanders(ziformula="~ 1"), salamanders(ziformula="~ mined")
    found = interlace.anova(large, small, names=["by mining", "one share"])
    assert list(found.index) == ["one share", "by mining"]
    for names in (["one"], [1, 2], "both"):
        with pytest.raises(OptionError, match="names must be 2 texts"):
            interlace.anova(large, small, names=names)


def test_fits_with_other_latent_links_are_not_nested() -> None:
    found = interlace.anova(wine(), wine("temp + contact", link="probit"))
    assert np.isnan(found["pvalue"].iloc[1])
    assert found["reference"].iloc[1] == "not nested: different links"


def test_equidistant_thresholds_are_nested_in_symmetric_and_flexible_ones() -> None:
    fits = [wine(threshold=each) for each in ("equidistant", "symmetric", "flexible")]
    found = interlace.anova(*fits)
    statistic = 2.0 * np.diff([each.llf for each in fits])
    np.testing.assert_allclose(found["chisq"].iloc[1:], statistic, atol=1e-8)
    df = found["chi_df"].iloc[1:].to_numpy(dtype=float)
    np.testing.assert_allclose(found["pvalue"].iloc[1:], chi2.sf(statistic, df))
    more = wine("temp + contact", threshold="equidistant")
    assert interlace.anova(fits[2], more)["reference"].iloc[1] != ""


def test_structures_that_are_not_nested_are_not_tested() -> None:
    makers = {
        name: interlace.glmer(
            f"Reaction ~ 1 + {name}(0 + C(part) | Subject)",
            load_data("sleepstudy").assign(part=lambda d: (d["Days"] // 4).astype(int)),
            "gaussian",
        )
        for name in ("ar1", "diag", "us")
    }
    assert "not nested" in interlace.anova(makers["ar1"], makers["diag"])["reference"].iloc[1]
    assert interlace.anova(makers["ar1"], makers["us"])["pvalue"].iloc[1] > 0.0
    assert interlace.anova(makers["diag"], makers["us"])["chi_df"].iloc[1] == 3


def test_proportional_odds_are_nested_in_effects_on_the_thresholds() -> None:
    small, large = wine("temp + contact"), wine("temp", nominal="~ contact")
    row = interlace.anova(small, large).iloc[1]
    statistic = 2.0 * (large.llf - small.llf)
    assert row["chi_df"] == 3
    np.testing.assert_allclose(row["chisq"], statistic, atol=1e-8)
    np.testing.assert_allclose(row["pvalue"], chi2.sf(statistic, 3))


@pytest.mark.parametrize(
    ("small", "large", "reference"),
    [
        (dict(scale="~ temp"), dict(nominal="~ contact"), "not nested: scale"),
        (dict(threshold="equidistant", nominal="~ contact"), dict(), "not nested: thresholds"),
        (dict(threshold="equidistant"), dict(nominal="~ contact"), ""),
        (dict(), dict(scale="~ temp"), ""),
        (dict(), dict(scale="~ temp", nominal="~ contact"), ""),
        (dict(hold={"contact[T.yes]": 1.0}), dict(), ""),
        (dict(threshold="equidistant"), dict(), ""),
    ],
)
def test_ordinal_models_are_nested_where_thresholds_and_scale_are(small, large, reference) -> None:
    def made(options: dict[str, Any]) -> Any:
        right = "temp" if "nominal" in options else "temp + contact"
        return interlace.clmm(f"rating ~ {right} + (1 | judge)", load_data("wine"), **options)

    row = interlace.anova(made(small), made(large)).iloc[1]
    if "not nested" in reference:
        assert row["reference"].startswith(reference) and np.isnan(row["pvalue"])
    else:
        assert row["pvalue"] > 0.0


def test_a_held_coefficient_is_nested_where_it_is_free() -> None:
    formula = "Reaction ~ Days + (1 | Subject)"
    sleep = load_data("sleepstudy")
    held = interlace.fit(formula, sleep, method="ML", hold={"Days": 9.0})
    free = interlace.fit(formula, sleep, method="ML")
    row = interlace.anova(held, free).iloc[1]
    np.testing.assert_allclose(row["chisq"], 2.0 * (free.llf - held.llf), atol=1e-8)
    assert row["chi_df"] == 1 and row["pvalue"] > 0.0
