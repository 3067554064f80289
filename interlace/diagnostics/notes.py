"""A fit with what there is to say of it: notes, words in its verdict, and warnings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from interlace.diagnostics.separation import separation_notes
from interlace.priors.penalised import held_by_priors
from interlace.results.elsewhere import RowsElsewhere
from interlace.results.fitted_model import AnyFit, changed
from interlace_core.contract.family import Parameter
from interlace_core.contract.problem import Problem
from interlace_core.fitting.constants import mean_columns
from interlace_core.fitting.exact import MEETS, refuse_exact
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.verdict import Verdict
from interlace_core.messages.errors import ConvergenceWarning
from interlace_core.messages.warn import warn
from interlace_core.records import Array


def with_notes(result: AnyFit, who: str) -> AnyFit:
    """Return a new fit with its notes; warns where it is no optimum or estimates are infinite.

    Parameters
    ----------
    result : Estimates
        As the driver returns it, with its training data.
    who : str
        The function that the user called, for messages.
    """
    training, fit = result.training, result.fit
    assert training is not None
    problem = training.problem
    held = held_by_priors(training.approximation, problem, fit.psi, fit.standard_errors())
    separated = separation_notes(problem, fit, result.predictors, held)
    for note in separated:
        warn(f"{who}: {note}", ConvergenceWarning)
    verdict = with_columns(fit.verdict, separated, result.dropped_columns)
    if not verdict.converged or verdict.status == "not determined":
        verdict = replace(verdict, message=verdict.message + _residual_lost(result))
        warn(f"{who}: {verdict.message}.", ConvergenceWarning)
    return changed(
        result,
        fit=fit if verdict is fit.verdict else replace(fit, verdict=verdict),
        known_notes=(*result.known_notes, *separated, *limit_notes(problem, fit)),
        look_closer=not separated and not isinstance(result.y, RowsElsewhere),
    )


NO_RESIDUAL = 1e-4
"""Share of the response's variance that a residual goes below on its way to 0."""


def _residual_lost(result: AnyFit) -> str:
    """Return what to say where a search followed the residual's variance to 0; empty elsewhere.

    Effects with one for each row, such as of times, can take all that is left of it. The likelihood
    then has a limit there, and no optimum.
    """
    training = result.training
    assert training is not None
    problem = training.problem
    levels = [term for term in problem.terms if term.covariance.takes_levels_only]
    if not levels or problem.family.is_discrete or isinstance(result.y, RowsElsewhere):
        return ""
    observed = problem.family.observed(problem.y)
    if observed.shape != (problem.n,) or not _scale(result) < NO_RESIDUAL * float(np.var(observed)):
        return ""
    taken = " and ".join(f"({term.label})" for term in levels)
    return (
        f"; the residual variance goes to 0, since the effects of {taken} can take what is left of "
        'each row. Hold it, as by hold={"sigma": 0.1} in units of the response, or have several '
        "rows at a time or place"
    )


def _scale(result: AnyFit) -> float:
    """Return the residual variance where it is one for all rows, NaN elsewhere."""
    if any(np.ptp(row) > 0.0 for row in result.eta[1:]):
        return float("nan")
    assert result.training is not None
    return float(result.training.problem.family.scale([float(row[0]) for row in result.eta]))


def with_columns(verdict: Verdict, separated: Sequence[str], dropped: Sequence[str]) -> Verdict:
    """Return a verdict that names columns which separate the response or were left out.

    Parameters
    ----------
    verdict : Verdict
    separated : sequence of str
        Notes, each of which begins with what separates, up to a colon.
    dropped : sequence of str
        Columns that are combinations of others.
    """
    status, message = verdict.status, verdict.message
    if separated and verdict.converged:
        causes = "; ".join(note.partition(":")[0] for note in separated)
        status = "boundary" if verdict.boundary else "optimum"
        what = "optimum at a limit" if status == "optimum" else "boundary, at a limit"
        bounds = "".join(f"; {each}" for each in verdict.boundary)
        message = f"{what}: {causes}{bounds} (remaining gain {verdict.remaining_gain:.1e})"
    if dropped:
        message += f"; without {', '.join(dropped)}, a combination of other columns"
    if (status, message) == (verdict.status, verdict.message):
        return verdict
    return replace(verdict, status=status, message=message)


UNDETERMINED = 5.0
"""Standard error beyond which an intercept on a logarithmic scale is not determined by the
data."""

LIMIT_ETA = 8.0
"""A parameter that the data do not determine counts as infinite where its predictor lies beyond
this: on a log scale a factor of 3000 from 1, on a logit scale a probability of 0.0003. From half
of it on, it also does where only the end of its 95% interval lies beyond."""


def limit_notes(problem: Problem, fit: Fit) -> tuple[str, ...]:
    """Return a note for each parameter that went to a limit of its family.

    Further parameters where they are constant, and the mean where its predictor went there at the
    columns' means (its intercept alone is at 0 of every column, wherever that is): a limit is a
    property of the family, not of a column.
    """
    notes = []
    for k, (predictor, place) in enumerate(
        zip(problem.predictors, problem.beta_slices(), strict=True)
    ):
        parameter = predictor.parameter
        constant = predictor.names == ("Intercept",)
        if "Intercept" not in predictor.names or not (constant or parameter.role == "mean"):
            continue
        if not (parameter.at_upper or parameter.at_lower):
            continue
        middle = mean_columns(problem, k)
        eta = float(middle @ fit.psi[place])
        with np.errstate(invalid="ignore"):
            se = float(np.sqrt(middle @ fit.vcov[place, place] @ middle))
        becomes = parameter.at_upper if eta > 0 else parameter.at_lower
        far = abs(eta) >= LIMIT_ETA
        far |= abs(eta) >= 0.5 * LIMIT_ETA and abs(eta) + 2.0 * se >= LIMIT_ETA
        if becomes and far and not se < UNDETERMINED:
            notes.append(_limit(problem.family.name, parameter, eta, becomes, fit))
    return tuple(notes)


def _limit(family: str, parameter: Parameter, eta: float, becomes: str, fit: Fit) -> str:
    looked = ": searches from elsewhere found nothing higher" if len(fit.searches) > 1 else ""
    simpler = "The simpler model has next to the same log-likelihood and one parameter less."
    if not fit.verdict.converged:  # a density may rise without end on the way
        simpler = "No optimum was reached: the log-likelihood may rise without end towards it."
    return (
        f"{parameter.name} = {float(parameter.link.mu(eta)):.3g} is at its limit, where the "
        f"family {family!r} becomes {becomes}{looked}. {simpler}"
    )


def require_residual(problem: Problem, eta: FirstRows, doubtful: bool, copies: bool) -> None:
    """Refuse a fit of a response that the model predicts exactly, by `refuse_exact`.

    For a family whose likelihood has an optimum besides, where a search did not rise.

    Parameters
    ----------
    problem : Problem
    eta, doubtful
        As in `may_be_exact`.
    copies : bool
        Whether a weight above 1 is copies of its row, and not a precision.
    """
    if may_be_exact(problem, eta, doubtful):
        refuse_exact(problem, copies)


FirstRows = Callable[[int | None], Array]
"""Returns the linear predictors of so many first rows, shape (K, n); of all if None."""


def may_be_exact(problem: Problem, eta: FirstRows, doubtful: bool) -> bool:
    """Return whether one should look closer: the means meet the response, or the fit is doubtful.

    Parameters
    ----------
    problem : Problem
    eta : callable
        Returns linear predictors of the fit.
    doubtful : bool
        Whether the search ended at a boundary, or short of an optimum.
    """
    estimated = [k for k in problem.active() if k and problem.predictors[k].X.shape[1]]
    if problem.family.is_discrete or not estimated:
        return False
    observed = problem.family.observed(problem.y)
    if observed.shape != (problem.n,):
        return False
    close = MEETS * float(np.ptp(observed))
    for end in () if doubtful else (8, None):  # nearly always few rows tell
        mean = problem.family.mean(list(eta(end)))
        if not np.all(np.abs(observed[:end] - mean) <= close):
            return False
    return True
