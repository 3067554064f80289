"""Rows and levels of a fit in parts, as users ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from interlace.inference.draws import generators
from interlace.parts.afterwards import Seen, of_parts, outlined, state_in
from interlace.parts.coded import CodedRows
from interlace.parts.drawing import drawn_in
from interlace.results.fitted_model import FittedModel
from interlace_core.contract.parts import Parts, Question
from interlace_core.contract.problem import Problem
from interlace_core.fitting.fitted import Fit
from interlace_core.messages.checks import require_count, require_flag
from interlace_core.messages.errors import NotAvailableError, OptionError
from interlace_core.messages.names import did_you_mean


def parts_of(result: FittedModel) -> PartsOfFit:
    """Return the rows and levels of a fit in parts.

    Raises
    ------
    NotAvailableError
        If all rows are here, or the result no longer has its data.
    """
    training = result.training
    if training is None or training.problem.parts is None:
        raise NotAvailableError(
            "in_parts: this is of fits whose data lie in parts, and was made of one that holds all "
            "its rows: see fittedvalues, resid and random_effects."
        )
    return PartsOfFit(training.problem, result.fit, training.approximation.precision_weights)


class PartsOfFit:
    """Rows and levels of a fit in parts, one part after the other.

    Parameters
    ----------
    problem : Problem
    fit : Fit
    precisions : bool
        Whether weights are precisions, and no multipliers of log-densities.
    """

    def __init__(self, problem: Problem, fit: Fit, precisions: bool = False) -> None:
        self._problem, self._fit, self._precisions = problem, fit, precisions

    def __len__(self) -> int:
        """Return the number of parts."""
        return self._parts.number

    def __repr__(self) -> str:
        where = self._parts.engine.words()
        return f"<{len(self)} parts of {self._problem.n} rows{f', {where}' if where else ''}>"

    @property
    def rounds(self) -> int:
        """Questions that all parts were asked so far, where the engine counts them."""
        return self._parts.engine.rounds

    @property
    def _parts(self) -> Parts:
        assert self._problem.parts is not None
        return self._problem.parts

    def random_effects(self, group: str) -> Iterator[pd.DataFrame]:
        """Yield the random effects of each part's levels of one grouping factor.

        Those of a factor that runs across parts are all parts' at once, and come once.

        Parameters
        ----------
        group : str

        Yields
        ------
        DataFrame
            Indexed by level: conditional modes, and `sd(...)`, their conditional standard
            deviations.

        Raises
        ------
        OptionError
            If there is no such factor.
        """
        groups = [term.group for term in self._problem.terms]
        if group not in groups:
            raise OptionError(
                f"random_effects: expected a grouping factor of the model, got {group!r}."
                f"{did_you_mean(group, groups)}"
            )
        found = self._asked(_effects_of, group)
        return islice(found, 1) if self._runs_across(group) else found

    def _runs_across(self, group: str) -> bool:
        return any(term.group == group and term.across for term in self._problem.terms)

    def fitted(self) -> Iterator[pd.Series]:
        """Yield the fitted means of each part's rows, random effects included.

        Yields
        ------
        Series
            Named by the file or piece, indexed by the place of the row in it, counted from 0 (of
            several pieces that are one part, through all of them), or as the piece is.
        """
        return self._asked(_fitted_of)

    def residuals(self) -> Iterator[pd.Series]:
        """Yield the response less the fitted means of each part's rows, labelled as `fitted`."""
        return self._asked(_residuals_of)

    def simulate(
        self, n: int = 1, *, seed: int | None = None, conditional: bool = True
    ) -> Iterator[pd.DataFrame]:
        """Yield draws of the response of each part's rows, labelled as `fitted`.

        Parameters
        ----------
        n : int
            Draws, one column each.
        seed : int, optional
            The same seed gives the same draws for parts of the same names.
        conditional : bool
            Whether random effects stay as they are, or are drawn anew.
        """
        require_count(n, "in_parts.simulate: n")
        require_flag(conditional, "in_parts.simulate: conditional")
        numbers = [int(each.integers(2**62)) for each in generators(seed, n)]
        return self._asked(drawn_in, numbers, conditional, self._precisions)

    def frame(self, what: str, group: str = "") -> Any:
        """Return what the parts have as one frame of the library of the data, not computed yet.

        Parameters
        ----------
        what : "fitted", "residuals" or "random_effects"
        group : str
            Grouping factor of the random effects.

        Raises
        ------
        OptionError
            If it is none of these, or there is no such factor.
        NotAvailableError
            If the library of the data has no such frames: the methods of these names have parts.
        """
        if what == "random_effects":
            self.random_effects(group)
        elif what not in ("fitted", "residuals"):
            raise OptionError(
                f"in_parts.frame: expected 'fitted', 'residuals' or 'random_effects', got {what!r}."
            )
        found = self.lazy(what, group)
        if found is None:
            raise NotAvailableError(
                f"in_parts.frame: the parts have no frames that are computed later. "
                f"Use in_parts.{what}(), which yields one part after the other."
            )
        return found

    def lazy(self, what: str, group: str = "") -> Any:
        """Return the same, None if the library of the data has no such frames."""
        seen, engine = Seen.of(self._problem, self._fit), self._parts.engine
        if what == "random_effects":
            none = self._no_effects(group)
            first = engine.ask(_name_of)[0] if self._runs_across(group) else ""
            return engine.frame(_effects_of, none, seen, group, first)
        question = _fitted_of if what == "fitted" else _residuals_of
        like = pd.Series([], dtype=float, index=pd.RangeIndex(0), name=what)
        return engine.frame(question, like, seen, what)

    def _asked(self, question: Question, *given: Any) -> Iterator[Any]:
        return of_parts(self._problem, self._fit, question, *given)

    def _no_effects(self, group: str) -> pd.DataFrame:
        names = outlined(self._problem, self._fit)[group].names
        columns = [*names, *(f"sd({name})" for name in names)]
        index = pd.Index([], dtype=object, name=group)
        return pd.DataFrame(np.zeros((0, len(columns))), index=index, columns=columns)


def _name_of(part: CodedRows) -> str:
    return part.name


def _effects_of(part: CodedRows, seen: Seen, group: str, of: str = "") -> pd.DataFrame:
    """Return a part's random effects; none if they are another part's to tell."""
    effects = state_in(part, seen).effects[group]
    sd = np.sqrt(np.diagonal(effects.covariance, axis1=1, axis2=2))
    columns = [*effects.names, *(f"sd({name})" for name in effects.names)]
    index = pd.Index(effects.levels, dtype=object, name=group)
    told = pd.DataFrame(np.hstack([effects.values, sd]), index=index, columns=columns)
    return told if of in ("", part.name) else told.iloc[:0]


def _fitted_of(part: CodedRows, seen: Seen, name: str = "") -> pd.Series:
    means = part.family.mean(list(state_in(part, seen).predictors.eta))
    return pd.Series(np.asarray(means), index=part.labels, name=name or part.name)


def _residuals_of(part: CodedRows, seen: Seen, name: str = "") -> pd.Series:
    left = part.family.observed(part.y) - part.family.mean(
        list(state_in(part, seen).predictors.eta)
    )
    return pd.Series(np.asarray(left), index=part.labels, name=name or part.name)
