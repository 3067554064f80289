"""Whether a likelihood rises for ever along a direction of the coefficients: separation, decided.

Every row says of a direction d either that it must not move it the wrong way (a_i'd >= 0) or that
it must not move it at all (c_j'd = 0). A direction that keeps to all of it and moves some row has
no finite maximum (Albert & Anderson 1984; Correia, Guimaraes & Zylkin 2019 for counts), and whether
there is one is a linear programme (Konis 2007)::

    max sum_i a_i'd   subject to   a_i'd >= 0,  c_j'd = 0,  -1 <= d <= 1 .

The programme is solved in orthonormal coordinates of the rows, where sum_i (a_i'd)^2 is the number
of rows times |d|^2: a direction that is not 0 moves some row by 1 or more, and the two answers are
1 apart in the programme's value, whatever the units and zero points of the columns. Neither answer
is taken from the solver on trust. "None" is proved by multipliers of the rows that leave less than
that 1 to gain, a direction by moving all rows along it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from interlace_core.records import Array, BoolArray, IntArray

TOL_REL_RANK = 1e-11
"""Singular value, of the largest, below which a combination of columns is 0: columns have been
held against 1e-7 of their length, and 1e-16 is rounding."""

TOL_REL_STILL = 1e-10
"""Move of a row, for a direction of size 1, that counts as none: rounding of columns far from 0 is
1e-16 times how far, and is allowed for beside it."""

TOL_REL_MOVE = 1e-8
"""The same where the linear programme's solver decides, which keeps to 1e-9."""

LEAST_GAIN = 0.5
"""Half of what a direction of recession gains at least."""

FIRST_ROWS = 200
"""Rows with which the programme begins. Those that its answer violates are added, as many at most
at a time: a few hundred of a million decide."""

MAX_ROUNDS = 200


class Cone:
    """The directions along which no row moves the wrong way.

    Parameters
    ----------
    rising : ndarray, shape (m, p)
        Rows with a'd >= 0.
    still : ndarray, shape (l, p)
        Rows with c'd = 0.
    """

    def __init__(self, rising: Array, still: Array) -> None:
        rising, still = distinct_rows(rising), distinct_rows(still)
        forms = np.concatenate([rising, still])
        size = np.max(np.abs(forms), axis=0, initial=0.0)
        forms = forms / np.where(size > 0, size, 1.0)
        size = np.sqrt(np.mean(np.square(forms), axis=0)) if len(forms) else size
        Q, R = np.linalg.qr(forms / np.where(size > 0, size, 1.0))
        root = np.sqrt(max(len(forms), 1))
        self._rows, self._R = Q[: len(rising)] * root, R / root
        self._still = np.linalg.qr(Q[len(rising) :] * root, mode="r")
        pivots = np.abs(np.diagonal(self._R))
        pivots = pivots[pivots > TOL_REL_RANK]
        # how much rounding the columns were left with once those before were taken out
        self._noise = 16.0 * np.finfo(float).eps / float(np.min(pivots, initial=1.0))
        self._working: IntArray = _first_rows(self._rows)

    def has_direction(self, columns: Sequence[int]) -> bool:
        """Return whether a direction of these columns alone moves some row, and none wrongly.

        Parameters
        ----------
        columns : sequence of int
            Of those that the cone was made with.
        """
        return self.direction(columns) is not None

    def direction(self, columns: Sequence[int]) -> Array | None:
        """Return by how much such a direction moves each rising row, shape (m,), or None.

        In the order of `distinct_rows`; to the scale that the largest coordinate is 1.
        """
        basis = _range_of(self._R[:, list(columns)])
        basis = basis @ _null_space(self._still @ basis, max(TOL_REL_STILL, self._noise))
        rows = self._rows @ basis
        length = np.linalg.norm(rows, axis=1)
        share = max(TOL_REL_STILL, self._noise) * np.linalg.norm(self._rows, axis=1)
        moves = length > np.maximum(share, self._noise)
        if not np.any(moves):
            return None
        units = np.where(moves[:, None], rows, 0.0) / np.where(moves, length, 1.0)[:, None]
        d = self._programme(rows.sum(axis=0), units)
        return None if d is None else np.asarray(rows @ d)

    def _programme(self, gain: Array, units: Array) -> Array | None:
        """Return d with units d >= 0 and gain'd > 0, or None, adding rows as they are violated.

        Parameters
        ----------
        gain : ndarray, shape (s,)
            Sum of the rows.
        units : ndarray, shape (m, s)
            The rows, each of length 1, or 0 where it says nothing.
        """
        from scipy.optimize import linprog

        most = float(np.max(np.abs(gain), initial=0.0))
        if most < LEAST_GAIN / gain.size:
            return None
        options: Any = {"primal_feasibility_tolerance": 1e-9, "dual_feasibility_tolerance": 1e-9}
        for _ in range(MAX_ROUNDS):
            A = units[self._working]
            found = linprog(
                -gain / most, -A, np.zeros(len(A)), bounds=(-1.0, 1.0), method="highs",
                options=options,
            )  # fmt: skip
            if found.x is None:
                return None
            multipliers = np.maximum(-np.asarray(found.ineqlin.marginals), 0.0)
            # gain'd <= |gain + A'm|_1 for all d of the cone and any m >= 0
            if np.sum(np.abs(gain + most * (A.T @ multipliers))) < LEAST_GAIN:
                return None
            d = np.asarray(found.x)
            moves = units @ d
            wrong = np.flatnonzero(moves < -max(TOL_REL_MOVE, self._noise) * np.linalg.norm(d))
            if not wrong.size:
                moved = float(gain @ d) >= LEAST_GAIN * float(np.max(np.abs(d)))
                return d if moved else None
            wrong = np.setdiff1d(wrong, self._working)
            if not wrong.size:  # the solver did not keep to its own rows
                return None
            worst = wrong[np.argsort(moves[wrong], kind="stable")[:FIRST_ROWS]]
            self._working = np.union1d(self._working, worst)
        return None


def separating_sets(
    cone: Cone, always: Sequence[int], columns: Sequence[int]
) -> tuple[tuple[int, ...], ...]:
    """Return smallest sets of columns with a direction that no finite estimate survives.

    Each set has a direction together with the columns of `always`, and none with fewer of its own
    columns. Columns that need no other come first, all of them; then combinations of the rest, no
    two of which share a column, found by dropping the last columns first, so that main effects
    are named before interactions. A single empty set says that `always` has a direction by itself.

    Parameters
    ----------
    cone : Cone
    always : sequence of int
        Columns that belong to every set unnamed: an intercept, thresholds.
    columns : sequence of int
        Those to choose from.
    """
    if not cone.has_direction([*always, *columns]):
        return ()
    if cone.has_direction(always):
        return ((),)
    found: list[tuple[int, ...]] = [(j,) for j in columns if cone.has_direction([*always, j])]
    rest = [j for j in columns if (j,) not in found]
    while cone.has_direction([*always, *rest]):
        kept = list(rest)
        for j in reversed(rest):
            fewer = [each for each in kept if each != j]
            if cone.has_direction([*always, *fewer]):
                kept = fewer
        found.append(tuple(kept))
        rest = [j for j in rest if j not in kept]
    return tuple(found)


def distinct_rows(rows: Array) -> Array:
    """Return the rows without repetitions, as far as sums of their entries tell them apart."""
    if len(rows) < 2 or not rows.shape[1]:
        return rows
    with np.errstate(over="ignore", invalid="ignore"):
        key = np.zeros(len(rows))
        for j, column in enumerate(rows.T):
            # column by column, so that equal rows give equal sums to the last bit
            key += column * np.sqrt(2.0 + j)
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    same: BoolArray = rows == rows[first[group.reshape(-1)]]
    return rows[np.sort(first)] if np.all(same) else rows


def _first_rows(rows: Array) -> IntArray:
    """Return rows spread evenly, and the extremes of each coordinate."""
    if not rows.size:
        return np.zeros(0, dtype=np.intp)
    spread = np.linspace(0, len(rows) - 1, min(len(rows), FIRST_ROWS)).astype(np.intp)
    ends = [np.argmin(rows, axis=0), np.argmax(rows, axis=0)]
    return np.unique(np.concatenate([spread, *ends]))


def _range_of(R: Array) -> Array:
    """Return an orthonormal basis of what the columns span, shape (p, r)."""
    if not R.size:
        return np.zeros((R.shape[0], 0))
    vectors, values, _ = np.linalg.svd(R, full_matrices=False)
    return np.asarray(vectors[:, values > TOL_REL_RANK * values[0]])


def _null_space(C: Array, tol_rel: float) -> Array:
    """Return an orthonormal basis of the directions that C moves by next to nothing."""
    if not C.size:
        return np.eye(C.shape[1])
    _, values, vectors = np.linalg.svd(C)
    still = np.ones(C.shape[1], dtype=bool)
    still[: values.size] = values <= tol_rel * max(float(values[0]), 1.0)
    return np.asarray(vectors[still].T)
