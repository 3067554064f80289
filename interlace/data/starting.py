"""Where the user wants a search to begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from interlace.data.cuts import cut_names, cuts_alone, cuts_in_order, require_order, risen
from interlace.data.named import Coefficient, refused_numbers, resolved
from interlace.data.problem import Model
from interlace_core.contract.covariance import check_natural
from interlace_core.contract.problem import Problem
from interlace_core.messages.checks import entries_of, shown
from interlace_core.messages.errors import OptionError
from interlace_core.records import Array

TOGETHER = "Those that are not given are at the usual start; give them too, or others."


def named_start(model: Model, start: Any, who: str) -> Callable[[Array], Array] | None:
    """Return what changes the usual start to the user's; None if there is none.

    Parameters
    ----------
    model : Model
    start : mapping, or None
        From names (see `named`) to values; a list for `theta` is all covariance parameters.
    who : str
        The call, for messages.

    Raises
    ------
    OptionError
        If a name or a value is none of the model's.
    """
    ordered = cuts_in_order(model)
    if start is None:
        held = any(place is None for place, _ in ordered)
        return _Given(model.problem, None, {}, {}, ordered, who) if held else None
    problem, cuts = model.problem, cuts_alone(model)
    theta = None
    given_start = entries_of(start) or {}
    if "theta" in given_start and not _is_number(given_start["theta"]):
        theta = _theta(given_start.pop("theta"), problem, who)
        start = given_start
    coefficients: dict[int, float] = {}
    numbers: dict[int, dict[int, float]] = {}
    for target, name, value in resolved(start, problem, f"{who}: start", shared=False, cuts=cuts):
        assert isinstance(value, float)
        if isinstance(target, Coefficient):
            eta = target.on_eta(problem, value)
            if not np.isfinite(eta):
                raise OptionError(
                    f"{who}: start: expected a value of {name!r} within its range, got {value:g}."
                )
            coefficients[problem.beta_slices()[target.predictor].start + target.column] = eta
        else:
            numbers.setdefault(target.term, {})[target.number] = value
    by_cut = {}
    names = cut_names(model.response_levels, len(ordered))
    for name, (place, value) in zip(names, ordered, strict=True):
        if place is None or place in coefficients:
            by_cut[name] = value if place is None else coefficients[place]
    require_order(by_cut, names, f"{who}: start")
    given = _Given(problem, theta, coefficients, numbers, ordered, who)
    given(np.concatenate([*(term.covariance.start() for term in _own(problem)),
                          np.zeros(problem.n_beta)]))  # fmt: skip
    return given


@dataclass(frozen=True, eq=False)
class _Given:
    """A start with the user's values in it."""

    problem: Problem
    theta: Array | None
    coefficients: dict[int, float]
    numbers: dict[int, dict[int, float]]
    cuts: tuple[tuple[int | None, float], ...]
    who: str

    def __call__(self, psi: Array) -> Array:
        psi = psi.copy()
        if self.theta is not None:
            psi[: self.problem.n_theta] = self.theta
        for entry, value in self.coefficients.items():
            psi[entry] = value
        for t, chosen in self.numbers.items():
            term, place = self.problem.terms[t], self.problem.theta_slices()[t]
            names = term.covariance.names(term.names)
            values = np.array(term.covariance.natural(psi[place]), dtype=np.float64)
            values[list(chosen)] = list(chosen.values())
            try:
                check_natural(term.covariance, names, chosen)
                psi[place] = term.covariance.from_natural(values)
            except ValueError as error:
                given = {names[k]: value for k, value in chosen.items()}
                raise refused_numbers(
                    f"{self.who}: start", term.label, error, given, TOGETHER
                ) from None
        self._order(psi)
        return psi

    def _order(self, psi: Array) -> None:
        """Move thresholds that are neither given nor held to where those that are let them be."""
        if not self.cuts:
            return
        values = np.array([held if k is None else psi[k] for k, held in self.cuts])
        chosen = np.array([k is None or k in self.coefficients for k, _ in self.cuts])
        for (k, _), value in zip(self.cuts, risen(values, chosen), strict=True):
            if k is not None:
                psi[k] = value


def _own(problem: Problem) -> list[Any]:
    return [term for term in problem.terms if term.theta_of is None]


def _is_number(value: Any) -> bool:
    """Return whether a value is one number, as of a family's parameter of that name."""
    return isinstance(value, (Real, str))


def _theta(given: Any, problem: Problem, who: str) -> Array:
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.zeros((0, 0))
    if values.shape != (problem.n_theta,) or not np.all(np.isfinite(values)):
        raise OptionError(
            f"{who}: start: theta must be {problem.n_theta} finite number(s), the entries of the "
            f"terms' templates in order, got {shown(given)}."
        )
    return values
