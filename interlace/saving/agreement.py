"""What must agree between the entries of a saved result, beyond the type of each.

Whatever can be derived from other entries is derived and compared: places in psi tile it, columns
of a group's effects are those of its terms, names of groups are those of their columns' levels.
What nothing else says is held against its range.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, get_args

import numpy as np

from interlace.choices import DegreesOfFreedom
from interlace.config.settings import NEW_LEVELS
from interlace.data.encoder import PredictorEncoder
from interlace.data.levels import FactorEncoder
from interlace.data.named import prefix_of
from interlace.formulas.formula import parse_formula
from interlace.formulas.limits import NO_LIMITS
from interlace.formulas.tokens import Source, tokenise
from interlace.inference.parameters import rebuilt
from interlace.results.estimates import Estimates
from interlace_core.messages.errors import InterlaceError, UnknownNameError

Found = Iterator[tuple[str, Any, Any]]
"""Where, what was expected, and what is there."""

MOST_CORRELATION = 1.0 + 1e-6
"""Of two estimates, with what rounding may add."""

MOST_POINTS = 1000
"""Of a quadrature rule in a file: more than any that was ever asked for."""


def contradictions(result: Estimates) -> Found:
    """Yield each place where entries do not fit together: where, what was expected, what is there.

    The first is to be raised: those after it may take for granted what it says.
    """
    yield from _unequal(_rows(result))
    yield from _unequal(_sizes_of_the_fit(result))
    yield from _unequal(_counts(result))
    yield from _unequal(_texts(result))
    yield from _unequal(_coefficients(result))
    yield from _unequal(_effects(result))
    yield from _unequal(_terms(result))
    yield from _unequal(_theta(result))


def _unequal(checks: Iterable[tuple[str, Any, Any]]) -> Found:
    return ((where, str(expected), got) for where, expected, got in checks if expected != got)


def _rows(result: Estimates) -> Found:
    rows, n, K = result.rows, result.rows.n_used, len(result.coefficients)
    yield "rows.n_used", *_so(1 <= n <= rows.n_given, "rows among those given", n)
    yield "rows.index", n, len(rows.index)
    yield "rows.uninformative", *_count(rows.uninformative, n)
    for each in rows.missing.values():
        yield "rows.missing", *_count(each, rows.n_given)
    yield "y", (n,), result.y.shape[:1]
    yield "y", *_numbers(result.y)
    if result.family.support == "categories":
        codes = np.arange(len(result.settings.response_levels))
        yield "y", *_so(bool(np.isin(result.y, codes).all()), "codes of its levels", "others")
    elif "counts" in result.family.support:
        whole = bool(np.all((result.y >= 0.0) & (result.y == np.round(result.y))))
        yield "y", *_so(whole, "counts", "others")
    weights = result.weights
    yield "weights", (n,), (n,) if weights is None else weights.shape
    if weights is not None:
        yield "weights", *_numbers(weights)
        yield "weights", *_so(bool((weights >= 0.0).all()), "none below 0", "some")
    yield "predictors.eta", (K, n), result.eta.shape
    yield "predictors.eta_fixed", (K, n), result.eta_fixed.shape


def _sizes_of_the_fit(result: Estimates) -> Found:
    fit, P = result.fit, result.fit.psi.size
    yield "fit.psi", *_numbers(fit.psi)
    yield "fit.gradient", P, fit.gradient.size
    inner, back = fit.uncertainty.inner, fit.uncertainty.back
    where, known = "fit.uncertainty", np.isfinite(inner)
    negative = bool((np.diagonal(inner) < 0.0).any())
    yield f"{where}.inner", (P, P), inner.shape
    yield f"{where}.inner", *_so(not negative, "no variance below 0", "some")
    own = np.diagonal(known)
    whole = bool((known == np.outer(own, own)).all())
    yield f"{where}.inner", *_so(whole, "covariances of all whose variances are known", "others")
    size = np.sqrt(np.where(own, np.diagonal(inner), 0.0))
    most = MOST_CORRELATION * np.outer(size, size)
    possible = bool((np.abs(np.where(known, inner, 0.0)) <= most).all())
    yield f"{where}.inner", *_so(possible, "correlations from -1 to 1", "others")
    if back is not None:
        yield f"{where}.back", (P, P), back.shape
        yield f"{where}.back", *_numbers(back)
    yield "fit.undetermined", P, fit.undetermined.size
    modes = (
        (len(each.levels) - each.without_data) * len(each.names) for each in result.effects.values()
    )
    yield "fit.mode", sum(modes), fit.mode.size


def _counts(result: Estimates) -> Found:
    fit = result.fit
    counts = {
        "n_evaluations": fit.n_evaluations,
        "n_failed": fit.n_failed,
        "n_inner": fit.n_inner,
        "optimizer.n_evaluations": fit.optimizer.n_evaluations,
        "seconds": fit.seconds,
    }
    for name, number in counts.items():
        yield f"fit.{name}", *_count(number, 10.0**15)
    for name in ("points", "nAGQ"):
        points = getattr(result.fitted_by, name)
        if points is not None:
            yield f"fitted_by.{name}", *_count(points, MOST_POINTS)


def _texts(result: Estimates) -> Found:
    settings = result.settings
    yield "formula", None, _unreadable(result.formula, whole=True)
    for name in ("weights", "offset", "correlation"):
        text = getattr(settings, name)
        yield f"settings.{name}", None, None if text is None else _unreadable(text)
    for name, text in settings.parameters.items():
        yield f"settings.parameters.{name[:80]}", None, _unreadable(text)
    method, methods = settings.df_method, get_args(DegreesOfFreedom)
    yield "settings.df_method", *_so(method in methods, ", ".join(methods), method)
    policy = settings.new_levels
    yield "settings.new_levels", *_so(policy in NEW_LEVELS, ", ".join(NEW_LEVELS), policy)
    known = [found.parameter.name for found in result.coefficients]
    yield "coefficients", len(known), len(set(known))
    for k, term in enumerate(result.terms):
        for each in (term.label, term.group, *(term.points or ())):
            yield f"terms[{k}]", *_so(bool(each.strip()), "names that are not empty", each)


def _unreadable(text: str, whole: bool = False) -> str | None:
    """Return why a text is no formula, or no part of one; None if it is."""
    try:
        if whole:
            found = parse_formula(text, limits=NO_LIMITS).response
            return None if found is not None else "a formula without a response"
        return None if tokenise(Source(text), NO_LIMITS) else "an empty text"
    except (InterlaceError, RecursionError) as error:
        return str(error)


def _coefficients(result: Estimates) -> Found:
    yield "coefficients", len(result.encoder.predictors), len(result.coefficients)
    stop = result.coefficients[0].place.start
    for k, (found, coder) in enumerate(
        zip(result.coefficients, result.encoder.predictors, strict=False)
    ):
        where, width = f"coefficients[{k}]", len(found.names)
        yield f"{where}.place", (stop, stop + width), (found.place.start, found.place.stop)
        if found.parameter.fixed is not None:
            yield f"{where}.names", (), found.names
        yield f"{where}.estimates", width, found.estimates.size
        own = result.fit.psi[found.place]
        same = own.shape == found.estimates.shape and np.array_equal(own, found.estimates)
        yield f"{where}.estimates", *_so(same, "its part of psi", found.estimates.tolist())
        yield from _predictor(result, coder, found.names, f"encoder.predictors[{k}]")
        stop = found.place.stop
    yield "fit.psi", stop, result.fit.psi.size
    for name, code in result.encoder.columns.items():
        yield "encoder.columns", name, code.name


def _predictor(
    result: Estimates, coder: PredictorEncoder, names: tuple[str, ...], where: str
) -> Found:
    design, known = coder.design, coder.known
    yield where, names, design.names if design else ()
    yield f"{where}.known_values", len(known.names) if known else 0, coder.known_values.size
    yield f"{where}.known_values", *_numbers(coder.known_values)
    shared = design.shared if design else {}
    yield f"{where}.design.shared", set(), set(shared.values()) - set(names)
    yield f"{where}.design.shared", set(), set(shared) & set(names)
    used = {name for each in coder.offsets for name in each.columns}
    for each in (design, known):
        used |= set(each.columns if each else ())
    yield "encoder.columns", set(), used - set(result.encoder.columns)


def _effects(result: Estimates) -> Found:
    groups = list(dict.fromkeys(term.group for term in result.terms))
    yield "effects", groups, list(result.effects)
    for group, effects in result.effects.items():
        L, c = len(effects.levels), len(effects.names)
        yield f"effects.{group}.levels", L, len(set(effects.levels))
        yield f"effects.{group}.values", (L, c), effects.values.shape
        yield f"effects.{group}.spread", (L, c, c), effects.spread.shape
        yield f"effects.{group}.root", (c, c), effects.root.shape
        yield f"effects.{group}.root", *_numbers(effects.root)
        yield f"effects.{group}.values", *_numbers(effects.values)
        scales = (L,) if effects.scales is None else effects.scales.shape
        yield f"effects.{group}.scales", (L,), scales
        yield f"effects.{group}.without_data", *_count(effects.without_data, L)
        yield f"effects.{group}.uninformed", *_count(effects.uninformed, L)
        yield f"effects.{group}.names", list(effects.names), _effect_names(result, group)


def _effect_names(result: Estimates, group: str) -> list[str]:
    """Return the names of a group's effects, by its terms in order."""
    found = []
    for term in result.terms:
        if term.group == group and 0 <= term.predictor < len(result.coefficients):
            name = result.coefficients[term.predictor].parameter.name
            prefix = prefix_of(term.predictor, term.along, name)
            found += [prefix + each for each in term.names]
    return found


def _terms(result: Estimates) -> Found:
    yield "encoder.terms", len(result.terms), len(result.encoder.terms)
    used = dict.fromkeys(result.effects, 0)
    for t, (term, coder) in enumerate(zip(result.terms, result.encoder.terms, strict=False)):
        where, effects = f"terms[{t}]", result.effects[term.group]
        start = used[term.group]
        used[term.group] = stop = start + len(term.names)
        yield f"{where}.predictor", *_count(term.predictor, len(result.coefficients) - 1)
        K = len(result.coefficients)
        yield f"{where}.along", True, len(term.along) in (0, len(term.names))
        yield f"{where}.along", True, all(0 <= k < K for k in term.along)
        yield f"{where}.columns", (start, stop), (term.columns.start, term.columns.stop)
        yield f"{where}.label", None, _unreadable(term.label)
        yield f"encoder.{where}.design", len(term.names), coder.size
        yield "encoder.columns", set(), set(coder.columns) - set(result.encoder.columns)
        yield f"encoder.{where}.factor", effects.levels, coder.factor.levels
        yield from _factor(coder.factor, f"encoder.{where}.factor")


def _factor(factor: FactorEncoder, where: str) -> Found:
    """Yield what is wrong with a grouping factor: its groups are combinations of levels."""
    yield f"{where}.columns", *_so(bool(factor.columns), "columns", factor.columns)
    yield f"{where}.column_levels", len(factor.columns), len(factor.column_levels)
    yield f"{where}.combinations", len(factor.columns) - 1, len(factor.combinations)
    for names in factor.column_levels:
        yield f"{where}.column_levels", len(names), len(set(names))
    groups = factor.column_levels[0]
    for keys, own in zip(factor.combinations, factor.column_levels[1:], strict=False):
        size = len(groups) * len(own)
        plain = bool(np.all(keys[:-1] < keys[1:])) and bool(np.all((keys >= 0) & (keys < size)))
        yield f"{where}.combinations", *_so(plain, "different places of levels", keys.tolist())
        if not plain:
            return
        groups = tuple(f"{groups[k // len(own)]}:{own[k % len(own)]}" for k in keys.tolist())
    yield f"{where}.levels", groups, factor.levels


def _theta(result: Estimates) -> Found:
    """Yield what is wrong with the places of structures' parameters: they tile what is before beta.

    How many a structure has is asked of it, where its plugin is installed.
    """
    stop, before = 0, set()
    for t, term in enumerate(result.terms):
        where, place = f"terms[{t}]", (term.theta.start, term.theta.stop)
        if place not in before:  # a term may share another's
            yield f"{where}.theta", (stop, place[1]), place
            stop = place[1]
            before.add(place)
        try:
            structure = rebuilt(term)
            width = structure.n_theta
        except UnknownNameError:
            continue
        except Exception as error:  # whatever a plugin says of options that it does not take
            yield where, "what its structure takes", str(error)
            return
        yield f"{where}.theta", width, place[1] - place[0]
        made = structure.template(result.fit.psi[term.theta])
        own = result.effects[term.group].root[term.columns, term.columns]
        near = made.shape == own.shape and np.allclose(made, own, 1e-6, 1e-12 * np.abs(made).max())
        yield f"effects.{term.group}.root", *_so(near, "the covariance that theta makes", "another")
    yield "coefficients[0].place", stop, result.coefficients[0].place.start


def _so(holds: bool, expected: str, got: Any) -> tuple[Any, Any]:
    """Return what was expected twice if it holds, else beside what is there."""
    return expected, expected if holds else got


def _count(number: float, most: float) -> tuple[Any, Any]:
    return _so(0 <= number <= most, f"a number from 0 to {most:g}", number)


def _numbers(given: Any) -> tuple[Any, Any]:
    return _so(bool(np.all(np.isfinite(given))), "finite numbers", "others")
