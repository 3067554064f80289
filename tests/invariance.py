"""Data, models and comparisons for tests that units and zero points of covariates do not matter."""

import functools
import re
import warnings
import zlib

import numpy as np
import pandas as pd

import interlace
from fuzz.recipes import RECIPES
from interlace_core.registry.registry import default_registry

ROWS, GROUPS = 400, 25
FEWER = 160
"""Rows for families whose density is a sum: enough for a slope, and quick."""
COUNTS_BY_SUMS = tuple(f"{part}compois" for part in ("", "truncated_", "hurdle_", "zeroinflated_"))
SUMS = (*COUNTS_BY_SUMS, "tweedie", "skewnormal")
SALT = {"negativebinomial12": 4, "truncated_compois": 2}
"""Another draw for data whose optimum is at a limit: on the flat line to it, searches end at
different points. And one for data that take seconds to fit, `truncated_compois`."""

TOL_LOGLIK = 1e-6
"""Searches end with less than 1e-7 to gain."""
TOL_Z = 1e-4
"""Relative. Hessians are differences of gradients, taken where the search ended, good to this."""

SCALES = {f"*1e{k}": (10.0**k, 0.0) for k in (-12, -9, -6, -3, 3, 6, 9, 12)}
SHIFTS = {f"+1e{k}": (1.0, 10.0**k) for k in (1, 2, 3, 4, 5, 6)} | {"+3e6": (1.0, 3e6)}
BOTH = {"1e-9*(x+1e5)": (1e-9, 1e5), "-1e6*(x+1e3)": (-1e6, 1e3)}
CHANGES = {**SCALES, **SHIFTS, **BOTH}
"""By name: a and c of v = a (x + c), x with standard deviation 1."""
USUAL = ("*1e-12", "*1e9", "+1e4", "+3e6", "1e-9*(x+1e5)")


@functools.cache
def base():
    """Return covariates, the predictor that every response is drawn with, and random slopes."""
    rng = np.random.default_rng(11)
    g = rng.integers(0, GROUPS, ROWS)
    data = pd.DataFrame(
        {
            "g": g,
            "h": rng.integers(0, 8, ROWS),
            "x": rng.normal(size=ROWS),
            "w": rng.normal(size=ROWS),
            "f": pd.Categorical(rng.choice(list("abc"), ROWS)),
            "k": rng.integers(1, 4, ROWS).astype(float),
        }
    )
    effects = 0.3 * data["x"].to_numpy() + rng.normal(0, 0.6, GROUPS)[g]
    return data, effects, rng.normal(0, 0.5, GROUPS)[g] * data["x"].to_numpy()


@functools.cache
def drawn(family, slopes=False):
    """Return the data with a response of some family, y (and its trials m)."""
    recipe = RECIPES[family]
    data, effects, slope = base()
    effects = effects + slope if slopes else effects
    extra = [np.full(ROWS, value) for value in recipe.extra]
    if family in ("binomial", "betabinomial"):
        extra.append(np.full(ROWS, 6.0))
    rng = np.random.default_rng(zlib.crc32(family.encode()) + SALT.get(family, 0))
    y = recipe.draw(rng, recipe.intercept + effects, extra)
    if family == "cumulative":
        y = pd.Categorical.from_codes(y.astype(int), list("abcd"), ordered=True)
        return data.assign(y=y)
    data = data.assign(y=y.real, **({"m": y.imag} if np.iscomplexobj(y) else {}))
    return data.head(FEWER) if family in SUMS else data


def glmer(family, right="v + (1 | g)", **options):
    """Return a model: a family's data, and what fits it."""
    left = "cbind(y, m - y)" if family in ("binomial", "betabinomial") else "y"
    return family, lambda data: interlace.glmer(f"{left} ~ {right}", data, family, **options)


def linear(right="v + (1 | g)", **options):
    """Return a linear mixed model."""
    return "gaussian", lambda data: interlace.fit(f"y ~ {right}", data, **options)


def ordinal(right="v + (1 | g)", **options):
    """Return a cumulative model."""
    return "cumulative", lambda data: interlace.clmm(f"y ~ {right}", data, **options)


FAMILIES = [each.name for each in default_registry().classes("family")]


def quiet(fit, data):
    """Return a fit and what it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = fit(data)
    return result, [without_numbers(str(each.message)) for each in caught]


def without_numbers(text):
    """Return a note or a warning as it is for any data; -2 and 2e3 are both #."""
    return re.sub(r"-?\d+(\.\d+)?(e[-+]?\d+)?", "#", text)


def assert_same_words(found, known):
    """Compare verdicts and notes of two fits, each with the warnings that it gave."""
    (found, heard_here), (known, heard) = found, known
    assert heard_here == heard
    assert found.fit.verdict.status == known.fit.verdict.status
    assert list(map(without_numbers, found.notes)) == list(map(without_numbers, known.notes))


def assert_covariances_agree(found, known, share=1e-3):
    """Hold covariances against each other in units of the standard errors."""
    scale = np.sqrt(np.diag(known))
    apart = (np.asarray(found) - np.asarray(known)) / np.outer(scale, scale)
    assert np.max(np.abs(apart)) < share


def z_values(result):
    """Return z of the columns made of v, by parameter and name."""
    found = {}
    for k, coefficients in enumerate(result.coefficients):
        for name in coefficients.names:
            if "v" in name.split("[")[0].split(":") or ":v" in name:
                found[k, name] = result.params_of(k)[name] / result.bse_of(k)[name]
    return found
