"""How data of each family are drawn, and its density in plain SciPy, apart from the library's.

Further parameters are on unconstrained scales: `extra[j]` is the logarithm of a positive parameter,
the logit of a probability. Where the maximum lies does not depend on that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, Array, Sequence[Array]], Array]
Density = Callable[[Array, Array, Sequence[Array]], Array]


@dataclass(frozen=True)
class Recipe:
    """A family of responses.

    Attributes
    ----------
    draw : callable
        `draw(rng, eta, extra)` returns responses, shape (n,). Of a distribution of trials, and of
        ordered categories, see `models`.
    extra : tuple of float
        Usual values of the further parameters.
    limit : tuple of float
        Values next to a limit of the family; empty if it has none.
    density : callable or None
        `density(y, eta, extra)` returns log-densities, shape of y and eta broadcast.
    discrete : bool
        A log-likelihood above 0 is impossible.
    r : str or None
        The family in R; "ordinal" and "lmer" for engines of their own.
    zero : bool
        The last further parameter is a zero part, which R has as a formula of its own.
    dispersion : bool
        The first further parameter takes `dispformula`.
    intercept : float
        Of the mean's predictor.
    most : int
        Rows at most: what R, or we, take a minute over is no use here.
    """

    draw: Draw
    extra: tuple[float, ...] = ()
    limit: tuple[float, ...] = ()
    density: Density | None = None
    discrete: bool = False
    r: str | None = None
    zero: bool = False
    dispersion: bool = False
    intercept: float = 0.8
    most: int = 3000


def log1mexp(x: Array) -> Array:
    """Return log(1 - exp(x)) for x < 0."""
    with np.errstate(divide="ignore"):
        return np.where(x > -0.7, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


def poisson(y: Array, eta: Array, extra: Sequence[Array]) -> Array:
    """Poisson, log link."""
    return y * eta - np.exp(eta) - special.gammaln(y + 1)


def nb(y: Array, eta: Array, theta: Array) -> Array:
    """Negative binomial of size theta, an array that may depend on the mean."""
    choose = -np.log(y + theta) - special.betaln(theta, y + 1)
    ratio = np.exp(eta) / theta
    return choose - theta * np.log1p(ratio) + y * (np.log(ratio) - np.log1p(ratio))


def nb2(y: Array, eta: Array, extra: Sequence[Array]) -> Array:
    """NB2: variance mu + mu^2 / theta."""
    return nb(y, eta, np.exp(extra[0]) + 0 * eta)


def nb1(y: Array, eta: Array, extra: Sequence[Array]) -> Array:
    """NB1: variance mu (1 + alpha)."""
    return nb(y, eta, np.exp(eta - extra[0]))


def nb12(y: Array, eta: Array, extra: Sequence[Array]) -> Array:
    """Variance mu (1 + phi + mu / psi)."""
    return nb(y, eta, 1.0 / (np.exp(extra[0] - eta) + np.exp(-extra[1])))


def truncated(base: Density) -> Density:
    """Return the density given that y > 0."""
    return lambda y, eta, extra: base(y, eta, extra) - log1mexp(base(0 * y, eta, extra))


def hurdle(base: Density) -> Density:
    """Return the density with P(y = 0) = expit(extra[-1])."""

    def density(y: Array, eta: Array, extra: Sequence[Array]) -> Array:
        z = extra[-1] + 0 * eta
        positive = special.log_expit(-z) + truncated(base)(np.maximum(y, 1), eta, extra)
        return np.where(y == 0, special.log_expit(z), positive)

    return density


def inflated(base: Density) -> Density:
    """Return the density with zeros added with probability expit(extra[-1])."""

    def density(y: Array, eta: Array, extra: Sequence[Array]) -> Array:
        z = extra[-1] + 0 * eta
        counted = special.log_expit(-z) + base(y, eta, extra)
        return np.where(y == 0, np.logaddexp(special.log_expit(z), counted), counted)

    return density


def genpois(y: Array, eta: Array, extra: Sequence[Array]) -> Array:
    """Generalised Poisson: variance mu phi."""
    root = np.exp(-0.5 * extra[0])
    rate = np.exp(eta) * root + (1 - root) * y
    with np.errstate(invalid="ignore", divide="ignore"):
        log = eta + np.log(root) + (y - 1) * np.log(rate) - rate - special.gammaln(y + 1)
    return np.where(rate > 0, log, -np.inf)


def beta(y: Array, eta: Array, extra: Sequence[Array]) -> Array:
    """Beta with mean expit(eta), precision phi."""
    mu, phi = special.expit(eta), np.exp(extra[0])
    a, b = mu * phi, (1 - mu) * phi
    return special.xlogy(a - 1, y) + special.xlog1py(b - 1, -y) - special.betaln(a, b)


def ordered_beta(y: Array, eta: Array, extra: Sequence[Array]) -> Array:
    """Zeros and ones beyond two cut points of the predictor, beta between."""
    low, high = eta - extra[1], eta - extra[1] - np.exp(extra[2])
    inner = beta(np.clip(y, 1e-12, 1 - 1e-12), eta, extra)
    with np.errstate(divide="ignore"):
        inner = inner + np.log(special.expit(low) - special.expit(high))
    inner = np.where(y >= 1, special.log_expit(high), inner)
    return np.where(y <= 0, special.log_expit(-low), inner)


def zero_one_beta(y: Array, eta: Array, extra: Sequence[Array]) -> Array:
    """Zeros and ones with probabilities of their own."""
    total = np.logaddexp(np.logaddexp(0.0, extra[1]), extra[2])
    inner = beta(np.clip(y, 1e-12, 1 - 1e-12), eta, extra) - total
    ends = np.where(y <= 0, extra[1] - total, extra[2] - total)
    return np.where((y <= 0) | (y >= 1), ends + 0 * eta, inner)


def gamma(y: Array, eta: Array, extra: Sequence[Array]) -> Array:
    """Gamma with a shape, log link."""
    k = np.exp(extra[0])
    return k * (np.log(k) - eta) - special.gammaln(k) + (k - 1) * np.log(y) - k * y * np.exp(-eta)


def gaussian(y: Array, eta: Array, extra: Sequence[Array]) -> Array:
    """Normal."""
    return -0.5 * np.square((y - eta) * np.exp(-extra[0])) - extra[0] - 0.5 * np.log(2 * np.pi)


def student(y: Array, eta: Array, extra: Sequence[Array]) -> Array:
    """t with a scale and degrees of freedom."""
    return stats.t.logpdf((y - eta) * np.exp(-extra[0]), np.exp(extra[1])) - extra[0]


def skew_normal(y: Array, eta: Array, extra: Sequence[Array]) -> Array:
    """Skew normal by mean, standard deviation, and shape."""
    a = extra[1]
    d = a / np.sqrt(1 + a * a)
    omega = np.exp(extra[0]) / np.sqrt(1 - 2 * d * d / np.pi)
    z = (y - eta) / omega + d * np.sqrt(2 / np.pi)
    normal = -0.5 * z * z - 0.5 * np.log(2 * np.pi)
    return np.log(2) + normal + special.log_ndtr(a * z) - np.log(omega)


def inverse_gaussian(y: Array, eta: Array, extra: Sequence[Array]) -> Array:
    """Variance mu^3 phi, log link."""
    mu, phi = np.exp(eta), np.exp(extra[0])
    return -0.5 * np.log(2 * np.pi * phi * y**3) - np.square(y - mu) / (2 * phi * mu**2 * y)


def lognormal(y: Array, eta: Array, extra: Sequence[Array]) -> Array:
    """Log-normal by its mean exp(eta) and the standard deviation of log y."""
    v = np.exp(2 * extra[0])
    return gaussian(np.log(y), eta - 0.5 * v, extra) - np.log(y)


def lognormal_sd(y: Array, eta: Array, extra: Sequence[Array]) -> Array:
    """Log-normal by mean and standard deviation of y."""
    v = np.log1p(np.exp(2 * (extra[0] - eta)))
    return gaussian(np.log(y), eta - 0.5 * v, [0.5 * np.log(v)]) - np.log(y)


def beta_binomial(y: Array, eta: Array, extra: Sequence[Array]) -> Array:
    """Beta-binomial; y is (successes + i trials)."""
    s, n = y.real, y.imag
    mu, phi = special.expit(eta), np.exp(extra[0])
    a, b = mu * phi, (1 - mu) * phi
    return log_choose(n, s) + special.betaln(s + a, n - s + b) - special.betaln(a, b)


def binomial(y: Array, eta: Array, extra: Sequence[Array]) -> Array:
    """Binomial, logit link; y is (successes + i trials)."""
    s, n = y.real, y.imag
    return log_choose(n, s) + s * special.log_expit(eta) + (n - s) * special.log_expit(-eta)


def log_choose(n: Array, k: Array) -> Array:
    """Return the logarithm of the binomial coefficient."""
    return -special.betaln(n - k + 1, k + 1) - np.log(n + 1)


def draw_nb(rng: np.random.Generator, eta: Array, theta: Array) -> Array:
    """Draw a Poisson count with a gamma mean."""
    return rng.poisson(np.exp(eta) * rng.gamma(theta, 1 / theta)).astype(float)


def draw_poisson(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
    """Draw a Poisson count."""
    return rng.poisson(np.exp(eta)).astype(float)


def draw_nb2(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
    """Draw of NB2."""
    return draw_nb(rng, eta, np.exp(extra[0]) + 0 * eta)


def draw_nb1(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
    """Draw of NB1."""
    return draw_nb(rng, eta, np.exp(eta - extra[0]))


def draw_nb12(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
    """Draw of NB12."""
    return draw_nb(rng, eta, 1.0 / (np.exp(extra[0] - eta) + np.exp(-extra[1])))


def positive(base: Draw) -> Draw:
    """Return a draw given that y > 0."""

    def draw(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
        y = base(rng, eta, extra)
        for _ in range(50):
            y = np.where(y > 0, y, base(rng, eta, extra))
        return np.maximum(y, 1.0)

    return draw


def with_zeros(base: Draw) -> Draw:
    """Return a draw that is 0 with probability expit(extra[-1])."""

    def draw(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
        zero = rng.random(eta.size) < special.expit(extra[-1])
        return np.where(zero, 0.0, base(rng, eta, extra))

    return draw


def draw_genpois(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
    """Draw the whole progeny of Poisson founders, each with Poisson children."""
    root = np.exp(-0.5 * extra[0])
    generation = rng.poisson(np.exp(eta) * root)
    total = generation.astype(float)
    while generation.any():
        generation = rng.poisson((1 - root) * generation)
        total += generation
    return total


def draw_compois(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
    """Draw of the Conway-Maxwell distribution with mean next to exp(eta)."""
    nu = np.exp(-extra[0])
    rate = nu * np.log(np.maximum(np.exp(eta) + (nu - 1) / (2 * nu), 0.05))
    k = np.arange(300.0)
    log = k * np.reshape(rate, (-1, 1)) - np.reshape(nu + 0 * eta, (-1, 1)) * special.gammaln(k + 1)
    p = np.cumsum(np.exp(log - special.logsumexp(log, axis=1, keepdims=True)), axis=1)
    return np.sum(p < rng.random((eta.size, 1)), axis=1).astype(float)


def draw_tweedie(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
    """Draw a Poisson number of gamma sizes."""
    mu, phi, p = np.exp(eta), np.exp(extra[0]), 1 + special.expit(extra[1])
    number = rng.poisson(mu ** (2 - p) / (phi * (2 - p)))
    shape = np.maximum(number, 1e-9) * (2 - p) / (p - 1)
    return np.where(number > 0, rng.gamma(shape) * phi * (p - 1) * mu ** (p - 1), 0.0)


def draw_beta(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
    """Draw of beta, kept from the ends."""
    mu, phi = special.expit(eta), np.exp(extra[0])
    return np.clip(rng.beta(mu * phi, (1 - mu) * phi), 1e-6, 1 - 1e-6)


def draw_ordered_beta(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
    """Draw of ordered beta."""
    t, y = rng.random(eta.size), draw_beta(rng, eta, extra)
    y = np.where(t < special.expit(extra[1] - eta), 0.0, y)
    return np.where(t > special.expit(extra[1] + np.exp(extra[2]) - eta), 1.0, y)


def draw_zero_one(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
    """Draw of beta with zeros and ones."""
    total = 1 + np.exp(extra[1]) + np.exp(extra[2])
    t, y = rng.random(eta.size), draw_beta(rng, eta, extra)
    y = np.where(t < np.exp(extra[1]) / total, 0.0, y)
    return np.where(t > 1 - np.exp(extra[2]) / total, 1.0, y)


def draw_gamma(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
    """Draw of gamma."""
    k = np.exp(extra[0]) + 0 * eta
    return np.maximum(rng.gamma(k) * np.exp(eta) / k, 1e-8)


def draw_gaussian(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
    """Draw of the normal."""
    return eta + np.exp(extra[0]) * rng.standard_normal(eta.size)


def draw_student(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
    """Draw of t."""
    nu = np.exp(extra[1])
    t = rng.standard_normal(eta.size) / np.sqrt(2 * rng.gamma(nu / 2, size=eta.size) / nu)
    return eta + np.exp(extra[0]) * t


def draw_skew(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
    """Draw of the skew normal."""
    a = extra[1]
    d = a / np.sqrt(1 + a * a)
    u = d * np.abs(rng.standard_normal(eta.size))
    u = u + np.sqrt(1 - d * d) * rng.standard_normal(eta.size) - d * np.sqrt(2 / np.pi)
    return eta + np.exp(extra[0]) * u / np.sqrt(1 - 2 * d * d / np.pi)


def draw_wald(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
    """Draw of the inverse Gaussian."""
    return np.maximum(rng.wald(np.exp(eta), np.exp(-extra[0]) + 0 * eta), 1e-8)


def draw_lognormal(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
    """Draw of the log-normal with a constant standard deviation of log y."""
    s = np.exp(extra[0])
    return np.exp(eta - 0.5 * s * s + s * rng.standard_normal(eta.size))


def draw_binomial(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
    """Draw successes of the trials in `extra[-1]`; y is (successes + i trials)."""
    n = extra[-1].astype(int)
    return rng.binomial(n, special.expit(eta)) + 1j * n


def draw_beta_binomial(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
    """Draw successes of the trials in `extra[-1]`, each row with a probability of its own."""
    n = extra[-1].astype(int)
    return rng.binomial(n, draw_beta(rng, eta, extra)) + 1j * n


def draw_ordered(rng: np.random.Generator, eta: Array, extra: Sequence[Array]) -> Array:
    """Draw one of four categories, a logistic variable cut at -1, 0.3 and 1.5."""
    u = rng.random(eta.size)
    return np.digitize(eta + np.log(u / (1 - u)), [-1.0, 0.3, 1.5]).astype(float)


def count(draw: Draw, density: Density | None, **rest: object) -> Recipe:
    """Return the recipe of a family of counts."""
    return Recipe(draw=draw, density=density, discrete=True, **rest)  # type: ignore[arg-type]


NB = {"dispersion": True}
ZERO = {"zero": True}

RECIPES: dict[str, Recipe] = {
    "poisson": count(draw_poisson, poisson, r="poisson"),
    "negativebinomial": count(draw_nb2, nb2, extra=(0.6,), limit=(12.0,), r="nbinom2", **NB),
    "negativebinomial1": count(draw_nb1, nb1, extra=(0.2,), limit=(-12.0,), r="nbinom1", **NB),
    "negativebinomial12": count(
        draw_nb12, nb12, extra=(-0.5, 1.0), limit=(-12.0, 1.0), most=600, **NB
    ),
    "genpois": count(draw_genpois, genpois, extra=(0.8,), r="genpois", most=400, **NB),
    "compois": count(draw_compois, None, extra=(0.4,), r="compois", most=150, **NB),
    "truncated_genpois": count(
        positive(draw_genpois), truncated(genpois), extra=(0.8,), most=300, **NB
    ),
    "truncated_compois": count(positive(draw_compois), None, extra=(0.4,), most=120, **NB),
    "hurdle_genpois": count(
        with_zeros(positive(draw_genpois)),
        hurdle(genpois),
        extra=(0.8, -0.7),
        most=300,
        **NB,
        **ZERO,
    ),
    "hurdle_compois": count(
        with_zeros(positive(draw_compois)), None, extra=(0.4, -0.7), most=120, **NB, **ZERO
    ),
    "zeroinflated_genpois": count(
        with_zeros(draw_genpois),
        inflated(genpois),
        extra=(0.8, -0.8),
        limit=(0.8, -30.0),
        most=300,
        **NB,
        **ZERO,
    ),
    "zeroinflated_compois": count(
        with_zeros(draw_compois), None, extra=(0.4, -0.8), most=120, **NB, **ZERO
    ),
    "truncated_poisson": count(positive(draw_poisson), truncated(poisson), r="truncated_poisson"),
    "truncated_negativebinomial": count(
        positive(draw_nb2),
        truncated(nb2),
        extra=(0.6,),
        limit=(12.0,),
        r="truncated_nbinom2",
        most=1200,
        **NB,
    ),
    "truncated_negativebinomial1": count(
        positive(draw_nb1),
        truncated(nb1),
        extra=(0.2,),
        limit=(-12.0,),
        r="truncated_nbinom1",
        most=1200,
        **NB,
    ),
    "hurdle_poisson": count(
        with_zeros(positive(draw_poisson)),
        hurdle(poisson),
        extra=(-0.7,),
        r="truncated_poisson",
        **ZERO,
    ),
    "hurdle_negativebinomial": count(
        with_zeros(positive(draw_nb2)),
        hurdle(nb2),
        extra=(0.6, -0.7),
        limit=(12.0, -0.7),
        r="truncated_nbinom2",
        most=1500,
        **NB,
        **ZERO,
    ),
    "hurdle_negativebinomial1": count(
        with_zeros(positive(draw_nb1)),
        hurdle(nb1),
        extra=(0.2, -0.7),
        limit=(-12.0, -0.7),
        r="truncated_nbinom1",
        most=1500,
        **NB,
        **ZERO,
    ),
    "zeroinflated_poisson": count(
        with_zeros(draw_poisson),
        inflated(poisson),
        extra=(-0.8,),
        limit=(-30.0,),
        r="poisson",
        **ZERO,
    ),
    "zeroinflated_negativebinomial": count(
        with_zeros(draw_nb2),
        inflated(nb2),
        extra=(0.9, -0.8),
        limit=(0.9, -30.0),
        r="nbinom2",
        most=1500,
        **NB,
        **ZERO,
    ),
    "zeroinflated_negativebinomial1": count(
        with_zeros(draw_nb1),
        inflated(nb1),
        extra=(0.2, -0.8),
        limit=(0.2, -30.0),
        r="nbinom1",
        most=1500,
        **NB,
        **ZERO,
    ),
    "binomial": count(draw_binomial, binomial, r="binomial", intercept=-0.3),
    "betabinomial": count(
        draw_beta_binomial,
        beta_binomial,
        extra=(1.5,),
        limit=(12.0,),
        r="betabinomial",
        intercept=-0.3,
        **NB,
    ),
    "cumulative": count(draw_ordered, None, r="ordinal", intercept=0.0, most=600),
    "beta": Recipe(
        draw_beta, (1.5,), density=beta, r="beta_family", dispersion=True, intercept=0.2
    ),
    "ordered_beta": Recipe(
        draw_ordered_beta, (1.5, -1.5, 1.1), density=ordered_beta, r="ordbeta", intercept=0.2,
        dispersion=True, most=1000,
    ),
    "zerooneinflated_beta": Recipe(
        draw_zero_one, (1.5, -1.5, -1.5), density=zero_one_beta, intercept=0.2, dispersion=True,
        most=1000,
    ),
    "gamma": Recipe(draw_gamma, (0.8,), density=gamma, r='Gamma(link = "log")', dispersion=True),
    "gaussian": Recipe(draw_gaussian, (0.0,), density=gaussian, r="gaussian", dispersion=True),
    "linear": Recipe(draw_gaussian, (0.0,), r="lmer"),
    "student_t": Recipe(
        draw_student, (0.0, 1.4), (0.0, 9.0), student, r="t_family", dispersion=True, most=800
    ),
    "skewnormal": Recipe(
        draw_skew, (0.0, 2.0), (0.0, 0.0), skew_normal, dispersion=True, most=400
    ),
    "inversegaussian": Recipe(draw_wald, (-1.5,), density=inverse_gaussian, dispersion=True),
    "lognormal": Recipe(draw_lognormal, (-0.5,), density=lognormal, dispersion=True),
    "lognormal_sd": Recipe(draw_lognormal, (-0.5,), density=lognormal_sd, dispersion=True),
    "tweedie": Recipe(
        draw_tweedie, (0.3, 0.0), (-2.0, -5.0), r="tweedie", dispersion=True, most=300
    ),
}  # fmt: skip
"""By the names of the registry; and `linear`, which `interlace.fit` fits."""
