"""Predictions at new times and places, against the closed form of a Gaussian process."""

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.prediction.design import included_terms, new_rows
from interlace.prediction.uncertainty import spread
from interlace_core.messages.errors import DataError
from reference_fits import load_data

RNG = np.random.default_rng(7)

REPEATED = load_data("sim_gap").query("t <= 4")

CORRELATIONS = {
    "exp": lambda d, r: np.exp(-d / r),
    "gau": lambda d, r: np.exp(-((d / r) ** 2)),
    "ou": lambda d, r: np.exp(-d / r),
    "ar1": lambda d, r: r**d,
}


def field(structure, n=40):
    """Return rows of two groups at scattered places, and others at new ones."""
    rows = pd.DataFrame({"g": np.repeat(["one", "two"], n)})
    if structure in ("ou", "ar1"):
        places = np.stack([np.sort(RNG.choice(3 * n, n, replace=False)) for _ in range(2)])
        rows["a"] = places.ravel() * (0.31 if structure == "ou" else 1.0)
    else:
        rows["a"], rows["b"] = RNG.uniform(0.0, 8.0, size=(2, 2 * n))
    rows["x"] = RNG.normal(size=2 * n)
    coordinates = [name for name in ("a", "b") if name in rows]
    value = CORRELATIONS[structure](distances(rows, rows, coordinates), truth(structure))
    same = rows["g"].to_numpy()[:, None] == rows["g"].to_numpy()[None, :]
    root = np.linalg.cholesky(value * same + 1e-9 * np.eye(2 * n))
    rows["y"] = 2.0 + 0.5 * rows["x"] + root @ RNG.normal(size=2 * n)
    # some places twice: what is left of them is the residual's
    rows = pd.concat([rows, rows.iloc[::3]], ignore_index=True)
    rows["y"] += 0.5 * RNG.normal(size=len(rows))
    new = rows.iloc[[0, 5, n, n + 3, 2 * n - 1]].copy()
    shift = {"ou": 0.1, "ar1": 1.0}.get(structure, 0.37)
    new["a"] = new["a"] + shift
    new.loc[new.index[-1], "a"] = rows["a"].max() + 5.0 * shift  # beyond all of them
    new["x"] = [0.0, 1.0, -1.0, 0.5, 2.0]
    return rows, pd.concat([new, rows.iloc[[1]]]).reset_index(drop=True), coordinates


def truth(structure):
    return 0.7 if structure == "ar1" else 1.5


def distances(one, other, coordinates):
    apart = one[coordinates].to_numpy()[:, None] - other[coordinates].to_numpy()[None]
    return np.sqrt(np.sum(apart**2, axis=-1))


def kriged(structure, rows, new, coordinates, psi):
    """Return mean and variance of the predictor at new rows, from psi in natural numbers."""
    sd, shape, *beta, log_sigma = psi
    R = CORRELATIONS[structure]

    def covariance(one, other):
        same = one["g"].to_numpy()[:, None] == other["g"].to_numpy()[None, :]
        return sd**2 * same * R(distances(one, other, coordinates), shape)

    V = covariance(rows, rows) + np.exp(2.0 * log_sigma) * np.eye(len(rows))
    k = covariance(rows, new)
    left = rows["y"] - beta[0] - beta[1] * rows["x"]
    mean = beta[0] + beta[1] * new["x"] + k.T @ np.linalg.solve(V, left)
    return mean.to_numpy(), sd**2 - np.einsum("ip,ip->p", k, np.linalg.solve(V, k))


@pytest.mark.parametrize("structure", CORRELATIONS)
def test_means_and_variances_are_those_of_a_gaussian_process(structure):
    rows, new, coordinates = field(structure)
    formula = f"y ~ x + {structure}(0 + {' + '.join(coordinates)} | g)"
    fit = interlace.fit(formula, rows, method="ML")
    assert fit.converged
    numbers = [*fit.confint(["sd", "rho | g" if structure == "ar1" else "range | g"])["estimate"]]
    psi = np.array([*numbers, *fit.fe_params, 0.5 * np.log(fit.scale)])
    mean, variance = kriged(structure, rows, new, coordinates, psi)
    assert fit.predict(new).to_numpy() == pytest.approx(mean, rel=1e-6)
    included = included_terms(fit, True)
    design = new_rows(fit, new, None, "error", included, all_effects=False)
    uncertain = spread(fit, design, included)
    assert uncertain.conditional[0, 0] == pytest.approx(variance, rel=1e-5)
    # and with the uncertainty of the parameters, by differences of the closed form
    D = np.empty((len(new), psi.size))
    for j in range(psi.size):
        step = 1e-5 * np.eye(psi.size)[j]
        up, down = (kriged(structure, rows, new, coordinates, psi + s)[0] for s in (step, -step))
        D[:, j] = (up - down) / 2e-5
    quantities = fit.confint(["sd", "rho | g" if structure == "ar1" else "range | g"])
    assert len(quantities) == 2
    V = fit.fit.vcov.copy()
    # of theta to the numbers: sd is itself, the other by its own slope
    from interlace.inference.parameters import term_covariances
    from interlace_core.contract.covariance import natural_slopes

    ((covariance, place),) = term_covariances(fit)
    change = np.eye(psi.size)
    change[:2, :2] = natural_slopes(covariance, fit.fit.psi[place])
    total = variance + np.einsum("np,pq,nq->n", D @ change, V, D @ change)
    found = fit.predict(new, se=True)
    assert found["se"].to_numpy() == pytest.approx(np.sqrt(total), rel=1e-3)


def test_rows_without_weight_tell_the_same():
    rows, new, _ = field("gau", n=25)
    rows["count"] = RNG.poisson(np.exp(0.5 * rows["y"]))
    fit = interlace.glmer("count ~ x + gau(0 + a + b | g)", rows, "poisson")
    both = pd.concat([rows, new.assign(count=0)], ignore_index=True)
    both["w"] = np.r_[np.ones(len(rows)), np.zeros(len(new))]
    held = {"sd": {"g": fit.confint("sd | g")["estimate"].iloc[0]},
            "range": {"g": fit.confint("range | g")["estimate"].iloc[0]}}  # fmt: skip
    whole = interlace.glmer(
        "count ~ x + gau(0 + a + b | g)", both, "poisson", weights="w", hold=held
    )
    assert fit.predict(new).to_numpy() == pytest.approx(whole.predict(new).to_numpy(), rel=1e-5)


def test_a_new_group_at_a_new_place_has_the_variance_of_any():
    rows, new, _ = field("ou", n=25)
    fit = interlace.fit("y ~ x + ou(0 + a | g)", rows)
    sd = fit.confint("sd | g")["estimate"].iloc[0]
    included = included_terms(fit, True)
    other = new.assign(g="three")
    design = new_rows(fit, other, None, "zero", included, all_effects=True)
    from interlace.prediction.target import Predicted, target_of

    found = Predicted.of(fit, design, included, target_of(fit, "link"), "marginal", None)
    assert found.variance[0, 0] == pytest.approx(np.full(len(new), sd**2), rel=1e-6)
    drawn = fit.predict(other, new_levels="sample", seed=1)
    assert np.std(drawn - fit.predict(other, include_re=False)) > 0.0


def test_intervals_cover_and_widen_away_from_the_data():
    rows, _, _ = field("ou", n=30)
    fit = interlace.fit("y ~ x + ou(0 + a | g)", rows)
    end = rows["a"].max()
    later = pd.DataFrame({"g": "one", "x": 0.0, "a": end + np.array([0.05, 0.5, 5.0, 500.0])})
    found = fit.predict(later, interval="confidence")
    width = (found["upper"] - found["lower"]).to_numpy()
    assert np.all(np.diff(width) > 0.0)
    assert found["fit"].iloc[-1] == pytest.approx(fit.fe_params.iloc[0], abs=1e-6)
    ahead = fit.predict(later, interval="prediction", seed=1)
    assert np.all(ahead["upper"] - ahead["lower"] > width)


def test_other_terms_and_parameters_beside():
    rows, new, _ = field("ou", n=30)
    fit = interlace.fit("y ~ x + (1 | g) + ou(0 + a | g)", rows)
    alone = fit.predict(new, include_re="1 | g")
    assert np.all(np.isfinite(fit.predict(new, se=True)))
    assert not np.allclose(alone, fit.predict(new))


def test_a_structure_that_does_not_say_is_named():
    fit = interlace.glmer("yp ~ x + homtoep(0 + t | g)", REPEATED, "poisson")
    with pytest.raises(DataError, match="'homtoep'.*does not say how"):
        fit.predict({"g": REPEATED["g"].iloc[:1], "t": [5], "x": [0.0]})


def test_held_numbers_and_loaded_fits(tmp_path):
    rows, new, _ = field("exp", n=25)
    fit = interlace.fit("y ~ x + exp(0 + a + b | g)", rows, hold={"range": {"g": 1.3}})
    fit.save(tmp_path / "fit.interlace")
    again = interlace.load(tmp_path / "fit.interlace")
    assert again.predict(new).to_numpy() == pytest.approx(fit.predict(new).to_numpy(), rel=1e-12)
