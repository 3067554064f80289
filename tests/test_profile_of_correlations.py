"""Limits of profiles of correlations where the covariance is singular and the surface bent."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

import interlace
from interlace_core.messages.errors import ConvergenceWarning

LABEL = "cor at distance 4 | g"


@pytest.fixture(scope="module")
def counts():
    """46 rows of 14 groups at up to five times: the covariance is singular at the optimum."""
    rng = np.random.default_rng(1)
    decay = 0.8 * 0.6 ** np.abs(np.subtract.outer(range(5), range(5)))
    rows = []
    for g in range(14):
        n = rng.integers(1, 6)
        times = rng.choice(5, size=n, replace=(g % 3 == 0))
        b = rng.multivariate_normal(np.zeros(5), decay)
        for time in times:
            rows.append((f"g{g}", str(time), b[time], rng.normal()))
            rng.uniform(0, 10), rng.uniform(0, 10)
    d = pd.DataFrame(rows, columns=["g", "f", "b", "x"])
    rng.normal(size=len(d))
    return d.assign(y=rng.poisson(np.exp(1 + 0.3 * d["x"] + 0.7 * d["b"])))


@pytest.mark.parametrize("name", ["homtoep", "toep"])
@pytest.mark.filterwarnings("ignore::interlace.errors.ConvergenceWarning")
def test_limits_are_where_the_profile_s_points_say(counts, name):
    """They were 0.19 and 0.65: the last values tried, where zeta was -1.24 and -0.6."""
    fit = interlace.glmer(f"y ~ x + {name}(0 + f | g)", counts, "poisson")
    lower, upper = fit.confint(LABEL, method="profile").loc[LABEL, ["lower", "upper"]]
    points = fit.profile(LABEL).points
    below = points[points["value"] < fit.profile(LABEL).estimates[LABEL]]
    crossing = np.interp(ndtri(0.025), below["zeta"], below["value"])
    assert lower == pytest.approx(crossing, abs=0.02)
    assert upper == 1.0 and points["zeta"].max() < ndtri(0.975)
    assert np.all(np.diff(points.sort_values("value")["zeta"]) > 0.0)


def test_a_limit_that_is_not_met_is_no_number(counts, monkeypatch):
    from interlace.inference import profile

    fit = interlace.glmer("y ~ x + (1 | g)", counts, "poisson")
    monkeypatch.setattr(profile, "MAX_REFITS", 1)
    with pytest.warns(ConvergenceWarning, match="could not be followed"):
        limits = fit.confint("x", method="profile")
    assert np.all(np.isnan(limits[["lower", "upper"]].to_numpy(dtype=float)))
