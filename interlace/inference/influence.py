"""Influence of groups: what would change without each, by one step, and exactly for the worst.

Without cluster g the gradient at the estimates is -s_g, so that one Newton step with the Hessian
of the whole moves psi by V s_g. Cook's distance is the move of the mean's coefficients in the
metric of their covariance, over their number. One step leaves the Hessian as it was and therefore
understates large moves; that is why the worst are refitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interlace.inference.bootstrap import Failure
from interlace.inference.quadratic_forms import Uncorrelated
from interlace.inference.sandwich import ClusterScores, cluster_scores
from interlace.refits.many import Refit, Refits
from interlace.refits.near import known_fit
from interlace.refits.refit import refit_problem
from interlace.reporting.showing import Part, Showing, as_table
from interlace.results.fitted_model import Training, require_training
from interlace_core.engine.parts import subset
from interlace_core.fitting.psi_covariance import root_of
from interlace_core.fitting.standard import Standard
from interlace_core.messages.checks import require_count
from interlace_core.messages.errors import InterlaceError
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates


LARGEST = 5
"""Clusters that are shown."""


@dataclass(frozen=True, repr=False)
class Influence(Showing):
    """What each cluster does to the estimates.

    Attributes
    ----------
    cook : Series
        Cook's distance by one step, largest first.
    change : DataFrame
        Change of every parameter when the cluster is left out, by one step; theta first.
    exact_cook : Series
        Cook's distance by refitting without the cluster, for the largest.
    exact_change : DataFrame
    failures : tuple of Failure
        Refits without an answer; `draw` is the position in `cook`.
    """

    cook: pd.Series
    change: pd.DataFrame
    exact_cook: pd.Series
    exact_change: pd.DataFrame
    failures: tuple[Failure, ...]

    def parts(self) -> list[Part]:
        """Return the clusters of largest distance, by one step and by refits."""
        failed = f"; {len(self.failures)} refits failed" if self.failures else ""
        both = pd.DataFrame({"one step": self.cook, "by refit": self.exact_cook})
        title = f"Cook's distance of {len(self.cook)} clusters, largest first{failed}"
        return [as_table(title, both.reindex(self.cook.index), LARGEST)]


def influence(result: Estimates, cluster: Any, exact: int) -> Influence:
    """Return the influence of clusters; see `GLMMResult.influence`."""
    training = require_training(result, "influence")
    require_count(exact, "influence: exact", least=0)
    found = cluster_scores(result, training, cluster, "influence")
    change = found.moves(result)
    cook = _cook(result, found.standard, change)
    order = np.argsort(-cook, kind="stable")
    labels = [found.labels[g] for g in order]
    names = result.psi_names()
    refitted, failures = _refits(result, training, found, order[:exact])
    kept = [labels[i] for i in refitted]
    exact_change = np.array(list(refitted.values())).reshape(len(kept), len(names))
    return Influence(
        cook=pd.Series(cook[order], index=labels, name="cook"),
        change=pd.DataFrame(change[order], index=labels, columns=names),
        exact_cook=pd.Series(_cook(result, found.standard, exact_change), index=kept, name="cook"),
        exact_change=pd.DataFrame(exact_change, index=kept, columns=names),
        failures=tuple(failures),
    )


def _refits(
    result: Estimates, training: Training, found: ClusterScores, worst: Any
) -> tuple[dict[int, Array], list[Failure]]:
    """Return the changes of psi without each of some clusters, by position, and failures.

    Rows of weight 0 are rows left out. Where the refits together do not say where that ends, it is
    fitted without the rows.
    """
    problem = training.problem
    known = known_fit(problem, training.approximation, result.fit.psi, result.fit.uncertainty)
    refits = Refits(training, result.fit.psi, known)
    usual = np.ones(problem.n) if problem.weights is None else problem.weights
    left = [np.setdiff1d(np.arange(problem.n), found.rows[g]) for g in worst]
    refitted: dict[int, Array] = {}
    failures = []
    for start in range(0, len(left), refits.at_once):
        some = left[start : start + refits.at_once]
        weights = [_only(usual, rows) for rows in some]
        together = refits.together([problem.y] * len(some), weights)
        for position, (rows, refit) in enumerate(zip(some, together, strict=True), start):
            try:
                if refit is None:
                    fit = refit_problem(training, subset(problem, rows), result.fit.psi)
                    refit = Refit.of(fit)
            except (InterlaceError, ArithmeticError, np.linalg.LinAlgError) as error:
                failures.append(Failure(position, f"{type(error).__name__}: {error}"))
                continue
            if refit.verdict.converged:
                refitted[position] = refit.psi - result.fit.psi
            else:
                failures.append(Failure(position, refit.verdict.message))
    return refitted, failures


def _only(weights: Array, rows: Any) -> Array:
    """Return the weights of some rows, 0 elsewhere."""
    own = np.zeros(weights.size)
    own[rows] = weights[rows]
    return own


def _cook(result: Estimates, standard: Standard, change: Array) -> Array:
    place = result.coefficients[0].place
    moved = standard.psi(change)[:, place]
    V = standard.covariance(result.fit.uncertainty)[place, place]
    if not np.all(np.isfinite(V)):  # of a fit that was stopped
        return np.full(len(change), np.nan)
    own = Uncorrelated.of(root_of(V)).combine(moved.T)
    return np.asarray(np.sum(np.square(own), axis=0) / V.shape[0])
