"""Faulty twins of a family: as an object, in its derivatives, and far out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import twins_family_law as law
from scipy.special import expit, gammaln, log_expit
from twins_hurdle import LOGIT, Hurdle

from interlace_core.calculus.jets.numbers import compose
from interlace_core.calculus.links import LINKS, Log
from interlace_core.contract.family import Parameter
from interlace_core.messages.errors import ResponseError
from interlace_core.records import Derivatives

CAUCHIT = LINKS["cauchit"]


@dataclass(frozen=True)
class MeanLast(Hurdle):
    def _mu(self):
        return Parameter("mu", LINKS["log"], role="shape")


class CapabilityIsMethod(Hurdle):
    def observation_level_confounded(self):
        return False


class NegativeVariance(Hurdle):
    def latent_variance(self, eta):
        return np.float64(-1.0)


class OneWord(Hurdle):
    def ratio_words(self, k):
        return ("odds",)


class SumsInOneText(Hurdle):
    collapse_sums = "log(y)"


class StandsInForNothing(Hurdle):
    def intercept_stand_in(self):
        return np.ones(1)


class ThresholdsOfOthers(Hurdle):
    def threshold_matrix(self):
        return np.eye(3)


class NeedsArgument(Hurdle):
    def __init__(self, rate):
        super().__init__(rate=rate)


@dataclass(frozen=True)
class LinkNotNamed(Hurdle):
    link: str = "log"


@dataclass(frozen=True)
class LinkIgnored(Hurdle):
    links = ("log", "sqrt")

    link: str = "log"


@dataclass(frozen=True)
class DefaultLinkLast(Hurdle):
    links = ("sqrt", "log")

    link: str = "log"

    def _mu(self):
        return Parameter("mu", LINKS[self.link], role="mean")


@dataclass(frozen=True)
class IgnoresFixed(Hurdle):
    @property
    def parameters(self):
        return (self._mu(), Parameter("pi", LOGIT, role="zero"))


class CrookedInverse(Log):
    def eta(self, mu):
        return np.log(mu) + 1e-6


class CrookedDerivative(Log):
    def derivatives(self, eta):
        mu = np.exp(eta)
        return mu, mu, mu, 2.0 * mu


@dataclass(frozen=True)
class LinkNotInverted(Hurdle):
    def _mu(self):
        return Parameter("mu", CrookedInverse(), role="mean")


@dataclass(frozen=True)
class LinkDerivativeWrong(Hurdle):
    def _mu(self):
        return Parameter("mu", CrookedDerivative(), role="mean")


@dataclass(frozen=True)
class NaturalMeanAlone(Hurdle):
    def natural(self, eta):
        return super().natural(eta)[:1]


@dataclass(frozen=True)
class NaturalLosesJets(Hurdle):
    def natural(self, eta):
        return [np.array([float(e) for e in each]) for each in super().natural(eta)]


@dataclass(frozen=True)
class NaturalOutside(Hurdle):
    def natural(self, eta):
        mu, pi = super().natural(eta)
        return [mu, 100.0 * pi]


class HoldsLambda(Hurdle):
    def __init__(self):
        super().__init__()
        object.__setattr__(self, "square", lambda x: x * x)


@dataclass(frozen=True)
class BindChangesDensity(Hurdle):
    def bind(self, y):
        return replace(self, rate=2.0)


@dataclass(frozen=True)
class LearnsFromPart(Hurdle):
    def bind_part(self, y):
        return replace(self, rate=2.0) if np.ptp(y) == 0.0 else self


@dataclass(frozen=True)
class RefusesPart(Hurdle):
    def bind_part(self, y):
        if np.ptp(y) == 0.0:
            raise ResponseError("twin: a response that varies is expected")
        return self


@dataclass(frozen=True)
class StartsAtLogOfZero(Hurdle):
    def start(self, y, weights):
        with np.errstate(divide="ignore"):
            return np.array([np.log(np.average(y, weights=weights)), -1.0])


@dataclass(frozen=True)
class ChangesEta(Hurdle):
    def variance(self, eta):
        value = super().variance(eta)
        np.exp(eta[0], out=eta[0])
        return value


@dataclass(frozen=True)
class SinglePrecision(Hurdle):
    def variance(self, eta):
        return super().variance(eta).astype(np.float32)


@dataclass(frozen=True)
class SumsLeadingAxes(Hurdle):
    def mean(self, eta):
        return np.ravel(super().mean(eta)) if np.ndim(eta[0]) > 1 else super().mean(eta)


@dataclass(frozen=True)
class NeedsARow(Hurdle):
    def log_density(self, y, eta):
        return super().log_density(y, eta) + 0.0 * np.max(y)


@dataclass(frozen=True)
class SloppyDerivative(Hurdle):
    """Off in the ninth digit: too little for differences, enough for jets."""

    def derivatives(self, y, eta, order, wrt):
        got = super().derivatives(y, eta, order, wrt)
        factor = {(0, 0, 0): 1.0 + 5e-9}
        return Derivatives(got.value, {k: factor.get(k, 1.0) * v for k, v in got.partials.items()})


def crooked_exp(x):
    """The exponential with a third derivative that is off by half."""
    return compose(x, np.exp, np.exp, np.exp, lambda v: 0.5 * np.exp(v))


@dataclass(frozen=True)
class ComposedWrongly(Hurdle):
    """What it gives to compose() is wrong: jets believe it, differences do not."""

    def log_density(self, y, eta):
        count = log_expit(-eta[1]) + (y - 1.0) * eta[0] - crooked_exp(eta[0]) - gammaln(y)
        return np.where(y == 0, log_expit(eta[1]), count)


@dataclass(frozen=True)
class GivesTooMuch(Hurdle):
    def derivatives(self, y, eta, order, wrt):
        return super().derivatives(y, eta, order, (0, 1))


@dataclass(frozen=True)
class LeavesOut(Hurdle):
    def derivatives(self, y, eta, order, wrt):
        got = super().derivatives(y, eta, order, wrt)
        return Derivatives(got.value, {k: v for k, v in got.partials.items() if k != (1, 1)})


@dataclass(frozen=True)
class ClaimsConcavity(Hurdle):
    """With a cauchit link of pi: its logarithm is not concave."""

    @property
    def parameters(self):
        return (self._mu(), Parameter("pi", CAUCHIT, self.pi, role="zero"))

    def log_density(self, y, eta):
        return super().log_density(y, as_logit(eta))

    def mean(self, eta):
        return super().mean(as_logit(eta))

    def variance(self, eta):
        pi, mu = expit(as_logit(eta)[1]), np.exp(eta[0])
        return (1.0 - pi) * (mu + pi * np.square(1.0 + mu))

    def simulate(self, eta, rng):
        return super().simulate(as_logit(eta), rng)

    def cdf(self, y, eta):
        return super().cdf(y, as_logit(eta))


def as_logit(eta):
    """Return the predictors with that of pi on the logit scale."""
    return [eta[0], np.log(CAUCHIT.mu(eta[1])) - np.log(CAUCHIT.mu(-eta[1]))]


@dataclass(frozen=True)
class ClaimsTheWholeAlone(Hurdle):
    """Concave in both jointly, and yet in neither alone?"""

    def log_concave(self, wrt):
        return len(wrt) == 2


@dataclass(frozen=True)
class NaNFarOut(Hurdle):
    """log(exp(eta)) is eta up to 709, and inf - inf beyond."""

    def log_density(self, y, eta):
        count = log_expit(-eta[1]) + (y - 1.0) * np.log(np.exp(eta[0]))
        return np.where(y == 0, log_expit(eta[1]), count - np.exp(eta[0]) - gammaln(y))


@dataclass(frozen=True)
class MoreThanCertain(Hurdle):
    """Far out a zero has a probability above 1."""

    def log_density(self, y, eta):
        beyond = np.where(y == 0, np.maximum(eta[1] - 30.0, 0.0), 0.0)
        return super().log_density(y, eta) + beyond


@dataclass(frozen=True)
class ClipsTheSlope(Hurdle):
    """The value goes on, its derivatives stop at eta = 30."""

    def derivatives(self, y, eta, order, wrt):
        near = super().derivatives(y, [np.minimum(eta[0], 30.0), eta[1]], order, wrt)
        return Derivatives(np.asarray(self.log_density(y, eta)), near.partials)


TWINS = {
    "parameters are well formed": [MeanLast()],
    "capabilities are true or false": [CapabilityIsMethod()],
    "further answers are well formed": [
        NegativeVariance(),
        OneWord(),
        SumsInOneText(),
        StandsInForNothing(),
        ThresholdsOfOthers(),
    ],
    "is built without arguments": [NeedsArgument(1.0)],
    "links can be asked for": [LinkNotNamed(), LinkIgnored(), DefaultLinkLast()],
    "fixed parameters": [IgnoresFixed()],
    "links and their inverses": [LinkNotInverted()],
    "link derivatives": [LinkDerivativeWrong()],
    "natural parameters": [NaturalMeanAlone(), NaturalLosesJets(), NaturalOutside()],
    "can be pickled": [HoldsLambda()],
    "bind keeps the density": [BindChangesDensity()],
    "parts are bound as the whole": [LearnsFromPart(), RefusesPart()],
    "start is finite": [StartsAtLogOfZero()],
    "inputs stay as they are": [ChangesEta()],
    "shapes and precision": [SinglePrecision(), SumsLeadingAxes(), NeedsARow()],
    "derivatives match jets": [SloppyDerivative()],
    "derivatives match differences": [ComposedWrongly()],
    "derivatives are those asked for": [GivesTooMuch(), LeavesOut()],
    "log-concavity is real": [ClaimsConcavity(), ClaimsTheWholeAlone()],
    "values at extremes of eta": [NaNFarOut()],
    "branches at extremes of eta": [ClipsTheSlope()],
    "log-probabilities are at most 0": [MoreThanCertain()],
    "density sums to one": [law.LosesConstant()],
    "mean is that of the density": [law.WrongMean()],
    "variance is that of the density": [law.WrongVariance()],
    "simulated moments are those of the density": [law.WrongDraws(), law.WrongSpreadOfDraws()],
    "simulated responses are responses": [
        law.DrawsIntegers(),
        law.DrawsFromItsOwn(),
        law.DrawsOutside(),
    ],
    "cdf is a probability": [law.CdfBelowZero(), law.CdfFalls()],
    "cdf is that of the density": [law.CdfExcludesY()],
    "domain errors name the row": [
        law.AcceptsAnything(),
        law.RefusesWithoutRow(),
        law.RefusesWithoutCarryingRow(),
    ],
    "weights equal repeated rows": [law.DropsWeights()],
    "recession forms are those of the density": [law.FormsOfZerosAlone(), law.FormsUpsideDown()],
}
"""Faulty twins by the one check that each fails."""
