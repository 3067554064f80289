"""Processor time of the quick cases in two source trees, fit by fit in turn.

    python benchmarks/compare_times.py BEFORE/.venv/bin/python AFTER/.venv/bin/python
        [--cases cbpp,verbagg] [--pairs 40] [--most 1.05]

Each tree has a process of its own, which stays: A B B A A B B A ..., one warm fit each, so that
whatever else the machine does falls on both. A case's figure is the median of the pairs' ratios
of processor time (after / before); the range is that of the middle half. Fits shorter than 20 ms
are repeated within a measurement. The exit status is 1 if any median is above `--most`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

import cases
from engines import WORKERS
from session import Worker, stored

LIMIT = 600.0
"""Seconds after which a fit is given up."""
SHORTEST = 0.02
"""Seconds of processor time below which one fit is too short to be measured alone."""
EXTRA = ("lmm_sleepstudy", "salamanders_zip", "clmm_soup")
"""Small cases beyond the quick set: a linear, a zero-inflated and an ordinal model."""


@dataclass(frozen=True)
class Ratios:
    """Processor times of one case by pairs, in seconds, and the log-likelihoods."""

    case: str
    before: tuple[float, ...]
    after: tuple[float, ...]
    logliks: tuple[float, float]

    @property
    def each(self) -> list[float]:
        """The ratio of each pair."""
        return [b / a for a, b in zip(self.before, self.after, strict=True)]

    @property
    def median(self) -> float:
        """The median ratio."""
        return statistics.median(self.each)

    def line(self) -> str:
        """Return the case's row of the table."""
        low, _, high = statistics.quantiles(self.each, n=4)
        a, b = self.logliks
        return (
            f"{self.case:18} {len(self.each):5d} {statistics.median(self.before):10.4f} "
            f"{statistics.median(self.after):10.4f} {self.median:7.3f}  {low:.3f}-{high:.3f} "
            f"{b - a:+.1e}"
        )


def measure(case: cases.Case, pythons: tuple[str, str], pairs: int) -> Ratios:
    """Return the processor times of a case in two trees, alternating."""
    data = case.data()
    request = {"case": case.description(data)}
    with ExitStack() as stack:
        path = stack.enter_context(stored(data))
        workers = []
        for python in pythons:
            worker = Worker([python, str(WORKERS / "interlace_worker.py"), "interlace"], 1)
            stack.callback(worker.end)
            worker.ask({"load": path, **request}, LIMIT)
            workers.append(worker)
        warm = [[worker.ask({"fit": True}, LIMIT) for _ in range(2)][-1] for worker in workers]
        repeats = max(1, round(SHORTEST / max(warm[0]["cpu_seconds"], 1e-4)))
        times: tuple[list[float], list[float]] = ([], [])
        for which in islice(order(), 2 * pairs):
            answers = [workers[which].ask({"fit": True}, LIMIT) for _ in range(repeats)]
            times[which].append(sum(each["cpu_seconds"] for each in answers) / repeats)
    logliks = (warm[0]["loglik"], warm[1]["loglik"])
    return Ratios(case.name, tuple(times[0]), tuple(times[1]), logliks)


def order() -> object:
    """Yield 0 1 1 0 0 1 1 0 ...: neither tree is always the first of a pair."""
    for pair in count():
        yield from ((0, 1) if pair % 2 == 0 else (1, 0))


def main() -> None:
    """Print a row per case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", help="Python of the one tree")
    parser.add_argument("after", help="Python of the other")
    parser.add_argument("--cases", default=",".join((*cases.QUICK, *EXTRA)))
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--most", type=float, default=1.05, help="largest median that passes")
    asked = parser.parse_args()
    pythons = tuple(str(Path(each).absolute()) for each in (asked.before, asked.after))
    print(
        f"{'case':18} {'pairs':>5} {'before s':>10} {'after s':>10} {'ratio':>7}  middle half  dll"
    )
    slow = []
    for case in cases.select(asked.cases.split(","), []):
        found = measure(case, pythons, asked.pairs)
        print(found.line(), flush=True)
        if found.median > asked.most:
            slow.append(case.name)
    sys.exit(f"slower than {asked.most:g}: {', '.join(slow)}" if slow else 0)


if __name__ == "__main__":
    main()
