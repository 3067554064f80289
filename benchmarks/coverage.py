"""How often 95% intervals cover: Wald, profile, bootstrap, and prediction intervals.

    python benchmarks/coverage.py --sets 1000 --boot-sets 150 --boot-draws 199

simulates data from known values (Poisson counts, 30 groups of 10 rows, one covariate within
groups), fits, and counts for every kind of interval how often it holds the truth; for prediction
intervals, how often it holds a new observation, of a group of the fit and of a new one. The table
gives the error of simulation beside each share. Prints as it goes, so that it may be stopped.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import defaultdict

import numpy as np
import pandas as pd

import interlace
from interlace_core.messages.errors import InterlaceError, InterlaceWarning

GROUPS, ROWS = 30, 10
BETA = np.array([2.0, 0.3])
SD = 0.5
TRUTH = {"Intercept": BETA[0], "x": BETA[1], "sd(Intercept | g)": SD}


def main() -> None:
    """Simulate, fit, count, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--boot-sets", type=int, default=150)
    parser.add_argument("--boot-draws", type=int, default=199)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("ignore", InterlaceWarning)
    hits: dict[tuple[str, str], list[float]] = defaultdict(list)
    failures: list[str] = []
    began = time.perf_counter()
    for i, stream in enumerate(np.random.SeedSequence(options.seed).spawn(options.sets)):
        rng = np.random.default_rng(stream)
        data, effects = simulate(rng)
        try:
            fit = interlace.glmer("y ~ x + (1 | g)", data, "poisson")
            count_intervals(fit, hits, "Wald", fit.confint())
            count_intervals(fit, hits, "profile", fit.confint(method="profile"))
            if i < options.boot_sets:
                sample = fit.bootstrap(options.boot_draws, seed=i)
                for kind in ("bias-corrected", "percentile", "basic", "normal"):
                    count_intervals(fit, hits, f"bootstrap {kind}", sample.confint(kind=kind))
            count_predictions(fit, hits, effects, rng)
        except InterlaceError as error:
            failures.append(f"set {i}: {error}")
        if (i + 1) % 25 == 0 or i + 1 == options.sets:
            report(hits, failures, i + 1, time.perf_counter() - began)


def simulate(rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a data set and its random effects."""
    g, effects = np.repeat(np.arange(GROUPS), ROWS), SD * rng.standard_normal(GROUPS)
    x = rng.standard_normal(g.size)
    y = rng.poisson(np.exp(BETA[0] + BETA[1] * x + effects[g]))
    return pd.DataFrame({"y": y, "x": x, "g": g}), effects


def count_intervals(fit, hits, method, table) -> None:
    """Record for each parameter whether its interval holds the truth."""
    for label, truth in TRUTH.items():
        row = table.loc[label]
        hits[method, label].append(float(row["lower"] <= truth <= row["upper"]))


def count_predictions(fit, hits, effects, rng) -> None:
    """Record the share of new observations within their prediction intervals, and of means."""
    x = rng.standard_normal(20)
    for kind, groups, b in (
        ("known group", np.arange(20), effects[:20]),
        ("new group", np.arange(1000, 1020), SD * rng.standard_normal(20)),
    ):
        rows = pd.DataFrame({"x": x, "g": groups})
        eta = BETA[0] + BETA[1] * x + b
        y = rng.poisson(np.exp(eta))
        found = fit.predict(rows, interval="prediction", n_sim=500, seed=int(rng.integers(2**31)))
        inside = (found["lower"] <= y) & (found["upper"] >= y)
        hits["prediction", kind].append(float(inside.mean()))
        if kind == "known group":
            mean = fit.predict(rows, interval="confidence")
            inside = (mean["lower"] <= np.exp(eta)) & (mean["upper"] >= np.exp(eta))
            hits["confidence of the mean", kind].append(float(inside.mean()))
    population = fit.predict(pd.DataFrame({"x": [0.5]}), type="population", interval="confidence")
    truth = np.exp(BETA[0] + 0.5 * BETA[1] + 0.5 * SD**2)
    inside = population["lower"].iloc[0] <= truth <= population["upper"].iloc[0]
    hits["confidence of the mean", "population"].append(float(inside))


def report(hits, failures, done, seconds) -> None:
    """Print the table so far."""
    print(f"\n{done} data sets, {seconds:.0f} s, {len(failures)} failed: {failures[:3]}")
    print(f"{'interval':<24} {'of':<20} {'sets':>5} {'covers':>8} {'error':>7}")
    for (method, label), values in hits.items():
        share = float(np.mean(values))
        error = float(np.std(values, ddof=1) / np.sqrt(len(values)))
        print(
            f"{method:<24} {label:<20} {len(values):>5} {100 * share:>7.2f}% {100 * error:>6.2f}%",
            flush=True,
        )


if __name__ == "__main__":
    main()
