"""A problem whose rows lie in parts: what of it is known without any of them."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import add

from interlace_core.contract.parts import Engine, Levels, Parts, Sums, total
from interlace_core.contract.problem import ColumnSizes, Predictor, Problem, RandomTerm
from interlace_core.engine.columns import Reach


def outline(like: Problem, engine: Engine) -> Problem:
    """Return the problem of which an engine has the parts.

    Its arrays have no rows, and the levels of its terms no names, but for those that run across
    all parts. No other level lies in two parts.

    Parameters
    ----------
    like : Problem
        Any of the parts, or other rows that were coded in the same way.
    engine : Engine
    """
    counts = engine.ask(_counts)
    n, *levels = reduce(add, counts)
    problem = replace(
        like,
        y=like.y[:0],
        weights=None if like.weights is None else like.weights[:0],
        constants=None if like.constants is None else like.constants[:0],
        predictors=tuple(_without_rows(each) for each in like.predictors),
        terms=tuple(_term(term, count) for term, count in zip(like.terms, levels, strict=True)),
        parts=Parts(engine, n, len(counts)),
    )
    return measured(problem)


def _without_rows(predictor: Predictor) -> Predictor:
    return replace(predictor, X=predictor.X[:0], offset=predictor.offset[:0])


def _term(term: RandomTerm, levels: int) -> RandomTerm:
    named = term.levels if term.across else Levels(levels)
    return replace(term, codes=term.codes[:0], Z=term.Z[:0], levels=named)


def _counts(part: Problem) -> Sums:
    return Sums(part.n, *(len(term.levels) for term in part.terms))


def measured(problem: Problem) -> Problem:
    """Return a problem in parts whose terms know the sizes of their columns."""
    found = total(problem, _reaches)
    return replace(
        problem,
        terms=tuple(
            replace(
                term,
                measured=ColumnSizes(
                    term.level_size * each.over(problem.n), term.level_size * each.sizes
                ),
            )
            for term, each in zip(problem.terms, found, strict=True)
        ),
    )


def _reaches(problem: Problem) -> Sums:
    return Sums(*(Reach.of(term.Z) for term in problem.terms))
