"""What a covariance structure of random effects must be able to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from interlace_core.contract.sequence import Chain
from interlace_core.records import Array, BoolArray, IntArray

if TYPE_CHECKING:
    from interlace_core.contract.residual_correlation import ResidualCorrelation


Kind = Literal["sd", "correlation", "positive", "real"]
"""What a number that a structure prints is."""


class Covariance(ABC):
    """Structure of the c x c covariance `T T'` of one random-effects term.

    The template `T` is relative to unit variance of `u`; parameterised so that a variance of
    zero is an ordinary point, not a limit at infinity.
    """

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    """Further names by which it is asked for, such as other software's for the same thing. Case,
    dots, hyphens and underscores do not count; what has such a name as its own goes before."""
    contract_version: ClassVar[int] = 1
    crosses_bounds: ClassVar[bool] = False
    """Whether `template` is defined beyond the bounds and gives the covariance of a mirrored
    point there. The objective is then flat at the bound, where a bounded search would stick:
    optimizers get no bounds, and `canonical` brings the answer back inside."""
    takes_levels_only: ClassVar[bool] = False
    """Whether its columns are the levels of one factor, as times in their order, or as exchangeable
    units. Numeric covariates then stand for points, times or places: a column for each distinct
    one, in order. A term with an intercept is refused, and one group is enough."""
    takes_matrix: ClassVar[bool] = False
    """Whether it is made with a known matrix of its columns, the option `matrix` of `from_columns`,
    shape (c, c), which users give by `known`."""
    largest: ClassVar[int | None] = 2000
    """Most columns of one that `takes_levels_only`, because the work grows with their cube; None
    where it does not."""
    full_rank: ClassVar[bool] = True
    """Whether its covariance is definite at an ordinary theta."""

    def __init__(self, size: int) -> None:
        self.size = size

    @property
    @abstractmethod
    def n_theta(self) -> int:
        """Number of parameters."""

    @abstractmethod
    def template(self, theta: Array) -> Array:
        """Return T, shape (c, c)."""

    @abstractmethod
    def pullback(self, theta: Array, dT: Array) -> Array:
        """Return dF/dtheta, shape (n_theta,), from dF/dT, shape (c, c)."""

    def chain(self, theta: Array) -> Chain | None:
        """Return the template as a chain, each effect of which depends on the one before alone.

        None, the default, where it is none. A structure that gives one, at every theta, makes fits
        of many times quick; `chain(theta).template()` is then `template(theta)`.
        """
        return None

    def chain_pullback(self, theta: Array, slopes: Chain) -> Array:
        """Return dF/dtheta, shape (n_theta,), from dF in each number of `chain`.

        Asked of a structure that gives a chain.
        """
        raise NotImplementedError

    @abstractmethod
    def start(self) -> Array:
        """Return a theta with template near the identity, shape (n_theta,)."""

    @abstractmethod
    def bounds(self) -> tuple[Array, Array]:
        """Return lower and upper bounds, each shape (n_theta,)."""

    def canonical(self, theta: Array) -> Array:
        """Return the theta within bounds that gives the same covariance."""
        return theta

    @abstractmethod
    def nearest(self, covariance: Array) -> Array:
        """Return the theta whose `T T'` is closest to a given c x c covariance."""

    @classmethod
    def residuals(cls) -> type[ResidualCorrelation] | None:
        """Return the structure of this name for residuals within groups, or None."""
        return None

    @classmethod
    def from_columns(
        cls, names: Sequence[str], levels: Sequence[str], frame: Mapping[str, Array], **options: Any
    ) -> Self:
        """Return the structure for the columns of a term; by default from their number.

        For a structure that depends on what its columns are: on the distances of times or places.

        Parameters
        ----------
        names : sequence of str, length c
            Of the columns.
        levels : sequence of str
            Levels of the factor that the columns stand for, or the points as text; empty where
            `takes_levels_only` is False.
        frame : mapping from str to ndarray, shape (c,)
            Coordinates of the points that the columns stand for, by covariate; empty for the
            levels of a factor, which have their order alone.
        **options
            Further arguments of its constructor.

        Raises
        ------
        InterlaceError
            If the structure is not defined for these columns, such as for times that are no whole
            numbers. Say what was expected, what was got, and what to do.
        """
        return cls(len(names), **options)

    def rescaled(self, L: Array) -> Array | None:
        """Return M with `template(M theta) = L template(theta)` for every theta, or None.

        Other units and zero points of the term's columns are then a linear map of theta. None,
        the default, says that the structure is not closed under it.

        Parameters
        ----------
        L : ndarray, shape (c, c)
            Lower triangular with a positive diagonal. Whoever asks tries a diagonal one, and a
            multiple of the identity, where the answer is None.

        Returns
        -------
        ndarray, shape (n_theta, n_theta), or None
        """
        return None

    def placement(self) -> IntArray | None:
        """Return where theta stands in T, if all that `template` does is to put it there.

        Compiled code then knows T and its slope without asking. None, the default, says that it
        does more.

        Returns
        -------
        ndarray of intp, shape (e, 3), or None
            Rows (k, i, j) with `T[i, j] = theta[k]`, each (i, j) once; T is 0 elsewhere.
        """
        return None

    @property
    def mixes_columns(self) -> bool:
        """Whether `rescaled` follows every triangular L, so that columns have no identity."""
        return not self.takes_levels_only and self.rescaled(np.tri(self.size)) is not None

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the name of each number that `natural` returns, such as `sd(Days)` or `rho`.

        By default `theta_1`, `theta_2` and so on.

        Parameters
        ----------
        columns : sequence of str, length c
            Names of the term's columns.

        Returns
        -------
        tuple of str, length n_theta
        """
        return tuple(f"theta_{k + 1}" for k in range(self.n_theta))

    def natural(self, theta: Array) -> Array:
        """Return theta as users read it: standard deviations and correlations, shape (n_theta,).

        The same for all theta of one covariance; a correlation with what does not vary is 0. By
        default theta within its bounds.
        """
        return self.canonical(theta)

    def kinds(self) -> tuple[Kind, ...]:
        """Return what each number of `natural` is, which decides the scale of its interval.

        `sd` and `positive` (a range, say) by their logarithm, `correlation` by Fisher's z, `real`
        as it is, which is the default.
        """
        kinds: tuple[Kind, ...] = ("real",)
        return kinds * self.n_theta

    def natural_limits(self) -> tuple[Array, Array]:
        """Return the least and the largest value of each number of `natural`, (n_theta,) each.

        What users may hold it at, whatever the others are. By default what `kinds` says.
        """
        lower = {"sd": 0.0, "positive": 0.0, "correlation": -1.0, "real": -np.inf}
        kinds = self.kinds()
        upper = [1.0 if kind == "correlation" else np.inf for kind in kinds]
        return np.array([lower[kind] for kind in kinds]), np.array(upper)

    def from_natural(self, values: Array) -> Array:
        """Return the theta within bounds whose `natural` is given, shape (n_theta,).

        By default by Newton's method with differences, from the start.

        Raises
        ------
        ValueError
            If there is none, such as for correlations that contradict each other.
        """
        return solve_natural(self, np.asarray(values, dtype=np.float64))

    def holding(self, held: Mapping[int, float], names: dict[str, float]) -> Covariance | None:
        """Return the structure with some of its numbers held, in a theta for the others.

        Where it has one without an edge at what is singular. None, the default: held numbers that
        are entries of theta are left out of it, and of others the free numbers are searched
        themselves, within what is a covariance.

        Parameters
        ----------
        held : mapping from place in `natural` to value
            That some covariance of the structure has.
        names : dict from name to value
            The same, in the same order: the structure's `fixed`.
        """
        return None

    @property
    def fixed(self) -> Mapping[str, float]:
        """Numbers that are no parameters because the user holds them, by their names."""
        return {}

    def at_bound(self, theta: Array, sizes: Array, tol_sd_eta: float) -> BoolArray:
        """Return which entries of theta are at a bound for practical purposes.

        By default those from which a bound is less than the tolerance away.

        Parameters
        ----------
        theta : ndarray, shape (n_theta,)
        sizes : ndarray, shape (c,)
            Root mean square of each random-effects covariate, in natural units of eta.
        tol_sd_eta : float
            Standard deviation on the scale of eta, in the same units, that counts as 0.
        """
        lower, upper = self.bounds()
        near = tol_sd_eta / _reach(self, theta, sizes)
        return np.asarray((theta - lower < near) | (upper - theta < near))

    def snapped(self, theta: Array, sizes: Array, tol_sd_eta: float) -> Array:
        """Return theta with what is next to a lower bound put on it; arguments as `at_bound`.

        Called at a candidate optimum, and kept if it costs no likelihood. A structure for which
        several thetas give the same singular covariance returns the one from which every
        covariance nearby is reached along a slope.
        """
        lower = self.bounds()[0]
        near = theta - lower < tol_sd_eta / _reach(self, theta, sizes)
        return np.where(near & np.isfinite(lower), lower, theta)

    def restarts(self, theta: Array, sizes: Array) -> tuple[Array, ...]:
        """Return thetas to search from again if a search ended here short of an optimum.

        Arguments as for `at_bound`. By default none: for structures with points at which
        searches are known to crawl.
        """
        return ()


def _reach(covariance: Covariance, theta: Array, sizes: Array) -> Array:
    """Return how far each entry moves eta per unit, in root mean square; infinite for not at all.

    The largest over the covariates, by the template's response to the entry.
    """
    reach = np.array(
        [
            float(np.max(sizes * np.abs(response), initial=0.0))
            for response in response_slopes(covariance, theta)
        ]
    )
    return np.where(reach > 0, reach, np.inf)


def template_slopes(covariance: Covariance, theta: Array) -> Iterator[Array]:
    """Yield dT / d theta_k, shape (c, c), for each k: by differences, to six digits."""
    return _slopes(covariance.template, theta)


def response_slopes(covariance: Covariance, theta: Array) -> Iterator[Array]:
    """Yield d (T 1) / d theta_k, shape (c,), for each k, as `template_slopes`."""
    return _slopes(lambda at: times(covariance, at, np.ones(covariance.size)), theta)


def marginal_slopes(covariance: Covariance, theta: Array) -> Iterator[tuple[Array, float]]:
    """Yield for each k the slope of what says all of the covariance, and its largest number.

    Of a chain the variances, and the covariances of neighbours.
    """
    if covariance.chain(theta) is None:
        T = covariance.template(theta)
        largest = float(np.max(np.abs(T @ T.T), initial=0.0))
        for slope in template_slopes(covariance, theta):
            yield slope @ T.T, largest
        return

    def told(at: Array) -> Array:
        chain = covariance.chain(at)
        assert chain is not None
        return np.concatenate(chain.moments())

    largest = float(np.max(np.abs(told(theta)), initial=0.0))
    for slope in _slopes(told, theta):
        yield slope, largest


def column_sds(covariance: Covariance, theta: Array) -> Array:
    """Return the standard deviation of each column's effect, shape (c,)."""
    chain = covariance.chain(theta)
    if chain is not None:
        return np.sqrt(chain.moments()[0])
    return np.asarray(np.linalg.norm(covariance.template(theta), axis=1))


def times(covariance: Covariance, theta: Array, u: Array) -> Array:
    """Return T u, shape (c, ...); of a chain, in time proportional to its length."""
    return multiplier(covariance, theta)(u)


def multiplier(covariance: Covariance, theta: Array) -> Callable[[Array], Array]:
    """Return what makes T u of u, shape (c, ...), for many of them."""
    chain = covariance.chain(theta)
    if chain is not None:
        return chain.times
    T = covariance.template(theta)
    return lambda u: T @ u


def with_sds_times(covariance: Covariance, theta: Array, factor: float) -> Array:
    """Return the theta with all standard deviations that are parameters times a factor."""
    values = covariance.natural(theta)
    is_sd = np.array([kind == "sd" for kind in covariance.kinds()], dtype=bool)
    return covariance.from_natural(np.where(is_sd, factor * values, values))


def _slopes(function: Callable[[Array], Array], theta: Array) -> Iterator[Array]:
    """Yield the slope of a function of theta in each entry: by differences, to six digits."""
    for k in range(theta.size):
        step = 1e-4 * max(1.0, abs(float(theta[k])))
        ahead, behind = theta.copy(), theta.copy()
        ahead[k] += step
        behind[k] -= step
        yield (function(ahead) - function(behind)) / (2.0 * step)


def check_natural(
    covariance: Covariance, names: Sequence[str], values: Mapping[int, float]
) -> None:
    """Refuse numbers beyond their own limits, by name.

    Parameters
    ----------
    covariance : Covariance
    names : sequence of str, length n_theta
        As its `names` returns.
    values : mapping from place in `natural` to value

    Raises
    ------
    ValueError
        If one is beyond them: what was expected, and what was got.
    """
    lower, upper = covariance.natural_limits()
    for place, value in values.items():
        least, most = lower[place], upper[place]
        if not least <= value <= most:
            within = f"of at least {least:g}" if np.isinf(most) else f"from {least:g} to {most:g}"
            raise ValueError(f"{names[place]} {within}, got {value:g}")


def solve_natural(covariance: Covariance, values: Array) -> Array:
    """Return theta with `natural(theta)` the values, by damped Newton steps with differences."""
    theta = np.array(covariance.start(), dtype=np.float64)
    left = values - covariance.natural(theta)
    for _ in range(100):
        size = float(np.max(np.abs(left), initial=0.0))
        if size <= 1e-12 * (1.0 + float(np.max(np.abs(values), initial=0.0))):
            return covariance.canonical(theta)
        step = np.linalg.lstsq(natural_slopes(covariance, theta), left, rcond=None)[0]
        for _ in range(40):
            moved = values - covariance.natural(theta + step)
            if float(np.max(np.abs(moved))) < size:
                break
            step = 0.5 * step
        else:
            break
        theta, left = theta + step, moved
    if float(np.max(np.abs(left), initial=0.0)) <= 1e-8 * (1.0 + float(np.max(np.abs(values)))):
        return covariance.canonical(theta)
    raise ValueError(f"no covariance of structure {covariance.name!r} has the values {values}")


def natural_slopes(covariance: Covariance, theta: Array) -> Array:
    """Return d natural / d theta, shape (n_theta, n_theta), by differences of fourth order."""
    n = theta.size
    slopes = np.zeros((n, n))
    for j in range(n):
        step = 1e-3 * max(1.0, abs(float(theta[j])))
        for factor, weight in ((1, 2 / 3), (-1, -2 / 3), (2, -1 / 12), (-2, 1 / 12)):
            moved = theta.copy()
            moved[j] += factor * step
            slopes[:, j] += weight / step * covariance.natural(moved)
    return slopes
