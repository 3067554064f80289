"""Units and zero points of covariates with random slopes are arbitrary: nothing depends on them.

v -> a v + c is the same model where a term has an intercept whose covariance with the slope is
free; where it has none, or they are independent, c = 0. Every installed family, covariance
structure, approximation and optimizer is tried. Some cells of every model run always; the whole
grid is marked slow.
"""

import functools

import numpy as np
import pandas as pd
import pytest

from interlace_core.contract import Covariance, InterlaceError
from interlace_core.registry.registry import default_registry
from invariance import (
    CHANGES,
    COUNTS_BY_SUMS,
    FAMILIES,
    GROUPS,
    SCALES,
    TOL_LOGLIK,
    assert_same_words,
    drawn,
    glmer,
    linear,
    ordinal,
    quiet,
    z_values,
)

TOL_Z = 2e-4
"""Relative. A Hessian may be kept over a last step that changes standard errors by 1e-4, twice of
which is the most that two fits differ by; with random slopes it does change."""

ALWAYS = ("+1e4", "1e-9*(x+1e5)")
SCALED = ("*1e9",)
FEW = ("*1e9", "+3e6", "1e-9*(x+1e5)")
"""For families that take seconds."""
COSTLY = (*COUNTS_BY_SUMS, "negativebinomial12")
QUICK = ("poisson", "binomial", "gaussian", "gamma", "cumulative")
"""Families that are tried in every run."""


@functools.cache
def known_levels():
    """Return a covariance of the groups: neighbours are alike."""
    place = np.arange(GROUPS)
    K = 0.5 ** np.abs(place[:, None] - place[None, :])
    return {"g": pd.DataFrame(K, index=place, columns=place)}


def structure(name):
    """Return the model of one covariance structure, and whether any zero point serves."""
    cls = default_registry().covariance(name)
    if cls.takes_levels_only:  # the covariate is then a fixed effect
        points = "f"
        try:
            cls.from_columns(list("abc"), list("abc"), {})
        except InterlaceError:
            points = "k"  # of times or places
        return glmer("poisson", f"v + {name}(0 + {points} | g)"), True
    made: Covariance = cls(2)
    if made.mixes_columns:
        return glmer("poisson", f"v + {name}(1 + v | g)"), True
    follows = made.rescaled(np.diag([2.0, 3.0])) is not None
    right = "1 + v" if follows else "0 + v"
    return glmer("poisson", f"v + {name}({right} | g)"), False


STRUCTURES = [
    each.name for each in default_registry().classes("covariance") if not each.cls.takes_matrix
]
BY_FAMILY = {
    name: glmer(name, "v + (v | g)") if name != "cumulative" else ordinal("v + (v | g)")
    for name in FAMILIES
}
OTHERS = {
    "nAGQ=0": glmer("poisson", "v + (v | g)", nAGQ=0),
    "bobyqa": glmer("poisson", "v + (v | g)", optimizer="bobyqa"),
    "cobyqa": glmer("poisson", "v + (v | g)", optimizer="cobyqa"),
    "two slopes": glmer("poisson", "v + w + (v + w | g)"),
    "an interaction": glmer("poisson", "v * w + (v | g)"),
    "slopes crossed": glmer("poisson", "v + (v | g) + (v | h)"),
    "slopes and an intercept crossed": glmer("poisson", "v + (v | g) + (1 | h)"),
    "slopes of a factor": glmer("poisson", "v + (f | g)"),
    "a factor by the slope": glmer("poisson", "f * v + (v | g)"),
    "known levels": glmer("poisson", "v + (v | g)", known=known_levels()),
    "weights": glmer("poisson", "v + (v | g)", weights="k"),
    "offset": glmer("poisson", "v + (v | g) + offset(w)"),
    "dispersion": glmer("negativebinomial", "v + (v | g)", dispformula="~ v"),
    "slopes of the dispersion": glmer("gaussian", "v + (1 | g)", dispformula="~ v + (v | g)"),
    "zero part": glmer("zeroinflated_poisson", "v + (v | g)", ziformula="~ v"),
    "REML": linear("v + (v | g)"),
    "ML": linear("v + (v | g)", method="ML"),
    "REML crossed": linear("v + (v | g) + (1 | h)"),
    "REML weights": linear("v + (v | g)", weights="k"),
    "REML dispersion": linear("v + (v | g)", dispformula="~ w"),
    "REML correlation": linear("v + (v | g)", correlation="ar1(1 | g)"),
    "REML known levels": linear("v + (v | g)", known=known_levels()),
    "Kenward-Roger": linear("v + (v | g)", df_method="kenward-roger"),
    "clmm symmetric": ordinal("v + (v | g)", threshold="symmetric"),
    "clmm probit": ordinal("v + (v | g)", link="probit"),
}
SCALE_ONLY = {
    # another zero point turns u, and the nodes are those of the coordinates
    "agq-vector": glmer("poisson", "v + (v | g)", approximation="agq-vector", nAGQ=3),
    "independent": glmer("poisson", "v + (v || g)"),
    # thresholds are no part of the joint mode: what they are held at depends on the zero point
    "clmm nAGQ=0": ordinal("v + (v | g)", nAGQ=0),
    "no intercept": glmer("poisson", "v + (0 + v | g)"),
    "REML independent": linear("v + (v || g)"),
}
FOUND = {name: structure(name) for name in STRUCTURES}
MODELS = (
    BY_FAMILY
    | OTHERS
    | SCALE_ONLY
    | {f"structure {name}": model for name, (model, _) in FOUND.items()}
)
NO_ZERO_POINT = {
    *SCALE_ONLY,
    *(f"structure {name}" for name, (_, any_) in FOUND.items() if not any_),
}


def cells():
    """Yield each model with each change that leaves it the same, all but some marked slow."""
    for model in MODELS:
        usual = SCALED if model in NO_ZERO_POINT else ALWAYS
        every = FEW if model in COSTLY else CHANGES
        for change in SCALES if model in NO_ZERO_POINT else every:
            always = change in usual and (model not in BY_FAMILY or model in QUICK)
            yield pytest.param(model, change, marks=() if always else pytest.mark.slow)


@functools.cache
def reference(model):
    """Return the fit to x as it was drawn, with sd 1 and mean 0."""
    family, fit = MODELS[model]
    data = drawn(family, slopes=True)
    return quiet(fit, data.assign(v=data["x"]))


@pytest.mark.parametrize(("model", "change"), list(cells()))
def test_units_and_zero_point_of_a_slope_do_not_matter(model, change):
    family, fit = MODELS[model]
    a, c = CHANGES[change]
    data = drawn(family, slopes=True)
    known, _ = expected_words = reference(model)
    found, _ = words = quiet(fit, data.assign(v=a * (data["x"] + c)))
    # the restricted likelihood has log|X'V^-1 X| / 2 in it
    constant = -np.log(abs(a)) if known.restricted else 0.0
    assert_same_words(words, expected_words)
    assert found.llf == pytest.approx(known.llf + constant, abs=TOL_LOGLIK)
    expected = z_values(known)
    assert expected
    for key, z in z_values(found).items():
        invariant = expected[key] * np.sign(a)
        assert z == pytest.approx(invariant, rel=TOL_Z, abs=TOL_Z), key
    if hasattr(known, "fe_df"):
        assert found.fe_df["v"] == pytest.approx(known.fe_df["v"], rel=1e-5)
        assert found.fe_pvalues["v"] == pytest.approx(known.fe_pvalues["v"], rel=1e-5)
