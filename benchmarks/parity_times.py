"""Wall time of each parity model beside glmmTMB's (and lme4's for quadrature), in one run.

    python benchmarks/parity_times.py [--runs N] [id ...]

Needs Rscript with glmmTMB and lme4. Each model is fitted by both sides in turn, N times (3),
after one warm-up of each; with `--runs 1` there is no warm-up, for models that take R minutes.
R starts once per model and is not counted. Both times are those of
the fitting call from a data frame to a result with standard errors. R's optimisers run with
their defaults, not at the tight tolerances of the stored reference fits.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import pandas as pd

import test_parity
from reference_fits import load_data, load_fit


def main(ids: list[str], runs: int) -> None:
    """Print a row per model: family, rows, R's logLik, ours less R's, both times, their ratio."""
    print(
        f"{'model':24} {'family':19} {'rows':>6} {'R logLik':>13} {'ours less R':>12} "
        f"{'ours s':>8} {'R s':>8} {'ratio':>6}"
    )
    warm_up = runs > 1
    for fit_id in ids or [*test_parity.LAPLACE, *test_parity.QUADRATURE]:
        fit = load_fit(fit_id)
        options = {"nAGQ": fit["nAGQ"]} if fit_id in test_parity.QUADRATURE else {}
        with RSession(fit) as r:
            ours, theirs = [], []
            for run in range(runs + warm_up):
                began = time.perf_counter()
                result = test_parity.refit(fit, **options)
                seconds = time.perf_counter() - began
                r_seconds, r_loglik = r.fit()
                if run >= warm_up:
                    ours.append(seconds)
                    theirs.append(r_seconds)
        a, b = statistics.median(ours), statistics.median(theirs)
        shift = fit.get("logLik_saturated_constant", 0.0)
        print(
            f"{fit_id:24} {fit['family'] + zero_part(fit):19} {result.nobs:6d} "
            f"{r_loglik + shift:13.4f} {result.llf - r_loglik - shift:12.1e} "
            f"{a:8.3f} {b:8.3f} {b / a:6.1f}",
            flush=True,
        )


def zero_part(fit: dict) -> str:
    """Return " + zero" for a model with a zero part."""
    return "" if fit.get("zi_formula") in (None, "~0") else " + zero"


class RSession:
    """An R process that fits one model whenever a line arrives."""

    def __init__(self, fit: dict) -> None:
        self._folder = tempfile.TemporaryDirectory()
        data = load_data(fit["dataset"])
        path = Path(self._folder.name) / "data.csv"
        data.to_csv(path, index=False, na_rep="NA")
        call = re.sub(r",\s*control = \w+", "", fit["r_call"])
        lines = [
            "suppressMessages({library(lme4); library(glmmTMB)})",
            f"{fit['dataset']} <- read.csv({json.dumps(str(path))}, check.names = FALSE)",
        ]
        for column in data.columns:
            if isinstance(data[column].dtype, pd.CategoricalDtype):
                levels = ", ".join(json.dumps(str(x)) for x in data[column].cat.categories)
                target = f"{fit['dataset']}[[{json.dumps(column)}]]"
                lines.append(f"{target} <- factor({target}, levels = c({levels}))")
        lines += [
            "input <- file('stdin', 'r')",
            "while (length(readLines(input, 1)) > 0) {",
            f"  t <- system.time(m <- suppressWarnings(suppressMessages({call})))[['elapsed']]",
            "  cat(sprintf('%.6f %.10f\\n', t, as.numeric(logLik(m)))); flush(stdout())",
            "}",
        ]
        script = Path(self._folder.name) / "fit.R"
        script.write_text("\n".join(lines) + "\n")
        self._process = subprocess.Popen(
            ["Rscript", "--vanilla", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> RSession:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()

    def fit(self) -> tuple[float, float]:
        """Return seconds and log-likelihood of one fit."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        seconds, loglik = self._process.stdout.readline().split()
        return float(seconds), float(loglik)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ids", nargs="*", help="reference fits; all if none is given")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    main(arguments.ids, arguments.runs)
