"""R2 and ICC held against R: performance 0.10.2 (insight 0.19.0, R 4.2.2), r2_nakagawa and icc.

Of the same models by lme4 1.1-31, glmmTMB and ordinal. For counts and proportions, whose residual
variance depends on the mean, R takes the mean of a group without effects in a model without
covariates, here it is the mean of the data under the fit: there the closed forms of Nakagawa,
Johnson & Schielzeth (2017, table 1) are written out at that mean.
"""

import numpy as np
import pytest

import interlace
from reference_fits import load_data

R = {
    "ordinal logit": (0.41429421877, 0.57829808988, 0.28001067492, 0.16400387111),
    "ordinal probit": (0.43310392833, 0.60625987205, 0.30544565816, 0.17315594372),
    "binomial logit": (0.085363168714, 0.18721354254, 0.11135608182, 0.10185037382),
    "binary probit": (0.30118877734, 0.38652510995, 0.12211643122, 0.085336332607),
    "binary cloglog": (0.30810898452, 0.38984538152, 0.11813478593, 0.081736397004),
    "gaussian REML": (0.27865105816, 0.79921992278, 0.72166025959, 0.52056886462),
}


def fitted(name):
    """Return the model that R's numbers are of."""
    if name.startswith("ordinal"):
        return interlace.clmm(
            "rating ~ temp + contact + (1 | judge)", load_data("wine"), link=name.split()[1]
        )
    if name == "gaussian REML":
        return interlace.fit("Reaction ~ Days + (Days | Subject)", load_data("sleepstudy"))
    if name == "binomial logit":
        return interlace.glmer(
            "incidence / size ~ period + (1 | herd)", load_data("cbpp"), "binomial", weights="size"
        )
    data = load_data("Salamanders")
    data["seen"] = (data["count"] > 0).astype(int)
    return interlace.glmer("seen ~ mined + (1 | site)", data, "binomial", link=name.split()[1])


@pytest.mark.parametrize("name", R)
def test_shares_are_those_of_r(name):
    found = fitted(name).r2()
    shares = (found.marginal, found.conditional, found.icc, found.icc_unadjusted)
    # R's optimizers stop at 1e-4 of a variance; lme4's cbpp is the worst
    assert shares == pytest.approx(R[name], abs=2e-4)


def of_log_normal(mu, variance):
    """Return ln(1 + Var/mu^2), the variance of the log of what has this mean and variance."""
    return np.log1p(variance / mu**2)


CLOSED = {
    "poisson": ("Salamanders", "count ~ mined", lambda mu, m: of_log_normal(mu, mu)),
    "nb2": (
        "Salamanders",
        "count ~ mined",
        lambda mu, m: of_log_normal(mu, mu + mu**2 / m.family_params.loc["theta", "value"]),
    ),
    "gamma": (
        "sleepstudy",
        "Reaction ~ Days",
        lambda mu, m: of_log_normal(mu, mu**2 / m.family_params.loc["shape", "value"]),
    ),
    "beta": (
        "cbpp",
        "p ~ period",
        lambda mu, m: 1 / (mu * (1 - mu) * (1 + m.family_params.loc["phi", "value"])),
    ),
}


@pytest.mark.parametrize("family", CLOSED)
def test_other_families_have_the_residual_variance_of_their_closed_form(family):
    name, formula, residual = CLOSED[family]
    data = load_data(name)
    if family == "beta":
        data["p"] = (data["incidence"] + 0.5) / (data["size"] + 1)
    group = {"Salamanders": "site", "sleepstudy": "Subject", "cbpp": "herd"}[name]
    model = interlace.glmer(f"{formula} + (1 | {group})", data, family)
    mu = float(np.mean(model.predict(type="population")))
    random = float(model.variance_components[group])
    fixed = float(np.var(model.eta_fixed[0], ddof=1))
    own = residual(mu, model)
    found = model.r2()
    assert found.residual == pytest.approx(own, rel=1e-6)
    assert found.marginal == pytest.approx(fixed / (fixed + random + own), rel=1e-6)
    assert found.conditional == pytest.approx((fixed + random) / (fixed + random + own), rel=1e-6)
    assert found.icc == pytest.approx(random / (random + own), rel=1e-6)
