"""Faulty twins of a family whose density, draws or responses are wrong."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from twins_hurdle import Hurdle

from interlace_core.messages.errors import ResponseError
from interlace_core.records import Response


@dataclass(frozen=True)
class LosesConstant(Hurdle):
    def log_density(self, y, eta):
        return super().log_density(y, eta) + 0.1


@dataclass(frozen=True)
class WrongMean(Hurdle):
    def mean(self, eta):
        return expit(-eta[1]) * np.exp(eta[0])

    def variance(self, eta):
        return Hurdle().variance(eta)


@dataclass(frozen=True)
class WrongVariance(Hurdle):
    def variance(self, eta):
        return np.exp(eta[0]) + 0.0 * eta[1]


@dataclass(frozen=True)
class WrongDraws(Hurdle):
    def simulate(self, eta, rng):
        return super().simulate([eta[0] + 0.1, eta[1]], rng)


@dataclass(frozen=True)
class WrongSpreadOfDraws(Hurdle):
    """The mean is right, the variance is not: all mass on one count and 0."""

    def simulate(self, eta, rng):
        mean = self.mean(eta)
        return np.floor(mean) + (rng.uniform(size=mean.shape) < mean - np.floor(mean))


@dataclass(frozen=True)
class DrawsIntegers(Hurdle):
    def simulate(self, eta, rng):
        return super().simulate(eta, rng).astype(np.int64)


SEEDS = itertools.count()


@dataclass(frozen=True)
class DrawsFromItsOwn(Hurdle):
    def simulate(self, eta, rng):
        return super().simulate(eta, np.random.default_rng(next(SEEDS)))


@dataclass(frozen=True)
class DrawsOutside(Hurdle):
    """One draw is below the support: no moment shows it."""

    def simulate(self, eta, rng):
        draws = super().simulate(eta, rng)
        draws[:1] = -1.0
        return draws


@dataclass(frozen=True)
class CdfBelowZero(Hurdle):
    def cdf(self, y, eta):
        return np.where(y < 0, -0.1, super().cdf(y, eta))


@dataclass(frozen=True)
class CdfFalls(Hurdle):
    def cdf(self, y, eta):
        return np.where(y > 1000, 0.5, super().cdf(y, eta))


@dataclass(frozen=True)
class CdfExcludesY(Hurdle):
    def cdf(self, y, eta):
        return super().cdf(y - 1.0, eta)


@dataclass(frozen=True)
class AcceptsAnything(Hurdle):
    def check_response(self, y, weights):
        return Response(y, weights)


@dataclass(frozen=True)
class RefusesWithoutRow(Hurdle):
    def check_response(self, y, weights):
        try:
            return super().check_response(y, weights)
        except ValueError as error:
            raise type(error)("twin: counts expected, other values given") from None


@dataclass(frozen=True)
class RefusesWithoutCarryingRow(Hurdle):
    def check_response(self, y, weights):
        try:
            return super().check_response(y, weights)
        except ResponseError as error:
            raise ResponseError(str(error)) from None


@dataclass(frozen=True)
class DropsWeights(Hurdle):
    def check_response(self, y, weights):
        return super().check_response(y, None)


@dataclass(frozen=True)
class FormsOfZerosAlone(Hurdle):
    """As if a positive count did not depend on its predictors."""

    def recession_forms(self, y):
        rows = np.flatnonzero(y == 0)
        return rows, np.resize([0.0, 1.0], (rows.size, 2))


@dataclass(frozen=True)
class FormsUpsideDown(Hurdle):
    """Right but for the sign of the zeros' form."""

    def recession_forms(self, y):
        zeros, ones, more = (np.flatnonzero(each) for each in (y == 0, y == 1, y > 1))
        rows = np.concatenate([zeros, ones, more, more, ones, more])
        forms = [
            *[(0.0, -1.0)] * zeros.size,
            *[(-1.0, 0.0)] * (ones.size + more.size),
            *[(1.0, 0.0)] * more.size,
            *[(0.0, -1.0)] * (ones.size + more.size),
        ]
        return rows, np.array(forms)
