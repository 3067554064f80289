"""Small models for the checks of approximations, and the same models written in another way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from interlace_core.contract.covariance import Covariance
from interlace_core.contract.family import Family
from interlace_core.contract.incidence import Covariates, Incidence, times_effects
from interlace_core.contract.problem import Predictor, Problem, RandomTerm
from interlace_core.covariances import Diagonal, Unstructured
from interlace_core.records import Array, IntArray
from interlace_core.testing.approximation_families import Binary, Counts, Normal, SpreadCounts

ROWS = 56
SEED = 7


@dataclass(frozen=True)
class Effect:
    """A random-effects term to be made.

    Attributes
    ----------
    group : str
        g (8 levels), inside h (3 levels); or c (5 levels), crossed with both.
    columns : str
        Letters of the covariates: 1, x or both; or a letter for each time, where they are such.
    covariance : type
    predictor : int
    times : bool
        Whether each row is at one of some times, by an `Incidence`.
    """

    group: str
    columns: str = "1"
    covariance: type[Covariance] = Unstructured
    predictor: int = 0
    times: bool = False


@dataclass(frozen=True)
class Plan:
    """A model to be made.

    Attributes
    ----------
    family : Family
    effects : tuple of Effect
    weighted : bool
        Whether rows have weights.
    """

    family: Family
    effects: tuple[Effect, ...]
    weighted: bool = False

    @property
    def scalar(self) -> bool:
        """Whether there is one random effect per group and no more."""
        return len(self.effects) == 1 and len(self.effects[0].columns) == 1

    def problem(self) -> Problem:
        """Return the problem, with simulated data; the same in each call."""
        rng = np.random.default_rng(SEED)
        codes = _codes(rng)
        x = rng.normal(size=ROWS)
        covariates = {"1": np.ones(ROWS), "x": x}
        predictors = tuple(
            _predictor(self.family, k, covariates) for k in range(len(self.family.parameters))
        )
        terms = tuple(_term(effect, codes, covariates) for effect in self.effects)
        problem = Problem(np.zeros(ROWS), None, self.family, predictors, terms)
        weights = rng.uniform(0.5, 2.0, size=ROWS) if self.weighted else None
        return replace(problem, y=_draw(problem, rng), weights=weights)


STRUCTURES: Mapping[str, tuple[Effect, ...]] = {
    "one effect": (Effect("g"),),
    "one slope": (Effect("g", "x"),),
    "intercept and slope": (Effect("g", "1x"),),
    "independent slopes": (Effect("g", "1x", Diagonal),),
    "crossed": (Effect("g"), Effect("c")),
    "nested": (Effect("g"), Effect("h", "1x")),
    "nested and crossed": (Effect("h"), Effect("g"), Effect("c")),
    "two terms on one factor": (Effect("g"), Effect("g", "x")),
    "levels at times": (Effect("g", "abc", Diagonal, times=True),),
}

NORMAL_MODELS: Mapping[str, Plan] = {
    **{name: Plan(Normal(), effects) for name, effects in STRUCTURES.items()},
    "sigma fixed": Plan(Normal(sigma=0.8), STRUCTURES["one effect"]),
    "weighted rows": Plan(Normal(), STRUCTURES["one effect"], weighted=True),
}
"""Models whose likelihood is a normal density."""

MODELS: Mapping[str, Plan] = {
    **{f"{name}, counts": Plan(Counts(), effects) for name, effects in STRUCTURES.items()},
    "one effect, binary": Plan(Binary(), STRUCTURES["one effect"]),
    "independent slopes, binary": Plan(Binary(), STRUCTURES["independent slopes"]),
    "crossed, binary": Plan(Binary(), STRUCTURES["crossed"]),
    "one effect, normal": Plan(Normal(), STRUCTURES["one effect"]),
    "one effect, weighted rows": Plan(Counts(), STRUCTURES["one effect"], weighted=True),
    "one effect, two predictors": Plan(SpreadCounts(), STRUCTURES["one effect"]),
    "one effect, second predictor fixed": Plan(SpreadCounts(1.5), STRUCTURES["one effect"]),
    "effect on the second predictor": Plan(SpreadCounts(), (Effect("g", predictor=1),)),
    "effects on both predictors": Plan(SpreadCounts(), (Effect("g"), Effect("g", predictor=1))),
    "effects on both, crossed": Plan(SpreadCounts(), (Effect("g", "1x"), Effect("c", predictor=1))),
}


def typical_psi(problem: Problem) -> Array:
    """Return a point away from the optimum and from every bound, shape (n_psi,)."""
    rng = np.random.default_rng(SEED + 1)
    psi = 0.3 * rng.normal(size=problem.n_psi)
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        psi[place] = 0.6 * term.covariance.start() + 0.1 * rng.normal(size=psi[place].size)
    return psi


def reordered(problem: Problem) -> Problem:
    """Return the problem with its rows in another order."""
    order = np.random.default_rng(SEED + 2).permutation(problem.n)
    return replace(
        problem,
        y=problem.y[order],
        weights=None if problem.weights is None else problem.weights[order],
        predictors=tuple(
            replace(p, X=p.X[order], offset=p.offset[order]) for p in problem.predictors
        ),
        terms=tuple(replace(t, codes=t.codes[order], Z=t.Z[order]) for t in problem.terms),
    )


def relabelled(problem: Problem) -> Problem:
    """Return the problem with the levels of every factor in another order."""
    rng = np.random.default_rng(SEED + 3)
    moved = {t.group: rng.permutation(len(t.levels)) for t in problem.terms}
    terms = []
    for term in problem.terms:
        place = moved[term.group]
        levels = tuple(term.levels[old] for old in np.argsort(place))
        terms.append(replace(term, codes=place[term.codes].astype(np.intp), levels=levels))
    return replace(problem, terms=tuple(terms))


def written_out(problem: Problem) -> Problem:
    """Return the problem with all covariates of random effects as arrays."""
    terms = (replace(t, Z=np.asarray(t.Z)) for t in problem.terms)
    return replace(problem, terms=tuple(terms))


def reflected(problem: Problem, psi: Array) -> tuple[Problem, Array]:
    """Return the problem with every other random covariate negated, and the psi that undoes it.

    With D the signs, Z D has the template D T D. The structures used here hold the entries of
    the template as they are, so that their pullback reads theta off a template.
    """
    psi, terms, sign = psi.copy(), [], -1.0
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        D: Array = sign * (-1.0) ** np.arange(term.Z.shape[1], dtype=np.float64)
        sign = -sign
        T = term.covariance.template(psi[place])
        psi[place] = term.covariance.pullback(psi[place], D[:, None] * T * D)
        terms.append(replace(term, Z=_columns_times(term.Z, D)))
    return replace(problem, terms=tuple(terms)), psi


def _columns_times(Z: Covariates, factors: Array) -> Covariates:
    if isinstance(Z, Incidence):
        return replace(Z, z=Z.z * factors[Z.at])
    return Z * factors


def _codes(rng: np.random.Generator) -> dict[str, IntArray]:
    g = rng.permutation(np.arange(ROWS) % 8).astype(np.intp)
    c = rng.permutation(np.arange(ROWS) % 5).astype(np.intp)
    return {"g": g, "h": np.array([0, 2, 1, 0, 2, 1, 1, 0], np.intp)[g], "c": c}


def _predictor(family: Family, k: int, covariates: Mapping[str, Array]) -> Predictor:
    parameter, one = family.parameters[k], covariates["1"]
    if parameter.fixed is not None:
        return Predictor(parameter, np.zeros((ROWS, 0)), (), parameter.fixed_eta() * one)
    columns = "1x" if k == 0 else "1"
    X = np.column_stack([covariates[c] for c in columns])
    return Predictor(parameter, X, tuple(columns), (0.2 if k == 0 else 0.4) * one)


def _term(
    effect: Effect, codes: Mapping[str, IntArray], covariates: Mapping[str, Array]
) -> RandomTerm:
    levels = tuple(f"{effect.group}{i}" for i in range(int(codes[effect.group].max()) + 1))
    return RandomTerm(
        label=f"{' + '.join(effect.columns)} | {effect.group}",
        predictor=effect.predictor,
        group=effect.group,
        codes=codes[effect.group].copy(),
        levels=levels,
        Z=_covariates(effect, covariates),
        names=tuple(effect.columns),
        covariance=effect.covariance(len(effect.columns)),
    )


def _covariates(effect: Effect, covariates: Mapping[str, Array]) -> Covariates:
    if not effect.times:
        return np.column_stack([covariates[c] for c in effect.columns])
    size = len(effect.columns)
    at = np.random.default_rng(SEED + 4).permutation(np.arange(ROWS) % size).astype(np.intp)
    # the first rows are at none, and one counts twice
    z = np.concatenate([[0.0, 0.0, 2.0], np.ones(ROWS - 3)])
    return Incidence(at, z, size)


def _draw(problem: Problem, rng: np.random.Generator) -> Array:
    """Return a response with effects of standard deviation 0.6 or so."""
    eta = problem.fixed_part(typical_psi(problem))
    for term in problem.terms:
        b = 0.6 * rng.normal(size=(len(term.levels), term.Z.shape[1]))
        eta[term.predictor] = eta[term.predictor] + times_effects(term.Z, b.T, term.codes)
    return problem.family.simulate(eta, rng)
