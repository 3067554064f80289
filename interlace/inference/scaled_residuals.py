"""Residuals scaled by simulation, unconditional by default, and tests of what they should be.

Each observation is ranked among draws from the fitted model, ties broken at random: uniform if
the model is right, whatever the family (the idea of Gelman & Hill 2007, chapter 8, and of the R
package DHARMa). Unconditional draws have random effects of their own, so that a wrong distribution
of these shows as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import binomtest, kstest

from interlace.inference.simulation import simulate
from interlace.reporting.showing import Part, Showing, as_table
from interlace_core.messages.checks import require_count, require_flag
from interlace_core.messages.memory import require_memory
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates


@dataclass(frozen=True, repr=False)
class ScaledResiduals(Showing):
    """Simulation-scaled residuals with what they were made from.

    Attributes
    ----------
    values : Series
        Between 0 and 1; uniform if the model is right.
    observed : ndarray, shape (n,)
    draws : ndarray, shape (n_sim, n)
        On the scale of the mean.
    conditional : bool
        Whether the draws kept the fit's random effects.
    """

    values: pd.Series
    observed: Array
    draws: Array
    conditional: bool

    def parts(self) -> list[Part]:
        """Return the tests, and what they are of."""
        kept = "kept" if self.conditional else "drawn anew"
        title = (
            f"Scaled residuals of {len(self.values)} rows by {len(self.draws)} simulations, "
            f"random effects {kept}"
        )
        return [as_table(title, self.tests())]

    @property
    def normal(self) -> pd.Series:
        """The residuals as normal scores."""
        m = len(self.draws)
        return pd.Series(
            ndtri(np.clip(self.values, 0.5 / (m + 1), 1 - 0.5 / (m + 1))), self.values.index
        )

    def test_uniformity(self) -> Check:
        """Return the Kolmogorov-Smirnov test against the uniform distribution.

        Rows of one group share their random effect, which the unconditional test takes for
        independent: with few large groups read its p-value as a guide.
        """
        found = kstest(self.values.to_numpy(), "uniform")
        return Check("uniformity", float(found.statistic), float(found.pvalue))

    def test_dispersion(self) -> Check:
        """Return the ratio of observed to simulated spread about the simulated mean, and its test.

        Above 1: more spread than the model makes (overdispersion).
        """
        center = self.draws.mean(axis=0)
        own = float(np.mean(np.square(self.observed - center)))
        drawn = np.mean(np.square(self.draws - center), axis=1)
        return Check("dispersion", own / float(drawn.mean()), _two_sided(own, drawn))

    def test_zeros(self) -> Check:
        """Return the ratio of observed to simulated numbers of zeros, and its test."""
        own = float(np.sum(self.observed == 0.0))
        drawn = np.sum(self.draws == 0.0, axis=1).astype(np.float64)
        mean = float(drawn.mean())
        ratio = own / mean if mean > 0 else (1.0 if own == 0 else np.inf)
        return Check("zeros", ratio, _two_sided(own, drawn))

    @property
    def outliers(self) -> pd.Series:
        """Whether each residual is at an end: the observation is beyond all of its draws.

        The chance of that is 2 / (n_sim + 1) if the model is right, ties broken at random.
        """
        share = 1.0 / (len(self.draws) + 1.0)
        return (self.values < share) | (self.values > 1.0 - share)

    def test_outliers(self) -> Check:
        """Return the number of outliers over what is expected, and its binomial test.

        Rows of one group share their random effect, which the test takes for independent.
        """
        count, n = int(self.outliers.sum()), len(self.values)
        chance = 2.0 / (len(self.draws) + 1.0)
        p = 1.0 if chance >= 1.0 else float(binomtest(count, n, chance).pvalue)
        return Check("outliers", count / (n * min(chance, 1.0)), p)

    def tests(self) -> pd.DataFrame:
        """Return all tests in one table."""
        checks = (
            self.test_uniformity(), self.test_dispersion(), self.test_zeros(), self.test_outliers()
        )  # fmt: skip
        return pd.DataFrame(
            {"statistic": [c.statistic for c in checks], "pvalue": [c.pvalue for c in checks]},
            index=[c.name for c in checks],
        )


@dataclass(frozen=True)
class Check:
    """A test of residuals.

    Attributes
    ----------
    name : str
    statistic : float
        1 is right for dispersion, zeros and outliers, 0 for uniformity.
    pvalue : float
    """

    name: str
    statistic: float
    pvalue: float


def scaled_residuals(
    result: Estimates, n: int, *, seed: int | None, conditional: bool
) -> ScaledResiduals:
    """Return simulation-scaled residuals; see `GLMMResult.scaled_residuals`."""
    require_count(n, "scaled_residuals: n")
    require_flag(conditional, "scaled_residuals: conditional")
    require_memory(8.0 * 2 * n * result.y.size, "scaled_residuals: n", f"{n} draws")
    frame = simulate(result, n, seed=seed, conditional=conditional)
    draws = np.asarray(frame, dtype=np.float64).T
    observed = np.asarray(result.family.observed(result.y), dtype=np.float64)
    below = np.sum(draws < observed, axis=0)
    tied = np.sum(draws == observed, axis=0)
    # among n draws and itself: uniform on the n + 1 places, spread within one
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(n + 1)[n])
    values = (below + rng.uniform(size=observed.size) * (tied + 1.0)) / (n + 1.0)
    scaled = pd.Series(values, index=result.rows.index, name="scaled")
    return ScaledResiduals(scaled, observed, draws, bool(conditional))


def _two_sided(own: float, drawn: Array) -> float:
    """Return the Monte Carlo p-value of a number among draws of it, both tails."""
    m = drawn.size
    lower = (1.0 + np.sum(drawn <= own)) / (m + 1.0)
    upper = (1.0 + np.sum(drawn >= own)) / (m + 1.0)
    return float(min(1.0, 2.0 * min(lower, upper)))
