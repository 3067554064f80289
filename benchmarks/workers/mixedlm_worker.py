"""Fit with mixedlm, a Rust core with lme4's names in Python."""

from __future__ import annotations

from typing import Any

import mixedlm
import numpy as np
import pandas as pd
from loop import Answer, serve

FAMILIES = {"binomial": mixedlm.families.Binomial, "poisson": mixedlm.families.Poisson}


def fit(data: pd.DataFrame, case: dict[str, Any]) -> Answer:
    """Fit the case once, with the covariance of the coefficients."""
    response, options = case["response"], {}
    if case["trials"]:
        data = data.assign(proportion=data[response] / data[case["trials"]])
        response, options["weights"] = "proportion", case["trials"]
    formula = " + ".join([f"{response} ~ {case['fixed']}", *case["random"]])
    if case["family"] == "gaussian":
        result: Any = mixedlm.lmer(formula, data, REML=False)
    else:
        family = FAMILIES[case["family"]]()
        result = mixedlm.glmer(formula, data, family=family, nAGQ=case["nAGQ"], **options)
    finite = bool(np.isfinite(np.asarray(result.vcov(), float)).all())
    return {"loglik": float(result.logLik().value), "converged": bool(result.converged) and finite}


if __name__ == "__main__":
    serve(fit)
