"""Principal axes of the random effects: what they vary along, whatever their parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates

COLUMNS = ["term", "axis", "sd", "share", "column", "loading"]

TOL_REL_ZERO = 1e-8
"""Standard deviation along an axis, relative to the largest, that is none: rounding."""


def principal_axes(result: Estimates) -> pd.DataFrame:
    """Return the principal axes of each term's covariance; see `GLMMResult.principal_axes`."""
    rows = []
    for term in result.terms:
        root = result.effects[term.group].root[term.columns, term.columns]
        vectors, sds, _ = np.linalg.svd(root)
        total = float(np.sum(np.square(sds)))
        for k, sd in enumerate(sds):
            if not sd > TOL_REL_ZERO * sds[0]:
                break
            axis = vectors[:, k] * (1.0 if vectors[np.argmax(np.abs(vectors[:, k])), k] > 0 else -1)
            rows += [
                (f"({term.label})", k + 1, sd, sd**2 / total, name, sd * each)
                for name, each in zip(term.names, axis, strict=True)
            ]
    return pd.DataFrame(rows, columns=COLUMNS)
