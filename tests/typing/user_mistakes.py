"""What a user mistypes, for type checkers: mypy --strict is to complain of each line, and does so.

An ignored complaint that is not there is one itself (`warn_unused_ignores`). Nothing of this runs.
"""

import interlace
from interlace import NegativeBinomial3Family  # type: ignore[attr-defined]
from interlace.families import BetaFamily

cbpp = interlace.datasets.load("cbpp")

interlace.lmer("y ~ x", cbpp)  # type: ignore[attr-defined]
interlace.glmer("y ~ x", cbpp)  # type: ignore[call-arg]
interlace.glmer("y ~ x", cbpp, "poisson", nagq=5)  # type: ignore[call-arg]
interlace.fit("y ~ x", cbpp, method="reml")  # type: ignore[arg-type]
interlace.fit("y ~ x", cbpp, df_method="kr")  # type: ignore[arg-type]
interlace.clmm("y ~ x", cbpp, link="logistic")  # type: ignore[arg-type]
BetaFamily(phy=3.0)  # type: ignore[call-arg]

model = interlace.glmer("y ~ x", cbpp, "poisson")
print(model.fixef)  # type: ignore[attr-defined]
model.predict(cbpp, interval="credible")  # type: ignore[call-overload]
model.predict(cbpp, newlevels="error")  # type: ignore[call-overload]
model.confint(method="bayes")  # type: ignore[arg-type]
model.r2("log")  # type: ignore[arg-type]
model.residuals("raw")  # type: ignore[arg-type]
model.tidy(effects="random")  # type: ignore[arg-type]
model.tidy(effects=["fixed", "ranef"])  # type: ignore[list-item]
model.augment(type="eta")  # type: ignore[arg-type]
model.augment(residuals="raw")  # type: ignore[arg-type]
model.term_tests(type=1)  # type: ignore[arg-type]
model.summary(show="effects")  # type: ignore[arg-type]
model.plot("coef")  # type: ignore[arg-type]
interlace.plots.effects(model, "x", cbpp, type="prob")  # type: ignore[arg-type]
print(NegativeBinomial3Family)
