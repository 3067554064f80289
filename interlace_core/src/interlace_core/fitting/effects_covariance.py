"""The covariance of the random effects given data and parameters, by factor and level."""

from __future__ import annotations

from interlace_core.contract.problem import Problem
from interlace_core.engine.elimination.smallblocks import NotPositiveDefiniteError
from interlace_core.engine.joint_density import Conditional
from interlace_core.engine.layout import layout_of
from interlace_core.records import Array


def covariance_of_rows(problem: Problem, psi: Array, u: Array) -> list[Array] | None:
    """Return the diagonal blocks of H^-1 at the mode u, (c, c, L) each; None if it has none.

    Of R H^-1 R' where levels are correlated, R the root of their covariance.
    """
    conditional = Conditional(layout_of(problem), psi)
    point = conditional.evaluate(u, 3)
    try:
        inverse = conditional.factorise(conditional.information(point)).selected_inverse()
    except NotPositiveDefiniteError:
        return None
    return [inverse[f, f] for f in range(len(layout_of(problem).structure.factors))]
