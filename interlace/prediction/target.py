"""What is predicted: targets on their scale, and rows' predictors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interlace.data.rows import value_or_array
from interlace.prediction.average import prior_covariance
from interlace.prediction.design import (
    Included,
    RowDesign,
    are_some,
    level_scales,
    predictors,
    unrelated_scale,
    weighted_effects,
)
from interlace.results.fitted_model import require_training
from interlace_core.calculus.links import LINKS, Link
from interlace_core.contract.covariance import column_sds
from interlace_core.contract.family import Family
from interlace_core.contract.incidence import Covariates, Incidence
from interlace_core.messages.checks import require_type
from interlace_core.messages.errors import OptionError
from interlace_core.messages.names import did_you_mean
from interlace_core.records import Array, BoolArray

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates


_OF_THE_FIT = object()
"""Stands for the trials of the fit's own rows."""


@dataclass(frozen=True)
class Target:
    """What is predicted.

    Attributes
    ----------
    transform : callable
        From K linear predictors to the prediction, shape (n,).
    link : Link or None
        On whose scale intervals are made; None for a linear predictor.
    over_all : bool
        Whether the prediction averages over all random effects.
    """

    transform: Callable[[list[Array]], Array]
    link: Link | None
    over_all: bool = False


@dataclass(frozen=True)
class Predicted:
    """Linear predictors of some rows, and what of them is not known.

    Attributes
    ----------
    eta : ndarray, shape (K, n)
    included : tuple of ndarray of bool, shape (c,)
        The columns of each term whose random effects are in eta.
    unknown : tuple of ndarray of bool, shape (n, c)
        Which of each term's effects are not known in a row: left out, or of a new level.
    variance : ndarray, shape (K, K, n)
        Prior covariance of the unknown effects.
    averaged : ndarray, shape (K, K, n), or None
        The part of it that the prediction averages over.
    """

    eta: Array
    included: Included
    unknown: tuple[BoolArray, ...]
    variance: Array
    averaged: Array | None

    @classmethod
    def of(
        cls,
        result: Estimates,
        design: RowDesign,
        included: Included,
        target: Target,
        policy: str,
        seed: int | None,
    ) -> Predicted:
        """Return the predictors of some rows under a policy for new levels."""
        if not design.terms:
            K, n = design.offset.shape
            eta = predictors(result, design, included)
            return cls(eta, included, (), np.zeros((K, K, n)), None)
        unseen = [term.codes[:, None] < 0 for term in design.terms]
        drawn: Sequence[dict[int, Array]] = ()
        if policy == "sample" and are_some(included):
            drawn = _draw_new(result, design, included, seed)
            unseen = [np.zeros_like(each) for each in unseen]
        unknown = tuple(u | ~w for u, w in zip(unseen, included, strict=True))
        variance = unknown_covariance(result, design, unknown)
        averaged = None
        if target.over_all:
            averaged = variance
        elif policy == "marginal" and are_some(included):
            new = [u & w for u, w in zip(unseen, included, strict=True)]
            averaged = unknown_covariance(result, design, new)
        eta = predictors(result, design, included, drawn)
        return cls(eta, included, unknown, variance, averaged)


def _root(result: Estimates, t: int, Z: Covariates, unknown: BoolArray) -> Array:
    """Return T of a term; of rows at points the standard deviation at each, shape (c,)."""
    place = result.terms[t]
    if isinstance(Z, Incidence):  # as rows of the fit are
        term = require_training(result, "predict").problem.terms[t]
        return column_sds(term.covariance, result.fit.psi[place.theta])
    if not unknown.any():  # of many times a large matrix, and nobody asks
        return np.zeros((len(place.names), 0))
    return np.asarray(result.effects[place.group].root[place.columns])


def unknown_covariance(result: Estimates, design: RowDesign, unknown: Sequence[BoolArray]) -> Array:
    """Return the prior covariance of what is unknown in the predictors, shape (K, K, n)."""
    Z = [term.Z for term in design.terms]
    roots = [_root(result, t, *each) for t, each in enumerate(zip(Z, unknown, strict=True))]
    at = [term.by_predictor for term in result.terms]
    scales = level_scales(result, design)
    covariance = prior_covariance(roots, at, Z, unknown, design.offset.shape, scales)
    for place, term, which in zip(result.terms, design.terms, unknown, strict=True):
        if term.unexplained is not None:
            own = np.where(np.all(which, axis=1), term.unexplained, 0.0)
            covariance[place.predictor, place.predictor] += own
    return covariance


def target_of(result: Estimates, type: str, trials: Any = _OF_THE_FIT) -> Target:
    """Return what `type` names.

    Parameters
    ----------
    result : Estimates
    type : str
    trials : array-like or None, optional
        Of each row predicted, where the rows are not those of the fit; None if they are not known.

    Raises
    ------
    OptionError
        If it names nothing of this model.
    """
    require_type(type, str, "predict: type", "a text")
    family = result.family
    first = result.coefficients[0].parameter.link
    if type in ("response", "population"):
        mean = _of_rows(family, trials, lambda bound, eta: bound.mean(eta))
        return Target(mean, first, type == "population")
    if type == "mean":
        inside = _of_rows(family, trials, lambda bound, eta: bound.conditional_mean(eta))
        return Target(inside, first)
    if type == "link":
        return Target(lambda eta: eta[0], None)
    choices = ["response", "link", "mean", "population"]
    for k, found in enumerate(result.coefficients):
        if type in (found.parameter.name, found.parameter.role):
            return Target(_parameter(family, k), found.parameter.link)
        choices += [found.parameter.name, found.parameter.role]
    hint = did_you_mean(type, choices)
    raise OptionError(
        f"predict: type must be one of {', '.join(map(repr, dict.fromkeys(choices)))}, "
        f"got {type!r}.{hint}"
    )


def _of_rows(
    family: Family, trials: Any, answer: Callable[[Family, list[Array]], Array]
) -> Callable[[list[Array]], Array]:
    """Return what the family answers for rows with their own numbers of trials."""
    if trials is _OF_THE_FIT or "pair" not in family.response_forms:
        return lambda eta: answer(family, eta)

    def bound(eta: list[Array]) -> Array:
        n = np.shape(eta[0])[-1]
        known = np.full(n, np.nan)
        if trials is not None:
            known = value_or_array(trials, "predict: weights", pd.RangeIndex(n))
        return answer(family.bind_part(np.stack([np.zeros(n), known], axis=-1)), eta)

    return bound


def category_targets(result: Estimates, type: str) -> list[Target]:
    """Return what "prob", "cum.prob" or "population" predicts of each ordered category."""
    family: Any = result.family
    levels = result.settings.response_levels

    def probability(j: int) -> Callable[[list[Array]], Array]:
        if type != "cum.prob":
            return lambda eta: np.asarray(family.probabilities(eta)[j])
        if j == len(levels) - 1:
            return lambda eta: 1.0 + 0.0 * eta[0]
        return lambda eta: np.asarray(family.cumulative(eta)[j])

    return [
        Target(probability(j), LINKS["logit"], type == "population") for j in range(len(levels))
    ]


def _parameter(family: Family, k: int) -> Callable[[list[Array]], Array]:
    return lambda eta: np.asarray(family.natural(eta)[k])


def _draw_new(
    result: Estimates, design: RowDesign, included: Included, seed: int | None
) -> list[dict[int, Array]]:
    """Return Z b of each term, by predictor, with one draw of b per new level, shape (n,) each.

    Rows of one new group share their draw.
    """
    rng = np.random.default_rng(seed)
    effects: dict[str, Array] = {}
    drawn = []
    for place, term, wanted in zip(result.terms, design.terms, included, strict=True):
        if place.group not in effects:
            root = result.effects[place.group].root
            count = int(term.groups.max(initial=-1)) + 1
            scale = unrelated_scale(result.effects[place.group])
            effects[place.group] = np.sqrt(scale) * rng.standard_normal((count, len(root))) @ root.T
        b = np.vstack([effects[place.group], np.zeros(len(result.effects[place.group].names))])
        own = b[:, place.columns]
        found = {
            k: weighted_effects(term.Z[:, j], own[:, j], term.groups, wanted[j])
            for k, j in place.by_predictor
        }
        if term.new is not None and term.unexplained is not None:
            # rows of one group at one place share theirs
            key = np.stack([term.groups[term.new.rows], term.new.at])
            _, cell = np.unique(key, axis=1, return_inverse=True)
            e = rng.standard_normal(int(cell.max(initial=0)) + 1)[np.ravel(cell)]
            found[place.predictor][term.new.rows] += np.sqrt(term.unexplained[term.new.rows]) * e
        drawn.append(found)
    return drawn
