"""What a user writes, for type checkers: mypy --strict and pyright are to find nothing in it.

`assert_type` says what they are to see; that the code runs too is a test's matter.
"""

from typing import TYPE_CHECKING, Any, assert_type

import pandas as pd

import interlace
from interlace import CLMMResult, GLMMResult, LMMResult, NegativeBinomial2Family, errors, plots
from interlace.families import BinomialFamily, TweedieFamily

if TYPE_CHECKING:
    import polars as pl

cbpp = interlace.datasets.load("cbpp")
salamanders = interlace.datasets.load("Salamanders")
sleep = interlace.datasets.load("sleepstudy")

# generalised
model = interlace.glmer(
    "incidence / size ~ period",
    data=cbpp,
    family="binomial",
    link="probit",
    groups="herd",
    weights="size",
)
assert_type(model, GLMMResult)
assert_type(model.fe_params, "pd.Series")
assert_type(model.converged, bool)
assert_type(model.llf, float)
assert_type(model.predict(), "pd.Series")
assert_type(model.predict(cbpp.head(), type="link"), "pd.Series")
assert_type(model.predict({"herd": ["1"], "period": ["2"]}, include_re=False), "pd.Series")
assert_type(model.predict(cbpp.head(), se=True), "pd.DataFrame")
assert_type(model.predict(cbpp.head(), interval="confidence", level=0.9), "pd.DataFrame")
assert_type(model.confint(method="wald"), pd.DataFrame)
assert_type(model.r2("response").icc, float)
assert_type(model.summary(show=["fixed", "random"]).to_latex(), str)
assert_type(model.residuals("deviance"), "pd.Series")
assert_type(model.tidy(effects=["fixed", "ran_pars"], conf_int=True), pd.DataFrame)
assert_type(model.term_tests(type="III"), pd.DataFrame)
assert_type(model.simulate(2, seed=1), pd.DataFrame)
assert_type(model.simulate(2, raw=True).size, int)


def of_polars(frame: object) -> Any:
    """Return predictions for a frame of another library, in its own."""
    return model.predict(frame)


def of_polars_frame(frame: "pl.DataFrame") -> None:
    """Get columns and frames of polars."""
    assert_type(model.predict(frame), "pl.Series")
    assert_type(model.predict(frame, interval="confidence"), "pl.DataFrame")
    assert_type(ordinal.predict(frame), "pl.DataFrame")
    assert_type(ordinal.predict(frame, type="class"), "pl.Series")


# families by class, and their parameters
counts = interlace.glmer(
    "count ~ mined", salamanders, NegativeBinomial2Family(theta=2.0), groups=["site", "spp"]
)
assert_type(counts.family.name, str)
assert_type(TweedieFamily(power=1.5).power, "float | None")
assert_type(BinomialFamily(link="cloglog"), BinomialFamily)

# linear, with the words that its options take
linear = interlace.fit("Reaction ~ Days + (Days | Subject)", sleep, method="ML", df_method="none")
assert_type(linear, LMMResult)
assert_type(linear.predict(sleep.head()), "pd.Series")

# ordinal
ratings = pd.DataFrame({"rating": [1, 2, 3, 2, 3, 1, 2, 3], "x": [0.0, 1, 2, 1, 2, 0, 2, 1]})
ordinal = interlace.clmm("rating ~ x", ratings, random=[], link="probit")
assert_type(ordinal, CLMMResult)
assert_type(ordinal.predict(), pd.DataFrame)
assert_type(ordinal.predict(ratings, type="class"), "pd.Series")

# what comes after
assert_type(interlace.anova(model, model.refit(model.y)), pd.DataFrame)
assert_type(interlace.plugins(), Any)
try:
    interlace.glmer("count ~ mine", salamanders, "poisson")
except errors.FormulaError as error:
    print(error)


def draw(fitted: GLMMResult) -> Any:
    """Return the axes of a picture."""
    fitted.plot("caterpillar")
    return plots.coefficients(fitted)


with interlace.options(optimizer="cobyqa"):
    print(interlace.glmer("count ~ mined", salamanders, "poisson", groups="site").status)
