"""Timings as a Markdown table, as JSON, and as a plot of time against rows."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from cases import CASES
from session import Timing

MIB = 2**20
# Below it, the interpreter's own noise of some MiB is more than the model.
MIN_ARRAY_BYTES = 4 * MIB
HEADER = (
    "| case | rows | engine | median s | ratio | cpu s | cpu ratio | cold cpu s | logLik "
    "| below best | peak MiB | grown / arrays |",
    "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
)


def table(timings: Sequence[Timing], baseline: str) -> str:
    """Return a row per timing; the ratio is how many times slower than the baseline."""
    lines = list(HEADER)
    for _, group in groupby(timings, key=lambda each: each.case):
        rows = list(group)
        # What did not converge can be anywhere, above the maximum too.
        best = max((each.loglik for each in rows if each.converged), default=None)
        base = next((each for each in rows if each.engine == baseline), None)
        lines += [row(each, best, base) for each in rows]
    return "\n".join(lines)


def row(each: Timing, best: float | None, base: Timing | None) -> str:
    """Return one line of the table; what is not known is left empty."""
    if each.median is None:
        return (
            f"| {each.case} | {each.rows} | {each.engine} | {brief(each.failure)} | | | | | | | | |"
        )
    times = [each.median, statistics.median(each.cpu_seconds)]
    known_base = base is not None and base.median is not None
    bases = [base.median, statistics.median(base.cpu_seconds)] if known_base else [None, None]
    seconds = " | ".join(f"{t:.4f} | {over(t, b)}" for t, b in zip(times, bases, strict=True))
    cold = "" if each.first_cpu_seconds is None else f"{each.first_cpu_seconds:.4f}"
    loglik = "" if each.loglik is None else f"{each.loglik:.4f}"
    below = "" if each.loglik is None or best is None else f"{best - each.loglik:.1e}"
    peak = "" if each.peak_bytes is None else f"{each.peak_bytes / MIB:.0f}"
    known = each.grown_bytes is not None and (each.array_bytes or 0) >= MIN_ARRAY_BYTES
    relative = f"{each.grown_bytes / each.array_bytes:.1f}" if known else ""
    engine = each.engine if each.converged else f"{each.engine} (not converged)"
    return (
        f"| {each.case} | {each.rows} | {engine} | {seconds} "
        f"| {cold} | {loglik} | {below} | {peak} | {relative} |"
    )


def over(seconds: float, base: float | None) -> str:
    """Return how many times the base it is; empty where there is no base to divide by."""
    return f"{seconds / base:.2f}" if base else ""


def brief(text: str | None) -> str:
    """Return an error's first words, fit for a cell."""
    first = (text or "").splitlines()[0] if text else ""
    return first.replace("|", "/")[:60]


def series(timings: Iterable[Timing]) -> dict[str, list[tuple[int, float]]]:
    """Return rows and median seconds of each engine over the cases of a series, by rows."""
    members = {case.name for case in CASES if case.series}
    points: dict[str, list[tuple[int, float]]] = {}
    for each in timings:
        if each.case in members and each.median is not None:
            points.setdefault(each.engine, []).append((each.rows, each.median))
    return {engine: sorted(values) for engine, values in points.items()}


def growth(timings: Iterable[Timing]) -> list[str]:
    """Return sentences on how time grows with ten times the rows in ten times the groups."""
    lines = []
    for engine, points in series(timings).items():
        for (fewer, short), (more, long) in zip(points, points[1:], strict=False):
            lines.append(
                f"- {engine}: {fewer} to {more} rows takes {long / short:.1f} times as long"
            )
    return lines


def write(
    folder: Path, timings: Sequence[Timing], *, baseline: str, facts: Mapping[str, Any]
) -> str:
    """Write results.json, results.md and, with matplotlib, time.svg; return the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {"facts": facts, "timings": [asdict(each) for each in timings]}
    (folder / "results.json").write_text(json.dumps(record, indent=1) + "\n")
    parts = [
        "\n".join(f"- {name}: {value}" for name, value in facts.items()),
        table(timings, baseline),
        "\n".join(growth(timings)),
    ]
    text = "\n\n".join(part for part in parts if part) + "\n"
    (folder / "results.md").write_text(text)
    if points := series(timings):
        plot(points, folder / "time.svg")
    return text


def plot(points: Mapping[str, Sequence[tuple[int, float]]], path: Path) -> None:
    """Draw time against rows on logarithmic axes, a line per engine."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for engine, values in points.items():
        axes.loglog(*zip(*values, strict=True), marker="o", label=engine)
    axes.set(xlabel="rows", ylabel="seconds", title=next(c.series for c in CASES if c.series))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)
