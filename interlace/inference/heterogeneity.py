"""How much studies differ beyond their known sampling variances: I squared, Q, prediction.

With `W` the inverse of the known covariance V of the errors and `P = W - W X (X'WX)^-1 X'W`, the
typical sampling variance of k studies with p coefficients is `(k - p) / tr(P)` (Higgins & Thompson
2002, https://doi.org/10.1002/sim.1186, in its form for moderators), I squared of a variance its
share of all variances and the typical one, and `Q = y'P y` Cochran's test of whether all of them
are 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import chdtrc, ndtri, stdtrit

from interlace.reporting.showing import Part, Showing, as_table
from interlace.results.fitted_model import require_training
from interlace_core.contract.covariance import column_sds
from interlace_core.contract.incidence import Incidence
from interlace_core.contract.problem import Problem, RandomTerm
from interlace_core.engine.row_correlation import row_deviations, row_roots
from interlace_core.fitting.psi_covariance import embedded
from interlace_core.messages.checks import check_level, is_real, shown
from interlace_core.messages.errors import NotAvailableError, OptionError
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates


@dataclass(frozen=True, repr=False)
class Heterogeneity(Showing):
    """What studies differ by.

    Attributes
    ----------
    table : DataFrame
        By term: `variance`, averaged over rows where it differs between them, `sd`, and `I2`, its
        share of the total variance; the last row is their sum.
    typical_variance : float
        Of sampling.
    Q, df, pvalue : float
        Cochran's test that all variances are 0.
    """

    table: pd.DataFrame
    typical_variance: float
    Q: float
    df: int
    pvalue: float

    @property
    def I2(self) -> float:
        """Share of the total variance that is no sampling variance, from 0 to 1."""
        return float(self.table["I2"].iloc[-1])

    @property
    def H2(self) -> float:
        """Total variance in units of the sampling variance."""
        return 1.0 / (1.0 - self.I2)

    def parts(self) -> tuple[Part, ...]:
        """Return the table, and the test below it."""
        test = f"Q = {self.Q:.4f}, df = {self.df}, p = {self.pvalue:.4g}"
        rest = f"typical sampling variance {self.typical_variance:.5g}"
        return as_table("Variances between studies", self.table), rest, test

    def __str__(self) -> str:
        """Return the table as pandas has it, and the test."""
        _, *lines = self.parts()
        return "\n".join((self.table.round(5).to_string(), *map(str, lines)))


def heterogeneity(result: Estimates) -> Heterogeneity:
    """Return I squared, Cochran's Q and what they are made of; see `GLMMResult.heterogeneity`."""
    problem = _known(result, "heterogeneity")
    X, y = problem.predictors[0].X, problem.y - problem.predictors[0].offset
    n, p = X.shape
    white = _whitened(problem, result.fit.psi, np.column_stack([y, X]))
    root = np.linalg.qr(white[:, 1:])[0]
    left = white[:, 0] - root @ (root.T @ white[:, 0])
    # tr(P) = tr(L^-T (I - QQ') L^-1), the squares of what is left of the columns of L^-1
    inverse = _whitened(problem, result.fit.psi, np.eye(n))
    trace = float(np.sum(np.square(inverse - root @ (root.T @ inverse))))
    typical = (n - p) / trace
    variances = {term.label: _average(problem, result.fit.psi, t) for t, term in _terms(problem)}
    total = sum(variances.values())
    rows = {name: (value, np.sqrt(value), value / (total + typical))
            for name, value in variances.items()}  # fmt: skip
    rows["total"] = (total, np.sqrt(total), total / (total + typical))
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["variance", "sd", "I2"])
    Q = float(left @ left)
    return Heterogeneity(table, typical, Q, n - p, float(chdtrc(n - p, Q)))


def effect_intervals(
    result: Estimates, newdata: object, level: float, df: float | None
) -> pd.DataFrame:
    """Return average effects with two intervals; see `GLMMResult.prediction_interval`."""
    level = check_level(level, "prediction_interval")
    if df is not None and not (is_real(df) and df > 0.0):
        raise OptionError(
            f"prediction_interval: expected degrees of freedom above 0, got {shown(df)}."
        )
    problem = _known(result, "prediction_interval")
    X, offset, index = _rows(result, problem, newdata)
    place = problem.beta_slices()[0]
    estimate = X @ result.fit.psi[place] + offset
    variance = result.fit.uncertainty.variances(embedded(X, place, result.fit.psi.size))
    between = sum(_average(problem, result.fit.psi, t) for t, _ in _terms(problem))
    tail = 0.5 + 0.5 * level
    half = float(ndtri(tail) if df is None else stdtrit(df, tail))
    spread = np.sqrt(variance), np.sqrt(variance + between)
    return pd.DataFrame(
        {
            "estimate": estimate,
            "std.error": spread[0],
            "conf.low": estimate - half * spread[0],
            "conf.high": estimate + half * spread[0],
            "pred.low": estimate - half * spread[1],
            "pred.high": estimate + half * spread[1],
        },
        index=index,
    )


def _known(result: Estimates, who: str) -> Problem:
    problem = require_training(result, who).problem
    dispersion = problem.predictors[1] if len(problem.predictors) > 1 else None
    if not problem.family.linear_normal or dispersion is None or dispersion.X.shape[1]:
        raise NotAvailableError(
            f"{who}: is of fits whose sampling variances are known. Give them by known_variance=."
        )
    return problem


def _rows(result: Estimates, problem: Problem, newdata: object) -> tuple[Array, Array, pd.Index]:
    if newdata is not None:
        from interlace.prediction.new_data import encode

        new = encode(result.encoder, newdata, need_random=False)
        return new.predictors[0].X, new.predictors[0].offset, new.index
    mean = problem.predictors[0]
    if mean.names == ("Intercept",) and not np.ptp(mean.offset):
        return np.ones((1, 1)), mean.offset[:1], pd.Index(["average"])
    return mean.X, mean.offset, result.rows.index


def _terms(problem: Problem) -> list[tuple[int, RandomTerm]]:
    return [(t, term) for t, term in enumerate(problem.terms) if 0 in dict(term.by_predictor)]


def _average(problem: Problem, psi: Array, t: int) -> float:
    """Return the variance that a term gives to rows, on average."""
    term = problem.terms[t]
    own = dict(term.by_predictor)[0]
    theta = psi[problem.theta_slices()[t]]
    if isinstance(term.Z, Incidence):
        variances = np.square(column_sds(term.covariance, theta))
        return float(np.mean(np.square(term.Z.z) * variances[term.Z.at]))
    ZT = term.Z[:, own] @ term.covariance.template(theta)[own]
    return float(np.mean(np.sum(np.square(ZT), axis=1)))


def _whitened(problem: Problem, psi: Array, columns: Array) -> Array:
    scaled = columns / row_deviations(problem, psi)[:, None]
    return scaled if problem.correlation is None else row_roots(problem, psi).whiten(scaled)
