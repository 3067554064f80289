"""A smooth function of the distance at all pairs of many points, from its values at few distances.

Of half a million pairs the distances fill a line densely. In the logarithm u of the distance the
line is cut into panels, and on each the function is the polynomial through its values at the
Chebyshev nodes (Trefethen 2013, "Approximation Theory and Approximation Practice", chapter 8),
summed by Clenshaw's recurrence. For correlations that fall like exp(-exp(u)), or as a Gaussian of
exp(u), 17 nodes on panels of 1/4 leave 1e-14.
"""

from __future__ import annotations

import numpy as np

from interlace_core.contract import Array

NODES = 17
WIDTH = 0.25


class AlongDistances:
    """Where the pairs of some points lie on the line of distances.

    Parameters
    ----------
    distances : ndarray, shape (c, c)
        Symmetric, greater than 0 but on the diagonal.

    Attributes
    ----------
    nodes : ndarray, shape (panels, 17)
        Distances at which a function is wanted.
    """

    def __init__(self, distances: Array) -> None:
        self._size = len(distances)
        self._upper = np.triu_indices(self._size, 1)
        u = np.log(distances[self._upper])
        low = float(np.min(u))
        place = (u - low) / WIDTH
        panels = int(np.max(place)) + 1
        self._panel = np.minimum(place.astype(np.intp), panels - 1)
        self._t = 2.0 * (place - self._panel) - 1.0
        angles = np.pi * (np.arange(NODES) + 0.5) / NODES
        middle = np.arange(panels)[:, None] + 0.5 * (1.0 + np.cos(angles))
        self.nodes = np.exp(low + WIDTH * middle)
        # from values at the nodes to coefficients of Chebyshev polynomials
        self._transform = 2.0 / NODES * np.cos(np.outer(angles, np.arange(NODES)))
        self._transform[:, 0] *= 0.5

    @classmethod
    def of(cls, distances: Array) -> AlongDistances | None:
        """Return the pairs; None where these are no more than the nodes would be."""
        pairs = len(distances) * (len(distances) - 1) // 2
        if pairs < 100 * NODES:
            return None
        found = cls(distances)
        return found if found.nodes.size < pairs else None

    def matrix(self, values: Array, diagonal: float) -> Array:
        """Return the function at all pairs, shape (c, c), from its values at the nodes."""
        coefficients = np.ascontiguousarray((values @ self._transform).T)
        twice = 2.0 * self._t
        ahead = coefficients[-1][self._panel]
        beyond = np.zeros_like(ahead)
        for each in coefficients[-2:0:-1]:
            ahead, beyond = each[self._panel] + twice * ahead - beyond, ahead
        found = np.zeros((self._size, self._size))
        found[self._upper] = coefficients[0][self._panel] + self._t * ahead - beyond
        found += found.T
        np.fill_diagonal(found, diagonal)
        return found
