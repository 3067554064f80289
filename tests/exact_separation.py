"""Separation decided in exact arithmetic, from whole numbers: what the library's answer is held to.

Shares no code and no method with the library, which asks for a direction by floating point: here
multipliers are looked for, by a simplex method on integers. By Stiemke's lemma one of two exists,
never both: a direction d with a_i'd >= 0 for all rows, > 0 for some, and c_j'd = 0; or multipliers
lambda > 0 and nu with sum lambda_i a_i + sum nu_j c_j = 0.
"""

import numpy as np


def is_separated(rising, still):
    """Return whether a direction exists, for rows of whole numbers, shapes (m, p) and (l, p)."""
    rising, still = distinct(rising), distinct(still)
    p = rising.shape[1]
    if not p or not len(rising):
        return False
    # lambda = 1 + z, and nu the difference of two numbers that are not negative
    G = np.concatenate([rising.T, still.T, -still.T], axis=1)
    return not has_solution(G, -rising.sum(axis=0))


def exact_sets(rising, still, always, columns):
    """Return the sets of columns that a note has to name, by its documented rule.

    Single columns that separate with the help of `always` alone, then smallest combinations of
    the others, the last columns dropped first.
    """

    def separated(chosen):
        chosen = [*always, *chosen]
        return is_separated(rising[:, chosen], still[:, chosen])

    if not separated(columns):
        return []
    if separated([]):
        return [()]
    singles = [j for j in columns if separated([j])]
    found, rest = [(j,) for j in singles], [j for j in columns if j not in singles]
    while separated(rest):
        kept = rest
        for j in rest[::-1]:
            without = [each for each in kept if each != j]
            kept = without if separated(without) else kept
        found.append(tuple(kept))
        rest = [j for j in rest if j not in kept]
    return found


def distinct(rows):
    """Return the rows as Python's integers, each once."""
    kept = sorted({tuple(int(each) for each in row) for row in rows})
    return np.array(kept, dtype=object).reshape(len(kept), rows.shape[1])


def has_solution(G, h):
    """Return whether G z = h has a solution z >= 0: the first phase of the simplex method.

    Fractions are kept as integers over the last pivot (Edmonds, Bareiss). The entering column is
    that of the steepest descent, and the first that descends (Bland) after steps without gain.
    """
    sign = np.array([-1 if each < 0 else 1 for each in h], dtype=object)
    p, n = G.shape
    T = np.concatenate([G * sign[:, None], (h * sign)[:, None]], axis=1)
    T = np.concatenate([T, -T.sum(axis=0)[None]])
    basis, last, idle = [n + i for i in range(p)], 1, 0
    while T[p, n] != 0:
        costs = T[p, :n]
        descending = [j for j in range(n) if costs[j] < 0]
        if not descending:
            return False
        j = descending[0] if idle > 20 else min(descending, key=lambda c: costs[c])
        rows = [i for i in range(p) if T[i, j] > 0]
        r = rows[0]
        for i in rows[1:]:
            left, right = T[i, n] * T[r, j], T[r, n] * T[i, j]
            if left < right or (left == right and basis[i] < basis[r]):
                r = i
        idle = idle + 1 if T[r, n] == 0 else 0
        pivot, row = T[r, j], T[r].copy()
        T = (T * pivot - T[:, j][:, None] * row) // last
        T[r] = row
        basis[r], last = j, pivot
    return True
