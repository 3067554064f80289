"""The contract of a residual correlation structure: how rows of one group correlate.

A covariance plugin offers one by its class method `residuals`; it is then found under the same
name, `fit(..., correlation="ar1(time | subject)")`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from interlace_core.contract.family import Parameter
from interlace_core.records import Array


class ResidualCorrelation(ABC):
    """The correlation matrix of the residuals within a group, as a function of their times."""

    name: ClassVar[str]
    contract_version: ClassVar[int] = 1
    whole_times: ClassVar[bool] = False
    """Whether times must be whole numbers."""
    stationary: ClassVar[bool] = True
    """Whether only differences of times matter: times then count from the group's first."""

    @abstractmethod
    def parameters(self, largest: int) -> tuple[Parameter, ...]:
        """Return its parameters, such as one correlation, where groups have up to `largest` rows.

        An estimate starts where the parameter's predictor is `start`.
        """

    @abstractmethod
    def start(self, largest: int) -> Array:
        """Return where a search begins, on the scale of the parameters' predictors."""

    @abstractmethod
    def matrix(self, times: Array, values: Sequence[float]) -> Array:
        """Return the correlation matrices of some groups of equal size, shape (P, m, m).

        Called once per evaluation of the likelihood and size of group.

        Parameters
        ----------
        times : ndarray, shape (P, m)
            Distinct within a group.
        values : sequence of float
            The parameters on their natural scale.
        """

    @abstractmethod
    def slopes(self, times: Array, values: Sequence[float]) -> Array:
        """Return the derivative of `matrix` in each parameter, shape (k, P, m, m)."""
