"""Tables of ready text, as text, HTML and LaTeX; and numbers as tables write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from interlace.reporting.latex import escape as latex
from interlace.reporting.latex import tabular

Row = tuple[str, ...]

DIGITS = 5
"""Places behind the point of numbers below 100, where nothing else is asked for."""


@dataclass(frozen=True)
class Table:
    """A titled table of ready text; the first columns are aligned left, the others right.

    Attributes
    ----------
    title : str
    header : tuple of str
    rows : tuple of tuple of str
    left : int
        How many columns hold names.
    """

    title: str
    header: Row
    rows: tuple[Row, ...]
    left: int = 1

    def to_text(self) -> str:
        """Return the title over aligned columns."""
        rows = (self.header, *self.rows)
        widths = [max(len(row[i]) for row in rows) for i in range(len(self.header))]
        lines = []
        for row in rows:
            cells = [
                f"{cell:<{width}}" if i < self.left else f"{cell:>{width}}"
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  " + "  ".join(cells).rstrip())
        return "\n".join([*([self.title] if self.title else []), *lines])

    def to_html(self) -> str:
        """Return an HTML table; without a header where all of that is empty."""
        caption = f"<caption>{escape(self.title)}</caption>" if self.title else ""
        head = "".join(f"<th>{escape(cell)}</th>" for cell in self.header)
        top = f"<thead><tr>{head}</tr></thead>" if any(self.header) else ""
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.rows
        )
        return f"<table>{caption}{top}<tbody>{body}</tbody></table>"

    def to_latex(self) -> str:
        """Return the title over a tabular of the package booktabs."""
        columns = "l" * self.left + "r" * (len(self.header) - self.left)
        header = self.header if any(self.header) else ()
        body = tabular(self.rows, header, columns=columns)
        return f"{latex(self.title)}\n\n\\smallskip\n{body}" if self.title else body


def text_pairs(rows: Sequence[Row]) -> str:
    """Return names and values in two columns."""
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"{row[0]:<{width}}  {row[1]}" for row in rows)


def floated(body: str, caption: str, label: str) -> str:
    """Return a LaTeX table that floats, with its caption and label; the body alone without them."""
    if not caption and not label:
        return body
    lines = ["\\begin{table}", "\\centering"]
    lines += [f"\\caption{{{latex(caption)}}}"] if caption else []
    lines += [f"\\label{{{label}}}"] if label else []
    return "\n".join([*lines, body.rstrip("\n"), "\\end{table}"]) + "\n"


def number(value: float, digits: int = DIGITS) -> str:
    """Return a number with so many places behind the point, fewer where it is large."""
    if not np.isfinite(value):
        return "-" if np.isnan(value) else str(value)
    if value == 0 or 10.0 ** (1 - digits) <= abs(value) < 1e6:
        return f"{value:.{digits if abs(value) < 100 else max(digits - 2, min(digits, 2))}f}"
    return f"{value:.{max(digits - 1, 0)}e}"


def pvalue(p: float) -> str:
    """Return a p-value, with a floor in place of digits that mean nothing."""
    if np.isnan(p):
        return "-"
    return "<0.0001" if p < 1e-4 else f"{p:.4f}"


STYLE = (
    "<style>.interlace td,.interlace th{text-align:right;padding:0 .5em}"
    ".interlace td:first-child,.interlace th:first-child,"
    ".interlace td:nth-child(2):last-child,.interlace caption{text-align:left}"
    ".interlace caption{white-space:nowrap;padding-top:.6em}</style>"
)
"""Numbers to the right; names, and the values of the head, to the left."""
