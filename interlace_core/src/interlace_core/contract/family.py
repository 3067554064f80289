"""What a family must be able to do.

All densities are written on the scale of the linear predictors: `eta` holds one entry per
distributional parameter, in the order of `Family.parameters`; each entry broadcasts against
`y` along its last axis (n rows), and may have leading axes (quadrature nodes). Densities and
derivatives are also asked of parts of the rows, and such a part may be empty.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from interlace_core.calculus.links import Link
from interlace_core.messages.errors import NotAvailableError
from interlace_core.records import (
    Array,
    Collapsed,
    Derivatives,
    IntArray,
    Response,
    RowKernel,
)

DISCRETE_SUPPORTS = frozenset(
    {"counts", "positive counts", "trials", "positive trials", "categories"}
)
"""Supports without an interval, where a density is a probability."""


@dataclass(frozen=True)
class Parameter:
    """One distributional parameter of a family.

    Attributes
    ----------
    name : str
        Name on the natural scale: `mu`, `theta`, `phi`, `pi`, ...
    link : Link
        From the natural scale to the linear predictor.
    fixed : float, optional
        Value on the natural scale when the user fixes it; None means estimated.
    role : str
        What users call it whatever its name: `mean` (always the first), `dispersion` (target
        of `dispformula`), `zero` (target of `ziformula`), `one` (a part for ones), `threshold` (a
        cut of a latent scale: a formula for the role is one for each parameter that has it), or
        `shape`.
    at_lower, at_upper : str
        What the family becomes where the parameter tends to the lower or upper end of its scale,
        such as "the Poisson distribution"; empty where that is no model worth naming. A fit that
        ends there is then reported in these words.
    intercept : bool
        Whether its predictor may have an intercept. Not where other parameters take its place,
        as thresholds do: the intercept of its formula is then left out of the design.
    latent : bool
        Whether its predictor moves probabilities along a latent scale although its link is the
        identity: a column that predicts perfectly then has no finite coefficient.
    """

    name: str
    link: Link
    fixed: float | None = None
    role: str = "shape"
    at_lower: str = ""
    at_upper: str = ""
    intercept: bool = True
    latent: bool = False

    def fixed_eta(self) -> float:
        """Return the fixed value on the scale of the linear predictor."""
        assert self.fixed is not None
        return float(self.link.eta(np.float64(self.fixed)))


class Family(ABC):
    """A conditional distribution of the response given its linear predictors.

    Required: `name`, `parameters`, `log_density` and `mean`. Everything else has a default or
    says plainly that the family does not offer it. A family is immutable; its constructor's
    arguments all have defaults, so that it can be found by name.
    """

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    """Further names by which it is asked for: other software's for the same law. Case, dots,
    hyphens and underscores do not count; a family with such a name of its own goes before.
    They belong to the class that says `name`: a subclass with another name has none of them."""

    contract_version: ClassVar[int] = 1
    links: ClassVar[tuple[str, ...]] = ()
    """Names of the links that the mean may have, the default first. Who names any takes one, a
    name or a `Link`, as the constructor's argument `link`, and keeps it in the attribute `link`.
    Empty, the default, if there is no choice."""

    response_forms: ClassVar[frozenset[str]] = frozenset({"numeric"})
    """Forms of response it takes: `numeric`, `pair` (successes, failures), `two-level` (bool or
    text with two levels, second level counted as 1), `ordered` (codes of ordered categories)."""

    @property
    def observation_level_confounded(self) -> bool:
        """Whether an effect for each row adds nothing that a row alone could show.

        True where the law of a row is closed under it: a normal law whose variance (the parameter
        of role `dispersion`) is estimated, a single trial, an ordered category. Asked of the
        family bound to the data; may be a class attribute. With a dispersion that is estimated,
        such effects are refused, else noted; with one that is fixed they are identified. By
        default False.
        """
        return False

    support: ClassVar[str] = ""
    """Where a response can lie: "counts", "positive counts", "trials" (successes of so many),
    "positive trials" (at least one success), "categories", "real", "positive", "non-negative" (0
    has a probability), "unit interval" (without its ends) or "closed unit interval" (both have a
    probability), "real with 0" and "unit interval with 0" (0 has a probability), "unit interval
    with 1" (1 has one); empty if it is none of these or not said. The first five are
    probabilities: their log-likelihood cannot be above 0. It also says which kind of part for
    zeros, or for ones, a family can be given (`ziformula`)."""

    @property
    def is_discrete(self) -> bool:
        """Whether log-densities are logarithms of probabilities, by `support`."""
        return self.support in DISCRETE_SUPPORTS

    @property
    def linear_normal(self) -> bool:
        """Whether y ~ N(eta_1, exp(2 eta_2)): what a criterion for linear models needs to know."""
        return False

    row_variables: ClassVar[tuple[str, ...]] = ()
    """Names of what it wants to know of each row beside the response and its weight, such as the
    end of a censored interval; see `with_row_variables`. By default nothing."""

    collapse_sums: ClassVar[tuple[str, ...]] = ()
    """Functions of a row whose weighted sums over rows that share their predictors are all that
    the likelihood needs of them, among "1", "y", "y^2", "log(y)", "log(y!)", "trials" and
    "log(choose(trials, y))", so that a database can take rows together. Empty, the default, if
    there are no such sums, or they are not known."""

    @property
    @abstractmethod
    def parameters(self) -> tuple[Parameter, ...]:
        """Distributional parameters, the mean's first. May be a class attribute."""

    @property
    def r_family(self) -> str | None:
        """Name of this density's family in R's glmmTMB; None if it has none. May be an attribute.

        Only for `r_code()`. A zero part is written as `ziformula`, so that a family with one has
        the name of the family of its other counts.
        """
        return None

    def latent_variance(self, eta: Sequence[Array]) -> Array | None:
        """Return the variance of a latent variable about the mean's predictor, by row.

        On the scale of the mean's predictor: pi^2 / 3 of ordered categories with the link logit;
        infinite where the latent distribution has none. What shares of variance are of, in place
        of the variance of codes. None, the default, if the response is no cut of such a variable.

        Returns
        -------
        ndarray, broadcastable to shape (n,), or None
        """
        return None

    latent_link: str = ""
    """Name of the link from a latent scale to the probabilities of categories, such as "logit".

    Where the mean's predictor is a place on that scale, so that the link of its parameter is the
    identity and tells nothing. What reports call the link of the model. Empty, the default, if the
    parameter's own link is it. May be a property."""

    def threshold_matrix(self) -> Array | None:
        """Return how further predictors make the thresholds between ordered categories.

        The matrix T for which alpha = `T @ [eta_1, ..., eta_m]`, lowest first, are those of
        `P(Y <= k) = F(alpha_k - eta_0)`, with F the inverse of `latent_link` unless predictors
        beyond m, such as a scale, change it. None, the default, if the family has no thresholds.
        Asked of the family bound to the data; reports then show thresholds in place of those
        predictors.

        Returns
        -------
        ndarray, shape (J - 1, m), or None
        """
        return None

    def ratio_words(self, k: int) -> tuple[str, str] | None:
        """Return what exp(coefficient) of predictor k multiplies, and what to call that factor.

        Such as `("the odds of a higher category", "odds ratio")`. None, the default, leaves the
        words to the link and to `support`.

        Parameters
        ----------
        k : int
            Index of the predictor.
        """
        return None

    def intercept_stand_in(self) -> Array | None:
        """Return the change of the further predictors that does what an intercept would.

        For a family whose mean has no intercept (`Parameter.intercept`) since other parameters
        take its place: with s returned, `log_density(y, [eta_0 + m, eta_1 + s_1 m, ...])` is the
        same for every m. None, the default, if there is no such change.

        Returns
        -------
        ndarray, shape (K - 1,), or None
        """
        return None

    @abstractmethod
    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return the log-density of each observation, with all constants.

        Called in every iteration. Write it with NumPy and `scipy.special` functions and choose
        branches by the data, never by the value of `eta`: without `derivatives` of your own it
        is evaluated on truncated Taylor numbers, which gives exact derivatives.

        Parameters
        ----------
        y : ndarray, shape (n,) or (n, m)
            As returned by `check_response`.
        eta : sequence of K array-likes, each broadcastable to (..., n)
            Linear predictors.

        Returns
        -------
        ndarray, shape (..., n)
        """

    @abstractmethod
    def mean(self, eta: Sequence[Array]) -> Array:
        """Return the mean of the response, shape (..., n), on the response's scale."""

    def conditional_mean(self, eta: Sequence[Array]) -> Array:
        """Return the mean of the part beside a zero part, shape (..., n); else the mean."""
        return self.mean(eta)

    def natural(self, eta: Sequence[Any]) -> Sequence[Any]:
        """Return every parameter on its natural scale, from all the predictors.

        By default each by its own link. Override it where a parameter depends on several
        predictors (one of three probabilities). Works on truncated Taylor numbers.
        """
        return [p.link.mu(e) for p, e in zip(self.parameters, eta, strict=True)]

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Return the response and weights as `log_density` wants them.

        Called once per fit, before anything else, with finite numbers. By default weights
        multiply the log-density of their row.

        Raises
        ------
        ResponseError
            If a value lies outside the family's domain; name the first offending row.
        """
        return Response(y, weights)

    def with_row_variables(self, response: Response, values: Mapping[str, Array]) -> Response:
        """Return the response with what else each row brings as further columns of y.

        Called after `check_response` if `row_variables` names any; y then is what `log_density`
        and all others get, whichever rows are taken of it. By default the response as it is.

        Parameters
        ----------
        response : Response
            As returned by `check_response`.
        values : mapping from str to ndarray, shape (n,)
            Finite numbers by the names of `row_variables`.

        Raises
        ------
        ResponseError
            If values do not go with the response; name the first offending row.
        """
        return response

    def bind(self, y: Array) -> Self:
        """Return a copy that knows what the data fix (trials, number of categories)."""
        return self

    def bind_part(self, y: Array) -> Self:
        """Return a copy of a bound family for some of its rows, or for these in another order.

        Called where a model is cut into parts: a cluster, a block, a group left out. What each row
        brings (its trials) is that of `y`; what all rows together fixed (parameters, the number
        of categories) stays as it is, whatever `y` holds: parts need not vary. By default
        `bind(y)`; override it where `bind` learns, warns or refuses.

        Parameters
        ----------
        y : ndarray, shape (m,) or (m, columns)
            In the form of `Response.y`; taken together (`collapse`), not always of integers.
        """
        return self.bind(y)

    def observed(self, y: Array) -> Array:
        """Return the checked response on the scale of `mean`, shape (n,)."""
        return y

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return the variance of the response on the scale of `mean`, shape (..., n)."""
        raise NotAvailableError(_lacks(self, "variance", "Pearson residuals need it"))

    def scale(self, eta: Sequence[float]) -> float:
        """Return the residual variance at constant further predictors; 1 if there is none."""
        return 1.0

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return draws of the response in the form of `check_response`'s y."""
        raise NotAvailableError(_lacks(self, "simulate", "simulation and the bootstrap need it"))

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return P(Y <= y), shape (..., n)."""
        raise NotAvailableError(_lacks(self, "cdf", "quantile residuals need it"))

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return rough constants for the K linear predictors, shape (K,), on the eta scale.

        The fit without random effects starts here. By default the mean's predictor starts at
        the link of the average response and the others at 0.
        """
        eta = np.zeros(len(self.parameters))
        first = self.parameters[0]
        if first.fixed is None:
            average = float(np.average(self.observed(y), weights=weights))
            with np.errstate(all="ignore"):
                linked = float(first.link.eta(np.float64(average)))
            low, high = first.link.eta_domain
            inside = np.isfinite(linked) and low < linked < high
            eta[0] = linked if inside else float(np.clip(0.0, low + 1.0, high - 1.0))
        return eta

    def log_concave(self, wrt: tuple[int, ...]) -> bool:
        """Return whether the log-density is concave in these predictors jointly.

        For every response, over the domain of the predictors (a convex set outside of which the
        density is 0), whatever the values of the others: the Hessian in them is nowhere anything
        but negative semidefinite. Being concave in each alone is not enough. The conditional mode
        of random effects in these predictors is then unique; otherwise it is looked for from more
        than one start, which costs time. False, the default, says "not known" and is always safe.

        Asked once per fit, with the predictors that have random effects. What holds for some
        predictors has to hold for any of them, and the links count: a logit is, a cauchit is not.

        Parameters
        ----------
        wrt : tuple of int
            Indices of predictors, increasing, at least one.
        """
        return False

    def collapse(
        self, y: Array, weights: Array | None, groups: IntArray, size: int
    ) -> Collapsed | None:
        """Return one row in place of all that share their predictors, or None if that is inexact.

        By default None. A family whose rows add up to sums (sufficient statistics) saves time
        where predictors repeat.

        Parameters
        ----------
        y, weights
            As returned by `check_response`.
        groups : ndarray of intp, shape (n,)
            Rows with the same number, 0 to size - 1, share all their predictors.
        size : int
        """
        return None

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return the log-density and its partial derivatives in the linear predictors.

        Called in every inner iteration with order 2, and once per objective call with order 3.
        The default differentiates `log_density` exactly; override it where speed matters, and
        let the conformance kit hold it against the default.

        Parameters
        ----------
        y, eta
            As for `log_density`.
        order : int
            Highest order wanted, 0 to 3.
        wrt : tuple of int
            Predictors to differentiate in; the others are constants.
        """
        from interlace_core.calculus.jets.density import differentiate_density

        return differentiate_density(self.log_density, y, eta, order, wrt)

    def row_kernel(self, y: Array) -> RowKernel | None:
        """Return compiled code for the log-density and its derivatives, row by row.

        Same numbers as `derivatives` to 1e-12, faster. Called once per problem; None, the
        default, if there is none.

        Parameters
        ----------
        y : ndarray, shape (n,) or (n, m)
            As returned by `check_response`.
        """
        return None

    def recession_forms(self, y: Array) -> tuple[IntArray, Array] | None:
        """Return linear forms of the predictors that must not fall, for rows on a latent scale.

        Where several predictors together bound an interval, as location and thresholds do, a row
        is not open in one of them at a time: its log-density never falls along a direction of its
        predictors exactly if none of its forms does, and then tends to its supremum; a predictor
        that is in no form, such as a scale, is held meanwhile. None, the default, says that each
        predictor may be looked at by itself; the core then finds out from `derivatives` at its
        ends. Called before a fit with an offset and no intercept (predictors move together where
        no form changes), and after one whose data look separated, which they are if some direction
        of the coefficients lets no form fall and lifts one.

        Parameters
        ----------
        y : ndarray, shape (n,) or (n, m)
            As returned by `check_response`.

        Returns
        -------
        rows : ndarray of intp, shape (m,)
            The row that each form is of. A row without any is at its supremum everywhere.
        forms : ndarray, shape (m, K)
            Coefficients of the K linear predictors.
        """
        return None


def _lacks(family: Family, method: str, why: str) -> str:
    return (
        f"family {family.name!r} does not define {method}(), and {why}. "
        f"Implement {method}() in {type(family).__name__}."
    )
