"""The summary of a fit, as text, HTML and LaTeX from the same tables."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from interlace.reporting.latex import escape as latex
from interlace.reporting.latex import tabular

if TYPE_CHECKING:
    from interlace_core.fitting.fitted_model import FittedModel

Row = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A titled table of ready text; the first column is aligned left, the others right."""

    title: str
    header: Row
    rows: tuple[Row, ...]


class Summary:
    """Text when printed, HTML when displayed by a notebook, LaTeX when asked for."""

    def __init__(self, result: FittedModel) -> None:
        self._head = _head(result)
        self._tables = _tables(result)
        self._foot = _foot(result)

    def __str__(self) -> str:
        """Return the summary as text."""
        blocks = [_text_pairs(self._head)]
        blocks += [_text_table(table) for table in self._tables]
        blocks += ["\n".join(self._foot)] if self._foot else []
        return "\n\n".join(blocks)

    __repr__ = __str__

    def to_latex(self) -> str:
        """Return the summary as LaTeX tables, for a document that uses the package booktabs."""
        parts = [tabular(self._head, columns=r"lp{0.68\linewidth}")]
        for table in self._tables:
            left = _left_columns(table)
            columns = "l" * left + "r" * (len(table.header) - left)
            body = tabular(table.rows, table.header, columns=columns)
            parts.append(f"{latex(table.title)}\n\n\\smallskip\n{body}")
        parts += [latex(line) for line in self._foot]
        return "\n\n\\medskip\n".join(parts) + "\n"

    def to_html(self) -> str:
        """Return the summary as HTML tables."""
        return self._repr_html_()

    def _repr_html_(self) -> str:
        parts = [_html_table(Table("", ("", ""), self._head), header=False)]
        parts += [_html_table(table) for table in self._tables]
        parts += [f"<p>{escape(line)}</p>" for line in self._foot]
        return f'<div class="interlace">{_STYLE}' + "".join(parts) + "</div>"


def _head(result: FittedModel) -> tuple[Row, ...]:
    links = ", ".join(
        f"{found.parameter.name}: {found.parameter.link.name}" for found in result.coefficients
    )
    groups = ", ".join(f"{group} {count}" for group, count in result.ngroups.items())
    rows = [
        _heading(result),
        ("Formula", result.formula),
        *((f"Formula of {name}", text) for name, text in result.settings.parameters.items()),
        ("Family", f"{result.family.name} ({links})"),
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


def _heading(result: FittedModel) -> Row:
    if not result.penalised:
        return result.heading
    priors = ", ".join(f"{name} ~ {prior}" for name, prior in result.settings.priors.items())
    return result.heading[0], f"{result.heading[1]} (priors: {priors})"


def _likelihood_rows(result: FittedModel) -> tuple[Row, ...]:
    llf = f"{result.llf:.4f} (df {result.df})"
    if result.penalised:
        words = "not defined for a penalised fit, nor are likelihood-ratio tests"
        return ("logLik", f"{llf}, not at its maximum"), ("AIC, BIC", words)
    return ("logLik", llf), ("AIC, BIC", f"{result.aic:.2f}, {result.bic:.2f}")


def _rows_used(result: FittedModel) -> str:
    rows = result.rows
    dropped = rows.n_given - rows.n_used
    if not dropped:
        return str(rows.n_used)
    missing = ", ".join(f"{name} {count}" for name, count in rows.missing.items())
    return f"{rows.n_used} ({dropped} dropped with missing values: {missing})"


def _tables(result: FittedModel) -> tuple[Table, ...]:
    tables = []
    if result.effects:
        tables.append(_variance_table(result))
    for k, found in enumerate(result.coefficients):
        if found.names and not (k and found.parameter.name in result.family_params.index):
            title = "Fixed effects" if k == 0 else f"Coefficients of {found.parameter.name}"
            tables.append(_coefficient_table(result, k, title))
    if len(result.family_params):
        tables.append(_family_table(result))
    return tuple(tables)


def _coefficient_table(result: FittedModel, k: int, title: str) -> Table:
    found, se = result.coefficients[k], result.bse_of(k).to_numpy()
    link = found.parameter.link.name
    name_of_test, tests = result.wald_tests(k)
    *middle, last = (tests[column].to_numpy() for column in tests.columns)
    rows = [
        (name, number(estimate), number(error), *(f"{each[i]:.3f}" for each in middle),
         pvalue(last[i]))
        for i, (name, estimate, error) in enumerate(
            zip(found.names, found.estimates, se, strict=True)
        )
    ]  # fmt: skip
    return Table(
        f"{title} ({link} scale, {name_of_test})",
        ("", "estimate", "std. error", *map(str, tests.columns)),
        tuple(rows),
    )


def _variance_table(result: FittedModel) -> Table:
    rows = []
    widest = 0
    for group, effects in result.effects.items():
        sd = np.sqrt(np.diagonal(effects.prior))
        for i, name in enumerate(effects.names):
            correlations = []
            for j in range(i):
                scale = sd[i] * sd[j]
                if not _same_term(result, group, i, j):
                    correlations.append("")
                else:
                    correlations.append(f"{effects.prior[i, j] / scale:.3f}" if scale > 0 else "-")
            while correlations and not correlations[-1]:
                correlations.pop()
            widest = max(widest, len(correlations))
            rows.append([group if i == 0 else "", name, number(sd[i] ** 2), number(sd[i])])
            rows[-1] += correlations
    header = ["group", "effect", "variance", "std. dev."] + ["corr."] * widest
    padded = tuple(tuple(row + [""] * (len(header) - len(row))) for row in rows)
    return Table("Random effects", tuple(header), padded)


def _same_term(result: FittedModel, group: str, i: int, j: int) -> bool:
    """Return whether two columns of a group belong to one term that lets them correlate."""
    for term in result.terms:
        inside = range(term.columns.start, term.columns.stop)
        if term.group == group and i in inside and j in inside:
            block = result.effects[group].prior[term.columns, term.columns]
            return bool(np.any(block[np.triu_indices(len(block), 1)]))
    return False


def _family_table(result: FittedModel) -> Table:
    rows = []
    for name, row in result.family_params.iterrows():
        error = "(fixed)" if row["fixed"] else number(float(row["se"]))
        rows.append((str(name), number(float(row["value"])), error))
    return Table("Family parameters (natural scale)", ("", "value", "std. error"), tuple(rows))


def _foot(result: FittedModel) -> tuple[str, ...]:
    return tuple(f"Note: {note}" for note in result.notes)


def number(value: float) -> str:
    """Return a number with about five significant digits, fixed point where readable."""
    if not np.isfinite(value):
        return "-" if np.isnan(value) else str(value)
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        return f"{value:.5f}" if abs(value) < 100 else f"{value:.3f}"
    return f"{value:.4e}"


def pvalue(p: float) -> str:
    """Return a p-value, with a floor in place of digits that mean nothing."""
    if np.isnan(p):
        return "-"
    return "<0.0001" if p < 1e-4 else f"{p:.4f}"


def _text_pairs(rows: tuple[Row, ...]) -> str:
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"{row[0]:<{width}}  {row[1]}" for row in rows)


def _left_columns(table: Table) -> int:
    """Return how many columns hold names."""
    return 2 if table.header[0] == "group" else 1


def _text_table(table: Table) -> str:
    rows = (table.header, *table.rows)
    left = _left_columns(table)
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.header))]
    lines = []
    for row in rows:
        cells = [
            f"{cell:<{width}}" if i < left else f"{cell:>{width}}"
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join([table.title, *lines])


def _html_table(table: Table, header: bool = True) -> str:
    caption = f"<caption>{escape(table.title)}</caption>" if table.title else ""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.header) if header else ""
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows
    )
    top = f"<thead><tr>{head}</tr></thead>" if header else ""
    return f"<table>{caption}{top}<tbody>{body}</tbody></table>"


_STYLE = (
    "<style>.interlace td,.interlace th{text-align:right;padding:0 .5em}"
    ".interlace td:first-child,.interlace th:first-child,"
    ".interlace td:nth-child(2):last-child,.interlace caption{text-align:left}"
    ".interlace caption{white-space:nowrap}</style>"
)
"""Numbers to the right; names, and the values of the head, to the left."""
