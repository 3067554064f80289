"""Fit with lme-python, Python bindings of lme-rs."""

from __future__ import annotations

import math
from typing import Any

import lme_python
import numpy as np
import pandas as pd
from loop import Answer, serve


def fit(data: pd.DataFrame, case: dict[str, Any]) -> Answer:
    """Fit the case once."""
    formula = " + ".join([f"{case['response']} ~ {case['fixed']}", *case["random"]])
    if case["family"] == "gaussian":
        result = lme_python.lmer(formula, data=data, reml=False)
    else:
        result = lme_python.glmer(formula, data=data, family_name=case["family"])
    loglik = float(result.log_likelihood)
    if case["family"] == "poisson":
        loglik += saturated(data[case["response"]].to_numpy(float))
    finite = bool(np.isfinite(np.asarray(result.std_errors, float)).all())
    return {"loglik": loglik, "converged": bool(result.converged) and finite}


def saturated(y: np.ndarray) -> float:
    """Return the Poisson log-likelihood of means equal to the counts, which theirs leaves out."""
    positive = y[y > 0]
    factorials = sum(math.lgamma(each + 1) for each in positive)
    return float(np.sum(positive * np.log(positive) - positive) - factorials)


if __name__ == "__main__":
    serve(fit)
