"""The covariance of linear predictors given the data, with the uncertainty of all parameters.

By the law of total variance, with everything smooth at the estimates,

    Var(eta | y) = D V D' + a' Lambda H^-1 Lambda' a,    D = d eta / d psi

where D follows the mode as psi moves (Kass & Steffey 1989, equation 3.3): coefficients, theta and
the modes' own dependence on both. V is the covariance of psi; a parameter at a boundary counts as
known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interlace.inference.quadratic_forms import boundary_as_known
from interlace.prediction.design import Included, are_some
from interlace.results.fitted_model import require_training
from interlace_core.engine.joint_density import Conditional
from interlace_core.engine.layout import layout_of
from interlace_core.engine.mode import find_mode
from interlace_core.engine.structure import Factor
from interlace_core.fitting.curvature import jacobian
from interlace_core.fitting.standard import Standard, standard_of
from interlace_core.messages.errors import NumericalError
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.prediction.design import RowDesign
    from interlace.results.estimates import Estimates

REL_STEP = 1e-2
"""Half-width of the differences of the mode, in standard errors: truncation 1e-5 relative, and
the mode is exact to 1e-8."""


MANY_COLUMNS = 16
"""Columns of a group from which its rows are taken together."""


@dataclass(frozen=True)
class Spread:
    """How uncertain the linear predictors of some rows are.

    psi is that of the problem in standard units (`interlace_core.fitting.standard`): D and V of a
    covariate far from 0 would lose digits otherwise.

    Attributes
    ----------
    D : ndarray, shape (K, n, n_psi)
        Total derivatives of the predictors in psi.
    conditional : ndarray, shape (K, K, n)
        Covariance of the predictors at fixed psi, from the random effects.
    V : ndarray, shape (n_psi, n_psi)
        Covariance of psi, 0 for parameters at a boundary.
    """

    D: Array
    conditional: Array
    V: Array

    def covariance(self) -> Array:
        """Return the covariance of the predictors, shape (K, K, n)."""
        return np.asarray(np.einsum("knp,pr,lnr->kln", self.D, self.V, self.D)) + self.conditional


def spread(result: Estimates, design: RowDesign, included: Included) -> Spread:
    """Return the uncertainty of the predictors of some rows.

    Parameters
    ----------
    result : Estimates
    design : RowDesign
    included : tuple of ndarray of bool, shape (c,)
        Which of each term's random effects are part of the predictors.
    """
    K, n = design.offset.shape
    D = np.zeros((K, n, result.fit.psi.size))
    for k, (X, found) in enumerate(zip(design.X, result.coefficients, strict=True)):
        D[k][:, found.place] = X
    if are_some(included):
        _add_new_places(result, design, included, D)
    covariance = result.fit.uncertainty
    if result.training is None:
        D, V = covariance.rows(D), covariance.inner
    else:
        standard = standard_of(result.training.problem)
        D, V = standard.gradient(D), standard.covariance(covariance)
    V = boundary_as_known(V, [each.place for each in result.coefficients])
    conditional = np.zeros((K, K, n))
    if are_some(included):
        standard = standard_of(require_training(result, "predict").problem)
        loadings = _loadings(result, design, included, K)
        slopes = mode_slopes(standard, standard.psi(result.fit.psi), result.fit.mode, V)
        for group, a in loadings.items():
            slope = np.concatenate([slopes[group], np.zeros((1, *slopes[group].shape[1:]))])
            codes = _codes(result, design, group)
            for k in range(K):
                if a[k].any():
                    D[k] += np.einsum("nc,ncp->np", np.nan_to_num(a[k]), slope[codes])
        if len(result.effects) == 1:
            conditional = _one_factor(result, design, loadings, K)
        else:
            conditional = _many_factors(result, standard, design, loadings, K)
        for term, place, wanted in zip(design.terms, result.terms, included, strict=True):
            if term.unexplained is not None and wanted.all():
                known = np.where(term.codes >= 0, term.unexplained, 0.0)
                conditional[place.predictor, place.predictor] += known
    return Spread(D, conditional, V)


def _add_new_places(result: Estimates, design: RowDesign, included: Included, D: Array) -> None:
    """Add what theta does to the weights of known places at new ones, at fixed effects."""
    for term, place, wanted in zip(design.terms, result.terms, included, strict=True):
        if term.new is None or not wanted.all():
            continue
        rows, codes = term.new.rows, term.codes[term.new.rows]
        b = result.effects[place.group].values[:, place.columns]
        b = np.vstack([b, np.zeros(b.shape[1])])[codes]  # code -1 finds the zero row
        with np.errstate(invalid="ignore"):
            free = np.diagonal(result.fit.vcov)[place.theta] > 0.0
        slopes = term.new.effect_slopes(result.fit.psi[place.theta], free, b)
        D[place.predictor][rows, place.theta] += slopes


def mode_slopes(standard: Standard, psi: Array, mode: Array, V: Array) -> dict[str, Array]:
    """Return d b / d psi of each grouping factor, shape (L, c, n_psi), the mode moving along.

    L includes levels without data whose covariance with the others is known. psi and V, its
    covariance, are the standard ones; b is that of the user's columns.
    """
    layout = layout_of(standard.problem)
    structure = layout.structure

    def effects(x: Array) -> Array:
        conditional = Conditional(layout_of(standard.problem, chains=True), x)
        found = find_mode(conditional, mode)
        if found is None:
            raise NumericalError(
                "predict: the conditional mode was not found next to the estimates. Use "
                "include_re=False, or check the fit's status."
            )
        moved = layout.effects(standard.given_psi(x), found.point.u)
        return np.concatenate([b.ravel() for b in moved])

    se = np.sqrt(np.diagonal(V))
    steps = REL_STEP * np.minimum(np.where(se > 0, se, 1.0), 1.0 + np.abs(psi))
    full = jacobian(effects, psi, steps)
    full[:, se == 0.0] = 0.0
    slopes, start = {}, 0
    for factor in structure.factors:
        c, L = factor.shape
        part = full[start : start + c * L].reshape(c, L, -1)
        own, start = part.transpose(1, 0, 2), start + c * L
        slopes[factor.name] = own if factor.relation is None else factor.relation.extend(own)
    return slopes


def _loadings(result: Estimates, design: RowDesign, included: Included, K: int) -> dict[str, Array]:
    """Return what each row takes of its group's columns, by predictor, shape (K, n, c)."""
    n = design.offset.shape[1]
    loadings: dict[str, Array] = {}
    for place, term, wanted in zip(result.terms, design.terms, included, strict=True):
        size = len(result.effects[place.group].names)
        a = loadings.setdefault(place.group, np.zeros((K, n, size)))
        known = (term.codes >= 0)[:, None] & wanted
        for k, own in place.by_predictor:
            a[k][:, place.columns.start + own] += np.where(known, term.Z, 0.0)[:, own]
    return loadings


def _codes(result: Estimates, design: RowDesign, group: str) -> Array:
    index = next(i for i, place in enumerate(result.terms) if place.group == group)
    return np.asarray(design.terms[index].codes)


def _one_factor(result: Estimates, design: RowDesign, loadings: dict[str, Array], K: int) -> Array:
    """Return a' T spread T' a; T'a first, whose terms cancel where a covariate is far from 0."""
    ((group, a),) = loadings.items()
    effects, codes = result.effects[group], _codes(result, design, group)
    pulled = a @ effects.root
    if effects.spread.shape[-1] < MANY_COLUMNS:
        spread = np.concatenate([effects.spread, np.zeros((1, *effects.spread.shape[1:]))])
        blocks = spread[codes]
        return np.asarray(np.einsum("kna,nab,lnb->kln", pulled, blocks, pulled, optimize=True))
    found = np.zeros((K, K, codes.size))
    for level in np.unique(codes[codes >= 0]):  # a matrix for each row would be large
        own = pulled[:, codes == level]
        found[:, :, codes == level] = np.einsum("kna,lna->kln", own @ effects.spread[level], own)
    return found


def _many_factors(
    result: Estimates,
    standard: Standard,
    design: RowDesign,
    loadings: dict[str, Array],
    K: int,
) -> Array:
    """Return a' Lambda H^-1 Lambda' a by one solve per distinct row and predictor."""
    layout = layout_of(standard.problem)
    structure, templates = layout.structure, layout.templates(result.fit.psi)
    conditional = Conditional(layout, standard.psi(result.fit.psi))
    point = conditional.evaluate(result.fit.mode, 2)
    factorisation = conditional.factorise(conditional.information(point))
    codes = [_codes(result, design, factor.name) for factor in structure.factors]
    a = [loadings[factor.name] for factor in structure.factors]
    n = design.offset.shape[1]
    key = np.column_stack([*codes, *(each.transpose(1, 0, 2).reshape(n, -1) for each in a)])
    _, first, inverse = np.unique(key, axis=0, return_index=True, return_inverse=True)
    covariances = np.zeros((K, K, first.size))
    for position, row in enumerate(first):
        pulled, own = {}, np.zeros((K, K))
        for k in range(K):
            parts = [np.zeros(factor.shape) for factor in structure.factors]
            for i, (factor, T) in enumerate(zip(structure.factors, templates, strict=True)):
                if codes[i][row] >= 0:
                    parts[i] = _pulled(factor, T.T @ a[i][k, row], codes[i][row])
            if any(part.any() for part in parts):
                pulled[k] = parts
        for i, (factor, T) in enumerate(zip(structure.factors, templates, strict=True)):
            loading = a[i][:, row] @ T
            own += _unexplained(factor, codes[i][row]) * (loading @ loading.T)
        for k, parts in pulled.items():
            solved = factorisation.solve([part.copy() for part in parts])
            for m, others in pulled.items():
                covariances[k, m, position] = own[k, m] + sum(
                    float(np.sum(x * y)) for x, y in zip(solved, others, strict=True)
                )
    return np.asarray(covariances[:, :, np.ravel(inverse)])


def _pulled(factor: Factor, values: Array, level: int) -> Array:
    """Return what a combination of one level's effects takes of the independent ones, (c, L)."""
    if factor.relation is None:
        part = np.zeros(factor.shape)
        part[:, level] = values
        return part
    return factor.gather(np.outer(values, factor.relation.loading(level)))


def _unexplained(factor: Factor, level: int) -> float:
    """Return the share of a level's variance that no level with data tells of."""
    L = factor.rows.size
    return (
        0.0
        if factor.relation is None or level < L
        else float(factor.relation.unexplained[level - L])
    )
