"""Random numbers, and linear predictors with random effects that are drawn."""

from __future__ import annotations

import numpy as np

from interlace_core.contract.covariance import times
from interlace_core.contract.incidence import times_effects
from interlace_core.contract.problem import Problem
from interlace_core.messages.checks import check_seed
from interlace_core.records import Array


def generators(seed: int | None, n: int) -> list[np.random.Generator]:
    """Return n independent generators: draw i is the same whatever n, and in any process.

    Raises
    ------
    OptionError
        If the seed is neither None nor a whole number from 0.
    """
    check_seed(seed)
    return [np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(n)]


def draw_predictors(problem: Problem, psi: Array, rng: np.random.Generator) -> Array:
    """Return linear predictors at psi with u drawn from N(0, I), shape (K, n), rows as given."""
    eta = np.stack(problem.fixed_part(psi))
    if not problem.terms:
        return eta
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        u = rng.standard_normal((term.covariance.size, len(term.levels)))
        u = u if term.relation is None else u @ term.relation.root.T
        b = times(term.covariance, psi[place], u)
        for k, own in term.by_predictor:
            eta[k] += times_effects(term.Z[:, own], b[own], term.codes)
    return eta
