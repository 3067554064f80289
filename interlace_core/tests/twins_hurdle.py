"""A family that passes the conformance kit; its faulty twins are in the files beside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, gammaln, log_expit, pdtr

from interlace_core.calculus.links import LINKS
from interlace_core.contract.family import Family, Parameter
from interlace_core.families.responses import require_counts
from interlace_core.records import Response

LOGIT = LINKS["logit"]


@dataclass(frozen=True)
class Hurdle(Family):
    """0 with probability pi, else 1 + a Poisson count with mean rate * exp(eta)."""

    name = "twin"
    support = "counts"

    pi: float | None = None
    rate: float = 1.0

    @property
    def parameters(self):
        return (self._mu(), Parameter("pi", LOGIT, self.pi, role="zero"))

    def _mu(self):
        return Parameter("mu", LINKS["log"], role="mean")

    def check_response(self, y, weights):
        require_counts(self, y)
        return Response(y, weights)

    def log_density(self, y, eta):
        log_mu = eta[0] + np.log(self.rate)
        count = log_expit(-eta[1]) + (y - 1.0) * log_mu - np.exp(log_mu) - gammaln(y)
        return np.where(y == 0, log_expit(eta[1]), count)

    def log_concave(self, wrt):
        return True

    def mean(self, eta):
        return expit(-eta[1]) * (1.0 + self.rate * np.exp(eta[0]))

    def conditional_mean(self, eta):
        return 1.0 + self.rate * np.exp(eta[0])

    def variance(self, eta):
        mu = self.rate * np.exp(eta[0])
        return expit(-eta[1]) * (mu + np.square(1.0 + mu)) - np.square(self.mean(eta))

    def simulate(self, eta, rng):
        counts = 1.0 + rng.poisson(self.rate * np.exp(eta[0]))
        return np.where(rng.uniform(size=counts.shape) < expit(eta[1]), 0.0, counts)

    def cdf(self, y, eta):
        positive = pdtr(np.maximum(np.floor(y) - 1.0, 0.0), self.rate * np.exp(eta[0]))
        above = expit(eta[1]) + expit(-eta[1]) * np.where(y < 1, 0.0, positive)
        return np.where(y < 0, 0.0, above)

    def start(self, y, weights):
        return np.array([np.log(max(np.average(y, weights=weights), 0.1)), -1.0])
