"""Mistakes in what is asked of a fit: each message names the argument, and what it should be."""

import re

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_core.messages.errors import InterlaceError, OptionError
from reference_fits import load_data


@pytest.fixture(scope="module")
def cbpp():
    return interlace.glmer(
        "incidence / size ~ period + (1 | herd)", load_data("cbpp"), "binomial", weights="size"
    )


NEW = pd.DataFrame({"period": ["1"], "herd": ["1"]})
MISTAKES = {
    "parm": (lambda m: m.confint(3), "confint: parm must be a parameter's label.*got 3"),
    "vcov": (lambda m: m.confint(vcov=np.eye(2)), r"vcov must be.*\(5, 5\).*got shape \(2, 2\)"),
    "seed": (lambda m: m.bootstrap(2, seed="a"), "seed must be None or a whole number.*'a'"),
    "seed below 0": (lambda m: m.simulate(seed=-1), "seed must be.*-1"),
    "points": (lambda m: m.profile("sd", points=0), "profile: points must be a whole number"),
    "jobs": (lambda m: m.bootstrap(2, n_jobs=0), "n_jobs must be a whole number"),
    "jobs in words": (lambda m: m.bootstrap(2, n_jobs="two"), "n_jobs must be.*'two'"),
    "number": (lambda m: m.bootstrap(2, statistic=lambda r: r.llf), "statistic must return a map"),
    "nothing": (lambda m: m.bootstrap(2, statistic=lambda r: {}), "statistic must return a map"),
    "text": (lambda m: m.refit(["a"] * 56), r"refit: the response must be finite numbers of shape"),
    "missing": (lambda m: m.refit(np.full((56, 2), np.nan)), "not finite"),
    "exact": (lambda m: m.influence(exact="all"), "influence: exact must be.*'all'"),
    "draws": (lambda m: m.scaled_residuals(0), "scaled_residuals: n must be"),
    "folder": (lambda m: m.save("no/such/folder.interlace"), "save: there is no folder 'no/such'"),
    "scale": (
        lambda m: m.predict(NEW, interval="prediction", type="link"),
        "goes with type=\"response\".*'link'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_named_with_the_way_out(cbpp, mistake):
    call, words = MISTAKES[mistake]
    with pytest.raises(InterlaceError, match=re.compile(words, re.DOTALL)):
        call(cbpp)


def test_mistake_in_a_statistic_costs_no_draws(cbpp):
    calls = []

    def counted(fit):
        calls.append(fit)
        return {"a": fit.no_such_thing}

    with pytest.raises(
        OptionError, match="statistic raised AttributeError.*no_such_thing"
    ) as caught:
        cbpp.bootstrap(50, statistic=counted)
    assert isinstance(caught.value.__cause__, AttributeError)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sd": {"site": "large"}}, "sd of 'site' must be.*'large'"),
        ({"sd": {"site": -1.0}}, "at least 0.*-1"),
        ({"sd": {"site": {"slope": 1.0}}}, r"sd\['site'\] names 'slope'"),
        ({"alpha": 5}, "alpha must lie between 0 and 1.*5"),
    ],
)
def test_assumptions_of_power_are_checked(options, words):
    design = pd.DataFrame({"x": np.tile([0.0, 1.0], 10), "site": np.repeat([1, 2, 3, 4], 5)})
    given = {"fixed": {"x": 1.0}, "sd": {"site": 0.5}, "test": "x", "n": 2, **options}
    with pytest.raises(InterlaceError, match=words):
        interlace.power("y ~ x + (1 | site)", design, "poisson", **given)
