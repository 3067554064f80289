"""Data sets that are separated or not, with what each row asks of a direction, in whole numbers.

Every covariate is a whole number (a measurement in its last digit), so that exact arithmetic can
decide, and the rows are written down from the response alone: a success wants to rise, a failure
to fall, a count of zero to fall, a positive count to stay.
"""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pandas as pd

import interlace
from exact_separation import exact_sets
from interlace import datasets
from interlace_families.binomial import BinomialFamily


def expit(eta):
    return 1.0 / (1.0 + np.exp(-eta))


@dataclass(frozen=True)
class Case:
    """One fit, and what its predictor in question is made of.

    Attributes
    ----------
    call : callable
        Fits a data frame.
    data : DataFrame
    columns : dict from coefficient to ndarray of int, shape (n,)
        All but the intercept (or thresholds), in the order of the model.
    up, down : ndarray of bool, shape (n,)
        Rows that rise, or fall, for ever; the others have to stay.
    codes : ndarray of int, shape (n,), or None
        Categories from 0, of an ordinal model.
    zeros : bool
        Whether the predictor is that of the zero part.
    moved : str
        The covariate that may be given other units and another zero point; "" if none.
    """

    call: object
    data: pd.DataFrame
    columns: dict
    up: np.ndarray = None
    down: np.ndarray = None
    codes: np.ndarray = None
    zeros: bool = False
    moved: str = ""
    names: list = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "names", list(self.columns))

    def expected(self):
        """Return the sets of names that the note has to have, by exact arithmetic."""
        X = np.column_stack([np.asarray(each, dtype=np.int64) for each in self.columns.values()])
        ones = np.ones((len(X), 1), dtype=np.int64)
        if self.codes is None:
            rows = np.concatenate([ones, X], axis=1)
            rising = np.concatenate([rows[self.up], -rows[self.down]])
            still, always = rows[~self.up & ~self.down], [0]
        else:
            ends = np.eye(self.codes.max(), dtype=np.int64)
            below, above = self.codes < len(ends), self.codes > 0
            rising = np.concatenate(
                [
                    np.concatenate([ends[self.codes[below]], -X[below]], axis=1),
                    np.concatenate([-ends[self.codes[above] - 1], X[above]], axis=1),
                ]
            )
            still, always = rising[:0], list(range(len(ends)))
        first = len(always)
        sets = exact_sets(rising, still, always, [first + j for j in range(X.shape[1])])
        return [tuple(self.names[j - first] for j in each) for each in sets]

    def with_units(self, scale, shift):
        """Return the same case with its covariate in other units and from another zero point."""
        x = self.data[self.moved].astype(float)
        return replace(self, data=self.data.assign(**{self.moved: scale * x + shift}))


def glmer(formula, family, **options):
    return lambda data: interlace.glmer(formula, data, family, **options)


def clmm(formula, **options):
    return lambda data: interlace.clmm(formula, data, **options)


def binary(data, y, call, columns, moved=""):
    y = np.asarray(y)
    return Case(call, data.assign(y=y), columns, y == 1, y == 0, moved=moved)


def counts(data, y, call, columns, moved=""):
    y = np.asarray(y)
    return Case(call, data.assign(y=y), columns, np.zeros(len(y), bool), y == 0, moved=moved)


def zero_part(data, y, call, columns, moved=""):
    """A zero's probability rises with pi, a positive count's falls, whatever the zero part is."""
    y = np.asarray(y)
    return Case(call, data.assign(y=y), columns, y == 0, y > 0, zeros=True, moved=moved)


def ordered(data, y, call, columns, moved=""):
    y = np.asarray(y)
    return Case(call, data.assign(y=y), columns, codes=y, moved=moved)


def dummies(f, levels="bcd"):
    return {f"f[T.{level}]": (f == level).astype(int) for level in levels}


def first_overlapping(make, seed, step=20):
    """Return the case of a seed, or of the first further one that is not separated by chance."""
    for attempt in range(seed, 1000, step):
        case = make(attempt)
        if not case.expected():
            return case
    raise AssertionError("no draw overlaps")


# --- ordinary data, far from 0 and collinear


def ordinary_data(seed, n=300):
    rng = np.random.default_rng(seed)
    data = pd.DataFrame(
        {
            "year": rng.integers(2000, 2011, n),
            "g": rng.integers(0, 20, n),
            "bp": np.round(rng.normal(120, 12, n)).astype(int),
            "age": np.round(rng.normal(60, 8, n)).astype(int),
            "f": rng.choice(list("abcd"), n),
        }
    )
    u = 0.6 * rng.normal(size=20)[data["g"]]
    return rng, data, u, u + 0.05 * (data["year"] - 2005) + 0.02 * (data["bp"] - 120)


def ordinary_binary(seed, formula, columns, rare=0.0, link="logit"):
    rng, data, _, eta = ordinary_data(seed)
    y = (rng.random(len(data)) < expit(eta - rare)).astype(int)
    return binary(data, y, glmer(formula, BinomialFamily(link=link)), columns(data))


def bp_squared(seed):
    rng, data, _, eta = ordinary_data(seed)
    y = rng.poisson(np.exp(0.7 * eta))
    columns = {"bp": data["bp"], "I(bp ** 2)": data["bp"] ** 2}
    return counts(data, y, glmer("y ~ bp + I(bp ** 2) + (1 | g)", "poisson"), columns)


def ordinary_counts_negative_binomial(seed):
    rng, data, _, eta = ordinary_data(seed)
    y = rng.negative_binomial(2.0, 2.0 / (2.0 + np.exp(0.7 * eta)))
    columns = {"year": data["year"], "age": data["age"]}
    return counts(data, y, glmer("y ~ year + age + (1 | g)", "negativebinomial"), columns)


def ordinary_ordered(seed):
    rng, data, _, eta = ordinary_data(seed)
    y = np.digitize(eta + rng.logistic(size=len(data)), [-1, 0, 1])
    return ordered(data, y, clmm("y ~ year + bp + (1 | g)"), {k: data[k] for k in ("year", "bp")})


def ordinary_zeros(seed, *, hurdle):
    rng, data, u, _ = ordinary_data(seed)
    zero = rng.random(len(data)) < expit(-1 + 0.1 * (data["year"] - 2005))
    y = np.where(zero, 0, rng.poisson(np.exp(0.8 + u)))
    columns = {"year": data["year"]}
    if not hurdle:
        call = glmer("y ~ 1 + (1 | g)", "poisson", ziformula="~ year")
        return zero_part(data, y, call, columns)
    call = glmer("y ~ bp + (1 | g)", "hurdle_poisson", ziformula="~ year + f")
    columns = dummies(data["f"]) | columns
    return zero_part(data, y, call, columns)


def ticks(seed):
    """Three quarters of the broods of grouseticks, whose heights lie between 403 and 533 metres."""
    data = datasets.load("grouseticks")
    broods = np.unique(data["BROOD"])
    chosen = np.random.default_rng(seed).permutation(broods)[: 3 * len(broods) // 4]
    data = data[data["BROOD"].isin(chosen)].reset_index(drop=True)
    height = data["HEIGHT"].to_numpy().astype(int)
    columns = {"HEIGHT": height, "I(HEIGHT ** 2)": height**2}
    call = glmer("TICKS ~ HEIGHT + I(HEIGHT ** 2) + (1 | BROOD)", "poisson")
    return counts(data, data["TICKS"], call, columns)


def year_and_square(data):
    return dummies(data["f"]) | {"year": data["year"], "I(year ** 2)": data["year"] ** 2}


ORDINARY = {
    "year": partial(
        ordinary_binary, formula="y ~ year + (1 | g)", columns=lambda d: {"year": d["year"]}
    ),
    "year, cloglog": partial(
        ordinary_binary,
        formula="y ~ year + (1 | g)",
        columns=lambda d: {"year": d["year"]},
        link="cloglog",
    ),
    "interaction": partial(
        ordinary_binary,
        formula="y ~ bp * age + (1 | g)",
        columns=lambda d: {"bp": d["bp"], "age": d["age"], "bp:age": d["bp"] * d["age"]},
    ),
    "square of year": partial(
        ordinary_binary,
        formula="y ~ year + I(year ** 2) + f + (1 | g)",
        columns=year_and_square,
    ),
    "rare": partial(
        first_overlapping,
        partial(
            ordinary_binary,
            formula="y ~ f + bp + (1 | g)",
            columns=lambda d: dummies(d["f"]) | {"bp": d["bp"]},
            rare=2.5,
        ),
    ),
    "square, Poisson": bp_squared,
    "grouseticks": ticks,
    "clmm": ordinary_ordered,
    "zero inflation": partial(ordinary_zeros, hurdle=False),
    "hurdle": partial(ordinary_zeros, hurdle=True),
}


# --- separated, in ten ways


def separated_data(seed, n=200):
    rng = np.random.default_rng(1000 + seed)
    data = pd.DataFrame(
        {
            "x": np.round(100 * rng.normal(size=n)).astype(int),
            "w": np.round(100 * rng.normal(size=n)).astype(int),
            "g": rng.integers(0, 15, n),
            "f": rng.choice(list("abcd"), n),
        }
    )
    u = 0.4 * rng.normal(size=15)[data["g"]]
    return rng, data, u


def complete(seed):
    _, data, _ = separated_data(seed)
    y = (data["x"] > 20).astype(int)
    columns = dummies(data["f"]) | {"x": data["x"]}
    return binary(data, y, glmer("y ~ x + f + (1 | g)", "binomial"), columns, "x")


def quasi_complete(seed):
    rng, data, _ = separated_data(seed)
    x = np.round(data["x"] / 100).astype(int)
    y = np.where(x > 0, 1, np.where(x < 0, 0, rng.integers(0, 2, len(x))))
    return binary(data.assign(x=x), y, glmer("y ~ x + (1 | g)", "binomial"), {"x": x}, "x")


def one_level(seed):
    rng, data, u = separated_data(seed)
    y = np.where(data["f"] == "c", 1, rng.random(len(data)) < expit(0.005 * data["w"] + u))
    columns = dummies(data["f"]) | {"w": data["w"]}
    return binary(data, y.astype(int), glmer("y ~ f + w + (1 | g)", "binomial"), columns, "w")


def combination(seed, link="logit", random=" + (1 | g)"):
    _, data, _ = separated_data(seed)
    y = (data["x"] + data["w"] > 10).astype(int)
    columns = {"x": data["x"], "w": data["w"]}
    return binary(data, y, glmer(f"y ~ x + w{random}", BinomialFamily(link=link)), columns, "x")


def level_of_zeros(seed, family):
    rng, data, u = separated_data(seed)
    y = np.where(data["f"] == "d", 0, rng.poisson(np.exp(0.5 + u)))
    columns = dummies(data["f"]) | {"w": data["w"]}
    return counts(data, y, glmer("y ~ f + w + (1 | g)", family), columns, "w")


def hurdle_without_zeros(seed):
    rng, data, _ = separated_data(seed)
    none = (data["f"] == "b") | (rng.random(len(data)) > 0.4)
    y = np.where(none, rng.poisson(2, len(data)) + 1, 0)
    call = glmer("y ~ 1 + (1 | g)", "hurdle_poisson", ziformula="~ f + w")
    columns = dummies(data["f"]) | {"w": data["w"]}
    return zero_part(data, y, call, columns, moved="w")


def level_on_top(seed):
    rng, data, u = separated_data(seed)
    noise = rng.logistic(size=len(data))
    y = np.where(data["f"] == "c", 3, np.digitize(0.005 * data["w"] + u + noise, [-1, 0, 1]))
    columns = dummies(data["f"]) | {"w": data["w"]}
    return ordered(data, y, clmm("y ~ f + w + (1 | g)"), columns, "w")


def cut(seed):
    _, data, _ = separated_data(seed)
    y = np.digitize(data["x"], [-100, 0, 100])
    return ordered(data, y, clmm("y ~ x + (1 | g)"), {"x": data["x"]}, "x")


SEPARATED = {
    "complete": complete,
    "quasi-complete": quasi_complete,
    "level": one_level,
    "combination": combination,
    "combination, probit": partial(combination, link="probit", random=""),
    "level, Poisson": partial(level_of_zeros, family="poisson"),
    "level, negative binomial": partial(level_of_zeros, family="negativebinomial"),
    "level, hurdle": hurdle_without_zeros,
    "level, clmm": level_on_top,
    "complete, clmm": cut,
}


# --- nearly separated: the two rows nearest to the border are on the wrong side of it


def swapped(score):
    """Return whether a score is positive, but for the values nearest to 0 on either side."""
    score = np.asarray(score)
    y = (score > 0).astype(int)
    y[np.argmin(np.where(score > 0, score, np.inf))] = 0
    y[np.argmax(np.where(score <= 0, score, -np.inf))] = 1
    return y


def overlapping(make, seed):
    """Return the first of some data sets in which the two rows do make an overlap."""
    return first_overlapping(lambda attempt: make(separated_data(attempt, n=100)[1]), seed, 10)


def in_units(data):
    return data.assign(x=data["x"] / 100, w=data["w"] / 100)


def nearly_by_x(data, link="logit"):
    columns = {"x": data["x"], "w": data["w"]}
    call = glmer("y ~ x + w", BinomialFamily(link=link))
    return binary(in_units(data), swapped(data["x"]), call, columns)


def nearly_by_both(data):
    y = swapped(data["x"] + data["w"])
    columns = {"x": data["x"], "w": data["w"]}
    return binary(in_units(data), y, glmer("y ~ x + w", "binomial"), columns)


def nearly_with_groups(data):
    call, columns = glmer("y ~ x + (1 | g)", "binomial"), {"x": data["x"]}
    return binary(in_units(data), swapped(data["x"]), call, columns)


def nearly_ordered(data):
    y = swapped(data["x"]) + swapped(data["x"] - 90)
    return ordered(in_units(data), y, clmm("y ~ x + (1 | g)"), {"x": data["x"]})


NEARLY = {
    "logit": partial(overlapping, nearly_by_x),
    "cloglog": partial(overlapping, partial(nearly_by_x, link="cloglog")),
    "combination": partial(overlapping, nearly_by_both),
    "groups": partial(overlapping, nearly_with_groups),
    "clmm": partial(overlapping, nearly_ordered),
}


# --- random designs of few rows

ZERO_PARTS = ("hurdle_poisson", "zeroinflated_poisson")
BINARY = ("logit", "probit", "cloglog", "cauchit")
COUNTS = ("poisson", "negativebinomial")


def random_case(seed):
    """Return a model of up to three terms for a response that follows some of them closely."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 90))
    data = pd.DataFrame(
        {
            "x": rng.integers(-20, 21, n),
            "w": rng.integers(1990, 2010, n),
            "f": rng.choice(list("abcd"), n),
            "g": rng.integers(0, 6, n),
        }
    )
    terms = [term for term in ("x", "w", "f") if rng.random() < 0.7] or ["x"]
    columns = {}
    for term in terms:
        levels = "".join(sorted(data["f"].unique())[1:])
        columns |= dummies(data["f"], levels) if term == "f" else {term: data[term]}
    a, b, c, d = rng.normal(size=4)
    eta = 0.3 * a * data["x"] + 3 * b * (data["f"] == "b") + c * (data["w"] - 2000) / 5 - d
    right = " + ".join(terms)
    grouped = right + (" + (1 | g)" if rng.random() < 0.4 else "")
    kind = rng.choice([*BINARY, *COUNTS, *ZERO_PARTS, "clmm", "truncated_poisson"])
    if kind in BINARY:
        y = (rng.random(n) < expit(2 * eta)).astype(int)
        y[:2] = 0, 1
        return binary(data, y, glmer(f"y ~ {grouped}", BinomialFamily(link=kind)), columns)
    if kind in ZERO_PARTS:
        y = np.where(rng.random(n) < expit(2 * eta), 0, rng.poisson(3, n) + 1)
        y[:3] = 1, 2, 0
        return zero_part(data, y, glmer("y ~ 1", kind, ziformula=f"~ {right}"), columns)
    if kind == "clmm":
        y = np.digitize(eta + 0.5 * rng.logistic(size=n), [-2, 0, 2])
        y[:4] = range(4)
        return ordered(data, y, clmm(f"y ~ {grouped}"), columns)
    y = rng.poisson(np.exp(np.clip(eta, -3, 2.5)))
    y[:2] = 0, 2
    if kind == "truncated_poisson":
        case = counts(data, y, glmer(f"y ~ {grouped}", kind), columns)
        return replace(case, data=case.data.assign(y=y + 1))
    return counts(data, y, glmer(f"y ~ {grouped}", kind), columns)
