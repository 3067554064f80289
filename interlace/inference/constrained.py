"""The least objective with one quantity held at a value.

The set {g(psi) = c} is searched in coordinates of its own. With V the covariance of the estimates
and C C' = V, psi = base + C (N y + t d): d is the direction in which g changes at least cost, N
spans what is orthogonal to it, and t is solved from g(psi) = c. On this surface the gradient is

    dF/dy = N' C' (F' - g' (d'C'F') / (d'C'g'))

so that the optimizer has an exact gradient, in coordinates scaled to standard errors, whatever
smooth function g is, and dF/dc = (d'C'F') / (d'C'g').

A standard deviation is a length, and near 0 the surface is a small sphere, which a line in one
direction misses. There the entries psi_S of which it is the length are points p of their own scaled
by c / g(p), and the others psi_R follow them as their regression on them says, A = V_RS V_SS^-1:

    psi_S = (c / g) p,   psi_R = base_R + A (psi_S - base_S) + C_R y_R,   C_R C_R' = V_RR - A V_SR,
    dF/dp = (c / g) (G - g' (p'G) / g),   dF/dc = p'G / g,   G = F_S' + A'F_R' .
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interlace.inference.quantities import Quantity
from interlace.results.fitted_model import Training
from interlace.threads import blas_threads, threads_of
from interlace_core.contract.kernels import Descent
from interlace_core.contract.optimizer import QuasiNewton
from interlace_core.fitting.compiled import served_of
from interlace_core.fitting.objective import FAILED_RISE, possible_objective
from interlace_core.fitting.psi_covariance import PsiCovariance
from interlace_core.fitting.standard import Standard, standard_of
from interlace_core.messages.errors import NotAvailableError
from interlace_core.records import Array, Evaluation, IntArray, Status
from interlace_core.registry.blame import guard

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates

REL_FLOOR = 1e-13
"""Least eigenvalue of the correlations that is not rounding, as in `precondition`."""

TOL_SLOPE, MAX_EVALUATIONS, LONGEST_STEP = 1e-6, 200, 2.0
"""Slope at which a compiled search ends, evaluations that it may take, and the longest entries of
its steps: per standard error, and of these."""

TOL_LEFT, MAX_AGAIN, LEAST_GAIN = 1e-3, 8, 1e-7
"""Slope per standard error that may be left on the surface; searches that are made from where one
ended with more, and log-likelihood by which each has to be higher for another."""

TOL_REL_MET = 1e-11
"""How closely the quantity meets its value, in standard errors and of the value."""


@dataclass(frozen=True)
class Held:
    """The least objective with one quantity held.

    Attributes
    ----------
    value : float
        Infinite if none was found.
    psi : ndarray, shape (n_psi,)
    slope : float
        Derivative of the value in what the quantity is held at.
    left : float
        Largest slope that is left on the surface, per standard error.
    """

    value: float
    psi: Array
    slope: float
    left: float = np.inf


class ConstrainedSearch:
    """What is shared by all refits of one result."""

    def __init__(self, result: Estimates, training: Training) -> None:
        self.psi, self.value = result.fit.psi, result.fit.value
        self.training = training
        approximation, standard = training.approximation, standard_of(training.problem)
        self._fixed = approximation.profiled(standard.problem)
        profiles = self._fixed.stop > self._fixed.start
        joint = approximation.joint(standard.problem) if profiles else None
        if joint is not None:
            approximation, self._fixed = joint, slice(0, 0)
        here = standard.problem.parts is None
        made = (approximation.objective if here else approximation.over_parts)(standard.problem)
        self.evaluate = standard.objective(approximation, made)
        self._standard = standard
        self._served = served_of(possible_objective(approximation, standard.problem, made))
        self.root = _root(standard, result.fit.uncertainty, self.evaluate, self.psi, self.value)
        self.notes: list[str] = []

    def scale(self, quantity: Quantity) -> float:
        """Return one standard error of a quantity, on its natural scale."""
        return float(np.linalg.norm(self.root.T @ quantity.gradient(self.psi)))

    def constrained(self, quantity: Quantity, value: float, start: Array) -> Held:
        """Return the least F with the quantity at a value.

        Raises
        ------
        NotAvailableError
            If the approximation determines the quantity itself.
        """
        if np.any(quantity.gradient(self.psi)[self._fixed]):
            raise NotAvailableError(self._no_profile(quantity.label))
        best = self._least(quantity, value, start)
        for _ in range(MAX_AGAIN):
            if best.left <= TOL_LEFT or not np.isfinite(best.value):
                break
            again = self._least(quantity, value, best.psi)
            gained = best.value - again.value
            best = again if again.value <= best.value else best
            if gained <= LEAST_GAIN:
                break
        return best

    def _least(self, quantity: Quantity, value: float, start: Array) -> Held:
        """Return the least F that one search from a start finds, with the quantity at a value."""
        entries = quantity.length_of(self.psi)
        surface: Surface
        if entries is None:
            surface = AlongLines(self, quantity, value, start)
        else:
            surface = ByScaling(self, quantity, value, start, entries)
        m = surface.size
        threads = threads_of(self.training.problem, self.training.threads)
        if not m:
            surface(np.zeros(0))
        elif not self._searched(surface):
            unbounded = np.full(m, np.inf)
            with guard(self.training.optimizer, "profile"), blas_threads(threads):
                self.training.optimizer.minimize(surface, np.zeros(m), (-unbounded, unbounded))
        return surface.best

    def _no_profile(self, label: str) -> str:
        """Return why a quantity has none, and what to do."""
        if self.training.problem.correlation is not None:
            return (
                f"profile: {label!r} has no profile where residuals are correlated, by REML or ML: "
                "coefficients are no arguments of the criterion there, but follow from the other "
                'parameters. Name others by parm=, such as "sd"; for coefficients take '
                'confint(method="wald") or "boot", or compare log-likelihoods of fits with '
                f'method="ML" and hold={{{label!r}: value}}.'
            )
        return (
            f"profile: {label!r} has no profile, because the approximation "
            f"{self.training.approximation.method.name!r} determines it itself. Name other "
            "parameters by parm=, or fit by maximum likelihood (not restricted, nAGQ at least 1)."
        )

    def _searched(self, surface: Surface) -> bool:
        """Search a surface that is a plane in compiled code; return whether that reached an end."""
        served, plane = self._served, surface.plane()
        if served is None or plane is None:
            return False
        origin, B = self._standard.psi(plane[0]), self._standard.psi(plane[1].T).T
        longest = np.full(surface.size, LONGEST_STEP)
        for kernels in served.compiled.searches:
            rule = QuasiNewton(TOL_SLOPE, 0.0, MAX_EVALUATIONS)
            floor = served.floor - served.raised
            found = kernels.search(Descent(served.function, rule, origin, B, floor, longest))
            if found is not None and found.reached:
                surface(found.z)
                return bool(np.isfinite(surface.best.value))
        return False

    def zeta(self, quantity: Quantity, value: float, start: Array) -> tuple[float, Held]:
        """Return the signed root deviance at a value, and what it is of."""
        held = self.constrained(quantity, value, start)
        rise = held.value - self.value
        if rise < -1e-5:
            note = f"the profile of {quantity.label} found a log-likelihood {-rise:.2g} higher"
            self.notes += [note] if note not in self.notes else []
        sign = np.sign(value - quantity.value(self.psi))
        return float(sign * np.sqrt(2.0 * max(rise, 0.0))), held


class Surface(ABC):
    """F on {g = c} as a function of y; remembers the best point."""

    size: int
    """Of y."""

    def __init__(self, search: ConstrainedSearch, quantity: Quantity, value: float) -> None:
        self.search, self.quantity, self.target = search, quantity, value
        self.best = Held(np.inf, search.psi, np.nan)

    @abstractmethod
    def point(self, y: Array) -> Array | None:
        """Return psi on the surface, if it is met."""

    @abstractmethod
    def slopes(self, y: Array, psi: Array, gradient: Array) -> tuple[Array, float]:
        """Return dF/dy and dF/dc from F' at a point."""

    @abstractmethod
    def plane(self) -> tuple[Array, Array] | None:
        """Return origin and B where its points are origin + B y, shapes (n_psi,), (n_psi, size)."""

    def __call__(self, y: Array) -> tuple[float, Array]:
        """Return value and gradient; large where g = c cannot be met or F has no value."""
        psi = self.point(y)
        evaluation = None if psi is None else self.search.evaluate(psi)
        if psi is None or not _usable(evaluation):
            best = self.best.value
            ceiling = min(best, 1e300) if np.isfinite(best) else self.search.value
            return ceiling + FAILED_RISE * (1.0 + abs(ceiling)), np.zeros(y.size)
        assert evaluation is not None
        along, multiplier = self.slopes(y, psi, evaluation.gradient)
        if evaluation.value < self.best.value:
            left = float(np.max(np.abs(along), initial=0.0))
            self.best = Held(evaluation.value, psi, multiplier, left)
        return evaluation.value, along


class AlongLines(Surface):
    """Points above base + C N y in one direction, for any quantity."""

    def __init__(
        self, search: ConstrainedSearch, quantity: Quantity, value: float, base: Array
    ) -> None:
        super().__init__(search, quantity, value)
        self.base, self.tolerance = base, TOL_REL_MET * (search.scale(quantity) + abs(value))
        slope = search.root.T @ quantity.gradient(base)
        basis = np.linalg.qr(slope[:, None], mode="complete")[0]
        self.d, self.N = slope / np.linalg.norm(slope), basis[:, 1:]
        self.size = base.size - 1

    def slopes(self, y: Array, psi: Array, gradient: Array) -> tuple[Array, float]:
        """Return dF/dy and the multiplier."""
        F = self.search.root.T @ gradient
        g = self.search.root.T @ self.quantity.gradient(psi)
        multiplier = float((self.d @ F) / (self.d @ g))
        return self.N.T @ (F - g * multiplier), multiplier

    def plane(self) -> tuple[Array, Array] | None:
        """Return it where g depends on one linear form, which C N y does not change."""
        origin = self.point(np.zeros(self.size)) if self.quantity.is_plane else None
        return None if origin is None else (origin, self.search.root @ self.N)

    def point(self, y: Array) -> Array | None:
        """Return the point on the surface above base + C N y, by Newton steps in t."""
        shift = self.search.root @ (self.N @ y)
        direction, t = self.search.root @ self.d, 0.0
        for _ in range(50):
            psi = self.base + shift + t * direction
            missing = self.target - self.quantity.value(psi)
            if abs(missing) <= self.tolerance:
                return psi
            slope = float(self.quantity.gradient(psi) @ direction)
            if not np.isfinite(missing) or slope == 0.0 or not np.isfinite(slope):
                return None
            t += missing / slope
        return None


class ByScaling(Surface):
    """Points whose entries that a length is made of are scaled to it; the others follow them."""

    def __init__(
        self,
        search: ConstrainedSearch,
        quantity: Quantity,
        value: float,
        base: Array,
        entries: IntArray,
    ) -> None:
        super().__init__(search, quantity, value)
        self.entries, self.base = entries, base
        self.others = np.setdiff1d(np.arange(base.size), entries)
        s = len(entries)
        rotation = np.linalg.qr(search.root[entries].T, mode="complete")[0]
        root = search.root @ rotation  # of the entries by themselves; of the others given these
        own, beside = root[entries, :s], root[self.others]
        self.follow = np.linalg.solve(own.T, beside[:, :s].T).T
        self.root_of_others = beside[:, s:]
        self.unscaled = base.copy()
        length, unit = quantity.value(base), search.scale(quantity)
        slope = quantity.gradient(base)[entries]
        if length == 0.0:  # in the direction that its slope there has
            self.unscaled[entries] = unit * slope / float(slope @ slope)
        elif length < unit:  # how long it is here does not matter: so that y turns it little
            self.unscaled[entries] *= unit / length
        basis = np.linalg.qr((own.T @ slope)[:, None], mode="complete")[0]
        self.turns = own @ basis[:, 1:]
        self.size = base.size - 1

    def plane(self) -> tuple[Array, Array] | None:
        """Return it where the length is that of one entry, which has no direction to turn to."""
        origin = self.point(np.zeros(self.size)) if len(self.entries) == 1 else None
        if origin is None:
            return None
        B = np.zeros((origin.size, self.size))
        B[self.others] = self.root_of_others
        return origin, B

    def point(self, y: Array) -> Array | None:
        """Return the point; None where the length to be scaled is 0."""
        p, r = self._unscaled(y), len(self.others)
        length = self.quantity.value(p)
        if not length > 0.0:
            return None
        psi = self.base.copy()
        psi[self.entries] = p[self.entries] * (self.target / length)
        moved = psi[self.entries] - self.base[self.entries]
        psi[self.others] += self.follow @ moved + self.root_of_others @ y[:r]
        return psi

    def slopes(self, y: Array, psi: Array, gradient: Array) -> tuple[Array, float]:
        """Return dF/dy and dF/dc."""
        p, here = self._unscaled(y), self.entries
        length, slope = self.quantity.value(p), self.quantity.gradient(p)[here]
        pulled = gradient[here] + self.follow.T @ gradient[self.others]
        multiplier = float(p[here] @ pulled) / length
        turned = (self.target / length) * (pulled - slope * multiplier)
        return np.concatenate(
            [self.root_of_others.T @ gradient[self.others], self.turns.T @ turned]
        ), multiplier

    def _unscaled(self, y: Array) -> Array:
        p = self.unscaled.copy()
        p[self.entries] += self.turns @ y[len(self.others) :]
        return p


def _usable(evaluation: Evaluation | None) -> bool:
    return (
        evaluation is not None
        and evaluation.status is Status.OK
        and bool(np.isfinite(evaluation.value) and np.all(np.isfinite(evaluation.gradient)))
    )


def _root(
    standard: Standard,
    covariance: PsiCovariance,
    evaluate: Callable[[Array], Evaluation],
    psi: Array,
    value: float,
) -> Array:
    """Return C with C C' the covariance; a parameter at its boundary gets a scale from F itself."""
    V = standard.covariance(covariance).copy()
    moves = standard.given_psi(np.eye(psi.size))
    for i in np.flatnonzero(~np.isfinite(np.diagonal(V))):
        V[i] = V[:, i] = 0.0
        V[i, i] = _rise_scale(evaluate, psi, value, moves[i]) ** 2
    # a diagonal of 1 first: a floor may not depend on the units of the parameters
    own = np.diagonal(V)
    size = np.sqrt(np.where(own > 0, own, 1.0))
    values, vectors = np.linalg.eigh(0.5 * (V + V.T) / size / size[:, None])
    floor = REL_FLOOR * float(values.max(initial=0.0))
    root = size[:, None] * vectors * np.sqrt(np.maximum(values, floor))
    return standard.given_psi(root.T).T


def _rise_scale(
    evaluate: Callable[[Array], Evaluation], psi: Array, value: float, move: Array
) -> float:
    """Return how many moves of psi cost about half a unit of log-likelihood."""
    step = 0.1
    for _ in range(30):
        evaluation = evaluate(psi + step * move)
        rise = evaluation.value - value
        if not _usable(evaluation) or rise > 2.0:
            step *= 0.4
        elif rise < 0.1:
            step *= 2.5
        else:
            return step
    return step
