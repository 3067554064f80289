"""Random numbers, and linear predictors with random effects that are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from interlace_core.contract.covariance import multiplier
from interlace_core.contract.incidence import Covariates, times_effects
from interlace_core.contract.problem import Problem
from interlace_core.messages.checks import check_seed
from interlace_core.records import Array, IntArray


def generators(seed: int | None, n: int) -> list[np.random.Generator]:
    """Return n independent generators: draw i is the same whatever n, and in any process.

    Raises
    ------
    OptionError
        If the seed is neither None nor a whole number from 0.
    """
    check_seed(seed)
    return [np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(n)]


def draw_predictors(
    problem: Problem,
    psi: Array,
    rng: np.random.Generator,
    across: np.random.Generator | None = None,
) -> Array:
    """Return linear predictors at psi with u drawn from N(0, I), shape (K, n), rows as given.

    Parameters
    ----------
    problem, psi, rng
    across : Generator, optional
        Draws those effects that a part of the rows shares with others: all parts begin with one.
    """
    return Predictors.of(problem, psi).drawn(rng, across)


@dataclass(frozen=True, eq=False)
class Predictors:
    """Linear predictors of a model at a psi, of which many are drawn.

    Attributes
    ----------
    problem : Problem
    fixed : ndarray, shape (K, n)
        Their fixed part.
    templates : list of callable, one per term
        From u, shape (c, L), to T u.
    designs : list of list, one per term
        The predictors that it acts on, each with its columns there and their places.
    """

    problem: Problem
    fixed: Array
    templates: list[Callable[[Array], Array]]
    designs: list[list[tuple[int, Covariates, IntArray]]]

    @classmethod
    def of(cls, problem: Problem, psi: Array) -> Predictors:
        """Return those at psi, shape (n_psi,)."""
        templates = [
            multiplier(term.covariance, psi[place])
            for term, place in zip(problem.terms, problem.theta_slices(), strict=True)
        ]
        designs = [
            [(k, term.Z[:, own], own) for k, own in term.by_predictor] for term in problem.terms
        ]
        return cls(problem, np.stack(problem.fixed_part(psi)), templates, designs)

    def drawn(self, rng: np.random.Generator, across: np.random.Generator | None = None) -> Array:
        """Return them with u drawn from N(0, I), shape (K, n); see `draw_predictors`."""
        eta = self.fixed.copy()
        for term, times, designs in zip(
            self.problem.terms, self.templates, self.designs, strict=True
        ):
            from_where = across if term.across and across is not None else rng
            u = from_where.standard_normal((term.covariance.size, len(term.levels)))
            b = times(u if term.relation is None else u @ term.relation.root.T)
            for k, Z, own in designs:
                eta[k] += times_effects(Z, b[own], term.codes)
        return eta
