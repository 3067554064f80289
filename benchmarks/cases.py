"""The models that are timed: data, formula and family, said once for all engines."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.append(str(Path(__file__).parents[1] / "tests"))

SIZES = ("small", "medium", "large", "stretch")
SEED = 20_240_501


@dataclass(frozen=True)
class Case:
    """One model on one data set.

    Attributes
    ----------
    name : str
    size : str
        One of `SIZES`; "stretch" runs only when it is named.
    data : callable
        Returns the data frame; groups are Categoricals.
    response, fixed : str
        Response column, and right-hand side of the fixed effects.
    random : tuple of str
        Terms as lme4 writes them.
    family : str
        "binomial" (logit), "poisson" (log), "nb2", "zip" with a constant zero part, "gaussian"
        (by maximum likelihood, which all peers can), or "ordinal" (cumulative probit).
    trials : str, optional
        Column with the number of trials.
    nAGQ : int
        Quadrature points; 1 is Laplace.
    replicates : int
        Replicates of a parametric bootstrap, timed together with the first fit.
    series : str, optional
        Cases of one series differ in size only: they make the plot and the growth of time.
    """

    name: str
    size: str
    data: Callable[[], pd.DataFrame]
    response: str
    fixed: str
    random: tuple[str, ...]
    family: str
    trials: str | None = None
    nAGQ: int = 1
    replicates: int = 0
    series: str | None = None

    @property
    def features(self) -> frozenset[str]:
        """What an engine must be able to do."""
        asked = {
            "trials": self.trials is not None,
            "quadrature": self.nAGQ > 1,
            "bootstrap": self.replicates > 0,
            "slopes": any("+" in term.split("|")[0] for term in self.random),
            "factors": len(self.random) > 1,
        }
        return frozenset({self.family, *(name for name, is_asked in asked.items() if is_asked)})

    def description(self, data: pd.DataFrame) -> dict[str, Any]:
        """Return what a worker is told, as JSON's types."""
        categorical = data.select_dtypes("category")
        levels = {
            name: [str(x) for x in column.cat.categories] for name, column in categorical.items()
        }
        ordered = [name for name, column in categorical.items() if column.cat.ordered]
        record = {k: v for k, v in asdict(self).items() if k != "data"}
        return {**record, "levels": levels, "ordered": ordered}


def shipped(name: str) -> pd.DataFrame:
    """Return a data set of the reference fits; VerbAgg's answers as 0 and 1."""
    from reference_fits import load_data

    data = load_data(name)
    if name == "VerbAgg":
        data["r2"] = (data["r2"] == "Y").astype(int)
    return data


def sleep_by_year() -> pd.DataFrame:
    """Return `sleepstudy` as if its days were years: the same model, a covariate far from 0."""
    data = shipped("sleepstudy")
    return data.assign(year=data["Days"] + 2000).drop(columns="Days")


def one_factor(rows: int, groups: int, *, slope: bool = False) -> pd.DataFrame:
    """Return binary rows in equal groups, four covariates, an intercept (and slope) per group."""
    rng = np.random.default_rng(SEED)
    g = np.arange(rows) % groups
    X = rng.normal(size=(rows, 4))
    eta = -0.5 + X @ [0.5, -0.3, 0.2, 0.0] + rng.normal(0, 0.8, groups)[g]
    if slope:
        eta += rng.normal(0, 0.4, groups)[g] * X[:, 0]
    columns = {f"x{j + 1}": X[:, j] for j in range(4)}
    return pd.DataFrame({"y": draw_binary(rng, eta), **columns, "g": factor(g)})


def crossed(rows: int, levels: tuple[int, int], family: str) -> pd.DataFrame:
    """Return rows whose two groups are drawn independently; every first group has as many rows."""
    rng = np.random.default_rng(SEED)
    a, b = np.arange(rows) % levels[0], rng.integers(0, levels[1], rows)
    x = rng.normal(size=rows)
    eta = 0.3 + 0.4 * x + rng.normal(0, 0.7, levels[0])[a] + rng.normal(0, 0.5, levels[1])[b]
    y = rng.poisson(np.exp(eta)) if family == "poisson" else draw_binary(rng, eta)
    return pd.DataFrame({"y": y, "x": x, "a": factor(a), "b": factor(b)})


def nested(rows: int, levels: tuple[int, int, int]) -> pd.DataFrame:
    """Return binary rows in leaves within branches within trees."""
    rng = np.random.default_rng(SEED)
    leaf = np.arange(rows) % levels[2]
    branch, tree = leaf % levels[1], leaf % levels[1] % levels[0]
    x = rng.normal(size=rows)
    eta = 0.2 + 0.5 * x + rng.normal(0, 0.6, levels[2])[leaf]
    eta += rng.normal(0, 0.5, levels[1])[branch] + rng.normal(0, 0.4, levels[0])[tree]
    groups = {"tree": factor(tree), "branch": factor(branch), "leaf": factor(leaf)}
    return pd.DataFrame({"y": draw_binary(rng, eta), "x": x, **groups})


def movers(rows: int, levels: tuple[int, int], share: float) -> pd.DataFrame:
    """Return binary rows of pupils in schools; a share of the pupils changes school half-way."""
    rng = np.random.default_rng(SEED)
    pupil = np.arange(rows) % levels[0]
    first, second = rng.integers(0, levels[1], (2, levels[0]))
    moved = (rng.random(levels[0]) < share)[pupil] & (np.arange(rows) >= rows // 2)
    school = np.where(moved, second[pupil], first[pupil])
    x = rng.normal(size=rows)
    eta = 0.3 + 0.4 * x + rng.normal(0, 0.7, levels[0])[pupil]
    eta += rng.normal(0, 0.5, levels[1])[school]
    groups = {"pupil": factor(pupil), "school": factor(school)}
    return pd.DataFrame({"y": draw_binary(rng, eta), "x": x, **groups})


def straight_lines(rows: int, groups: int) -> pd.DataFrame:
    """Return normal rows in equal groups, each with its own intercept and slope, correlated."""
    rng = np.random.default_rng(SEED)
    g = np.repeat(np.arange(groups), rows // groups)
    x = rng.normal(size=rows)
    b = rng.normal(size=(groups, 2)) @ [[0.8, 0.3], [0.0, 0.4]]
    y = 1.0 + 0.5 * x + b[g, 0] + b[g, 1] * x + rng.normal(size=rows)
    return pd.DataFrame({"y": y, "x": x, "g": factor(g)})


def draw_binary(rng: np.random.Generator, eta: np.ndarray) -> np.ndarray:
    """Return 0 or 1 with success probability expit(eta), shape (n,)."""
    return rng.binomial(1, 1 / (1 + np.exp(-eta)))


def factor(codes: np.ndarray) -> pd.Categorical:
    """Return group numbers as a Categorical with text levels."""
    return pd.Categorical(codes.astype(str))


def real(name: str, size: str, source: str, *model: Any, **options: Any) -> Case:
    """Return a case on shipped data."""
    return Case(name, size, partial(shipped, source), *model, **options)


def series_case(label: str, size: str, rows: int) -> Case:
    """Return a case of the series whose rows and groups grow together, ten rows a group."""
    make = partial(one_factor, rows, rows // 10)
    return Case(f"rows_{label}", size, make, *ONE_FACTOR, series="one factor, ten rows a group")


ONE_FACTOR = ("y", "x1 + x2 + x3 + x4", ("(1 | g)",), "binomial")
CBPP = ("incidence", "period", ("(1 | herd)",), "binomial")
GROUSETICKS = ("(1 | BROOD)", "(1 | INDEX)", "(1 | LOCATION)")
CROSSED = ("y", "x", ("(1 | a)", "(1 | b)"))
S_D = ("(1 | s)", "(1 | d)")
SLEEP = ("Reaction", "Days", ("(1 + Days | Subject)",), "gaussian")
YEARS = ("Reaction", "year", ("(1 + year | Subject)",), "gaussian")
SOUP = ("SURENESS", "PROD", ("(1 | RESP)", "(1 | PRODID)"), "ordinal")

CASES = (
    real("cbpp", "small", "cbpp", *CBPP, trials="size"),
    real("cbpp_bootstrap", "small", "cbpp", *CBPP, trials="size", replicates=200),
    real("grouseticks", "small", "grouseticks", "TICKS", "YEAR + cHEIGHT", GROUSETICKS, "poisson"),
    real("salamanders_nb2", "small", "Salamanders", "count", "spp * mined", ("(1 | site)",), "nb2"),
    real("salamanders_zip", "small", "Salamanders", "count", "spp * mined", ("(1 | site)",), "zip"),
    real("lmm_sleepstudy", "small", "sleepstudy", *SLEEP),
    Case("lmm_sleepstudy_years", "small", sleep_by_year, *YEARS),
    real("clmm_soup", "small", "soup", *SOUP),
    series_case("1k", "small", 1_000),
    real(
        "verbagg",
        "medium",
        "VerbAgg",
        *("r2", "Anger + Gender + btype + situ", ("(1 | id)", "(1 | item)"), "binomial"),
    ),
    series_case("10k", "medium", 10_000),
    Case("agq25", "medium", partial(one_factor, 20_000, 2_000), *ONE_FACTOR, nAGQ=25),
    Case(
        "slopes",
        "large",
        partial(one_factor, 50_000, 2_000, slope=True),
        *("y", "x1 + x2 + x3 + x4", ("(1 + x1 | g)",), "binomial"),
    ),
    real("insteval2", "large", "InstEval", "yb", "service", S_D, "binomial"),
    real("insteval3", "large", "InstEval", "yb", "service", (*S_D, "(1 | dept)"), "binomial"),
    real("lmm_insteval3", "large", "InstEval", "y", "service", (*S_D, "(1 | dept)"), "gaussian"),
    Case(
        "lmm_100k",
        "medium",
        partial(straight_lines, 100_000, 5_000),
        *("y", "x", ("(1 + x | g)",), "gaussian"),
    ),
    Case(
        "lmm_million",
        "large",
        partial(straight_lines, 1_000_000, 50_000),
        *("y", "x", ("(1 + x | g)",), "gaussian"),
    ),
    series_case("100k", "large", 100_000),
    Case(
        "crossed", "large", partial(crossed, 100_000, (5_000, 500), "poisson"), *CROSSED, "poisson"
    ),
    Case(
        "nested3",
        "large",
        partial(nested, 250_000, (500, 5_000, 50_000)),
        *("y", "x", ("(1 | tree)", "(1 | branch)", "(1 | leaf)"), "binomial"),
    ),
    Case(
        "sparse",
        "large",
        partial(crossed, 300_000, (50_000, 5_000), "binomial"),
        *CROSSED,
        "binomial",
    ),
    Case(
        "movers",
        "large",
        partial(movers, 400_000, (100_000, 10_000), 0.03),
        *("y", "x", ("(1 | pupil)", "(1 | school)"), "binomial"),
    ),
    series_case("1m", "large", 1_000_000),
    Case(
        "sparse_stretch",
        "stretch",
        partial(crossed, 300_000, (50_000, 20_000), "binomial"),
        *CROSSED,
        "binomial",
    ),
)

QUICK = (
    *("cbpp", "grouseticks", "salamanders_nb2", "verbagg", "rows_1k", "rows_10k"),
    *("lmm_sleepstudy", "lmm_100k"),
)


def select(names: list[str], sizes: list[str], *, quick: bool = False) -> list[Case]:
    """Return the cases asked for: by name, else by size, else the quick set or all but stretch.

    Raises
    ------
    SystemExit
        If a name or a size is unknown; says what there is.
    """
    known = {case.name for case in CASES}
    for kind, asked, there in (("case", names, known), ("size", sizes, set(SIZES))):
        if unknown := sorted(set(asked) - there):
            raise SystemExit(
                f"no {kind} {', '.join(unknown)}; there are: {', '.join(sorted(there))}"
            )
    if names:
        return [case for case in CASES if case.name in names]
    if sizes:
        return [case for case in CASES if case.size in sizes]
    return [case for case in CASES if (case.name in QUICK if quick else case.size != "stretch")]
