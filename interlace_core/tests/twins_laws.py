"""One family per kind of support, right and with a constant lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, expit, gammaln, log_expit, ndtr

from interlace_core.calculus.links import LINKS
from interlace_core.contract.family import Family, Parameter
from interlace_core.families.responses import require, require_counts
from interlace_core.records import Derivatives, Response


class Plain(Family):
    """Responses as they are; a lost constant makes the faulty twin."""

    lost = 0.0

    def start(self, y, weights):
        return np.zeros(len(self.parameters))


def mean_and(link, *others):
    """Return the parameters: the mean with a link, the others with log links."""
    log = LINKS["log"]
    return (Parameter("mu", LINKS[link], role="mean"), *(Parameter(name, log) for name in others))


@dataclass(frozen=True)
class OnTheLine(Plain):
    """Normal."""

    name = "on-the-line"
    support = "real"
    parameters = mean_and("identity", "sigma")
    lost: float = 0.0

    def log_density(self, y, eta):
        half_log_2pi = 0.5 * np.log(2.0 * np.pi) + self.lost
        return -half_log_2pi - eta[1] - 0.5 * np.square((y - eta[0]) * np.exp(-eta[1]))

    def mean(self, eta):
        return np.asarray(eta[0])

    def cdf(self, y, eta):
        return ndtr((y - eta[0]) * np.exp(-eta[1]))


@dataclass(frozen=True)
class Exponential(Plain):
    name = "exponential"
    support = "positive"
    parameters = mean_and("log")
    lost: float = 0.0

    def check_response(self, y, weights):
        require(self, y > 0, y, "positive numbers")
        return Response(y, weights)

    def log_density(self, y, eta):
        return -eta[0] - y * np.exp(-eta[0]) + self.lost

    def mean(self, eta):
        return np.exp(eta[0])

    def variance(self, eta):
        return np.exp(2.0 * eta[0])

    def cdf(self, y, eta):
        return -np.expm1(-np.maximum(y, 0.0) * np.exp(-eta[0]))


@dataclass(frozen=True)
class ExponentialOrZero(Plain):
    """0 with probability 0.3, else exponential."""

    name = "exponential-or-zero"
    support = "non-negative"
    parameters = mean_and("log")
    lost: float = 0.0

    def check_response(self, y, weights):
        require(self, y >= 0, y, "numbers of 0 or more")
        return Response(y, weights)

    def log_density(self, y, eta):
        above = np.log(0.7) - eta[0] - y * np.exp(-eta[0])
        return np.where(y == 0, np.log(0.3), above) + self.lost

    def mean(self, eta):
        return 0.7 * np.exp(eta[0])

    def cdf(self, y, eta):
        above = 1.0 - 0.7 * np.exp(-np.maximum(y, 0.0) * np.exp(-eta[0]))
        return np.where(y < 0, 0.0, above)


@dataclass(frozen=True)
class Share(Plain):
    """Beta."""

    name = "share"
    support = "unit interval"
    parameters = mean_and("logit", "phi")
    lost: float = 0.0

    def check_response(self, y, weights):
        require(self, (y > 0) & (y < 1), y, "numbers between 0 and 1")
        return Response(y, weights)

    def log_density(self, y, eta):
        phi = np.exp(eta[1])
        a, b = expit(eta[0]) * phi, expit(-eta[0]) * phi
        return (a - 1.0) * np.log(y) + (b - 1.0) * np.log1p(-y) - betaln(a, b) + self.lost

    def mean(self, eta):
        return expit(eta[0])


@dataclass(frozen=True)
class ShareOrAll(Plain):
    """0 and 1 with probability 0.2 and 0.1, else uniform: the mean is a constant."""

    name = "share-or-all"
    support = "closed unit interval"
    parameters = mean_and("logit")
    lost: float = 0.0

    def check_response(self, y, weights):
        require(self, (y >= 0) & (y <= 1), y, "numbers from 0 to 1")
        return Response(y, weights)

    def log_density(self, y, eta):
        at_end = np.where(y == 0, np.log(0.2), np.log(0.1))
        return np.where((y > 0) & (y < 1), np.log(0.7), at_end) + self.lost + 0.0 * eta[0]

    def mean(self, eta):
        return np.full(np.shape(eta[0]), 0.1 + 0.35)

    def cdf(self, y, eta):
        inside = np.where(y < 1, 0.2 + 0.7 * y, 1.0)
        return np.where(y < 0, 0.0, inside) + 0.0 * eta[0]


@dataclass(frozen=True)
class AtLeastOne(Plain):
    """1 + a Poisson count."""

    name = "at-least-one"
    support = "positive counts"
    parameters = mean_and("log")
    lost: float = 0.0

    def check_response(self, y, weights):
        require_counts(self, y)
        require(self, y > 0, y, "counts 1, 2, 3, ...")
        return Response(y, weights)

    def log_density(self, y, eta):
        return (y - 1.0) * eta[0] - np.exp(eta[0]) - gammaln(y) + self.lost

    def mean(self, eta):
        return 1.0 + np.exp(eta[0])


@dataclass(frozen=True)
class Trials(Plain):
    """Successes among trials, as pairs (successes, trials)."""

    name = "successes"
    support = "trials"
    response_forms = frozenset({"pair"})
    parameters = mean_and("logit")
    lost: float = 0.0

    def check_response(self, y, weights):
        require(self, (y >= 0).all(axis=1), y.min(axis=1), "successes and failures >= 0")
        return Response(np.column_stack([y[:, 0], y.sum(axis=1)]), weights)

    def observed(self, y):
        return y[:, 0] / y[:, 1]

    def log_density(self, y, eta):
        s, n = y[:, 0], y[:, 1]
        choose = gammaln(n + 1.0) - gammaln(s + 1.0) - gammaln(n - s + 1.0) + self.lost
        return choose + s * log_expit(eta[0]) + (n - s) * log_expit(-eta[0])

    def mean(self, eta):
        return expit(eta[0])

    def cdf(self, y, eta):
        from scipy.special import bdtr

        return bdtr(y[:, 0], y[:, 1].astype(np.int64), expit(eta[0]))


@dataclass(frozen=True)
class FourSteps(Plain):
    """Codes 0 to 3 of ordered categories: 3 trials in disguise, the number known once bound."""

    name = "four-steps"
    support = "categories"
    parameters = mean_and("logit")
    lost: float = 0.0

    def check_response(self, y, weights):
        require_counts(self, y)
        require(self, y <= 3, y, "codes 0, 1, 2, 3")
        return Response(y, weights)

    def log_density(self, y, eta):
        choose = np.where((y == 1) | (y == 2), np.log(3.0), 0.0) + self.lost
        return choose + y * log_expit(eta[0]) + (3.0 - y) * log_expit(-eta[0])

    def mean(self, eta):
        return 3.0 * expit(eta[0])


@dataclass(frozen=True)
class OwnSeries(OnTheLine):
    """Uses a function without a rule for jets, and gives its derivatives itself."""

    def log_density(self, y, eta):
        return np.nan_to_num(super().log_density(y, eta), nan=np.nan, posinf=np.inf, neginf=-np.inf)

    def derivatives(self, y, eta, order, wrt):
        got = OnTheLine(self.lost).derivatives(y, eta, order, wrt)
        return Derivatives(got.value, got.partials)


@dataclass(frozen=True)
class NormalOrZero(OnTheLine):
    """0 with probability 0.3, else normal."""

    name = "normal-or-zero"
    support = "real with 0"

    def log_density(self, y, eta):
        other = np.log(0.7) + super().log_density(y, eta)
        return np.where(y == 0, np.log(0.3) - self.lost + 0.0 * other, other)

    def mean(self, eta):
        return 0.7 * np.asarray(eta[0])

    def cdf(self, y, eta):
        return 0.3 * (y >= 0) + 0.7 * super().cdf(y, eta)


@dataclass(frozen=True)
class UniformOrZero(Plain):
    """0, or anywhere below 1 alike."""

    name = "uniform-or-zero"
    support = "unit interval with 0"
    parameters = mean_and("identity")
    lost: float = 0.0

    def check_response(self, y, weights):
        require(self, (y >= 0) & (y < 1), y, "at least 0 and below 1")
        return Response(y, weights)

    def log_density(self, y, eta):
        return np.where(y == 0, log_expit(eta[0]), log_expit(-eta[0])) + self.lost

    def mean(self, eta):
        return 0.5 * expit(-eta[0])

    def cdf(self, y, eta):
        inside = expit(eta[0]) + expit(-eta[0]) * np.clip(y, 0.0, 1.0)
        return np.where(y < 0, 0.0, np.minimum(inside, 1.0))


KINDS = [
    OnTheLine, Exponential, ExponentialOrZero, Share, ShareOrAll, AtLeastOne, Trials, FourSteps,
    NormalOrZero, UniformOrZero, OwnSeries,
]  # fmt: skip
