"""What is said of variances that the data cannot tell apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlace_core.contract.problem import Problem, RandomTerm
from interlace_core.messages.names import listed

Involved = Sequence[tuple[RandomTerm, int]]
"""Terms, each with its number of variance parameters."""


def confounded(problem: Problem, mixed: Involved) -> str:
    """Return a refusal: effects, or correlated rows, that are the residual over again."""
    terms = [term for term, _ in mixed]
    per_row = [term for term in terms if is_residual(problem, term)]
    if per_row:
        return (
            f"grouping factor {per_row[0].group!r}: expected fewer levels than rows, got "
            f"{problem.n} levels in {problem.n} rows. The variance between groups cannot be told "
            "from the residual variance; leave the term out, or choose a coarser factor."
        )
    names = listed([_written(term) for term in terms])
    if problem.correlation is not None:
        return (
            f"correlation {problem.correlation.label}: expected a correlation of residuals that "
            f"can be told from random effects, got {names}, which correlates the same rows in the "
            "same way. Leave one of the two out."
        )
    most = max(terms, key=lambda term: term.n_effects)
    count = sum(number for _, number in mixed)
    return (
        f"random effects {names}: expected variances that can be told from the residual variance, "
        f"got {most.n_effects} random effects in {problem.n} rows: the {count} parameter(s) "
        "of their covariance and the residual variance are more than the data show. Leave out an "
        "effect or its correlations, (1 | g) or (x || g), or take more rows of each level."
    )


def unresolved(among: Involved, also_fixed: bool) -> str:
    """Return a note on variances that the data tell neither from each other nor from nothing.

    Parameters
    ----------
    among : Involved
    also_fixed : bool
        Whether effects are fixed effects too, of which a restricted likelihood is free.
    """
    names = listed([_written(term) for term, _ in among])
    if also_fixed:
        return (
            f"the data do not determine all variances of {names}: effects of it are fixed effects "
            "as well, of which a restricted likelihood is free. Its estimates are arbitrary; leave "
            "the one or the other out"
        )
    if len(among) > 1:
        return f"the data do not determine the variances of {names} each, only sums of them"
    term = among[0][0]
    return (
        f"the data do not determine all variances and correlations of {names}: no level of "
        f"{term.group!r} has rows that tell its {term.Z.shape[1]} effects apart. Their estimates "
        "are arbitrary in part; leave out effects of covariates that do not vary within levels"
    )


def of_outcomes(problem: Problem, mixed: Involved) -> str:
    """Return a note on effects that stretch the latent scale of single outcomes."""
    names = listed([_written(term) for term, _ in mixed])
    return (
        f"{_reach(problem, mixed)}, each row a single outcome: the variance of {names} cannot be "
        "told from that which the link implies, and coefficients grow with it. Leave the term out, "
        "or choose a coarser factor"
    )


def of_shape(problem: Problem, mixed: Involved) -> str:
    """Return a note on effects that are beside a dispersion of another kind."""
    names = listed([_written(term) for term, _ in mixed])
    return (
        f"{_reach(problem, mixed)}, beside a dispersion that is estimated: the variance of {names} "
        "is told from it by the shape of the distribution alone"
    )


def notes_on_levels_of_rows(problem: Problem, terms: Sequence[RandomTerm]) -> list[str]:
    """Return a note where unequal residual variances alone tell the levels' variance."""
    return [
        f"{_written(term)} has a level for each row: its variance is told from the residual "
        "variance by the rows' unequal weights or dispersion alone"
        for term in terms
        if term.relation is None and is_residual(problem, term)
        if problem.correlation is None and np.ptp(term.Z) == 0.0
    ]


def is_residual(problem: Problem, term: RandomTerm) -> bool:
    """Return whether a term has one effect for each row."""
    return term.Z.shape[1] == 1 and int(term.codes.max()) + 1 == problem.n


def _reach(problem: Problem, mixed: Involved) -> str:
    term = max((each for each, _ in mixed), key=lambda term: term.n_effects)
    levels = int(term.codes.max()) + 1
    if levels == problem.n:
        return f"{_written(term)} has a level for each row"
    return f"{_written(term)} has {term.n_effects} effects for {problem.n} rows"


def _written(term: RandomTerm) -> str:
    return term.label if term.label.endswith(")") else f"({term.label})"
