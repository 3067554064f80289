"""Fit with statsmodels' MixedLM: one grouping factor, by maximum likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from loop import Answer, serve
from statsmodels.formula.api import mixedlm


def fit(data: pd.DataFrame, case: dict[str, Any]) -> Answer:
    """Fit the case once, with standard errors of the coefficients."""
    columns, group = (part.strip() for part in case["random"][0].strip("()").split("|"))
    formula = f"{case['response']} ~ {case['fixed']}"
    model = mixedlm(formula, data, groups=group, re_formula=f"~ {columns}")
    result = model.fit(reml=False)
    finite = bool(np.isfinite(result.bse_fe).all())
    return {"loglik": float(result.llf), "converged": bool(result.converged) and finite}


if __name__ == "__main__":
    serve(fit)
