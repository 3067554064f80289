"""Compiled rows and objectives: whether they serve a problem is decided here and nowhere else.

NumPy is complete without: whatever is not served by compiled code takes its way.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from interlace_core.contract.problem import Problem
from interlace_core.engine.layout import layout_of
from interlace_core.records import Array, Derivatives, Evaluation, RowKernel, Status

BLOCK_ROWS = 4096
"""Rows per call: with a dozen columns of 32 kB each a block stays in the second-level cache."""

NOT_OFFERED = 2
"""What a kernel returns for a slot that it does not compute."""

Key = tuple[int, ...]
SIGNATURE = (
    ctypes.c_int32,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_uint64,
    ctypes.c_void_p,
    ctypes.c_void_p,
)
"""Result and arguments of a kernel, as ctypes has them."""


def compiled_rows(problem: Problem) -> CompiledRows | None:
    """Return the compiled rows that serve a problem, asked for once; None if there are none."""
    if problem.compiled is None:
        return None
    kept: _Kept = problem.cache.setdefault(CompiledRows, _Kept())
    if not kept.asked:
        kept.rows, kept.asked = _made(problem), True
    return kept.rows


def compiled_objective(
    approximation: str,
    problem: Problem,
    settings: Any,
    mode: Array | None,
    otherwise: Callable[[], Callable[[Array], Evaluation]],
) -> Callable[[Array], Evaluation]:
    """Return an approximation's objective, compiled where that serves the problem.

    It serves where the family has compiled rows, rows and levels are not correlated, the mode of
    the effects is unique, and some kernel takes the structure. A point at which it does not succeed
    is evaluated again by the other one, whose word is final.

    Parameters
    ----------
    approximation : str
        Its name.
    problem : Problem
    settings : ModeSettings
    mode : ndarray, shape (q,), or None
        Where the first search for the mode begins; 0 if None.
    otherwise : callable
        Returns the objective without compiled code.
    """
    kernels = problem.compiled.objectives if problem.compiled is not None else ()
    if not kernels or not problem.terms or problem.correlation is not None:
        return otherwise()
    layout = layout_of(problem)
    rows = compiled_rows(layout.problem)
    related = any(factor.relation is not None for factor in layout.structure.factors)
    if rows is None or related or not layout.log_concave:
        return otherwise()
    for each in kernels:
        made = each.objective(approximation, layout, rows.kernel, settings, mode)
        if made is not None:
            problem.cache[WithSecondOpinion] = f"{each.name}, {each.build}"
            return WithSecondOpinion(made, otherwise)
    return otherwise()


def kernel_words(problem: Problem) -> str:
    """Return in words which compiled code evaluated a problem, and what of it; "none" if none."""
    if WithSecondOpinion in problem.cache:
        return f"{problem.cache[WithSecondOpinion]}: objective"
    rows = compiled_rows(layout_of(problem).problem)
    return "none" if rows is None or not rows.used else f"{rows.origin}: rows"


class CompiledRows:
    """The compiled rows of one problem.

    Attributes
    ----------
    kernel : RowKernel
    origin : str
        Where it is from, in words.
    used : bool
        Whether rows were evaluated by it.
    """

    def __init__(self, kernel: RowKernel, origin: str, K: int) -> None:
        self.kernel, self.origin, self.used = kernel, origin, False
        self._call = ctypes.CFUNCTYPE(*SIGNATURE)(kernel.address)
        self._columns = np.asfortranarray(kernel.columns)
        data = kernel.data
        self._data = None if data is None else np.frombuffer(data, dtype=np.uint8)  # type: ignore[call-overload]
        self._places = slots(K)
        self._K = K

    def derivatives(
        self, rows: slice, eta: Sequence[Array], keys: Sequence[Key]
    ) -> Derivatives | None:
        """Return the value and some partial derivatives of some rows, none of them weighted.

        Parameters
        ----------
        rows : slice
        eta : sequence of K ndarrays, each broadcastable to (..., rows)
        keys : sequence of tuple of int

        Returns
        -------
        Derivatives, or None where the kernel does not offer one of the keys
        """
        start, stop, _ = rows.indices(len(self._columns))
        shape = np.broadcast_shapes(*(each.shape for each in eta), (stop - start,))
        nodes = int(np.prod(shape[:-1], dtype=np.intp))
        flat = [each.reshape(-1, each.shape[-1]) for each in eta]
        want = np.zeros(len(self._places), dtype=np.uint8)
        want[[0, *(self._places[key] for key in keys)]] = 1
        out = np.empty((want.size, _leading_dimension(nodes * (stop - start))))
        for node in range(nodes):
            at = [each[node if len(each) > 1 else 0] for each in flat]
            failed = self._block(start, at, stop - start, want, out[:, node * (stop - start) :])
            if failed == NOT_OFFERED:
                return None
            if failed:
                out[0, node * (stop - start) : (node + 1) * (stop - start)] = np.nan
        size, self.used = nodes * (stop - start), True
        return Derivatives(
            out[0, :size].reshape(shape),
            {key: out[self._places[key], :size].reshape(shape) for key in keys},
        )

    def _block(self, start: int, eta: list[Array], n: int, want: Any, out: Array) -> int:
        """Evaluate n rows from `start` on into the slots of `out`, BLOCK_ROWS at a time."""
        ld = out.strides[0] // 8
        buffer = np.empty((self._K, ld))  # of which the first rows are used
        columns, ldy = self._columns, len(self._columns)
        data = None if self._data is None else self._data.ctypes.data
        for first in range(0, n, BLOCK_ROWS):
            m, constant = min(BLOCK_ROWS, n - first), 0
            for k, each in enumerate(eta):
                values = each[first : first + m] if each.size > 1 else each
                buffer[k, :m] = values
                if values[0] == values[-1] and (values.size == 1 or np.all(values == values[0])):
                    constant |= 1 << k
            code = self._call(
                data,
                m,
                columns.ctypes.data + 8 * (start + first),
                ldy,
                buffer.ctypes.data,
                ld,
                constant,
                want.ctypes.data,
                out.ctypes.data + 8 * first,
            )
            if code:
                return int(code)
        return 0


def compiled_derivatives(
    problem: Problem, eta: Sequence[Array], order: int, wrt: Key, inner: Key | None
) -> Derivatives | None:
    """Return the derivatives of the weighted log-density, None without compiled rows.

    Arguments are those of `weighted_derivatives`.
    """
    rows = compiled_rows(problem)
    if rows is None:
        return None
    found = rows.derivatives(slice(None), eta, wanted(order, wrt, inner))
    if found is None:
        return None
    value, partials = found.value, dict(found.partials)
    weights = problem.weights
    if weights is not None:
        value *= weights
        for partial in partials.values():
            partial *= weights
    if problem.constants is not None:
        value += problem.constants

    def later(key: Key) -> Array:
        more = rows.derivatives(slice(None), eta, (key,))
        if more is None:
            with np.errstate(all="ignore"):
                more = problem.family.derivatives(problem.y, eta, len(key), tuple(set(key)))
        partial = more.partials.get(key, np.zeros(value.shape))
        return partial if weights is None else partial * weights

    return Derivatives(value, CompiledPartials(partials, frozenset(all_keys(order, wrt)), later))


class CompiledPartials(Mapping[Key, Array]):
    """Partial derivatives of compiled rows: those that were asked for, others when they are.

    Iterating goes over what was computed so far.

    Parameters
    ----------
    found : dict
    offered : frozenset of tuple of int
        All keys that are not zero for every observation.
    evaluate : callable
        From a key to its values.
    """

    def __init__(
        self, found: dict[Key, Array], offered: frozenset[Key], evaluate: Callable[[Key], Array]
    ) -> None:
        self._found, self._offered, self._evaluate = found, offered, evaluate

    def __getitem__(self, key: Key) -> Array:
        """Return one partial derivative, shape (..., n)."""
        if key not in self._found:
            if key not in self._offered:
                raise KeyError(key)
            self._found[key] = self._evaluate(key)
        return self._found[key]

    def __iter__(self) -> Iterator[Key]:
        """Iterate over the keys that were computed."""
        return iter(self._found)

    def __len__(self) -> int:
        """Return how many were computed."""
        return len(self._found)


@cache
def slots(K: int) -> dict[Key, int]:
    """Return the place of each derivative in what a kernel writes, the value's key being ()."""
    keys = [key for size in range(4) for key in combinations_with_replacement(range(K), size)]
    return {key: place for place, key in enumerate(keys)}


@cache
def wanted(order: int, wrt: Key, inner: Key | None) -> tuple[Key, ...]:
    """Return the derivatives that are computed at once.

    Parameters
    ----------
    order : int
    wrt : tuple of int
    inner : tuple of int, or None
        Predictors with random effects, where only they move the curvature: of second derivatives
        those with one of them, of third ones those with two. None for all.
    """
    keys = all_keys(order, wrt)
    if inner is None:
        return keys
    return tuple(
        key for key in keys if len(key) - sum(k in inner for k in key) <= 1 or len(key) == 1
    )


@cache
def all_keys(order: int, wrt: Key) -> tuple[Key, ...]:
    """Return the sorted tuples of predictors up to an order."""
    return tuple(
        key
        for size in range(1, order + 1)
        for key in combinations_with_replacement(sorted(wrt), size)
    )


class _Kept:
    """Compiled rows in a problem's cache; a copy in another process asks for its own."""

    def __init__(self) -> None:
        self.rows: CompiledRows | None = None
        self.asked = False

    def __reduce__(self) -> tuple[type[_Kept], tuple[()]]:
        return _Kept, ()


def _made(problem: Problem) -> CompiledRows | None:
    assert problem.compiled is not None
    found = problem.compiled.row_kernel(problem.family, problem.y)
    return None if found is None else CompiledRows(*found, len(problem.predictors))


def _leading_dimension(n: int) -> int:
    """Return n or a little more: columns a multiple of 4 kB apart would share cache sets."""
    return n + 8 if n % 512 == 0 else n


class WithSecondOpinion:
    """A compiled objective, and the one without where it does not succeed."""

    def __init__(
        self,
        compiled: Callable[[Array], Evaluation],
        otherwise: Callable[[], Callable[[Array], Evaluation]],
    ) -> None:
        self._compiled, self._otherwise = compiled, otherwise
        self._second: Callable[[Array], Evaluation] | None = None

    def __call__(self, psi: Array) -> Evaluation:
        """Return the compiled evaluation, or the other one where that did not succeed."""
        evaluation = self._compiled(psi)
        if evaluation.status is Status.OK:
            return evaluation
        if self._second is None:
            self._second = self._otherwise()
        return self._second(psi)
