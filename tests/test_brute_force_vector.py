"""Two random effects of a group, integrated by quadrature and, independently, on a fine grid."""

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_core.registry.registry import default_registry
from test_brute_force import zip_data

POINTS = 201
REACH = 8.0
"""The grid: a trapezium of 201 x 201 points over +-8 sd of the prior. For smooth integrands that
vanish at the ends its error falls exponentially with the number of points (Trefethen & Weideman
2014); with a spacing of 0.08 it is exact to rounding for groups as small as these."""

TOL_LOGLIK = 1e-5


def grid_log_likelihood(fit, data, T, shift):
    """Return the sum over groups of log of the integral over b = T z, z standard normal.

    `shift(b, rows)` gives the change of each predictor, shape (points, rows) or scalar 0, for
    effects b of shape (points, 2).
    """
    unit = np.linspace(-REACH, REACH, POINTS)
    z = np.stack(np.meshgrid(unit, unit, indexing="ij"), axis=-1).reshape(-1, 2)
    log_prior = -0.5 * np.sum(np.square(z), axis=1) - np.log(2.0 * np.pi)
    b, total = z @ T.T, 0.0
    for level in np.unique(data["g"]):
        rows = np.flatnonzero(data["g"] == level)
        y = fit.y[rows]
        eta = [
            np.broadcast_to(fit.eta_fixed[k][rows] + change, (b.shape[0], rows.size))
            for k, change in enumerate(shift(b, rows))
        ]
        exponent = np.sum(fit.family.log_density(y, eta), axis=-1) + log_prior
        top = exponent.max()
        total += top + np.log(np.sum(np.exp(exponent - top)) * (unit[1] - unit[0]) ** 2)
    return float(total)


def test_zero_inflated_effects_on_both_parts_by_quadrature_of_two():
    data = zip_data(8, 12, seed=6)
    fit = interlace.glmer(
        "y ~ x + (1 | g)",
        data,
        "poisson",
        ziformula="~ 1 + (1 | g)",
        approximation="agq-vector",
        nAGQ=25,
    )
    assert np.all(fit.theta > 0.1)
    total = grid_log_likelihood(fit, data, np.diag(fit.theta), lambda b, rows: [b[:, :1], b[:, 1:]])
    assert fit.llf == pytest.approx(total, abs=TOL_LOGLIK)


@pytest.mark.parametrize("name", ["zerooneinflated_beta", "ordered_beta"])
def test_proportions_with_a_random_slope_by_quadrature_of_two(name):
    family = default_registry().family(name)()
    rng = np.random.default_rng(12)
    g = np.repeat(np.arange(10), 15)
    x = rng.normal(size=g.size)
    b = rng.normal(size=(10, 2)) @ np.array([[0.9, 0.3], [0.0, 0.8]])
    eta = [0.4 * x + b[g, 0] + b[g, 1] * x]
    eta += [np.full(g.size, value) for value in (1.5, -1.5, 1.0)]
    y = family.simulate(eta[: len(family.parameters)], rng)
    data = pd.DataFrame({"y": y, "x": x, "g": g})
    fit = interlace.glmer("y ~ x + (1 + x | g)", data, name, approximation="agq-vector", nAGQ=25)
    T = np.array([[fit.theta[0], 0.0], [fit.theta[1], fit.theta[2]]])
    assert np.linalg.det(T) > 0.05
    still = [0.0] * (len(fit.family.parameters) - 1)
    total = grid_log_likelihood(
        fit, data, T, lambda b, rows: [b[:, :1] + b[:, 1:] * x[rows], *still]
    )
    assert fit.llf == pytest.approx(total, abs=TOL_LOGLIK)
