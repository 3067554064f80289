"""Laplace's approximation over parts of the rows that share random effects.

With u_h those that all parts share, at their mode and each part's own at theirs,

    F = sum_p (f_p + log|D_p| / 2) + |u_h|^2 / 2 + log|S| / 2 ,

D_p the curvature in a part's own and S what is left of it for u_h
(`interlace_core.engine.across`). A part that is told S has its rows of H^-1, and with them what
log|H| moves by. The adjoint `v = H^-1 s` splits in the same way: v_h needs the sum of what the
parts' sensitivities leave for u_h, in which dF is linear. So each part tells its own dF at v_h = 0,
and the matrix that v_h is to be multiplied by: one question after the mode is found.
"""

from __future__ import annotations

import numpy as np

from interlace_approximations.further import further_of
from interlace_approximations.laplace_slopes import Adjoint, laplace_value_gradient
from interlace_core.contract import Array, Evaluation, Problem, Profiled, Status, Sums
from interlace_core.engine import AcrossSearch, ModeSettings, point_of


class AcrossParts:
    """psi -> Evaluation; the last mode of what parts share tells where the next search starts.

    Parameters
    ----------
    problem : Problem
    settings : ModeSettings
    joint : bool
        Whether the coefficients of the mean are those of the joint mode, and not those of psi.
    restricted : bool
        Whether they are integrated out too.
    """

    def __init__(
        self,
        problem: Problem,
        settings: ModeSettings,
        joint: bool = False,
        restricted: bool = False,
    ) -> None:
        assert problem.parts is not None
        predictors = (0,) if joint else ()
        self._parts, self._settings, self._joint = problem.parts, settings, joint
        self._restricted = restricted
        self._search = AcrossSearch(problem, settings, predictors)

    def __call__(self, psi: Array) -> Evaluation:
        """Return value, gradient and, where these are sought, the mean's coefficients at psi."""
        nothing, search = np.zeros(0), self._search
        found = search(psi)
        if found is None:
            return Evaluation(np.inf, np.zeros(psi.size), nothing, Status.MODE_NOT_FOUND)
        covariance = found.curvature.inverse_after(search.m)
        beside, further = None, 0.0
        if self._restricted:
            beside = found.curvature.regression(search.m), covariance
            further = -0.5 * (len(covariance) * np.log(2.0 * np.pi))
            further += 0.5 * (found.curvature.logdet - found.logdet)
        value, right, gradient, slopes = self._parts.total(
            _slopes, self._settings, found.psi, found.u, found.inverse, search.predictors, beside
        )
        value += further + 0.5 * (float(found.u @ found.u) + found.logdet)
        value += float((0.5 * found.gradient + right) @ found.step)
        gradient = gradient - slopes @ found.curvature.solve(right)
        search.learn(-found.curvature.solve(slopes.T))
        profiled = None
        if self._joint:
            gradient[search.place] = 0.0
            profiled = Profiled(found.psi[search.place], covariance)
        finite = np.isfinite(value) and np.all(np.isfinite(gradient))
        status = Status.OK if finite else Status.NOT_FINITE
        return Evaluation(value, gradient, nothing, status, found.iterations, profiled)


def _slopes(
    part: Problem,
    settings: ModeSettings,
    psi: Array,
    u: Array,
    inverse: Array,
    predictors: tuple[int, ...],
    beside: tuple[Array, Array] | None = None,
) -> Sums:
    """Return a part's value, sensitivity, gradient and slopes.

    Parameters
    ----------
    u, inverse
        Where what all parts share is, and S^-1; see `Known`.
    predictors : tuple of int
        Those whose coefficients are at the joint mode.
    beside : (ndarray, ndarray), optional
        Where these are integrated out: H^-1 C in what all parts share, shape (m, p), with C the
        curvature between random effects and coefficients, and the inverse of the information about
        them, shape (p, p).

    Returns
    -------
    Sums
        f_p + log|D_p| / 2, to second order in what is left of the step; the derivatives of
        log|H| / 2 in what is sought over all parts, shape (m + p,), the part's own moving along;
        dF/dpsi with that held, shape (n_psi,); and `AcrossPoint.slopes`.
    """
    at = point_of(part, settings, psi, u)
    mode, conditional = at.mode(inverse), at.conditional
    right: list[Array] = []

    def solve_adjoint(sensitivity: Array, c: dict[int, Array]) -> Adjoint:
        v = at.solve(sensitivity)
        right.append(at.reduce(sensitivity))
        for k, cross in zip(predictors, (at.cross((k,)) for k in predictors), strict=True):
            X = conditional.layout.problem.predictors[k].X
            own = X.T @ c[k] if k in c else np.zeros(X.shape[1])
            right.append(own - cross.T @ v)
        return Adjoint(v, conditional.push(v))

    further = None
    if beside is not None:
        S = at.solve_each(at.cross(predictors), beside[0])
        further = further_of(conditional, mode, S, beside[1])
    value, gradient = laplace_value_gradient(conditional, mode, psi, solve_adjoint, further)
    return Sums(value, np.concatenate(right), gradient, at.slopes(psi, predictors))
