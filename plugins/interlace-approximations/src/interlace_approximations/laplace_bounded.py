"""Laplace's formula with a curvature that cannot vanish.

`F(psi) = f(u) + log|H| / 2` falls without an end where the density of a group all but loses its
mode: H = Lambda' Z' W Z Lambda + I is then next to singular, because rows whose log-density is
convex, W < 0, take back what the prior and the other rows have of curvature. With

    F+(psi) = f(u) + log|H+| / 2,    H+ = Lambda' Z' W+ Z Lambda + I,

where W+ is the non-negative part of the diagonal of W, nothing is taken back: log|H+| >= 0, and
F+ is no lower than f(u). It is F where all rows are log-concave in one predictor each. Elsewhere it
counts too much curvature, so that its minimum has somewhat smaller random effects, on the side of
F's minimum where groups have their modes: a start for a search of F, no likelihood.

The mode is that of f and moves by H; what moves log|H+| are the rows that are counted in it. A row
that begins to be counted bends the slope of F+ there and leaves no gap in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from interlace_approximations.laplace_slopes import Adjoint, Volume, laplace_value_gradient
from interlace_core.contract import Array
from interlace_core.engine import Conditional, Mode


def bounded_value_gradient(
    conditional: Conditional,
    mode: Mode,
    psi: Array,
    solve_adjoint: Callable[[Array, dict[int, Array]], Adjoint] | None = None,
) -> tuple[float, Array]:
    """Return F+ and dF+/dpsi, shape (n_psi,), at the conditional mode.

    Parameters
    ----------
    conditional, mode, psi, solve_adjoint
        As for `laplace_value_gradient`.
    """
    structure = conditional.layout.structure

    def by_curvature(sensitivity: Array, c: dict[int, Array]) -> Adjoint:
        v = structure.join(mode.factorisation.solve(structure.split(sensitivity)))
        return Adjoint(v, conditional.push(v))

    return laplace_value_gradient(
        conditional,
        mode,
        psi,
        solve_adjoint or by_curvature,
        volume=_without_convex_rows(conditional, mode),
    )


def _without_convex_rows(conditional: Conditional, mode: Mode) -> Volume:
    """Return H+, and the rows that are counted in it."""
    information = conditional.information(mode.point, concave=True)
    there = replace(mode, information=information, factorisation=conditional.factorise(information))
    counted = {
        r: np.asarray(second < 0.0)
        for r in conditional.layout.structure.random_predictors
        if (second := mode.point.derivatives.get(r, r)) is not None
    }
    return Volume(there, counted)
