"""Random models by name and number: the same data and formula for the same pair, everywhere."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

import interlace
from fuzz.recipes import RECIPES, Recipe

SLOTS = (
    ("(1 | g)", {}),
    ("(1 | g)", {"nAGQ": 9}),
    ("(1 | g) + (1 | h)", {}),
    ("(1 | g / h)", {}),
    ("(1 + x | g)", {}),
    ("(1 + x || g)", {}),
    ("homdiag(0 + f | g)", {}),
    ("cs(0 + f | g)", {}),
    ("ar1(0 + t | g)", {}),
    ("toep(0 + t | g)", {}),
    ("", {}),
    ("(1 | g)", {"nAGQ": 0}),
    ("(1 + x | g)", {"approximation": "agq-vector", "nAGQ": 5}),
    ("(1 | g)", {"optimizer": "bobyqa"}),
    ("(0 + f | g)", {}),
    ("diag(0 + f | g)", {}),
)
"""Random effects, and how they are fitted; a family's numbers go through them in order."""
FIXED = ("x", "x + f", "x * f", "x + z + f", "x + I(x ** 2)", "1", "z")
LIMITS = ("family", "variance", "separated", "tiny", "family")
EVERY_TENTH = 10


@dataclass(frozen=True)
class Model:
    """One random model.

    Attributes
    ----------
    name : str
        Family and number, such as "poisson-3".
    family : str
        A key of `RECIPES`.
    data : DataFrame
    formula : str
    options : dict
        Further arguments of the fit.
    limit : str
        Which limit the data are at; empty for most.
    random : str
        The random effects of the formula.
    """

    name: str
    family: str
    data: pd.DataFrame = field(repr=False)
    formula: str
    options: dict[str, Any]
    limit: str
    random: str

    @property
    def recipe(self) -> Recipe:
        """How the response was drawn."""
        return RECIPES[self.family]

    def fit(self, **changed: Any) -> Any:
        """Return the library's fit."""
        options = {**self.options, **changed}
        if self.family == "linear":
            return interlace.fit(self.formula, self.data, **options)
        if self.family == "cumulative":
            return interlace.clmm(self.formula, self.data, **options)
        return interlace.glmer(self.formula, self.data, self.family, **options)

    def digest(self) -> str:
        """Return a digest of data and model: what a stored result belongs to."""
        hashed = hashlib.sha256(f"{self.formula} {sorted(self.options.items())}".encode())
        for column in self.data:
            values = self.data[column]
            numeric = pd.api.types.is_numeric_dtype(values)
            text = (f"{x:.10g}" for x in values) if numeric else map(str, values)
            hashed.update(f"{column}:{' '.join(text)}".encode())
        return hashed.hexdigest()[:16]


def draw(family: str, number: int) -> Model:
    """Return a family's model of some number."""
    recipe = RECIPES[family]
    phase = zlib.crc32(family.encode())
    rng = np.random.default_rng([phase, number])
    random, options = SLOTS[(number + phase) % len(SLOTS)]
    limit = ""
    if number % EVERY_TENTH == EVERY_TENTH - 1:
        limit = LIMITS[(number // EVERY_TENTH + phase) % len(LIMITS)]
        limit = "variance" if limit == "family" and not recipe.limit else limit
    random, options = possible(family, random, dict(options), number)
    data = covariates(rng, recipe, limit, wide="t |" in random)
    fixed = FIXED[int(rng.integers(len(FIXED)))] if limit != "separated" else "x + f"
    eta = recipe.intercept + effects(rng, data, random, limit)
    formula, options = extras(rng, recipe, family, fixed, random, options, data)
    if "off" in data:
        eta = eta + data["off"].to_numpy()
    extra = [np.full(len(data), each) for each in further(recipe, limit)]
    if family in ("binomial", "betabinomial"):
        single = family == "binomial" and rng.random() < 0.5
        trials = np.ones(len(data)) if single else rng.integers(1, 15, len(data)).astype(float)
        extra.append(trials)
    y = respond(rng, recipe, family, eta, extra, data, limit)
    data = data.assign(**y)
    left = "cbind(y, m - y)" if "m" in data else "y"
    return Model(f"{family}-{number}", family, data, f"{left} ~ {formula}", options, limit, random)


def possible(
    family: str, random: str, options: dict[str, Any], number: int
) -> tuple[str, dict[str, Any]]:
    """Return a slot as an entry point takes it."""
    if family == "linear":
        return random or "(1 | g)", {"method": ("REML", "ML")[number % 2]}
    if family == "cumulative":
        options.pop("optimizer", None)
        return random or "(1 | g)", options
    return random, options


def further(recipe: Recipe, limit: str) -> tuple[float, ...]:
    """Return the further parameters that the data are drawn with."""
    return recipe.limit if limit == "family" else recipe.extra


def covariates(rng: np.random.Generator, recipe: Recipe, limit: str, *, wide: bool) -> pd.DataFrame:
    """Return everything but the response: two numbers, a factor, times, two groupings."""
    low = 60 if wide else 20
    n = int(np.exp(rng.uniform(np.log(low), np.log(recipe.most if rng.random() < 0.4 else 300))))
    n = min(n, recipe.most)
    groups = max(4, n // 2 if limit == "tiny" else int(n / rng.uniform(4, 15)))
    times = 4
    if wide:
        groups = max(8, n // times)
        n = groups * times
    g = np.repeat(np.arange(groups), -(-n // groups))[:n] if wide else rng.integers(0, groups, n)
    data = {
        "x": rng.standard_normal(n),
        "z": rng.uniform(-1.0, 2.0, n),
        "f": labels(rng.integers(0, 3, n), "abc"),
        "t": labels(np.arange(n) % times, "1234"),
        "g": labels(g, None),
        "h": labels(rng.integers(0, max(3, groups // 3), n), None),
    }
    return pd.DataFrame(data)


def labels(codes: np.ndarray, names: str | None) -> pd.Categorical:
    """Return a factor whose levels are those that occur, in order."""
    text = [f"L{each:04d}" if names is None else names[each] for each in codes]
    return pd.Categorical(text)


def effects(rng: np.random.Generator, data: pd.DataFrame, random: str, limit: str) -> np.ndarray:
    """Return fixed and random effects on the predictor, shape (n,)."""
    x, f = data["x"].to_numpy(), data["f"].cat.codes.to_numpy()
    eta = rng.uniform(-0.5, 0.5) * x + np.array([0.0, 0.3, -0.2])[f]
    if not random or limit == "variance":
        return eta
    sd = rng.uniform(0.2, 0.9)
    for column in ("g", "h"):
        if f" {column}" in random:
            codes = data[column].cat.codes.to_numpy()
            eta = eta + sd * rng.standard_normal(codes.max() + 1)[codes]
    g = data["g"].cat.codes.to_numpy()
    if "x |" in random:
        eta = eta + 0.3 * rng.standard_normal(g.max() + 1)[g] * x
    for column in ("f", "t"):
        if f"0 + {column} |" in random:
            codes = data[column].cat.codes.to_numpy()
            eta = eta + 0.5 * sd * rng.standard_normal((g.max() + 1, 4))[g, codes]
    return eta


def extras(
    rng: np.random.Generator,
    recipe: Recipe,
    family: str,
    fixed: str,
    random: str,
    options: dict[str, Any],
    data: pd.DataFrame,
) -> tuple[str, dict[str, Any]]:
    """Return the right-hand side and options, with offsets, weights and further formulas."""
    right = " + ".join(each for each in (fixed, random) if each)
    chance = rng.random(5)
    if chance[0] < 0.15 and family != "cumulative":
        data["off"] = np.log(rng.uniform(0.5, 2.0, len(data)))
        right += " + offset(off)"
    if chance[1] < 0.15 and family not in ("binomial", "betabinomial", "cumulative"):
        data["w"] = rng.integers(1, 4, len(data)).astype(float)
        options["weights"] = "w"
    if chance[2] < 0.15 and recipe.dispersion:
        options["dispformula"] = ("~ x", "~ f")[int(rng.integers(2))]
    if recipe.zero and chance[3] < 0.4:
        options["ziformula"] = ("~ x", "~ f", "~ 1 + (1 | g)")[int(rng.integers(3))]
    return right, options


def respond(
    rng: np.random.Generator,
    recipe: Recipe,
    family: str,
    eta: np.ndarray,
    extra: list[np.ndarray],
    data: pd.DataFrame,
    limit: str,
) -> dict[str, Any]:
    """Return the response's columns; separated: none in level "b" of f."""
    y = recipe.draw(rng, eta, extra)
    if family == "cumulative":
        codes = y.astype(int)
        codes = np.where((data["f"] == "b") & (limit == "separated"), 0, codes)
        codes[:4] = np.arange(4)  # every category occurs
        return {"y": pd.Categorical([f"k{each}" for each in codes], ordered=True)}
    successes = y.real
    if limit == "separated" and recipe.discrete and "truncated" not in family:
        successes = np.where(data["f"] == "b", 0.0, successes)
    if np.iscomplexobj(y):
        return {"y": successes, "m": y.imag}
    return {"y": successes}


def all_models(numbers: range, families: list[str] | None = None) -> list[partial[Model]]:
    """Return the models of all families, or of some, each to be drawn by calling it."""
    named = families or [each for each in RECIPES]
    return [partial(draw, family, number) for number in numbers for family in named]


def smaller(model: Model, **changed: Any) -> Model:
    """Return a model with other fields."""
    return replace(model, **changed)
