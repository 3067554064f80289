"""A fitted model in words and in LaTeX: what was modelled, and what its numbers mean."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interlace.reporting.blocks import Block, blocks
from interlace.reporting.latex import escape
from interlace.reporting.meanings import Meaning, link_of, meaning_of
from interlace.reporting.render import number
from interlace.results.thresholds import Thresholds, threshold_predictors, thresholds_of

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates
    from interlace.results.fitted_model import Coefficients
    from interlace.results.random_effects import TermPlace

GREEK = frozenset({"alpha", "mu", "nu", "phi", "pi", "psi", "sigma", "theta"})
"""Names of parameters that LaTeX has a letter for."""

ROLES = {"zero": " (the zero part)", "dispersion": " (the dispersion)"}
"""What a parameter is for, beside its name."""

LEVEL = 0.95
"""Of all intervals in words."""


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
        words = "\n\n".join(_markdown(each) for each in self.paragraphs)
        return f"$$\\begin{{aligned}}\n{body}\n\\end{{aligned}}$$\n\n{words}"

    def _repr_html_(self) -> str:
        """Return equations and words; MathJax, where there is any, sets what is between dollars."""
        body = html.escape(" \\\\\n".join(self.equations))
        equations = f"$$\\begin{{aligned}}\n{body}\n\\end{{aligned}}$$"
        words = "".join(_html_paragraph(each) for each in self.paragraphs)
        return f'<div class="interlace"><p>{equations}</p>{words}</div>'


def _html_paragraph(text: str) -> str:
    """Return a paragraph as HTML, its lines that begin with a dash as a list."""
    head, *lines = (_plain_html(line) for line in text.split("\n"))
    items = "".join(f"<li>{line.strip().removeprefix('- ')}</li>" for line in lines)
    return f"<p>{head}</p>" + (f"<ul>{items}</ul>" if items else "")


def _plain_html(text: str) -> str:
    """Return a text as HTML in which a dollar begins no formula."""
    return html.escape(text).replace("$", "<span>$</span>")


_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$])")


def _markdown(text: str) -> str:
    """Return a text with what means something to Markdown, or to HTML within it, escaped."""
    return _MARKDOWN.sub(r"\\\1", text.replace("&", "&amp;")).replace("\\<", "&lt;")


def explain(result: Estimates) -> Explanation:
    """Return the fitted model in words and in LaTeX; see `GLMMResult.explain`."""
    paragraphs = [
        _model(result),
        *(_coefficients(result, block) for block in blocks(result) if _explained(block)),
        *_groups(result),
        *_family_parameters(result),
        _what_was_done(result),
    ]
    return Explanation(tuple(paragraphs), tuple(_equations(result)))


def _model(result: Estimates) -> str:
    groups = [f"{term.label.rpartition('|')[2].strip(' )')}" for term in result.terms]
    varying = f", given random effects of {_listed(dict.fromkeys(groups))}" if groups else ""
    by = "" if result.restricted else f" ({result.fitted_by})"
    return (
        f"{_distribution(result, varying)} The fit is by {_method(result)}{by} to {result.nobs} "
        "rows."
    )


def _distribution(result: Estimates, varying: str) -> str:
    """Return what the response is, and on which scale effects add up."""
    response = result.formula.partition("~")[0].strip()
    link = link_of(result, 0)
    cut = thresholds_of(result)
    if cut is not None:
        levels = " < ".join(result.settings.response_levels)
        return (
            f"The response {response} has the ordered categories {levels}{varying}, by the family "
            f"{result.family.name} with the {link} link: the probability of a category up to k is "
            "that of a latent value below the threshold behind k, and a sum of effects moves the "
            "latent value."
        )
    zero = [each.parameter for each in result.coefficients if each.parameter.role == "zero"]
    what = "the mean of the part beside the zeros" if zero else "its mean"
    scale = "directly" if link == "identity" else f"on the {link} scale"
    return (
        f"The response {response} has the {result.family.name} distribution{varying}; {what} is "
        f"modelled {scale} as a sum of effects."
    )


def _method(result: Estimates) -> str:
    priors = result.settings.priors
    if not priors:
        return result.fitted_by.words
    words = ", ".join(f"{prior} on {name}" for name, prior in priors.items())
    return f"{result.fitted_by.words}, whose optimum is a posterior mode, with priors {words},"


def _explained(block: Block) -> bool:
    """Return whether a parameter has coefficients beyond a constant, or is the mean."""
    return block.predictor == 0 or bool(set(block.names) - {"Intercept"})


def _coefficients(result: Estimates, block: Block) -> str:
    k = block.predictor
    found = result.coefficients[k]
    low, high = block.limits(LEVEL)
    rows = list(zip(block.names, block.estimates, low, high, strict=True))
    intervals = f"{'t ' if 'df' in block.tests else ''}intervals"
    if block.kind == "intercept":
        head = f"Thresholds on the latent scale ({block.scale}), with 95% {intervals}."
        return "\n".join([head, *(f"  - {_line(*row, Meaning())}" for row in rows)])
    meaning = meaning_of(result, k)
    what = ROLES.get(found.parameter.role, "")
    title = "Effects on the mean" if k == 0 else f"Effects on {found.parameter.name}{what}"
    if k == 0 and thresholds_of(result) is not None:
        title = "Effects on the latent value"
    same = ", other things equal and in the same group" if result.terms else ", other things equal"
    if meaning.ratio:
        head = (
            f"{title}{same}, as the {meaning.name}, exp(coefficient), with 95% {intervals}: what "
            f"{meaning.ratio} is multiplied by."
        )
    else:
        head = f"{title}{same}, on the {block.scale}, with 95% {intervals}."
    lines = [_line(*row, meaning) for row in rows if row[0] != "Intercept"]
    lines += [_intercept(found, result)] if "Intercept" in found.names else []
    return "\n".join([head, *(f"  - {line}" for line in lines)])


def _line(name: str, estimate: float, low: float, high: float, meaning: Meaning) -> str:
    if not meaning.ratio:
        return f"{name}: {_signed(estimate)} ({_short(low)} to {_short(high)})"
    factor, low, high = (_exp(value) for value in (estimate, low, high))
    change = f"{100 * abs(factor - 1):.0f}% {'higher' if factor >= 1 else 'lower'}"
    words = f", {change}" if 0.01 < factor < 2 else ""
    return f"{name}: {_short(factor)} ({_short(low)} to {_short(high)}){words}"


def _intercept(found: Coefficients, result: Estimates) -> str:
    value = float(found.estimates[found.names.index("Intercept")])
    natural = float(found.parameter.link.mu(np.float64(value)))
    zero = " and random effects 0" if result.terms else ""
    return (
        f"Intercept: {_short(natural)} is {found.parameter.name} where all covariates are 0 or at "
        f"their reference level{zero}"
    )


def _groups(result: Estimates) -> list[str]:
    lines = []
    for term in result.terms:
        prior = result.effects[term.group].prior[term.columns, term.columns]
        along = term.along or (term.predictor,) * len(term.names)
        for k, name, variance in zip(along, term.names, np.diagonal(prior), strict=True):
            meaning = meaning_of(result, k)
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


def _family_parameters(result: Estimates) -> list[str]:
    lines = []
    for name, row in result.family_params.iterrows():
        how = "fixed by the call, not estimated" if row["fixed"] else "estimated"
        lines.append(f"{name} = {_short(float(row['value']))} ({how})")
    return [f"Further parameters of the family: {'; '.join(lines)}."] if lines else []


def _what_was_done(result: Estimates) -> str:
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


def _equations(result: Estimates) -> list[str]:
    """Return the model's equations with the estimates in them."""
    response = rf"\text{{{escape(result.formula.partition('~')[0].strip())}}}_i"
    cut = thresholds_of(result)
    lines = _laws(result, response) if cut is None else _cuts(result, cut, response)
    for t, term in enumerate(result.terms, start=1):
        prior = result.effects[term.group].prior[term.columns, term.columns]
        entries = r" \\ ".join(" & ".join(_math(v) for v in row) for row in prior)
        matrix = rf"\begin{{pmatrix}} {entries} \end{{pmatrix}}" if len(prior) > 1 else entries
        lines.append(rf"b^{{({t})}}_{{\text{{{escape(term.group)}}}}} &\sim N(0, {matrix})")
    return lines


def _laws(result: Estimates, response: str) -> list[str]:
    """Return the distribution of the response, and the equation of each parameter."""
    names = ", ".join(f"{_symbol(each.parameter.name)}_i" for each in result.coefficients)
    law = rf"\operatorname{{{escape(result.family.name)}}}({names})"
    lines = [rf"{response} \mid b &\sim {law}"]
    for k, found in enumerate(result.coefficients):
        parameter = found.parameter
        left = f"{_symbol(parameter.name)}_i"
        if parameter.link.name != "identity":
            left = rf"\operatorname{{{escape(parameter.link.name)}}}({left})"
        if parameter.fixed is not None:
            lines.append(f"{_symbol(parameter.name)}_i &= {_math(parameter.fixed)}")
        else:
            lines.append(f"{left} &= {_sum(result, k)}")
    return lines


def _cuts(result: Estimates, cut: Thresholds, response: str) -> list[str]:
    """Return the equations of ordered categories: their probabilities, effects, thresholds."""
    link = rf"\operatorname{{{escape(link_of(result, 0))}}}"
    table = cut.table(cut.estimates(result.fit.psi))
    vectors = [
        f"({', '.join(_math(float(value)) for value in table[column])})"
        + ("" if column == "Intercept" else rf"\,\text{{{escape(str(column))}}}_i")
        for column in table
    ]
    difference, further = r"\alpha_k - \eta_i", len(threshold_predictors(result)) + 1
    lines = [rf"\eta_i &= {_sum(result, 0)}", rf"\alpha &= {' + '.join(vectors)}"]
    for k, found in enumerate(result.coefficients[further:], start=further):
        name = _symbol(found.parameter.name)
        if found.parameter.role == "dispersion":
            difference = rf"({difference}) / {name}_i"
        left = rf"\operatorname{{{escape(found.parameter.link.name)}}}({name}_i)"
        lines.append(f"{left} &= {_sum(result, k)}")
    return [rf"{link} P({response} \le k \mid b) &= {difference}", *lines]


def _sum(result: Estimates, k: int) -> str:
    found = result.coefficients[k]
    parts = []
    for name, estimate in zip(found.names, found.estimates, strict=True):
        value = _math(abs(float(estimate)))
        factor = "" if name == "Intercept" else rf"\,\text{{{escape(name)}}}_i"
        parts.append(f"{'-' if estimate < 0 else '+'} {value}{factor}")
    for t, term in enumerate(result.terms, start=1):
        parts += [_effect(t, int(j), term) for j in dict(term.by_predictor).get(k, ())]
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
