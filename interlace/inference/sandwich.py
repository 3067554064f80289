"""Cluster-robust covariance, and the scores of clusters that it and influence are made of.

The log-likelihood is a sum over clusters that share no random effect; so is its gradient. With A
the Hessian of F and s_g the gradient of cluster g, the sandwich is A^-1 (sum s_g s_g') A^-1
(White 1982; Liang & Zeger 1986), here times G / (G - 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interlace.data.levels import level_names
from interlace.inference.quadratic_forms import boundary_as_known
from interlace.priors.penalised import without_priors
from interlace.results.fitted_model import Training, require_training
from interlace_core.contract.approximation import Approximation
from interlace_core.contract.parts import Sums
from interlace_core.contract.problem import Problem
from interlace_core.engine.known import has_across
from interlace_core.engine.parts import subset
from interlace_core.fitting.standard import Standard, standard_of
from interlace_core.messages.checks import shown
from interlace_core.messages.errors import OptionError, UnsupportedModelError
from interlace_core.records import Array, IntArray

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates

TOL_REL_SUM = 1e-6
"""How closely the clusters' values must add up to the whole's for them to be independent."""


@dataclass(frozen=True)
class ClusterScores:
    """The gradient of each cluster's negative log-likelihood at the estimates.

    Attributes
    ----------
    labels : tuple of str, length G
    rows : tuple of ndarray of intp
        Rows of each cluster.
    scores : ndarray, shape (G, n_psi)
        In standard units.
    standard : Standard
    """

    labels: tuple[str, ...]
    rows: tuple[IntArray, ...]
    scores: Array
    standard: Standard

    def moves(self, result: Estimates) -> Array:
        """Return V s_g of each cluster, shape (G, n_psi), 0 for parameters at a bound.

        Parameters
        ----------
        result : Estimates
            With V, in the units of the fit, as are the moves.
        """
        places = [each.place for each in result.coefficients]
        V = boundary_as_known(self.standard.covariance(result.fit.uncertainty), places)
        return self.standard.given_psi(self.scores @ V)


def sandwich(result: Estimates, cluster: Any) -> pd.DataFrame:
    """Return the cluster-robust covariance of psi; see `GLMMResult.vcov_robust`."""
    training = require_training(result, "vcov_robust", by_parts=True)
    if training.problem.parts is None:
        found = cluster_scores(result, training, cluster, "vcov_robust")
        G, moves = len(found.labels), found.moves(result)
        robust = moves.T @ moves
    else:
        G, robust = _over_parts(result, training, cluster, "vcov_robust")
    if G < 2:
        raise OptionError("vcov_robust: expected two clusters or more, got one.")
    robust = robust * (G / (G - 1.0))
    robust[np.isnan(result.fit.vcov)] = np.nan
    labels = result.psi_names()
    return pd.DataFrame(robust, index=labels, columns=labels)


def cluster_scores(result: Estimates, training: Training, cluster: Any, who: str) -> ClusterScores:
    """Return each cluster's score at the estimates.

    Raises
    ------
    OptionError
        If the cluster is no grouping factor and no array with one label per row.
    UnsupportedModelError
        If clusters share random effects, or the objective is no sum over clusters.
    """
    problem, standard = training.problem, standard_of(training.problem)
    psi = standard.psi(result.fit.psi)
    approximation = _as_a_sum(training, who)
    codes, labels = _clusters(result, problem, cluster, who)
    _require_independent(problem, codes, who)
    order = np.argsort(codes, kind="stable")
    rows = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    scores, total = _scores(standard.problem, rows, approximation, psi)
    _require_sum(result, training, total, who)
    return ClusterScores(tuple(labels), tuple(rows), scores, standard)


def _scores(
    problem: Problem, rows: Sequence[IntArray], approximation: Approximation, psi: Array
) -> tuple[Array, float]:
    """Return the gradient of each set of rows, shape (G, n_psi), and the sum of their values."""
    scores, total = np.empty((len(rows), psi.size)), 0.0
    for g, members in enumerate(rows):
        evaluation = approximation.objective(subset(problem, members))(psi)
        scores[g], total = evaluation.gradient, total + evaluation.value
    return scores, total


def _over_parts(result: Estimates, training: Training, cluster: Any, who: str) -> tuple[int, Array]:
    """Return the number of clusters, each of which lies in one part, and the sum of V s s' V."""
    problem, standard = training.problem, standard_of(training.problem)
    names = [term.group for term in problem.terms]
    if cluster is None and names:
        cluster = min(problem.terms, key=lambda term: len(term.levels)).group
    if not isinstance(cluster, str) or cluster not in names:
        raise OptionError(
            f"{who}: cluster must be a grouping factor of the model "
            f"({', '.join(names) or 'it has none'}), since the data lie in parts, got "
            f"{shown(cluster)}."
        )
    if has_across(problem):
        raise UnsupportedModelError(
            f"{who}: expected clusters that share no random effects, got a factor that runs across "
            "the parts of the data. Take the standard errors of the fit, or bootstrap()."
        )
    approximation, psi = _as_a_sum(training, who), standard.psi(result.fit.psi)
    assert standard.problem.parts is not None
    G, total, squares = standard.problem.parts.total(
        _squares_in, names.index(cluster), approximation, psi, who
    )
    _require_sum(result, training, total, who)
    places = [each.place for each in result.coefficients]
    V = boundary_as_known(standard.covariance(result.fit.uncertainty), places)
    half = standard.given_psi(V)
    return G, half.T @ squares @ half


def _squares_in(
    part: Problem, term: int, approximation: Approximation, psi: Array, who: str
) -> Sums:
    """Return the number of a part's clusters, the sum of their values, and that of s s'."""
    codes = part.terms[term].codes
    _require_independent(part, codes, who)
    order = np.argsort(codes, kind="stable")
    rows = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    scores, total = _scores(part, rows, approximation, psi)
    return Sums(len(rows), total, scores.T @ scores)


def _require_sum(result: Estimates, training: Training, total: float, who: str) -> None:
    """Refuse an objective that is no sum over clusters."""
    whole = -result.llf
    if not abs(total - whole) <= TOL_REL_SUM * (1.0 + abs(whole)):
        raise UnsupportedModelError(
            f"{who}: expected an objective that is a sum over clusters, but that of "
            f"{training.approximation.method.name!r} takes all rows at once ({total:.6g} summed "
            f"over clusters, {whole:.6g} at once). Fit by maximum likelihood: fit() "
            'with method="ML", or glmer() with nAGQ of at least 1.'
        )


def _as_a_sum(training: Training, who: str) -> Approximation:
    """Return what has the fit's minimum as a function of all of psi, if there is such a thing.

    Coefficients that are profiled out depend on all clusters at once; priors are of none of them.
    """
    problem = training.problem
    approximation = without_priors(training.approximation, problem)
    if approximation.unrestricted() is not None:
        raise UnsupportedModelError(
            f"{who}: a restricted likelihood is no sum over clusters. Fit by maximum likelihood: "
            'fit() with method="ML", or refit_ml() of this fit.'
        )
    place = approximation.profiled(problem)
    joint = approximation.joint(problem) if place.stop > place.start else None
    return approximation if joint is None else joint


def _clusters(
    result: Estimates, problem: Problem, cluster: Any, who: str
) -> tuple[IntArray, list[str]]:
    factors = {term.group: term for term in problem.terms}
    if cluster is None and not factors:  # every row is independent of the others
        return np.arange(problem.n), [str(each) for each in result.rows.index]
    if cluster is None:
        cluster = min(factors, key=lambda name: len(factors[name].levels))
    if isinstance(cluster, str):
        if cluster not in factors:
            raise OptionError(
                f"{who}: cluster must be a grouping factor of the model "
                f"({', '.join(factors) or 'it has none'}) or an array of labels, got {cluster!r}."
            )
        return factors[cluster].codes, list(factors[cluster].levels)
    expected = f"{who}: cluster needs one label for each of the {problem.n} rows used"
    try:
        values = np.asarray(cluster)
    except ValueError:  # lists of different lengths
        values = np.asarray(None)
    if values.shape != (problem.n,):
        raise OptionError(f"{expected}, got {shown(cluster)}.")
    if pd.isna(values).any():
        raise OptionError(f"{expected}, got missing ones. Leave these rows out of the fit.")
    names = level_names(values.tolist())
    codes, labels = pd.factorize(np.array(names, dtype=object))
    return codes.astype(np.intp), [str(each) for each in labels]


def _require_independent(problem: Problem, codes: IntArray, who: str) -> None:
    for term in problem.terms:
        if term.relation is not None:
            raise UnsupportedModelError(
                f"{who}: clusters must not share random effects, but the levels of "
                f"{term.group!r} are correlated by a known matrix. Use the covariance that vcov() "
                "returns, or a parametric bootstrap."
            )
        low = np.full(len(term.levels), codes.max() + 1)
        high = np.full(len(term.levels), -1)
        np.minimum.at(low, term.codes, codes)
        np.maximum.at(high, term.codes, codes)
        if np.any(low != high):
            level = term.levels[int(np.flatnonzero(low != high)[0])]
            raise UnsupportedModelError(
                f"{who}: clusters must not share random effects, but level {level!r} of "
                f"{term.group!r} lies in several. Choose a coarser cluster within which "
                f"{term.group!r} is nested; crossed factors have none."
            )
