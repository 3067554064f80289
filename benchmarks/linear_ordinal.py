"""Time `fit` against lme4 and `clmm` against ordinal, side by side in one run.

Each case is fitted alternately here and by Rscript (which times the fit alone, inside R), so that
both meet the same load; the ratio of medians is printed with both log-likelihoods.

    python benchmarks/linear_ordinal.py [--repeats 3] [case ...]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import interlace

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))


@dataclass(frozen=True)
class Case:
    """One model: its data, our fit, and R's.

    `r_fit` is an R expression with the data as `d`; `r_setup` makes factors.
    """

    data: Callable[[], pd.DataFrame]
    fit: Callable[[pd.DataFrame], float]
    r_library: str
    r_setup: str
    r_fit: str


def reference_data(name: str) -> pd.DataFrame:
    """Return a data set of the reference fits."""
    from reference_fits import load_data

    return load_data(name)


def large_data() -> pd.DataFrame:
    """Return 1,000,000 rows in 50,000 groups with a random slope."""
    rng = np.random.default_rng(2025)
    groups, each = 50_000, 20
    g = np.repeat(np.arange(groups), each)
    x = rng.normal(size=g.size)
    b = rng.normal(size=(groups, 2)) @ np.array([[0.8, 0.3], [0.0, 0.4]])
    y = 1.0 + 0.5 * x + b[g, 0] + b[g, 1] * x + rng.normal(size=g.size)
    return pd.DataFrame({"y": y, "x": x, "g": g})


CASES = {
    "insteval": Case(
        lambda: reference_data("InstEval"),
        lambda d: interlace.fit("y ~ service + (1 | s) + (1 | d) + (1 | dept)", d).llf,
        "lme4",
        "for (v in c('s','d','dept','service')) d[[v]] <- factor(d[[v]])",
        "lmer(y ~ service + (1|s) + (1|d) + (1|dept), data = d)",
    ),
    "million": Case(
        large_data,
        lambda d: interlace.fit("y ~ x + (x | g)", d).llf,
        "lme4",
        "d$g <- factor(d$g)",
        "lmer(y ~ x + (x|g), data = d)",
    ),
    "soup": Case(
        lambda: reference_data("soup"),
        lambda d: (
            interlace.clmm("SURENESS ~ PROD + (1 | RESP) + (1 | PRODID)", d, link="probit").llf
        ),
        "ordinal",
        "d$SURENESS <- ordered(d$SURENESS); for (v in c('PROD','RESP','PRODID')) "
        "d[[v]] <- factor(d[[v]])",
        "clmm(SURENESS ~ PROD + (1|RESP) + (1|PRODID), data = d, link = 'probit')",
    ),
}


def time_r(case: Case, csv: Path) -> tuple[float, float]:
    """Return seconds and log-likelihood of R's fit."""
    script = (
        f"suppressMessages(library({case.r_library})); d <- read.csv('{csv}'); {case.r_setup}; "
        f"t <- system.time(m <- {case.r_fit})[['elapsed']]; "
        "cat(sprintf('%.4f %.8f', t, as.numeric(logLik(m))))"
    )
    run = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=True)
    seconds, loglik = run.stdout.split()[-2:]
    return float(seconds), float(loglik)


def time_ours(case: Case, data: pd.DataFrame) -> tuple[float, float]:
    """Return seconds and log-likelihood of our fit, formula and result included."""
    began = time.perf_counter()
    loglik = case.fit(data)
    return time.perf_counter() - began, loglik


def run_case(name: str, repeats: int) -> str:
    """Return one line of the table."""
    case = CASES[name]
    data = case.data()
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "data.csv"
        data.to_csv(csv, index=False)
        time_ours(case, data)  # what is compiled and imported once
        ours, theirs = [], []
        for _ in range(repeats):
            ours.append(time_ours(case, data))
            theirs.append(time_r(case, csv))
    here, there = (statistics.median(t for t, _ in runs) for runs in (ours, theirs))
    return (
        f"| {name} | {here:.3f} | {there:.3f} | {there / here:.1f} | {ours[0][1]:.6f} | "
        f"{theirs[0][1]:.6f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print("| case | interlace, s | R, s | ratio | logLik | logLik in R |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in arguments.cases:
        print(run_case(name, arguments.repeats), flush=True)


if __name__ == "__main__":
    main()
