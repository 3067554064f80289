"""Fit with GPBoost, whose design matrix formulaic makes: gpboost_worker.py ENGINE.

As "gpboost" with its defaults; as "gpboost-cholesky" with exact factorisations.
"""

from __future__ import annotations

import sys
from typing import Any

import gpboost
import numpy as np
import pandas as pd
from formulaic import model_matrix
from loop import Answer, serve

LIKELIHOODS = {
    "binomial": "bernoulli_logit",
    "poisson": "poisson",
    "nb2": "negative_binomial",
    "gaussian": "gaussian",
}


def fit(data: pd.DataFrame, case: dict[str, Any]) -> Answer:
    """Fit the case once, with standard errors of the coefficients."""
    X = pd.DataFrame(model_matrix(f"~ {case['fixed']}", data)).astype(float)
    groups = [term.strip("()").split("|")[1].strip() for term in case["random"]]
    codes = np.column_stack([data[each].cat.codes for each in groups])
    model = gpboost.GPModel(
        group_data=codes,
        likelihood=LIKELIHOODS[case["family"]],
        matrix_inversion_method="cholesky" if sys.argv[1].endswith("cholesky") else "default",
    )
    model.fit(y=data[case["response"]].to_numpy(float), X=X)
    coef = np.asarray(model.get_coef(std_err=True, format_pandas=False))
    loglik = -float(model.get_current_neg_log_likelihood())
    return {"loglik": loglik, "converged": bool(np.isfinite(coef).all())}


if __name__ == "__main__":
    serve(fit)
