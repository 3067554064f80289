"""Fit random models and list where they differ from R, from plain SciPy, or from themselves.

    python tests/fuzz/run.py [--numbers 0:10] [--families poisson,beta] [--r] [--out FILE]

Without `--r`, R's stored results are used; with it, R fits the models that it can and its results
are stored. The exit status is 1 if any model is worse than another's optimum without a word,
crashes, has an impossible value, or if more than 2% are not reached.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from fuzz import exact, in_r
from fuzz.models import Model, all_models
from interlace_core.messages.errors import InterlaceError, NumericalError, PluginError
from interlace_core.registry.registry import default_registry

LISTED = 1e-4
"""Differences of log-likelihoods from here on are listed."""
WORSE = 1e-3
"""By so much no fit may be worse without a word."""
NOT_REACHED = 0.02
"""Share of the fits that may end short of an optimum, saying so."""
LIMIT = 120
"""Seconds after which a fit is given up, and counts as a crash."""
MOST_ROWS = 800
"""Rows up to which plain SciPy searches from several starts."""


@dataclass
class Outcome:
    """What became of one model.

    Attributes
    ----------
    model : Model
    verdict : str
        "agrees", "better", "worse", "worse, said", "alone", "not reached", "refused", "crash" or
        "impossible".
    loglik : float
    others : dict
        Log-likelihoods by who found them: "R", "SciPy", "again" (another start of our own).
    words : list of str
        Status, notes and warnings of the fit, or its error.
    seconds : float
    """

    model: Model
    verdict: str
    loglik: float = np.nan
    others: dict[str, float] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def gap(self) -> float:
        """How far the log-likelihood is above the highest of the others'; NaN alone."""
        return self.loglik - max(self.others.values()) if self.others else np.nan

    @property
    def failed(self) -> bool:
        """Whether this may not be."""
        return self.verdict in ("worse", "crash", "impossible")

    def line(self) -> str:
        """Return one line, and one for each word where something has to be explained."""
        others = " ".join(f"{who} {value:.6f}" for who, value in self.others.items())
        limit = f" [{self.model.limit}]" if self.model.limit else ""
        options = {k: v for k, v in self.model.options.items()}
        head = (
            f"{self.verdict:12} {self.model.name:34} n {len(self.model.data):4d} "
            f"ours {self.loglik:.6f} {others}  gap {self.gap:+.2g}  {self.seconds:.1f} s  "
            f"{self.model.formula} {options or ''}{limit}"
        )
        shown = self.words if self.verdict not in ("agrees", "alone") else self.words[1:]
        return "\n".join([head, *(f"{'':16}| {word[:300]}" for word in shown)])


def run(models: Iterable[Callable[[], Model]], stored: dict[str, Any]) -> Iterable[Outcome]:
    """Yield the outcome of each model."""
    for make in models:
        yield outcome_of(model := make(), stored.get(model.name))


def outcome_of(model: Model, in_r_result: dict[str, Any] | None) -> Outcome:
    """Fit a model, and hold it against all that is known of it."""
    began = time.perf_counter()
    try:
        with warnings.catch_warnings(record=True) as caught, within(LIMIT):
            warnings.simplefilter("always")
            result = model.fit()
    except (PluginError, NumericalError) as error:
        return Outcome(model, "crash", words=[f"{type(error).__name__}: {error}"])
    except InterlaceError as error:
        return Outcome(model, "refused", words=[f"{type(error).__name__}: {error}"])
    except Exception as error:
        return Outcome(model, "crash", words=[f"{type(error).__name__}: {error}"])
    seconds = time.perf_counter() - began
    notes = [f"{w.category.__name__}: {w.message}" for w in caught]
    words = [result.fit.verdict.message, *result.notes]
    words += [each for each in notes if not any(note in each for note in result.notes)]
    others = others_of(model, result, in_r_result)
    outcome = Outcome(model, "", float(result.llf), others, words, seconds)
    outcome.verdict = verdict_of(outcome, result)
    return outcome


def others_of(model: Model, result: Any, in_r_result: dict[str, Any] | None) -> dict[str, float]:
    """Return log-likelihoods found by others: R; SciPy where R has none or differs; ourselves."""
    others: dict[str, float] = {}
    if (value := in_r.loglik(model, in_r_result)) is not None:
        others["R"] = value
        if abs(value - result.llf) <= LISTED:
            return others
    if exact.able(model):
        starts = 4 if len(model.data) <= MOST_ROWS else 1
        with np.errstate(all="ignore"):
            others["SciPy"] = exact.best(model, starts)
    elif not others and model.random:
        if (value := again(model, result)) is not None:
            others["again"] = value
    return others


def again(model: Model, result: Any) -> float | None:
    """Return the log-likelihood of our own search from covariances a third as large."""
    theta = np.maximum(np.abs(result.theta) / 3, 0.1) * np.where(result.theta < 0, -1, 1)
    try:
        with warnings.catch_warnings(), within(LIMIT):
            warnings.simplefilter("ignore")
            return float(model.fit(start={"theta": theta}).llf)
    except (InterlaceError, TypeError, TimeoutError):
        return None


def verdict_of(outcome: Outcome, result: Any) -> str:
    """Return what has to be said of a fit that ended."""
    if not np.isfinite(outcome.loglik) or (outcome.model.recipe.discrete and outcome.loglik > 1e-8):
        return "impossible"
    said = len(outcome.words) > 1 or not result.converged or "several optima" in outcome.words[0]
    if outcome.gap < -WORSE:
        return "worse, said" if said else "worse"
    if not result.converged:
        return "not reached"
    if not outcome.others:
        return "alone"
    return "agrees" if abs(outcome.gap) <= LISTED else "better" if outcome.gap > 0 else "differs"


class within:  # noqa: N801 - reads as a word of the with statement
    """Give up after some seconds, where the system has alarms."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        if hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, _give_up)
            signal.alarm(self._seconds)

    def __exit__(self, *error: object) -> None:
        if hasattr(signal, "SIGALRM"):
            signal.alarm(0)


def _give_up(*_: object) -> None:
    raise TimeoutError(f"no end after {LIMIT} s")


def report(outcomes: list[Outcome]) -> str:
    """Return the table: counts, then every model that does not simply agree."""
    counts = Counter(each.verdict for each in outcomes)
    lines = [f"{len(outcomes)} models: " + ", ".join(f"{n} {v}" for v, n in counts.most_common())]
    order = ("crash", "impossible", "worse", "worse, said", "not reached", "refused", "differs")
    for verdict in (*order, "better"):
        lines += [each.line() for each in outcomes if each.verdict == verdict]
    return "\n".join(lines)


def failures(outcomes: list[Outcome]) -> list[str]:
    """Return what may not be, in words; empty if all is well."""
    found = [each.line() for each in outcomes if each.failed]
    short = [each for each in outcomes if "not reached" in each.words[0][:12]]
    if len(short) > NOT_REACHED * len(outcomes):
        found.append(f"{len(short)} of {len(outcomes)} not reached, more than {NOT_REACHED:.0%}")
    return found


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--numbers", default="0:10", help="first:last+1 of each family (0:10)")
    parser.add_argument("--families", help="by name, separated by commas; all if not given")
    parser.add_argument("--r", action="store_true", help="fit in R as well, and store its results")
    parser.add_argument("--out", type=Path, help="a file for the table")
    asked = parser.parse_args()
    first, last = map(int, asked.numbers.split(":"))
    families = asked.families.split(",") if asked.families else installed()
    models = all_models(range(first, last), families)
    if asked.r:
        in_r.store(in_r.ask(make() for make in models))
    outcomes = []
    for outcome in run(models, in_r.stored()):
        outcomes.append(outcome)
        print(outcome.line(), flush=True)
        if asked.out:
            asked.out.write_text(report(outcomes) + "\n")
    print("\n" + report(outcomes).splitlines()[0])
    sys.exit("\n".join(failures(outcomes)) or 0)


def installed() -> list[str]:
    """Return the families that can be drawn here and fitted, `fit` among them."""
    from fuzz.recipes import RECIPES

    names = {each.name for each in default_registry().classes("family")}
    return [each for each in RECIPES if each in names or each == "linear"]


if __name__ == "__main__":
    main()
