"""The coefficients of a fit in the blocks that reports show: one by parameter, and thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from interlace.reporting.meanings import link_of
from interlace.results.estimates import normal_pvalues
from interlace.results.thresholds import Thresholds, threshold_predictors, thresholds_of
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates

COMPONENTS = {"mean": "cond", "zero": "zi", "dispersion": "disp"}
"""broom.mixed's name of the part of a model, by the role of its parameter."""


@dataclass(frozen=True, eq=False)
class Block:
    """Coefficients that are reported together.

    Attributes
    ----------
    title : str
        Such as "Fixed effects".
    predictor : int
        Whose coefficients: an index of `Estimates.coefficients`; of thresholds the mean's.
    component : str
        broom.mixed's name of that part of the model.
    kind : str
        "location", or "intercept" for thresholds, which stand in place of an intercept.
    scale : str
        In words, such as "logit scale".
    names : tuple of str, length p
    estimates, errors : ndarray, shape (p,)
    test : str
        Name of the tests.
    tests : DataFrame
        Statistic, what its law needs beside, and two-sided p-value, a row for each coefficient.
    """

    title: str
    predictor: int
    component: str
    kind: str
    scale: str
    names: tuple[str, ...]
    estimates: Array
    errors: Array
    test: str
    tests: pd.DataFrame

    def limits(self, level: float) -> tuple[Array, Array]:
        """Return the ends of intervals, those of t where the tests are."""
        half = half_widths(self.tests, level) * self.errors
        return self.estimates - half, self.estimates + half


def blocks(result: Estimates, *, constants: bool = False) -> list[Block]:
    """Return the blocks of a fit: the mean's, thresholds, then further parameters' in order.

    Parameters
    ----------
    result : Estimates
    constants : bool
        Whether further parameters with a constant predictor are among them. They have values on
        their natural scale, `family_params`.
    """
    thresholds, natural = thresholds_of(result), set(result.family_params.index)
    found = [block_of(result, 0)] if result.coefficients[0].names else []
    own = threshold_predictors(result)
    if thresholds is not None:
        found.append(_threshold_block(result, thresholds))
    for k, each in enumerate(result.coefficients[1:], start=1):
        if k not in own and each.names and (constants or each.parameter.name not in natural):
            found.append(block_of(result, k))
    return found


def block_of(result: Estimates, k: int) -> Block:
    """Return the block of one parameter's coefficients."""
    found = result.coefficients[k]
    name_of_test, tests = result.wald_tests(k)
    return Block(
        title="Fixed effects" if k == 0 else f"Coefficients of {found.parameter.name}",
        predictor=k,
        component=component_of(result, k),
        kind="location",
        scale=f"{link_of(result, k)} scale",
        names=found.names,
        estimates=found.estimates,
        errors=result.bse_of(k).to_numpy(),
        test=name_of_test,
        tests=tests,
    )


def _threshold_block(result: Estimates, thresholds: Thresholds) -> Block:
    free = thresholds.free
    estimates = thresholds.estimates(result.fit.psi)[free]
    errors = thresholds.errors(result.fit)[free]
    with np.errstate(divide="ignore", invalid="ignore"):
        z = estimates / errors
    tests = pd.DataFrame({"z": z, "P>|z|": normal_pvalues(z)}, index=list(thresholds.free_names))
    return Block(
        title="Thresholds",
        predictor=0,
        component="cond",
        kind="intercept",
        scale=f"{link_of(result, 0)} scale",
        names=thresholds.free_names,
        estimates=estimates,
        errors=errors,
        test="Wald z tests",
        tests=tests,
    )


def component_of(result: Estimates, k: int) -> str:
    """Return broom.mixed's name of the part of a model that a predictor is."""
    parameter = result.coefficients[k].parameter
    return COMPONENTS.get(parameter.role, parameter.name)


def residual_parameter(result: Estimates) -> str | None:
    """Return the name of the constant parameter that is the residual standard deviation.

    None where the family has none, or where it varies by row.
    """
    last = result.eta_of_a_row()
    for k, each in enumerate(result.coefficients):
        name = each.parameter.name
        if k == 0 or name not in result.family_params.index:
            continue
        other = result.family.scale([eta + (0.1 if j == k else 0.0) for j, eta in enumerate(last)])
        scale, value = result.scale, float(result.family_params["value"][name])
        if other != scale and np.isclose(value**2, scale, rtol=1e-10):
            return str(name)
    return None


def half_widths(tests: pd.DataFrame, level: float) -> Any:
    """Return the half-width of each interval in standard errors: of t where tests are.

    Parameters
    ----------
    tests : DataFrame
        From `wald_tests`.
    level : float
    """
    if "df" not in tests:
        return float(ndtri(0.5 + 0.5 * level))
    from scipy.special import stdtrit

    return stdtrit(tests["df"].to_numpy(), 0.5 + 0.5 * level)
