"""Fit with interlace-lme, which is imported under the name `interlace` too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from loop import Answer, serve

import interlace


def fit(data: pd.DataFrame, case: dict[str, Any]) -> Answer:
    """Fit the case once."""
    response, weights = case["response"], None
    if case["trials"]:
        weights = data[case["trials"]].to_numpy(float)
        data = data.assign(proportion=data[response] / weights)
        response = "proportion"
    result = interlace.glmer(
        f"{response} ~ {case['fixed']}",
        data,
        family=case["family"],
        random=list(case["random"]),
        weights=weights,
        nAGQ=case["nAGQ"],
    )
    finite = bool(np.isfinite(np.asarray(result.fe_bse, float)).all())
    return {"loglik": float(result.llf), "converged": bool(result.converged) and finite}


if __name__ == "__main__":
    serve(fit)
