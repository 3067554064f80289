"""Results that show themselves: short text at the prompt, HTML in a notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from html import escape

import pandas as pd

from interlace.reporting.render import STYLE, Table, number

Part = str | Table


class Showing(ABC):
    """What has a few lines and tables to show in place of all its arrays."""

    @abstractmethod
    def parts(self) -> Sequence[Part]:
        """Return what is shown, in order: lines of text, and tables."""

    def __str__(self) -> str:
        """Return the parts as text."""
        shown = [each.to_text() if isinstance(each, Table) else each for each in self.parts()]
        return "\n".join(shown)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        shown = [
            each.to_html() if isinstance(each, Table) else f"<p>{escape(each)}</p>"
            for each in self.parts()
        ]
        return f'<div class="interlace">{STYLE}' + "".join(shown) + "</div>"


def as_table(title: str, frame: pd.DataFrame, largest: int = 10) -> Table:
    """Return a table of numbers by their labels, cut after so many rows.

    Parameters
    ----------
    title : str
    frame : DataFrame
        Of numbers; its index has the labels.
    largest : int
        Rows that are shown.
    """
    header = ("", *map(str, frame.columns))
    rows = [
        (str(label), *(number(float(value)) for value in values))
        for label, values in zip(frame.index, frame.to_numpy(dtype=float), strict=True)
    ]
    left_out = len(rows) - largest
    if left_out > 0:
        rows = [*rows[:largest], (f"and {left_out} more", *("" for _ in frame.columns))]
    return Table(title, header, tuple(rows))
