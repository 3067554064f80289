"""Time of one evaluation of the objective, by NumPy and by compiled kernels, engines alternating.

    python benchmarks/kernel_times.py [--fits]

prints a table: processor time of the thread in microseconds, the 25th percentile of repeats at
points 0.3 standard errors apart, with the largest relative difference of values and gradients.
With `--fits`, of whole warm fits from the frame, in milliseconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from cases import CASES, Case

import interlace

SIZES = (1_000, 10_000, 100_000)
REPEATS = 25
CROSSED = ("verbagg", "crossed", "insteval2")
"""Cases of the benchmark."""


def calls() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield names, and fits as functions of `kernels=`."""
    load, glmer, fit = interlace.datasets.load, interlace.glmer, interlace.fit
    cbpp, sleep = load("cbpp"), load("sleepstudy")
    proportions = "incidence / size ~ period + (1 | herd)"
    yield "cbpp, binary", lambda **o: glmer(proportions, cbpp, "binomial", weights="size", **o)
    lines = "Reaction ~ Days + (1 + Days | Subject)"
    yield "sleepstudy, REML", lambda **o: fit(lines, sleep, **o)
    grouse = load("grouseticks")
    ticks = "TICKS ~ YEAR + cHEIGHT + (1|BROOD) + (1|INDEX) + (1|LOCATION)"
    yield "grouseticks, 3 nested", lambda **o: glmer(ticks, grouse, "poisson", **o)
    salamanders, species = load("Salamanders"), "count ~ spp + mined + (1|site)"
    yield "Salamanders, NB2", lambda **o: glmer(species, salamanders, "negativebinomial", **o)
    for n in SIZES:
        yield from of_size(n)
    for name in CROSSED:
        (case,) = (each for each in CASES if each.name == name)
        yield name, partial(fitted, case)


def fitted(case: Case, **options: Any) -> Any:
    """Return the fit of a case of the benchmark."""
    formula = " + ".join([f"{case.response} ~ {case.fixed}", *case.random])
    return interlace.glmer(formula, case.data(), case.family, **options)


def of_size(n: int) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the models of simulated data."""
    data, glmer, fit = simulated(n), interlace.glmer, interlace.fit
    yield f"binary, {n:,} rows", lambda **o: glmer("b ~ x1 + x2 + (1|g)", data, "binomial", **o)
    lines = "y ~ x1 + x2 + (1 + x1|g)"
    yield f"linear, slopes, REML, {n:,} rows", lambda **o: fit(lines, data, **o)
    if n < SIZES[-1]:
        slopes, counts = "c ~ x1 + x2 + (1 + x1|g)", "c ~ x1 + x2 + (1|g)"
        yield f"Poisson slopes, {n:,} rows", lambda **o: glmer(slopes, data, "poisson", **o)
        yield f"NB2, {n:,} rows", lambda **o: glmer(counts, data, "negativebinomial", **o)


def simulated(n: int) -> pd.DataFrame:
    """Return rows in groups of 20, with a binary response, a count and a normal one."""
    rng = np.random.default_rng(3)
    g, x = np.arange(n) % (n // 20), rng.normal(size=(n, 2))
    eta = 0.3 + x @ [0.4, -0.2] + rng.normal(0.0, 0.5, n // 20)[g]
    binary = rng.random(n) < 1.0 / (1.0 + np.exp(-eta))
    counts = rng.poisson(np.exp(eta) * rng.gamma(2.0, 0.5, n))
    y = eta + 0.3 * rng.normal(size=n // 20)[g] * x[:, 0] + rng.normal(size=n)
    columns = {"b": binary * 1, "c": counts, "y": y, "x1": x[:, 0], "x2": x[:, 1], "g": g}
    return pd.DataFrame(columns)


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


def whole(call: Callable[..., Any]) -> str:
    """Return the cells of a row of whole fits."""
    times: dict[str, list[float]] = {"off": [], "required": []}
    values = []
    for turn in range(REPEATS + 2):
        for kernels, taken in times.items():
            start = time.thread_time()
            found = call(kernels=kernels)
            if turn > 1:
                taken.append(1e3 * (time.thread_time() - start))
                values.append(found.llf)
    slow, quick = (float(np.percentile(each, 25)) for each in times.values())
    spread = (max(values) - min(values)) / abs(values[0])
    return f"{slow:,.1f} | {quick:,.1f} | {slow / quick:.1f} | {spread:.0e}"


def main() -> None:
    """Print the table."""
    fits = "--fits" in sys.argv[1:]
    unit, more = ("ms", "logLik |") if fits else ("us", "value | gradient |")
    print(f"| model | NumPy, {unit} | kernel, {unit} | ratio | {more}")
    print("|---|--:|--:|--:|" + "--:|" * more.count("|"))
    for name, call in calls():
        print(f"| {name} | {whole(call) if fits else compared(call())} |", flush=True)


if __name__ == "__main__":
    main()
