"""Random effects with levels correlated by a known matrix, against dense computations."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.special import gammaln

import interlace
from interlace_core.messages.errors import (
    ConvergenceWarning,
    DataError,
    DataWarning,
    FormulaError,
    OptionError,
    UnsupportedModelError,
)

ANIMALS = [f"a{i}" for i in range(30)]
USED = 26
"""The others have no data."""


@pytest.fixture(scope="module")
def A():
    rng = np.random.default_rng(5)
    sire = [None if i < 8 else ANIMALS[rng.integers(0, i // 2)] for i in range(30)]
    dam = [None if i < 8 else ANIMALS[rng.integers(i // 2, i)] for i in range(30)]
    return interlace.pedigree(ANIMALS, sire, dam)


@pytest.fixture(scope="module")
def data(A):
    rng = np.random.default_rng(6)
    n = 150
    code, pen = rng.integers(0, USED, n), rng.integers(0, 6, n)
    code[:USED] = np.arange(USED)
    b = np.linalg.cholesky(A.to_numpy()) @ rng.normal(size=(30, 2)) * [0.9, 0.4]
    x = rng.normal(size=n)
    eta = 0.5 + 0.3 * x + b[code, 0] + b[code, 1] * x + 0.5 * rng.normal(size=6)[pen]
    return pd.DataFrame(
        {
            "x": x,
            "animal": [ANIMALS[i] for i in code],
            "pen": pen.astype(str),
            "y": eta + 0.7 * rng.normal(size=n),
            "count": rng.poisson(np.exp(0.7 * eta)),
            "grade": pd.Categorical(np.clip(np.round(eta), -1, 2).astype(int), ordered=True),
        }
    )


def dense_linear(data, A, G, pen, sigma, restricted):
    """Return the exact log-likelihood of y, with G the 2 x 2 covariance of intercept and slope."""
    n = len(data)
    X = np.column_stack([np.ones(n), data["x"]])
    K = A.loc[data["animal"], data["animal"]].to_numpy()
    same = data["pen"].to_numpy()[:, None] == data["pen"].to_numpy()[None, :]
    V = K * (X @ G @ X.T) + pen**2 * same + sigma**2 * np.eye(n)
    V_inverse = np.linalg.inv(V)
    information = X.T @ V_inverse @ X
    beta = np.linalg.solve(information, X.T @ V_inverse @ data["y"])
    r = data["y"] - X @ beta
    total = n * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + r @ V_inverse @ r
    if restricted:
        total += np.linalg.slogdet(information)[1] - 2 * np.log(2 * np.pi)
    return -0.5 * total, beta, V_inverse @ r


@pytest.mark.parametrize("method", ["ML", "REML"])
def test_linear_model_is_the_exact_normal_law(data, A, method):
    found = interlace.fit(
        "y ~ x + (1 + x | animal) + (1 | pen)", data, known={"animal": A}, method=method
    )
    prior = found.effects["animal"].prior
    pen = np.sqrt(found.effects["pen"].prior[0, 0])
    expected, beta, weighted = dense_linear(
        data, A, prior, pen, np.sqrt(found.scale), method == "REML"
    )
    assert found.llf == pytest.approx(expected, abs=1e-8)
    np.testing.assert_allclose(found.fe_params, beta, atol=1e-8)
    # best linear unbiased predictors of every animal, those without data included
    Z = np.column_stack([np.ones(len(data)), data["x"]]) * np.asarray(weighted)[:, None]
    blup = A.loc[:, data["animal"]].to_numpy() @ Z @ prior
    table = found.random_effects["animal"].loc[A.index]
    np.testing.assert_allclose(table, blup, atol=1e-7)
    assert found.ngroups["animal"] == USED


def test_linear_gradient_is_the_slope_of_the_criterion(data, A):
    found = interlace.fit("y ~ x + (1 + x | animal) + (1 | pen)", data, known={"animal": A})
    check_gradient(found, [0.2, -0.1, 0.15, 0.1, 0.0, 0.0, 0.1])


def check_gradient(found, shift):
    training = found.training
    objective = training.approximation.objective(training.problem)
    psi = found.fit.psi + np.array(shift)
    gradient = objective(psi).gradient
    for i, slope in enumerate(gradient):
        step = np.zeros(psi.size)
        step[i] = 1e-5
        difference = (objective(psi + step).value - objective(psi - step).value) / 2e-5
        if slope or difference > 1e-9:
            assert slope == pytest.approx(difference, abs=2e-6, rel=2e-6)


def dense_laplace(data, A, psi, known_too=False):
    """Return minus Laplace's log-likelihood of the counts, by dense matrices."""
    used = [animal for animal in A.index if (data["animal"] == animal).any()]
    own = data["animal"].to_numpy()[:, None] == np.array(used)
    pens = np.unique(data["pen"])
    own_pen = data["pen"].to_numpy()[:, None] == pens
    sds, beta = psi[:-2], psi[-2:]
    blocks = [sds[0] * own @ np.linalg.cholesky(A.loc[used, used].to_numpy())]
    blocks += [sds[1] * own] if known_too else []
    blocks += [sds[-1] * own_pen]
    M = np.hstack(blocks)
    y, u = data["count"].to_numpy(), np.zeros(M.shape[1])
    fixed = beta[0] + beta[1] * data["x"].to_numpy()
    for _ in range(60):
        mu = np.exp(fixed + M @ u)
        H = np.eye(u.size) + M.T @ (mu[:, None] * M)
        u = u + np.linalg.solve(H, M.T @ (y - mu) - u)
    mu = np.exp(fixed + M @ u)
    H = np.eye(u.size) + M.T @ (mu[:, None] * M)
    joint = y * np.log(mu) - mu - gammaln(y + 1.0)
    return 0.5 * u @ u - np.sum(joint) + 0.5 * np.linalg.slogdet(H)[1]


def test_counts_have_laplaces_likelihood(data, A):
    found = interlace.glmer(
        "count ~ x + (1 | animal) + (1 | pen)", data, "poisson", known={"animal": A}
    )
    assert found.converged
    training = found.training
    objective = training.approximation.objective(training.problem)
    for shift in (0.0, 0.1):
        psi = found.fit.psi + shift
        assert objective(psi).value == pytest.approx(dense_laplace(data, A, psi), abs=1e-9)
    check_gradient(found, [0.1, -0.05, 0.1, 0.05])


def test_marked_terms_are_beside_independent_ones_of_the_same_factor(data, A):
    found = interlace.glmer(
        "count ~ x + known(1 | animal) + (1 | animal) + (1 | pen)",
        data,
        "poisson",
        known={"animal": A},
    )
    assert list(found.random_effects) == ["known(animal)", "animal", "pen"]
    training = found.training
    psi = np.array([0.5, 0.3, 0.2, 0.4, 0.2])
    value = training.approximation.objective(training.problem)(psi).value
    assert value == pytest.approx(dense_laplace(data, A, psi, known_too=True), abs=1e-9)
    subset = found.predict(include_re="known(1 | animal)", type="link")
    assert not np.allclose(subset, found.predict(include_re=False, type="link"))


def test_a_factor_nested_in_correlated_levels_is_eliminated_exactly(data, A):
    data = data.assign(visit=np.arange(len(data)) // 2)
    found = interlace.fit(
        "y ~ x + (1 | animal) + (1 | visit)", data, known={"animal": A}, method="ML"
    )
    n = len(data)
    K = A.loc[data["animal"], data["animal"]].to_numpy()
    visit = data["visit"].to_numpy()[:, None] == data["visit"].to_numpy()[None, :]
    a, v = (found.effects[g].prior[0, 0] for g in ("animal", "visit"))
    V = a * K + v * visit + found.scale * np.eye(n)
    r = data["y"] - found.predict(include_re=False)
    expected = -0.5 * (n * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + r @ np.linalg.solve(V, r))
    assert found.llf == pytest.approx(expected, abs=1e-8)


def test_the_identity_is_what_independent_levels_are(data):
    levels = sorted(set(data["animal"]))
    identity = pd.DataFrame(np.eye(len(levels)), index=levels, columns=levels)
    formula = "grade ~ x + (1 | animal) + (1 | pen)"
    one = interlace.clmm(formula, data, known={"animal": identity})
    two = interlace.clmm(formula, data)
    assert one.llf == pytest.approx(two.llf, abs=1e-7)
    np.testing.assert_allclose(one.fit.psi, two.fit.psi, atol=1e-4)
    np.testing.assert_allclose(one.fe_bse, two.fe_bse, rtol=1e-3)


def test_the_scale_of_the_matrix_is_that_of_its_variance(data, A):
    formula = "count ~ x + (1 | animal) + (1 | pen)"
    one = interlace.glmer(formula, data, "poisson", known={"animal": A})
    for scale in (1e-6, 1e6):
        two = interlace.glmer(formula, data, "poisson", known={"animal": scale * A})
        assert two.converged
        assert two.llf == pytest.approx(one.llf, abs=1e-7)
        assert two.theta[0] * np.sqrt(scale) == pytest.approx(one.theta[0], rel=1e-4)


def test_clones_share_their_effect(data, A):
    """A singular matrix: two animals with the same genes are one level."""
    clones = A.copy()
    clones.loc["a20"] = A.loc["a19"]
    clones["a20"] = clones["a19"]
    clones.loc["a20", "a20"] = A.loc["a19", "a19"]
    merged = data.assign(animal=data["animal"].replace("a20", "a19"))
    formula = "count ~ x + (1 | animal)"
    one = interlace.glmer(formula, data, "poisson", known={"animal": clones})
    distinct = A.drop("a20").drop(columns="a20")
    two = interlace.glmer(formula, merged, "poisson", known={"animal": distinct})
    assert one.llf == pytest.approx(two.llf, abs=1e-7)
    effects = one.random_effects["animal"]
    assert effects["a20"] == pytest.approx(effects["a19"], abs=1e-8)


def test_relatives_without_data_are_predicted_with_their_own_uncertainty(data, A):
    found = interlace.fit("y ~ x + (1 | animal)", data, known={"animal": A}, method="ML")
    new = pd.DataFrame({"x": 0.0, "animal": ["a0", "a27", "a29"]})
    predicted = found.predict(new, interval="confidence")
    effects = found.random_effects["animal"].loc[new["animal"]].to_numpy()
    np.testing.assert_allclose(predicted["fit"], found.fe_params["Intercept"] + effects)
    # the conditional law of effects given y, by dense matrices
    K = A.loc[data["animal"], data["animal"]].to_numpy()
    variance = found.effects["animal"].prior[0, 0]
    V = variance * K + found.scale * np.eye(len(data))
    C = variance * A.loc[new["animal"], data["animal"]].to_numpy()
    own = variance * np.diagonal(A.loc[new["animal"], new["animal"]])
    expected = own - np.sum(C @ np.linalg.inv(V) * C, axis=1)
    group = found.effects["animal"]
    places = [group.levels.index(a) for a in new["animal"]]
    np.testing.assert_allclose(group.covariance[places, 0, 0], expected, rtol=1e-8)
    two = interlace.fit("y ~ x + (1 | animal) + (1 | pen)", data, known={"animal": A}, method="ML")
    both = two.predict(new.assign(pen="0"), interval="confidence")
    assert np.all(both["se"] > 0.0)
    with pytest.warns(DataWarning, match="stranger"):
        found.predict(new.assign(animal="stranger"))


def test_kenward_roger_and_satterthwaite_agree_roughly(data, A):
    formula = "y ~ x + (1 | animal)"
    one = interlace.fit(formula, data, known={"animal": A}, df_method="kenward-roger")
    two = interlace.fit(formula, data, known={"animal": A})
    np.testing.assert_allclose(one.fe_df, two.fe_df, rtol=0.15)
    np.testing.assert_allclose(one.fe_bse, two.fe_bse, rtol=0.05)


def test_draws_have_the_covariance_of_the_matrix(data, A):
    found = interlace.fit("y ~ x + (1 | animal)", data, known={"animal": A}, method="ML")
    draws = found.simulate(4000, seed=1, conditional=False).to_numpy()
    K = A.loc[data["animal"], data["animal"]].to_numpy()
    V = found.effects["animal"].prior[0, 0] * K + found.scale * np.eye(len(data))
    S = np.cov(draws)
    # a covariance of N draws has a standard error of about V sqrt(2 / N)
    np.testing.assert_allclose(S, V, atol=6 * V.max() * np.sqrt(2 / 4000))
    off = ~np.eye(len(data), dtype=bool)
    assert np.corrcoef(S[off], V[off])[0, 1] > 0.97


def test_saved_pickled_and_refitted(data, A, tmp_path):
    found = interlace.glmer("count ~ x + (1 | animal)", data, "poisson", known={"animal": A})
    found.save(tmp_path / "fit.interlace")
    new = pd.DataFrame({"x": [0.0, 1.0], "animal": ["a29", "a3"]})
    expected = found.predict(new)
    np.testing.assert_array_equal(interlace.load(tmp_path / "fit.interlace").predict(new), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(found)).predict(new), expected)
    again = found.refit(found.y)
    assert again.llf == pytest.approx(found.llf, abs=1e-7)
    boot = found.bootstrap(3, seed=1)
    assert not boot.failures


def test_reports_say_so(data, A):
    found = interlace.glmer("count ~ x + (1 | animal)", data, "poisson", known={"animal": A})
    assert "known matrix" in str(found.summary())
    assert "4 level(s) without data" in str(found.summary())
    assert "known matrix" in str(found.explain())
    variance = found.r2().random
    average = np.mean(np.diagonal(A.loc[data["animal"], data["animal"]]))
    assert variance == pytest.approx(found.theta[0] ** 2 * average)


def test_what_takes_groups_apart_is_refused(data, A):
    found = interlace.glmer("count ~ x + (1 | animal)", data, "poisson", known={"animal": A})
    for call in (found.vcov_robust, found.influence):
        with pytest.raises(UnsupportedModelError, match="known matrix"):
            call()
    with pytest.raises(UnsupportedModelError, match=r"'animal'.*nAGQ=1"):
        interlace.glmer("count ~ x + (1 | animal)", data, "poisson", known={"animal": A}, nAGQ=5)


def test_faulty_matrices_are_refused_in_words(data, A):
    def refusal(kind, known, formula="count ~ x + (1 | animal)"):
        with pytest.raises(kind) as caught:
            interlace.glmer(formula, data, "poisson", known=known)
        return str(caught.value)

    assert "DataFrame" in refusal(OptionError, {"animal": A.to_numpy()})
    assert "a25 (1 of 26" in refusal(DataError, {"animal": A.drop("a25").drop(columns="a25")})
    assert "got 'anima'" in refusal(OptionError, {"anima": A})
    assert "eigenvalues" in refusal(DataError, {"animal": A - 0.9})
    lopsided = A.copy()
    lopsided.loc["a1", "a2"] += 0.5
    assert "symmetric" in refusal(DataError, {"animal": lopsided})
    holes = A.copy()
    holes.loc["a1", "a2"] = np.nan
    assert "'a1' and 'a2'" in refusal(DataError, {"animal": holes})
    twice = A.rename(index={"a1": "a2"}, columns={"a1": "a2"})
    assert "a2 more than once" in refusal(DataError, {"animal": twice})
    sides = A.rename(index={"a1": "b1"})
    assert "a1, b1 on one side" in refusal(DataError, {"animal": sides})
    assert "known={'animal': K}" in refusal(FormulaError, None, "count ~ x + known(1 | animal)")
    assert "dict" in refusal(OptionError, [A])


def test_labels_are_matched_by_name_in_any_order(data, A):
    formula = "count ~ x + (1 | animal)"
    one = interlace.glmer(formula, data, "poisson", known={"animal": A})
    shuffled = A.iloc[::-1, :].sample(frac=1.0, axis=1, random_state=1)
    two = interlace.glmer(formula, data, "poisson", known={"animal": shuffled})
    assert two.llf == pytest.approx(one.llf, abs=1e-9)
    numbered = data.assign(animal=data["animal"].str[1:].astype(int))
    numbers = A.rename(index=lambda a: int(a[1:]), columns=lambda a: int(a[1:]))
    three = interlace.glmer(formula, numbered, "poisson", known={"animal": numbers})
    assert three.llf == pytest.approx(one.llf, abs=1e-7)


def test_one_record_per_animal_can_be_fitted(data, A):
    """The levels' correlations tell their variance from the residual one."""
    single = data.drop_duplicates("animal")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = interlace.fit("y ~ x + (1 | animal)", single, known={"animal": A})
    assert np.isfinite(found.llf)


def test_structures_may_be_given_beside_the_matrix(data, A):
    formula = "y ~ x + {}(1 + x | animal{})"
    one = interlace.fit(
        formula.format("", ""), data, known={"animal": A}, covariance={"animal": "diag"}
    )
    two = interlace.fit(formula.format("known", ", structure = 'diag'"), data, known={"animal": A})
    assert one.llf == pytest.approx(two.llf, abs=1e-9)
    assert one.theta.size == two.theta.size == 2


def test_errors_of_relatives_without_data_do_not_depend_on_a_factor_beside_them(data, A):
    """A second factor takes another way, by solves; with next to no variance it changes nothing."""
    formula, given = "y ~ x + (1 | animal)", {"known": {"animal": A}, "method": "ML"}
    alone = interlace.fit(formula, data, **given)
    beside = interlace.fit(f"{formula} + (1 | pen)", data, hold={"sd": {"pen": 1e-5}}, **given)
    new = pd.DataFrame({"x": 0.3, "animal": ANIMALS[USED - 2 :], "pen": "1"})
    known, found = (m.predict(new, type="link", se=True)["se"] for m in (alone, beside))
    np.testing.assert_allclose(found, known, rtol=1e-3)
    assert known.iloc[2:].min() > known.iloc[:2].max()  # those without data are known worse
