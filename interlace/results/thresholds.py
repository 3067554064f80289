"""Thresholds between ordered categories: their place in psi, names, estimates and errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from interlace.data.cuts import cut_names
from interlace.data.factors import INTERCEPT
from interlace_core.records import Array, BoolArray, IntArray

if TYPE_CHECKING:
    from interlace.results.fitted_model import FittedModel
    from interlace_core.fitting.fitted import Fit


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Thresholds, and effects on them, as linear functions of entries of psi.

    Attributes
    ----------
    cuts : tuple of str, length J - 1
        Such as "1|2", between the first category and the second.
    columns : tuple of str, length p
        Of the formula that thresholds have in common; "Intercept" alone where they are constants.
    names : tuple of str, length p (J - 1)
        Of thresholds and effects, by column: "1|2", and "1|2.x" for the effect of x on it.
    matrix : ndarray, shape (p (J - 1), p m)
    constants : ndarray, shape (p (J - 1),)
        What is added: the values of thresholds that are held, whose rows of the matrix are 0.
    free : ndarray of bool, shape (p (J - 1),)
        Which are not held.
    places : ndarray of intp, shape (p m,)
        The entries of psi.
    """

    cuts: tuple[str, ...]
    columns: tuple[str, ...]
    names: tuple[str, ...]
    matrix: Array
    constants: Array
    free: BoolArray
    places: IntArray

    @property
    def by_themselves(self) -> bool:
        """Whether each is an entry of psi or held, as flexible thresholds are."""
        free = self.matrix[self.free]
        return np.array_equal(free, np.eye(len(free)))

    @property
    def free_names(self) -> tuple[str, ...]:
        """Names of those that are not held."""
        return tuple(name for name, free in zip(self.names, self.free, strict=True) if free)

    @property
    def held(self) -> dict[str, float]:
        """Values of those that are held, by their names."""
        pairs = zip(self.names, self.constants.tolist(), self.free, strict=True)
        return {name: value for name, value, free in pairs if not free}

    def estimates(self, psi: Array) -> Array:
        """Return them on the latent scale, shape (p (J - 1),)."""
        return np.asarray(self.constants + self.matrix @ psi[self.places])

    def errors(self, fit: Fit) -> Array:
        """Return their standard errors, shape (p (J - 1),); 0 of those that are held."""
        rows = np.zeros((len(self.matrix), fit.psi.size))
        rows[:, self.places] = self.matrix
        return np.sqrt([fit.variance(row) for row in rows])

    def table(self, values: Array) -> pd.DataFrame:
        """Return one number for each threshold and column, shape (J - 1, p)."""
        shaped = values.reshape(len(self.columns), len(self.cuts)).T
        return pd.DataFrame(shaped, index=pd.Index(self.cuts), columns=list(self.columns))


def threshold_predictors(result: FittedModel) -> range:
    """Return which predictors make the thresholds of a fit, by one formula; none if none do so."""
    matrix = result.family.threshold_matrix()
    own = range(1, 1 if matrix is None else 1 + matrix.shape[1])
    one = len({_columns_of(result, k)[0] for k in own}) <= 1
    return own if one else range(0)


def thresholds_of(result: FittedModel) -> Thresholds | None:
    """Return the thresholds of a fit; None where it has none, or where their formulas differ."""
    matrix = result.family.threshold_matrix()
    own = [result.coefficients[k] for k in threshold_predictors(result)]
    if matrix is None or len(own) != matrix.shape[1]:
        return None
    known = [_columns_of(result, k) for k in threshold_predictors(result)]
    columns = known[0][0] if known else (INTERCEPT,)
    values = np.array([value for _, value in known])
    held = ~np.isnan(values)
    cuts = cut_names(result.settings.response_levels, len(matrix))
    return Thresholds(
        cuts=cuts,
        columns=columns,
        names=tuple(
            cut if column == INTERCEPT else f"{cut}.{column}" for column in columns for cut in cuts
        ),
        matrix=np.asarray(np.kron(np.eye(len(columns)), matrix[:, ~held]), dtype=np.float64),
        constants=np.tile(matrix[:, held] @ values[held], len(columns)),
        free=np.tile(matrix[:, ~held].any(axis=1) | ~matrix[:, held].any(axis=1), len(columns)),
        places=np.array(
            [each.place.start + j for j in range(len(columns)) for each in own if each.names],
            dtype=np.intp,
        ),
    )


def _columns_of(result: FittedModel, k: int) -> tuple[tuple[str, ...], float]:
    """Return the columns of a threshold's formula, and the value of a constant held, else NaN."""
    names, coder = result.coefficients[k].names, result.encoder.predictors[k]
    if not names and coder.known is not None and coder.known.names == (INTERCEPT,):
        return (INTERCEPT,), float(coder.known_values[0])
    return names, np.nan
