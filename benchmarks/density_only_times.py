"""Time of a fit with a family's log-density alone, beside the same family differentiated by hand.

    python benchmarks/density_only_times.py [NAME ...]

100,000 rows in 10,000 groups, one covariate, a random intercept, Laplace's approximation. Both
fits run in turn in one process, three times; the least is shown. "density alone" is the family
without its `derivatives`, so that they come from jets, and "textbook" a negative binomial written
as in a textbook, without the care for large parameters that the installed one takes.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
from scipy.special import gammaln

import interlace
from interlace_core.contract.family import Family
from interlace_core.registry.registry import default_registry

ROWS, GROUPS, REPEATS = 100_000, 10_000, 3


def simulate() -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return the covariates, and a response for each family."""
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(GROUPS), ROWS // GROUPS)
    x = rng.normal(size=ROWS)
    eta = 0.3 * x + 0.7 * rng.normal(size=GROUPS)[g]
    mu, p = np.exp(eta), 1.0 / (1.0 + np.exp(-eta))
    responses = {
        "poisson": rng.poisson(mu),
        "binomial": rng.binomial(1, p),
        "negativebinomial": rng.negative_binomial(2, 2.0 / (2.0 + mu)),
        "gamma": rng.gamma(2.0, mu / 2.0),
        "beta": np.clip(rng.beta(3.0 * p, 3.0 * (1.0 - p)), 1e-6, 1.0 - 1e-6),
        "student_t": eta + rng.standard_t(5, size=ROWS),
    }
    return pd.DataFrame({"x": x, "g": g}), responses


def textbook(self: Family, y: np.ndarray, eta: list) -> np.ndarray:
    """Return the log-density of a negative binomial with variance mu + mu^2 / theta."""
    mu, theta = np.exp(eta[0]), np.exp(eta[1])
    count = gammaln(y + theta) - gammaln(theta) - gammaln(y + 1.0)
    return count + theta * np.log(theta / (theta + mu)) + y * np.log(mu / (theta + mu))


def variants(name: str) -> dict[str, type[Family]]:
    """Return the family as installed, and with its density alone."""
    cls = default_registry().family(name)
    bare = {"derivatives": Family.derivatives}
    found = {"by hand": cls, "density alone": type("Bare", (cls,), bare)}
    if name == "negativebinomial":
        found["textbook"] = type("Textbook", (cls,), {**bare, "log_density": textbook})
    return found


def main(names: list[str]) -> None:
    """Print the table."""
    data, responses = simulate()
    print(f"{'family':18s}{'':16s}{'seconds':>9s}{'ratio':>7s}{'difference of logLik':>22s}")
    for name in names or list(responses):
        frame = data.assign(y=responses[name])
        times: dict[str, list[float]] = {}
        llf = {}
        for _ in range(REPEATS):
            for label, cls in variants(name).items():
                began = time.perf_counter()
                llf[label] = interlace.glmer("y ~ x + (1 | g)", frame, cls()).llf
                times.setdefault(label, []).append(time.perf_counter() - began)
        base = min(times["by hand"])
        for label, each in times.items():
            ratio, apart = min(each) / base, llf[label] - llf["by hand"]
            print(f"{name:18s}{label:16s}{min(each):9.2f}{ratio:7.1f}{apart:22.1e}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
