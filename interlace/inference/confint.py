"""Confidence intervals on natural scales: Wald, profile likelihood, parametric bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd
from scipy.special import ndtri

from interlace.choices import ConfintMethod
from interlace.inference.parameters import quantities, select
from interlace.inference.quantities import Quantity
from interlace.inference.wald import vcov_of
from interlace.results.fitted_model import require_training
from interlace_core.messages.checks import check_level, require_choice, require_count
from interlace_core.messages.errors import ConvergenceWarning, OptionError
from interlace_core.messages.warn import warn
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates

METHODS = get_args(ConfintMethod)


def confint(
    result: Estimates,
    parm: str | list[str] | None,
    *,
    method: str,
    level: float,
    n_boot: int,
    seed: int | None,
    n_jobs: int,
    vcov: Any,
    refit: bool | None,
) -> pd.DataFrame:
    """Return intervals; see `GLMMResult.confint`."""
    require_choice(method, METHODS, "confint: method")
    level = check_level(level, "confint")
    if vcov is not None and method != "wald":
        raise OptionError('confint: vcov goes with method="wald"; leave it out.')
    if refit is not None and method != "profile":
        raise OptionError('confint: refit goes with method="profile"; leave it out.')
    heading = None
    if method == "profile":
        from interlace.inference.profile import fit_to_profile, profile_limits

        require_training(result, "confint", by_parts=True)
        result, heading = fit_to_profile(result, parm, refit, "confint")
    chosen = select(quantities(result), parm, "confint")
    if method == "wald":
        known = result.fit if vcov is None else vcov_of(result, vcov, "confint")
        limits = [wald_limits(each, result.fit.psi, known.variance, level) for each in chosen]
    elif method == "profile":
        limits = profile_limits(result, chosen, level)
    else:
        from interlace.inference.bootstrap import bootstrap

        require_count(n_boot, "confint: n_boot")
        sample = bootstrap(result, n_boot, seed=seed, n_jobs=n_jobs)
        if sample.failures:
            warn(
                f"confint: {len(sample.failures)} of {n_boot} refits failed and are left out; the "
                f"first: {sample.failures[0].reason}",
                ConvergenceWarning,
            )
        ends = sample.confint([each.label for each in chosen], level=level)
        limits = list(zip(ends["lower"], ends["upper"], strict=True))
    return interval_frame(chosen, result.fit.psi, limits).rename_axis(columns=heading)


def interval_frame(
    chosen: list[Quantity], psi: Array, limits: list[tuple[float, float]]
) -> pd.DataFrame:
    """Return estimates and limits, one row per quantity."""
    frame = pd.DataFrame(limits, columns=["lower", "upper"], index=[each.label for each in chosen])
    frame.insert(0, "kind", [each.kind for each in chosen])
    frame.insert(1, "estimate", [each.value(psi) for each in chosen])
    return frame


def wald_limits(
    quantity: Quantity, psi: Array, variance_of: Callable[[Array], float], level: float
) -> tuple[float, float]:
    """Return limits from the delta method on the working scale, taken back.

    NaN for a quantity at a boundary, where the estimate is not normal on any scale; the whole
    scale for one that the data do not determine.

    Parameters
    ----------
    quantity : Quantity
    psi : ndarray, shape (n_psi,)
    variance_of : callable
        Returns the variance of a combination of psi.
    level : float
    """
    with np.errstate(invalid="ignore"):
        variance = variance_of(quantity.working_gradient(psi))
    half = float(ndtri(0.5 + 0.5 * level)) * np.sqrt(variance)
    middle = quantity.working_at(psi)
    if variance == np.inf:
        middle, half = 0.0, np.inf
    elif not np.isfinite(middle) or not np.isfinite(half):
        return np.nan, np.nan
    with np.errstate(all="ignore"):
        ends = quantity.natural(middle - half), quantity.natural(middle + half)
    return min(ends), max(ends)
