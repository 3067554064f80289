"""Time of one evaluation of the objective, by NumPy and by compiled kernels, engines alternating.

    python benchmarks/kernel_times.py

prints a table: processor time of the thread in microseconds, the 25th percentile of repeats at
points 0.3 standard errors apart, with the largest relative difference of values and gradients.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from cases import CASES

import interlace

SIZES = (1_000, 10_000, 100_000)
REPEATS = 25
CROSSED = ("verbagg", "crossed", "insteval2")
"""Cases of the benchmark."""


def models() -> Iterator[tuple[str, Any]]:
    """Yield names and fitted models."""
    load = interlace.datasets.load
    yield (
        "cbpp, binary",
        interlace.glmer(
            "incidence / size ~ period", load("cbpp"), "binomial", groups="herd", weights="size"
        ),
    )
    ticks = "TICKS ~ YEAR + cHEIGHT + (1|BROOD) + (1|INDEX) + (1|LOCATION)"
    yield "grouseticks, 3 nested", interlace.glmer(ticks, load("grouseticks"), "poisson")
    yield (
        "Salamanders, NB2",
        interlace.glmer("count ~ spp + mined + (1|site)", load("Salamanders"), "negativebinomial"),
    )
    for n in SIZES:
        data = simulated(n)
        yield f"binary, {n:,} rows", interlace.glmer("b ~ x1 + x2 + (1|g)", data, "binomial")
    for n in SIZES[:2]:
        data = simulated(n)
        yield (
            f"Poisson slopes, {n:,} rows",
            interlace.glmer("c ~ x1 + x2 + (1 + x1|g)", data, "poisson"),
        )
        yield f"NB2, {n:,} rows", interlace.glmer("c ~ x1 + x2 + (1|g)", data, "negativebinomial")
    for name in CROSSED:
        (case,) = (each for each in CASES if each.name == name)
        formula = " + ".join([f"{case.response} ~ {case.fixed}", *case.random])
        yield name, interlace.glmer(formula, case.data(), case.family)


def simulated(n: int) -> pd.DataFrame:
    """Return rows in groups of 20, with a binary response and a count."""
    rng = np.random.default_rng(3)
    g, x = np.arange(n) % (n // 20), rng.normal(size=(n, 2))
    eta = 0.3 + x @ [0.4, -0.2] + rng.normal(0.0, 0.5, n // 20)[g]
    binary = rng.random(n) < 1.0 / (1.0 + np.exp(-eta))
    counts = rng.poisson(np.exp(eta) * rng.gamma(2.0, 0.5, n))
    return pd.DataFrame({"b": binary * 1, "c": counts, "x1": x[:, 0], "x2": x[:, 1], "g": g})


def compared(model: Any) -> str:
    """Return the cells of a model's row."""
    problem, approximation = model.training.problem, model.training.approximation
    engines = [
        approximation.objective(replace(problem, compiled=each))
        for each in (None, problem.compiled)
    ]
    rng = np.random.default_rng(1)
    step = 0.3 * np.sqrt(np.diag(model.fit.vcov))
    times: tuple[list[float], list[float]] = ([], [])
    value = gradient = 0.0
    for _ in range(REPEATS):
        psi = model.fit.psi + step * rng.normal(size=model.fit.psi.size)
        found = []
        for engine, taken in zip(engines, times, strict=True):
            start = time.thread_time()
            found.append(engine(psi))
            taken.append(1e6 * (time.thread_time() - start))
        plain, fast = found
        value = max(value, abs(fast.value - plain.value) / abs(plain.value))
        size = np.max(np.abs(plain.gradient))
        gradient = max(gradient, float(np.max(np.abs(fast.gradient - plain.gradient)) / size))
    slow, quick = (float(np.percentile(each, 25)) for each in times)
    return f"{slow:,.0f} | {quick:,.0f} | {slow / quick:.1f} | {value:.0e} | {gradient:.0e}"


def main() -> None:
    """Print the table."""
    print("| model | NumPy, us | kernel, us | ratio | value | gradient |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, model in models():
        print(f"| {name} | {compared(model)} |", flush=True)


if __name__ == "__main__":
    main()
