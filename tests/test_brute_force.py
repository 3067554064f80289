"""Log-likelihoods against numerical integration that shares no code with the approximations."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad

import interlace
from interlace_core.registry.registry import default_registry


def zip_data(groups, rows, seed):
    """Return zero-inflated counts whose zero part, and mean, vary by group."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), rows)
    x = rng.normal(size=g.size)
    mean = np.exp(0.8 + 0.3 * x + 0.5 * rng.normal(size=groups)[g])
    zero = 1.0 / (1.0 + np.exp(0.4 - 0.8 * rng.normal(size=groups)[g]))
    y = np.where(rng.random(g.size) < zero, 0, rng.poisson(mean))
    return pd.DataFrame({"y": y.astype(float), "x": x, "g": g})


def group_log_density(fit, rows, shifts):
    """Return the log-density of some rows with the predictors shifted by random effects.

    `shifts` has one entry per predictor, arrays that broadcast to the integration grid.
    """
    y = fit.y[rows]
    grid = np.broadcast_shapes(*(np.shape(shift) for shift in shifts))
    eta = [
        fit.eta_fixed[k][rows] + np.asarray(np.broadcast_to(shift, grid))[..., None]
        for k, shift in enumerate(shifts)
    ]
    return np.sum(fit.family.log_density(y, eta), axis=-1)


def test_zero_part_with_a_random_effect_by_quadrature():
    data = zip_data(12, 15, seed=4)
    fit = interlace.glmer("y ~ x", data, "poisson", ziformula="~ 1 + (1 | g)", nAGQ=25)
    sd = float(fit.theta[0])
    total = 0.0
    for g in range(12):
        rows = np.flatnonzero(data["g"] == g)

        def integrand(b, rows=rows):
            prior = np.exp(-0.5 * (b / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
            return float(np.exp(group_log_density(fit, rows, [0.0, b]) + 30.0)) * prior

        total += np.log(quad(integrand, -9 * sd, 9 * sd, limit=200, epsabs=0, epsrel=1e-11)[0]) - 30
    assert fit.llf == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("rows_per_group", [150, 600])
def test_random_effects_on_both_parts_by_a_fine_grid(rows_per_group):
    """A trapezium of 81 x 81 points over +-8 conditional sd is exact to rounding.

    Laplace's relative error in each group's integral is of order 1 / rows (Tierney & Kadane
    1986): here no more than 4 / rows per group.
    """
    data = zip_data(6, rows_per_group, seed=5)
    fit = interlace.glmer("y ~ x + (1 | g)", data, "poisson", ziformula="~ 1 + (1 | g)")
    centre, width = fit.random_effects["g"].to_numpy(), fit.random_effects_se["g"].to_numpy()
    unit = np.linspace(-8.0, 8.0, 81)
    total = 0.0
    for g in range(6):
        rows = np.flatnonzero(data["g"] == g)
        b = [centre[g, k] + width[g, k] * unit for k in range(2)]
        prior = [np.exp(-0.5 * (b[k] / fit.theta[k]) ** 2) / fit.theta[k] for k in range(2)]
        grid = group_log_density(fit, rows, [b[0][:, None], b[1][None, :]])
        top, cell = grid.max(), width[g].prod() * (unit[1] - unit[0]) ** 2 / (2 * np.pi)
        total += top + np.log(prior[0] @ np.exp(grid - top) @ prior[1] * cell)
    assert fit.llf == pytest.approx(total, abs=6 * 4.0 / rows_per_group)
    assert fit.llf != pytest.approx(total, abs=1e-7)  # the grid is not Laplace in disguise


@pytest.mark.parametrize("name", ["zerooneinflated_beta", "ordered_beta"])
def test_proportions_with_ends_by_quadrature(name):
    """No reference engine fits these families; the integral over each group's effect does."""
    family = default_registry().family(name)()
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(10), 20)
    x = rng.normal(size=g.size)
    eta = [0.4 * x + 0.6 * rng.normal(size=10)[g]]
    eta += [np.full(g.size, value) for value in (1.5, -1.5, 1.0)]
    y = family.simulate(eta[: len(family.parameters)], rng)
    data = pd.DataFrame({"y": y, "x": x, "g": g})
    fit = interlace.glmer("y ~ x + (1 | g)", data, name, nAGQ=25)
    sd = float(fit.theta[0])
    still = [0.0] * (len(fit.family.parameters) - 1)
    total = 0.0
    for level in range(10):
        rows = np.flatnonzero(g == level)

        def integrand(b, rows=rows):
            prior = np.exp(-0.5 * (b / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
            return float(np.exp(group_log_density(fit, rows, [b, *still]))) * prior

        total += np.log(quad(integrand, -9 * sd, 9 * sd, limit=200, epsabs=0, epsrel=1e-11)[0])
    assert fit.llf == pytest.approx(total, abs=1e-5)
    laplace = interlace.glmer("y ~ x + (1 | g)", data, name)
    assert laplace.llf == pytest.approx(total, abs=10 * 2.0 / 20)
