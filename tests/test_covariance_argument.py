"""Covariance structures by argument: the same models as in formula syntax."""

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_core.messages.errors import OptionError


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(8)
    time, g = np.tile(np.arange(5), 40), np.repeat(np.arange(40), 5)
    b = (
        rng.normal(size=(40, 5))
        @ np.linalg.cholesky(0.6 ** np.abs(np.subtract.outer(range(5), range(5)))).T
    )
    h = rng.integers(0, 6, 200)
    eta = 0.5 + b[g, time] + 0.4 * rng.normal(size=6)[h]
    return pd.DataFrame(
        {
            "time": pd.Categorical(time),
            "g": g,
            "h": h,
            "y": eta + rng.normal(size=200),
            "count": rng.poisson(np.exp(eta)),
        }
    )


@pytest.mark.parametrize("structure", ["ar1", "cs", "toep", "homdiag", "diag"])
def test_counts_have_the_formulas_fit(data, structure):
    by_formula = interlace.glmer(
        f"count ~ 1 + {structure}(0 + time | g) + (1 | h)", data, "poisson"
    )
    for where in (
        {"formula": " + (0 + time | g) + (1 | h)"},
        {"random": ["(0 + time | g)", "(1 | h)"]},
    ):
        by_argument = interlace.glmer(
            "count ~ 1" + where.get("formula", ""),
            data,
            "poisson",
            random=where.get("random"),
            covariance={"g": structure},
        )
        np.testing.assert_array_equal(by_argument.fit.psi, by_formula.fit.psi)
        assert [t.label for t in by_argument.terms] == [t.label for t in by_formula.terms]


def test_linear_and_ordinal_models_take_it_too(data):
    one = interlace.fit("y ~ 1 + (0 + time | g)", data, covariance={"g": "ar1"})
    two = interlace.fit("y ~ 1 + ar1(0 + time | g)", data)
    assert one.llf == two.llf
    ordered = data.assign(grade=np.clip(data["count"], 0, 3))
    three = interlace.clmm("grade ~ 1 + (0 + time | g)", ordered, covariance={"g": "ar1"})
    four = interlace.clmm("grade ~ 1 + ar1(0 + time | g)", ordered)
    assert three.llf == four.llf


def test_it_reaches_the_terms_of_further_parameters(data):
    found = interlace.glmer(
        "count ~ 1",
        data,
        "negativebinomial",
        parameters={"dispersion": "~ 1 + (0 + h | g)"},
        covariance={"g": "homdiag"},
    )
    assert [t.structure for t in found.terms] == ["homdiag"]


@pytest.mark.parametrize(
    ("given", "nouns"),
    [
        ({"x": "ar1"}, ["grouping factors of the model (g)", "'x'"]),
        ("ar1", ["dict", "'ar1'"]),
        ({"g": 3}, ["covariance['g']", "3"]),
        ({"g": "ar2"}, ["ar2"]),
    ],
)
def test_what_cannot_be_meant_is_refused(data, given, nouns):
    with pytest.raises((OptionError, LookupError)) as caught:
        interlace.glmer("count ~ 1 + (0 + time | g)", data, "poisson", covariance=given)
    for noun in nouns:
        assert noun in str(caught.value)


def test_a_structure_is_given_once(data):
    with pytest.raises(OptionError, match=r"ar1\(0 \+ time \| g\)"):
        interlace.glmer("count ~ 1 + ar1(0 + time | g)", data, "poisson", covariance={"g": "cs"})
