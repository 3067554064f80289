"""Newton steps by conjugate gradients, with a factorisation from another point to precondition.

Between nearby psi and u the Hessian changes little, so that a handful of products with it
replace its factorisation (Nocedal & Wright 2006, section 7.1, on how exact a step must be).
"""

from __future__ import annotations

import numpy as np

from interlace_core.engine.elimination.dense import MOST_PRODUCTS
from interlace_core.engine.elimination.factorisation import Factorisation
from interlace_core.engine.joint_density import Conditional, Point
from interlace_core.records import Array

TOL_REL_FAR = 1e-2
TOL_REL_NEAR = 1e-10
"""Squared residual to leave, relative to the first: far from the mode a Newton step is itself
only good to a digit or two; near it the step's own error falls with its square."""


def newton_step(
    conditional: Conditional, point: Point, gradient: Array, known: Factorisation, tol: float
) -> tuple[Array, int] | None:
    """Return -H^-1 f'(u) and the number of products that it took.

    None where H is not positive definite or `known` is too far off.

    Parameters
    ----------
    conditional, point, gradient
        f, where, and its gradient there.
    known : Factorisation
        Of H somewhere near.
    tol : float
        Squared decrement below which no further digit of the step matters.
    """
    structure = conditional.layout.structure

    def solve(x: Array) -> Array:
        return structure.join(known.solve(structure.split(x)))

    step, residual = np.zeros_like(gradient), -gradient
    solved = solve(residual)
    size = first = float(residual @ solved)
    if not np.isfinite(first) or first < 0.0:
        return None
    relative = min(max(first / max(gradient.size, 1), TOL_REL_NEAR), TOL_REL_FAR)
    direction = solved
    for products in range(MOST_PRODUCTS):
        if size <= max(relative * first, 1e-3 * tol):
            return (step if products else solved), products
        product = conditional.hessian_times(point, direction)
        curvature = float(direction @ product)
        if not curvature > 0.0:
            return None
        length = size / curvature
        step = step + length * direction
        residual = residual - length * product
        solved = solve(residual)
        before, size = size, float(residual @ solved)
        direction = solved + (size / before) * direction
    return None
