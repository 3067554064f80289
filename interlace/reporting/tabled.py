"""A fit for tables of several models side by side, by the protocol of the package maketables.

    import maketables
    maketables.ETable([m1, m2.tabled(exponentiate=True)])

writes LaTeX, HTML, Word and Typst. Nothing of that package is imported here: it asks for the
attributes below (its PLUGIN_EXTRACTOR_FORMAT.md says which).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from interlace.inference.parameters import quantities
from interlace.reporting.blocks import Block, blocks
from interlace.reporting.meanings import meaning_of
from interlace.reporting.showing import Part, Showing, as_table
from interlace.reporting.tidy import by_delta
from interlace_core.messages.checks import check_level
from interlace_core.messages.errors import NotAvailableError

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates

RANDOM = ("sd", "correlation", "structure", "family")
"""Kinds of parameters that stand below the coefficients."""


LEVELS = "Levels of "
"""What the key of a grouping factor's number of levels begins with."""


@dataclass(frozen=True, repr=False)
class Tabled(Showing):
    """What a table shows of one model.

    Attributes
    ----------
    result : Estimates
    exponentiate : bool
        Whether coefficients whose exponential has a meaning are shown as that.
    random : bool
        Whether standard deviations, correlations and constant parameters of the family are rows.
    level : float
        Of intervals.
    """

    result: Estimates
    exponentiate: bool = False
    random: bool = True
    level: float = 0.95

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", check_level(self.level, "tabled"))

    def parts(self) -> list[Part]:
        """Return the column of the table that this is."""
        table = self.__maketables_coef_table__.drop(columns=["t"])
        kept = [f"{key} {self.__maketables_stat__(key)}" for key in ("N", "method")]
        title = f"{self.__maketables_depvar__}, for a table of several models ({', '.join(kept)})"
        return [as_table(title, table)]

    @property
    def __maketables_coef_table__(self) -> pd.DataFrame:
        """Estimates `b`, errors `se`, statistics `t`, p-values `p`, and ends of intervals."""
        parts = [self._block(block) for block in blocks(self.result)]
        parts += [self._below()] if self.random else []
        table = pd.concat([part for part in parts if len(part)] or [_rows([])])
        return table.rename_axis("Coefficient")

    @property
    def __maketables_depvar__(self) -> str:
        """The left side of the formula."""
        return self.result.formula.partition("~")[0].strip()

    @property
    def __maketables_vcov_info__(self) -> dict[str, str]:
        """How standard errors were made."""
        return {"vcov_type": "Hessian"}

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        """What stands below the estimates: rows, log-likelihood, criteria, and groups.

        Groups come last, by keys that are labels: the package asks the first model alone for
        labels, and the others may have groups of their own.
        """
        return ["N", "ll", "aic", "bic", *(f"{LEVELS}{group}" for group in self.result.ngroups)]

    @property
    def __maketables_stat_labels__(self) -> dict[str, str]:
        """Labels of these."""
        return {"N": "Observations", "ll": "Log-likelihood", "aic": "AIC", "bic": "BIC",
                "family": "Family", "method": "Method"}  # fmt: skip

    def __maketables_stat__(self, key: str) -> int | float | str | None:
        """Return one statistic of the fit; None for what it has not."""
        result = self.result
        if key.startswith(LEVELS) and key.removeprefix(LEVELS) in result.ngroups:
            return result.ngroups[key.removeprefix(LEVELS)]
        known: dict[str, int | float | str] = {
            "N": result.nobs,
            "ll": result.llf,
            "aic": result.aic,
            "bic": result.bic,
            "family": result.family.name,
            "method": result.fitted_by.words,
        }
        return known.get(key)

    def _block(self, block: Block) -> pd.DataFrame:
        found = self.result.coefficients[block.predictor].parameter
        # in front, and without a colon: the package reads levels at the end, interactions at colons
        whose = "" if block.predictor == 0 else f"({found.name}) "
        ratio = self.exponentiate and block.kind == "location"
        ratio = ratio and bool(meaning_of(self.result, block.predictor).ratio)
        columns = np.array([block.estimates, block.errors, *block.limits(self.level)])
        if ratio:
            with np.errstate(over="ignore", invalid="ignore"):
                factors = np.exp(columns[0])
                columns = np.array([factors, columns[1] * factors, *np.exp(columns[2:])])
        tests = block.tests
        return _rows(
            [
                (f"{whose}{name}", b, se, t, p, low, high)
                for name, b, se, low, high, t, p in zip(
                    block.names, *columns, tests.iloc[:, 0], tests.iloc[:, -1], strict=True
                )
            ]
        )

    def _below(self) -> pd.DataFrame:
        """Return standard deviations and the like, which have no test."""
        rows = []
        try:
            found = quantities(self.result)
        except NotAvailableError:  # a structure of a saved fit is not installed
            return _rows([])
        for each in found:
            if each.kind in RANDOM:
                row = by_delta(self.result, each, self.level)
                value, nan = each.value(self.result.fit.psi), np.nan
                rows.append((each.label, value, row["std.error"], nan, nan, row["conf.low"],
                             row["conf.high"]))  # fmt: skip
        return _rows(rows)


def _rows(rows: list[tuple[str, float, float, float, float, float, float]]) -> pd.DataFrame:
    names = ["Coefficient", "b", "se", "t", "p", "ci95l", "ci95u"]
    return pd.DataFrame(rows, columns=names).set_index("Coefficient").astype(float)
