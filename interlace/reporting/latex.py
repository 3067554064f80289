"""Text and tables for LaTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"$\sim$",  # as high as the letters of a formula; the accent would float above
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{char: f"\\{char}" for char in "&%$#_"},
}
_NEGATIVE = re.compile(r"^-(?=\d)")


def escape(text: str) -> str:
    """Return a text with every character that means something to LaTeX escaped."""
    return "".join(_SPECIAL.get(char, char) for char in text)


def cell(text: str) -> str:
    """Return a table's cell; a minus before a digit is set as a minus."""
    return _NEGATIVE.sub("$-$", escape(text))


def tabular(rows: Sequence[Sequence[str]], header: Sequence[str] = (), *, columns: str) -> str:
    """Return a tabular of ready cells, ruled as the package booktabs does.

    Parameters
    ----------
    rows : sequence of sequence of str
        Escaped here.
    header : sequence of str
        Above the rule in the middle; empty for none.
    columns : str
        LaTeX's letters for the columns, such as "lrr".
    """
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    if header:
        lines += [_line(header), r"\midrule"]
    lines += [_line(row) for row in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _line(row: Sequence[str]) -> str:
    return " & ".join(cell(each) for each in row) + r" \\"
