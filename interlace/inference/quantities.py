"""What intervals are wanted of: coefficients, standard deviations, correlations, family parameters.

Each quantity is a smooth function of psi with its gradient, and knows the scale on which its
estimate is nearest to normal: the log for a standard deviation, Fisher's z for a correlation,
the linear predictor for a family parameter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from interlace_core.calculus.jets.density import differentiate
from interlace_core.calculus.links import Link
from interlace_core.contract.covariance import Covariance, natural_slopes
from interlace_core.contract.family import Family
from interlace_core.records import Array, IntArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantity(ABC):
    """A function of psi with a label.

    Attributes
    ----------
    label : str
    kind : str
        "coefficient", "threshold", "sd", "correlation", "structure" or "family".
    """

    label: str
    kind: str

    @abstractmethod
    def value(self, psi: Array) -> float:
        """Return it on its natural scale."""

    @abstractmethod
    def gradient(self, psi: Array) -> Array:
        """Return its derivative in psi, shape (n_psi,)."""

    def length_of(self, psi: Array) -> IntArray | None:
        """Return the entries of psi that it is proportional to together, and depends on alone.

        None where it is no such length.
        """
        return None

    def working(self, value: float) -> float:
        """Return a value on the scale where the estimate is nearest to normal."""
        return value

    def natural(self, working: float) -> float:
        """Return the inverse of `working`."""
        return working

    def working_slope(self, value: float) -> float:
        """Return d working / d value."""
        return 1.0

    def working_at(self, psi: Array) -> float:
        """Return it on the working scale."""
        return self.working(self.value(psi))

    def working_gradient(self, psi: Array) -> Array:
        """Return the derivative of `working_at` in psi, shape (n_psi,)."""
        with np.errstate(invalid="ignore"):  # at an end of its scale: 0 times infinity
            return self.gradient(psi) * self.working_slope(self.value(psi))

    @property
    def is_plane(self) -> bool:
        """Whether it is a function of one linear form of psi; by default it is not said to be."""
        return False

    @property
    def domain(self) -> tuple[float, float]:
        """Closed interval of its values."""
        return -np.inf, np.inf


@dataclass(frozen=True, eq=False, kw_only=True)
class Coordinate(Quantity):
    """One entry of psi, by itself or through the inverse of a link."""

    index: int
    link: Link | None = None

    def value(self, psi: Array) -> float:
        """Return the entry, on the link's natural scale if it has one."""
        eta = np.float64(psi[self.index])
        return float(eta if self.link is None else self.link.mu(eta))

    def gradient(self, psi: Array) -> Array:
        """Return the inverse link's slope in the entry's place."""
        slope = np.zeros(psi.size)
        eta = np.float64(psi[self.index])
        slope[self.index] = 1.0 if self.link is None else float(self.link.derivatives(eta)[1])
        return slope

    @property
    def is_plane(self) -> bool:
        """It is one of an entry of psi."""
        return True

    def working(self, value: float) -> float:
        """Return the entry of psi."""
        if self.link is None:
            return value
        with np.errstate(divide="ignore"):  # the end of the scale is at infinity
            return float(self.link.eta(np.float64(value)))

    def natural(self, working: float) -> float:
        """Return the natural value."""
        return working if self.link is None else float(self.link.mu(np.float64(working)))

    def working_slope(self, value: float) -> float:
        """Return d eta / d mu."""
        if self.link is None:
            return 1.0
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            slope = self.link.derivatives(np.float64(self.working(value)))[1]
            return float(1.0 / np.float64(slope))

    def working_at(self, psi: Array) -> float:
        """Return the entry of psi: a value next to the end of the link's scale may not tell it."""
        return float(psi[self.index])

    def working_gradient(self, psi: Array) -> Array:
        """Return 1 in the entry's place."""
        return np.asarray(np.arange(psi.size) == self.index, dtype=np.float64)


@dataclass(frozen=True, eq=False, kw_only=True)
class LinearCombination(Quantity):
    """A sum of entries of psi, such as a threshold that is a centre and a distance from it.

    Attributes
    ----------
    weights : ndarray, shape (n_psi,)
    """

    weights: Array

    def value(self, psi: Array) -> float:
        """Return the sum."""
        return float(self.weights @ psi)

    def gradient(self, psi: Array) -> Array:
        """Return the weights."""
        return self.weights

    @property
    def is_plane(self) -> bool:
        """It is such a form."""
        return True


@dataclass(frozen=True, eq=False, kw_only=True)
class FamilyValue(Quantity):
    """A natural parameter that depends on several constant predictors, such as one share of three.

    Attributes
    ----------
    family : Family
    parameter : int
    constant : dict from predictor to entry of psi
    """

    family: Family
    parameter: int
    constant: Mapping[int, int]

    def value(self, psi: Array) -> float:
        """Return the parameter."""
        return self._at(psi)[0]

    def gradient(self, psi: Array) -> Array:
        """Return its exact derivative, through truncated Taylor numbers."""
        return self._at(psi)[1]

    def _at(self, psi: Array) -> tuple[float, Array]:
        eta = []
        for j, parameter in enumerate(self.family.parameters):
            given = psi[self.constant[j]] if j in self.constant else np.nan
            eta.append(np.array([given if parameter.fixed is None else parameter.fixed_eta()]))
        family, k = self.family, self.parameter
        found = differentiate(lambda jets: family.natural(jets)[k], eta, 1, tuple(self.constant))
        slope = np.zeros(psi.size)
        for j, place in self.constant.items():
            partial = found.get(j)
            slope[place] = 0.0 if partial is None else float(partial[0])
        return float(found.value[0]), slope


@dataclass(frozen=True, eq=False, kw_only=True)
class _OfTemplate(Quantity):
    covariance: Covariance
    place: slice

    def _template(self, psi: Array) -> Array:
        return self.covariance.template(psi[self.place])

    def _pulled(self, psi: Array, dT: Array) -> Array:
        slope = np.zeros(psi.size)
        slope[self.place] = self.covariance.pullback(psi[self.place], dT)
        return slope


@dataclass(frozen=True, eq=False, kw_only=True)
class StandardDeviation(_OfTemplate):
    """The standard deviation of one column of a term: the length of a row of T."""

    row: int

    def value(self, psi: Array) -> float:
        """Return the standard deviation, on the scale of eta."""
        return float(np.linalg.norm(self._template(psi)[self.row]))

    def gradient(self, psi: Array) -> Array:
        """Return its derivative; at 0, where it has none, that along the diagonal of T."""
        T = self._template(psi)
        dT, sd = np.zeros_like(T), self.value(psi)
        dT[self.row] = T[self.row] / sd if sd > 0 else np.eye(len(T))[self.row]
        return self._pulled(psi, dT)

    def length_of(self, psi: Array) -> IntArray | None:
        """Return the entries of its row, where the structure has such."""
        somewhere = psi.copy()  # where no entry is 0 by chance
        size = float(np.max(np.abs(psi[self.place]), initial=0.0)) or 1.0
        spread = np.linspace(1.0, 2.0, self.place.stop - self.place.start)
        somewhere[self.place] = np.where(psi[self.place] == 0.0, size, psi[self.place]) * spread
        entries = np.flatnonzero(self.gradient(somewhere))
        twice, only = somewhere.copy(), somewhere.copy()
        twice[entries] *= 2.0
        only[np.setdiff1d(np.arange(psi.size), entries)] *= 2.0
        lengths = np.array([self.value(each) for each in (somewhere, twice, only)])
        ratios = lengths / lengths[0]
        return entries if np.allclose(ratios, [1.0, 2.0, 1.0], rtol=1e-12) else None

    def working(self, value: float) -> float:
        """Return the log."""
        return float(np.log(value)) if value > 0 else -np.inf

    def natural(self, working: float) -> float:
        """Return the exponential."""
        return float(np.exp(working))

    def working_slope(self, value: float) -> float:
        """Return 1 / value."""
        return 1.0 / value if value > 0 else np.inf

    @property
    def domain(self) -> tuple[float, float]:
        """From 0."""
        return 0.0, np.inf


@dataclass(frozen=True, eq=False, kw_only=True)
class StructureNumber(Quantity):
    """A number that a covariance structure prints, such as a range; see `Covariance.natural`.

    Attributes
    ----------
    name : str
        As the structure gives it.
    covariance : Covariance
    place : slice
        Of its theta in psi.
    number : int
        Which of them.
    scale : str
        What it is, as `Covariance.kinds` says.
    """

    name: str
    covariance: Covariance
    place: slice
    number: int
    scale: str

    def value(self, psi: Array) -> float:
        """Return the number."""
        return float(self.covariance.natural(psi[self.place])[self.number])

    def gradient(self, psi: Array) -> Array:
        """Return its derivative, by differences."""
        slope = np.zeros(psi.size)
        slope[self.place] = natural_slopes(self.covariance, psi[self.place])[self.number]
        return slope

    def working(self, value: float) -> float:
        """Return the log, Fisher's z, or the number."""
        with np.errstate(divide="ignore"):
            if self.scale == "correlation":
                return float(np.arctanh(np.clip(value, -1.0, 1.0)))
            return value if self.scale == "real" else float(np.log(max(value, 0.0)))

    def natural(self, working: float) -> float:
        """Return the inverse."""
        if self.scale == "correlation":
            return float(np.tanh(working))
        return working if self.scale == "real" else float(np.exp(working))

    def working_slope(self, value: float) -> float:
        """Return the slope of `working`."""
        with np.errstate(divide="ignore"):
            if self.scale == "correlation":
                return float(1.0 / np.float64(1.0 - value * value))
            return 1.0 if self.scale == "real" else float(1.0 / np.float64(value))

    @property
    def domain(self) -> tuple[float, float]:
        """Of its kind."""
        if self.scale == "correlation":
            return -1.0, 1.0
        return (-np.inf, np.inf) if self.scale == "real" else (0.0, np.inf)


@dataclass(frozen=True, eq=False, kw_only=True)
class Correlation(_OfTemplate):
    """The correlation of two columns of a term: the cosine between rows of T."""

    first: int
    second: int

    def value(self, psi: Array) -> float:
        """Return the correlation; NaN where a standard deviation is 0."""
        a, b, _, _ = self._rows(psi)
        return float(a @ b)

    def gradient(self, psi: Array) -> Array:
        """Return its derivative."""
        a, b, la, lb = self._rows(psi)
        rho = a @ b
        dT = np.zeros((a.size, a.size))
        with np.errstate(divide="ignore", invalid="ignore"):
            dT[self.first] = (b - rho * a) / la
            dT[self.second] = (a - rho * b) / lb
        return self._pulled(psi, dT)

    def working(self, value: float) -> float:
        """Return Fisher's z."""
        with np.errstate(divide="ignore"):
            return float(np.arctanh(np.clip(value, -1.0, 1.0)))

    def natural(self, working: float) -> float:
        """Return the hyperbolic tangent."""
        return float(np.tanh(working))

    def working_slope(self, value: float) -> float:
        """Return 1 / (1 - rho^2)."""
        with np.errstate(divide="ignore"):
            return float(1.0 / np.float64(1.0 - value * value))

    @property
    def domain(self) -> tuple[float, float]:
        """From -1 to 1."""
        return -1.0, 1.0

    def _rows(self, psi: Array) -> tuple[Array, Array, float, float]:
        T = self._template(psi)
        a, b = T[self.first], T[self.second]
        la, lb = float(np.linalg.norm(a)), float(np.linalg.norm(b))
        with np.errstate(divide="ignore", invalid="ignore"):
            return a / la, b / lb, la, lb
