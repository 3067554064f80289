"""Compiled rows and objectives: whether they serve a problem is decided here and nowhere else.

NumPy is complete without: whatever is not served by compiled code takes its way.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from interlace_core.contract.family import Family
from interlace_core.contract.kernels import (
    Climb,
    CompiledObjective,
    CompiledSlopes,
    LinearProducts,
    LinearResponses,
    RowColumns,
    RowSums,
    Slopes,
)
from interlace_core.contract.problem import Problem, random_predictors
from interlace_core.engine.kernel_guard import agrees
from interlace_core.engine.layout import FACTORISED, layout_of
from interlace_core.engine.responses import Respond, by_products, by_rows
from interlace_core.records import (
    Array,
    CompiledFunction,
    CompiledPath,
    Derivatives,
    Evaluation,
    Information,
    RowKernel,
    Status,
)

BLOCK_ROWS = 2048
"""Rows per call: with a dozen columns of 16 kB each a block stays in the second-level cache."""

LEADING = BLOCK_ROWS + 8
"""Numbers from one column to the next: a multiple of 4 kB would have them share cache sets."""

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
    # rows that correlate have a family with further parameters, of which no kernel knows
    if problem.compiled is None or problem.correlation is not None:
        return None
    kept: KeptRows = problem.cache.setdefault(CompiledRows, KeptRows())
    if not kept.asked:
        kept.rows, kept.asked = _made(problem), True
    return kept.rows


def compiled_objective(
    approximation: str,
    problem: Problem,
    settings: Any,
    mode: Array | None,
    otherwise: Callable[[], Callable[[Array], Evaluation]],
    nodes: tuple[Array, Array] | None = None,
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
    nodes : pair of ndarrays, optional
        Of an integral around the mode; see `Kernels.objective`.
    """
    kernels = problem.compiled.objectives if problem.compiled is not None else ()
    if not kernels or not problem.terms or problem.correlation is not None:
        return otherwise()
    layout = layout_of(problem)
    rows = compiled_rows(layout.problem)
    if rows is None or not _levels_independent(problem) or not layout.log_concave:
        return otherwise()
    for each in kernels:
        made = each.objective(approximation, layout, rows.kernel, settings, mode, nodes)
        if made is not None:
            problem.cache[WithSecondOpinion] = f"{each.name}, {each.build}"
            return WithSecondOpinion(made, otherwise, by_rows(layout, problem))
    return otherwise()


def compiled_products(problem: Problem, rows: RowColumns) -> RowSums | None:
    """Return sums over the rows of a linear model by the first kernel that serves, else None.

    Parameters
    ----------
    problem : Problem
        Whose compiled code is asked.
    rows : RowColumns
    """
    for each in problem.compiled.objectives if problem.compiled is not None else ():
        found = each.products(rows)
        if found is not None:
            return found
    return None


def compiled_linear(
    problem: Problem,
    products: LinearProducts,
    restricted: bool,
    otherwise: Callable[[], Callable[[Array], Evaluation]],
    products_of: Callable[[Array], LinearResponses | None],
) -> Callable[[Array], Evaluation]:
    """Return the objective of a linear mixed model, compiled where some kernel serves it.

    Parameters
    ----------
    problem : Problem
        With rows that are independent given the effects.
    products : LinearProducts
    restricted : bool
        Whether it is the restricted likelihood.
    otherwise : callable
        Returns the objective without compiled code.
    products_of : callable
        Returns the products of other responses, shape (count, n), with rows as given; or None.
    """
    kernels = problem.compiled.objectives if problem.compiled is not None else ()
    if not kernels or not problem.terms:
        return otherwise()
    layout = layout_of(problem, rows="any")
    if not _levels_independent(problem):
        return otherwise()
    for each in kernels:
        made = each.linear_objective(layout, products, restricted)
        if made is not None:
            problem.cache[WithSecondOpinion] = f"{each.name}, {each.build}"
            return WithSecondOpinion(made, otherwise, by_products(products_of))
    return otherwise()


def compiled_slopes(problem: Problem, beta: Array) -> Slopes | None:
    """Return the model without random effects at some coefficients, None where C has no answer.

    Parameters
    ----------
    problem : Problem
        As its layout has it.
    beta : ndarray, shape (n_beta,)
    """
    rows = compiled_rows(problem)
    if rows is None:
        return None
    at = _sums_of(problem, rows)
    found = None if at is None else at(beta)
    rows.used = rows.used or found is not None
    return found


def compiled_climb(problem: Problem, climb: Climb) -> Array | None:
    """Return where steps to the coefficients end, None where C has no answer.

    Parameters
    ----------
    problem : Problem
        As its layout has it.
    climb : Climb
    """
    rows = compiled_rows(problem)
    at = None if rows is None else _sums_of(problem, rows)
    if rows is None or not isinstance(at, CompiledSlopes):
        return None
    found = at.climb(climb)
    rows.used = rows.used or found is not None
    return found


def _sums_of(problem: Problem, rows: CompiledRows) -> Callable[[Array], Slopes | None] | None:
    """Return the compiled sums over a problem's rows, made once; None if there are none."""
    if Slopes not in problem.cache:
        problem.cache[Slopes] = _Sums(problem, rows)
    sums: _Sums | None = problem.cache[Slopes]
    return None if sums is None else sums.at


def forget_slopes(problem: Problem) -> None:
    """Let go of what `compiled_slopes` made, such as designs in another order."""
    problem.cache.pop(Slopes, None)


class _Sums:
    """The compiled sums over a problem's rows, if any kernel has them."""

    def __init__(self, problem: Problem, rows: CompiledRows) -> None:
        random = random_predictors(problem)
        assert problem.compiled is not None
        made = (
            kernels.slopes(problem, rows.kernel, random[0] if random else 0)
            for kernels in problem.compiled.objectives
        )
        self.at = next((each for each in made if each is not None), None)

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()


def _levels_independent(problem: Problem) -> bool:
    """Return whether the levels of all factors are, a long sequence of times no factor of its own.

    Of such a one no kernel knows.
    """
    layout = layout_of(problem, chains=True, rows="any")
    return all(each.independent for each in layout.structure.factors)


SEARCHED = "compiled search"
"""Of a problem's cache: whose search found its optimum."""


def kernel_words(problem: Problem) -> str:
    """Return in words which compiled code evaluated a problem, and what of it; "none" if none."""
    if WithSecondOpinion in problem.cache:
        search = " and search" if SEARCHED in problem.cache else ""
        return f"{problem.cache[WithSecondOpinion]}: objective{search}"
    inner = layout_of(problem, rows="any").problem
    kept: KeptRows | None = inner.cache.get(CompiledRows)
    rows = None if kept is None else kept.rows  # nothing is made only to say that it is not used
    factorised = inner.cache.get(FACTORISED)
    if rows is None or not rows.used:
        return "none" if factorised is None else f"{factorised}: factorisation"
    return f"{rows.origin}: rows" + (" and factorisation" if factorised else "")


class CompiledRows:
    """The compiled rows of one problem.

    Attributes
    ----------
    kernel : RowKernel
    origin : str
        Where it is from, in words.
    used : bool
        Whether rows were evaluated by it.
    K : int
        Linear predictors.
    """

    def __init__(self, kernel: RowKernel, origin: str, K: int) -> None:
        self.kernel, self.origin, self.used = kernel, origin, False
        self._call = ctypes.CFUNCTYPE(*SIGNATURE)(kernel.address)
        self._columns = np.asfortranarray(kernel.columns)
        self._columns_at = self._columns.ctypes.data
        data: Any = kernel.data
        self._data = None if data is None else np.frombuffer(data, dtype=np.uint8)
        self._data_at = None if self._data is None else self._data.ctypes.data
        self._spare: list[_Scratch] = []  # one for each thread that has been here
        self._places = slots(K)
        self.K = K

    @property
    def told(self) -> bytes:
        """The constants that the kernel is told, by their numbers."""
        return b"" if self._data is None else self._data.tobytes()

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
        flat = [each.reshape(-1, each.shape[-1]) for each in eta]
        places = [0, *(self._places[key] for key in keys)]
        found = [np.empty(shape) for _ in places]
        lines = [each.reshape(-1, stop - start) for each in found]
        scratch = self._spare.pop() if self._spare else _Scratch(self.K, len(self._places))
        scratch.want[:] = 0
        scratch.want[places] = 1
        for node in range(len(lines[0])):
            at = [each[node if len(each) > 1 else 0] for each in flat]
            for first in range(start, stop, BLOCK_ROWS):
                m = min(BLOCK_ROWS, stop - first)
                block = slice(first - start, first - start + m)
                code = self._evaluate(scratch, first, [_part(each, block) for each in at], m)
                if code == NOT_OFFERED:
                    return None
                for line, place in zip(lines, places, strict=True):
                    line[node, block] = np.nan if code else scratch.out[place, :m]
        self._spare.append(scratch)
        self.used = True
        return Derivatives(found[0], dict(zip(keys, found[1:], strict=True)))

    def _evaluate(self, scratch: _Scratch, first: int, eta: list[Array], m: int) -> int:
        """Evaluate m rows from `first` on into the scratch, and return the kernel's code."""
        constant = 0
        for k, each in enumerate(eta):
            scratch.eta[k, :m] = each
            if each[0] == each[-1] and (each.size == 1 or np.all(each == each[0])):
                constant |= 1 << k
        return int(
            self._call(
                self._data_at,
                m,
                self._columns_at + 8 * first,
                len(self._columns),
                scratch.eta_at,
                LEADING,
                constant,
                scratch.want_at,
                scratch.out_at,
            )
        )


class _Scratch:
    """Where a kernel reads and writes: kept, since so much memory is slow to get each time."""

    def __init__(self, K: int, slots: int) -> None:
        self.eta, self.out = np.empty((K, LEADING)), np.empty((slots, LEADING))
        self.want = np.zeros(slots, dtype=np.uint8)
        self.eta_at, self.out_at = self.eta.ctypes.data, self.out.ctypes.data
        self.want_at = self.want.ctypes.data


def _part(values: Array, rows: slice) -> Array:
    return values[rows] if values.size > 1 else values


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

    def later(keys: Sequence[Key]) -> dict[Key, Array]:
        more = rows.derivatives(slice(None), eta, keys)
        if more is None:
            own = tuple({k for key in keys for k in key})
            with np.errstate(all="ignore"):
                more = problem.family.derivatives(problem.y, eta, len(keys[0]), own)
        made = {key: more.partials.get(key, np.zeros(value.shape)) for key in keys}
        return made if weights is None else {key: each * weights for key, each in made.items()}

    return Derivatives(value, CompiledPartials(partials, frozenset(all_keys(order, wrt)), later))


class CompiledPartials(Mapping[Key, Array]):
    """Partial derivatives of compiled rows: those that were asked for, others when they are.

    Of second order all that begin with one predictor are made together: whoever asks for one, for
    an information matrix, goes on to the others, and the kernel passes over the rows each time.

    Iterating goes over what was computed so far.

    Parameters
    ----------
    found : dict
    offered : frozenset of tuple of int
        All keys that are not zero for every observation.
    evaluate : callable
        From keys of one order to their values.
    """

    def __init__(
        self,
        found: dict[Key, Array],
        offered: frozenset[Key],
        evaluate: Callable[[Sequence[Key]], Mapping[Key, Array]],
    ) -> None:
        self._found, self._offered, self._evaluate = found, offered, evaluate

    def __getitem__(self, key: Key) -> Array:
        """Return one partial derivative, shape (..., n)."""
        if key not in self._found:
            if key not in self._offered:
                raise KeyError(key)
            together = [each for each in self._offered if len(key) == 2 == len(each)]
            keys = [each for each in together if each[0] == key[0] and each not in self._found]
            self._found |= self._evaluate(keys or [key])
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


class KeptRows:
    """Compiled rows in a problem's cache; a copy in another process asks for its own.

    Parameters
    ----------
    rows : CompiledRows, optional
        None if there are none, or nobody asked.
    asked : bool
    """

    def __init__(self, rows: CompiledRows | None = None, asked: bool = False) -> None:
        self.rows, self.asked = rows, asked

    def __reduce__(self) -> tuple[type[KeptRows], tuple[()]]:
        return KeptRows, ()

    def here(self) -> tuple[Callable[..., KeptRows], tuple[Any, ...]]:
        """Return how they are made again in this process, with their arrays: as `__reduce__`."""
        rows = self.rows
        if rows is None:
            return KeptRows, (None, self.asked)
        kernel = rows.kernel
        return _again, (kernel.address, kernel.columns, kernel.data, rows.origin, rows.K, rows.used)


def _again(address: int, columns: Array, data: Any, origin: str, K: int, used: bool) -> KeptRows:
    rows = CompiledRows(RowKernel(address, columns, data), origin, K)
    rows.used = used
    return KeptRows(rows, True)


def _made(problem: Problem) -> CompiledRows | None:
    assert problem.compiled is not None
    found = problem.compiled.row_kernel(problem.family, problem.y)
    if found is None:
        return None
    rows, known = CompiledRows(*found, len(problem.predictors)), problem.compiled.known
    # what was looked at: this function, told these constants, in the predictors that are estimated
    kernel, family = rows.kernel, problem.family
    function = kernel.address, kernel.columns.shape[1], rows.told, problem.active()
    key = rows.origin, *function, type(family), *_options(family)
    agreed = known.get(key)
    if agreed is None:
        agreed = agrees(rows, problem)
        rows.used = False
        if agreed is not None:  # another fit of the same family need not look again
            known[key] = agreed
    return None if agreed is False else rows


def _options(family: Family) -> Iterator[Any]:
    """Yield the options of a family that is a dataclass, but not what it keeps of the data."""
    own: tuple[Any, ...] = fields(family) if is_dataclass(family) else ()
    for each in own:
        value = getattr(family, each.name)
        try:
            hash(value)
        except TypeError:  # arrays
            continue
        yield value


def function_of(evaluate: Callable[[Array], Evaluation]) -> CompiledFunction | None:
    """Return an objective as a function in C, of a convention that is known here; else None."""
    found = evaluate.function if isinstance(evaluate, CompiledObjective) else None
    return None if found is None or found.abi != CompiledFunction.abi else found


class WithSecondOpinion(CompiledObjective):
    """A compiled objective, and the one without where it does not succeed.

    Parameters
    ----------
    compiled : callable
    otherwise : callable
        Returns the one without.
    respond : callable
        Has the compiled one take other responses.
    """

    def __init__(
        self,
        compiled: Callable[[Array], Evaluation],
        otherwise: Callable[[], Callable[[Array], Evaluation]],
        respond: Respond,
    ) -> None:
        self._compiled, self._otherwise, self._respond = compiled, otherwise, respond
        self._second: Callable[[Array], Evaluation] | None = None

    @property
    def function(self) -> CompiledFunction | None:
        """The compiled one as a function of psi in C, where it is one."""
        return function_of(self._compiled)

    def information(self, psi: Array) -> Information | None:
        """Return what the compiled one says."""
        own = self._compiled
        return own.information(psi) if isinstance(own, CompiledObjective) else None

    def last(self, found: CompiledPath) -> Evaluation | None:
        """Return what the compiled one kept of its last evaluation."""
        own = self._compiled
        return own.last(found) if isinstance(own, CompiledObjective) else None

    def respond(self, mode: Array, responses: Array, weights: Array | None = None) -> Array | None:
        """Have the compiled one evaluate other responses; the other one is not asked any more.

        Parameters
        ----------
        mode : ndarray, shape (q,)
            Where the search for the mode begins, for each of them.
        responses : ndarray, shape (count, n) or (count, n, columns)
            With rows as given.
        weights : ndarray, shape (count, n), or None
            That take the place of the problem's; None where these stay.

        Returns
        -------
        ndarray, shape (count,), or None
            What the value of each is higher by; None if it cannot.
        """
        if not isinstance(self._compiled, CompiledObjective):
            return None
        raised = self._respond(self._compiled, mode, responses, weights)
        if raised is not None:
            self._second = _no_value
        return raised

    def __call__(self, psi: Array) -> Evaluation:
        """Return the compiled evaluation, or the other one where that did not succeed."""
        evaluation = self._compiled(psi)
        if evaluation.status is Status.OK:
            return evaluation
        if self._second is None:
            self._second = self._otherwise()
        return self._second(psi)


def _no_value(psi: Array) -> Evaluation:
    return Evaluation(np.inf, np.zeros(psi.size), np.zeros(0), Status.MODE_NOT_FOUND)
