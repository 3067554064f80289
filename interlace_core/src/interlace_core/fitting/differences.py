"""Steps of the differences that make Hessians, and those that were taken with a search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace_core.records import Array

CENTRAL_STEP = 2e-3
"""Half-width of the Hessian's differences, in units of one standard error: its truncation error
is about 1e-6 relative, and rounding (gradients are exact to about 1e-9) stays below that."""

ONE_SIDED_STEP = 1e-4
"""Length of one-sided differences, in the same units: half the calls, and a truncation error of
this over 2 times the objective's skewness, 1e-5 relative. They serve where curvature is plain."""


@dataclass(frozen=True)
class Differences:
    """Differences of [gradient in z, profiled entries], taken in one go with a search.

    Attributes
    ----------
    psi : ndarray, shape (n_psi,)
        Where.
    B : ndarray, shape (n_psi, m)
        Of the coordinates, psi = origin + B z.
    jacobian : ndarray, shape (m + n_profiled, m)
    central : bool
        Whether to both sides by `CENTRAL_STEP`, or to one by `ONE_SIDED_STEP`.
    """

    psi: Array
    B: Array
    jacobian: Array
    central: bool

    def at(self, psi: Array, B: Array, central: bool) -> Array | None:
        """Return the Jacobian if it is that at psi, in these coordinates and so taken; else None.

        Parameters
        ----------
        psi, B
        central : bool
        """
        same = self.central is central and self.B is B and np.array_equal(self.psi, psi)
        return self.jacobian if same else None
