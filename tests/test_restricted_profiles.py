"""Profile intervals of fits by REML: refitted where coefficients are asked for, as lme4 does."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import chi2

import interlace
from interlace.linear import LMMResult
from interlace_core.messages.errors import NotAvailableError, OptionError
from reference_fits import coefficient_name, load_data, load_fit

FITS = {
    "sleepstudy_reml_lme4": "Reaction ~ Days + (Days | Subject)",
    "sleepstudy_reml_uncor_lme4": "Reaction ~ Days + (Days || Subject)",
    "dyestuff_reml_lme4": "Yield ~ 1 + (1 | Batch)",
    "penicillin_reml_lme4": "diameter ~ 1 + (1 | plate) + (1 | sample)",
    "cake_reml_temp_lme4": "angle ~ recipe + temp + (1 | recipe:replicate) + (1 | replicate)",
}


@cache
def fitted(fit_id: str) -> LMMResult:
    return interlace.fit(FITS[fit_id], load_data(load_fit(fit_id)["dataset"]))


def label(name: str, factors: dict) -> str:
    """Return our label of what lme4's confint(oldNames = FALSE) calls `name`."""
    kind, _, rest = name.partition("_")
    if kind not in ("sd", "cor"):
        return coefficient_name(name, factors)
    effects, group = rest.replace("(Intercept)", "Intercept").split("|")
    return f"{kind}({effects.replace('.', ', ')} | {group})"


@pytest.mark.parametrize("fit_id", FITS)
def test_intervals_of_a_fit_by_reml_are_those_of_lme4(fit_id: str) -> None:
    fit = load_fit(fit_id)
    expected = fit["extras"]["confint_profile"]
    found = fitted(fit_id).confint(method="profile")
    assert found.columns.name == "refitted by ML" and "refitted by ML" in str(found)
    found = found.loc[[label(name, fit["factors"]) for name in expected["names"]]]
    # lme4 interpolates its profile by splines, to about 2e-4 of an interval's width
    width = np.subtract(expected["upper"], expected["lower"])
    for end in ("lower", "upper"):
        assert np.all(np.abs(found[end] - expected[end]) < 4e-4 * width)


def test_estimates_stand_beside_their_own_intervals() -> None:
    found = fitted("sleepstudy_reml_lme4").confint(method="profile")
    by_ml = fitted("sleepstudy_reml_lme4").refit_ml().confint(method="profile")
    np.testing.assert_allclose(
        found.drop(columns="kind"), by_ml.drop(columns="kind"), rtol=1e-6, atol=1e-8
    )
    assert by_ml.columns.name is None


def balanced() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(12), 6)
    return pd.DataFrame({"y": 5.0 + rng.normal(size=12)[g] + rng.normal(size=72), "g": g})


def balanced_deviance(data: pd.DataFrame, between: float, within: float) -> float:
    """Return -2 log restricted likelihood of a balanced layout up to a constant.

    Its sums of squares are independent multiples of chi-squares, k - 1 and k (m - 1).
    """
    k, m = 12, 6
    means = data.groupby("g")["y"].transform("mean")
    sums = ((means - data["y"].mean()) ** 2).sum(), ((data["y"] - means) ** 2).sum()
    both = within**2 + m * between**2
    total = (k - 1) * np.log(both) + sums[0] / both
    return float(total + k * (m - 1) * np.log(within**2) + sums[1] / within**2)


def test_a_variance_alone_has_its_profile_under_reml_itself() -> None:
    data = balanced()

    def least(between: float) -> float:
        found = minimize_scalar(
            lambda log: balanced_deviance(data, between, np.exp(log)), bounds=(-3.0, 3.0),
            method="bounded", options={"xatol": 1e-10},
        )  # fmt: skip
        return float(found.fun)

    best = minimize_scalar(least, bounds=(0.05, 5.0), method="bounded", options={"xatol": 1e-10})
    half = chi2.ppf(0.95, 1)
    ends = [
        brentq(lambda sd: least(sd) - best.fun - half, *bracket)
        for bracket in ((0.01, best.x), (best.x, 10.0))
    ]
    model = interlace.fit("y ~ 1 + (1 | g)", data)
    found = model.confint("sd", method="profile")
    assert found.columns.name == "by REML"
    # 2e-4: where the search for an end stops, 1e-4 on the scale of zeta
    np.testing.assert_allclose(found[["lower", "upper"]].iloc[0], ends, rtol=2e-4)
    curve = model.profile("sd", level=0.95, points=8)
    assert curve.heading == "by REML" and curve.confint().columns.name == "by REML"
    np.testing.assert_allclose(curve.confint().iloc[0], ends, rtol=5e-3)


def test_refit_decides_what_is_profiled() -> None:
    model = fitted("dyestuff_reml_lme4")
    expected = model.refit_ml().confint("sd", method="profile")[["lower", "upper"]]
    found = model.confint("sd", method="profile", refit=True)
    assert found.columns.name == "refitted by ML"
    np.testing.assert_allclose(found[["lower", "upper"]], expected, rtol=1e-6)
    curve = model.profile("Intercept", level=0.95, points=4)
    assert curve.heading == "refitted by ML"


def test_what_cannot_be_profiled_is_refused_in_words() -> None:
    model = fitted("dyestuff_reml_lme4")
    with pytest.raises(OptionError, match=r"'Intercept' has no profile .*Leave out refit=False"):
        model.confint(method="profile", refit=False)
    with pytest.raises(OptionError, match="refit must be True or False, got 'ML'"):
        model.profile(refit="ML")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match='refit goes with method="profile"'):
        model.confint(refit=True)
    with pytest.raises(NotAvailableError, match="confint: needs the data of the fit"):
        model.without_training().confint(method="profile")
