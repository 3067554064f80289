"""Parameters that the user holds at values: offsets, columns that add up, structures with less."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from interlace.data.cuts import cuts_alone, require_order
from interlace.data.encoder import PredictorEncoder
from interlace.data.named import Coefficient, Number, Target, refused_numbers, resolved
from interlace.data.problem import Model
from interlace.data.rows import frozen, require_size
from interlace_core.contract.family import Family
from interlace_core.contract.held import with_held
from interlace_core.contract.problem import Predictor, Problem, RandomTerm
from interlace_core.messages.checks import shown
from interlace_core.messages.errors import OptionError

TOGETHER = "Hold others, or fewer of them."


def hold_family(family: Family, hold: Any, parameters: Any, who: str) -> tuple[Family, Any]:
    """Return a family with those of its parameters fixed that `hold` names, and the rest of it.

    The same as giving them to its constructor.
    """
    if not isinstance(hold, dict) or not is_dataclass(family):
        return family, hold
    known = {each.name for each in fields(family) if each.init}
    rest, chosen = dict(hold), {}
    for parameter in family.parameters[1:]:
        name = parameter.name
        if name not in rest or name not in known or isinstance(rest[name], (str, dict)):
            continue
        value = rest.pop(name)
        with np.errstate(all="ignore"):
            eta = _number(value, name, who)
            fits = np.isfinite(float(parameter.link.eta(np.float64(eta))))
        if not fits:
            raise OptionError(
                f"{who}: hold: expected a value of {name!r} within its range, got {shown(value)}."
            )
        if name in parameters or parameter.role in parameters:
            raise OptionError(
                f"{who}: hold: {name!r} has a formula, and is no constant to hold. Hold its "
                f"coefficients, such as {name + ': Intercept'!r}, or leave out the formula."
            )
        chosen[name] = eta
    return (replace(family, **chosen) if chosen else family), rest


def hold_in(model: Model, hold: Any, who: str) -> Model:
    """Return a model with the parameters held that `hold` names.

    A held coefficient is an offset; coefficients that are to be equal are one, of the sum of their
    columns; a structure of random effects has the fewer parameters.

    Parameters
    ----------
    model : Model
    hold : mapping, or None
        From names (see `named`) to numbers, or to the names of parameters to be equal to.
    who : str
        The call, for messages.

    Raises
    ------
    OptionError
        If a name or a value is none of the model's.
    """
    if hold is None or (isinstance(hold, dict) and not hold):
        return model
    problem, encoder = model.problem, model.encoder
    held: dict[int, dict[int, float]] = {}
    shared: dict[int, dict[int, int]] = {}
    numbers: dict[int, dict[str, float]] = {}
    equal: dict[int, dict[int, Number]] = {}
    seen: list[Target] = []
    cuts = cuts_alone(model)
    for target, name, value in resolved(hold, problem, f"{who}: hold", shared=True, cuts=cuts):
        seen.append(target)
        if isinstance(target, Coefficient):
            if isinstance(value, Coefficient):
                _require_same_predictor(target, value, name, who)
                shared.setdefault(target.predictor, {})[target.column] = value.column
            else:
                eta = target.on_eta(problem, float(value))  # type: ignore[arg-type]
                if not np.isfinite(eta):
                    raise OptionError(
                        f"{who}: hold: expected a value of {name!r} within its range, got {value}."
                    )
                held.setdefault(target.predictor, {})[target.column] = eta
        elif isinstance(value, Number):
            equal.setdefault(target.term, {})[target.number] = value
        else:
            term = problem.terms[target.term]
            own = term.covariance.names(term.names)[target.number]
            numbers.setdefault(target.term, {})[own] = float(value)  # type: ignore[arg-type]
    _require_distinct(seen, held, shared, who)
    by_cut = {name: held[k][0] for name, k in cuts if 0 in held.get(k, {})}
    require_order(by_cut, [name for name, _ in cuts], f"{who}: hold")
    predictors, coders = list(problem.predictors), list(encoder.predictors)
    for k in sorted({*held, *shared}):
        predictors[k], coders[k] = _with_coefficients(
            predictors[k], coders[k], held.get(k, {}), shared.get(k, {})
        )
    terms = tuple(
        _with_numbers(term, numbers.get(t, {}), who) for t, term in enumerate(problem.terms)
    )
    terms = _with_equal(terms, problem, equal, who)
    return replace(
        model,
        problem=replace(problem, predictors=tuple(predictors), terms=terms),
        encoder=replace(encoder, predictors=tuple(coders)),
    )


def _number(value: Any, name: str, who: str) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = np.nan
    if isinstance(value, bool) or not np.isfinite(found):
        raise OptionError(f"{who}: hold: expected a number for {name!r}, got {shown(value)}.")
    return require_size(found, f"{who}: hold: {name!r}")


def _require_same_predictor(target: Coefficient, other: Coefficient, name: str, who: str) -> None:
    if target.predictor != other.predictor:
        raise OptionError(
            f"{who}: hold: expected {name!r} to be equal to a coefficient of the same predictor."
        )


def _require_distinct(
    seen: list[Target],
    held: dict[int, dict[int, float]],
    shared: dict[int, dict[int, int]],
    who: str,
) -> None:
    """Refuse what is named twice, or equal to what is held or equal to another itself."""
    if len({each.place for each in seen}) < len(seen):
        raise OptionError(f"{who}: hold: a parameter is named twice. Name each once.")
    for k, pairs in shared.items():
        for other in pairs.values():
            if other in held.get(k, {}) or other in pairs:
                raise OptionError(
                    f"{who}: hold: expected a parameter to be equal to a free one, got one that is "
                    "held, or equal to another, itself. Name the free one, or the number."
                )


def _with_coefficients(
    predictor: Predictor, encoder: PredictorEncoder, held: dict[int, float], shared: dict[int, int]
) -> tuple[Predictor, PredictorEncoder]:
    """Return a predictor and its encoder with some coefficients known, and some equal."""
    p = predictor.X.shape[1]
    known = sorted(held)
    rest = [i for i in range(p) if i not in held]
    free = [i for i in rest if i not in shared]
    values = np.array([held[i] for i in known])
    mix = np.zeros((len(rest), len(free)))
    for row, i in enumerate(rest):
        mix[row, free.index(shared.get(i, i))] = 1.0
    names = predictor.names
    design = encoder.design
    assert design is not None
    kept = np.arange(p) if design.kept is None else design.kept
    changed = replace(
        predictor,
        X=frozen(predictor.X[:, rest] @ mix),
        names=tuple(names[i] for i in free),
        offset=frozen(predictor.offset + predictor.X[:, known] @ values),
    )
    coder = replace(
        encoder,
        design=replace(
            design,
            names=changed.names,
            kept=kept[rest],
            mix=mix if shared else None,
            shared={names[i]: names[j] for i, j in shared.items()},
        ),
        known=replace(design, names=tuple(names[i] for i in known), kept=kept[known]),
        known_values=frozen(values),
    )
    return changed, coder


def _with_numbers(term: RandomTerm, held: dict[str, float], who: str) -> RandomTerm:
    if not held:
        return term
    try:
        return replace(term, covariance=with_held(term.covariance, term.names, held))
    except ValueError as error:
        raise refused_numbers(f"{who}: hold", term.label, error, held, TOGETHER) from None


def _with_equal(
    terms: tuple[RandomTerm, ...],
    problem: Problem,
    equal: dict[int, dict[int, Number]],
    who: str,
) -> tuple[RandomTerm, ...]:
    """Return the terms, those whose numbers are all equal to another's with its theta."""
    found = list(terms)
    for t, pairs in equal.items():
        own = problem.terms[t]
        (other, *more) = {each.term for each in pairs.values()}
        partner = problem.terms[other]
        same = type(own.covariance) is type(partner.covariance) and not more
        whole = len(pairs) == own.covariance.n_theta == partner.covariance.n_theta
        if not same or not whole or other in equal or other == t or terms[t] is not own:
            raise OptionError(
                f"{who}: hold: expected all numbers of ({own.label}) to be equal to those of one "
                "other term of its structure, which is free itself. For equal standard deviations "
                "within a term use homdiag, homcs or homtoep."
            )
        found[t] = replace(own, theta_of=other)
    if equal and any(
        terms[o] is not problem.terms[o]
        for o in {p.term for e in equal.values() for p in e.values()}
    ):
        raise OptionError(f"{who}: hold: expected a term to be equal to one that is free.")
    return tuple(found)
