"""Functions to minimise, and a recorder that sees what an optimizer asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from interlace_core.contract.optimizer import Optimizer
from interlace_core.records import Array, OptimizerResult

Function = Callable[[Array], tuple[float, Array]]

Bounds = tuple[Array, Array]


@dataclass(frozen=True)
class Task:
    """A minimisation with a known answer.

    Attributes
    ----------
    function : callable
        x -> (value, gradient).
    start : ndarray, shape (m,)
    bounds : pair of ndarray, shape (m,)
    minimum : float
        Least value within the bounds.
    """

    function: Function
    start: Array
    bounds: Bounds
    minimum: float = 0.0


@dataclass
class Recorder:
    """Passes calls on, and keeps every point with its value.

    Attributes
    ----------
    function : callable
    points : list of ndarray
    values : list of float
    """

    function: Function
    points: list[Array] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def __call__(self, x: Array) -> tuple[float, Array]:
        """Return value and gradient."""
        self.points.append(np.array(x, np.float64))
        value, gradient = self.function(np.array(x, np.float64))
        self.values.append(value)
        return value, gradient


def run(optimizer: Optimizer, task: Task) -> tuple[OptimizerResult, Recorder]:
    """Return the result and what was asked; start and bounds are copies."""
    recorder = Recorder(task.function)
    lower, upper = task.bounds
    result = optimizer.minimize(recorder, task.start.copy(), (lower.copy(), upper.copy()))
    return result, recorder


def free(m: int) -> Bounds:
    """Return no bounds at all."""
    return np.full(m, -np.inf), np.full(m, np.inf)


def quadratic(m: int) -> Task:
    """Return a bowl with curvatures from 1 to 30 in turned axes, its minimum about 2 away."""
    rng = np.random.default_rng(m)
    turn = np.linalg.qr(rng.normal(size=(m, m)))[0]
    A = turn @ np.diag(np.geomspace(1.0, 30.0, m)) @ turn.T
    return Task(Quadratic(A, 1.0 + rng.uniform(size=m)), np.zeros(m), free(m))


def rosenbrock() -> Task:
    """Return Rosenbrock's curved valley from its usual start."""
    return Task(rosenbrock_value, np.array([-1.2, 1.0]), free(2))


def cornered() -> Task:
    """Return a bowl whose minimum lies outside of a box: two bounds are active at the answer.

    |x - c|^2 / 2 with c = (2, -3, 0.5) over [-1, 1] x [-1, 1] x (-inf, inf).
    """
    bounds = (np.array([-1.0, -1.0, -np.inf]), np.array([1.0, 1.0, np.inf]))
    centre = np.array([2.0, -3.0, 0.5])
    return Task(Quadratic(np.eye(3), centre), np.zeros(3), bounds, minimum=2.5)


def boxed_valley() -> Task:
    """Return Rosenbrock's valley in a box with the start in a corner and the minimum at an edge."""
    bounds = (np.array([-1.2, -0.5]), np.array([0.8, 1.0]))
    # along x = 0.8 the least value is at y = x^2
    return Task(rosenbrock_value, np.array([-1.2, 1.0]), bounds, minimum=0.2**2)


def ripples() -> Task:
    """Return a bowl with ripples: the last point tried is seldom the best."""
    return Task(rippled_value, np.array([3.1, -2.3]), free(2))


def undefined() -> Task:
    """Return a function that is NaN everywhere."""
    return Task(nan_value, np.zeros(2), free(2))


def undefined_around() -> Task:
    """Return a function that is NaN everywhere but at the start."""
    return Task(nan_value_around, np.zeros(2), free(2))


@dataclass(frozen=True)
class Quadratic:
    """(x - centre)' A (x - centre) / 2 with its gradient."""

    A: Array
    centre: Array

    def __call__(self, x: Array) -> tuple[float, Array]:
        """Return value and gradient."""
        d = x - self.centre
        return 0.5 * float(d @ self.A @ d), self.A @ d


def rosenbrock_value(x: Array) -> tuple[float, Array]:
    """Return (1 - x)^2 + 100 (y - x^2)^2 and its gradient."""
    a, b = 1.0 - x[0], x[1] - x[0] ** 2
    return float(a * a + 100.0 * b * b), np.array([-2.0 * a - 400.0 * x[0] * b, 200.0 * b])


def rippled_value(x: Array) -> tuple[float, Array]:
    """Return |x|^2 / 2 + sum(1 - cos(5 x)) and its gradient."""
    value = 0.5 * float(x @ x) + float(np.sum(1.0 - np.cos(5.0 * x)))
    return value, x + 5.0 * np.sin(5.0 * x)


def nan_value(x: Array) -> tuple[float, Array]:
    """Return NaN and a gradient of NaN."""
    return float("nan"), np.full(x.size, np.nan)


def nan_value_around(x: Array) -> tuple[float, Array]:
    """Return a slope at 0, and NaN elsewhere."""
    return (0.0, np.ones(x.size)) if not np.any(x) else nan_value(x)
