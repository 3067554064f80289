"""How sure the data are of the random effects: their covariance at the mode, level by level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlace_core.contract.problem import Problem
from interlace_core.engine.elimination.factorisation import Factorisation
from interlace_core.engine.elimination.smallblocks import NotPositiveDefiniteError, sandwich
from interlace_core.engine.joint_density import Conditional
from interlace_core.engine.layout import Layout, layout_of
from interlace_core.engine.structure import Blocks, Factor, Structure
from interlace_core.records import Array


def effects_covariance(problem: Problem, psi: Array, u: Array) -> list[Array] | None:
    """Return the covariance of the effects b given the data at the mode u, level by level.

    Parameters
    ----------
    problem : Problem
    psi : ndarray, shape (n_psi,)
    u : ndarray, shape (q,)

    Returns
    -------
    list of ndarray, shape (c, c, L), one per grouping factor, or None
        Of the columns as the user wrote them, in the order of `layout_of(problem)`. None where H
        is not positive definite.
    """
    conditional = Conditional(layout_of(problem, chains=True), psi)
    point = conditional.evaluate(u, 3)
    try:
        factorisation = conditional.factorise(conditional.information(point))
    except NotPositiveDefiniteError:
        return None
    return covariance_by_term(conditional.layout, factorisation, problem.given_psi(psi))


def covariance_by_term(layout: Layout, factorisation: Factorisation, psi: Array) -> list[Array]:
    """Return the same from a factorised H; a chain's in columns for its times.

    Parameters
    ----------
    layout : Layout
        At the psi of the factorisation.
    factorisation : Factorisation
    psi : ndarray, shape (n_psi,)
        In the units of the columns that the effects are wanted of.
    """
    inverse, T = factorisation.selected_inverse(), layout.templates(psi)
    structure = layout.structure
    if layout.plain is None:
        return [sandwich(t.T, inverse[f, f], t.T) for f, t in enumerate(T)]
    found = []
    for whole in layout.plain.structure.factors:
        pieces = [f for f, each in enumerate(structure.factors) if _within(each, whole)]
        c, L = whole.shape
        block = np.empty((c, c, L))
        for f in pieces:
            for g in pieces:
                if f <= g:
                    rows, columns = (_columns(structure.factors[k], whole) for k in (f, g))
                    own = _block(structure, factorisation, inverse, T, f, g)
                    block[rows, columns] = own
                    block[columns, rows] = own.transpose(1, 0, 2)
        found.append(block)
    return found


def _within(factor: Factor, whole: Factor) -> bool:
    return bool(whole.place.start <= factor.place.start and factor.place.stop <= whole.place.stop)


def _columns(factor: Factor, whole: Factor) -> slice:
    """Return the columns of a factor of terms that one of its parts stands for."""
    L, start = whole.rows.size, whole.place.start
    return slice((factor.place.start - start) // L, (factor.place.stop - start) // L)


def _block(
    structure: Structure,
    factorisation: Factorisation,
    inverse: Blocks,
    T: Sequence[Array],
    f: int,
    g: int,
) -> Array:
    """Return the covariance of the effects of two parts of one factor, (c, c', L)."""
    first, second = structure.factors[f].chain, structure.factors[g].chain
    if first is not None and second is not None:
        return np.asarray(T[f][0, 0] ** 2 * factorisation.chain_covariance())
    if first is not None:
        N = inverse[f, g][0].reshape(-1, *first.shape)  # (c', times, L)
        return np.asarray(T[f][0, 0] * np.einsum("atl,ba->tbl", N, T[g]))
    if second is not None:  # each group at one time alone
        times, L = second.shape
        own = np.zeros((len(T[f]), times * L, L))
        pair = structure.pairs[f, g]
        own[:, pair.second, pair.first] = sandwich(T[f].T, inverse[f, g], T[g].T)[:, 0]
        return np.array(np.einsum("atll->atl", own.reshape(len(T[f]), times, L, L)))
    return sandwich(T[f].T, inverse[f, g], T[g].T)
