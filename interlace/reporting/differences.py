"""What a fit was asked for, in words; and names for several fits by what they differ in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from interlace.formulas.bars import DEFAULT_STRUCTURE
from interlace.reporting.meanings import link_of

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates

FORMULAS = {"zero": "ziformula", "dispersion": "dispformula"}
"""What users call the formula of a parameter, by its role."""


def whole_formula(result: Estimates) -> str:
    """Return the formula with the random effects that were given beside it."""
    if "|" in result.formula:
        return result.formula
    bars = [
        term.label if term.label.endswith(")") else f"({term.label})"
        for term in result.terms
        if term.predictor == 0
    ]
    return " + ".join([result.formula, *bars])


def answers(result: Estimates) -> dict[str, str]:
    """Return what distinguishes a fit of some data, by what it is: each in words, or empty."""
    found = {"formula": whole_formula(result)}
    for k, each in enumerate(result.coefficients[1:], start=1):
        parameter = each.parameter
        asked = FORMULAS.get(parameter.role, parameter.name)
        text = _formula_of(result, k)
        found[f"formula {asked}"] = f"{asked} {text}" if text else ""
    found["held"] = ", ".join(f"{name} = {value:g}" for name, value in result.held.items())
    found["family"] = result.family.name
    found["link"] = f"link {link_of(result, 0)}"
    found["options"] = result.family_words
    settings = result.settings
    found["weights"] = _named("weights", settings.weights, "no weights")
    found["offset"] = _named("offset", settings.offset, "")
    found["correlation"] = _named("correlation", settings.correlation, "independent rows")
    found["structure"] = _structures(result)
    known = [group for group, effects in result.effects.items() if effects.scales is not None]
    found["known"] = f"known {', '.join(known)}" if known else ""
    found["method"] = _method(result)
    return found


def _formula_of(result: Estimates, k: int) -> str:
    """Return the formula that a further parameter was given, if it was."""
    parameter = result.coefficients[k].parameter
    for name, text in result.settings.parameters.items():
        if name in (parameter.name, parameter.role):
            return text.strip()
    return ""


def _named(what: str, value: str | None, without: str) -> str:
    return without if value is None else f"{what} {value}"


def _structures(result: Estimates) -> str:
    return ", ".join(
        f"{term.structure}({term.group})"
        for term in result.terms
        if term.structure != DEFAULT_STRUCTURE
    ) or (f"{DEFAULT_STRUCTURE} covariances" if result.terms else "")


def _method(result: Estimates) -> str:
    by = result.fitted_by
    if by.restricted:
        return "REML"
    nAGQ = "ML" if by.nAGQ is None else f"nAGQ={by.nAGQ}"
    return f"penalised {nAGQ}" if by.penalised else nAGQ


def names_of(results: Sequence[Estimates]) -> list[str]:
    """Return a name for each fit: its formula, and whatever else it differs from others in.

    Fits that differ in nothing that is known are numbered.
    """
    said = [answers(each) for each in results]
    keys = list(dict.fromkeys(key for each in said for key in each))
    differing = [
        key for key in keys if key != "formula" and len({each.get(key, "") for each in said}) > 1
    ]
    if "family" in differing or "link" in differing:
        differing = [key for key in differing if key != "options"]
    names = [
        "; ".join([each["formula"], *(each[key] for key in differing if each.get(key))])
        for each in said
    ]
    return _numbered(names)


def _numbered(names: list[str]) -> list[str]:
    count, seen = Counter(names), Counter[str]()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if count[name] == 1 else f"{name} ({seen[name]})")
    return found
