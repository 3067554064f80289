"""What a fit was fitted to: its arrays, and by which components.

Formula, family, names and levels are those of the result, which is read first; here are the
designs, and what no result shows. Components are found again by name and options, as families are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from interlace.data.known_variance import KnownErrors
from interlace.inference.parameters import term_covariances
from interlace.priors.densities import DENSITIES
from interlace.priors.penalised import Penalised
from interlace.results.estimates import Estimates
from interlace.results.fitted_model import Training
from interlace.results.random_effects import row_predictors
from interlace.saving.codecs import (
    Codec,
    Store,
    array,
    entries,
    integer,
    maybe,
    number,
    pair,
    record,
    text,
    tuple_of,
    wrong,
)
from interlace.saving.covariates import are_covariates, covariates
from interlace.saving.values import value
from interlace_core.contract.level_covariance import Relation
from interlace_core.contract.problem import Predictor, Problem, RandomTerm
from interlace_core.contract.residual_correlation import ResidualCorrelation
from interlace_core.contract.row_correlation import RowCorrelation
from interlace_core.families.correlated_rows import CorrelatedRows
from interlace_core.messages.errors import SavedFileError, UnknownNameError
from interlace_core.records import IntArray
from interlace_core.registry.registry import default_registry


def _component(kind: str) -> Codec:
    """Return a codec of an approximation or optimizer: `distribution:name` and its options."""

    def write(chosen: Any, store: Store) -> dict[str, Any]:
        cls = type(chosen)
        for offer in default_registry().classes(kind):
            if offer.cls is cls and (is_dataclass(chosen) or not vars(chosen)):
                return {
                    "name": f"{offer.distribution}:{offer.name}",
                    "options": _write_options(chosen, store),
                }
        raise SavedFileError(
            f"save: the {kind} {cls.name!r} is the class {cls.__qualname__}, which no installed "
            "plugin provides as a dataclass, so that a file could not find it again. Save with "
            "data=False, which leaves out what fits again, or use pickle, in places that you trust."
        )

    def read(given: Any, store: Store, where: str) -> Any:
        parts = entries({"name": text, "options": as_given}).read(given, store, where)
        cls = _installed(kind, parts["name"])
        try:
            return _read_options(cls(), parts["options"], store, f"{where}.options")
        except SavedFileError:
            raise
        # Whatever a plugin says of options that it does not take.
        except Exception as error:
            options = parts["options"]
            raise wrong(f"{where}.options", f"options that it takes ({error})", options) from error

    return Codec(write, read)


def _options(chosen: Any) -> list[str]:
    return [each.name for each in fields(chosen) if each.init] if is_dataclass(chosen) else []


def _write_options(chosen: Any, store: Store) -> dict[str, Any]:
    """Return the options of a component that differ from its defaults.

    One that is a record itself, of the type that the default has, is a table of its own.
    """
    usual = type(chosen)()
    written: dict[str, Any] = {}
    for name in _options(chosen):
        given, default = getattr(chosen, name), getattr(usual, name)
        if is_dataclass(default) and type(given) is type(default):
            inside = _write_options(given, store)
            written |= {name: inside} if inside else {}
        elif given is not default and not (type(given) is type(default) and given == default):
            written[name] = value.write(given, store)
    return written


def _read_options(usual: Any, given: Any, store: Store, where: str) -> Any:
    """Return a component, from the one with default options and those that differ."""
    known = _options(usual)
    if type(given) is not dict or not set(given) <= set(known):
        raise wrong(where, f"options among {', '.join(known)}", given)
    changes = {}
    for name, each in given.items():
        default = getattr(usual, name)
        if is_dataclass(default):
            changes[name] = _read_options(default, each, store, f"{where}.{name}")
        else:
            changes[name] = value.read(each, store, f"{where}.{name}")
    return replace(usual, **changes) if changes else usual


def _installed(kind: str, name: str) -> type[Any]:
    for offer in default_registry().classes(kind):
        if name == f"{offer.distribution}:{offer.name}":
            return offer.cls
    raise UnknownNameError(
        f"load: no installed plugin has the {kind} {name!r}, with which the file was saved. "
        f"Install {name.rpartition(':')[0] or 'its plugin'} and load the file again."
    )


as_given = Codec(lambda given, store: given, lambda given, store, where: given)
optimizer, plain_approximation = _component("optimizer"), _component("approximation")


def _write_prior(given: Any, store: Store) -> dict[str, Any]:
    if DENSITIES.get(given.name) is not type(given):
        raise SavedFileError(
            "save: expected priors made by interlace's own functions, such as normal(), got "
            f"{given}, which a file without code cannot hold. Save with data=False, or use "
            "pickle, in places that you trust."
        )
    return {"density": given.name, **_numbers_of(type(given)).write(given, store)}


def _read_prior(given: Any, store: Store, where: str) -> Any:
    name = given.get("density") if type(given) is dict else None
    if not isinstance(name, str) or name not in DENSITIES:
        raise wrong(where, f"a density among {', '.join(DENSITIES)}", given)
    rest = {key: each for key, each in given.items() if key != "density"}
    return DENSITIES[name](**_numbers_of(DENSITIES[name]).read(rest, store, where))


def _numbers_of(density: Any) -> Codec:
    return entries({each.name: number for each in fields(density)})


_priors = tuple_of(pair(text, Codec(_write_prior, _read_prior)))
_cuts = tuple_of(text)


def _write_approximation(chosen: Any, store: Store) -> dict[str, Any]:
    penalised = isinstance(chosen, Penalised)
    return {
        "inner": plain_approximation.write(chosen.inner if penalised else chosen, store),
        "priors": _priors.write(chosen.priors if penalised else (), store),
        "cuts": _cuts.write(chosen.cuts if penalised else (), store),
    }


def _read_approximation(given: Any, store: Store, where: str) -> Any:
    known = {"inner": plain_approximation, "priors": _priors, "cuts": _cuts}
    parts = entries(known).read(given, store, where)
    return Penalised(**parts) if parts["priors"] else parts["inner"]


approximation = Codec(_write_approximation, _read_approximation)
relation = record(
    Relation, root=array(2), others=tuple_of(text), weights=array(2), unexplained=array(1)
)
_predictor = entries({"X": array(2), "offset": array(1)})
_term = entries(
    {
        "codes": array(1, "i"),
        "Z": covariates,
        "relation": maybe(relation),
        "theta_of": maybe(integer),
    }
)


def _write_structure(given: Any, store: Store) -> Any:
    """Return the known correlation of rows; nothing of a structure that the family has."""
    return store.put(given.correlation) if isinstance(given, KnownErrors) else None


_structure = Codec(_write_structure, maybe(array(2)).read)
_correlation = entries(
    {"label": text, "structure": _structure, "codes": array(1, "i"), "times": array(1)}
)
_problem = entries(
    {
        "predictors": tuple_of(_predictor),
        "terms": tuple_of(_term),
        "constants": maybe(array(1)),
        "correlation": maybe(_correlation),
        "given": maybe(array(2)),
    }
)
_components = entries(
    {
        "approximation": approximation,
        "optimizer": optimizer,
        "tol_decrement": number,
        "threads": maybe(integer),
    }
)


def write_training(training: Training, store: Store) -> dict[str, Any]:
    """Return what a fit was fitted to as JSON can hold it; arrays go into the store."""
    return {
        "components": _components.write(training, store),
        "problem": _problem.write(training.problem, store),
    }


def read_training(given: Any, store: Store, result: Estimates) -> Training:
    """Return what a result was fitted to.

    Raises
    ------
    SavedFileError
        If an entry is missing or does not go with the result.
    UnknownNameError
        If a component is not installed.
    """
    where = "result.training"
    if type(given) is not dict or set(given) != {"components", "problem"}:
        raise wrong(where, "components and problem", given)
    components = _components.read(given["components"], store, f"{where}.components")
    arrays = _problem.read(given["problem"], store, f"{where}.problem")
    for place, expected, got in _contradictions(arrays, result):
        raise wrong(f"{where}.{place}", str(expected), got)
    problem = _restored(arrays, result)
    _require_predictors(problem, result)
    return Training(problem, **components)


def _require_predictors(problem: Problem, result: Estimates) -> None:
    """Refuse linear predictors that are not those of the data at the estimates."""
    if not result.eta.size:  # of a fit in parts, whose rows are not kept
        return
    with np.errstate(all="ignore"):
        modes = {group: each.values.T for group, each in result.effects.items()}
        made = row_predictors(problem, result.fit.psi, modes)
    for name in ("eta", "eta_fixed"):
        own, found = getattr(result, name), getattr(made, name)
        finite = np.abs(found[np.isfinite(found)])
        near = TOL_REL_ETA * (1.0 + finite.max(initial=0.0))
        if own.shape != found.shape or not np.allclose(own, found, TOL_REL_ETA, near, True):
            raise wrong(
                f"result.predictors.{name}", "the predictors of its data and estimates", "others"
            )


TOL_REL_ETA = 1e-6
"""Beyond what the order of sums can change; another library of linear algebra may have written."""


def _restored(arrays: dict[str, Any], result: Estimates) -> Problem:
    """Return the problem, with what the result knows of it."""
    predictors = tuple(
        Predictor(found.parameter, each["X"], found.names, each["offset"])
        for found, each in zip(result.coefficients, arrays["predictors"], strict=True)
    )
    known = term_covariances(result)
    if known is None:
        structures = ", ".join(dict.fromkeys(term.structure for term in result.terms))
        raise UnknownNameError(
            f"load: one of the covariance structures {structures} is not installed. Install the "
            "plugin that provides it, and load the file again."
        )
    terms = []
    for term, each, (covariance, _) in zip(result.terms, arrays["terms"], known, strict=True):
        effects = result.effects[term.group]
        terms.append(
            RandomTerm(
                label=term.label,
                predictor=term.predictor,
                group=term.group,
                codes=each["codes"].astype(np.intp),
                levels=effects.levels[: len(effects.levels) - effects.without_data],
                Z=each["Z"],
                names=term.names,
                covariance=covariance,
                relation=each["relation"],
                options=tuple(term.options.items()),
                column_levels=term.column_levels,
                points=term.points,
                theta_of=each["theta_of"],
                along=term.along,
            )
        )
    return Problem(
        y=result.y,
        weights=result.weights,
        family=result.family,
        predictors=predictors,
        terms=tuple(terms),
        constants=arrays["constants"],
        correlation=_restored_correlation(arrays["correlation"], result),
        compiled=default_registry().compiled(result.family),
        given=arrays["given"],
    )


def _restored_correlation(given: Any, result: Estimates) -> RowCorrelation | None:
    if given is None:
        return None
    family, known = result.family, given["structure"]
    if known is not None:
        structure: ResidualCorrelation = KnownErrors(known)
    elif isinstance(family, CorrelatedRows):
        structure = family.structure
    else:
        raise wrong("result.training.correlation", "a family of correlated rows", family.name)
    codes = given["codes"].astype(np.intp)
    return RowCorrelation(structure, given["label"], codes, given["times"])


def _contradictions(arrays: dict[str, Any], result: Estimates) -> Iterator[tuple[str, Any, Any]]:
    """Yield each place where arrays do not go with the result: where, what was expected, found."""
    n = result.rows.n_used
    yield from _unless("predictors", len(result.coefficients), len(arrays["predictors"]))
    yield from _unless("terms", len(result.terms), len(arrays["terms"]))
    for k, (found, each) in enumerate(zip(result.coefficients, arrays["predictors"], strict=False)):
        where = f"predictors[{k}]"
        yield from _unless(f"{where}.X", (n, len(found.names)), each["X"].shape)
        yield from _unless(f"{where}.offset", (n,), each["offset"].shape)
        yield from _unless(f"{where}", True, _finite(each["X"], each["offset"]))
    for t, (term, each) in enumerate(zip(result.terms, arrays["terms"], strict=False)):
        effects = result.effects[term.group]
        L = len(effects.levels) - effects.without_data
        where = f"terms[{t}]"
        yield from _unless(f"{where}.Z", (n, len(term.names)), each["Z"].shape)
        yield from _unless(f"{where}.Z", True, are_covariates(each["Z"]))
        yield from _unless(f"{where}.codes", (n,), each["codes"].shape)
        yield from _unless(f"{where}.codes", True, _are_levels(each["codes"], L))
        yield from _unless(f"{where}.relation", effects.scales is None, each["relation"] is None)
        if each["relation"] is not None:
            yield from _relation_sizes(f"{where}.relation", each["relation"], L, effects)
        yield from _unless(f"{where}.theta_of", True, _is_other(each["theta_of"], t, result))
    constants, given = arrays["constants"], arrays["given"]
    P = result.fit.psi.size
    yield from _unless("given", (P, P), (P, P) if given is None else given.shape)
    yield from _unless("constants", (n,), (n,) if constants is None else constants.shape)
    correlation = arrays["correlation"]
    if correlation is not None:
        codes = correlation["codes"]
        yield from _unless("correlation.times", (n,), correlation["times"].shape)
        yield from _unless("correlation.codes", (n,), codes.shape)
        L = int(codes.max(initial=0)) + 1
        yield from _unless("correlation.codes", True, L <= n and _are_levels(codes, L))
        known = correlation["structure"]
        if known is not None:
            yield from _unless("correlation.structure", (n, n), known.shape)
            yield from _unless("correlation.structure", True, _finite(known))
            yield from _unless("correlation.times", True, _are_rows(correlation["times"], n))


def _relation_sizes(
    where: str, given: Relation, L: int, effects: Any
) -> Iterator[tuple[str, Any, Any]]:
    m = effects.without_data
    yield from _unless(f"{where}.root", (L, L), given.root.shape)
    yield from _unless(f"{where}.others", effects.levels[L:], given.others)
    yield from _unless(f"{where}.weights", (m, L), given.weights.shape)
    yield from _unless(f"{where}.unexplained", (m,), given.unexplained.shape)
    yield from _unless(where, True, _finite(given.root, given.weights, given.unexplained))


def _unless(where: str, expected: Any, got: Any) -> Iterator[tuple[str, Any, Any]]:
    if expected != got:
        yield where, expected, got


def _is_other(theta_of: int | None, t: int, result: Estimates) -> bool:
    """Return whether a term has its theta in its own place, or in that of the other it names."""
    places = [term.theta for term in result.terms]
    if theta_of is None:
        is_empty = places[t].start == places[t].stop  # all its numbers are held
        return is_empty or places[t] not in places[:t]
    return 0 <= theta_of < len(places) and theta_of != t and places[theta_of] == places[t]


def _are_rows(times: Any, n: int) -> bool:
    """Return whether times are numbers of rows."""
    return bool(np.all((times >= 0) & (times < n) & (times == np.round(times))))


def _finite(*given: Any) -> bool:
    return all(bool(np.all(np.isfinite(each))) for each in given)


def _are_levels(codes: IntArray, L: int) -> bool:
    """Return whether codes are those of L levels, each of which occurs."""
    inside = bool(codes.size) and 0 <= int(codes.min()) and int(codes.max()) < L
    return inside and bool(np.all(np.bincount(codes, minlength=L) > 0))
