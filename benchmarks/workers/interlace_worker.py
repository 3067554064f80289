"""Fit with this repository's interlace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from loop import Answer, serve

import interlace

FAMILIES = {"zip": "poisson", "nb2": "negativebinomial"}


def fit(data: pd.DataFrame, case: dict[str, Any]) -> Answer:
    """Fit the case once, or bootstrap it; answer also with the bytes of the model's arrays."""
    result = refit(data, case)
    # Standard errors are part of the time; reading them makes sure that they are there. What is
    # made for a summary alone is not, since no other engine is asked for one.
    finite = bool(np.isfinite(np.asarray(result.fe_bse, float)).all())
    if case["replicates"]:
        failures = result.bootstrap(case["replicates"], seed=1, n_jobs=1).failures
        if failures:
            raise RuntimeError(f"{len(failures)} replicates failed: {failures[0].reason}")
    return {
        "loglik": result.llf,
        "converged": bool(result.converged) and finite,
        "array_bytes": array_bytes(result, case),
    }


def warm() -> None:
    """Fit a small model, so that modules imported on first use do not count as its memory."""
    data = interlace.datasets.load("cbpp")
    interlace.glmer("incidence / size ~ period", data, "binomial", groups="herd", weights="size")


def refit(data: pd.DataFrame, case: dict[str, Any]) -> Any:
    """Return the result of the case's model on some data."""
    response = case["response"]
    if case["trials"]:
        response = f"cbind({response}, {case['trials']} - {response})"
    formula = " + ".join([f"{response} ~ {case['fixed']}", *case["random"]])
    if case["family"] == "gaussian":
        return interlace.fit(formula, data, method="ML")
    if case["family"] == "ordinal":
        return interlace.clmm(formula, data, link="probit")
    options = {"ziformula": "~ 1"} if case["family"] == "zip" else {}
    family = FAMILIES.get(case["family"], case["family"])
    return interlace.glmer(formula, data, family, nAGQ=case["nAGQ"], **options)


def array_bytes(result: Any, case: dict[str, Any]) -> int:
    """Return the bytes of y, X, the terms' columns and group numbers, and u, in float64."""
    n, p = result.nobs, sum(len(each.names) for each in result.coefficients)
    columns = [len(term.split("|")[0].strip("( ").split("+")) for term in case["random"]]
    q = result.fit.mode.size
    return 8 * (n * (1 + p) + n * sum(1 + k for k in columns) + q)


if __name__ == "__main__":
    serve(fit, warm)
