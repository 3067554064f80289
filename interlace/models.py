"""The models that users call for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from interlace.entrances import entrance
from interlace_core.messages.checks import require_flag
from interlace_core.messages.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd

    from interlace.fits import Priors
    from interlace.inference.power import Power
    from interlace.results.result import GLMMResult
    from interlace_core.calculus.links import Link
    from interlace_core.contract.approximation import Approximation
    from interlace_core.contract.family import Family
    from interlace_core.contract.optimizer import Optimizer
    from interlace_core.fitting.stopping import Step


@entrance
def glmer(
    formula: str,
    data: Any,
    family: str | Family | type[Family],
    *,
    link: str | Link | None = None,
    groups: str | Sequence[str] | None = None,
    random: str | Sequence[str] | None = None,
    weights: Any = None,
    offset: Any = None,
    optimizer: str | Optimizer | None = None,
    optimizer_options: Mapping[str, Any] | None = None,
    nAGQ: int | None = None,
    REML: bool = False,
    approximation: str | Approximation | None = None,
    dispformula: str | None = None,
    ziformula: str | None = None,
    parameters: Mapping[str, str] | None = None,
    known_variance: Any = None,
    hold: Mapping[str, Any] | None = None,
    start: Mapping[str, Any] | None = None,
    starts: int | None = None,
    threads: int | None = None,
    kernels: str | bool | None = None,
    priors: Priors | None = None,
    known: Mapping[str, pd.DataFrame] | None = None,
    covariance: Mapping[str, str] | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    max_seconds: float | None = None,
    callback: Callable[[Step], object] | None = None,
    verbose: bool | None = None,
) -> GLMMResult:
    """Fit a generalised linear mixed model by maximum likelihood.

    Parameters
    ----------
    formula : str
        `response ~ fixed effects`, with random effects as bars, `(1 + x | g)`, if they are not
        given by `groups` or `random`. Responses: a column, `successes / trials` (division) with
        `weights=trials`, `cbind(successes, failures)`, 0/1, bool, or text with two levels.
        Offsets may be written `offset(log(e))`.
    data : data frame
        pandas, polars or pyarrow; or a dict of columns. Also what is read part by part: a folder,
        file or pattern of Parquet files, a pyarrow Dataset, a polars LazyFrame, a DuckDB relation,
        what a plugin opens (a Dask DataFrame), or `interlace.in_parts(...)` of one of these.
    family : str, Family or class
        Name of an installed family ("binomial", "poisson", ...; other software's names, such as
        "nbinom2", serve too), or an instance such as `BinomialFamily(link="probit")`.
    link : str or Link, optional
        Link of the mean, such as "probit"; by default the family's first.
    groups : str or list of str, optional
        Grouping columns with a random intercept each: `groups="g"` is `(1 | g)`.
    random : str or list of str, optional
        Random-effects terms, such as `["(1 + x | g)"]`.
    weights : str or array, optional
        Numbers of trials for a proportion; multipliers of the log-density elsewhere.
    offset : str or array, optional
        Added to the mean's linear predictor.
    optimizer : str or Optimizer, optional
        "lbfgsb" (default), "bobyqa", or any installed or constructed optimizer.
    optimizer_options : mapping, optional
        Options of the optimizer named.
    nAGQ : int, optional
        1 (default): Laplace. 2 and more: adaptive Gauss-Hermite quadrature with so many
        points, for one scalar random effect. 0: a fast approximate fit.
    REML : bool
        Whether the mean's coefficients are integrated out of the likelihood too, by Laplace with a
        flat prior, as glmmTMB defines it: variances are less too small where there are few groups.
    approximation : str or Approximation, optional
        An approximation by name, instead of by `nAGQ`.
    dispformula, ziformula : str, optional
        One-sided formulas for the family's dispersion and zero-inflation parameters.
    parameters : mapping, optional
        One-sided formulas for any further parameters, by name: `{"theta": "~ x"}`.
    known_variance : str or array, optional
        Known variances of the rows' errors in place of one to estimate, such as squared standard
        errors of studies: a column, a number for each row, or (in `fit`) their covariance, a
        matrix with a row for each row of the data.
    hold : mapping, optional
        Parameters that are not estimated, by the names that results print: coefficients, the
        family's parameters, and numbers of the random effects' structures by group (and column),
        `{"x": 1.0, "sd": {"herd": 0.5}, "theta": 2.0}`; labels such as `"sd(x | g)"` serve too.
        With a name in the place of a number the two are equal, `{"x1": "x2"}`,
        `{"sd": {"g": "h"}}`. They are printed as fixed, and do not count in `df`.
    start : mapping, optional
        Where the search begins, by the same names; what is not named starts as usual.
    starts : int, optional
        Searches from random starts beside the usual ones; the highest point of all is kept, and
        `summary()` says how many of them reached it. The starts are the same in every call.
    threads : int, optional
        Threads of linear algebra (BLAS) during the fit and what follows from it. One by default,
        unless the random effects outside the largest grouping factor are more than 2,000.
    kernels : bool or str, optional
        False, or "off", leaves all to NumPy; "required" refuses to do without compiled kernels.
        By default they serve where they are built: see `result.settings["kernel"]`.
    priors : mapping or "weak", optional
        Prior densities of what is estimated, by the names that results print, as for `hold`:
        coefficients, parameters of the family, `"sd(x | g)"`; and by keys for several: "fixed"
        (the mean's coefficients but the intercept; `"zi: fixed"` those of another parameter),
        "sd" and "cor" (also by group, `{"sd": {"g": interlace.half_normal(1)}}`). Densities:
        `normal`, `student_t`, `cauchy`; `exponential`, `gamma`, `half_normal`, `half_t`,
        `half_cauchy` for what is positive; `lkj` for correlations. They are densities of the
        numbers themselves, in their units, without a Jacobian. "weak" has published scales. The
        optimum is a posterior mode (MAP), and called so: no likelihood-ratio tests, no AIC.
    known : mapping from str to DataFrame, optional
        Covariance of the levels of a grouping factor, up to the variance that is estimated:
        `{"animal": A}`, with rows and columns labelled by the levels (see `pedigree`). It may
        hold more levels than the data. Of several terms on the factor, `known(1 | animal)` in
        the formula marks those that it is meant for.
    covariance : mapping from str to str, optional
        Covariance structure of the terms of a grouping factor: `{"g": "ar1"}` with
        `(0 + time | g)` is `ar1(0 + time | g)`. With options: `{"g": ("name", {"d": 2})}`.
    functions : mapping from str to callable, optional
        Functions of your own that the formulas call, by name: `{"f": f}` for `f(x)`. Each gets
        columns as arrays and returns one value per row. `predict` calls them again, so that they
        must not depend on the other rows; a fit with them is pickled, but not saved.
    max_seconds : float, optional
        Time after which the fit ends at the best point so far, with the status "stopped". It is
        looked at after each evaluation of the likelihood.
    callback : callable, optional
        Is told where the fit is after each evaluation, by a `Step` with `evaluations`, `llf`,
        `best_llf` and `seconds`; the fit ends, as by `max_seconds`, where it returns True.
    verbose : bool, optional
        Show progress on standard error if the fit takes more than two seconds.

    Returns
    -------
    GLMMResult

    Raises
    ------
    FormulaError, DataError, ResponseError
        If formula or data cannot be used; the message says where and why.
    UnknownNameError
        If a family, optimizer or approximation is not installed, or the family has no such link.
    UnsupportedModelError
        If the approximation cannot fit this model; the message says what does.
    OptionError
        If an argument is not acceptable.
    PluginError
        If a plugin's own code fails; the message names it.

    Examples
    --------
    >>> import interlace
    >>> cbpp = interlace.datasets.load("cbpp")
    >>> model = interlace.glmer(
    ...     "incidence / size ~ period", cbpp, "binomial", groups="herd", weights="size"
    ... )
    >>> round(model.llf, 3)
    -92.026
    """
    from interlace.data.request import ModelRequest
    from interlace.fits import fitted, options_in_force
    from interlace.results.result import GLMMResult

    request = ModelRequest(
        formula=formula,
        data=data,
        family=family,
        link=link,
        groups=groups,
        random=random,
        weights=weights,
        offset=offset,
        parameters=_parameter_formulas(dispformula, ziformula, parameters),
        arguments=_arguments(dispformula, ziformula),
        known_variance=known_variance,
        hold=hold,
        start=start,
        known=known,
        covariance=covariance,
        functions=functions,
    )
    require_flag(REML, "glmer: REML")
    if REML:
        nAGQ, approximation = None, _restricted(nAGQ, approximation)
    options = options_in_force(
        "glmer",
        optimizer=optimizer,
        optimizer_options=optimizer_options,
        nAGQ=nAGQ,
        approximation=approximation,
        max_seconds=max_seconds,
        verbose=verbose,
        starts=starts,
        threads=threads,
        kernels=kernels,
    )
    return fitted(request, options, returns=GLMMResult, priors=priors, callback=callback)


def _restricted(nAGQ: int | None, approximation: Any) -> str:
    """Return the name of the approximation that REML asks for.

    Raises
    ------
    OptionError
        If another is asked for beside.
    """
    if nAGQ not in (None, 1) or approximation is not None:
        other = "approximation" if approximation is not None else f"nAGQ={nAGQ!r}"
        raise OptionError(
            f"glmer: REML=True integrates by Laplace's approximation (nAGQ=1), got {other} beside "
            "it. Leave one of them out."
        )
    return "laplace-reml"


def _arguments(dispformula: str | None, ziformula: str | None) -> dict[str, str]:
    """Return by which argument the formula of each role was given, where it has one of its own."""
    given = {"dispersion": (dispformula, "dispformula"), "zero": (ziformula, "ziformula")}
    return {role: name for role, (formula, name) in given.items() if formula is not None}


def _parameter_formulas(
    dispformula: str | None, ziformula: str | None, parameters: Mapping[str, str] | None
) -> Mapping[str, str]:
    """Return the formulas of all further parameters; what is no mapping as it is, for the check."""
    named = {"dispersion": dispformula, "zero": ziformula}
    if parameters is not None and not isinstance(parameters, Mapping):
        return parameters
    return {
        **(parameters or {}),
        **{role: each for role, each in named.items() if each is not None},
    }


@entrance
def power(
    formula: str,
    data: Any,
    family: str | Family | type[Family],
    *,
    link: str | Link | None = None,
    fixed: Mapping[str, float],
    sd: Mapping[str, float | Mapping[str, float]],
    test: str | list[str],
    parameters: Mapping[str, float] | None = None,
    n: int = 200,
    alpha: float = 0.05,
    method: str = "wald",
    seed: int | None = None,
    n_jobs: int = 1,
    weights: Any = None,
    offset: Any = None,
    nAGQ: int | None = None,
) -> Power:
    """Return the power of a test of coefficients, by simulation from assumed values.

    Parameters
    ----------
    formula : str
        Of the model that will be fitted, with random effects as bars. The columns of its
        response need not be in the data.
    data : data frame
        The planned design: one row per observation to come.
    family : str, Family or class
    link : str or Link, optional
        As for `glmer`.
    fixed : mapping from str to float
        Assumed coefficients of the mean, by the names that a fit gives them; 0 where not named.
    sd : mapping
        Assumed standard deviations of the random effects by grouping factor: a number for all
        its columns, or a mapping from column to number. Effects are simulated uncorrelated.
        Of a structure of levels, times or places all its numbers by their names,
        `{"g": {"sd": 0.6, "rho": 0.5}}`, with the correlations that they say.
    test : str or list of str
        Coefficients tested against 0, jointly if several.
    parameters : mapping from str to float, optional
        Assumed further parameters of the family, on their natural scale.
    n : int
        Simulations.
    alpha : float
        Size of the test.
    method : str
        "wald", or "lrt" for a likelihood-ratio test.
    seed, n_jobs : int
        Repeatable draws; processes, by way of joblib.
    weights, offset, nAGQ
        As for `glmer`; numbers of trials are weights.

    Returns
    -------
    Power
        With the error of simulation, and failed fits with their reasons.

    Raises
    ------
    OptionError
        If a name is none of the model's, or a parameter has no assumed value.
    """
    from interlace.data.request import ModelRequest
    from interlace.fits import options_in_force
    from interlace.inference.power import Assumptions, simulate_power
    from interlace_core.messages.checks import names_of, require_mapping

    request = ModelRequest(
        formula, data, family, weights=weights, offset=offset, link=link, who="power"
    )
    return simulate_power(
        request,
        options_in_force("power", nAGQ=nAGQ),
        Assumptions(
            require_mapping(fixed, "power: fixed", "a mapping from coefficients to numbers"),
            require_mapping(sd, "power: sd", "a mapping from grouping factors to numbers"),
            require_mapping(
                {} if parameters is None else parameters,
                "power: parameters",
                "a mapping from parameters to numbers",
            ),
        ),
        test=names_of(test, "power: test", "a coefficient"),
        n=n,
        alpha=alpha,
        method=method,
        seed=seed,
        n_jobs=n_jobs,
    )
