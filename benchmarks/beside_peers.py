"""Tables of pages, written from kept runs: python benchmarks/beside_peers.py [--run FILE].

A page has a table between two marks, the first of which names the table and the run that it is
made of. Without `--run` each table is written again from the run that its page names, with it from
that run. A test holds that pages say what the runs say.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from cases import CASES, Case
from engines import PEERS
from kept import RESULTS, ROOT
from session import Timing

PAGES = (ROOT / "README.md", ROOT / "docs" / "performance.md")
MARKED = re.compile(
    r"(?P<mark><!-- beside peers: (?P<kind>\w+), (?P<run>[\w.+-]+) -->\n)(?P<table>.*?)"
    r"(?P<end><!-- end of the table -->)",
    re.DOTALL,
)
OURS = "interlace"
COUNTS = 1e-4
"""How far below the highest log-likelihood an engine may end for its time to count."""

BRIEF = (
    *("cbpp", "cbpp_bootstrap", "grouseticks", "salamanders_nb2", "verbagg", "rows_1k", "rows_10k"),
    *("rows_100k", "insteval3", "clmm_soup", "lmm_sleepstudy", "lmm_sleepstudy_years"),
    *("lmm_100k", "lmm_insteval3"),
)
"""Cases of the README: those where others are faster too."""

IN_R = frozenset(engine.name for engine in PEERS if engine.worker.endswith(".R"))
FAMILIES = {"nb2": "NB2", "zip": "zero-inflated Poisson", "gaussian": "linear, ML"}


@dataclass(frozen=True)
class Beside:
    """What a run says of one case.

    Attributes
    ----------
    case : Case
    rows : int
    milliseconds : dict of str to float
        Median processor time of the warm fits, by engine.
    lower : dict of str to float
        How far an engine's log-likelihood is below the highest of the fits that converged.
    failures : dict of str to str
    """

    case: Case
    rows: int
    milliseconds: Mapping[str, float]
    lower: Mapping[str, float]
    failures: Mapping[str, str]

    def times(self, engine: str) -> float:
        """Return an engine's processor time as a multiple of ours."""
        return self.milliseconds[engine] / self.milliseconds[OURS]

    def counting(self, engines: frozenset[str]) -> list[str]:
        """Return those that reached the optimum, the fastest first."""
        reached = [e for e in engines & self.milliseconds.keys() if self.lower[e] <= COUNTS]
        return sorted(reached, key=self.times)

    @property
    def missed(self) -> list[str]:
        """The engines that did not reach the optimum, the furthest first."""
        return sorted(
            (e for e in self.lower if self.lower[e] > COUNTS), key=lambda e: -self.lower[e]
        )


def read(path: Path) -> list[Beside]:
    """Return a run's cases in the order of `CASES`, those that we fitted."""
    timings = [Timing(**each) for each in json.loads(path.read_text())["timings"]]
    known = {case.name: case for case in CASES}
    found = [
        beside(known[name], list(group))
        for name, group in groupby(timings, key=lambda each: each.case)
    ]
    order = {case.name: k for k, case in enumerate(CASES)}
    return sorted((b for b in found if OURS in b.milliseconds), key=lambda b: order[b.case.name])


def beside(case: Case, timings: list[Timing]) -> Beside:
    """Return what the timings of one case say."""
    done = [each for each in timings if each.cpu_seconds and each.loglik is not None]
    best = max((each.loglik for each in done if each.converged), default=float("nan"))
    return Beside(
        case,
        timings[0].rows,
        {each.engine: 1e3 * statistics.median(each.cpu_seconds) for each in done},
        {each.engine: best - each.loglik for each in done},
        {each.engine: each.failure for each in timings if each.failure},
    )


def brief(run: list[Beside]) -> list[str]:
    """Return a table of some cases with the fastest others, in Python and in R."""
    python = frozenset(engine.name for engine in PEERS) - IN_R
    lines = [
        "| Model | Rows | interlace, ms | Fastest other in Python | Fastest in R | Ends lower by |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for each in (each for each in run if each.case.name in BRIEF):
        cells = [model(each.case), f"{each.rows:,}", number(each.milliseconds[OURS])]
        cells += [fastest(each, engines) for engines in (python, IN_R)]
        missed = [f"{engine} {each.lower[engine]:.2g}" for engine in each.missed]
        lines.append("| " + " | ".join([*cells, ", ".join(missed)]) + " |")
    return lines


def fastest(each: Beside, engines: frozenset[str]) -> str:
    """Return the fastest engine that counts, as a multiple of our time, or why there is none."""
    counting = each.counting(engines)
    if counting:
        return f"{number(each.times(counting[0]))} ({counting[0]})"
    if lower := engines & each.lower.keys():
        return f"none reached it ({', '.join(sorted(lower))})"
    failed = sorted(engine for engine in engines & each.failures.keys())
    return "; ".join(f"{each.failures[name]} ({name})" for name in failed) or "not run"


def whole(run: list[Beside]) -> list[str]:
    """Return a table of all engines."""
    there = [e.name for e in PEERS if any(e.name in each.milliseconds for each in run)]
    lines = [
        "| Model | Rows | interlace, ms | " + " | ".join(there) + " |",
        "|---|--:|--:|" + "--:|" * len(there),
    ]
    for each in run:
        cells = [model(each.case), f"{each.rows:,}", number(each.milliseconds[OURS])]
        lines.append("| " + " | ".join([*cells, *map(partial(cell, each), there)]) + " |")
    return lines


def cell(each: Beside, engine: str) -> str:
    """Return an engine's multiple of our time, and how much lower it ended where it did."""
    if engine in each.milliseconds:
        times, lower = number(each.times(engine)), each.lower[engine]
        return times if lower <= COUNTS else f"{times}; {lower:.2g} lower"
    failure = each.failures.get(engine, "")
    return failure if failure.startswith(">") else "failed" if failure else ""


def model(case: Case) -> str:
    """Return a case in words."""
    family = FAMILIES.get(case.family, case.family)
    points = f", {case.nAGQ} points" if case.nAGQ > 1 else ""
    draws = f", {case.replicates} bootstrap refits" if case.replicates else ""
    return f"`{case.name}`: {family}, `{' + '.join(case.random)}`{points}{draws}".replace(
        "|", "\\|"
    )


def number(value: float) -> str:
    """Return a number with two or three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.1f}"


TABLES: dict[str, Callable[[list[Beside]], list[str]]] = {"brief": brief, "whole": whole}


def written(text: str, run: str | None = None) -> str:
    """Return a page's text with its tables made again, of the run given or of their own.

    Those of runs without compiled kernels of one without, the others of one with them.
    """

    def table(found: re.Match[str]) -> str:
        name = found["run"]
        if run and is_compiled(RESULTS / run) == is_compiled(RESULTS / name):
            name = run
        lines = TABLES[found["kind"]](read(RESULTS / name))
        mark = found["mark"].replace(found["run"], name)
        return mark + "\n".join(["", *lines, "", found["end"]])

    return MARKED.sub(table, text)


def is_compiled(path: Path) -> bool:
    """Return whether our fits of a run had compiled kernels, as those had that do not say so."""
    return json.loads(path.read_text())["facts"].get("kernels") != "none"


def main(arguments: list[str] | None = None) -> Any:
    """Write the tables of the pages again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", help="name of a file in benchmarks/results")
    asked = parser.parse_args(arguments)
    for page in PAGES:
        page.write_text(written(page.read_text(), asked.run))


if __name__ == "__main__":
    main()
