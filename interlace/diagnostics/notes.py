"""A fit with what there is to say of it: notes, words in its verdict, and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from interlace.diagnostics.approximation_error import accuracy_notes
from interlace.diagnostics.limits import limit_notes
from interlace.diagnostics.separation import separation_notes
from interlace.priors import held_by_priors
from interlace.results.fitted_model import AnyFit, require_training
from interlace_core.fitting.verdict import Verdict
from interlace_core.messages.errors import ConvergenceWarning
from interlace_core.messages.warn import warn


def with_notes(result: AnyFit, who: str) -> AnyFit:
    """Return a new fit with its notes; warns where it is no optimum or estimates are infinite.

    Parameters
    ----------
    result : Estimates
        As the driver returns it, with its training data.
    who : str
        The function that the user called, for messages.
    """
    training, fit = require_training(result, who), result.fit
    problem = training.problem
    held = held_by_priors(training.approximation, problem)
    separated = separation_notes(problem, fit, result.eta, held)
    for note in separated:
        warn(f"{who}: {note}", ConvergenceWarning)
    verdict = with_columns(fit.verdict, separated, result.dropped_columns)
    more = (*limit_notes(problem, fit), *(() if separated else accuracy_notes(training, fit)))
    if not verdict.converged or verdict.status == "not determined":
        warn(f"{who}: {verdict.message}.", ConvergenceWarning)
    return replace(
        result, fit=replace(fit, verdict=verdict), notes=(*result.notes, *separated, *more)
    )


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
    return replace(verdict, status=status, message=message)
