"""Fit with lme-python, Python bindings of lme-rs."""

from __future__ import annotations

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
    finite = bool(np.isfinite(np.asarray(result.std_errors, float)).all())
    return {"loglik": float(result.log_likelihood), "converged": bool(result.converged) and finite}


if __name__ == "__main__":
    serve(fit)
