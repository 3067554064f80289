"""What priors are put on: the numbers that results print, by the names that they print.

A prior is a density of such a number, not of what stands for it in psi, and no Jacobian is in the
mode: the mode of a standard deviation is not the exponential of that of its logarithm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace.data.factors import INTERCEPT
from interlace.data.named import Coefficient, Number, Target, labels_of, number_label
from interlace.inference.quantities import (
    Coordinate,
    LinearCombination,
    Quantity,
    StandardDeviation,
    StructureNumber,
)
from interlace.priors.densities import LKJ, ON, Prior, Support
from interlace_core.contract.covariance import Covariance
from interlace_core.contract.problem import Problem, RandomTerm
from interlace_core.messages.errors import OptionError
from interlace_core.messages.names import did_you_mean, listed
from interlace_core.records import Array

FIXED, SD, COR, THRESHOLDS = "fixed", "sd", "cor", "thresholds"
"""Keys for all of a kind: coefficients but the intercept, standard deviations, correlation matrices
and thresholds; `zi: fixed` for those of another parameter."""

KINDS: dict[str, Support] = {"sd": "positive", "positive": "positive", "correlation": "correlation"}
"""On what a structure's number can have a prior, by its kind; else the whole line."""


@dataclass(frozen=True, eq=False)
class OfQuantity:
    """A prior of one number."""

    quantity: Quantity
    prior: Prior

    def penalty(self, psi: Array) -> tuple[float, Array]:
        """Return minus the log-density at psi, and its derivative in psi, shape (n_psi,)."""
        height, slope = self.prior.log_density(self.quantity.value(psi))
        return -height, -slope * self.quantity.gradient(psi)

    def curvature(self, psi: Array) -> tuple[float, Array]:
        """Return c, 0 or more, and g, such that c g g' is the curvature of the penalty at psi.

        But for what the quantity's own curvature adds.
        """
        second = -self.prior.second(self.quantity.value(psi))
        return (max(second, 0.0) if np.isfinite(second) else 0.0), self.quantity.gradient(psi)


@dataclass(frozen=True, eq=False)
class OfMatrix:
    """A prior of the correlation matrix of a term's effects.

    Of effects that do not vary a correlation is 0, which is where the density is highest.
    """

    covariance: Covariance
    place: slice
    prior: LKJ

    def penalty(self, psi: Array) -> tuple[float, Array]:
        """Return minus the log-density at psi, and its derivative in psi, shape (n_psi,)."""
        slope, power = np.zeros(psi.size), self.prior.eta - 1.0
        T = self.covariance.template(psi[self.place])
        constant = self.prior.log_constant(len(T))
        if power == 0.0:
            return -constant, slope
        sd = np.linalg.norm(T, axis=1)
        varies = np.flatnonzero(sd > 0.0)
        unit = np.eye(len(T))
        unit[varies] = T[varies] / sd[varies, None]
        if len(varies) < len(T):  # the rows that vary span as many of the columns
            unit = np.asarray(np.linalg.qr(unit[varies].T, mode="r"))
        height = 2.0 * float(np.linalg.slogdet(unit)[1])
        if not np.isfinite(height):
            return np.inf, slope
        if len(varies) == len(T):
            dT = 2.0 * (np.linalg.inv(T).T - T / np.square(sd)[:, None])
            slope[self.place] = -power * self.covariance.pullback(psi[self.place], dT)
        return -power * height - constant, slope


Part = OfQuantity | OfMatrix


def parts_of(
    priors: Sequence[tuple[str, Prior]], cuts: Sequence[str], problem: Problem
) -> tuple[tuple[Part, ...], frozenset[int]]:
    """Return each prior where it belongs, and the coefficients that have one, as entries of psi.

    Parameters
    ----------
    priors : sequence of (str, Prior)
        By name; a name of one number goes before the key of a kind.
    cuts : sequence of str
        Names of the thresholds; empty where there are none, or they depend on covariates.
    problem : Problem

    Raises
    ------
    OptionError
        If a name is none of the model's, or the prior is none of such numbers.
    """
    known = _known(problem, cuts)
    found: dict[tuple[Any, ...], Part] = {}
    named: dict[tuple[Any, ...], str] = {}
    for rank in range(3):
        for name, prior in priors:
            if known.rank(name) != rank:
                continue
            targets = known.targets(name)
            for each in targets:
                if rank == SINGLE:
                    _require_alone(name, targets, named.get(each.place))
                    named[each.place] = name
                    if each.support == "correlation":
                        found.pop(("matrix", *each.place[1:2]), None)
                if each.support != prior.support:
                    raise _not_on(name, each.support, prior)
                found[each.place] = each.with_prior(prior)
    coefficients = frozenset(
        part.quantity.index
        for part in found.values()
        if isinstance(part, OfQuantity) and isinstance(part.quantity, Coordinate)
    )
    return tuple(found.values()), coefficients


def require_effect(
    priors: Sequence[tuple[str, Prior]], cuts: Sequence[str], problem: Problem
) -> None:
    """Raise an OptionError if a key names nothing of the model as it was asked for.

    Arguments as for `parts_of`. Models made of it, without a column, may have nothing left.
    """
    known = _known(problem, cuts)
    for name, _ in priors:
        if not known.targets(name):
            raise _unknown(name, known)


@dataclass(frozen=True, eq=False)
class _Place:
    """A number of the model that can have a prior, or a matrix.

    Attributes
    ----------
    place : tuple
        What tells it from others, by whatever name it is asked for.
    support : str
    what : Quantity or (Covariance, slice)
    """

    place: tuple[Any, ...]
    support: Support
    what: Quantity | tuple[Covariance, slice]

    def with_prior(self, prior: Prior) -> Part:
        """Return it with its prior."""
        if isinstance(self.what, tuple):
            assert isinstance(prior, LKJ)
            return OfMatrix(*self.what, prior)
        return OfQuantity(self.what, prior)


@dataclass(frozen=True)
class _Known:
    """What names mean: of single numbers, and of kinds."""

    single: dict[str, list[_Place]]
    kinds: dict[str, list[_Place]]

    def rank(self, name: str) -> int:
        """Return how specific a name is: a kind, a kind of one group, or one number."""
        return SINGLE if name not in self.kinds else int(" of " in name)

    def targets(self, name: str) -> list[_Place]:
        """Return what a name means.

        Raises
        ------
        OptionError
            If it is none of the model's.
        """
        found = self.kinds.get(name) or self.single.get(name)
        if found is None and name not in self.kinds:
            raise _unknown(name, self)
        return found or []


SINGLE = 2
"""The rank of a name of one number."""


def _require_alone(name: str, targets: Sequence[_Place], other: str | None) -> None:
    if len(targets) > 1:
        raise OptionError(
            f"priors: {name!r} is several parameters of the model. Rename a column, or a grouping "
            "factor, so that they differ."
        )
    if other is not None:
        raise OptionError(f"priors: {other!r} and {name!r} are one parameter. Give it one prior.")


def _known(problem: Problem, cuts: Sequence[str]) -> _Known:
    single: dict[str, list[_Place]] = {}
    kinds: dict[str, list[_Place]] = {FIXED: []}
    for label, targets in labels_of(problem).items():
        for target in targets:
            place = _placed(problem, label, target)
            alike = single.setdefault(label, [])
            if all(each.place != place.place for each in alike):
                alike.append(place)
            if isinstance(target, Coefficient) and not target.natural:
                predictor = problem.predictors[target.predictor]
                if predictor.names[target.column] == INTERCEPT:
                    continue
                prefix = f"{predictor.parameter.name}: " if target.predictor else ""
                kinds.setdefault(prefix + FIXED, []).append(place)
            elif isinstance(target, Number) and place.support == "positive":
                if _kind(problem.terms[target.term], target) == "sd":
                    for key in (SD, f"{SD} of {target.group}"):
                        kinds.setdefault(key, []).append(place)
    for t, (term, theta) in enumerate(zip(problem.terms, problem.theta_slices(), strict=True)):
        if term.theta_of is None and has_matrix(term):
            matrix = _Place(("matrix", t), "correlation", (term.covariance, theta))
            for key in (COR, f"{COR} of {term.group}"):
                kinds.setdefault(key, []).append(matrix)
    for cut, place in _thresholds(problem, cuts):
        single.setdefault(cut, []).append(place)
        kinds.setdefault(THRESHOLDS, []).append(place)
    return _Known(single, kinds)


def has_matrix(term: RandomTerm) -> bool:
    """Return whether all standard deviations and correlations of a term are free, two or more."""
    kinds, c = term.covariance.kinds(), term.covariance.size
    whole = {"sd": c, "correlation": c * (c - 1) // 2}
    counts = {kind: kinds.count(kind) for kind in set(kinds)}
    return c > 1 and term.covariance.full_rank and counts == whole


def _kind(term: RandomTerm, target: Number) -> str:
    return term.covariance.kinds()[target.number]


def _placed(problem: Problem, label: str, target: Target) -> _Place:
    if isinstance(target, Coefficient):
        index = problem.beta_slices()[target.predictor].start + target.column
        link = problem.predictors[target.predictor].parameter.link if target.natural else None
        quantity = Coordinate(label=label, kind="coefficient", index=index, link=link)
        return _Place(target.place, _support(quantity), quantity)
    term = problem.terms[target.term]
    own = target.term if term.theta_of is None else term.theta_of
    place, kind = problem.theta_slices()[target.term], _kind(term, target)
    what: Quantity
    by_columns = not term.covariance.takes_levels_only and not term.covariance.fixed
    if kind == "sd" and by_columns and target.inside in term.names:
        row = term.names.index(target.inside)
        what = StandardDeviation(
            label=label, kind="sd", covariance=term.covariance, place=place, row=row
        )
    else:
        what = StructureNumber(
            label=label,
            name=label,
            kind=kind,
            covariance=term.covariance,
            place=place,
            number=target.number,
            scale=kind,
        )
    return _Place(("number", own, target.number), KINDS.get(kind, "real"), what)


def _support(quantity: Coordinate) -> Support:
    """Return where a coefficient, or a parameter through its link, can lie."""
    ends = (-np.inf, np.inf) if quantity.link is None else quantity.link.domain
    found: dict[tuple[float, float], Support] = {
        (-np.inf, np.inf): "real",
        (0.0, np.inf): "positive",
        (-1.0, 1.0): "correlation",
    }
    return found.get(ends, "none")  # type: ignore[arg-type]


def _thresholds(problem: Problem, cuts: Sequence[str]) -> Iterator[tuple[str, _Place]]:
    matrix = problem.family.threshold_matrix()
    if matrix is None or not cuts:
        return
    places = [where.start for where in problem.beta_slices()[1 : 1 + matrix.shape[1]]]
    held = np.array([not each.names for each in problem.predictors[1 : 1 + len(places)]])
    for cut, row in zip(cuts, matrix, strict=True):
        if row[held].any():
            continue
        alone = np.flatnonzero(row)
        if alone.size == 1 and row[alone[0]] == 1.0:
            k = 1 + int(alone[0])
            here = Coordinate(label=cut, kind="threshold", index=places[k - 1])
            yield cut, _Place(Coefficient(k, 0).place, "real", here)
            continue
        weights = np.zeros(problem.n_psi)
        weights[places] = row
        quantity = LinearCombination(label=cut, kind="threshold", weights=weights)
        yield cut, _Place(("threshold", cut), "real", quantity)


def flattened(given: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield names and what stands for them: `{"sd": {"g": {"x": p}}}` names `sd(x | g)`."""
    for key, value in given.items():
        if not isinstance(value, Mapping):
            yield str(key), value
            continue
        for group, inner in value.items():
            if not isinstance(inner, Mapping):
                yield f"{key} of {group}", inner
                continue
            for column, each in inner.items():
                yield number_label(f"{key}({column})", str(group)), each


def _unknown(name: str, known: _Known) -> OptionError:
    keys = [each for each, places in known.kinds.items() if places]
    short = [each for each in keys if " of " not in each]
    none = ", of which the model has none." if name in known.kinds else "."
    return OptionError(
        f"priors: expected a parameter of the model that is not held, or a key for several, got "
        f"{name!r}{none}{did_you_mean(name, [*keys, *known.single])}"
        + (f" Keys: {listed(short)}." if short else "")
        + (f" Parameters: {', '.join(known.single)}." if known.single else "")
    )


def _not_on(name: str, support: Support, prior: Prior) -> OptionError:
    takes = ON.get(support)
    if takes is None:
        return OptionError(
            f"priors: {name!r} is a number between bounds, for which there is no prior, got "
            f'{prior}. Put one on its predictor, "{name}: {INTERCEPT}".'
        )
    return OptionError(
        f"priors: expected a prior of {takes}, for {name!r}, got {prior}, which is one of "
        f"{ON[prior.support]}."
    )
