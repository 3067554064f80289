"""The rank of designs whose rows lie in parts, from sums over them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from interlace.data.design import DesignEncoder
from interlace.data.encoder import Encoder
from interlace.data.moments import Moments
from interlace.data.rank import (
    EXACT,
    TOL_REL_RESIDUAL,
    Dependence,
    dependence,
    lengths_by,
    refuse_far_factors,
)
from interlace_core.contract.parts import Engine
from interlace_core.contract.problem import Problem
from interlace_core.engine.columns import products
from interlace_core.engine.gram import Triangle
from interlace_core.messages.errors import DataError
from interlace_core.records import Array, BoolArray


def without_collinear(
    engine: Engine, model: Problem, encoder: Encoder
) -> tuple[Problem, Encoder, tuple[str, ...]]:
    """Return a model without columns that are combinations of those before them, over all rows.

    The parts stay as they are.

    Returns
    -------
    Problem, Encoder
        Without them.
    tuple of str
        Their names, those of other parameters than the mean as `parameter: column`.
    """
    predictors, encoders, dropped = list(model.predictors), list(encoder.predictors), []
    for k, predictor in enumerate(predictors):
        design, p = encoders[k].design, predictor.X.shape[1]
        if design is None or not p:
            continue
        more = int(not predictor.parameter.intercept)  # thresholds are an intercept beside them
        keep = _lengths(engine, k, more) > TOL_REL_RESIDUAL
        if keep[more:].all():
            continue
        own = keep[more:]
        prefix = f"{predictor.parameter.name}: " if k else ""
        names = tuple(name for name, kept in zip(predictor.names, own, strict=True) if kept)
        dropped += [prefix + name for name in predictor.names if name not in names]
        relations = None if more else dependence(_triangle(engine, k, more), keep)
        encoders[k] = replace(encoders[k], design=_without(design, own, relations))
        predictors[k] = replace(predictor, X=predictor.X[:, own], names=names)
    model = replace(model, predictors=tuple(predictors))
    return model, replace(encoder, predictors=tuple(encoders)), tuple(dropped)


def refuse_near_collinear(engine: Engine, model: Problem) -> None:
    """Refuse effects that only the digits lost in rounding would tell apart, over all rows.

    Raises
    ------
    DataError
    """
    K = len(model.predictors)
    for t, term in enumerate(model.terms):
        if term.Z.shape[1] < 2 or term.column_levels or not term.covariance.mixes_columns:
            continue
        lengths = _lengths(engine, K + t, 0)
        near = (lengths <= TOL_REL_RESIDUAL) & (lengths > EXACT)
        if np.any(near):
            name = term.names[int(np.flatnonzero(near)[0])]
            raise DataError(
                f"random effects ({term.label}): expected columns that 16 digits tell apart, got "
                f"{name!r}, of which what it has beside those before it is less than 1e-7 of its "
                "length: subtract a constant from it, such as its mean."
            )


def refuse_far_scales(engine: Engine, model: Problem) -> None:
    """Refuse covariates of a scale without a constant that lie far from 0, over all rows.

    Raises
    ------
    DataError
    """
    for k, predictor in enumerate(model.predictors):
        parameter = predictor.parameter
        if parameter.role == "dispersion" and not parameter.intercept and predictor.X.shape[1]:
            moments = engine.total(_moments_of, k)
            refuse_far_factors(moments, predictor.names, parameter.name)


def _moments_of(part: Problem, k: int) -> Moments:
    return Moments.of(part.predictors[k].X)


def _lengths(engine: Engine, d: int, more: int) -> Array:
    n, gram = _Sum.of(engine, d, more)
    return lengths_by(gram, n, lambda: _triangle(engine, d, more))


def _triangle(engine: Engine, d: int, more: int) -> Array:
    return np.asarray(engine.total(_triangle_of, d, more).root)


class _Sum:
    """Rows that say anything, and products of columns over them."""

    def __init__(self, n: int, gram: Array) -> None:
        self.n, self.gram = n, gram

    def __add__(self, other: _Sum) -> _Sum:
        return _Sum(self.n + other.n, self.gram + other.gram)

    @classmethod
    def of(cls, engine: Engine, d: int, more: int) -> tuple[int, Array]:
        found = engine.total(_products_of, d, more)
        return found.n, found.gram


def _products_of(part: Problem, d: int, more: int) -> _Sum:
    X = _rows(part, d)
    return _Sum(len(X), products(X, bool(more)))


def _triangle_of(part: Problem, d: int, more: int) -> Triangle:
    return Triangle.of(_rows(part, d), bool(more))


def _rows(part: Problem, d: int) -> Array:
    K = len(part.predictors)
    X = part.predictors[d].X if d < K else np.asarray(part.terms[d - K].Z)
    return X if part.informative.all() else X[part.informative]


def _without(design: DesignEncoder, own: BoolArray, relations: Dependence | None) -> DesignEncoder:
    """Return the encoder of a design without some of its columns."""
    before = np.arange(len(design.names)) if design.kept is None else design.kept
    if relations is not None and design.mix is None:
        relations = replace(
            relations, kept=before[relations.kept], dropped=before[relations.dropped]
        )
    else:
        relations = None
    return replace(
        design,
        names=tuple(name for name, kept in zip(design.names, own, strict=True) if kept),
        kept=before[own] if design.mix is None else design.kept,
        mix=None if design.mix is None else design.mix[:, own],
        dependence=relations,
    )
