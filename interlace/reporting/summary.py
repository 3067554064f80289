"""The summary of a fit, as text, HTML and LaTeX from the same tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from interlace.inference.parameters import structure_numbers
from interlace.reporting.blocks import Block, blocks, residual_parameter
from interlace.reporting.differences import whole_formula
from interlace.reporting.latex import escape as latex
from interlace.reporting.latex import tabular
from interlace.reporting.meanings import meaning_of
from interlace.reporting.render import (
    DIGITS,
    STYLE,
    Row,
    Table,
    floated,
    number,
    pvalue,
    text_pairs,
)
from interlace.results.thresholds import thresholds_of
from interlace_core.messages.checks import (
    check_level,
    names_of,
    require_choice,
    require_count,
    require_flag,
)
from interlace_core.messages.errors import OptionError
from interlace_core.messages.names import did_you_mean
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates

PART_NAMES = {"zero": "the zero part", "dispersion": "the dispersion"}
"""What the roles of parameters are called in the head."""

PARTS = ("head", "random", "fixed", "thresholds", "parameters", "family", "notes")
"""What a summary is made of: "parameters" are coefficients of other parameters than the mean,
"family" those that are constant, on their natural scale."""


MOST_PRIORS = 8
"""That a head names; all are in the settings."""

MOST_DIGITS = 17
"""Places that a number in double precision can have."""


@dataclass(frozen=True)
class Shown:
    """What a summary shows, and how.

    Attributes
    ----------
    digits : int
        Places behind the point of estimates and errors below 100.
    level : float, optional
        Of intervals beside the estimates; none without.
    exponentiate : bool
        Whether coefficients whose exponential has a meaning are shown as that.
    show : tuple of str
        Among `PARTS`.
    """

    digits: int = DIGITS
    level: float | None = None
    exponentiate: bool = False
    show: tuple[str, ...] = PARTS

    def __post_init__(self) -> None:
        require_count(self.digits, "summary: digits", most=MOST_DIGITS)
        require_flag(self.exponentiate, "summary: exponentiate")
        if self.level is not None:
            object.__setattr__(self, "level", check_level(self.level, "summary"))
        for each in self.show:
            require_choice(each, PARTS, "summary: show")


class Summary:
    """Text when printed, HTML when displayed by a notebook, LaTeX when asked for.

    Parameters
    ----------
    result : GLMMResult
    shown : Shown
    """

    def __init__(self, result: Estimates, shown: Shown | None = None) -> None:
        self._result, self._shown = result, shown or Shown()
        show = self._shown.show
        self._head = _head(result) if "head" in show else ()
        self._tables = _tables(result, self._shown)
        notes = tuple(f"Note: {note}" for note in result.notes)
        self._foot = notes if "notes" in show else ()

    def __str__(self) -> str:
        """Return the summary as text."""
        found = [text_pairs(self._head)] if self._head else []
        found += [table.to_text() for table in self._tables]
        found += ["\n".join(self._foot)] if self._foot else []
        return "\n\n".join(found)

    __repr__ = __str__

    def to_latex(self, *, caption: str = "", label: str = "", **shown: Any) -> str:
        """Return the summary as LaTeX tables, for a document that uses the package booktabs.

        Parameters
        ----------
        caption, label : str
            Make a table that floats.
        **shown
            `digits`, `level`, `exponentiate`, `show`, as for `GLMMResult.summary`.
        """
        if shown:
            return self._with(shown).to_latex(caption=caption, label=label)
        parts = [tabular(self._head, columns=r"lp{0.68\linewidth}")] if self._head else []
        parts += [table.to_latex() for table in self._tables]
        parts += [latex(line) for line in self._foot]
        return floated("\n\n\\medskip\n".join(parts) + "\n", caption, label)

    def to_html(self, *, caption: str = "", **shown: Any) -> str:
        """Return the summary as HTML tables.

        Parameters
        ----------
        caption : str
            Stands above them.
        **shown
            `digits`, `level`, `exponentiate`, `show`, as for `GLMMResult.summary`.
        """
        if shown:
            return self._with(shown).to_html(caption=caption)
        parts = [f"<p><strong>{escape(caption)}</strong></p>"] if caption else []
        parts += [Table("", ("", ""), self._head).to_html()] if self._head else []
        parts += [table.to_html() for table in self._tables]
        parts += [f"<p>{escape(line)}</p>" for line in self._foot]
        return f'<div class="interlace">{STYLE}' + "".join(parts) + "</div>"

    def _repr_html_(self) -> str:
        return self.to_html()

    def _with(self, shown: dict[str, Any]) -> Summary:
        return Summary(self._result, shown_as(self._shown, **shown))


def shown_as(shown: Shown, **changes: Any) -> Shown:
    """Return what is shown with some of it changed.

    Raises
    ------
    OptionError
        If a name is none of its fields, or a value none that it takes.
    """
    known = ("digits", "level", "exponentiate", "show")
    for name in changes:
        if name not in known:
            raise OptionError(
                f"summary: expected {', '.join(known)}, got {name!r}.{did_you_mean(name, known)}"
            )
    show = changes.get("show")
    if show is None:
        changes.pop("show", None)
    else:
        what = f"among {', '.join(map(repr, PARTS))}"
        changes["show"] = tuple(names_of(show, "summary: show", what))
    return replace(shown, **changes)


def _head(result: Estimates) -> tuple[Row, ...]:
    groups = ", ".join(f"{group} {count}" for group, count in result.ngroups.items())
    rows = [
        _heading(result),
        ("Formula", whole_formula(result)),
        *(
            (f"Formula of {PART_NAMES.get(name, name)}", text)
            for name, text in result.settings.parameters.items()
        ),
        ("Family", result.family_words),
        *_given(result),
        ("Approximation", str(result.fitted_by)),
        ("Rows", _rows_used(result)),
        ("Groups", groups or "none"),
        *_likelihood_rows(result),
        ("Status", result.status),
    ]
    if result.settings.configured:
        configured = ", ".join(map(str, result.settings.configured))
        rows.append(("Options from configuration", configured))
    if result.fit.searches:
        rows.append(("Searches", result.fit.search_report()))
    return tuple(rows)


def _given(result: Estimates) -> list[Row]:
    """Return what was given beside formula and family: weights, offset, known covariances."""
    settings = result.settings
    known = [group for group, effects in result.effects.items() if effects.scales is not None]
    rows = (
        ("Weights", settings.weights),
        ("Offset", settings.offset),
        ("Data", settings.parts),
        ("Correlation of rows", settings.correlation),
        ("Known covariance of", ", ".join(known)),
    )
    return [(name, value) for name, value in rows if value]


def _heading(result: Estimates) -> Row:
    if not result.penalised:
        return result.heading
    words = [f"{name} ~ {prior}" for name, prior in result.settings.priors.items()]
    if len(words) > MOST_PRIORS:
        words[MOST_PRIORS:] = [f"and {len(words) - MOST_PRIORS} more (settings.priors)"]
    return result.heading[0], f"{result.heading[1]}, with priors {', '.join(words)}"


def _likelihood_rows(result: Estimates) -> tuple[Row, ...]:
    llf = f"{result.llf:.4f} (df {result.df})"
    name = "logLik by REML" if result.restricted else "logLik"
    if result.penalised:
        words = "not defined for a penalised fit, nor are likelihood-ratio tests"
        return (name, f"{llf}, not at its maximum"), ("AIC, BIC", words)
    return (name, llf), ("AIC, BIC", f"{result.aic:.2f}, {result.bic:.2f}")


def _rows_used(result: Estimates) -> str:
    rows = result.rows
    dropped = rows.n_given - rows.n_used
    if not dropped:
        return str(rows.n_used)
    missing = ", ".join(f"{name} {count}" for name, count in rows.missing.items())
    return f"{rows.n_used} ({dropped} dropped with missing values: {missing})"


def _tables(result: Estimates, shown: Shown) -> tuple[Table, ...]:
    tables = []
    if result.effects and "random" in shown.show:
        found = (_variance_table(result, shown), _structure_table(result, shown))
        tables += [table for table in found if table.rows]
    for block in blocks(result):
        part = "thresholds" if block.kind == "intercept" else "parameters"
        if ("fixed" if block.predictor == 0 and block.kind == "location" else part) in shown.show:
            tables.append(_coefficient_table(result, block, shown))
    family = _family_rows(result, shown)
    if family and "family" in shown.show:
        header = ("", "value", "std. error")
        tables.append(Table("Family parameters (natural scale)", header, family))
    return tuple(tables)


def _coefficient_table(result: Estimates, block: Block, shown: Shown) -> Table:
    meaning = meaning_of(result, block.predictor)
    ratio = shown.exponentiate and block.kind == "location" and bool(meaning.ratio)
    estimates, errors = block.estimates, block.errors
    limits: tuple[Array, ...] = ()
    if shown.level is not None:
        limits = block.limits(shown.level)
    if ratio:
        with np.errstate(over="ignore", invalid="ignore"):
            estimates = np.exp(estimates)
            errors, limits = errors * estimates, tuple(np.exp(each) for each in limits)
    *middle, last = (block.tests[column].to_numpy() for column in block.tests.columns)
    columns = [
        [number(value, shown.digits) for value in estimates],
        [number(value, shown.digits) for value in errors],
        *([number(value, shown.digits) for value in each] for each in limits),
        *(
            [f"{value:.2e}" if abs(value) >= 1e6 else f"{value:.3f}" for value in each]
            for each in middle
        ),
        [pvalue(value) for value in last],
    ]
    scale = f"exp of {block.scale}" if ratio else block.scale
    return Table(
        f"{block.title} ({scale}, {block.test})",
        ("", meaning.name if ratio else "estimate", "std. error", *_percents(shown),
         *map(str, block.tests.columns)),
        (*zip(block.names, *columns, strict=True), *_held_rows(result, block, shown, len(columns))),
    )  # fmt: skip


def _held_rows(result: Estimates, block: Block, shown: Shown, width: int) -> tuple[Row, ...]:
    """Return a row for each coefficient that is held, or held equal to another."""
    if block.kind == "intercept":
        cut = thresholds_of(result)
        fixed = {} if cut is None else cut.held
        rows = [(name, number(value, shown.digits), "(fixed)") for name, value in fixed.items()]
        return tuple((*row, *[""] * (width - 2)) for row in rows)
    held = result.held_coefficients(block.predictor)
    rows = [(name, number(value, shown.digits), "(fixed)") for name, value in held.items()]
    estimates = dict(zip(block.names, block.estimates, strict=True))
    for name, other in result.equal_coefficients(block.predictor).items():
        rows.append((name, number(estimates[other], shown.digits), f"(= {other})"))
    return tuple((*row, *[""] * (width - 2)) for row in rows)


def _percents(shown: Shown) -> Sequence[str]:
    """Return the headers of the ends of intervals, such as "2.5%"."""
    if shown.level is None:
        return ()
    tail = 50.0 * (1.0 - shown.level)
    return f"{tail:.4g}%", f"{100.0 - tail:.4g}%"


def _variance_table(result: Estimates, shown: Shown) -> Table:
    rows = []
    widest = 0
    for group, effects in result.effects.items():
        listed, held = _listed(result, group), _held_numbers(result, group)
        if not listed:
            continue
        sd = np.sqrt(np.diagonal(effects.prior))
        for i in listed:
            name, correlations = effects.names[i], []
            for j in (each for each in listed if each < i):
                scale = sd[i] * sd[j]
                if not _same_term(result, group, i, j):
                    correlations.append("")
                else:
                    correlations.append(f"{effects.prior[i, j] / scale:.3f}" if scale > 0 else "-")
            while correlations and not correlations[-1]:
                correlations.pop()
            widest = max(widest, len(correlations))
            fixed = " (fixed)" if f"sd({name})" in held else ""
            numbers = (number(sd[i] ** 2, shown.digits), number(sd[i], shown.digits) + fixed)
            rows.append([group if i == listed[0] else "", name, *numbers, *correlations])
    if residual_parameter(result) is not None:
        values = (result.scale, result.scale**0.5)
        rows.append(["Residual", "", *(number(value, shown.digits) for value in values)])
    header = ["group", "effect", "variance", "std. dev."] + ["corr."] * widest
    padded = tuple(tuple(row + [""] * (len(header) - len(row))) for row in rows)
    return Table("Random effects", tuple(header), padded, left=2)


LONG = 6
"""Columns of a structure of levels, times or places beyond which its numbers say it all."""


def _listed(result: Estimates, group: str) -> list[int]:
    """Return the columns of a group that are listed one by one."""
    listed: list[int] = []
    for term in result.terms:
        if term.group == group and (not term.column_levels or len(term.names) <= LONG):
            listed += range(term.columns.start, term.columns.stop)
    return listed


def _held_numbers(result: Estimates, group: str) -> set[str]:
    return {name for term in result.terms if term.group == group for name in term.held}


def _structure_table(result: Estimates, shown: Shown) -> Table:
    """Return the numbers of structures that are no standard deviations and correlations alone."""
    rows: list[Row] = []
    for term, numbers in structure_numbers(result):
        fixed = [(name, value, "(fixed)") for name, value in term.held.items()]
        found = [(name, value, number(error, shown.digits)) for name, value, error in numbers]
        for i, (name, value, error) in enumerate([*found, *fixed]):
            head = (term.group, term.structure) if i == 0 else ("", "")
            rows.append((*head, name, number(value, shown.digits), error))
    header = ("group", "structure", "", "value", "std. error")
    return Table("Structures of random effects", header, tuple(rows), left=3)


def _same_term(result: Estimates, group: str, i: int, j: int) -> bool:
    """Return whether two columns of a group belong to one term that lets them correlate."""
    for term in result.terms:
        inside = range(term.columns.start, term.columns.stop)
        if term.group == group and i in inside and j in inside:
            block = result.effects[group].prior[term.columns, term.columns]
            return bool(np.any(block[np.triu_indices(len(block), 1)]))
    return False


def _family_rows(result: Estimates, shown: Shown) -> tuple[Row, ...]:
    rows = []
    for name, row in result.family_params.iterrows():
        error = "(fixed)" if row["fixed"] else number(float(row["se"]), shown.digits)
        rows.append((str(name), number(float(row["value"]), shown.digits), error))
    return tuple(rows)
