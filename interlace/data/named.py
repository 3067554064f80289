"""Parameters of a model by the names that results print: coefficients, and numbers of structures.

What `hold` and `start` name. A name is a coefficient's, a further parameter's of the family, or a
label such as `sd(x | g)`; of numbers of structures also a head with a dict by group,
`{"sd": {"g": 0.5}}`, and by column, `{"sd": {"g": {"x": 0.5}}}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace.data.rows import require_size
from interlace_core.contract.problem import Predictor, Problem, RandomTerm
from interlace_core.messages.checks import entries_of, is_real, shown
from interlace_core.messages.errors import OptionError
from interlace_core.messages.names import did_you_mean, listed


@dataclass(frozen=True)
class Coefficient:
    """A coefficient of a linear predictor.

    Attributes
    ----------
    predictor, column : int
    natural : bool
        Whether its name is that of the family's parameter, whose value goes through the link.
    """

    predictor: int
    column: int
    natural: bool = False

    def on_eta(self, problem: Problem, value: float) -> float:
        """Return a value on the scale of eta."""
        if not self.natural:
            return value
        with np.errstate(all="ignore"):
            link = problem.predictors[self.predictor].parameter.link
            return float(link.eta(np.float64(value)))

    @property
    def place(self) -> tuple[str, int, int]:
        """What tells it from others, by whatever name it is asked for."""
        return "coefficient", self.predictor, self.column


@dataclass(frozen=True)
class Number:
    """A number that the structure of a term prints.

    Attributes
    ----------
    term, number : int
    head, inside, group : str
        `sd`, `x` and `g` of `sd(x | g)`.
    """

    term: int
    number: int
    head: str
    inside: str
    group: str

    @property
    def place(self) -> tuple[str, int, int]:
        """What tells it from others, by whatever name it is asked for."""
        return "number", self.term, self.number


Target = Coefficient | Number


def number_label(name: str, group: str, prefix: str = "") -> str:
    """Return the label of a number that a structure prints: `rho | g`, `sd(x | g)`.

    Parameters
    ----------
    name : str
        As `Covariance.names` gives it.
    group : str
        Grouping factor.
    prefix : str
        The parameter whose predictor the term is in, with a colon; nothing for the mean.
    """
    if not name.endswith(")"):
        return f"{prefix}{name} | {group}"
    head, _, rest = name.partition("(")
    return f"{head}({prefix}{rest[:-1]} | {group})"


def refused_numbers(
    who: str, term: str, error: ValueError, given: Mapping[str, float], advice: str
) -> OptionError:
    """Return the error for numbers that a structure does not have, which says what they were.

    Parameters
    ----------
    who : str
        Call and argument.
    term : str
        Label of the term.
    error : ValueError
        What was expected, and what was got if that is not all of the numbers given.
    given : mapping from name to value
    advice : str
        What to do where each by itself is possible.
    """
    if ", got " in str(error):
        return OptionError(f"{who}: ({term}): expected {error}.")
    numbers = ", ".join(f"{name} = {value:g}" for name, value in given.items())
    return OptionError(f"{who}: ({term}): expected {error}, got {numbers}. {advice}")


def prefix_of(predictor: int, along: Sequence[int], parameter: str) -> str:
    """Return what the columns of a term are called by before their names, in labels.

    Parameters
    ----------
    predictor, along
        Of the term; columns of several predictors are named with their parameter already.
    parameter : str
        Name of the predictor's parameter.
    """
    return "" if predictor == 0 or along else f"{parameter}: "


def resolved(
    given: Any, problem: Problem, who: str, *, shared: bool, cuts: Sequence[tuple[str, int]] = ()
) -> Iterator[tuple[Target, str, float | Target]]:
    """Yield what is named, its name in words, and the value, or what it is to be equal to.

    Parameters
    ----------
    given : mapping
    problem : Problem
    who : str
        Call and argument, for messages.
    shared : bool
        Whether a name may stand in the place of a number.
    cuts : sequence of (str, int)
        Thresholds that are parameters, with their predictors.

    Raises
    ------
    OptionError
        If a name is none of the model's, is one of several, or a value is none.
    """
    entries = entries_of(given)
    if entries is None:
        raise OptionError(
            f"{who}: expected a dict from names to numbers, such as {{'x': 1.0, 'sd': {{'g': "
            f"0.5}}}}, got a {type(given).__name__}."
        )
    labels = labels_of(problem)
    for cut, k in cuts:
        labels.setdefault(cut, []).append(Coefficient(k, 0))
    for target, name, value in _entries(entries, problem, labels, who):
        if isinstance(value, str) and shared:
            other = _partner(value, target, name, problem, labels, who)
            yield target, name, other
            continue
        if not is_real(value) or not np.isfinite(float(value)):
            also = ", or the name of a parameter to be equal to" if shared else ""
            raise OptionError(f"{who}: expected a number for {name!r}{also}, got {shown(value)}.")
        yield target, name, require_size(float(value), f"{who}: {name!r}")


def labels_of(problem: Problem) -> dict[str, list[Target]]:
    """Return what each name means."""
    found: dict[str, list[Target]] = {}
    for k, predictor in enumerate(problem.predictors):
        for label, target in _coefficients(k, predictor):
            found.setdefault(label, []).append(target)
    for t, term in enumerate(problem.terms):
        parameter = problem.predictors[term.predictor].parameter
        prefix = prefix_of(term.predictor, term.along, parameter.name)
        for name, target in _numbers(t, term):
            found.setdefault(number_label(name, term.group, prefix), []).append(target)
            if target.head == "cor" and target.inside.count(", ") == 1:
                turned = ", ".join(reversed(target.inside.split(", ")))
                other = number_label(f"cor({turned})", term.group, prefix)
                found.setdefault(other, []).append(target)
    return found


def _coefficients(k: int, predictor: Predictor) -> Iterator[tuple[str, Target]]:
    parameter = predictor.parameter
    for i, name in enumerate(predictor.names):
        yield (name if k == 0 else f"{parameter.name}: {name}"), Coefficient(k, i)
    if k and predictor.names == ("Intercept",):
        yield parameter.name, Coefficient(k, 0, natural=True)


def _numbers(t: int, term: RandomTerm) -> Iterator[tuple[str, Number]]:
    for number, name in enumerate(term.covariance.names(term.names)):
        head, _, inside = name.partition("(")
        yield name, Number(t, number, head, inside.removesuffix(")"), term.group)


def _entries(
    given: Mapping[Any, Any], problem: Problem, labels: Mapping[str, list[Target]], who: str
) -> Iterator[tuple[Target, str, Any]]:
    for key, value in given.items():
        if not isinstance(value, Mapping):
            yield _one(labels.get(str(key), []), str(key), problem, labels, who), str(key), value
            continue
        for group, inner in value.items():
            of_group = [
                each
                for t, term in enumerate(problem.terms)
                for _, each in _numbers(t, term)
                if each.head == key and each.group == group
            ]
            if not isinstance(inner, Mapping):
                name = f"{key} of {group}"
                yield _one(of_group, name, problem, labels, who), name, inner
                continue
            for column, each in inner.items():
                name = f"{key}({column} | {group})"
                turned = ", ".join(reversed(str(column).split(", ")))
                chosen = [one for one in of_group if one.inside in (str(column), turned)]
                yield _one(chosen, name, problem, labels, who), name, each


def _one(
    found: Sequence[Target],
    name: str,
    problem: Problem,
    labels: Mapping[str, list[Target]],
    who: str,
) -> Target:
    if len(found) == 1:
        return found[0]
    known = ", ".join(labels) or "none"
    if not found:
        raise OptionError(
            f"{who}: expected a parameter of the model, got {name!r}."
            f"{did_you_mean(name, list(labels))} Parameters: {known}."
        )
    several = [label for label, targets in labels.items() if any(t in found for t in targets)]
    raise OptionError(
        f"{who}: {name!r} is several parameters, {listed(several)}. Name one of them, or give a "
        "number for each."
    )


def _partner(
    value: str,
    target: Target,
    name: str,
    problem: Problem,
    labels: Mapping[str, list[Target]],
    who: str,
) -> Target:
    """Return the parameter that another is to be equal to: a label, or a group of the same head."""
    found = labels.get(value, [])
    if not found and isinstance(target, Number):
        found = [
            each
            for t, term in enumerate(problem.terms)
            for _, each in _numbers(t, term)
            if each.head == target.head and each.group == value
        ]
    other = _one(found, value, problem, labels, who)
    if type(other) is not type(target) or other == target:
        raise OptionError(f"{who}: {name!r} cannot be equal to {shown(value)}. Name one like it.")
    return other
