"""The parameters of a fit that can have an interval, and choosing among them by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from interlace.data.named import number_label, prefix_of
from interlace.inference.quantities import (
    Coordinate,
    Correlation,
    FamilyValue,
    LinearCombination,
    Quantity,
    StandardDeviation,
    StructureNumber,
)
from interlace.results.thresholds import threshold_predictors, thresholds_of
from interlace_core.contract.covariance import Covariance
from interlace_core.contract.held import with_held
from interlace_core.messages.checks import names_of
from interlace_core.messages.errors import InterlaceError, NotAvailableError, OptionError
from interlace_core.messages.names import did_you_mean

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates
    from interlace.results.random_effects import TermPlace


def quantities(result: Estimates) -> list[Quantity]:
    """Return all that can have an interval: coefficients, thresholds, random effects, family.

    Raises
    ------
    NotAvailableError
        If a covariance structure is not installed, and the result was saved without the data.
    """
    found: list[Quantity] = []
    natural = set(result.family_params.index)
    own = threshold_predictors(result)
    for k, part in enumerate(result.coefficients):
        if k and (k in own or part.parameter.name in natural):
            continue
        prefix = "" if k == 0 else f"{part.parameter.name}: "
        found += [
            Coordinate(label=prefix + name, kind="coefficient", index=part.place.start + i)
            for i, name in enumerate(part.names)
        ]
    return found + _thresholds(result) + _random(result) + family_quantities(result)


def select(found: list[Quantity], parm: str | list[str] | None, who: str) -> list[Quantity]:
    """Return the quantities named by label or kind; all of them if none is named.

    Raises
    ------
    OptionError
        If a name is none of them.
    NotAvailableError
        If something is named where nothing was estimated.
    """
    if parm is None:
        return found
    require_free(found, who)
    chosen = []
    for name in names_of(parm, f"{who}: parm", "a parameter's label or a kind"):
        matching = [each for each in found if name in (each.label, each.kind)]
        if not matching:
            labels = [each.label for each in found]
            hint = did_you_mean(name, labels)
            kinds = ", ".join(dict.fromkeys(each.kind for each in found))
            raise OptionError(
                f"{who}: expected a parameter's label or a kind that this fit has ({kinds}), got "
                f"{name!r}.{hint} Parameters: {', '.join(labels)}."
            )
        chosen += matching
    if not chosen:
        raise OptionError(f"{who}: expected at least one parameter, got an empty list.")
    return list(dict.fromkeys(chosen))


def require_free(found: list[Quantity], who: str) -> None:
    """Refuse a fit none of whose parameters is estimated.

    Raises
    ------
    NotAvailableError
        If there is no quantity.
    """
    if not found:
        raise NotAvailableError(
            f"{who}: every parameter of this fit is held at a value, and none was estimated. Leave "
            "those that are asked for out of hold=."
        )


def term_covariances(result: Estimates) -> list[tuple[Covariance, slice]] | None:
    """Return each term's covariance structure and its place in psi.

    None for a result without its data whose structures' plugins are not installed.
    """
    if result.training is not None:
        covariances = [term.covariance for term in result.training.problem.terms]
    else:
        try:
            covariances = [rebuilt(term) for term in result.terms]
        except InterlaceError:
            return None
    return [(each, term.theta) for each, term in zip(covariances, result.terms, strict=True)]


def structure_numbers(
    result: Estimates,
) -> list[tuple[TermPlace, list[tuple[str, float, float]]]]:
    """Return the numbers that structures of levels, times or places print, with their errors.

    Of terms whose structure is more than standard deviations and correlations of its columns:
    name, value and standard error (NaN at a bound). Nothing of one whose plugin is not installed.
    """
    found = []
    known = term_covariances(result)
    for term, own in zip(result.terms, known or (), strict=known is not None):
        covariance, place = own
        if not term.column_levels and {"sd", "correlation"} >= set(covariance.kinds()):
            continue
        numbers = []
        for each in structure_quantities(covariance, place, term):
            with np.errstate(invalid="ignore"):
                error = np.sqrt(result.fit.variance(each.gradient(result.fit.psi)))
            numbers.append((each.name, each.value(result.fit.psi), float(error)))
        found.append((term, numbers))
    return found


def rebuilt(term: TermPlace) -> Covariance:
    """Return the structure of a term as it was made from the data."""
    from interlace_core.registry.registry import default_registry

    cls = default_registry().covariance(term.structure)
    made = cls.from_columns(term.names, term.column_levels, term.points, **term.options)
    return with_held(made, term.names, term.held)


def _random(result: Estimates) -> list[Quantity]:
    found: list[Quantity] = []
    known = term_covariances(result)
    if known is None:
        structures = ", ".join(dict.fromkeys(term.structure for term in result.terms))
        raise NotAvailableError(
            f"confint: needs the covariance structure(s) {structures} of the fit, one of which is "
            "not installed. Install the plugin that provides it."
        )
    for term, (covariance, place) in zip(result.terms, known, strict=True):
        k = term.predictor
        prefix = prefix_of(k, term.along, result.coefficients[k].parameter.name)
        numbers = not {"sd", "correlation"} >= set(covariance.kinds())
        if covariance.takes_levels_only or term.held or numbers:
            found += structure_quantities(covariance, place, term, prefix)
            continue
        for i, name in enumerate(term.names):
            label = f"sd({prefix}{name} | {term.group})"
            found.append(
                StandardDeviation(label=label, kind="sd", covariance=covariance, place=place, row=i)
            )
        correlated = covariance.template(np.linspace(0.7, 1.3, covariance.n_theta))
        for i in range(len(term.names)):
            for j in range(i):
                if correlated[i] @ correlated[j] != 0.0:
                    label = f"cor({prefix}{term.names[i]}, {term.names[j]} | {term.group})"
                    found.append(
                        Correlation(
                            label=label,
                            kind="correlation",
                            covariance=covariance,
                            place=place,
                            first=i,
                            second=j,
                        )
                    )
    return found


def _thresholds(result: Estimates) -> list[Quantity]:
    """Return the thresholds between categories, each a sum of entries of psi."""
    cut = thresholds_of(result)
    if cut is None:
        return []
    found = []
    for name, row in zip(cut.free_names, cut.matrix[cut.free], strict=True):
        weights = np.zeros(result.fit.psi.size)
        weights[cut.places] = row
        found.append(LinearCombination(label=name, kind="threshold", weights=weights))
    return list(found)


def structure_quantities(
    covariance: Covariance, place: slice, term: TermPlace, prefix: str = ""
) -> list[StructureNumber]:
    """Return the free numbers of a term's structure."""
    kinds = {"sd": "sd", "correlation": "correlation"}
    return [
        StructureNumber(
            label=number_label(name, term.group, prefix),
            name=name,
            kind=kinds.get(scale, "structure"),
            covariance=covariance,
            place=place,
            number=number,
            scale=scale,
        )
        for number, (name, scale) in enumerate(
            zip(covariance.names(term.names), covariance.kinds(), strict=True)
        )
    ]


def family_quantities(result: Estimates) -> list[Quantity]:
    """Return the further parameters of the family that are estimated, on their natural scale."""
    with_effects = {k for term in result.terms for k, _ in term.by_predictor}
    constant = {
        j: part.place.start
        for j, part in enumerate(result.coefficients)
        if part.names == ("Intercept",) and j not in with_effects
    }
    found: list[Quantity] = []
    for k, part in enumerate(result.coefficients):
        name, parameter = part.parameter.name, part.parameter
        if k == 0 or name not in result.family_params.index or parameter.fixed is not None:
            continue
        whole = FamilyValue(
            label=name, kind="family", family=result.family, parameter=k, constant=constant
        )
        slope = whole.gradient(result.fit.psi)
        places = np.flatnonzero(slope)
        by_itself = Coordinate(
            label=name, kind="family", index=part.place.start, link=parameter.link
        )
        alone = set(places) <= {part.place.start}
        same = np.isclose(by_itself.value(result.fit.psi), whole.value(result.fit.psi), rtol=1e-10)
        found.append(by_itself if alone and same else whole)
    return found
