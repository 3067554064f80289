"""What a fit needs beside the objective, from an approximation that has it without all the rows.

By default the core finds a start, scales and the spread of the random effects by passes over the
rows, with the family's derivatives. An approximation that works on summaries of the data can have
them for next to nothing: `Approximation.shortcuts` then returns an object of this class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from interlace_core.records import Array


@dataclass(frozen=True)
class Beginning:
    """The model without random effects, where a fit begins.

    Attributes
    ----------
    beta : ndarray, shape (n_beta,)
        Coefficients of all predictors, near their estimates without random effects.
    units : ndarray, shape (K,)
        Natural size of an effect on each linear predictor: 1 on logarithmic and probability
        scales; where eta is in units of the data, the residual standard deviation.
    """

    beta: Array
    units: Array


@dataclass(frozen=True)
class Information:
    """How much the data tell about coefficients and about single random effects.

    Attributes
    ----------
    coefficients : ndarray, shape (n_beta, n_beta)
        Information about the coefficients with the random effects integrated out.
    effects : list of ndarray, shape (c, L), one per grouping factor
        That about each random effect on the scale of eta, all others known: the diagonal of
        Z'WZ. Factors are in the order of `problem.layout.structure.factors`.
    """

    coefficients: Array
    effects: list[Array]


class Shortcuts(ABC):
    """Start, scales and the spread of the random effects of one problem."""

    @abstractmethod
    def begin(self) -> Beginning:
        """Return the model without random effects; called once or twice per fit."""

    @abstractmethod
    def information(self, psi: Array) -> Information:
        """Return the information at psi, which scales the search; called once per fit, there."""

    @abstractmethod
    def effects_covariance(self, psi: Array) -> list[Array] | None:
        """Return the covariance of u given the data at the optimum, level by level.

        Of the levels' effects before the template where levels are correlated.

        Called once per fit.

        Returns
        -------
        list of ndarray, shape (c, c, L), one per grouping factor, or None
            In the order of `problem.layout.structure.factors`. None where H, the inverse of the
            covariance of all u, is not positive definite.
        """
