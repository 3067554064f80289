"""Covariance structures of times and places beside glmmTMB: processor time and log-likelihood.

    python benchmarks/structures.py --kinds ar1,exp --sizes 50,200 --limit 600

One series or field of counts (so many times or places, an observation each), or, for structures
with a number for each level or distance, 40 groups with so many levels. Each fit is in a process of
its own on one core, after a small one that loads what it needs; one that takes more processor time
than the limit, the same for both engines, is ended and shown so, and so are larger ones of its kind
and engine, which take longer and are not begun. What an engine refuses is shown so too. The
structures that glmmTMB 1.1.5 does not have are ours alone.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

SEED = 20_240_501
GROUPS = 40
ASIDE = 10
"""Seconds that imports and the small fit before may take beside."""

ONE_CORE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def series(size: int) -> pd.DataFrame:
    """Return counts along a chain of times, a place in the plane for each."""
    rng = np.random.default_rng(SEED)
    places = rng.uniform(0.0, 10.0, size=(size, 2)).round(3)
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    root = np.linalg.cholesky(np.exp(-distance / 1.5) + 1e-9 * np.eye(size))
    level = np.empty(size)
    level[0] = rng.normal()
    for k in range(1, size):
        level[k] = 0.7 * level[k - 1] + np.sqrt(1 - 0.7**2) * rng.normal()
    x = rng.normal(size=size)
    return pd.DataFrame(
        {
            "t": np.arange(size), "e": places[:, 0], "n": places[:, 1], "x": x, "g": "all",
            "along": rng.poisson(np.exp(1.0 + 0.3 * x + 0.6 * level)),
            "there": rng.poisson(np.exp(1.0 + 0.3 * x + 0.7 * (root @ rng.normal(size=size)))),
        }
    )  # fmt: skip


def levels(size: int) -> pd.DataFrame:
    """Return counts of groups, at so many levels each, with correlations that fall."""
    rng = np.random.default_rng(SEED)
    apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    b = rng.normal(size=(GROUPS, size)) @ np.linalg.cholesky(0.6**apart).T
    x = rng.normal(size=(GROUPS, size))
    g, t = np.divmod(np.arange(GROUPS * size), size)
    y = rng.poisson(np.exp(1.0 + 0.3 * x + 0.6 * b)).ravel()
    return pd.DataFrame({"t": t, "x": x.ravel(), "g": [f"g{k:02d}" for k in g], "along": y})


Data = Callable[[int], pd.DataFrame]
TIMES = "t"
KINDS: dict[str, tuple[Data, str, str, str | None]] = {
    "ar1": (series, "along", "0 + t", "ar1(0 + f | g)"),
    "ou": (series, "along", "0 + t", "ou(0 + nt | g)"),
    "exp": (series, "there", "0 + e + n", "exp(0 + pos | g)"),
    "gau": (series, "there", "0 + e + n", "gau(0 + pos | g)"),
    "mat": (series, "there", "0 + e + n", "mat(0 + pos | g)"),
    "toep": (levels, "along", "0 + f", "toep(0 + f | g)"),
    "us": (levels, "along", "0 + f", "us(0 + f | g)"),
    "hetcs": (levels, "along", "0 + f", "cs(0 + f | g)"),
    "hetar1": (levels, "along", "0 + f", None),
    "homtoep": (levels, "along", "0 + f", None),
}
"""Data, response, what stands left of the bar here, and glmmTMB's term."""

OURS = """
import json, sys, time
import pandas as pd
import interlace
from interlace_core.contract import DataError
path, kind, response, left = sys.argv[1:]
data = pd.read_csv(path)
data["f"] = pd.Categorical([f"{t:05d}" for t in data["t"]])
formula = f"{response} ~ x + {kind}({left} | g)"
interlace.glmer(f"{response} ~ x + ar1(0 + t | g)", data[data["t"] < 8], "poisson")
start = time.process_time()
try:
    fit = interlace.glmer(formula, data, "poisson")
except DataError as error:
    print(json.dumps(f"refused: {error}"))
    raise SystemExit
print(json.dumps([time.process_time() - start, fit.llf, fit.status.split(":")[0]]))
"""

THEIRS = """
suppressMessages(library(glmmTMB))
a <- commandArgs(TRUE)
d <- read.csv(a[1])
d$g <- factor(d$g); d$f <- factor(d$t); d$nt <- numFactor(d$t)
if (!is.null(d$e)) d$pos <- numFactor(d$e, d$n)
start <- proc.time()
m <- glmmTMB(as.formula(paste(a[3], "~ x +", a[2])), data = d, family = poisson)
took <- sum((proc.time() - start)[1:2])
cat(sprintf("[%.4f, %.8f, \\"%s\\"]\\n", took, as.numeric(m$fit$objective) * -1, m$fit$message))
"""


def timed(command: list[str], limit: float) -> list[object] | str:
    """Return seconds, log-likelihood and status; else in a word why there are none."""
    seconds = int(limit) + ASIDE

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))

    run = subprocess.run(
        command, env={**os.environ, **ONE_CORE}, capture_output=True, text=True,
        preexec_fn=limited, check=False,
    )  # fmt: skip
    lines = run.stdout.strip().splitlines()
    if run.returncode in (-signal.SIGKILL, -signal.SIGXCPU):
        return f"> {limit:.0f}"
    if run.returncode or not lines:
        print(run.stderr[-500:], file=sys.stderr)
        return "failed"
    found: list[object] | str = json.loads(lines[-1])
    if isinstance(found, str):
        print(found, file=sys.stderr)
        return found.split(":")[0]
    return found if float(str(found[0])) <= limit else f"> {limit:.0f}"


def main() -> None:
    """Print a row for each structure and size, ours and glmmTMB's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--sizes", default="50,200,1000")
    parser.add_argument("--limit", type=float, default=240.0, help="processor seconds of one fit")
    given = parser.parse_args()
    print("| structure | size | ours cpu s | glmmTMB cpu s | logLik | difference | status |")
    print("|---|--:|--:|--:|--:|--:|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "data.csv")
        for kind in given.kinds.split(","):
            make, response, left, theirs = KINDS[kind]
            mine: list[object] | str = ""
            peer: list[object] | str = "has none" if theirs is None else ""
            for size in map(int, given.sizes.split(",")):
                make(size).to_csv(path, index=False)
                command = [sys.executable, "-W", "ignore", "-c", OURS, path, kind, response, left]
                mine = mine if is_over(mine) else timed(command, given.limit)
                if theirs is not None and not is_over(peer):
                    peer = timed(["Rscript", "-e", THEIRS, path, theirs, response], given.limit)
                print(row(kind, size, mine, peer), flush=True)


def is_over(found: list[object] | str) -> bool:
    """Return whether a fit was ended at the limit: a larger one is not begun."""
    return isinstance(found, str) and found.startswith(">")


def row(kind: str, size: int, mine: list[object] | str, peer: list[object] | str) -> str:
    """Return a row of the table."""
    times = [each if isinstance(each, str) else f"{each[0]:.2f}" for each in (mine, peer)]
    shown = [kind, str(size), *times]
    if isinstance(mine, str):
        return f"| {' | '.join([*shown, '', '', ''])} |"
    gap = "" if isinstance(peer, str) else f"{float(str(mine[1])) - float(str(peer[1])):.1e}"
    return f"| {' | '.join([*shown, f'{mine[1]:.6f}', gap, str(mine[2])])} |"


if __name__ == "__main__":
    main()
