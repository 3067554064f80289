"""The parametric bootstrap: simulate from the fit, fit again, keep answers and failures."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from interlace.inference.draws import Predictors, generators
from interlace.inference.parameters import quantities
from interlace.inference.quantities import Quantity
from interlace.inference.simulation import draw
from interlace.progress import Progress, tracked
from interlace.refits.many import Refit, Refits
from interlace.refits.near import known_fit
from interlace.refits.refit import refit_problem, result_of, with_response
from interlace.reporting.showing import Part, Showing, as_table
from interlace.results.fitted_model import require_training
from interlace_core.messages.checks import (
    check_level,
    is_real,
    is_whole,
    names_of,
    require_callable,
    require_choice,
    require_count,
    require_flag,
    shown,
)
from interlace_core.messages.errors import (
    InterlaceError,
    InterlaceWarning,
    NotAvailableError,
    OptionError,
)
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates

BATCHES_PER_JOB = 8
"""Batches of tasks for each process: the fit is sent along with each, and the last may be late."""

Outcome = tuple[Any, str]
"""Named numbers, say, or None and the reason why there are none."""

Statistic = Callable[["Estimates"], Mapping[str, float]]


@dataclass(frozen=True)
class Failure:
    """A refit that gave no answer.

    Attributes
    ----------
    draw : int
        Which draw, from 0.
    reason : str
    """

    draw: int
    reason: str


@dataclass(frozen=True, repr=False)
class Bootstrap(Showing):
    """Refits to simulated responses.

    Attributes
    ----------
    values : DataFrame
        One row per successful draw (its number is the index), one column per quantity.
    estimates : Series
        The quantities of the fit itself.
    failures : tuple of Failure
        Draws without an answer, with their reasons. They are not in `values`.
    """

    values: pd.DataFrame
    estimates: pd.Series
    failures: tuple[Failure, ...]

    def parts(self) -> list[Part]:
        """Return how many draws gave an answer, and estimates with errors and 95% intervals."""
        failed = f", {len(self.failures)} failed (see failures)" if self.failures else ""
        head = f"Parametric bootstrap, {len(self.values)} draws{failed}"
        if self.values.empty:
            return [head]
        frame = self.confint()
        frame.insert(1, "std. error", self.bse)
        return [as_table(f"{head}; 95% intervals, bias-corrected", frame)]

    @property
    def bse(self) -> pd.Series:
        """Bootstrap standard errors."""
        return self.values.std(ddof=1)

    def confint(
        self,
        parm: str | list[str] | None = None,
        *,
        level: float = 0.95,
        kind: str = "bias-corrected",
    ) -> pd.DataFrame:
        """Return intervals.

        Parameters
        ----------
        parm : str or list of str, optional
            Columns of `values`; all by default.
        level : float
        kind : str
            "bias-corrected" (percentiles moved by as much as the median of the draws is off the
            estimate), "percentile", "basic" (reflected at the estimate) or "normal" (with the bias
            taken off). Maximum likelihood estimates standard deviations too small, and draws from
            the fit are too small again: plain percentiles count that twice. Corrected ones do not,
            and stay within the range of the parameter; they are the same on every scale.

        Raises
        ------
        OptionError
            If a name, the level or the kind is none of those.

        Notes
        -----
        Efron (1987), section 3, and Davison & Hinkley (1997), section 5.3.2 (bias-corrected), 5.2.1
        (basic; the k-th of R draws stands for the share k / (R + 1)). An estimate that is equal to
        some draws, as at a boundary, counts half of them as below.
        """
        names = self._columns(parm)
        level = check_level(level, "confint")
        require_choice(kind, INTERVALS, "confint: kind")
        ends = np.array([0.5 - 0.5 * level, 0.5 + 0.5 * level])
        limits = [
            INTERVALS[kind](self.values[name].dropna().to_numpy(), self.estimates[name], ends)
            for name in names
        ]
        frame = pd.DataFrame(limits, columns=["lower", "upper"], index=names, dtype=float)
        frame.insert(0, "estimate", self.estimates[names])
        return frame

    def _columns(self, parm: str | list[str] | None) -> list[str]:
        known = list(self.values.columns)
        names = known if parm is None else names_of(parm, "confint: parm", "a column of values")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise OptionError(
                f"confint: parm must name columns of the draws, got {', '.join(map(repr, unknown))}"
                f". They are {', '.join(map(repr, known))}."
            )
        return names


def _percentile(values: Array, estimate: float, ends: Array) -> Array:
    """Return quantiles, shape (2,); NaN without draws."""
    if not values.size:
        return np.full(2, np.nan)
    return np.asarray(np.quantile(values, ends, method="weibull"))


def _basic(values: Array, estimate: float, ends: Array) -> Array:
    """Return the percentiles reflected at the estimate."""
    return 2.0 * estimate - _percentile(values, estimate, ends)[::-1]


def _normal(values: Array, estimate: float, ends: Array) -> Array:
    """Return normal limits about the estimate less its bias."""
    if values.size < 2:
        return np.full(2, np.nan)
    return np.asarray(2.0 * estimate - values.mean() + ndtri(ends) * values.std(ddof=1))


def _bias_corrected(values: Array, estimate: float, ends: Array) -> Array:
    """Return percentiles at levels moved by twice the normal score of the estimate's rank."""
    if not values.size:
        return np.full(2, np.nan)
    below = np.mean(values < estimate) + 0.5 * np.mean(values == estimate)
    # beyond all draws: as if one more had fallen on the other side
    inside = np.clip(below, 0.5 / values.size, 1.0 - 0.5 / values.size)
    return _percentile(values, estimate, ndtr(2.0 * ndtri(inside) + ndtri(ends)))


INTERVALS: Mapping[str, Callable[[Array, float, Array], Array]] = {
    "bias-corrected": _bias_corrected,
    "percentile": _percentile,
    "basic": _basic,
    "normal": _normal,
}
"""Limits, shape (2,), from draws, estimate and the shares at the ends."""


def bootstrap(
    result: Estimates,
    n: int,
    *,
    seed: int | None = None,
    statistic: Statistic | None = None,
    conditional: bool = False,
    n_jobs: int = 1,
) -> Bootstrap:
    """Return n refits to responses simulated from the fit; see `GLMMResult.bootstrap`."""
    require_count(n, "bootstrap: n")
    require_flag(conditional, "bootstrap: conditional")
    if statistic is not None:
        what = "a function from a result to named numbers"
        require_callable(statistic, "bootstrap: statistic", what)
    alone = is_whole(n_jobs) and n_jobs == 1
    training = require_training(result, "bootstrap", by_parts=statistic is None and alone)
    wanted = quantities(result)
    known = known_fit(
        training.problem, training.approximation, result.fit.psi, result.fit.uncertainty
    )
    refits = Refits(training, result.fit.psi, known)
    work = _Work(result, wanted, refits, statistic, conditional)
    # before the draws: a statistic with a mistake in it should not cost them
    estimates = pd.Series(work.measure(result), dtype=float)
    outcomes = run(work, generators(seed, n), n_jobs)
    kept = {i: values for i, (values, _) in enumerate(outcomes) if values is not None}
    failures = [Failure(i, reason) for i, (_, reason) in enumerate(outcomes) if reason]
    frame = _frame_of(kept, list(estimates.index))
    return Bootstrap(frame, estimates, tuple(failures))


def _frame_of(kept: dict[int, dict[str, float]], names: list[str]) -> pd.DataFrame:
    """Return what draws gave, a row each; a statistic may leave out some names."""
    if kept and all(list(values) == names for values in kept.values()):
        numbers = np.array([list(values.values()) for values in kept.values()], dtype=np.float64)
        return pd.DataFrame(numbers, index=list(kept), columns=names)
    return pd.DataFrame.from_dict(kept, orient="index", columns=names)


MOST_JOBS = 10_000
"""Processes asked for at once."""


class Work(Protocol):
    """What is done many times; can be pickled."""

    @property
    def at_once(self) -> int:
        """How many tasks are done at once."""
        ...

    def __call__(self, tasks: list[Any]) -> list[Any]:
        """Return the answers to some tasks, each the same whatever the others are."""
        ...


def run(work: Work, tasks: list[Any], n_jobs: int) -> list[Any]:
    """Return the answer to each task, in order; in parallel by joblib if more than one job.

    A joblib backend chosen outside (`joblib.parallel_config`, for dask or ray) is respected.

    Raises
    ------
    OptionError
        If n_jobs is no whole number, or 0.
    NotAvailableError
        If joblib is wanted and not installed.
    """
    if not is_whole(n_jobs) or n_jobs == 0 or abs(n_jobs) > MOST_JOBS:
        raise OptionError(
            "n_jobs must be a whole number of processes, or -1 for one on each core, got "
            f"{shown(n_jobs)}."
        )
    if n_jobs == 1:
        with Progress("refits", len(tasks)) as progress:
            return _answers(work, tasks, lambda count: progress.step(count=count))
    try:
        import joblib  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError as error:
        raise NotAvailableError(
            f"n_jobs={n_jobs} needs joblib, which is not installed. Run "
            "`pip install interlace[parallel]`, or use n_jobs=1."
        ) from error
    size = math.ceil(len(tasks) / (BATCHES_PER_JOB * joblib.effective_n_jobs(n_jobs)))
    batches = [tasks[start : start + size] for start in range(0, len(tasks), size)]
    # Counted as they are handed out, which every backend does step by step.
    jobs = (joblib.delayed(_each)(work, batch) for batch in tracked(batches, "batches of refits"))
    return [answer for batch in joblib.Parallel(n_jobs=n_jobs)(jobs) for answer in batch]


def _each(work: Work, tasks: list[Any]) -> list[Any]:
    return _answers(work, tasks, lambda count: None)


def _answers(work: Work, tasks: list[Any], done: Callable[[int], None]) -> list[Any]:
    """Return the answers to tasks, so many at once, and tell how many are done."""
    answers, size = [], work.at_once
    for start in range(0, len(tasks), size):
        some = tasks[start : start + size]
        answers += work(some)
        done(len(some))
    return answers


def attempted(values: Callable[[], Outcome]) -> Outcome:
    """Return an outcome, or None and the reason why there is none."""
    try:
        return values()
    except (InterlaceError, ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
        return None, f"{type(error).__name__}: {error}"


@dataclass(frozen=True, eq=False)
class _Work:
    """Draws and refits; can be pickled."""

    result: Estimates
    wanted: list[Quantity]
    refits: Refits
    statistic: Statistic | None
    conditional: bool

    @property
    def at_once(self) -> int:
        """How many draws are refitted at once."""
        return self.refits.at_once if self.statistic is None else 1

    def __call__(self, tasks: list[np.random.Generator]) -> list[Outcome]:
        """Return the quantities of refits, or None and the reason why there are none."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InterlaceWarning)
            if self.refits.training.problem.parts is not None:
                return [attempted(partial(self._values_by_parts, rng)) for rng in tasks]
            draws = [
                self._drawn(eta, rng) for eta, rng in zip(self._etas(tasks), tasks, strict=True)
            ]
            found = self._together([y for y, _ in draws if y is not None])
            return [
                (None, reason) if y is None else attempted(partial(self._values, y, next(found)))
                for y, reason in draws
            ]

    def _etas(self, tasks: list[np.random.Generator]) -> Iterator[Array]:
        """Yield linear predictors for each draw, with random effects drawn anew."""
        result, problem = self.result, self.refits.training.problem
        if self.conditional or not result.terms:
            eta = result.eta if self.conditional else result.eta_fixed
            return (eta for _ in tasks)
        predictors = Predictors.of(problem, result.fit.psi)
        return (predictors.drawn(rng) for rng in tasks)

    def _drawn(self, eta: Array, rng: np.random.Generator) -> tuple[Array | None, str]:
        """Return a response, or None and the reason why there is none."""
        return attempted(lambda: (draw(self.result, eta, rng), ""))

    def _together(self, responses: list[Array]) -> Iterator[Refit | None]:
        """Yield what refits found for which estimates are all that is asked for; else None."""
        if self.statistic is not None:
            return iter([None] * len(responses))
        return iter(self.refits.together(responses))

    def _values(self, y: Array, found: Refit | None) -> Outcome:
        if self.statistic is not None:
            return self._measured(y)
        refit = self.refits.alone(y) if found is None else found
        if not refit.verdict.converged:
            return None, refit.verdict.message
        return {each.label: each.value(refit.psi) for each in self.wanted}, ""

    def _measured(self, y: Array) -> Outcome:
        """Return the user's statistic of a whole refit."""
        training = self.refits.training
        problem = with_response(training.problem, y)
        fit = refit_problem(training, problem, self.refits.psi, known=self.refits.known)
        if not fit.verdict.converged:
            return None, fit.verdict.message
        return self.measure(result_of(self.result, problem, fit)), ""

    def _values_by_parts(self, rng: np.random.Generator) -> Outcome:
        """Return the quantities where each part draws its response, and a refit asks for sums."""
        from interlace.parts.drawing import problem_of_draw

        training, fit, known = self.refits.training, self.result.fit, self.refits.known
        number = int(rng.integers(2**62))
        precisions = training.approximation.precision_weights
        problem = problem_of_draw(training.problem, fit, number, self.conditional, precisions)
        found = refit_problem(training, problem, fit.psi, known=known, standard_errors=False)
        if not found.verdict.converged:
            return None, found.verdict.message
        return {each.label: each.value(found.psi) for each in self.wanted}, ""

    def measure(self, result: Estimates) -> dict[str, float]:
        """Return the quantities, or the user's statistic, of a result."""
        if self.statistic is None:
            return {each.label: each.value(result.fit.psi) for each in self.wanted}
        try:
            found = self.statistic(result)
        except InterlaceError:
            raise
        except Exception as error:
            raise OptionError(
                f"bootstrap: statistic raised {type(error).__name__}: {error}. Correct it; the "
                "cause is chained."
            ) from error
        named = isinstance(found, (Mapping, pd.Series)) and len(found) > 0
        if not named or not all(is_real(value) for _, value in found.items()):
            raise OptionError(
                "bootstrap: statistic must return a mapping from names to numbers, such as "
                f'{{"ratio": 1.5}}, got {shown(found)}.'
            )
        return {str(name): float(value) for name, value in found.items()}
