"""Fit with glmm, a Rust engine with a Python interface."""

from __future__ import annotations

from typing import Any

import glmm
import numpy as np
import pandas as pd
from loop import Answer, serve, simulated

FAMILIES = {"nb2": "negativebinomial"}


def fit(data: pd.DataFrame, case: dict[str, Any]) -> Answer:
    """Fit the case once, or bootstrap it."""
    result = refit(data, case)
    finite = bool(np.isfinite(result.se).all())
    if case["replicates"]:
        X, _ = glmm.model_matrix(data, f"~ {case['fixed']}")
        (variance,) = result.tau2
        for replicate in simulated(data, case, X @ result.beta, variance**0.5):
            refit(replicate, case)
    return {"loglik": result.loglik, "converged": bool(result.converged) and finite}


def refit(data: pd.DataFrame, case: dict[str, Any]) -> glmm.Fit:
    """Return the fit of the case's model to some data, of proportions where there are trials."""
    options: dict[str, Any] = {}
    response = case["response"]
    if case["trials"]:
        data = data.assign(proportion=data[response] / data[case["trials"]])
        response, options["weights"] = "proportion", data[case["trials"]].to_numpy(float)
    formula = " + ".join([f"{response} ~ {case['fixed']}", *case["random"]])
    family = FAMILIES.get(case["family"], case["family"])
    # The likelihood-ratio tests that it adds to Poisson models are not asked of the others.
    if family == "gaussian":
        options["reml"] = False
    return glmm.fit(data, formula, family, nagq=case["nAGQ"], anova_test="Wald", **options)


if __name__ == "__main__":
    serve(fit)
