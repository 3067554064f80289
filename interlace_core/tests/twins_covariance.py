"""A covariance structure that passes the conformance kit, and faulty twins."""

from __future__ import annotations

import numpy as np

from interlace_core.contract.covariance import Covariance
from interlace_core.contract.held import HeldEntries
from interlace_core.contract.sequence import Chain


class Independent(Covariance):
    """Standard deviations, one per column."""

    name = "twin"
    crosses_bounds = True

    @property
    def n_theta(self):
        return self.size

    def template(self, theta):
        return np.diag(theta)

    def pullback(self, theta, dT):
        return np.diag(dT).copy()

    def start(self):
        return np.ones(self.size)

    def bounds(self):
        return np.zeros(self.size), np.full(self.size, np.inf)

    def canonical(self, theta):
        return np.abs(theta)

    def nearest(self, covariance):
        return np.sqrt(np.maximum(np.diag(covariance), 0.0))


class FarStart(Independent):
    def start(self):
        return np.full(self.size, 10.0)


class CapabilityIsMethod(Independent):
    def takes_levels_only(self):
        return False


class StartOnBound(Independent):
    def bounds(self):
        return np.zeros(self.size), np.ones(self.size)

    def nearest(self, covariance):
        return np.minimum(super().nearest(covariance), 1.0)


class RoundsTheta(Independent):
    def template(self, theta):
        theta[:] = np.round(theta, 12)
        return np.diag(theta)


class PullbackOff(Independent):
    def pullback(self, theta, dT):
        return 1.00001 * super().pullback(theta, dT)


class NearestVariance(Independent):
    def nearest(self, covariance):
        return np.diag(covariance).copy()


class NotMirrored(Independent):
    def canonical(self, theta):
        return theta


class LogScale(Independent):
    """A variance of zero is at minus infinity."""

    crosses_bounds = False

    def template(self, theta):
        return np.diag(np.exp(theta))

    def pullback(self, theta, dT):
        return np.diag(dT) * np.exp(theta)

    def start(self):
        return np.zeros(self.size)

    def bounds(self):
        return np.full(self.size, -np.inf), np.full(self.size, np.inf)

    def canonical(self, theta):
        return theta

    def nearest(self, covariance):
        return 0.5 * np.log(np.maximum(np.diag(covariance), 1e-200))


class HoldsLambda(Independent):
    def __init__(self, size):
        super().__init__(size)
        self.square = lambda x: x * x


class NamesRepeat(Independent):
    def names(self, columns):
        return ("sd",) * self.n_theta


class NaturalHasSigns(Independent):
    def natural(self, theta):
        return theta


class FollowsEverything(Independent):
    def rescaled(self, L):
        return np.diag(np.diagonal(L))


class Places(Independent):
    """Correlations `exp(-distance)` of places, and a standard deviation for all."""

    takes_levels_only = True

    def __init__(self, size, points=None):
        super().__init__(size)
        points = np.arange(size)[:, None] if points is None else points
        apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
        self.root = np.linalg.cholesky(np.exp(-apart))

    @classmethod
    def from_columns(cls, names, levels, frame, **options):
        return cls(len(names), np.column_stack(list(frame.values())) if frame else None)

    @property
    def n_theta(self):
        return 1

    def template(self, theta):
        return theta[0] * self.root

    def pullback(self, theta, dT):
        return np.array([np.sum(dT * self.root)])

    def start(self):
        return np.ones(1)

    def bounds(self):
        return np.zeros(1), np.full(1, np.inf)

    def nearest(self, covariance):
        return np.sqrt([np.trace(covariance) / self.size])


class PlacesByNumber(Places):
    @classmethod
    def from_columns(cls, names, levels, frame, **options):
        return cls(len(names))


class OfNoKind(Independent):
    def kinds(self):
        return ("variance",) * self.n_theta


class NaturalOfSquares(Independent):
    def from_natural(self, values):
        return np.square(values)


class Alike(Independent):
    """One standard deviation: a sequence of which nothing is carried on."""

    @property
    def n_theta(self):
        return 1

    def template(self, theta):
        return theta[0] * np.eye(self.size)

    def pullback(self, theta, dT):
        return np.array([np.trace(dT)])

    def start(self):
        return np.ones(1)

    def bounds(self):
        return np.zeros(1), np.full(1, np.inf)

    def nearest(self, covariance):
        return np.sqrt([np.trace(covariance) / self.size])

    def rescaled(self, L):
        return None

    def names(self, columns):
        return ("sd",)

    def kinds(self):
        return ("sd",)

    def chain(self, theta):
        return Chain(theta[0], np.zeros(self.size - 1), np.ones(self.size))

    def chain_pullback(self, theta, slopes):
        return np.array([slopes.scale])


class CarriesOn(Alike):
    def chain(self, theta):
        return Chain(theta[0], np.full(self.size - 1, 1e-9), np.ones(self.size))


class WithoutShocks(Alike):
    def chain(self, theta):
        return Chain(theta[0], np.zeros(self.size - 1), np.zeros(self.size))


class ChainPullbackOff(Alike):
    def chain_pullback(self, theta, slopes):
        return np.array([1.0001 * slopes.scale])


class PlacesOne(Independent):
    def placement(self):
        return np.zeros((1, 3), dtype=np.intp)


class HoldsNothing(Independent):
    def holding(self, held, names):
        return Independent(self.size)


class HoldsAnother(Independent):
    """Holds the first number, whichever it was asked for."""

    def holding(self, held, names):
        (k,) = held
        values = np.array(list(held.values()))
        entries = np.arange(1, self.size)
        theta = np.concatenate([values, np.ones(self.size - 1)])
        return HeldEntries(self, names, np.array([k]), entries, theta)


TWINS = {
    "start is near the identity": [FarStart],
    "capabilities are true or false": [CapabilityIsMethod],
    "natural parameters have names": [NamesRepeat, NaturalHasSigns],
    "natural parameters have kinds": [OfNoKind],
    "natural parameters lead back": [NaturalOfSquares],
    "other units are a linear map": [FollowsEverything],
    "placement is the template": [PlacesOne],
    "bounds hold the start": [StartOnBound],
    "template is finite and theta untouched": [RoundsTheta],
    "pullback matches differences": [PullbackOff],
    "a chain is the template": [CarriesOn, WithoutShocks, ChainPullbackOff],
    "held numbers stay": [HoldsNothing, HoldsAnother],
    "nearest finds its own": [NearestVariance],
    "canonical keeps the covariance": [NotMirrored],
    "a variance of zero is regular": [LogScale],
    "can be pickled": [HoldsLambda],
}
"""Faulty twins by the one check that each fails."""
