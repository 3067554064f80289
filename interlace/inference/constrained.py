"""The least objective with one quantity held at a value.

The set {g(psi) = c} is searched in coordinates of its own. With V the covariance of the estimates
and C C' = V, psi = base + C (N y + t d): d is the direction in which g changes at least cost, N
spans what is orthogonal to it, and t is solved from g(psi) = c. On this surface the gradient is

    dF/dy = N' C' (F' - g' (d'C'F') / (d'C'g'))

so that the optimizer has an exact gradient, in coordinates scaled to standard errors, whatever
smooth function g is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from interlace.inference.quantities import Quantity
from interlace.results.fitted_model import Training
from interlace.threads import blas_threads, threads_of
from interlace_core.fitting.objective import FAILED_RISE
from interlace_core.fitting.psi_covariance import PsiCovariance
from interlace_core.fitting.standard import Standard, standard_of
from interlace_core.messages.errors import NotAvailableError
from interlace_core.records import Array, Evaluation, Status
from interlace_core.registry.blame import guard

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates

REL_FLOOR = 1e-13
"""Least eigenvalue of the correlations that is not rounding, as in `precondition`."""


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
        self.evaluate = standard.objective(approximation)
        self.root = _root(standard, result.fit.uncertainty, self.evaluate, self.psi, self.value)
        self.notes: list[str] = []

    def scale(self, quantity: Quantity) -> float:
        """Return one standard error of a quantity, on its natural scale."""
        return float(np.linalg.norm(self.root.T @ quantity.gradient(self.psi)))

    def constrained(self, quantity: Quantity, value: float, start: Array) -> tuple[float, Array]:
        """Return the least F with the quantity at a value, and psi there; infinite if none.

        Raises
        ------
        NotAvailableError
            If the approximation determines the quantity itself.
        """
        if np.any(quantity.gradient(self.psi)[self._fixed]):
            raise NotAvailableError(
                f"profile: {quantity.label!r} has no profile, because the approximation "
                f"{self.training.approximation.method.name!r} determines it itself. Name other "
                "parameters by parm=, or fit by maximum likelihood (not restricted, nAGQ at least "
                "1)."
            )
        surface = Surface(self, quantity, value, start)
        m = surface.N.shape[1]
        threads = threads_of(self.training.problem, self.training.threads)
        if m:
            unbounded = np.full(m, np.inf)
            with guard(self.training.optimizer, "profile"), blas_threads(threads):
                self.training.optimizer.minimize(surface, np.zeros(m), (-unbounded, unbounded))
        else:
            surface(np.zeros(0))
        return surface.best, surface.best_psi

    def zeta(self, quantity: Quantity, value: float, start: Array) -> tuple[float, Array]:
        """Return the signed root deviance at a value, and psi there."""
        least, psi = self.constrained(quantity, value, start)
        rise = least - self.value
        if rise < -1e-5:
            note = f"the profile of {quantity.label} found a log-likelihood {-rise:.2g} higher"
            self.notes += [note] if note not in self.notes else []
        sign = np.sign(value - quantity.value(self.psi))
        return float(sign * np.sqrt(2.0 * max(rise, 0.0))), psi


class Surface:
    """F on {g = c} as a function of y; remembers the best point."""

    def __init__(
        self, search: ConstrainedSearch, quantity: Quantity, value: float, base: Array
    ) -> None:
        self.search, self.quantity, self.target, self.base = search, quantity, value, base
        slope = search.root.T @ quantity.gradient(base)
        basis = np.linalg.qr(slope[:, None], mode="complete")[0]
        self.d, self.N = slope / np.linalg.norm(slope), basis[:, 1:]
        self.best, self.best_psi = np.inf, base

    def __call__(self, y: Array) -> tuple[float, Array]:
        """Return value and gradient; large where g = c cannot be met or F has no value."""
        psi = self._meet(self.search.root @ (self.N @ y))
        evaluation = None if psi is None else self.search.evaluate(psi)
        if psi is None or not _usable(evaluation):
            ceiling = min(self.best, 1e300) if np.isfinite(self.best) else self.search.value
            return ceiling + FAILED_RISE * (1.0 + abs(ceiling)), np.zeros(y.size)
        assert evaluation is not None
        if evaluation.value < self.best:
            self.best, self.best_psi = evaluation.value, psi
        F = self.search.root.T @ evaluation.gradient
        g = self.search.root.T @ self.quantity.gradient(psi)
        return evaluation.value, self.N.T @ (F - g * ((self.d @ F) / (self.d @ g)))

    def _meet(self, shift: Array) -> Array | None:
        """Return the point on the surface above base + shift, by Newton steps in t."""
        direction, t = self.search.root @ self.d, 0.0
        for _ in range(50):
            psi = self.base + shift + t * direction
            missing = self.target - self.quantity.value(psi)
            if abs(missing) <= 1e-11 * (1.0 + abs(self.target)):
                return psi
            slope = float(self.quantity.gradient(psi) @ direction)
            if not np.isfinite(missing) or slope == 0.0 or not np.isfinite(slope):
                return None
            t += missing / slope
        return None


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
