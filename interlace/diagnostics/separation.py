"""Separation: coefficients without a finite estimate, found where a fit looks like it and named.

The look costs next to nothing: a linear predictor whose fixed part has a large variance in some
row. That is no proof (few data have it too, and so do some that are nearly separated), so that a
linear programme decides what is said (`recession`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import isfinite
from typing import Any

import numpy as np

from interlace.data.factors import INTERCEPT
from interlace.diagnostics.open_rows import forms_of_rows, rows_without_weight
from interlace.diagnostics.recession import Cone, separating_sets
from interlace.parts.afterwards import Seen, eta_in, of_parts
from interlace.results.predictors import Predictors
from interlace_core.contract.family import Parameter
from interlace_core.contract.parts import Largest, Question, total
from interlace_core.contract.problem import Predictor, Problem
from interlace_core.engine.gram import CHUNK_NUMBERS
from interlace_core.fitting.constants import mean_columns
from interlace_core.fitting.fitted import Fit
from interlace_core.records import Array
from interlace_core.registry.blame import guard

SUSPECT_SE = 3.0
"""Standard error of a row's fixed part from which separation is looked for. Where it is, a search
ends with a thousand and more, for a row's share of what is left to gain is its variance's inverse;
ordinary fits have below 1, and those between cost a linear programme."""

SUSPECT_RANGE = 30.0
"""Range of the fixed part from which it is, too: probabilities of 1e-13 beside those of 1 - 1e-13,
where a search may have gone so far that no curvature is left to tell a standard error by."""

MOST_FORMS = 200_000
"""Distinct rows of a fit in parts that are brought together. Where these leave no direction, no
rows can; where they leave one, the note says by how many rows that is judged."""

MOST_SETS = 10
"""Causes that a note lists."""


def separation_notes(
    problem: Problem, fit: Fit, predictors: Predictors, held: Collection[int] = ()
) -> tuple[str, ...]:
    """Return a note for each predictor with coefficients that have no finite estimate.

    The fixed effects alone decide: where every row's log-density rises along a direction of the
    coefficients it does so for any random effects, and the likelihood has no maximum. Variances
    that are infinite (a response constant within groups) are another matter.

    Parameters
    ----------
    problem : Problem
    fit : Fit
    predictors : Predictors
        Not looked at where rows lie in parts, or where nothing is suspected.
    held : collection of int
        Entries of psi that something beside the data keeps finite, as priors do.
    """
    suspects = [
        k
        for k, predictor in enumerate(problem.predictors)
        if _may_have_open_end(predictor) and _suspected(problem, k, fit)
    ]
    if not suspects:
        return ()
    forms = _joint_forms(problem, fit)
    if forms is None:
        found = [_note(problem, fit, predictors, k, held) for k in suspects]
    else:
        found = _joint_notes(problem, fit, forms, suspects, held)
    return tuple(filter(None, found))


def _may_have_open_end(predictor: Predictor) -> bool:
    """Return whether the parameter may tend to an end of its scale with its predictor.

    Thresholds bound intervals, which may grow without end. Not asked of dispersions, whose ends
    are limits of the family (`limit_notes`).
    """
    parameter = predictor.parameter
    if parameter.fixed is not None or parameter.role == "dispersion" or not predictor.X.shape[1]:
        return False
    link = parameter.link
    bounded = any(map(isfinite, link.domain)) and not all(map(isfinite, link.eta_domain))
    return parameter.latent or parameter.role == "threshold" or bounded


MANY_ROWS = 1024
"""Rows from which on bounds are looked at first."""


def _suspected(problem: Problem, k: int, fit: Fit) -> bool:
    """Return whether a programme has to decide: the look that every fit gets."""
    predictor, place = problem.predictors[k], problem.beta_slices()[k]
    V = fit.vcov[place, place]
    if np.any(fit.undetermined[place]) or not np.all(np.isfinite(V)):
        return True
    zero = mean_columns(problem, k) if predictor.parameter.latent else None
    for look in (_bounds, _extent) if problem.n >= MANY_ROWS else (_extent,):
        above, below, variance = total(problem, look, k, fit.psi[place], V, zero)
        if above + below <= SUSPECT_RANGE and variance < SUSPECT_SE**2:
            return False
    return True


def _bounds(problem: Problem, k: int, beta: Array, V: Array, zero: Array | None) -> Largest:
    """Return what the answers of `_extent` are below, from the columns' extremes alone.

    A pass over each column takes a tenth of the time that the rows' variances do.
    """
    X = problem.predictors[k].X
    ends = np.array([(x.max(), x.min()) for x in X.T]).T  # a column at a time: each is contiguous
    moved = ends * beta
    away = np.abs(ends if zero is None else ends - zero).max(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        variance = away @ np.abs(V) @ away
    return Largest(np.sum(moved.max(axis=0)), -np.sum(moved.min(axis=0)), variance)


def _extent(problem: Problem, k: int, beta: Array, V: Array, zero: Array | None) -> Largest:
    """Return the largest of a predictor's fixed part, minus its least, and the largest variance."""
    fixed = problem.predictors[k].X @ beta
    variance = largest_variance(problem.predictors[k].X, V, zero)
    return Largest(np.max(fixed), -np.min(fixed), variance)


def largest_variance(X: Array, V: Array, zero: Array | None) -> float:
    """Return the largest variance of a row's fixed part, from a zero point of the columns.

    With the columns' means for `zero`, where an intercept (or thresholds) can make up for it, it is
    the same for columns in other units and from another zero point.
    """
    largest = 0.0
    step = max(CHUNK_NUMBERS // X.shape[1], 1)
    for start in range(0, len(X), step):
        rows = X[start : start + step] if zero is None else X[start : start + step] - zero
        with np.errstate(over="ignore", invalid="ignore"):
            largest = max(largest, float(np.max(np.einsum("ij,ij->i", rows @ V, rows))))
    return largest


def _note(problem: Problem, fit: Fit, predictors: Predictors, k: int, held: Collection[int]) -> str:
    """Return the note on predictor k by itself, or ""; nothing is said of coefficients held."""
    predictor, place = problem.predictors[k], problem.beta_slices()[k]
    free = [j for j in range(predictor.X.shape[1]) if place.start + j not in held]
    rows = _forms(problem, fit, predictors, k)
    cone = Cone(*rows)
    always = [j for j in free if predictor.names[j] == INTERCEPT]
    sets = separating_sets(cone, always, [j for j in free if j not in always])
    if sets == ((),):
        return _of_intercept(predictor, fit.psi[place])
    if not sets:
        return ""
    along = bool(always) and not all(cone.has_direction(each) for each in sets)
    words = _words(predictor, fit.psi[place], fit.standard_errors()[place], sets, along)
    return words + _judged(problem, sum(map(len, rows)))


def _joint_notes(
    problem: Problem, fit: Fit, rising: Array, suspects: Sequence[int], held: Collection[int]
) -> list[str]:
    """Return the notes on predictors that bound intervals together, of all their coefficients.

    Those of one predictor are looked for among its own and all intercepts; those that need others
    beside them, such as of another threshold's columns, among all that have no note by then.
    """
    cone = Cone(rising, np.zeros((0, problem.n_beta)))
    places = [
        range(p.start - problem.n_theta, p.stop - problem.n_theta) for p in problem.beta_slices()
    ]
    names = [name for predictor in problem.predictors for name in predictor.names]
    free = [j for j in range(problem.n_beta) if j + problem.n_theta not in held]
    intercepts = [j for j in free if names[j] == INTERCEPT]
    if cone.has_direction(intercepts):
        return []
    own = {k: [j for j in free if j in places[k] and j not in intercepts] for k in suspects}
    sets = {k: separating_sets(cone, intercepts, own[k]) for k in suspects}
    said = {j for each in sets.values() for one in each for j in one}
    for k in suspects:
        if not sets[k]:
            others = [j for j in free if j not in own[k] and j not in said]
            sets[k] = separating_sets(cone, others, own[k])
    notes = []
    for k, causes in sets.items():
        if causes and causes != ((),):
            place = problem.beta_slices()[k]
            local = [tuple(j - places[k].start for j in each) for each in causes]
            se = fit.standard_errors()[place]
            words = _words(problem.predictors[k], fit.psi[place], se, local, False)
            notes.append(words + _judged(problem, len(rising)))
    return notes


def _forms(problem: Problem, fit: Fit, predictors: Predictors, k: int) -> tuple[Array, Array]:
    """Return what rows ask of predictor k's coefficients; of parts distinct rows."""
    if problem.parts is None:
        return forms_of_rows(problem, predictors.eta, k)
    rising, still = _brought(problem, fit, _distinct_forms, k)
    return rising, still


def _brought(problem: Problem, fit: Fit, question: Question, *given: Any) -> list[Array]:
    """Return the distinct rows of several arrays over the parts, `MOST_FORMS` at most."""
    found: list[Array] | None = None
    for rows in of_parts(problem, fit, question, *given):
        both = [rows] if found is None else [found, rows]
        found = [_distinct(np.concatenate(each)) for each in zip(*both, strict=True)]
        if sum(map(len, found)) >= MOST_FORMS:
            break
    return [] if found is None else [each[:MOST_FORMS] for each in found]


def _distinct_forms(part: Problem, seen: Seen, k: int) -> list[Array]:
    """Return what the rows of a part ask, each of several equal ones once."""
    rows = forms_of_rows(part, eta_in(part, seen), k)
    return [_distinct(each)[:MOST_FORMS] for each in rows]


def _distinct_joint_forms(part: Problem, seen: Seen) -> list[Array]:
    rows = _joint_forms_here(part)
    return [] if rows is None else [_distinct(rows)[:MOST_FORMS]]


def _distinct(rows: Array) -> Array:
    return np.asarray(np.unique(rows, axis=0))


def _judged(problem: Problem, number: int) -> str:
    """Return by how many rows a note is judged, where it is not by all."""
    if problem.parts is None or number < MOST_FORMS:
        return ""
    return f" (Judged by {MOST_FORMS} of the distinct rows.)"


def _joint_forms(problem: Problem, fit: Fit) -> Array | None:
    """Return what the family's forms ask of all coefficients, shape (m, n_beta); None if none."""
    if problem.parts is None:
        return _joint_forms_here(problem)
    found = _brought(problem, fit, _distinct_joint_forms)
    return found[0] if found else None


def _joint_forms_here(problem: Problem) -> Array | None:
    with guard(problem.family, "separation"):
        given = problem.family.recession_forms(problem.y)
    if given is None:
        return None
    rows, forms = given
    counted = ~rows_without_weight(problem)[rows]
    rows, forms = rows[counted], forms[counted]
    parts = [f[:, None] * p.X[rows] for f, p in zip(forms.T, problem.predictors, strict=True)]
    return np.concatenate(parts, axis=1)


_ADVICE = "merge levels, or report the likelihood-ratio test instead of the coefficient."


def _words(
    predictor: Predictor, beta: Array, se: Array, causes: Sequence[Sequence[int]], along: bool
) -> str:
    """Return the note that names the columns: the first cause in full, the others after it."""
    names, first = predictor.names, causes[0]
    of, what = _what_is_separated(predictor.parameter)
    if len(first) == 1:
        (j,) = first
        note = (
            f"column {names[j]!r}{of} separates {what}: its coefficient {beta[j]:.1f} has no "
            f"finite estimate and its standard error ({se[j]:.3g}) means nothing."
        )
    else:
        note = (
            f"the combination of columns {_listed(names, beta, first)}{of} separates {what}: their "
            "coefficients (in brackets) have no finite estimates and their standard errors mean "
            "nothing."
        )
    for each in causes[1:MOST_SETS]:
        column = "does column" if len(each) == 1 else "do columns"
        alone = "by itself" if len(each) == 1 else "together"
        note += f" So {column} {_listed(names, beta, each)} {alone}."
    if len(causes) > MOST_SETS:
        note += f" So do {len(causes) - MOST_SETS} more."
    if along:
        note += f" The coefficient of {INTERCEPT!r} runs off as well."
    drop = "Drop the column" if len(first) == 1 else "Drop one of them"
    return f"{note} {drop}, {_ADVICE}{_prior_for(predictor, first)}"


def _listed(names: Sequence[str], beta: Array, columns: Sequence[int]) -> str:
    return ", ".join(f"{names[j]!r} ({beta[j]:.1f})" for j in columns)


def _what_is_separated(parameter: Parameter) -> tuple[str, str]:
    """Return whose columns they are where not the mean's, and what they separate, in words."""
    if parameter.role == "mean":
        return "", "the response"
    zeros = "the zeros of the response from its other values"
    return f" of {parameter.name}", zeros if parameter.role == "zero" else "the response"


def _prior_for(predictor: Predictor, columns: Sequence[int]) -> str:
    """Return the remedy by priors."""
    parameter = predictor.parameter
    key = (
        "fixed" if parameter.role == "mean" else f"{parameter.name}: {predictor.names[columns[0]]}"
    )
    several = parameter.role != "mean" and len(columns) > 1
    return (
        f' A weak prior, priors={{"{key}": interlace.normal(0, 2.5)}}'
        f"{' and so on' if several else ''}, gives a finite "
        'estimate; so does priors="weak".'
    )


def _of_intercept(predictor: Predictor, beta: Array) -> str:
    """Return the note on an intercept that runs off by itself; "" if to a limit of the family."""
    parameter = predictor.parameter
    estimate = float(beta[predictor.names.index(INTERCEPT)])
    becomes = parameter.at_upper if estimate > 0 else parameter.at_lower
    if becomes and (parameter.role == "mean" or predictor.names == (INTERCEPT,)):
        return ""  # said by `limit_notes`
    end = "highest" if estimate > 0 else "lowest"
    limit = f", where the family becomes {becomes}" if becomes else ""
    return (
        f"every row of the response is best predicted by the {end} {parameter.name} there can "
        f"be{limit}: the coefficient of {INTERCEPT!r} ({estimate:.1f}) has no finite estimate, nor "
        f"has any other of {parameter.name}, and their standard errors mean nothing."
    )
