"""A family and a registry's stand-in for the tests of formulas and data."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from interlace.data.problem import build_problem
from interlace.data.request import ModelRequest
from interlace_core.calculus.links import LINKS
from interlace_core.contract.family import Family, Parameter
from interlace_core.covariances import Diagonal, Unstructured
from interlace_core.families.responses import require
from interlace_core.records import Response

covariance = {"us": Unstructured, "diag": Diagonal}.__getitem__


@dataclass(frozen=True)
class FakeFamily(Family):
    """Counts with two more parameters, either of which can be fixed."""

    phi: float | None = None
    pi: float | None = None
    seen: tuple | None = None

    name = "fake"
    response_forms = frozenset({"numeric", "pair", "two-level"})

    @property
    def parameters(self):
        return (
            Parameter("mu", LINKS["log"], role="mean"),
            Parameter("phi", LINKS["log"], self.phi, role="dispersion"),
            Parameter("pi", LINKS["logit"], self.pi, role="zero"),
        )

    def log_density(self, y, eta):
        return y * eta[0] - np.exp(eta[0])

    def mean(self, eta):
        return np.exp(eta[0])

    def check_response(self, y, weights):
        require(self, np.atleast_2d(y.T).min(axis=0) >= 0, y, "values of 0 or more")
        return Response(y, weights)

    def bind(self, y):
        return replace(self, seen=y.shape)


class NumericFamily(FakeFamily):
    name = "numeric-only"
    response_forms = frozenset({"numeric"})


class PairFamily(FakeFamily):
    name = "pair-only"
    response_forms = frozenset({"pair"})


class OrderedFamily(FakeFamily):
    name = "ordered-only"
    response_forms = frozenset({"ordered"})


class ResidualFamily(NumericFamily):
    """With a residual variance that one level per row would duplicate."""

    name = "residual"
    observation_level_confounded = True


def build(formula, data, family=None, **options):
    family = family or FakeFamily()
    request = ModelRequest(formula, data, family, **options)
    return build_problem(request, family, covariance=covariance)
