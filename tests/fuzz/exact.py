"""The highest log-likelihood of a model with one random intercept, or none, by plain SciPy.

Nothing of the library is used: the densities are those of `recipes`, the integral over a group's
effect is Laplace's approximation at the best point of a grid, or a fine sum around it, and the
search is BFGS from several starts, the values that the data were drawn with among them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from formulaic import model_matrix
from scipy import optimize

from fuzz.models import Model
from fuzz.recipes import Array

GRID = np.linspace(-7.0, 7.0, 29)
"""Standardised effects among which the mode is looked for."""
STEP = 1e-4
"""Of the difference quotients at the mode, in standard units: their error is near 1e-8."""


def able(model: Model) -> bool:
    """Return whether a model can be fitted here."""
    simple = model.random in ("", "(1 | g)") and model.recipe.density is not None
    by_formula = any("|" in str(model.options.get(each, "")) for each in ("ziformula",))
    return simple and not by_formula and model.options.get("nAGQ", 1) != 0


def best(model: Model, starts: int = 4) -> float:
    """Return the highest log-likelihood found: Laplace's, or of quadrature as the model says."""
    likelihood = Likelihood(model)
    rng = np.random.default_rng(0)
    first = likelihood.start()
    found = []
    for number in range(starts):
        start = first + (number > 0) * rng.normal(0, 0.7, first.size)
        found.append(search(likelihood, start))
    return max(found)


def search(likelihood: Likelihood, start: Array) -> float:
    """Return the value at the end of BFGS and a polish without derivatives."""
    with np.errstate(all="ignore"):
        end = optimize.minimize(likelihood.negative, start, method="BFGS", options={"gtol": 1e-6})
        end = optimize.minimize(
            likelihood.negative,
            end.x,
            method="Nelder-Mead",
            options={"xatol": 1e-7, "fatol": 1e-9, "maxfev": 150 * start.size},
        )
    return -float(end.fun)


class Likelihood:
    """The log-likelihood of a model as a function of coefficients, extras and log deviation."""

    def __init__(self, model: Model) -> None:
        data, options = model.data, model.options
        self._density = model.recipe.density
        self._y = data["y"].to_numpy(dtype=float)
        if "m" in data:
            self._y = self._y + 1j * data["m"].to_numpy(dtype=float)
        self._offset = data["off"].to_numpy() if "off" in data else 0.0
        self._weights = data["w"].to_numpy() if "w" in data else np.ones(len(data))
        self._X = [design(fixed_part(model), data)]
        for j in range(len(model.recipe.extra)):
            zero = model.recipe.zero and j == len(model.recipe.extra) - 1
            asked = options.get("ziformula" if zero else "dispformula" if j == 0 else "", "~ 1")
            self._X.append(design(asked.removeprefix("~"), data))
        self._random = bool(model.random)
        self._g = data["g"].cat.codes.to_numpy() if self._random else np.zeros(len(data), int)
        self._groups = int(self._g.max()) + 1
        self._points = options.get("nAGQ", 1)
        self._first = (model.recipe.intercept, *model.recipe.extra)

    def start(self) -> Array:
        """Return the values that the data were drawn with, as far as they are simple."""
        pairs = zip(self._first, self._X, strict=True)
        parts = [np.append(each, np.zeros(X.shape[1] - 1)) for each, X in pairs]
        return np.concatenate([*parts, [np.log(0.5)] if self._random else []])

    def negative(self, psi: Array) -> float:
        """Return the negative log-likelihood; a large number where there is none."""
        value = -self(psi)
        return value if np.isfinite(value) else 1e10

    def __call__(self, psi: Array) -> float:
        """Return the log-likelihood."""
        ends = np.cumsum([X.shape[1] for X in self._X])
        *parts, last = np.split(psi, ends)
        eta = [X @ part for X, part in zip(self._X, parts, strict=True)]
        eta[0] = eta[0] + self._offset
        if not self._random:
            return float(np.sum(self._weights * self._density(self._y, eta[0], eta[1:])))
        sd = np.exp(last[0])
        mode, curvature, top = self._modes(eta, sd)
        width = 1 / np.sqrt(curvature)
        if self._points == 1:
            return float(np.sum(top + np.log(width)))
        nodes, weights = np.polynomial.hermite_e.hermegauss(self._points)
        heights = self._joint(eta, sd, mode + width * nodes[:, None]) + 0.5 * nodes[:, None] ** 2
        highest = heights.max(axis=0)
        inner = np.sum(weights[:, None] * np.exp(heights - highest), axis=0)
        return float(np.sum(highest + np.log(inner * width / np.sqrt(2 * np.pi))))

    def _joint(self, eta: Sequence[Array], sd: float, u: Array) -> Array:
        """Return log f(y | u) - u^2 / 2 by group, for standardised effects of shape (m, groups)."""
        extra = list(eta[1:])
        rows = self._weights * self._density(self._y, eta[0] + sd * u[:, self._g], extra)
        order = np.argsort(self._g, kind="stable")
        starts = np.searchsorted(self._g[order], np.arange(self._groups))
        return np.add.reduceat(rows[:, order], starts, axis=1) - 0.5 * u**2

    def _modes(self, eta: Sequence[Array], sd: float) -> tuple[Array, Array, Array]:
        """Return mode, negative second derivative there and height, each by group."""
        grid = np.repeat(GRID[:, None], self._groups, axis=1)
        heights = self._joint(eta, sd, grid)
        # a psi far out, where nothing can be computed, has no mode: the value is then not a number
        u = GRID[np.argmax(np.where(np.isnan(heights), -np.inf, heights), axis=0)]
        for _ in range(30):
            low, mid, high = self._joint(eta, sd, u + STEP * np.array([[-1.0], [0.0], [1.0]]))
            slope, second = (high - low) / (2 * STEP), (low - 2 * mid + high) / STEP**2
            step = np.clip(slope / np.maximum(-second, 0.1), -0.25, 0.25)
            u = u + step
            if np.max(np.abs(step)) < 1e-7:
                break
        wide = 10 * STEP
        five = self._joint(eta, sd, u + wide * np.arange(-2.0, 3.0)[:, None])
        second = np.array([-1, 16, -30, 16, -1]) @ five / (12 * wide**2)
        return u, np.maximum(-second, 1e-10), five[2]


def fixed_part(model: Model) -> str:
    """Return the right-hand side without random effects and offset."""
    parts = model.formula.split("~", 1)[1].split(" + ")
    kept = [each for each in parts if "offset" not in each and each.strip() != model.random]
    return " + ".join(kept)


def design(right: str, data: pd.DataFrame) -> Array:
    """Return the columns of a formula."""
    return np.asarray(model_matrix(right.strip(), data), dtype=float)
