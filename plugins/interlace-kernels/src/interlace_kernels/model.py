"""A problem's arrays as the structs that C reads: see c/laplace.h."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np

from interlace_core.contract import Array, Predictor, RowKernel

LARGEST_C = 4
MOST_LEVELS, COLUMNS = 8, 8
"""Of c/nested.c: nested factors, and numbers of each node."""

BLOCK_ROWS = 1024
"""Rows of a block: with a dozen columns of 8 kB each they stay in the first two caches."""

SHARE_ROWS = 16_384
"""Of c/laplace.h: rows of the levels whose sums are made together."""

MOST_SLOPES = 4096
"""Slopes of the mode that are kept in any case; of many rows, a number for each."""

MOST_THREADS = 64
"""Of c/threads.h."""

KEPT_ROWS = 1 << 16
"""Rows up to which what is made of a problem's designs is kept with it."""

Int, Double, Pointer = ctypes.c_int64, ctypes.c_double, ctypes.c_void_p


class PredictorStruct(ctypes.Structure):
    """`ik_predictor`."""

    _fields_ = (
        ("X", Pointer),
        ("offset", Pointer),
        ("p", Int),
        ("offset_step", Int),
        ("constant", Int),
        ("active", Int),
    )


class ModelStruct(ctypes.Structure):
    """`ik_model`."""

    _fields_ = (
        ("rows", Pointer),
        ("data", Pointer),
        ("y", Pointer),
        ("ldy", Int),
        ("weights", Pointer),
        ("n", Int),
        ("K", Int),
        ("G", Int),
        ("c", Int),
        ("random", Int),
        ("starts", Pointer),
        ("z", Pointer * LARGEST_C),
        ("predictors", Pointer),
        ("u", Pointer),
        ("tol", Double),
        ("max_iterations", Int),
        ("max_halvings", Int),
        ("block_rows", Int),
        ("ld", Int),
        ("rows_at", Pointer),
        ("levels_at", Pointer),
        ("want", Pointer),
        ("threads", Int),
        ("shares_at", Pointer),
        ("known", Pointer),
        ("at", Pointer),
        ("slopes", Pointer),
    )


class TreeStruct(ctypes.Structure):
    """`ik_tree` of c/nested.c."""

    _fields_ = (
        ("m", ModelStruct),
        ("D", Int),
        ("N", Int * MOST_LEVELS),
        ("parent", Pointer * MOST_LEVELS),
        ("nodes", Pointer),
        ("stored", Pointer),
    )


class NodesStruct(ctypes.Structure):
    """`ik_nodes` of c/quadrature.c."""

    _fields_ = (
        ("m", ModelStruct),
        ("J", Int),
        ("x", Pointer),
        ("log_w", Pointer),
        ("scores", Pointer),
        ("q", Pointer),
        ("Zl", Pointer),
        ("mean", Pointer),
        ("S", Pointer),
        ("middle", Pointer),
        ("spread", Pointer),
    )


class RowModel:
    """The rows of a model as C reads them, without their groups.

    Parameters
    ----------
    problem : Problem
    rows : RowKernel
    random : int
        The predictor with random effects, if any.
    ld : int
        Most rows of a block, padded.
    c : int
        Effects of a level.
    block_rows : int
        Rows that whole levels fill before they are evaluated.
    threads : int
        That may evaluate rows at once, each with room of its own.

    Attributes
    ----------
    struct : ModelStruct
    """

    def __init__(
        self,
        problem: Any,
        rows: RowKernel,
        random: int,
        ld: int,
        c: int,
        block_rows: int,
        threads: int = 1,
    ) -> None:
        self._keep: list[Any] = []
        K = len(problem.predictors)
        slots = (K + 1) * (K + 2) * (K + 3) // 6
        struct = self.struct = ModelStruct()
        self.take(rows, struct)
        weights = problem.weights
        struct.weights = None if weights is None else self._at(np.ascontiguousarray(weights))
        self._weights_at = struct.weights
        struct.n, struct.K, struct.c, struct.random = problem.n, K, c, random
        predictors = _predictors_of(problem, random)
        self._keep.append(predictors)
        struct.predictors = predictors.at
        struct.block_rows, struct.ld = block_rows, ld
        struct.threads = threads = min(threads, MOST_THREADS, problem.n // SHARE_ROWS + 1)
        struct.rows_at = self._at(np.empty(threads * ld * (K + 1 + slots + c * (c + 3))))
        struct.want = self._at(np.zeros(3 * slots, dtype=np.uint8))

    def take(self, rows: RowKernel, struct: ModelStruct) -> None:
        """Let a struct point to the rows of a response, or of the first of several.

        They are kept instead of the last ones.
        """
        columns = np.asfortranarray(rows.columns)
        data: Any = rows.data
        numbers = None if data is None else np.frombuffer(data, dtype=np.uint8)
        self._rows = rows, columns, numbers
        struct.rows, struct.y, struct.ldy = rows.address, columns.ctypes.data, len(columns)
        struct.data = None if numbers is None else numbers.ctypes.data

    def _at(self, array: Any) -> int:
        """Return the address of an array, which is kept as long as the model."""
        self._keep.append(array)
        return int(array.ctypes.data)


class Model(RowModel):
    """A model as C reads it, with all arrays that its struct points to.

    Of several factors, the finest is the one that the struct describes.

    Parameters
    ----------
    layout : engine.Layout
        With rows sorted by its first grouping factor.
    rows : RowKernel
    settings : engine.ModeSettings
    mode : ndarray, shape (q,), or None
        Where the first search for the mode begins.
    block_rows : int
        Rows that whole levels fill before they are evaluated.
    threads : int
        That may evaluate levels at once, each with room of its own.

    Attributes
    ----------
    struct : ModelStruct
    u : ndarray, shape (q,)
        The last mode, which C overwrites.
    known : ndarray, shape (1,)
        1 where C knows its slopes, 0 where it begins anew.
    at : ndarray
        T and beta there, and by how much they changed since.
    """

    def __init__(
        self,
        layout: Any,
        rows: RowKernel,
        settings: Any,
        mode: Array | None,
        block_rows: int = BLOCK_ROWS,
        threads: int = 1,
    ) -> None:
        factor = layout.structure.factors[0]
        c, G = factor.shape
        starts = np.append(factor.rows.starts, layout.problem.n).astype(np.int64)
        ld = leading_dimension(max(block_rows, int(np.diff(starts).max())))
        self._begin(layout, rows, settings, mode, block_rows, ld, c, threads)
        self.struct.G, self.struct.starts = G, self._at(starts)
        for a, z in enumerate(covariates(factor, layout.problem.n)):
            self.struct.z[a] = None if z is None else self._at(z)

    def _begin(
        self,
        layout: Any,
        rows: RowKernel,
        settings: Any,
        mode: Array | None,
        block_rows: int,
        ld: int,
        c: int,
        threads: int = 1,
    ) -> None:
        """Set all of the struct but the grouping factor."""
        (random,) = layout.structure.random_predictors
        RowModel.__init__(self, layout.problem, rows, random, ld, c, block_rows, threads)
        self.u = np.zeros(layout.structure.q) if mode is None else np.array(mode, dtype=np.float64)
        struct = self.struct
        struct.u = self.u.ctypes.data
        struct.tol, struct.max_iterations = settings.tol_sq_decrement, settings.max_iterations
        struct.max_halvings = settings.max_halvings
        struct.levels_at = self._at(np.empty(int(struct.threads) * ld * (3 * c * c + 4 * c)))
        sums = 3 + c * c + layout.problem.n_beta
        struct.shares_at = self._at(np.empty((layout.problem.n // SHARE_ROWS + 1) * sums))
        self.known, self._numbers = np.zeros(1, dtype=np.int64), c * c + layout.problem.n_beta
        self.at = np.empty(2 * self._numbers)
        struct.known, struct.at = self.known.ctypes.data, self.at.ctypes.data

    def keep_slopes(self) -> None:
        """Make room for the slopes of the mode in T and beta, unless they are too many."""
        size = self.u.size * self._numbers
        if size <= max(int(self.struct.n), MOST_SLOPES):
            self.struct.slopes = self._at(np.empty(size))

    def responses(
        self, struct: ModelStruct, mode: Array, count: int, weights: Array | None
    ) -> tuple[int | None, ...]:
        """Return what `ik_responses` holds of the rows that a struct points to, taken before.

        Parameters
        ----------
        struct : ModelStruct
        mode : ndarray, shape (q,)
            Where the search for a mode begins.
        count : int
        weights : ndarray, shape (count * n,), or None
        """
        begin = np.array(mode, dtype=np.float64)
        own = None if weights is None else np.ascontiguousarray(weights)
        self._begun = begin, own
        struct.weights = self._weights_at if own is None else own.ctypes.data
        at = None if own is None else own.ctypes.data
        return count, ctypes.addressof(struct), struct.y, at, begin.ctypes.data

    def tree(self, layout: Any) -> TreeStruct:
        """Return the struct of nested factors, around that of the finest."""
        factors, pairs, tree = layout.structure.factors, layout.structure.pairs, TreeStruct()
        tree.m, tree.D = self.struct, len(factors)
        for level, factor in enumerate(factors):
            tree.N[level] = factor.rows.size
            if level + 1 < len(factors):
                parent = np.ascontiguousarray(pairs[level, level + 1].second, dtype=np.int64)
                tree.parent[level] = self._at(parent)
        tree.nodes = self._at(np.empty(COLUMNS * layout.structure.q))
        tree.stored = self._at(np.empty(self.struct.n * (2 + 3 * self.struct.K)))
        return tree

    def nodes(self, x: Array, log_w: Array) -> NodesStruct:
        """Return the struct of an integral by nodes, shapes (c, J) and (J,), around the model's."""
        c, J, ld, K = self.struct.c, log_w.size, self.struct.ld, self.struct.K
        nodes = NodesStruct()
        nodes.m, nodes.J = self.struct, J
        nodes.x, nodes.log_w = self._at(np.ascontiguousarray(x.T)), self._at(np.array(log_w))
        nodes.scores = self._at(np.empty(J * K * ld))
        nodes.q, nodes.Zl = self._at(np.empty(J * ld)), self._at(np.empty(J * ld * c))
        nodes.mean, nodes.S = self._at(np.empty(K * ld)), self._at(np.empty(ld * c * c))
        nodes.middle, nodes.spread = self._at(np.empty(ld)), self._at(np.empty(ld * c))
        return nodes


class _Predictors:
    """The predictors of a problem as C reads them, kept for whoever evaluates it next.

    Attributes
    ----------
    at : int
        Address of their structs.
    """

    def __init__(self, predictors: tuple[Predictor, ...], random: int) -> None:
        self._keep: list[Any] = []
        structs = self._structs = _predictor_structs(len(predictors))()
        for k, (struct, predictor) in enumerate(zip(structs, predictors, strict=True)):
            X, offset = np.asfortranarray(predictor.X), predictor.offset
            one = is_constant(offset)
            offset = np.array(offset[:1]) if one else np.ascontiguousarray(offset)
            self._keep += [X, offset]
            struct.X, struct.p = X.ctypes.data, X.shape[1]
            struct.offset, struct.offset_step = offset.ctypes.data, int(not one)
            struct.constant = int(one and k != random and all(map(is_constant, X.T)))
            struct.active = int(predictor.parameter.fixed is None)
        self.at = ctypes.addressof(structs)

    def __reduce__(self) -> tuple[Any, ...]:
        # addresses mean nothing in another process, which makes its own
        return type(None), ()


def _predictors_of(problem: Any, random: int) -> _Predictors:
    """Return the predictors of a problem, of few rows made once: others are not held twice."""
    if problem.n > KEPT_ROWS:
        return _Predictors(problem.predictors, random)
    key = _Predictors, random
    if problem.cache.get(key) is None:
        problem.cache[key] = _Predictors(problem.predictors, random)
    found: _Predictors = problem.cache[key]
    return found


@cache
def _predictor_structs(count: int) -> type[ctypes.Array[PredictorStruct]]:
    """Return the type of so many structs in a row: to make one takes longer than to fill it."""
    return PredictorStruct * count


def covariates(factor: Any, n: int) -> list[Array | None]:
    """Return the columns of a factor; None, for ones, where the first is that."""
    columns: list[Array | None] = []
    for a, column in enumerate(factor.columns):
        ones = column.z is None
        columns.append(None if ones and a == 0 else np.ones(n) if ones else column.z)
    return [None if z is None else np.ascontiguousarray(z) for z in columns]


def is_constant(values: Array) -> bool:
    """Return whether all are the same number; most that are not differ at the ends."""
    return bool(values[0] == values[-1] and np.all(values == values[0]))


def leading_dimension(n: int) -> int:
    """Return n, or a little more where columns would share sets of the cache."""
    padded = n + -n % 8
    return padded + 8 if padded % 512 == 0 else padded
