"""Draws of the response from a fitted model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from interlace.inference.draws import draw_predictors, generators
from interlace.inference.precisions import row_predictors
from interlace.results.fitted_model import require_training
from interlace_core.engine.row_correlation import row_deviations, row_roots
from interlace_core.families.correlated_rows import CorrelatedRows
from interlace_core.messages.checks import require_count, require_flag
from interlace_core.messages.memory import require_memory
from interlace_core.records import Array
from interlace_core.registry.blame import guard

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates


def simulate(
    result: Estimates, n: int, *, seed: int | None, conditional: bool, raw: bool = False
) -> pd.DataFrame | Array:
    """Return n draws of the response; see `GLMMResult.simulate`."""
    require_count(n, "simulate: n")
    require_flag(conditional, "simulate: conditional")
    require_flag(raw, "simulate: raw")
    require_memory(8.0 * 2 * n * result.y.size, "simulate: n", f"{n} draws")
    draws = []
    for rng in generators(seed, n):
        eta = result.eta if conditional else new_predictors(result, rng)
        draws.append(draw(result, eta, rng))
    if raw:
        return np.stack(draws)
    values = np.stack([result.family.observed(each) for each in draws], axis=1)
    columns = [f"sim_{i + 1}" for i in range(n)]
    return pd.DataFrame(values, index=result.rows.index, columns=columns)


def draw(result: Estimates, eta: Array, rng: np.random.Generator) -> Array:
    """Return one draw of the response at linear predictors eta, shape (K, n)."""
    if isinstance(result.family, CorrelatedRows):
        # which rows correlate is known to the data alone
        problem = require_training(result, "simulate").problem
        errors = row_roots(problem, result.fit.psi).colour(rng.standard_normal((problem.n, 1)))
        return np.asarray(eta[0] + row_deviations(problem, result.fit.psi) * errors[:, 0])
    eta = row_predictors(result, eta)
    with guard(result.family, "simulate"):
        return np.asarray(result.family.simulate(list(eta), rng), dtype=np.float64)


def new_predictors(result: Estimates, rng: np.random.Generator) -> Array:
    """Return linear predictors with random effects drawn anew, shape (K, n)."""
    if not result.terms:
        return result.eta_fixed
    problem = require_training(result, "simulate(conditional=False)").problem
    return draw_predictors(problem, result.fit.psi, rng)
