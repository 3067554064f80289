"""How sure the data are of the random effects: the covariance of u at the mode, level by level."""

from __future__ import annotations

import numpy as np

from interlace_core.engine.elimination.factorisation import Factorisation
from interlace_core.engine.layout import Layout
from interlace_core.engine.structure import Factor
from interlace_core.records import Array


def covariance_by_term(layout: Layout, factorisation: Factorisation) -> list[Array]:
    """Return the diagonal blocks of H^-1, shape (c, c, L), of the factors of terms.

    Of R H^-1 R' where levels are correlated by a known matrix, R its root. Those of a chain in
    columns for its times, in time proportional to their square.

    Parameters
    ----------
    layout : Layout
        At the psi of the factorisation.
    factorisation : Factorisation
    """
    inverse, factors = factorisation.selected_inverse(), layout.structure.factors
    if layout.plain is None:
        return [inverse[f, f] for f in range(len(factors))]
    found = []
    for whole in layout.plain.structure.factors:
        pieces = [f for f, each in enumerate(factors) if _within(each, whole)]
        block = np.empty((len(whole.columns),) * 2 + (whole.rows.size,))
        for f in pieces:
            for g in pieces:
                if f > g:
                    continue
                rows, columns = (_columns(factors[k], whole) for k in (f, g))
                if factors[f].chain is not None:
                    own = factorisation.chain_covariance(g)
                else:
                    own = inverse[f, g]
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
