"""Densities that priors can have, each with its logarithm's slope.

Those of coefficients are on the whole line, those of standard deviations on the positive half, and
that of Lewandowski, Kurowicka & Joe (2009) on correlation matrices. Constants are not left out, so
that a penalty is minus the logarithm of a density.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from math import inf, log, pi
from typing import ClassVar, Literal

import numpy as np
from scipy.special import betaln, gammaln

from interlace.entrances import entrance
from interlace_core.messages.checks import is_real, shown
from interlace_core.messages.errors import OptionError

LARGE_SHAPE = 100.0
"""Of a gamma density, from which it is written about its mean."""

Support = Literal["real", "positive", "correlation"]

ON = {
    "real": "numbers on the whole line: normal, student_t or cauchy",
    "positive": "positive numbers: exponential, gamma, half_normal, half_t or half_cauchy",
    "correlation": "correlations: lkj",
}
"""What has each support, in words."""


class Prior(ABC):
    """A prior density."""

    name: ClassVar[str]
    support: ClassVar[Support]
    log_concave: ClassVar[bool] = True
    """Whether the density's logarithm is concave: it adds no mode to a posterior that has one."""

    centre: float = 0.0
    width: float = 1.0
    """Where the density is highest, and how wide it is; asked for where it is not log-concave."""

    @abstractmethod
    def log_density(self, value: float) -> tuple[float, float]:
        """Return the log-density at a value, and its derivative there."""

    @abstractmethod
    def second(self, value: float) -> float:
        """Return the second derivative of the log-density at a value."""

    def __str__(self) -> str:
        """Return it as it is written in a call."""
        numbers = ", ".join(f"{getattr(self, each.name):g}" for each in fields(self))  # type: ignore[arg-type]
        return f"{self.name}({numbers})"


@dataclass(frozen=True)
class Normal(Prior):
    """A normal prior; see `normal`."""

    name = "normal"
    support = "real"

    loc: float
    scale: float

    def log_density(self, value: float) -> tuple[float, float]:
        """Return the normal log-density, and its derivative."""
        z = (value - self.loc) / self.scale
        return -0.5 * z * z - log(self.scale) - 0.5 * log(2.0 * pi), -z / self.scale

    def second(self, value: float) -> float:
        """Return minus the inverse of the variance."""
        return -1.0 / self.scale / self.scale


@dataclass(frozen=True)
class StudentT(Prior):
    """A prior of Student's t; see `student_t`."""

    name = "student_t"
    support = "real"
    log_concave = False

    df: float
    loc: float
    scale: float

    def log_density(self, value: float) -> tuple[float, float]:
        """Return the log-density of Student's t, and its derivative."""
        df, z = self.df, (value - self.loc) / self.scale
        constant = -float(betaln(0.5, 0.5 * df)) - 0.5 * log(df)
        height = constant - log(self.scale) - 0.5 * (df + 1.0) * np.log1p(z * z / df)
        return float(height), -(df + 1.0) / (df + z * z) * z / self.scale

    def second(self, value: float) -> float:
        """Return it: positive beyond sqrt(df) scales."""
        df, z = self.df, (value - self.loc) / self.scale
        return -(df + 1.0) / (df + z * z) * ((df - z * z) / (df + z * z)) / self.scale / self.scale

    @property
    def centre(self) -> float:  # type: ignore[override]
        """The location."""
        return self.loc

    @property
    def width(self) -> float:  # type: ignore[override]
        """The scale."""
        return self.scale

    def __str__(self) -> str:
        """Return it as it is written in a call."""
        return f"cauchy({self.loc:g}, {self.scale:g})" if self.df == 1.0 else super().__str__()


@dataclass(frozen=True)
class Gamma(Prior):
    """A gamma prior; see `gamma`."""

    name = "gamma"
    support = "positive"

    shape: float
    rate: float

    def log_density(self, value: float) -> tuple[float, float]:
        """Return the gamma log-density, and its derivative; the former is -inf at 0 if shape > 1.

        An exponential one has its value and slope from the right at 0.
        """
        power, constant = self.shape - 1.0, self.shape * log(self.rate) - float(gammaln(self.shape))
        if power == 0.0:
            return constant - self.rate * value, -self.rate
        if value <= 0.0:
            return -inf, inf
        slope = power / value - self.rate
        if self.shape < LARGE_SHAPE:
            return constant + power * log(value) - self.rate * value, slope
        # about the mean, and the constant by Stirling's series: nothing large cancels
        s, t = self.shape, self.rate * value / self.shape - 1.0
        constant = 0.5 * log(s / (2.0 * pi)) - 1.0 / (12.0 * s) + 1.0 / (360.0 * s**3)
        away = s * float(np.log1p(t) - t) if t > -1.0 else -inf
        return constant + away - log(value), slope

    def second(self, value: float) -> float:
        """Return it; -inf at 0 if shape > 1."""
        power = self.shape - 1.0
        return (-power / value / value if value > 0.0 else -inf) if power else 0.0

    def __str__(self) -> str:
        """Return it as it is written in a call."""
        return f"exponential({self.rate:g})" if self.shape == 1.0 else super().__str__()


@dataclass(frozen=True)
class HalfNormal(Prior):
    """The positive half of a normal prior; see `half_normal`."""

    name = "half_normal"
    support = "positive"

    scale: float

    def log_density(self, value: float) -> tuple[float, float]:
        """Return twice the normal density's logarithm, and its derivative."""
        height, slope = Normal(0.0, self.scale).log_density(value)
        return height + log(2.0), slope

    def second(self, value: float) -> float:
        """Return that of the normal one."""
        return Normal(0.0, self.scale).second(value)


@dataclass(frozen=True)
class HalfT(Prior):
    """The positive half of a prior of Student's t; see `half_t`."""

    name = "half_t"
    support = "positive"
    log_concave = False

    df: float
    scale: float

    def log_density(self, value: float) -> tuple[float, float]:
        """Return twice Student's density's logarithm, and its derivative."""
        height, slope = StudentT(self.df, 0.0, self.scale).log_density(value)
        return height + log(2.0), slope

    def second(self, value: float) -> float:
        """Return that of Student's t."""
        return StudentT(self.df, 0.0, self.scale).second(value)

    @property
    def width(self) -> float:  # type: ignore[override]
        """The scale."""
        return self.scale

    def __str__(self) -> str:
        """Return it as it is written in a call."""
        return f"half_cauchy({self.scale:g})" if self.df == 1.0 else super().__str__()


@dataclass(frozen=True)
class LKJ(Prior):
    """A prior of correlation matrices; see `lkj`."""

    name = "lkj"
    support = "correlation"

    eta: float

    def log_density(self, value: float) -> tuple[float, float]:
        """Return the log-density of the one correlation of a 2 x 2 matrix, and its derivative."""
        rest = 1.0 - value * value
        power = self.eta - 1.0
        if power == 0.0:
            return self.log_constant(2), 0.0
        if rest <= 0.0:
            return -inf, 0.0
        return power * log(rest) + self.log_constant(2), -2.0 * power * value / rest

    def second(self, value: float) -> float:
        """Return that of the one correlation of a 2 x 2 matrix."""
        rest = 1.0 - value * value
        power = self.eta - 1.0
        return -2.0 * power * (1.0 + value * value) / (rest * rest) if rest > 0.0 else -inf

    def log_constant(self, size: int) -> float:
        """Return what makes `det(R) ** (eta - 1)` a density of size x size matrices R.

        Of their entries below the diagonal: Lewandowski, Kurowicka & Joe (2009), section 3.2.
        """
        left = np.arange(size - 1, 0, -1.0)
        half = self.eta + 0.5 * (left - 1.0)
        powers = (2.0 * self.eta - 2.0 + left) * left
        return -float(np.sum(powers * log(2.0) + left * betaln(half, half)))


DENSITIES: dict[str, type[Prior]] = {
    cls.name: cls for cls in (Normal, StudentT, Gamma, HalfNormal, HalfT, LKJ)
}
"""By the name under which a file keeps them."""


@entrance
def normal(loc: float = 0.0, scale: float = 2.5) -> Prior:
    """Return a normal prior, for coefficients.

    Parameters
    ----------
    loc, scale : float
        Mean and standard deviation, on the scale of the linear predictor.

    Raises
    ------
    OptionError
        If the scale is not a positive number.
    """
    _check("normal", loc=loc, scale=scale)
    return Normal(float(loc), float(scale))


@entrance
def student_t(df: float, loc: float = 0.0, scale: float = 2.5) -> Prior:
    """Return a prior of Student's t, for coefficients.

    Parameters
    ----------
    df : float
        Degrees of freedom; the fewer, the heavier the tails.
    loc, scale : float
        Centre and scale, on the scale of the linear predictor.

    Raises
    ------
    OptionError
        If df or the scale are not positive numbers.
    """
    _check("student_t", df=df, loc=loc, scale=scale)
    return StudentT(float(df), float(loc), float(scale))


@entrance
def cauchy(loc: float = 0.0, scale: float = 2.5) -> Prior:
    """Return a Cauchy prior, Student's t with one degree of freedom, for coefficients.

    Raises
    ------
    OptionError
        If the scale is not a positive number.
    """
    _check("cauchy", loc=loc, scale=scale)
    return StudentT(1.0, float(loc), float(scale))


@entrance
def exponential(rate: float = 1.0) -> Prior:
    """Return an exponential prior, for standard deviations: its mean is `1 / rate`.

    Raises
    ------
    OptionError
        If the rate is not a positive number.
    """
    _check("exponential", rate=rate)
    return Gamma(1.0, float(rate))


@entrance
def gamma(shape: float = 2.0, rate: float = 0.1) -> Prior:
    """Return a gamma prior, for standard deviations: its mean is `shape / rate`.

    With a shape above 1 its density is 0 at 0, so that no estimate is 0 (Chung, Rabe-Hesketh,
    Dorie, Gelman & Liu 2013, who suggest a shape of 2 and a rate next to 0).

    Raises
    ------
    OptionError
        If the rate is not a positive number, or the shape is below 1: such a density is infinite
        at 0, and there is no mode.
    """
    _check("gamma", shape=shape, rate=rate)
    if shape < 1.0:
        raise OptionError(
            f"gamma: shape must be 1 or more, got {shown(shape)}: with less the density is "
            "infinite at 0, and so is the posterior."
        )
    return Gamma(float(shape), float(rate))


@entrance
def half_normal(scale: float = 2.5) -> Prior:
    """Return the positive half of a normal prior, for standard deviations.

    Raises
    ------
    OptionError
        If the scale is not a positive number.
    """
    _check("half_normal", scale=scale)
    return HalfNormal(float(scale))


@entrance
def half_t(df: float, scale: float = 2.5) -> Prior:
    """Return the positive half of a prior of Student's t, for standard deviations.

    Raises
    ------
    OptionError
        If df or the scale are not positive numbers.
    """
    _check("half_t", df=df, scale=scale)
    return HalfT(float(df), float(scale))


@entrance
def half_cauchy(scale: float = 2.5) -> Prior:
    """Return the positive half of a Cauchy prior, for standard deviations.

    Raises
    ------
    OptionError
        If the scale is not a positive number.
    """
    _check("half_cauchy", scale=scale)
    return HalfT(1.0, float(scale))


@entrance
def lkj(eta: float = 2.0) -> Prior:
    """Return a prior of correlation matrices R, with density proportional to `det(R) ** (eta - 1)`.

    1 is the uniform density; the more above, the nearer to no correlation (Lewandowski, Kurowicka
    & Joe 2009).

    Raises
    ------
    OptionError
        If eta is below 1: such a density is infinite at correlations of 1, and there is no mode.
    """
    _check("lkj", eta=eta)
    if eta < 1.0:
        raise OptionError(
            f"lkj: eta must be 1 or more, got {shown(eta)}: with less the density is infinite at "
            "correlations of 1, and so is the posterior."
        )
    return LKJ(float(eta))


def _check(who: str, **values: float) -> None:
    for name, value in values.items():
        if not is_real(value) or not np.isfinite(float(value)) or (name != "loc" and value <= 0):
            expected = "a finite number" if name == "loc" else "a positive number"
            raise OptionError(f"{who}: {name} must be {expected}, got {shown(value)}.")
