"""Predictions of every part of a model with a formula for each parameter, against sums by hand."""

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_counts.negative_binomial import NegativeBinomial2Family

GROUPS = 25


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(11)
    g = np.repeat(np.arange(GROUPS), 20)
    x, z = rng.normal(size=(2, g.size))
    mu = np.exp(1.0 + 0.4 * x + 0.5 * rng.normal(size=GROUPS)[g])
    theta = np.exp(1.0 + 0.5 * z)
    pi = 1.0 / (1.0 + np.exp(1.0 - 0.8 * x - 0.6 * rng.normal(size=GROUPS)[g]))
    y = rng.negative_binomial(theta, theta / (theta + mu))
    return pd.DataFrame({"y": np.where(rng.random(g.size) < pi, 0, y), "x": x, "z": z, "g": g})


@pytest.fixture(scope="module", params=["zeroinflated", "hurdle"])
def fit(request, data):
    """A zero part with a random effect, a dispersion with a covariate."""
    return interlace.glmer(
        "y ~ x + (1 | g)",
        data,
        f"{request.param}_negativebinomial",
        dispformula="~ z",
        ziformula="~ x + (1 | g)",
    )


def by_hand(fit, new, include_re):
    """Return the predictions by type from coefficients and modes alone."""
    one = np.ones(len(new))
    b = fit.random_effects["g"].to_numpy()[new["g"].to_numpy()] * include_re
    eta = np.column_stack([one, new["x"]]) @ fit.fe_params.to_numpy() + b[:, 0]
    mu = np.exp(eta)
    theta = np.exp(np.column_stack([one, new["z"]]) @ fit.params_of("dispersion").to_numpy())
    logit = np.column_stack([one, new["x"]]) @ fit.params_of("zero").to_numpy() + b[:, 1]
    pi = 1.0 / (1.0 + np.exp(-logit))
    conditional = mu
    if fit.family.name.startswith("hurdle"):
        conditional = mu / (1.0 - (theta / (theta + mu)) ** theta)
    response = (1.0 - pi) * conditional
    return {
        "link": eta,
        "zero": pi,
        "pi": pi,
        "dispersion": theta,
        "theta": theta,
        "mean": conditional,
        "response": response,
    }


@pytest.mark.parametrize("include_re", [True, False])
@pytest.mark.parametrize("rows", ["in sample", "new"])
def test_every_type_is_what_its_formula_gives(fit, data, rows, include_re):
    new = data if rows == "in sample" else data.iloc[[3, 250, 77]].assign(x=[0.3, -2.0, 1.0])
    for name, expected in by_hand(fit, new, include_re).items():
        found = fit.predict(None if rows == "in sample" else new, type=name, include_re=include_re)
        assert found.to_numpy() == pytest.approx(expected, rel=1e-10), name
        assert found.index.equals(new.index)


def test_a_fixed_parameter_is_predicted_as_its_value(data):
    fit = interlace.glmer("y ~ x + (1 | g)", data, NegativeBinomial2Family(2.0), ziformula="~ x")
    assert fit.predict(type="dispersion").to_numpy() == pytest.approx(2.0, rel=1e-12)
    assert np.ptp(fit.predict(type="zero")) > 0.0
