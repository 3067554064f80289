"""Compiled code that one distribution offers for families and approximations of others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from interlace_core.contract.family import Family
from interlace_core.contract.optimizer import QuasiNewton
from interlace_core.records import (
    Array,
    CompiledEnds,
    CompiledFunction,
    CompiledPath,
    Evaluation,
    Information,
    IntArray,
    RowKernel,
)


@dataclass(frozen=True)
class LinearProducts:
    """What the likelihood of a linear mixed model needs of its rows.

    Q are the p columns of the mean's X made orthonormal, `X = Q R`, and r is the response less its
    weighted least-squares fit without random effects.

    Attributes
    ----------
    A : mapping from (int, int) to ndarray
        Z'wZ on its pattern, shape (c, c, L) of a factor with itself.
    Zs : sequence of ndarray, shape (c, p + 1, L), one per factor
        Z'w[Q r].
    SS : ndarray, shape (p + 1, p + 1)
        [Q r]'w[Q r].
    R : ndarray, shape (p, p)
    beta : ndarray, shape (p,)
        Coefficients of the fit without random effects.
    n : int
    log_weights : float
        Sum of the logarithms of the weights.
    estimates_sigma : bool
        Whether log sigma, the last of psi, is a parameter; it is 0 otherwise.
    """

    A: Mapping[tuple[int, int], Array]
    Zs: Sequence[Array]
    SS: Array
    R: Array
    beta: Array
    n: int
    log_weights: float
    estimates_sigma: bool


@dataclass(frozen=True)
class Slopes:
    """The model without random effects at some coefficients, as sums over its rows.

    Attributes
    ----------
    value : float
        The log-likelihood.
    gradient : ndarray, shape (n_beta,)
        X_k' l_k of each predictor k.
    information : ndarray, shape (n_beta, n_beta)
        With blocks -X_k' l_kl X_l.
    pull : float
        The largest squared slope of a row in the first predictor, relative to its curvature;
        infinite where that is 0, or no number.
    """

    value: float
    gradient: Array
    information: Array
    pull: float


@dataclass(frozen=True)
class Climb:
    """Damped Newton steps to the coefficients of a model without random effects.

    The log-likelihood less `d'Hd / 2`, with d the way from where they begin and H `holding`.

    Attributes
    ----------
    beta : ndarray, shape (n_beta,)
        Where they begin.
    holding : ndarray, shape (n_beta, n_beta)
    tol_gain : float
        Half of what a step gains by the quadratic model, from which it is the last one.
    per_gain : bool
        Whether that is per unit gained so far, where that is more than 1.
    rise : float
        Of the log-likelihood, beyond which one has to look closer.
    no_pull : float
        Largest `Slopes.pull` at the last point at which one has to look closer.
    max_iterations, max_halvings : int
        Steps, and how often one of them may be shortened, by more damping.
    """

    beta: Array
    holding: Array
    tol_gain: float
    per_gain: bool
    rise: float
    no_pull: float
    max_iterations: int
    max_halvings: int


class CompiledSlopes(ABC):
    """The model without random effects in compiled code."""

    @abstractmethod
    def __call__(self, beta: Array) -> Slopes | None:
        """Return the sums at some coefficients; None where rows have no value."""

    def climb(self, climb: Climb) -> Array | None:
        """Return the coefficients at which steps end, shape (n_beta,).

        None where one has to look closer, or a point has no value: what is done without compiled
        code then begins anew. None, the default, also if it is not built.

        Parameters
        ----------
        climb : Climb
        """
        return None


@dataclass(frozen=True)
class RowColumns:
    """The columns of a linear model by row, in any order of the rows.

    Attributes
    ----------
    X : ndarray, shape (n, p)
    y, offset : ndarray, shape (n,)
    beta : ndarray, shape (p,)
        That make the residuals `r = y - offset - X beta`.
    weights : ndarray, shape (n,), or None
        Of each row; 1 if None.
    factors : tuple of (ndarray of intp, shape (n,), int, tuple)
        Level of each row, number of levels, and the columns of effects, (n,) each, None for a
        column of ones.
    """

    X: Array
    y: Array
    offset: Array
    beta: Array
    weights: Array | None
    factors: tuple[tuple[IntArray, int, tuple[Array | None, ...]], ...]


@dataclass(frozen=True)
class LevelSums:
    """Sums of products over the rows of each level of a factor.

    Attributes
    ----------
    A : ndarray, shape (c, c, L)
        Z'wZ.
    Zs : ndarray, shape (c, p + 1, L)
        Z'w[X r].
    """

    A: Array
    Zs: Array


@dataclass(frozen=True)
class RowSums:
    """Sums of products of the columns of a linear model.

    Attributes
    ----------
    SS : ndarray, shape (p + 1, p + 1)
        [X r]'w[X r].
    levels : tuple of LevelSums, one per factor
    """

    SS: Array
    levels: tuple[LevelSums, ...]


@dataclass(frozen=True)
class LinearResponses:
    """Of other responses, what takes the place of the last columns of `LinearProducts`.

    Attributes
    ----------
    Zs : sequence of ndarray, shape (count, c, L), one per factor
        Z'w r, r each response less its weighted least-squares fit without random effects.
    SS : ndarray, shape (count, p + 1)
        [Q r]'w r.
    beta : ndarray, shape (count, p)
        Coefficients of these fits.
    """

    Zs: Sequence[Array]
    SS: Array
    beta: Array


@dataclass(frozen=True)
class Descent:
    """A quasi-Newton search for the minimum over z, psi = origin + B z, from z = 0.

    Attributes
    ----------
    function : CompiledFunction
    rule : QuasiNewton
        When it ends.
    origin : ndarray, shape (n_psi,)
    B : ndarray, shape (n_psi, m)
        By which the curvature is about 1 in each direction of z.
    floor : float
        Value that only an objective without meaning goes below.
    longest : ndarray, shape (m,)
        Largest entries of a step in z: a search that goes further at once may land where the
        function has another valley, or no meaning.
    first : (float, ndarray of shape (n_psi,)), optional
        Value and gradient in psi at the origin, where they are known: the function need not be
        asked for them, and no evaluation of it is counted.
    step : float
        In z, of the differences that tell the curvature where it ends; 0 where none are wanted.
    central : bool
        Whether these go to both sides, the half-width then being `step`; to one side they are
        wanted only of functions that profile nothing out.
    """

    function: CompiledFunction
    rule: QuasiNewton
    origin: Array
    B: Array
    floor: float
    longest: Array
    first: tuple[float, Array] | None = None
    step: float = 0.0
    central: bool = True


class CompiledObjective(ABC):
    """An objective in compiled code, as a function in Python and, where it is one, in C."""

    @property
    def function(self) -> CompiledFunction | None:
        """The same as a function of psi in C, for a compiled search; None, the default, if none."""
        return None

    def take(
        self, rows: RowKernel, mode: Array, count: int = 1, weights: Array | None = None
    ) -> bool:
        """Evaluate the first of other responses of the model from now on; say if that can be done.

        `CompiledFunction.turn` then goes from one to the other: refits to many responses make no
        objective for each. By default it cannot.

        Parameters
        ----------
        rows : RowKernel
            Of the same family, `count` times as many rows: in the order of the layout, one response
            after the other.
        mode : ndarray, shape (q,)
            Where the search for the mode begins, for each of them.
        count : int
        weights : ndarray, shape (count * n,), or None
            That take the place of those of the rows; None where they stay.
        """
        return False

    def take_linear(self, responses: LinearResponses) -> bool:
        """Do the same as `take` where the objective is that of `Kernels.linear_objective`."""
        return False

    def last(self, found: CompiledPath) -> Evaluation | None:
        """Return the last evaluation of `function`, with what it keeps of it, such as the mode.

        Parameters
        ----------
        found : CompiledPath
            Of a search that ended with it.

        Returns
        -------
        Evaluation, or None
            None, the default, if that is not built: the point is then evaluated again.
        """
        return None

    def information(self, psi: Array) -> Information | None:
        """Return how much the rows tell at psi, at the conditional mode there.

        X'WX - X'WZ Lambda H^-1 Lambda'Z'WX and the diagonal of Z'WZ. None, the default, if that is
        not built or the mode is not found: it is then computed without compiled code.
        """
        return None

    @abstractmethod
    def __call__(self, psi: Array) -> Evaluation:
        """Return value, gradient and mode at psi; a status other than OK where there is none."""


class Kernels(ABC):
    """Compiled rows of families, and compiled objectives of approximations.

    A plugin offers its class by the hook `interlace_kernels`; everything works without. Families
    stay free of compiled code: the registry joins the two by `families`. A family that has code of
    its own returns it from `Family.row_kernel`, which comes first.
    """

    name: ClassVar[str]
    contract_version: ClassVar[int] = 1

    families: ClassVar[frozenset[tuple[str, str, str]]] = frozenset()
    """Families that `rows` serves: (distribution that provides it, name, link of the mean). A
    family made of others, such as one with a zero part, is served where those are too."""

    @property
    @abstractmethod
    def build(self) -> str:
        """What is loaded, in words such as "x86-64-v3"; empty where nothing was built.

        Nothing else is asked then.
        """

    def rows(self, family: Family, y: Array) -> RowKernel | None:
        """Return the compiled rows of a family, None if it has no such link or parameters.

        Called once per problem, for a family that `families` names. Every slot that the kernel
        offers agrees with `family.derivatives` as the kit's `kernel_checks` say.

        Parameters
        ----------
        family : Family
            Bound to the data.
        y : ndarray, shape (n,) or (n, m)
            As returned by `check_response`.
        """
        return None

    def objective(
        self,
        approximation: str,
        layout: Any,
        rows: RowKernel,
        settings: Any,
        mode: Array | None,
        nodes: tuple[Array, Array] | None = None,
    ) -> Callable[[Array], Evaluation] | None:
        """Return an approximation's objective in compiled code, None where it does not serve.

        Called where rows are independent given the effects, levels are not correlated, and the
        family is log-concave in the predictors with effects, so that the mode is unique. It
        agrees with the approximation's own objective to its tolerance, or says by the status of an
        evaluation that it did not succeed; the approximation's own is asked then.

        Parameters
        ----------
        approximation : str
            Its name.
        layout : engine.Layout
        rows : RowKernel
            Of the layout's rows.
        settings : engine.ModeSettings
        mode : ndarray, shape (q,), or None
            Where the first search for the mode begins; 0 if None.
        nodes : (ndarray, shape (c, J), and ndarray, shape (J,)), optional
            Of an integral around the mode: standard nodes, and the logarithm of each weight divided
            by `exp(-x'x / 2)`.

        Returns
        -------
        callable, or None
            From psi to an Evaluation. A `CompiledObjective` may be a function in C, which a
            compiled search calls.
        """
        return None

    def slopes(
        self, problem: Any, rows: RowKernel, random: int
    ) -> Callable[[Array], Slopes | None] | None:
        """Return the model without random effects as a function of its coefficients, or None.

        Called once per problem, where rows are independent, and then a few times per fit. It
        returns None where there is no value: it is then computed without compiled code. One that is
        a `CompiledSlopes` may take all steps of a climb at once.

        Parameters
        ----------
        problem : Problem
            With its rows in the order of `rows`.
        rows : RowKernel
        random : int
            The first predictor with random effects; 0 if there is none.
        """
        return None

    def plan(self, structure: Any, plan: Any) -> Any | None:
        """Return a way to factorise H in compiled code, None where it does not serve.

        Called once per layout, whatever the family. Every objective without compiled code then
        factorises by it; it agrees with the given one to rounding.

        Parameters
        ----------
        structure : engine.Structure
            Of independent levels.
        plan : engine.Plan
            The way without compiled code.

        Returns
        -------
        engine.Plan, or None
        """
        return None

    def products(self, rows: RowColumns) -> RowSums | None:
        """Return sums over the rows of a linear model and over those of each level, or None.

        By one pass over the rows, which are in any order. None, the default, where that is not
        built, or does not serve. Sums have the accuracy of those of blocks of a few hundred rows.

        Parameters
        ----------
        rows : RowColumns
        """
        return None

    def linear_objective(
        self, layout: Any, products: LinearProducts, restricted: bool
    ) -> Callable[[Array], Evaluation] | None:
        """Return the (restricted) likelihood of a linear mixed model in compiled code, or None.

        Called where rows are independent given the effects and levels are not correlated. The
        mean's coefficients are profiled out. What it returns is as for `objective`.

        Parameters
        ----------
        layout : engine.Layout
        products : LinearProducts
        restricted : bool
            Whether it is the restricted likelihood.
        """
        return None

    def search(self, descent: Descent) -> CompiledPath | None:
        """Return the path of a search, with differences where it ended if they are asked for.

        None, the default, if there is no compiled search; also if the first point has no value, or
        a value below the floor is met: another search then begins anew, step by step.

        Parameters
        ----------
        descent : Descent
        """
        return None

    def search_each(self, descent: Descent, count: int) -> CompiledEnds | None:
        """Return where searches for the minimum ended, one for each response of the function.

        Each is that of `search`, and what it would return None for has no end; nor has one without
        differences that were asked for. None, the default, if that is not built. Each answer is the
        same whatever responses were before.

        Parameters
        ----------
        descent : Descent
            Of a function with a `turn`.
        count : int
            Responses that its objective took.
        """
        return None

    def at_each(
        self, function: CompiledFunction, psi: Array
    ) -> tuple[Array, Array, Array, int] | None:
        """Return a compiled function at several points; None, the default, if that is not built.

        Parameters
        ----------
        function : CompiledFunction
        psi : ndarray, shape (k, n_psi)

        Returns
        -------
        values : ndarray, shape (k,)
            NaN where there is none.
        gradients : ndarray, shape (k, n_psi)
        profiled : ndarray, shape (k, n_profiled)
        inner : int
            Newton steps for modes, in all.
        """
        return None


@dataclass(frozen=True)
class Compiled:
    """The compiled code that may serve a problem, as the registry joined it.

    Attributes
    ----------
    rows : tuple of Kernels
        Those that name the problem's family.
    objectives : tuple of Kernels
        All that are built.
    searches : tuple of Kernels
        Those that may search; none where somebody chose the optimizer.
    threads : int
        That compiled code may use at once, where the user asked for several. Results are the same
        bits for any number.
    known : dict
        Whether compiled rows are those of the family, as it was found out for this model.
    """

    rows: tuple[Kernels, ...] = ()
    objectives: tuple[Kernels, ...] = ()
    searches: tuple[Kernels, ...] = ()
    threads: int = 1
    known: dict[Any, bool] = field(default_factory=dict, compare=False, repr=False)

    def row_kernel(self, family: Family, y: Array) -> tuple[RowKernel, str] | None:
        """Return the compiled rows of a problem, the family's own first, and where they are from.

        None where there are none, or none of a convention that is known here.

        Parameters
        ----------
        family : Family
            Bound to the data.
        y : ndarray, shape (n,) or (n, m)
            As returned by `check_response`.
        """
        found = family.row_kernel(y)
        if found is not None and found.abi == RowKernel.abi:
            return found, f"family {family.name!r}"
        for kernels in self.rows:
            found = kernels.rows(family, y)
            if found is not None and found.abi == RowKernel.abi:
                return found, f"{kernels.name}, {kernels.build}"
        return None
