"""Timings that are kept, one JSON file per run, and a table of them: python benchmarks/kept.py.

`python benchmarks/run.py --quick --keep` adds a run to `benchmarks/results/`. Times of different
machines are not comparable: a column of the table is compared with the last one on the same.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from session import Timing

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"

SLOWER = 1.2
"""Ratio of processor times that is pointed at: quick cases vary by a tenth on a machine at work."""


def keep(folder: Path, timings: Sequence[Timing], facts: Mapping[str, Any]) -> Path:
    """Write a run to a file named by its time and commit, and return the path."""
    now = datetime.now(UTC)
    said = {"date": now.isoformat(timespec="seconds"), "commit": commit(), **facts, **software()}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now:%Y-%m-%d-%H%M}-{said['commit']}.json"
    record = {"facts": said, "timings": [asdict(each) for each in timings]}
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path


def commit() -> str:
    """Return the short name of the commit, with a plus if sources differ from it."""
    try:
        name = git("rev-parse", "--short=9", "HEAD")
        changed = git("status", "--porcelain", "--", "interlace", "interlace_core", "plugins")
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return f"{name}+" if changed else name


def git(*arguments: str) -> str:
    """Return what git says of the repository."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, text=True, capture_output=True)
    return done.stdout.strip()


def software() -> dict[str, str]:
    """Return the processor, and the versions that times depend on."""
    names = ("numpy", "scipy", "pandas", "formulaic")
    versions = {name: version(name) for name in names}
    own = {"kernels": compiled(), "processor": processor(), "python": platform.python_version()}
    return {**own, **versions}


def compiled() -> str:
    """Return which compiled kernels our own fits had, "none" where all is NumPy."""
    from interlace_kernels.library import library

    found = library()
    return "none" if found is None else f"interlace-kernels {version('interlace-kernels')}"


def processor() -> str:
    """Return the processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())


def read(folder: Path) -> list[dict[str, Any]]:
    """Return the runs kept in a folder, the oldest first."""
    runs = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return sorted(runs, key=lambda run: str(run["facts"]["date"]))


def table(runs: Sequence[Mapping[str, Any]], engine: str) -> str:
    """Return a Markdown table: cases down, runs across, median processor time in milliseconds."""
    times = [medians(run, engine) for run in runs]
    before = [earlier(runs, k) for k in range(len(runs))]
    heads = [f"{run['facts']['date'][:10]} {run['facts']['commit']}" for run in runs]
    lines = ["| case | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(runs)]
    for case in dict.fromkeys(case for each in times for case in each):
        cells = [
            cell(each.get(case), None if k is None else times[k].get(case))
            for each, k in zip(times, before, strict=True)
        ]
        lines.append(f"| {case} | " + " | ".join(cells) + " |")
    machines = [f"- {head}: {where(run)}" for head, run in zip(heads, runs, strict=True)]
    return "\n".join([*lines, "", *machines]) + "\n"


def medians(run: Mapping[str, Any], engine: str) -> dict[str, float]:
    """Return the median processor time of each case that an engine fitted, in milliseconds."""
    fitted = [each for each in run["timings"] if each["engine"] == engine and each["cpu_seconds"]]
    return {each["case"]: 1e3 * statistics.median(each["cpu_seconds"]) for each in fitted}


def earlier(runs: Sequence[Mapping[str, Any]], k: int) -> int | None:
    """Return the last run before the k-th on the same machine with as many threads, or None."""
    same = [j for j in range(k) if where(runs[j]) == where(runs[k])]
    return same[-1] if same else None


def where(run: Mapping[str, Any]) -> str:
    """Return what makes times comparable, in words."""
    facts = run["facts"]
    without = ", no compiled kernels" if facts.get("kernels") == "none" else ""
    used = f"{facts['cores']} cores, {facts['threads']} thread(s) used"
    return f"{facts['processor']}, {used}{without}"


def cell(milliseconds: float | None, before: float | None) -> str:
    """Return a time, with its ratio to the one before, in bold where it is slower by a fifth."""
    if milliseconds is None:
        return ""
    if not before:
        return f"{milliseconds:.1f}"
    ratio = milliseconds / before
    shown = f"{milliseconds:.1f} ({ratio:.2f})"
    return f"**{shown}**" if ratio > SLOWER else shown


def main(arguments: list[str] | None = None) -> None:
    """Print the table of the runs that are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=RESULTS, help="where the runs are")
    parser.add_argument("--engine", default="interlace", help="whose times (interlace)")
    parser.add_argument("--last", type=int, default=6, help="runs shown, the newest (6)")
    asked = parser.parse_args(arguments)
    print(table(read(asked.folder)[-asked.last :], asked.engine), end="")


if __name__ == "__main__":
    main()
