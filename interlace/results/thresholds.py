"""Thresholds between ordered categories: their place in psi, names, estimates and errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from interlace.inference.quadratic_forms import quadratic_form
from interlace_core.records import Array, IntArray

if TYPE_CHECKING:
    from interlace.results.fitted_model import FittedModel


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Thresholds as linear functions of entries of psi.

    Attributes
    ----------
    names : tuple of str, length J - 1
        Such as "1|2", between the first category and the second.
    matrix : ndarray, shape (J - 1, m)
    places : ndarray of intp, shape (m,)
        The entries of psi.
    """

    names: tuple[str, ...]
    matrix: Array
    places: IntArray

    @property
    def by_themselves(self) -> bool:
        """Whether each is an entry of psi, as flexible thresholds are."""
        return np.array_equal(self.matrix, np.eye(len(self.matrix)))

    def estimates(self, psi: Array) -> Array:
        """Return the thresholds on the latent scale, shape (J - 1,)."""
        return np.asarray(self.matrix @ psi[self.places])

    def errors(self, vcov: Array) -> Array:
        """Return their standard errors by the covariance of psi, shape (J - 1,)."""
        block = vcov[np.ix_(self.places, self.places)]
        return np.sqrt([quadratic_form(row, block) for row in self.matrix])


def thresholds_of(result: FittedModel) -> Thresholds | None:
    """Return the thresholds of a fit; None where it has none, or where they are not constants."""
    matrix = result.family.threshold_matrix()
    others = result.coefficients[1:]
    varying = {term.predictor for term in result.terms} - {0}
    if matrix is None or varying or any(each.names != ("Intercept",) for each in others):
        return None
    levels = result.settings.response_levels or tuple(map(str, range(len(matrix) + 1)))
    names = tuple(f"{low}|{high}" for low, high in zip(levels, levels[1:], strict=False))
    places = np.array([each.place.start for each in others], dtype=np.intp)
    return Thresholds(names, matrix, places)


def as_series(found: Thresholds, values: Array) -> pd.Series:
    """Return one number for each threshold by its name."""
    return pd.Series(values, index=pd.Index(found.names), dtype=float)
