"""Cumulative models for ordered categories: P(Y <= k) = F((alpha_k - eta) / scale)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from interlace_core.contract import (
    LINKS,
    Array,
    Derivatives,
    Family,
    IntArray,
    OptionError,
    Parameter,
    Response,
    did_you_mean,
    is_whole,
)
from interlace_core.families import require_counts, value_of
from interlace_ordinal.latent import LATENT, ArandaOrdaz, Latent, Shaped
from interlace_ordinal.log_gamma import LogGamma
from interlace_ordinal.partials import Interval, PredictorPartials, Scaled, interval_terms
from interlace_ordinal.thresholds import STRUCTURES, threshold_design

WITH_SHAPE: dict[str, type[Shaped]] = {"aranda-ordaz": ArandaOrdaz, "log-gamma": LogGamma}
"""By the name of the link: latent distributions with a parameter."""

NARROW = 1e-7
"""Width below which a category is the density times its width: the probabilities of its ends have
no digits left to tell them apart."""

LEAST, MOST = -150.0, 600.0
"""Bounds of a logarithm of the scale: beyond them the ends, or what lies between, leave doubles."""


@dataclass(frozen=True)
class CumulativeFamily(Family):
    """Ordered categories cut from a latent scale (McCullagh 1980).

    The response is the category's number, from 0. A positive coefficient moves it towards the
    higher categories. The thresholds take the place of an intercept; they must increase, and a
    point where they do not has density 0.

    Parameters
    ----------
    link : str
        logit (default), probit, cloglog, loglog or cauchit: the latent distribution F; or
        aranda-ordaz or log-gamma, whose shape lambda is estimated (1: logit, to 0: cloglog; 0:
        probit, 1: cloglog, -1: loglog).
    threshold : str
        flexible (default), symmetric, symmetric2 (about 0) or equidistant.
    categories : int, optional
        Number of categories; by default learned from the data, where each occurs.
    scaled : bool
        Whether the latent distribution has a scale with a formula of its own (Cox 1995), 1 where
        the formula's covariates are 0.
    """

    name = "cumulative"
    aliases = ("ordinal",)
    links = ("logit", "probit", "cloglog", "loglog", "cauchit", *WITH_SHAPE)
    response_forms: ClassVar[frozenset[str]] = frozenset({"ordered"})
    support = "categories"
    observation_level_confounded = True

    link: str = "logit"
    threshold: str = "flexible"
    categories: int | None = None
    scaled: bool = False

    def __post_init__(self) -> None:
        for argument, given, known in (
            ("link", self.link, self.links),
            ("threshold", self.threshold, STRUCTURES),
        ):
            if not isinstance(given, str) or given not in known:
                got = repr(given) if isinstance(given, str) else f"a {type(given).__name__}"
                raise OptionError(
                    f"family {self.name!r}: {argument} must be one of "
                    f"{', '.join(map(repr, known))}, got {got}.{did_you_mean(given, known)}"
                )
        count = self.categories
        if count is not None and not is_whole(count, 2):
            raise OptionError(
                f"family {self.name!r}: categories must be an integer of at least 2, got {count!r}."
            )

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The location, which has no intercept, and what makes the thresholds."""
        identity = LINKS["identity"]
        location = Parameter("location", identity, role="mean", intercept=False, latent=True)
        cuts = (Parameter(name, identity, role="threshold") for name in self.design[1])
        scale = Parameter("scale", LINKS["log"], role="dispersion", intercept=False)
        more = (scale,) if self.scaled else ()
        shape = (WITH_SHAPE[self.link].parameter,) if self.link in WITH_SHAPE else ()
        return (location, *cuts, *more, *shape)

    def latent(self, eta: Sequence[Any]) -> Latent:
        """Return the latent distribution of each row."""
        return LATENT[self.link] if self.link in LATENT else WITH_SHAPE[self.link](eta[-1])

    @property
    def design(self) -> tuple[Array, tuple[str, ...]]:
        """The matrix from threshold parameters to thresholds, shape (J - 1, m), and their names."""
        return threshold_design(self.threshold, (self.categories or 2) - 1)

    def latent_variance(self, eta: Sequence[Array]) -> Array:
        """Return the variance of the latent distribution; infinite of a Cauchy distribution."""
        variance = np.asarray(self.latent(eta).variance)
        return (
            variance * np.exp(2.0 * eta[self.design[0].shape[1] + 1]) if self.scaled else variance
        )

    @property
    def latent_link(self) -> str:  # type: ignore[override]
        """The link by the name that it was chosen by."""
        return self.link

    def threshold_matrix(self) -> Array:
        """Return the matrix from threshold parameters to thresholds."""
        return self.design[0]

    def ratio_words(self, k: int) -> tuple[str, str] | None:
        """Return what a proportional-odds model multiplies; of other links nothing."""
        if k == 0 and self.link == "logit" and not self.scaled:
            return "the odds of a category above any threshold", "odds ratio"
        return None

    def intercept_stand_in(self) -> Array | None:
        """Return what moves every threshold by 1; nothing does if they lie about 0."""
        T = self.design[0]
        s = np.linalg.pinv(T) @ np.ones(len(T))
        if not np.allclose(T @ s, 1.0):
            return None
        return np.concatenate([s, np.zeros(len(self.parameters) - 1 - len(s))])

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept the numbers of categories."""
        require_counts(self, y)
        return Response(y, weights)

    def bind(self, y: Array) -> Self:
        """Return a copy that knows the number of categories."""
        return replace(self, categories=max(int(np.max(y)) + 1, self.categories or 2))

    def bind_part(self, y: Array) -> Self:
        """Return the family itself: categories are those of all rows."""
        return self

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return the log-probability of the category."""
        where = self._interval(y, eta)
        latent, a, b = self.latent(eta), where.upper, where.lower
        below = where.first | (~where.last & (value_of(a + b) < 0.0))
        near = np.where(below, latent.log_cdf(a), latent.log_sf(b))
        far = np.where(below, latent.log_cdf(b), latent.log_sf(a))
        inside = near + np.log(-np.expm1(far - near))
        if isinstance(latent, Shaped):
            narrow = value_of(a - b) < NARROW
            width = np.where(narrow, a - b, NARROW)
            inside = np.where(narrow, latent.log_density(0.5 * (a + b)) + np.log(width), inside)
        value = np.where(where.first | where.last, near, inside)
        return np.where(value_of(a - b) <= 0.0, -np.inf, value)

    def log_concave(self, wrt: tuple[int, ...]) -> bool:
        """Return whether the latent density is log-concave: with every link but cauchit.

        F(a) - F(b) is then log-concave in both ends jointly, which are linear in location and
        threshold parameters (Prekopa 1973; Burridge 1981; Pratt 1981), but not in the scale.
        """
        concave = self.link not in LATENT or LATENT[self.link].log_concave
        return concave and max(wrt) <= self.design[0].shape[1]

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives through the two ends that each observation depends on."""
        if self.link not in LATENT:
            return super().derivatives(y, eta, order, wrt)
        where = self._interval(y, eta)
        value, terms = interval_terms(LATENT[self.link], where, order)
        upper, lower = self._ends()
        scaled = None
        if self.scaled:
            log_scale = eta[upper.shape[1] + 1]
            inside = (log_scale > LEAST) & (log_scale < MOST)
            scaled = Scaled(where.upper, where.lower, _rate(log_scale), inside)
        return Derivatives(
            value, PredictorPartials(terms, _codes(y), upper, lower, order, wrt, scaled)
        )

    def recession_forms(self, y: Array) -> tuple[IntArray, Array]:
        """Return upper end minus location, and location minus lower end, where there is one."""
        codes, (upper, lower) = _codes(y), self._ends()
        below = np.flatnonzero(codes < len(upper) - 1)
        above = np.flatnonzero(codes > 0)
        forms = np.concatenate(
            [
                np.column_stack([-np.ones(below.size), upper[codes[below]]]),
                np.column_stack([np.ones(above.size), -lower[codes[above]]]),
            ]
        )
        held = np.zeros((len(forms), len(self.parameters) - forms.shape[1]))
        return np.concatenate([below, above]), np.column_stack([forms, held])

    def cumulative(self, eta: Sequence[Array]) -> Array:
        """Return P(Y <= k) for every category but the last, shape (J - 1, ..., n)."""
        T = self.design[0]
        m = T.shape[1]
        thresholds = [sum(t * e for t, e in zip(row, eta[1 : m + 1], strict=True)) for row in T]
        with np.errstate(under="ignore", divide="ignore"):
            ends = [self._standard(a - eta[0], eta) for a in thresholds]
            latent = self.latent(eta)
            return np.stack([np.exp(latent.log_cdf(end)) for end in ends])

    def probabilities(self, eta: Sequence[Array]) -> Array:
        """Return the probability of each category, shape (J, ..., n)."""
        shape = np.broadcast_shapes(*(np.shape(each) for each in eta))
        whole = [np.broadcast_to(each, shape) for each in eta]
        every = [
            np.exp(self.log_density(np.full(shape[-1:], float(k)), whole))
            for k in range(self.categories or 2)
        ]
        return np.stack(every)

    def observed(self, y: Array) -> Array:
        """Return the category's number, counted from 1."""
        return y + 1.0

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return the expected number of the category, counted from 1."""
        return np.asarray(np.sum(1.0 - self.cumulative(eta), axis=0) + 1.0)

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return the variance of the number of the category."""
        p = self.probabilities(eta)
        numbers = np.arange(1.0, p.shape[0] + 1.0).reshape(-1, *(1,) * (p.ndim - 1))
        return np.asarray(np.sum(p * np.square(numbers - self.mean(eta)), axis=0))

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return numbers of categories, from 0."""
        below = self.cumulative(eta)
        return np.asarray(np.sum(rng.uniform(size=below.shape[1:]) > below, axis=0), np.float64)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return P(Y <= y) for numbers from 0."""
        below = self.cumulative(eta)
        ends = np.concatenate([np.zeros((1, *below.shape[1:])), below, np.ones_like(below[:1])])
        place = np.clip(np.floor(y) + 1.0, 0, below.shape[0] + 1).astype(np.intp)
        place = np.broadcast_to(place, below.shape[1:])
        return np.asarray(np.take_along_axis(ends, place[None], axis=0)[0])

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the thresholds that fit the shares of the categories."""
        T = self.design[0]
        counts = np.bincount(_codes(y), weights, len(T) + 1) + 0.5
        below = np.cumsum(counts)[:-1] / np.sum(counts)
        more = np.zeros(len(self.parameters) - 1 - T.shape[1])
        gamma = np.linalg.pinv(T) @ self.latent(list(more)).quantile(below)
        return np.concatenate([[0.0], gamma, more])

    def _ends(self) -> tuple[Array, Array]:
        """Return how the parameters move each category's upper and lower end, shape (J, m)."""
        T = self.design[0]
        none = np.zeros((1, T.shape[1]))
        return np.vstack([T, none]), np.vstack([none, T])

    def _interval(self, y: Array, eta: Sequence[Any]) -> Interval:
        codes, (upper, lower) = _codes(y), self._ends()
        first, last = codes == 0, codes == len(upper) - 1
        m = upper.shape[1]
        a = self._standard(_combined(upper, codes, eta[1 : m + 1]) - eta[0], eta)
        b = self._standard(_combined(lower, codes, eta[1 : m + 1]) - eta[0], eta)
        # a stand-in on the right side, whose terms are then left out
        return Interval(np.where(last, b + 1.0, a), np.where(first, a - 1.0, b), first, last)

    def _standard(self, end: Any, eta: Sequence[Any]) -> Any:
        """Return an end less the location in units of the scale."""
        return end * _rate(eta[self.design[0].shape[1] + 1]) if self.scaled else end


def _rate(log_scale: Any) -> Any:
    """Return one over the scale, within what doubles hold."""
    return np.exp(-np.minimum(np.maximum(log_scale, LEAST), MOST))


def _codes(y: Array) -> IntArray:
    return np.asarray(y, dtype=np.intp)


def _combined(design: Array, codes: IntArray, parameters: Sequence[Any]) -> Any:
    """Return the sum of each parameter times its weight in the row's category."""
    total: Any = 0.0
    for column, parameter in zip(design.T, parameters, strict=True):
        total = total + column[codes] * parameter
    return total
