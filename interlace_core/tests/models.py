"""Small problems for the tests of the numerics; the families are the tests' own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, gammaln

from interlace_core.calculus.links import LINKS
from interlace_core.contract.family import Family, Parameter
from interlace_core.contract.problem import Predictor, Problem, RandomTerm
from interlace_core.covariances import Unstructured


@dataclass(frozen=True)
class Counts(Family):
    """Poisson with log link, its density alone."""

    name = "test-counts"
    parameters = (Parameter("mu", LINKS["log"], role="mean"),)

    def log_density(self, y, eta):
        return y * eta[0] - np.exp(eta[0]) - gammaln(y + 1.0)

    def mean(self, eta):
        return np.exp(eta[0])


@dataclass(frozen=True)
class TwoPart(Family):
    """Zero-inflated Poisson, its density alone: two predictors."""

    name = "test-two-part"
    parameters = (
        Parameter("mu", LINKS["log"], role="mean"),
        Parameter("pi", LINKS["logit"], role="zero"),
    )

    def log_density(self, y, eta):
        poisson = y * eta[0] - np.exp(eta[0]) - gammaln(y + 1.0)
        zero = np.log(expit(eta[1]) + expit(-eta[1]) * np.exp(-np.exp(eta[0])))
        return np.where(y == 0, zero, poisson - np.log1p(np.exp(eta[1])))

    def mean(self, eta):
        return expit(-eta[1]) * np.exp(eta[0])


def random_problem(
    *, groups=((20, 1),), nested=False, n=240, seed=0, family=None, predictors=None, weights=False
):
    """Return a problem with one term per (levels, columns) of `groups`.

    Parameters
    ----------
    groups : sequence of (levels, columns)
        With `nested`, each next factor is made of whole levels of the one before; terms with
        equal levels then share the factor.
    predictors : sequence of int, optional
        Predictor of each term; the mean's by default.
    """
    rng = np.random.default_rng(seed)
    family = family or Counts()
    X = np.column_stack([np.ones(n), rng.normal(size=n)])
    rows = tuple(
        Predictor(
            parameter, X if k == 0 else X[:, :1].copy(), ("a", "b")[: 2 - (k > 0)], np.full(n, 0.1)
        )
        for k, parameter in enumerate(family.parameters)
    )
    terms, last = [], None
    for i, (levels, columns) in enumerate(groups):
        if nested and last is not None:
            codes = terms[-1].codes // (last // levels)
        else:
            codes = rng.permutation(np.arange(n) % levels)
        same = nested and levels == last
        last = levels
        Z = np.column_stack([np.ones(n), *rng.normal(size=(columns - 1, n))])
        terms.append(
            RandomTerm(
                f"t{i}", predictors[i] if predictors else 0, terms[-1].group if same else f"g{i}",
                codes.astype(np.intp), tuple(map(str, range(levels))), Z,
                tuple(f"z{j}" for j in range(columns)), Unstructured(columns),
            )
        )  # fmt: skip
    y = rng.poisson(1.5, size=n).astype(float)
    w = rng.uniform(0.5, 2.0, size=n) if weights else None
    return Problem(y, w, family, rows, tuple(terms))
