"""Separation: coefficients without a finite estimate, found where a fit looks like it and named.

The look costs next to nothing: a linear predictor whose fixed part has a large variance in some
row. That is no proof (few data have it too, and so do some that are nearly separated), so that a
linear programme decides what is said (`recession`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import isfinite

import numpy as np

from interlace.data.factors import INTERCEPT
from interlace.diagnostics.open_rows import forms_of_rows, rows_without_weight
from interlace.diagnostics.recession import Cone, separating_sets
from interlace.parts.afterwards import Seen, eta_in, of_parts
from interlace_core.contract.family import Parameter
from interlace_core.contract.parts import Largest, total
from interlace_core.contract.problem import Predictor, Problem
from interlace_core.engine.gram import CHUNK_NUMBERS
from interlace_core.fitting.constants import mean_columns
from interlace_core.fitting.fitted import Fit
from interlace_core.records import Array, IntArray
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
    problem: Problem, fit: Fit, eta: Array, held: Collection[int] = ()
) -> tuple[str, ...]:
    """Return a note for each predictor with coefficients that have no finite estimate.

    The fixed effects alone decide: where every row's log-density rises along a direction of the
    coefficients it does so for any random effects, and the likelihood has no maximum. Variances
    that are infinite (a response constant within groups) are another matter.

    Parameters
    ----------
    problem : Problem
    fit : Fit
    eta : ndarray, shape (K, n)
        Its linear predictors, random effects included; not looked at where rows lie in parts.
    held : collection of int
        Entries of psi that something beside the data keeps finite, as priors do.
    """
    notes = []
    for k, (predictor, place) in enumerate(
        zip(problem.predictors, problem.beta_slices(), strict=True)
    ):
        if not _has_open_end(predictor.parameter) or not predictor.X.shape[1]:
            continue
        if not _suspected(problem, k, fit):
            continue
        free = [j for j in range(predictor.X.shape[1]) if place.start + j not in held]
        note = _note(problem, fit, eta, k, free)
        if note:
            notes.append(note)
    return tuple(notes)


def _has_open_end(parameter: Parameter) -> bool:
    """Return whether the parameter may tend to an end of its scale with its predictor.

    Not asked of dispersions, whose ends are limits of the family (`limit_notes`).
    """
    if parameter.fixed is not None or parameter.role == "dispersion":
        return False
    link = parameter.link
    bounded = any(map(isfinite, link.domain)) and not all(map(isfinite, link.eta_domain))
    return parameter.latent or bounded


def _suspected(problem: Problem, k: int, fit: Fit) -> bool:
    """Return whether a programme has to decide: the look that every fit gets."""
    predictor, place = problem.predictors[k], problem.beta_slices()[k]
    V = fit.vcov[place, place]
    if np.any(fit.undetermined[place]) or not np.all(np.isfinite(V)):
        return True
    zero = mean_columns(problem, k) if predictor.parameter.latent else None
    above, below, variance = total(problem, _extent, k, fit.psi[place], V, zero)
    return bool(above + below > SUSPECT_RANGE or not variance < SUSPECT_SE**2)


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


def _note(problem: Problem, fit: Fit, eta: Array, k: int, free: Sequence[int]) -> str:
    """Return the note on predictor k, whose coefficients `free` nothing else holds, or ""."""
    predictor, place = problem.predictors[k], problem.beta_slices()[k]
    joint, rows = _forms(problem, fit, eta, k)
    cone = Cone(*rows)
    if not joint:
        always = [j for j in free if predictor.names[j] == INTERCEPT]
        offset = 0
    else:
        offset = place.start - problem.n_theta
        own = range(offset, offset + predictor.X.shape[1])
        always = [j for j in range(problem.n_beta) if j not in own]
    columns = [j + offset for j in free if j + offset not in always]
    sets = separating_sets(cone, always, columns)
    if sets == ((),):
        return "" if joint else _of_intercept(predictor, fit.psi[place])
    if not sets:
        return ""
    causes = [tuple(j - offset for j in each) for each in sets]
    along = not joint and always and not all(cone.has_direction(each) for each in sets)
    some = problem.parts is not None and sum(map(len, rows)) >= MOST_FORMS
    judged = f" (Judged by {MOST_FORMS} of the distinct rows.)" if some else ""
    se = fit.standard_errors()[place]
    return _words(predictor, fit.psi[place], se, causes, bool(along)) + judged


def _forms(problem: Problem, fit: Fit, eta: Array, k: int) -> tuple[bool, tuple[Array, Array]]:
    """Return whether rows ask of all coefficients jointly, and what; of parts distinct rows."""
    if problem.parts is None:
        return _forms_here(problem, eta, k)
    kinds, distinct = [], None
    for joint, rows in of_parts(problem, fit, _distinct_forms, k):
        kinds.append(joint)
        pairs = [rows] if distinct is None else [distinct, rows]
        distinct = tuple(_distinct(np.concatenate(each)) for each in zip(*pairs, strict=True))
        if sum(map(len, distinct)) >= MOST_FORMS:
            break
    assert distinct is not None
    rising, still = distinct
    return kinds[0], (rising[:MOST_FORMS], still[:MOST_FORMS])


def _distinct_forms(part: Problem, seen: Seen, k: int) -> tuple[bool, tuple[Array, Array]]:
    """Return what the rows of a part ask, each of several equal ones once."""
    joint, (rising, still) = _forms_here(part, eta_in(part, seen), k)
    return joint, (_distinct(rising)[:MOST_FORMS], _distinct(still)[:MOST_FORMS])


def _distinct(rows: Array) -> Array:
    return np.asarray(np.unique(rows, axis=0))


def _forms_here(problem: Problem, eta: Array, k: int) -> tuple[bool, tuple[Array, Array]]:
    with guard(problem.family, "separation"):
        forms = problem.family.recession_forms(problem.y)
    if forms is None:
        return False, forms_of_rows(problem, eta, k)
    return True, _joint_forms(problem, *forms)


def _joint_forms(problem: Problem, rows: IntArray, forms: Array) -> tuple[Array, Array]:
    """Return what forms of the predictors ask of all coefficients, shape (m, n_beta), and none."""
    counted = ~rows_without_weight(problem)[rows]
    rows, forms = rows[counted], forms[counted]
    parts = [f[:, None] * p.X[rows] for f, p in zip(forms.T, problem.predictors, strict=True)]
    return np.concatenate(parts, axis=1), np.zeros((0, problem.n_beta))


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
