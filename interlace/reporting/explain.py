"""A fitted model in words and in LaTeX: what was modelled, and what its numbers mean."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from interlace.reporting.latex import escape
from interlace.reporting.summary import number

if TYPE_CHECKING:
    from interlace_core.fitting.fitted_model import Coefficients, FittedModel
    from interlace_core.fitting.random_effects import TermPlace

GREEK = frozenset({"alpha", "mu", "nu", "phi", "pi", "psi", "sigma", "theta"})
"""Names of parameters that LaTeX has a letter for."""

Z95 = float(ndtri(0.975))


@dataclass(frozen=True)
class Meaning:
    """How a link's coefficients read.

    Attributes
    ----------
    ratio : str
        What is multiplied by exp(coefficient); empty where exp() has no such meaning.
    name : str
        What exp(coefficient) is called.
    """

    ratio: str = ""
    name: str = ""


@dataclass(frozen=True)
class Explanation:
    """The fitted model in words and formulas; prints as text.

    Attributes
    ----------
    paragraphs : tuple of str
        Text, in order: the model, the coefficients, the groups, what was done, how it ended.
    equations : tuple of str
        LaTeX, without dollar signs.
    """

    paragraphs: tuple[str, ...]
    equations: tuple[str, ...]

    def __str__(self) -> str:
        """Return the paragraphs as text."""
        return "\n\n".join(self.paragraphs)

    __repr__ = __str__

    def to_latex(self) -> str:
        """Return equations and words as LaTeX, for a document that uses the package amsmath."""
        body = " \\\\\n".join(self.equations)
        words = "\n\n".join(_latex_paragraph(each) for each in self.paragraphs)
        return f"\\begin{{align*}}\n{body}\n\\end{{align*}}\n\n{words}\n"

    def _repr_markdown_(self) -> str:
        body = " \\\\\n".join(self.equations)
        words = "\n\n".join(self.paragraphs)
        return f"$$\\begin{{aligned}}\n{body}\n\\end{{aligned}}$$\n\n{words}"


def explain(result: FittedModel) -> Explanation:
    """Return the fitted model in words and in LaTeX; see `GLMMResult.explain`."""
    paragraphs = [
        _model(result),
        *(
            _coefficients(result, k)
            for k in range(len(result.coefficients))
            if _explained(result, k)
        ),
        *_groups(result),
        *_family_parameters(result),
        _what_was_done(result),
    ]
    return Explanation(tuple(paragraphs), tuple(_equations(result)))


def _model(result: FittedModel) -> str:
    first = result.coefficients[0].parameter
    response = result.formula.partition("~")[0].strip()
    zero = [each.parameter for each in result.coefficients if each.parameter.role == "zero"]
    what = "the mean of the part beside the zeros" if zero else "its mean"
    groups = [f"{term.label.rpartition('|')[2].strip(' )')}" for term in result.terms]
    varying = f", given random effects of {_listed(dict.fromkeys(groups))}" if groups else ""
    scale = "directly" if first.link.name == "identity" else f"on the {first.link.name} scale"
    return (
        f"The response {response} has the {result.family.name} distribution{varying}; {what} is "
        f"modelled {scale} as a sum of effects. The fit is by {_method(result)} "
        f"({result.fitted_by}) to {result.nobs} rows."
    )


def _method(result: FittedModel) -> str:
    priors = result.settings.priors
    if not priors:
        return result.fitted_by.words
    words = ", ".join(f"{prior} on {name}" for name, prior in priors.items())
    return f"{result.fitted_by.words}, with priors {words},"


def _explained(result: FittedModel, k: int) -> bool:
    """Return whether a parameter has coefficients beyond a constant, or is the mean."""
    names = result.coefficients[k].names
    return bool(names) if k == 0 else bool(set(names) - {"Intercept"})


def _coefficients(result: FittedModel, k: int) -> str:
    found = result.coefficients[k]
    meaning = _meaning(result, k)
    errors = result.bse_of(k).to_numpy()
    title = "Effects on the mean" if k == 0 else f"Effects on {found.parameter.name}"
    same = ", other things equal and in the same group" if result.terms else ", other things equal"
    if meaning.ratio:
        head = (
            f"{title}{same}, as the {meaning.name}, exp(coefficient), with its 95% interval: what "
            f"{meaning.ratio} is multiplied by."
        )
    else:
        head = f"{title}{same}, on the {found.parameter.link.name} scale, with 95% intervals."
    lines = [
        _line(name, estimate, error, meaning)
        for name, estimate, error in zip(found.names, found.estimates, errors, strict=True)
        if name != "Intercept"
    ]
    lines += [_intercept(found, result)] if "Intercept" in found.names else []
    return "\n".join([head, *(f"  - {line}" for line in lines)])


def _line(name: str, estimate: float, error: float, meaning: Meaning) -> str:
    low, high = estimate - Z95 * error, estimate + Z95 * error
    if not meaning.ratio:
        return f"{name}: {_signed(estimate)} ({_short(low)} to {_short(high)})"
    factor, low, high = (_exp(value) for value in (estimate, low, high))
    change = f"{100 * abs(factor - 1):.0f}% {'higher' if factor >= 1 else 'lower'}"
    words = f", {change}" if 0.01 < factor < 2 else ""
    return f"{name}: {_short(factor)} ({_short(low)} to {_short(high)}){words}"


def _intercept(found: Coefficients, result: FittedModel) -> str:
    value = float(found.estimates[found.names.index("Intercept")])
    natural = float(found.parameter.link.mu(np.float64(value)))
    zero = " and random effects 0" if result.terms else ""
    return (
        f"Intercept: {_short(natural)} is {found.parameter.name} where all covariates are 0 or at "
        f"their reference level{zero}"
    )


def _meaning(result: FittedModel, k: int) -> Meaning:
    """Return what exp(coefficient) means, by the link and by what the family's response is."""
    parameter, family = result.coefficients[k].parameter, result.family
    words = family.ratio_words(k)
    if words is not None:
        return Meaning(*words)
    counts = family.support.endswith("counts")
    trials = "pair" in family.response_forms
    zero = any(each.parameter.role == "zero" for each in result.coefficients)
    match parameter.link.name:
        case "log" if k:
            return Meaning(parameter.name, "ratio")
        case "log" if counts:
            part = " of the part beside the zeros" if zero else ""
            return Meaning(f"the expected count{part}", "rate ratio")
        case "log" if trials:
            return Meaning("the probability", "risk ratio")
        case "log":
            return Meaning("the mean", "ratio of means")
        case "logit" if k:
            return Meaning(f"the odds of {parameter.name}", "odds ratio")
        case "logit" if trials:
            return Meaning("the odds of success", "odds ratio")
        case "logit":
            return Meaning("mean / (1 - mean)", "odds ratio of the mean")
        case "cloglog":
            return Meaning("-log(1 - probability), the integrated hazard", "hazard ratio")
    return Meaning()


def _groups(result: FittedModel) -> list[str]:
    lines = []
    for term in result.terms:
        prior = result.effects[term.group].prior[term.columns, term.columns]
        meaning = _meaning(result, term.predictor)
        for name, variance in zip(term.names, np.diagonal(prior), strict=True):
            sd = math.sqrt(variance)
            line = f"{name} | {term.group}: standard deviation {_short(sd)}"
            if meaning.ratio and sd > 0 and name == "Intercept":
                line += (
                    f"; in a group one standard deviation above the middle, {meaning.ratio} is "
                    f"multiplied by {_short(_exp(sd))}"
                )
            lines.append(line)
    if not lines:
        return []
    counts = ", ".join(f"{count} levels of {group}" for group, count in result.ngroups.items())
    head = f"Differences between groups ({counts}), on the scale of the linear predictor."
    related = [group for group, effects in result.effects.items() if effects.scales is not None]
    lines += [
        f"levels of {group} are correlated as the known matrix says; a standard deviation is that "
        "of a level whose variance in it is 1"
        for group in related
    ]
    return ["\n".join([head, *(f"  - {line}" for line in lines)])]


def _family_parameters(result: FittedModel) -> list[str]:
    lines = []
    for name, row in result.family_params.iterrows():
        how = "fixed by the call, not estimated" if row["fixed"] else "estimated"
        lines.append(f"{name} = {_short(float(row['value']))} ({how})")
    return [f"Further parameters of the family: {'; '.join(lines)}."] if lines else []


def _what_was_done(result: FittedModel) -> str:
    rows = result.rows
    dropped = rows.n_given - rows.n_used
    parts = []
    if dropped:
        missing = ", ".join(f"{name} {count}" for name, count in rows.missing.items())
        parts.append(
            f"{dropped} of {rows.n_given} rows were left out for missing values ({missing})."
        )
    else:
        parts.append("No rows were left out.")
    if result.dropped_columns:
        parts.append(f"Collinear and left out: {_listed(result.dropped_columns)}.")
    if result.encoder.external_offset or result.encoder.predictors[0].offsets:
        parts.append("The mean's predictor has an offset, a known part without a coefficient.")
    parts += [f"{note[:1].upper()}{note[1:]}." for note in result.notes]
    parts.append(f"The fit ended at: {result.status}.")
    return " ".join(parts)


def _equations(result: FittedModel) -> list[str]:
    """Return the model's equations with the estimates in them."""
    names = ", ".join(
        rf"\mathit{{{escape(each.parameter.name)}}}_i" for each in result.coefficients
    )
    response = escape(result.formula.partition("~")[0].strip())
    lines = [
        rf"\text{{{response}}}_i \mid b &\sim "
        rf"\operatorname{{{escape(result.family.name)}}}({names})"
    ]
    for k, found in enumerate(result.coefficients):
        parameter = found.parameter
        left = f"{_symbol(parameter.name)}_i"
        if parameter.link.name != "identity":
            left = rf"\operatorname{{{escape(parameter.link.name)}}}({left})"
        if parameter.fixed is not None:
            lines.append(f"{_symbol(parameter.name)}_i &= {_math(parameter.fixed)}")
        else:
            lines.append(f"{left} &= {_sum(result, k)}")
    for t, term in enumerate(result.terms, start=1):
        prior = result.effects[term.group].prior[term.columns, term.columns]
        entries = r" \\ ".join(" & ".join(_math(v) for v in row) for row in prior)
        matrix = rf"\begin{{pmatrix}} {entries} \end{{pmatrix}}" if len(prior) > 1 else entries
        lines.append(rf"b^{{({t})}}_{{\text{{{escape(term.group)}}}}} &\sim N(0, {matrix})")
    return lines


def _sum(result: FittedModel, k: int) -> str:
    found = result.coefficients[k]
    parts = []
    for name, estimate in zip(found.names, found.estimates, strict=True):
        value = _math(abs(float(estimate)))
        factor = "" if name == "Intercept" else rf"\,\text{{{escape(name)}}}_i"
        parts.append(f"{'-' if estimate < 0 else '+'} {value}{factor}")
    for t, term in enumerate(result.terms, start=1):
        if term.predictor == k:
            parts += [_effect(t, j, term) for j in range(len(term.names))]
    encoder = result.encoder.predictors[k]
    if encoder.offsets or (k == 0 and result.encoder.external_offset):
        parts.append(r"+ \text{offset}_i")
    joined = " ".join(parts)
    return joined.removeprefix("+ ") if parts else "0"


def _effect(t: int, j: int, term: TermPlace) -> str:
    """Return column j of term t as it stands in a predictor."""
    which = "" if len(term.names) == 1 else f",{j + 1}"
    covariate = "" if term.names[j] == "Intercept" else rf"\,\text{{{escape(term.names[j])}}}_i"
    return rf"+ b^{{({t})}}_{{\text{{{escape(term.group)}}}[i]{which}}}{covariate}"


def _symbol(name: str) -> str:
    return f"\\{name}" if name in GREEK else rf"\mathit{{{escape(name)}}}"


def _math(value: float) -> str:
    """Return a number for LaTeX's mathematics."""
    mantissa, _, exponent = _short(value).partition("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}" if exponent else mantissa


def _latex_paragraph(text: str) -> str:
    """Return a paragraph whose lines after the first, if any, become a list."""
    head, *lines = text.split("\n")
    if not lines:
        return escape(head)
    items = "\n".join(rf"\item {escape(line.removeprefix('  - '))}" for line in lines)
    return f"{escape(head)}\n\\begin{{itemize}}\n{items}\n\\end{{itemize}}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _signed(value: float) -> str:
    return f"+{_short(value)}" if value > 0 else _short(value)


def _short(value: float) -> str:
    """Return a number with three significant digits, or four before the point."""
    if not math.isfinite(value) or (value and not 1e-4 <= abs(value) < 1e6):
        return number(value)
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
