"""Time interlace beside its peers: python benchmarks/run.py --help."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from pathlib import Path

import cases
import engines
import kept
import report
from import_time import import_facts
from session import Timing, compare, progress


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for, and write results after every case."""
    asked = parse(arguments)
    selected = cases.select(asked.cases, asked.sizes, quick=asked.quick)
    chosen = engines.select(asked.engines, asked.interpreter)
    commands = available(chosen, asked.environments)
    facts = {"machine": platform.platform(), "cores": os.cpu_count(), "threads": asked.threads}
    facts |= {"load before": f"{os.getloadavg()[0]:.1f}"}
    if asked.import_time:
        facts |= import_facts(asked.repeats)
    timings: list[Timing] = []
    for case in selected:
        able = [each.name for each in chosen if each.name in commands and each.fits(case)]
        timings += compare(
            case,
            {name: commands[name] for name in able},
            repeats=asked.repeats,
            limit=asked.limit,
            budget=asked.budget,
            threads=asked.threads,
        )
        progress([each for each in timings if each.case == case.name])
        facts["load after"] = f"{os.getloadavg()[0]:.1f}"
        report.write(asked.output, timings, baseline=chosen[0].name, facts=facts)
    print(report.write(asked.output, timings, baseline=chosen[0].name, facts=facts))
    if asked.keep:
        print(f"kept as {kept.keep(asked.results, timings, facts)}", file=sys.stderr)


def available(chosen: list[engines.Engine], environments: Path) -> dict[str, list[str]]:
    """Return the commands of the engines that can be had; say which cannot, and why."""
    commands = {}
    for engine in chosen:
        try:
            commands[engine.name] = engine.command(environments)
        except (LookupError, subprocess.CalledProcessError) as error:
            print(f"without {engine.name}: {error}", file=sys.stderr, flush=True)
    return commands


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options, lists split at commas."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--cases", type=names, default=[], help="by name, separated by commas")
    add("--sizes", type=names, default=[], help=f"of {', '.join(cases.SIZES)}")
    add("--quick", action="store_true", help=f"only {', '.join(cases.QUICK)}")
    add("--engines", type=names, default=[], help="by name; the first is the ratios' base")
    add("--interpreter", action="append", default=[], help="name=python: another interlace")
    add("--repeats", type=int, default=5, help="fits that count, after a warm-up (5)")
    add("--limit", type=float, default=180.0, help="seconds after which a fit is given up (180)")
    add("--budget", type=float, default=60.0, help="seconds for one engine and case (60)")
    add("--threads", type=int, default=1, help="for every engine (1)")
    add("--import-time", action="store_true", help="also time the import")
    add("--environments", type=Path, default=Path(".nox/bench-peers"), help="where peers live")
    add("--output", type=Path, default=Path("build/benchmarks"), help="folder of the results")
    add("--keep", action="store_true", help="add the run to those that are kept; see kept.py")
    add("--results", type=Path, default=kept.RESULTS, help="where runs are kept")
    return parser.parse_args(arguments)


def names(text: str) -> list[str]:
    """Return the parts of a list separated by commas."""
    return [each for each in text.split(",") if each]


if __name__ == "__main__":
    main()
