"""Effects at times and places that no row of the fit had: what those at known ones tell of them.

With K the covariance of the effects b at the places of a fit, k that with one at a new place and v
its variance, the effect there is `w'b + e`, `w = K^-1 k`, and e is independent of the data with
variance `v - w'k` (Cressie 1993, "Statistics for Spatial Data", section 3.2). w stands in for a row
of Z.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from interlace.data.levels import level_names
from interlace.inference.parameters import rebuilt
from interlace.results.random_effects import TermPlace
from interlace_core.contract.covariance import Covariance
from interlace_core.contract.held import with_held
from interlace_core.contract.sequence import Chain
from interlace_core.messages.errors import DataError, InterlaceError
from interlace_core.messages.names import listed
from interlace_core.records import Array, BoolArray, IntArray
from interlace_core.registry.registry import default_registry

BATCH = 500
"""New places taken at once: their covariance with each other is made, and not looked at."""

REL_STEP = 1e-3


@dataclass(frozen=True)
class NewPlaces:
    """Rows of a term at places that the fit had no rows at.

    Attributes
    ----------
    term : TermPlace
    rows : ndarray of intp, shape (m,)
    places : ndarray, shape (p, k)
        The new ones, each once.
    at : ndarray of intp, shape (m,)
        That of each row.
    """

    term: TermPlace
    rows: IntArray
    places: Array
    at: IntArray

    @classmethod
    def of(cls, term: TermPlace, strange: Array) -> NewPlaces:
        """Return the rows of some coordinates, shape (n, k), that are not NaN."""
        rows = np.flatnonzero(~np.any(np.isnan(strange), axis=1))
        places, at = np.unique(strange[rows], axis=0, return_inverse=True)
        return cls(term, rows, places, np.ravel(at).astype(np.intp))

    def weights(self, theta: Array) -> tuple[Array, Array]:
        """Return w of each row, shape (m, c), and the variance of e, (m,), at the term's theta.

        Raises
        ------
        DataError
            If the structure does not say how effects at other places vary.
        """
        own = rebuilt(self.term)
        found = [self._batch(own, theta, each) for each in self._batches()]
        w, left = (np.concatenate(part) for part in zip(*found, strict=True))
        return w[self.at], left[self.at]

    def effect_slopes(self, theta: Array, free: BoolArray, b: Array) -> Array:
        """Return d w'b / d theta at fixed b, shape (m, n_theta).

        Parameters
        ----------
        theta : ndarray, shape (n_theta,)
        free : ndarray of bool, shape (n_theta,)
            Of which entries; 0 for the others.
        b : ndarray, shape (m, c)
            Effects of each row's group.
        """
        slopes = np.zeros((self.rows.size, theta.size))
        for j in np.flatnonzero(free):
            step = REL_STEP * max(1.0, abs(float(theta[j])))
            up, down = theta.copy(), theta.copy()
            up[j] += step
            down[j] -= step
            change = self.weights(up)[0] - self.weights(down)[0]
            slopes[:, j] = np.einsum("mc,mc->m", change, b) / (2.0 * step)
        return slopes

    def _batches(self) -> list[Array]:
        count = max(1, -(-len(self.places) // BATCH))
        return np.array_split(self.places, count)

    def _batch(self, own: Covariance, theta: Array, places: Array) -> tuple[Array, Array]:
        known = np.column_stack(list(self.term.points.values()))
        c, whole = len(known), np.vstack([known, places])
        order = np.lexsort(whole.T[::-1])
        made, at = self._structure(own, theta, whole[order])
        chain = made.chain(at)
        if chain is not None:
            return by_neighbours(chain, np.argsort(order), c)
        T = made.template(at)[np.argsort(order)]
        S = T @ T.T
        K, k = S[:c, :c], S[:c, c:]
        variance = np.diagonal(S)[c:]
        if not np.any(K):
            return np.zeros((len(places), c)), variance.copy()
        w = cho_solve(cho_factor(K), k)
        return w.T, np.maximum(variance - np.einsum("cp,cp->p", w, k), 0.0)

    def _structure(self, own: Covariance, theta: Array, whole: Array) -> tuple[Covariance, Array]:
        """Return the structure of known and new places together, and its theta."""
        term, texts = self.term, [", ".join(level_names(row)) for row in whole.tolist()]
        cls = default_registry().covariance(term.structure)
        frame = {name: whole[:, j].copy() for j, name in enumerate(term.points)}
        try:
            wide = cls.from_columns(texts, texts, frame, **term.options)
            if wide.n_theta == own.n_theta + len(term.held):
                made = with_held(wide, texts, term.held)
                return made, made.from_natural(own.natural(theta))
        except (InterlaceError, ValueError) as error:
            raise self._refused(str(error).split("\n")[0]) from error
        raise self._refused()

    def _refused(self, reason: str = "") -> DataError:
        shown = listed([", ".join(level_names(row)) for row in self.places[:5].tolist()])
        return DataError(
            f"predict: structure {self.term.structure!r} of ({self.term.label}) does not say how "
            f"effects at these times or places vary{f' ({reason})' if reason else ''}; expected "
            f"those that it can take, or the {len(self.term.names)} points "
            f"of the training data, got {shown}. Leave the term out of the prediction by "
            "include_re, or fit with these rows in the data, their weights 0."
        )


def by_neighbours(chain: Chain, place: IntArray, c: int) -> tuple[Array, Array]:
    """Return w, shape (p, c), and the variance of e, (p,), of new times in a chain.

    Of all known times those next to a new one on both sides tell all there is to know.

    Parameters
    ----------
    chain : Chain
        Of known and new times together.
    place : ndarray of intp, shape (c + p,)
        Where in it each of the known ones and then of the new ones is.
    c : int
        Number of known ones.
    """
    variance, _ = chain.moments()
    known = np.full(place.size, -1, dtype=np.intp)
    known[place[:c]] = np.arange(c)
    before, handed = _last_known(known, np.append(0.0, chain.carry))
    after, back = _last_known(known[::-1], np.append(0.0, chain.carry[::-1]))
    after, back = after[::-1], back[::-1]
    w, left = np.zeros((place.size - c, c)), np.zeros(place.size - c)
    for i, t in enumerate(place[c:].tolist()):
        sides = [(before[t], handed[t]), (place.size - 1 - after[t], back[t])]
        a, b = (side if 0 <= side < place.size else None for side, _ in sides)
        found = [] if a is None else [(a, handed[t] * variance[a])]
        found += [] if b is None else [(b, back[t] * variance[t])]
        there, k = [each for each, _ in found], np.array([own for _, own in found])
        K = np.diag(variance[there])
        if len(found) == 2:
            K[0, 1] = K[1, 0] = handed[t] * back[t] * variance[a]
        own = np.linalg.solve(K, k) if np.any(K) else np.zeros(len(found))
        w[i, known[there]] = own
        left[i] = max(float(variance[t] - own @ k), 0.0)
    return w, left


def _last_known(known: IntArray, carry: Array) -> tuple[IntArray, Array]:
    """Return the place of the last known time before each, -1 for none, and what it hands on."""
    places, handed = np.full(known.size, -1, dtype=np.intp), np.zeros(known.size)
    last, share = -1, 0.0
    for t, (is_known, r) in enumerate(zip((known >= 0).tolist(), carry.tolist(), strict=True)):
        share *= r
        places[t], handed[t] = last, share
        if is_known:
            last, share = t, 1.0
    return places, handed
