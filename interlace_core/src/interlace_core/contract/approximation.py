"""What an approximation of the marginal likelihood must be able to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from interlace_core.contract.problem import Problem
from interlace_core.messages.errors import OptionError, UnsupportedModelError
from interlace_core.records import Array, Evaluation, Information


@dataclass(frozen=True)
class Method:
    """By what a log-likelihood was computed: all that reports say of an approximation.

    Attributes
    ----------
    name : str
        Of the approximation; of the one inside where another is wrapped around it.
    points : int, optional
        Quadrature points for each random effect; None where it has no such number.
    nAGQ : int, optional
        Value of `nAGQ` that asks for it; None if it is chosen by name only.
    restricted : bool
        Whether it is a restricted likelihood (REML), which depends on the fixed effects.
    penalised : bool
        Whether a penalty was added, so that the optimum is no maximum of the likelihood but, by
        the priors that make the penalty, a posterior mode (MAP).
    """

    name: str
    points: int | None = None
    nAGQ: int | None = None
    restricted: bool = False
    penalised: bool = False

    @property
    def words(self) -> str:
        """What the estimates are, such as "restricted maximum likelihood (REML)"."""
        kinds = ("penalised " * self.penalised, "restricted " * self.restricted)
        short = ", ".join(["REML"] * self.restricted + ["MAP"] * self.penalised)
        return "".join((*kinds, "maximum likelihood", f" ({short})" if short else ""))

    def __str__(self) -> str:
        """Return its name and its points, `agq, 9 points`."""
        points = [] if self.points is None else [f"{self.points} points"]
        return ", ".join([self.name, *points, *["penalised"] * self.penalised])


class Approximation(ABC):
    """A way to integrate the random effects out of the likelihood."""

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    """Further names by which it is asked for, such as other software's for the same thing. Case,
    dots, hyphens and underscores do not count; what has such a name as its own goes before."""
    contract_version: ClassVar[int] = 1
    serves_nAGQ: ClassVar[range | None] = None
    """Values of `nAGQ` that choose this approximation by default; None if only by name."""

    @property
    def takes_relations(self) -> bool:
        """Whether it serves levels correlated by a known matrix (`RandomTerm.relation`).

        u is then spread over the levels by `Structure.spread`, and nothing factorises over them.
        By default False; may be a class attribute.
        """
        return False

    @property
    def takes_correlation(self) -> bool:
        """Whether it serves rows whose errors are correlated (`Problem.correlation`).

        By default False; may be a class attribute.
        """
        return False

    @property
    def precision_weights(self) -> bool:
        """Whether weights divide the residual variance of their row.

        By default False: they multiply its log-density. May be a class attribute.
        """
        return False

    @property
    def method(self) -> Method:
        """What reports say of it: by default its name, and whether it is a restricted likelihood.

        Override it where there are points, with `replace(super().method, points=...)`.
        """
        served = self.serves_nAGQ
        nAGQ = served.start if served is not None and len(served) == 1 else None
        return Method(self.name, nAGQ=nAGQ, restricted=self.unrestricted() is not None)

    @classmethod
    def from_nAGQ(cls, nAGQ: int) -> Self:
        """Return the instance that `nAGQ` asks for."""
        if cls.serves_nAGQ is None or nAGQ not in cls.serves_nAGQ:
            raise OptionError(
                f"approximation {cls.name!r} does not take nAGQ={nAGQ}. Leave nAGQ out, or leave "
                "out approximation= and let nAGQ choose."
            )
        return cls()

    @abstractmethod
    def check(self, problem: Problem) -> None:
        """Refuse what it cannot do, by name, and say what to do instead.

        Called by `require` alone, after levels and rows that are correlated were refused where
        it does not say that it takes those.

        Raises
        ------
        UnsupportedModelError
        """

    def require(self, problem: Problem) -> None:
        """Refuse a problem that it cannot serve: what the core calls before a fit.

        Raises
        ------
        UnsupportedModelError
            By `check`, or if levels or rows are correlated and it does not take those.
        """
        related = [term for term in problem.terms if term.relation is not None]
        if related and not self.takes_relations:
            raise UnsupportedModelError(
                f"approximation {self.method.name!r} takes groups that are independent of each "
                f"other; the levels of {related[0].group!r} are correlated by a known matrix. "
                "Use nAGQ=1."
            )
        if problem.correlation is not None and not self.takes_correlation:
            raise UnsupportedModelError(
                f"approximation {self.method.name!r} takes rows that are independent given the "
                f"random effects; the model has the correlation {problem.correlation.label}. "
                "Use fit()."
            )
        if problem.parts is not None:
            self.over_parts(problem)
        else:
            self.check(problem)

    def accepts(self, problem: Problem) -> bool:
        """Return whether `require` lets a problem pass."""
        try:
            self.require(problem)
        except UnsupportedModelError:
            return False
        return True

    def profiled(self, problem: Problem) -> slice:
        """Return the entries of psi that the objective determines itself; by default none.

        The optimizer then works on the others only, and every evaluation carries the profiled
        values with their covariance given the others.
        """
        return slice(0, 0)

    def extras(self, problem: Problem, psi: Array) -> Mapping[str, Any]:
        """Return what the result should keep of the optimum beyond an evaluation; arrays by name.

        Called once, after the fit, with the problem and the psi that were fitted. These may be in
        other units than the user's (`Problem.given`), and so is what is returned: what is made of
        it is brought there first, where it loses no digit (`Fit.uncertainty`).
        """
        return {}

    def shortcuts(self, problem: Problem) -> Shortcuts | None:
        """Return what gives start, scales and spread without passes over the rows.

        Called a few times per fit. None, the default, lets the core find them from the family's
        derivatives in every row. Of a problem whose rows lie in parts only `begin` is asked.
        """
        return None

    def curvature(self, problem: Problem, psi: Array) -> Curvature | None:
        """Return the exact second derivatives of the objective at psi, where it has them.

        They take the place of differences of gradients where a search has ended: worth it where
        they take less than an evaluation for each searched entry of psi. None, the default, for
        differences; called a few times per fit, also for a problem whose rows lie in parts if
        `over_parts` takes it: second derivatives are then sums over these, or None.
        """
        return None

    def unrestricted(self) -> Approximation | None:
        """Return what computes the likelihood, where this is a restricted one (REML).

        None, the default, says that this is the likelihood itself. Called where models with other
        fixed effects are compared, for which restricted likelihoods are of different data.
        """
        return None

    def restricted_volume(self, problem: Problem) -> slice:
        """Return the entries of psi that are integrated out over all values, as by REML.

        Its value depends on their units: with predictors `X = Q R`, so that their coefficients
        are `R beta`, it rises by `log|det R|`. None of psi, the default, for a likelihood.
        """
        return slice(0, 0)

    def at_mode(
        self,
        conditional: Any,
        mode: Any,
        psi: Array,
        solve_adjoint: Callable[..., Any] | None = None,
    ) -> tuple[float, Array] | None:
        """Return value and gradient at a conditional mode that somebody else found.

        For who has the random effects in parts, of which each process holds some, and does the
        search for the mode. None, the default, if it is no function of the mode alone.

        Parameters
        ----------
        conditional : engine.Conditional
            The joint density at psi.
        mode : engine.Mode
            Its mode.
        psi : ndarray, shape (n_psi,)
        solve_adjoint : callable, optional
            Solves for how the mode moves, where it is not determined by `mode` alone.

        Returns
        -------
        tuple of float and ndarray, shape (n_psi,), or None
        """
        return None

    def joint(self, problem: Problem) -> Approximation | None:
        """Return what has the same minimum as a function of all of psi, nothing profiled out.

        Called where this approximation profiles something out and a profile likelihood of that
        is wanted; None, the default, if there is no such function.
        """
        return None

    def bounded(self, problem: Problem) -> Approximation | None:
        """Return what stands in for it where a search loses the conditional mode of a group.

        There an approximation around a mode rises without an end, and a search that meets such a
        place does not come back. It is then made again with the stand-in, and goes on with this
        approximation from where that ends. The objective of the stand-in has to be bounded from
        below, with a gradient that is exact, and its minimum should be near one of this objective
        at which all groups have their modes. Its values are never reported, and it may determine
        other entries of psi itself. None, the default, if there is no such thing.
        """
        return None

    def penalty(self, problem: Problem, psi: Array) -> float:
        """Return what the objective holds beside the negative log-likelihood; by default nothing.

        Minus the log-density of priors, for an approximation that adds one.
        """
        return 0.0

    def penalty_curvature(self, problem: Problem, psi: Array) -> Array | None:
        """Return the second derivatives of `penalty` at psi as far as they are positive.

        Positive semidefinite, shape (n_psi, n_psi): a search is scaled by them and by what the data
        tell. None, the default, where there is no penalty.
        """
        return None

    def rivals(
        self, problem: Problem, psi: Array, covariance: Array
    ) -> Sequence[tuple[str, Array]]:
        """Return points, in words and numbers, from which to search for a lower minimum.

        Asked at a minimum of the objective; by default there are none. Each costs a search.

        Parameters
        ----------
        problem : Problem
        psi : ndarray, shape (n_psi,)
        covariance : ndarray, shape (n_psi, n_psi)
            The inverse of the objective's curvature there; NaN in the rows of entries at a bound.
        """
        return ()

    @abstractmethod
    def objective(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the function to minimise, `psi -> Evaluation`.

        It is a pure function of psi: what was evaluated before may make it faster, not
        different beyond its tolerance.
        """

    def over_parts(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the function to minimise where the rows lie in parts (`Problem.parts`).

        Groups of different parts share no random effects. Where the objective is a sum over groups,
        and the approximation determines none of psi itself, it is `engine.summed(self, problem)`;
        otherwise what all parts have to say together is asked by `problem.parts.total`. Evaluations
        have no mode (shape (0,)). `curvature` and the start of `shortcuts` are asked for too, and
        may be None; scales come from rows.

        Raises
        ------
        UnsupportedModelError
            If it cannot: the default, since nothing says that an objective is a sum.
        """
        raise UnsupportedModelError(
            f"approximation {self.method.name!r} takes all rows at once, and those of this model "
            "lie in parts. Use nAGQ=1 (Laplace), or data that memory holds."
        )

    def objective_from(self, problem: Problem, mode: Array) -> Callable[[Array], Evaluation]:
        """Return the function to minimise, its first search for a conditional mode begun at `mode`.

        Called where a mode was found that is better than the one that the objective follows. By
        default the same as `objective`: right wherever no start but its own is used.

        Parameters
        ----------
        problem : Problem
        mode : ndarray, shape (q,)
            Of the spherical random effects, laid out as in `Evaluation.mode`.
        """
        return self.objective(problem)


@dataclass(frozen=True)
class StartingValues:
    """The model without random effects, where a fit begins.

    Attributes
    ----------
    beta : ndarray, shape (n_beta,)
        Coefficients of all predictors, near their estimates without random effects.
    units : ndarray, shape (K,)
        Natural size of an effect on each linear predictor: 1 on logarithmic and probability
        scales; where eta is in units of the data, the residual standard deviation.
    sizes : sequence of (ndarray, shape (c,), or None), one per term
        Root mean square of what each of its columns moves eta by, near the estimates; None, and
        for a term that is not in the sequence, for the usual size.
    """

    beta: Array
    units: Array
    sizes: Sequence[Array | None] = ()


@dataclass(frozen=True)
class Curvature:
    """The second derivatives of an objective at a psi.

    Attributes
    ----------
    hessian : ndarray, shape (n_psi, n_psi)
        0 in rows and columns of the entries that the approximation profiles out.
    profiled_slope : ndarray, shape (m_profiled, n_psi), or None
        Derivatives of these entries in psi; None where there are none.
    """

    hessian: Array
    profiled_slope: Array | None = None


class Shortcuts(ABC):
    """Start, scales and the spread of the random effects of one problem."""

    @abstractmethod
    def begin(self) -> StartingValues:
        """Return the model without random effects; called once or twice per fit."""

    @abstractmethod
    def information(self, psi: Array) -> Information:
        """Return the information at psi, which scales the search; called once per fit, there."""

    @abstractmethod
    def effects_covariance(self, psi: Array) -> list[Array] | None:
        """Return the covariance of u given the data at the optimum, level by level.

        Of the levels' effects before the template where levels are correlated.

        Called once per fit.

        Returns
        -------
        list of ndarray, shape (c, c, L), one per grouping factor, or None
            In the order of `layout_of(problem).structure.factors`. None where H, the inverse of the
            covariance of all u, is not positive definite.
        """
