"""Rows of weight 0 and rows without trials: a fit counts as if they were not there."""

import numpy as np
import pandas as pd
import pytest

import interlace


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    n = 120
    d = pd.DataFrame({"g": np.repeat(np.arange(12), 10), "x": rng.normal(size=n)})
    eta = 0.3 * d["x"] + rng.normal(0, 0.5, 12)[d["g"]]
    d["y"], d["z"] = rng.poisson(np.exp(0.5 + eta)), eta + rng.normal(size=n)
    d["w"] = 1.0
    d.loc[:9, "w"] = d.loc[15, "w"] = 0.0
    d["trials"] = np.where(d["w"] > 0, 5, 0)
    d["k"] = rng.binomial(d["trials"], 0.4)
    d["failures"] = d["trials"] - d["k"]
    d["rating"] = 1 + np.clip(np.round(eta + rng.normal(size=n) + 1.0), 0, 2).astype(int)
    return d


FITS = {
    "poisson": lambda d: interlace.glmer("y ~ x + (1 | g)", d, "poisson", weights="w"),
    "negativebinomial": lambda d: interlace.glmer(
        "y ~ x + (1 | g)", d, "negativebinomial", weights="w"
    ),
    "gaussian": lambda d: interlace.glmer("z ~ x + (1 | g)", d, "gaussian", weights="w"),
    "pairs": lambda d: interlace.glmer("cbind(k, failures) ~ x + (1 | g)", d, "binomial"),
    "clmm": lambda d: interlace.clmm("rating ~ x + (1 | g)", d, weights="w"),
}


@pytest.mark.parametrize("kind", FITS)
def test_counts_and_criteria_are_those_of_the_other_rows(data, kind):
    whole, part = FITS[kind](data), FITS[kind](data[data["w"] > 0])
    assert (whole.nobs, whole.ngroups) == (part.nobs, part.ngroups) == (109, {"g": 11})
    for criterion in ("llf", "aic", "aicc", "bic"):
        assert getattr(whole, criterion) == pytest.approx(getattr(part, criterion), abs=1e-6)
    assert whole.glance()["df.residual"].item() == part.glance()["df.residual"].item()
    assert len(whole.fittedvalues) == 120
    assert any("11 row(s)" in note for note in whole.notes)


def test_a_proportion_of_no_trials_does_not_count(data):
    some = data[data["w"] > 0]
    share = data.assign(share=np.where(data["trials"] > 0, data["k"] / data["trials"].clip(1), 0))
    whole = interlace.glmer("share ~ x + (1 | g)", share, "binomial", weights="trials")
    part = interlace.glmer("cbind(k, failures) ~ x + (1 | g)", some, "binomial")
    assert (whole.nobs, whole.bic) == (part.nobs, pytest.approx(part.bic, abs=1e-6))


def test_saved_counts_are_kept(data, tmp_path):
    fit = FITS["poisson"](data)
    fit.save(tmp_path / "m.interlace")
    again = interlace.load(tmp_path / "m.interlace")
    assert (again.nobs, again.ngroups, again.bic) == (fit.nobs, fit.ngroups, fit.bic)
