"""Checks of what a family is as an object: parameters, fixed ones, pickles, bound copies."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import warnings
from typing import Any

import numpy as np

from interlace_core.calculus.links import LINKS, Link
from interlace_core.contract.family import Family, Parameter
from interlace_core.messages.errors import InterlaceError
from interlace_core.testing.family_sample import FamilyCase, Sample
from interlace_core.testing.verdicts import expect, expect_close

ROLES = ("mean", "dispersion", "zero", "one", "shape", "threshold")

TOL_ABS_ROUND_TRIP = 1e-9
"""In units of eta."""

TOL_SAME = 1e-12


def check_parameters(case: FamilyCase) -> None:
    """Require a tuple of parameters with distinct names, known roles and the mean first."""
    parameters = case.sample.family.parameters
    advice = "See interlace_core.contract.family.Parameter."
    well = isinstance(parameters, tuple) and all(isinstance(p, Parameter) for p in parameters)
    expect(well and len(parameters) > 0, "a tuple of Parameter", parameters, advice)
    names = [p.name for p in parameters]
    expect(len(set(names)) == len(names), "distinct names", names, advice)
    expect(all(name.isidentifier() for name in names), "names of one word", names, advice)
    roles = [p.role for p in parameters]
    expect(set(roles) <= set(ROLES), f"roles among {', '.join(ROLES)}", roles, advice)
    expect(
        roles[0] == "mean" and roles.count("mean") == 1, "the mean first, and once", roles, advice
    )


def check_capabilities(case: FamilyCase) -> None:
    """Require that what the core asks of a family is answered by True or False."""
    for family in (case.family, case.sample.family):
        for name in ("linear_normal", "observation_level_confounded"):
            answer = getattr(family, name)
            expect(
                isinstance(answer, (bool, np.bool_)),
                f"{name} to be True or False",
                answer,
                "Make it a class attribute or a property; a method counts as True.",
            )


def check_answers(case: FamilyCase) -> None:
    """Require that what reports and the standardised problem ask is answered as declared."""
    family, y, eta = case.sample.family, case.sample.y, case.sample.eta
    variance = family.latent_variance(list(eta))
    shapes = ((), (eta.shape[1],))
    expect(
        variance is None or (np.shape(variance) in shapes and bool(np.all(variance > 0.0))),
        "latent_variance() to be None or a positive number for each row",
        variance,
        "See interlace_core.contract.family.Family.latent_variance.",
    )
    for k in range(len(family.parameters)):
        words = family.ratio_words(k)
        expect(
            words is None or (len(words) == 2 and all(isinstance(each, str) for each in words)),
            f"ratio_words({k}) to be None or two texts",
            words,
            "What exp(coefficient) multiplies, and the name of that factor.",
        )
    for name in ("row_variables", "collapse_sums"):
        answer = getattr(family, name)
        well = isinstance(answer, tuple) and all(isinstance(each, str) for each in answer)
        expect(well, f"{name} to be a tuple of texts", answer, "Empty if there are none.")
    expect(
        isinstance(family.latent_link, str),
        "latent_link to be a text",
        family.latent_link,
        "The name of a link, or empty.",
    )
    _check_thresholds(case.sample)
    change = family.intercept_stand_in()
    if change is None:
        return
    expect(
        np.shape(change) == (len(eta) - 1,),
        f"intercept_stand_in() of shape {(len(eta) - 1,)}",
        np.shape(change),
        "One number for each predictor after the mean's.",
    )
    shifts = 0.7 * np.concatenate([[1.0], change])
    wanted = np.asarray(family.log_density(y, list(eta)))
    expect_close(
        np.asarray(family.log_density(y, [e + s for e, s in zip(eta, shifts, strict=True)])),
        wanted,
        what="log_density with the mean's predictor and what stands in for its intercept moved",
        tol=TOL_ABS_ROUND_TRIP,
        scale=1.0 + np.max(np.abs(wanted)),
        advice="Return what undoes a change of the mean's predictor by 1, with its sign reversed.",
    )


def _check_thresholds(sample: Sample) -> None:
    """Require thresholds, where there are some, that bound the lowest category by the link."""
    family, eta = sample.family, sample.eta
    T = family.threshold_matrix()
    if T is None:
        return
    advice = "See interlace_core.contract.family.Family.threshold_matrix."
    shape, further = np.shape(T), len(eta) - 1
    well = len(shape) == 2 and shape[0] >= 1 and shape[1] <= further
    expect(well, f"threshold_matrix() of shape (J - 1, m), m at most {further}", shape, advice)
    link = LINKS.get(family.latent_link)
    lowest = sample.y == 0
    if link is None or shape[1] < further or not np.any(lowest):
        return
    expect_close(
        np.exp(sample.log_density()[lowest]),
        np.asarray(link.mu(np.tensordot(T[0], eta[1:], 1) - eta[0]))[lowest],
        what="the probability of the lowest category, F(alpha_1 - eta),",
        tol=TOL_ABS_ROUND_TRIP,
        advice=advice,
    )


def check_built_without_arguments(case: FamilyCase) -> None:
    """Require that the class can be found by name: constructed without arguments."""
    family = type(case.family)()
    expect(
        family.name == case.family.name,
        f"{type(family).__name__}() to have the name {case.family.name!r}",
        family.name,
        "The name belongs to the class.",
    )


def check_made_again(case: FamilyCase) -> None:
    """Require of a composition that its fields make it again, and that `of` answers for anything.

    Saved fits are read by the fields; `of` is asked of every family that gets a formula.
    """
    family: Any = case.family
    cls = type(family)
    fields = dataclasses.fields(family) if dataclasses.is_dataclass(family) else ()
    given = {each.name: getattr(family, each.name) for each in fields if each.init}
    held = [each for each in given.values() if isinstance(each, Family)]
    advice = "Make it a frozen dataclass with its families as fields, and list them in `inside`."
    expect(bool(held) and tuple(held) == family.inside, "families as fields", held, advice)
    again = cls(**given)
    expect(again.name == family.name, f"the name {family.name!r} again", again.name, advice)
    y, eta = case.sample.copies()
    expect_close(
        again.bind(y).log_density(y, eta),
        case.sample.log_density(),
        what="the density of what the same fields make",
        tol=0.0,
        advice=advice,
    )
    named = isinstance(getattr(cls, "name", None), str) and bool(cls.name)
    expect(named, f"{cls.__name__}.name to be a text", getattr(cls, "name", None), advice)
    for base in (*family.inside, family, _Unknown()):
        try:
            made = cls.of(base)
        except Exception as error:
            what = f"an answer from of({base.name!r})"
            expect(False, what, repr(error), "Return None for a family that it does not take.")
        roles = [each.role for each in made.parameters] if isinstance(made, Family) else []
        well = made is None or (isinstance(made, Family) and (not cls.role or cls.role in roles))
        wanted = f"None, or a family with a parameter of role {cls.role!r}, from of({base.name!r})"
        expect(well, wanted, made, "See interlace_core.contract.composition.Composition.of.")


class _Unknown(Family):
    """A family that says nothing of its response."""

    name = "unknown"
    parameters = (Parameter("mu", LINKS["identity"], role="mean"),)

    def log_density(self, y: Any, eta: Any) -> Any:
        return -0.5 * np.square(y - eta[0])

    def mean(self, eta: Any) -> Any:
        return eta[0]


def check_links_offered(case: FamilyCase) -> None:
    """Require that each link that the class names can be asked for, and that there is no other."""
    cls: Any = type(case.family)
    names = cls.links
    well = isinstance(names, tuple) and all(isinstance(each, str) for each in names)
    expect(well, "links to be a tuple of names", names, "Empty if there is no choice.")
    takes = "link" in inspect.signature(cls).parameters
    expect(
        takes == bool(names),
        "links to name what the constructor's argument `link` takes",
        f"links = {names!r} and {'such an' if takes else 'no such'} argument",
        "Name them, the default first.",
    )
    for k, name in enumerate(names):
        made = [cls(link=name), *([cls()] if k == 0 else [])]
        kept = {each.link.name if isinstance(each.link, Link) else each.link for each in made}
        # on a latent scale, the link is that of the scale, and the predictor is its own
        kept |= {m.link.name for m in (each.parameters[0] for each in made) if not m.latent}
        expect(
            kept == {name},
            f"link={name!r} to be the mean's link and `link`",
            sorted(map(str, kept)),
            "Keep the argument in `link`, and make the default the first of `links`.",
        )


def check_fixed(case: FamilyCase) -> None:
    """Require that a parameter given to the constructor is fixed there, and derived no more."""
    free = case.family
    for k, parameter in enumerate(free.parameters):
        value = float(parameter.link.mu(np.float64(case.sample.eta[k, 0])))
        fixed = _with(free, parameter.name, value) if parameter.role != "mean" else None
        if fixed is None:
            continue
        given = fixed.parameters[k].fixed
        expect(
            given == value,
            f"{parameter.name}={value:g} to fix that parameter",
            f"parameters[{k}].fixed = {given!r}",
            f"Return Parameter({parameter.name!r}, ..., fixed=self.{parameter.name}).",
        )
        expect_close(
            fixed.parameters[k].fixed_eta(),
            case.sample.eta[k, 0],
            what=f"fixed_eta() of {parameter.name}, the link of its value,",
            tol=TOL_ABS_ROUND_TRIP,
            advice="Check the link of that parameter.",
        )
        y, eta = case.sample.copies()
        expect_close(
            fixed.bind(y).log_density(y, eta),
            case.sample.log_density(),
            what=f"the density with {parameter.name} fixed, a function of eta alone,",
            tol=TOL_SAME,
            scale=1.0 + np.abs(case.sample.log_density()),
            advice="Take the parameter from eta, also when it is fixed.",
        )


def check_pickle(case: FamilyCase) -> None:
    """Require that family and bound copy survive pickling with the same density."""
    sample = case.sample
    for family in (case.family, sample.family):
        copy = pickle.loads(pickle.dumps(family))
        y, eta = sample.copies()
        expect_close(
            copy.bind(y).log_density(y, eta),
            sample.log_density(),
            what="the density of the pickled family to be",
            tol=0.0,
            advice="Keep no lambdas or open resources in a family.",
        )


def check_bind(case: FamilyCase) -> None:
    """Require that binding leaves the density as it is and that a second time changes nothing."""
    sample = case.sample
    twice = sample.family.bind(sample.y)
    again = Sample(twice, sample.y, sample.eta).log_density()
    families = [("bound twice", again)]
    # before it is bound, a family may not know how many parameters it has
    if len(case.family.parameters) == len(sample.family.parameters):
        unbound = Sample(case.family, sample.y, sample.eta).log_density()
        families.append(("not bound", unbound))
    for which, density in families:
        expect_close(
            density,
            sample.log_density(),
            what=f"the density of the family {which}, that of the bound one,",
            tol=TOL_SAME,
            scale=1.0 + np.abs(density),
            advice="bind() records what the data fix; it must not change the density.",
        )


def check_bind_part(case: FamilyCase) -> None:
    """Require that a part of the rows has the parameters and the density that all of them have."""
    sample = case.sample
    rows = np.arange(sample.eta.shape[1])
    advice = "Override bind_part(): parts need not vary, and all rows fixed the parameters."
    for part in (rows[::-1], *(rows[i : i + 1] for i in rows[:: max(len(rows) // 20, 1)])):
        y, eta = sample.y[part], sample.eta[:, part]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                family = sample.family.bind_part(y)
            except InterlaceError as error:
                expect(False, "bind_part() of a bound family to take any rows", error, advice)
        said = [str(each.message) for each in caught]
        expect(not said, "bind_part() to warn of nothing", said, advice)
        given = [(each.name, each.fixed) for each in family.parameters]
        wanted = [(each.name, each.fixed) for each in sample.family.parameters]
        expect(given == wanted, f"parameters {wanted} for a part", given, advice)
        expect_close(
            Sample(family, y, eta).log_density(),
            sample.log_density()[part],
            what="the density of a part of the rows, that of these rows among all,",
            tol=TOL_SAME,
            scale=1.0 + np.abs(sample.log_density()[part]),
            advice=advice,
        )


def _with(family: Family, name: str, value: float) -> Family | None:
    """Return the family with one parameter fixed; None if its constructor has no such argument."""
    cls: Any = type(family)
    if name not in inspect.signature(cls).parameters:
        return None
    if dataclasses.is_dataclass(family):
        return dataclasses.replace(family, **{name: value})
    fixed: Family = cls(**{name: value})
    return fixed
