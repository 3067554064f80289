"""Parameters held at values, and starts by name: against offsets, other models and the optimum."""

import warnings

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_core.contract.held import HeldNumbers, with_held
from interlace_core.covariances import Unstructured
from interlace_core.messages.errors import NotAvailableError, OptionError
from interlace_core.testing.differences import gradient
from reference_fits import load_data

MAP = load_data("sim_map")
SLOPES = "yg ~ x1 + x2 + (1 + x1 | g)"


def test_a_held_coefficient_is_an_offset():
    held = interlace.glmer("yb ~ x1 + x2 + (1 | g)", MAP, "binomial", hold={"x1": 0.5})
    offset = interlace.glmer("yb ~ x2 + offset(0.5 * x1) + (1 | g)", MAP, "binomial")
    assert held.llf == pytest.approx(offset.llf, abs=1e-9)
    assert held.df == offset.df
    assert held.fe_params["x1"] == 0.5 and held.fe_bse["x1"] == 0.0
    assert np.isnan(held.fe_pvalues["x1"])
    assert held.held.to_dict() == {"x1": 0.5}
    new = MAP.iloc[:7]
    assert held.predict(new).to_numpy() == pytest.approx(offset.predict(new).to_numpy(), rel=1e-7)
    assert "(fixed)" in str(held.summary())


def test_equal_coefficients_are_one_of_the_sum():
    equal = interlace.fit("yg ~ x1 + x2 + (1 | g)", MAP, hold={"x1": "x2"})
    total = interlace.fit("yg ~ x2 + (1 | g)", MAP.assign(x2=MAP["x1"] + MAP["x2"]))
    assert equal.llf == pytest.approx(total.llf, abs=1e-9)
    assert equal.fe_params["x1"] == equal.fe_params["x2"]
    assert equal.fe_bse["x1"] == pytest.approx(total.fe_bse["x2"], rel=1e-6)
    predicted = equal.predict(MAP.iloc[:5]).to_numpy()
    assert predicted == pytest.approx(equal.fittedvalues.to_numpy()[:5], rel=1e-12)


@pytest.mark.parametrize("method", ["ML", "REML"])
def test_the_residual_held_at_its_estimate_changes_nothing(method):
    free = interlace.fit(SLOPES, MAP, method=method)
    held = interlace.fit(SLOPES, MAP, method=method, hold={"sigma": free.scale**0.5})
    assert held.llf == pytest.approx(free.llf, abs=1e-8)
    assert held.df == free.df - 1
    assert held.fe_params.to_numpy() == pytest.approx(free.fe_params.to_numpy(), rel=1e-5)
    same = interlace.glmer(SLOPES, MAP, "gaussian", hold={"sigma": held.scale**0.5})
    if method == "ML":
        assert same.llf == pytest.approx(free.llf, abs=1e-8)


@pytest.mark.parametrize(
    ("hold", "free"),
    [
        ({"sd": {"g": {"Intercept": None}}}, "sd(Intercept | g)"),
        ({"sd": {"g": {"x1": None}}}, "sd(x1 | g)"),
        ({"cor": {"g": None}}, "cor(x1, Intercept | g)"),
        ({"sd(x1 | g)": None}, "sd(x1 | g)"),
        ({"cor(Intercept, x1 | g)": None}, "cor(x1, Intercept | g)"),
    ],
)
def test_a_number_held_at_its_estimate_changes_nothing(hold, free):
    data = load_data("sleepstudy").rename(columns={"Days": "x1", "Subject": "g"})
    whole = interlace.glmer("Reaction ~ x1 + (1 + x1 | g)", data, "gaussian")
    value = float(whole.confint().loc[free, "estimate"])
    held = interlace.glmer(
        "Reaction ~ x1 + (1 + x1 | g)", data, "gaussian", hold=filled(hold, value)
    )
    assert held.llf == pytest.approx(whole.llf, abs=1e-7)
    assert held.df == whole.df - 1
    assert held.held.iloc[0] == value
    assert free.split("(")[0] not in held.confint().index
    # and at another value it costs
    away = interlace.glmer(
        "Reaction ~ x1 + (1 + x1 | g)", data, "gaussian", hold=filled(hold, 0.5 * value + 0.3)
    )
    assert away.llf < whole.llf - 1e-3


def filled(hold, value):
    return {key: value if inner is None else filled(inner, value) for key, inner in hold.items()}


def test_everything_held_is_the_likelihood_there():
    free = interlace.glmer("yp ~ x1 + (1 | g)", MAP, "poisson")
    values = free.fe_params.to_dict() | {"sd": {"g": float(free.theta[0])}}
    held = interlace.glmer("yp ~ x1 + (1 | g)", MAP, "poisson", hold=values)
    assert held.df == 0
    assert held.llf == pytest.approx(free.llf, abs=1e-10)


def test_what_is_held_survives_a_file(tmp_path):
    hold = {"sd": {"g": {"x1": 0.2}}, "x2": 0.4}
    fit = interlace.glmer(SLOPES, MAP, "gaussian", hold=hold)
    fit.save(tmp_path / "held.interlace")
    again = interlace.load(tmp_path / "held.interlace")
    assert again.held.to_dict() == fit.held.to_dict()
    assert again.predict(MAP).to_numpy() == pytest.approx(fit.predict(MAP).to_numpy(), abs=1e-12)
    assert again.confint("sd").equals(fit.confint("sd"))


def test_profiles_and_refits_leave_what_is_held():
    fit = interlace.glmer("yp ~ x1 + (1 | g) + (1 | h)", MAP, "poisson", hold={"sd": {"h": 0.3}})
    limits = fit.confint("sd(Intercept | g)", method="profile")
    assert 0.3 < limits["lower"].iloc[0] < limits["upper"].iloc[0] < 1.5
    again = fit.refit(fit.simulate(1, seed=1, raw=True)[0])
    assert again.held.to_dict() == fit.held.to_dict()
    assert again.variance_components["h"] == pytest.approx(0.09)


@pytest.mark.parametrize(
    "held",
    [{"sd(b)": 0.7}, {"cor(a, b)": 0.4}, {"sd(b)": 0.7, "cor(a, b)": -0.4}, {"cor(b, c)": 0.2}],
)
def test_slopes_of_structures_with_held_numbers(held):
    columns = ["a", "b", "c"]
    structure = with_held(Unstructured(3), columns, held)
    assert structure.n_theta == 6 - len(held)
    rng = np.random.default_rng(2)
    theta = structure.start() + 0.1 * rng.normal(size=structure.n_theta)
    dT = np.tril(rng.normal(size=(3, 3)))
    found = structure.pullback(theta, dT)
    wanted = gradient(lambda t: float(np.sum(dT * structure.template(t))), theta, 1e-4)
    assert found == pytest.approx(wanted, abs=1e-6)
    T = structure.template(theta)
    natural = Unstructured(3).natural(Unstructured(3).nearest(T @ T.T))
    names = Unstructured(3).names(columns)
    for name, value in held.items():
        assert natural[names.index(name)] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("hold", "words"),
    [
        ({"q": 1.0}, "expected a parameter of the model, got 'q'"),
        ({"sd": {"q": 1.0}}, "sd of q"),
        ({"sd": {"g": -1.0}}, "at least 0"),
        ({"sd": 1.0}, "got 'sd'"),
        ([1.0], "expected a dict"),
        ({"sigma": -1.0}, "within its range"),
        ({"x1": True}, "expected a number"),
        ({"x1": "two"}, "got 'two'"),
        ({"x1": float("nan")}, "expected a number"),
        ({"x1": "x2", "x2": 1.0}, "free one"),
        ({"x1": 1.0, "sd": {"g": "x1"}}, "cannot be equal"),
    ],
)
def test_mistakes_are_named(hold, words):
    with pytest.raises(OptionError, match="^fit: hold") as caught:
        interlace.fit("yg ~ x1 + x2 + (1 | g)", MAP, hold=hold)
    assert words in str(caught.value)


def test_starts_by_name_lead_to_the_same_optimum():
    usual = interlace.glmer(SLOPES, MAP, "gaussian")
    start = {"x1": 3.0, "sd": {"g": {"x1": 1.0, "Intercept": 2.0}}, "cor": {"g": 0.5}, "sigma": 2.0}
    other = interlace.glmer(SLOPES, MAP, "gaussian", start=start)
    assert other.llf == pytest.approx(usual.llf, abs=1e-7)
    assert other.fit.path != usual.fit.path
    with pytest.raises(OptionError, match="^glmer: start: "):
        interlace.glmer(SLOPES, MAP, "gaussian", start={"cor": {"g": 2.0}})
    with pytest.raises(OptionError, match="^glmer: start: theta must be 3"):
        interlace.glmer(SLOPES, MAP, "gaussian", start={"theta": [1.0]})


@pytest.mark.parametrize("kernels", ["off", "auto"])
@pytest.mark.parametrize("method", ["ML", "REML"])
def test_an_intercept_held_far_out_has_no_likelihood_of_rounding(kernels, method):
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(20), 10)
    data = pd.DataFrame({"g": g, "x": rng.normal(size=200)})
    data["y"] = 1.0 + data["x"] + rng.normal(size=20)[g] + rng.normal(size=200)
    for far in (1e8, 1e10):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = interlace.fit(
                "y ~ x + (1 | g)", data, method=method, hold={"Intercept": far}, kernels=kernels
            )
        assert fit.llf < 0.0
        assert not fit.converged


def test_thresholds_are_held_and_started_by_the_names_that_results_print():
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(20), 10)
    eta = 0.6 * rng.normal(size=20)[g]
    marks = np.digitize(eta + rng.logistic(size=200), [-1.0, 0.2, 1.3])
    data = pd.DataFrame({"y": marks, "x": rng.normal(size=200), "g": g})
    free = interlace.clmm("y ~ x + (1 | g)", data)
    value = float(free.thresholds["1|2"])
    held = interlace.clmm("y ~ x + (1 | g)", data, hold={"1|2": value}, start={"0|1": -1.0})
    assert held.llf == pytest.approx(free.llf, abs=1e-9) and held.df == free.df - 1
    assert held.thresholds["1|2"] == value and held.family_params.empty
    assert "(fixed)" in str(held.summary())
    with pytest.raises(interlace.errors.OptionError, match="several|twice"):
        interlace.clmm("y ~ x + (1 | g)", data, hold={"1|2": 0.0, "threshold_2": 0.0})
    with pytest.raises(interlace.errors.OptionError, match=r"got '1\|2'"):  # no parameter there
        interlace.clmm("y ~ x + (1 | g)", data, threshold="equidistant", hold={"1|2": 0.0})


@pytest.mark.parametrize("sd", [0.0, 2e-5, 1e-3, 0.3])
def test_a_held_correlation_of_us_is_a_row_in_proportion(sd):
    structure = with_held(Unstructured(2), ("a", "b"), {"cor(a, b)": 0.5})
    theta = structure.from_natural(np.array([0.7, sd]))
    T = np.array([[0.7, 0.0], [0.5 * sd, np.sqrt(0.75) * sd]])
    assert structure.template(theta) == pytest.approx(T, abs=1e-12)
    assert structure.natural(theta) == pytest.approx([0.7, sd], abs=1e-12)
    dT = np.array([[0.3, 0.0], [1.1, -0.4]])
    slope = -0.4 + (1.1 * 0.5 / np.sqrt(0.75) if sd else 0.0)  # at 0 that of its mirror image too
    assert structure.pullback(theta, dT) == pytest.approx([0.3, slope], rel=1e-9)
    assert structure.at_bound(theta, np.ones(2), 1e-4).tolist() == [False, sd < 1e-4]
    assert structure.snapped(theta, np.ones(2), 1e-4)[1] == (theta[1] if sd > 1e-4 else 0.0)


@pytest.mark.parametrize("sd", [0.0, 2e-5, 1e-3, 0.3])
def test_slopes_next_to_a_standard_deviation_of_0_with_a_held_correlation(sd):
    """T of standard deviations s, t and correlation r: rows (s, 0) and t (r, sqrt(1 - r^2))."""
    inner = Unstructured(2)
    held, place = {"cor(a, b)": 0.5}, inner.names(("a", "b")).index("cor(a, b)")
    natural = np.where(np.arange(3) == place, 0.5, inner.natural(inner.start()))
    structure = HeldNumbers(inner, held, np.array([place]), natural)
    theta, dT = np.array([0.7, sd]), np.array([[0.3, 0.0], [1.1, -0.4]])
    expected = [dT[0, 0], 0.5 * dT[1, 0] + np.sqrt(0.75) * dT[1, 1]]
    assert structure.template(theta) == pytest.approx(
        np.array([[0.7, 0.0], [0.5 * sd, np.sqrt(0.75) * sd]]), abs=1e-12
    )
    assert structure.pullback(theta, dT) == pytest.approx(expected, rel=1e-6)
    assert structure.at_bound(theta, np.ones(2), 1e-4).tolist() == [False, sd < 1e-4]
    assert structure.snapped(theta, np.ones(2), 1e-4).tolist() == [0.7, sd if sd > 1e-4 else 0.0]


def test_a_correlation_held_against_the_data_leaves_a_variance_of_0():
    """Groups with more zeros have larger counts: held to the contrary there is one variance."""
    data = opposed()
    hold = {"cor(Intercept, pi: Intercept | g)": -0.5}
    fit = interlace.glmer(
        "y ~ 1 + (1 | p | g)", data, "hurdle_poisson", ziformula="~ (1 | p | g)", hold=hold
    )
    without = interlace.glmer("y ~ 1 + (1 | g)", data, "hurdle_poisson")
    assert fit.fit.verdict.status == "boundary" and "variance of pi: Intercept" in fit.status
    assert fit.llf == pytest.approx(without.llf, abs=1e-6)


def opposed():
    """Return counts of groups, with more zeros where the others are larger."""
    rng = np.random.default_rng(6)
    g = np.repeat(np.arange(40), 8)
    b = rng.normal(size=40)
    there = rng.random(320) < 1 / (1 + np.exp(-0.5 + 0.8 * b[g]))
    y = np.where(there, rng.poisson(np.exp(0.4 + 0.6 * b[g])), 0)
    return pd.DataFrame({"y": y, "g": g})


@pytest.mark.parametrize("loading", [-1.0, 1.0])
def test_a_held_loading_is_one_of_those_that_are_estimated(loading):
    data = opposed()

    def fitted(**options):
        return interlace.glmer(
            "y ~ 1 + shared(1 | p | g)", data, "hurdle_poisson",
            ziformula="~ shared(1 | p | g)", **options,
        )  # fmt: skip

    name = "loading(pi: Intercept | g)"
    held, free = fitted(hold={name: loading}), fitted()
    assert held.fit.verdict.converged
    assert held.llf <= free.llf + 1e-9
    # the objective of the free model, its loading moved to there, is that of the held one
    theta = held.training.problem.terms[0].covariance
    psi = free.fit.psi.copy()
    psi[:2] = theta.inside(held.fit.psi[:1])
    psi[2:] = held.fit.psi[1:]
    value = free.training.approximation.objective(free.training.problem)(psi).value
    assert -value == pytest.approx(held.llf, abs=1e-7)


def stationary():
    """Return counts of groups at six levels in an order, with correlations that fall."""
    rng = np.random.default_rng(3)
    apart = np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
    b = rng.normal(size=(60, 6)) @ np.linalg.cholesky(0.6**apart).T
    g, t = np.divmod(np.arange(360), 6)
    f = pd.Categorical([f"l{k}" for k in t])
    return pd.DataFrame({"y": rng.poisson(np.exp(1 + 0.6 * b.ravel())), "g": g, "f": f})


@pytest.mark.parametrize("value", [0.6, -0.6])
def test_a_correlation_that_contradicts_those_of_the_start_can_be_held(value):
    """The others' estimates are checked by fits in which all correlations are held about them."""
    data, name = stationary(), "cor at distance {} | g"

    def height(correlations):
        hold = {name.format(k + 1): each for k, each in enumerate(correlations)}
        return interlace.glmer("y ~ 1 + homtoep(0 + f | g)", data, "poisson", hold=hold).llf

    fit = interlace.glmer(
        "y ~ 1 + homtoep(0 + f | g)", data, "poisson", hold={name.format(4): value}
    )
    assert fit.converged
    structure, place = fit.training.problem.terms[0].covariance, slice(0, 5)
    found = structure.natural(fit.fit.psi[place])[1:]
    found = np.array([*found[:3], value, found[3]])
    assert height(found) == pytest.approx(fit.llf, abs=1e-8)
    for k in (0, 4):
        for step in (-0.02, 0.02):
            assert height(found + step * np.eye(5)[k]) < fit.llf


@pytest.mark.parametrize("value", [0.99, 1.0])
def test_correlations_that_leave_the_others_no_room_are_refused(value):
    with pytest.raises(OptionError, match="leave the other numbers room"):
        interlace.glmer(
            "y ~ 1 + toep(0 + f | g)", stationary(), "poisson",
            hold={"cor at distance 4 | g": value},
        )  # fmt: skip


@pytest.mark.parametrize(
    "name", ["sd(f[l2] | g)", "cor(f[l0], f[l1] | g)", "cor(f[l1], f[l4] | g)"]
)
def test_a_number_held_at_a_singular_estimate_is_that_optimum(name):
    """As free numbers all ended at a wall of what is a covariance, by up to 9.5 too low."""
    rng = np.random.default_rng(4)
    A = rng.normal(size=(5, 2))
    S = A @ A.T + 0.02 * np.eye(5)
    scale = np.sqrt(np.diagonal(S))
    b = rng.multivariate_normal(np.zeros(5), 0.6 * S / scale / scale[:, None], size=30)
    g, t = np.repeat(np.arange(30), 10), np.tile(np.arange(5), 60)
    f = pd.Categorical([f"l{k}" for k in t])
    data = pd.DataFrame({"g": g, "f": f, "y": rng.poisson(np.exp(0.5 + b[g, t]))})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", interlace.errors.ConvergenceWarning)
        free = interlace.glmer("y ~ 1 + us(0 + f | g)", data, "poisson")
        term = free.training.problem.terms[0]
        labels = [each.replace(")", " | g)") for each in term.covariance.names(term.names)]
        numbers = term.covariance.natural(free.fit.psi[: term.covariance.n_theta])
        value = float(numbers[labels.index(name)])
        held = interlace.glmer("y ~ 1 + us(0 + f | g)", data, "poisson", hold={name: value})
        other = interlace.glmer("y ~ 1 + us(0 + f | g)", data, "poisson", hold={name: 0.8 * value})
    assert free.status.startswith("boundary") and held.converged and other.converged
    assert held.llf == pytest.approx(free.llf, abs=1e-6)
    assert other.llf < free.llf


HELD = {"Intercept": 0.4, "x1": 0.3, "sd": {"g": 0.5}}


def test_with_everything_held_accuracy_compares_the_likelihood():
    held = interlace.glmer("yp ~ x1 + (1 | g)", MAP, "poisson", hold=HELD)
    exact = interlace.glmer("yp ~ x1 + (1 | g)", MAP, "poisson", hold=HELD, nAGQ=25)
    found = held.accuracy()
    assert found.loglik_better == pytest.approx(exact.llf, abs=1e-6)
    assert np.isnan(found.largest_move) and not found.move_of
    assert "no estimate is free to move" in found.verdict


def test_with_everything_held_predictions_have_the_uncertainty_of_the_effects_alone():
    held = interlace.glmer("yp ~ x1 + (1 | g)", MAP, "poisson", hold=HELD)
    found = held.predict(MAP.iloc[:5], type="link", interval="confidence")
    se = held.random_effects_se["g"].loc[MAP["g"].iloc[:5]].to_numpy()
    assert found["se"].to_numpy() == pytest.approx(se, rel=1e-8)
    assert held.predict(MAP.iloc[:5], interval="prediction", seed=1).notna().all(axis=None)
    alone = held.predict(MAP.iloc[:5], include_re=False, interval="confidence")
    assert (alone["se"] == 0.0).all()


@pytest.mark.parametrize("ask", [
    lambda fit: fit.profile(),
    lambda fit: fit.confint("sd", method="profile"),
    lambda fit: fit.confint("x1"),
    lambda fit: fit.plot("profile"),
    lambda fit: fit.plot("coefficients"),
    lambda fit: fit.plot("coefficients", intercept=True),
])  # fmt: skip
@pytest.mark.parametrize("linear", [False, True])
def test_with_everything_held_what_needs_an_estimate_says_so(ask, linear):
    if linear:
        fit = interlace.fit("yg ~ x1 + (1 | g)", MAP, hold=HELD | {"sigma": 1.0})
    else:
        fit = interlace.glmer("yp ~ x1 + (1 | g)", MAP, "poisson", hold=HELD)
    with pytest.raises(NotAvailableError, match="held"):
        ask(fit)
    assert fit.confint().empty


@pytest.mark.parametrize("df_method", ["satterthwaite", "kenward-roger"])
@pytest.mark.parametrize("hold", [{"x1": 0.3}, {"x1": 0.3, "Intercept": 0.4}])
def test_a_linear_model_with_held_coefficients_survives_a_file(hold, df_method, tmp_path):
    fit = interlace.fit("yg ~ x1 + (1 | g)", MAP, hold=hold, df_method=df_method)
    fit.save(tmp_path / "held.interlace")
    again = interlace.load(tmp_path / "held.interlace")
    assert str(again.summary()) == str(fit.summary())
    assert again.conf_int().equals(fit.conf_int())


def test_two_terms_with_nothing_free_survive_a_file(tmp_path):
    hold = {"sd": {"g": 0.5, "h": 0.3}}
    fit = interlace.glmer("yp ~ x1 + (1 | g) + (1 | h)", MAP, "poisson", hold=hold)
    fit.save(tmp_path / "held.interlace")
    assert interlace.load(tmp_path / "held.interlace").llf == fit.llf


def placed():
    rng = np.random.default_rng(5)
    data = pd.DataFrame(rng.uniform(0, 10, size=(12, 2)), columns=["u", "v"])
    data["t"], data["g"] = np.tile(np.arange(6), 2), np.repeat([0, 1], 6)
    data["f"] = pd.Categorical([f"l{k}" for k in data["t"]])
    return data.assign(y=rng.poisson(3.0, size=12))


BEYOND = [
    ("mat(0 + u + v | g)", "smoothness", 200.0, "smoothness from 0.0375 to 60, got 200"),
    ("mat(0 + u + v | g)", "smoothness", -1.0, "smoothness from 0.0375 to 60, got -1"),
    ("mat(0 + u + v | g)", "range", 1e9, r"range from 0\.0\d+ to \d+, got 1e\+09"),
    ("mat(0 + u + v | g)", "sd", -1.0, "sd of at least 0, got -1"),
    ("exp(0 + u + v | g)", "range", 0.0, r"range from 0\.0\d+ to \d+, got 0"),
    ("gau(0 + u + v | g)", "range", -1.0, r"range from 0\.0\d+ to \d+, got -1"),
    ("ou(0 + t | g)", "range", 1e9, r"range from 0\.0625 to 50000, got 1e\+09"),
    ("ar1(0 + t | g)", "rho", 1.5, "rho from -1 to 1, got 1.5"),
    ("hetar1(0 + f | g)", "rho", -1.5, "rho from -1 to 1, got -1.5"),
    ("homcs(0 + f | g)", "cor", -0.5, "cor from -0.2 to 1, got -0.5"),
]


@pytest.mark.parametrize(("term", "name", "value", "words"), BEYOND)
def test_a_number_held_beyond_its_limits_is_named_with_them(term, name, value, words):
    with pytest.raises(OptionError, match=f"hold.*: expected {words}\\."):
        interlace.glmer(f"y ~ 1 + {term}", placed(), "poisson", hold={name: {"g": value}})


def test_a_range_beside_a_standard_deviation_held_at_0_says_nothing():
    hold = {"sd": {"g": 0.0}}
    held = interlace.glmer("y ~ 1 + exp(0 + u + v | g)", placed(), "poisson", hold=hold)
    alone = interlace.glmer("y ~ 1", placed(), "poisson")
    assert held.llf == pytest.approx(alone.llf, abs=1e-9)


@pytest.mark.parametrize(("term", "name", "value", "words"), BEYOND)
def test_a_number_to_start_at_beyond_its_limits_is_named_with_them(term, name, value, words):
    with pytest.raises(OptionError, match=f"start.*: expected {words}\\."):
        interlace.glmer(f"y ~ 1 + {term}", placed(), "poisson", start={name: {"g": value}})


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ({"sd(x1 | g)": -1.0}, r"sd\(x1\) of at least 0, got -1\."),
        ({"cor(Intercept, x1 | g)": 1.5}, r"cor\(Intercept, x1\) from -1 to 1, got 1.5\."),
    ],
)
def test_starts_of_unstructured_terms_are_named_too(start, words):
    with pytest.raises(OptionError, match=f"start.*expected {words}"):
        interlace.glmer(SLOPES, MAP, "gaussian", start=start)


@pytest.mark.parametrize("argument", ["hold", "start"])
@pytest.mark.parametrize(
    ("term", "numbers"),
    [
        ("us(0 + f | g)", ["cor(f[l0], f[l1])", "cor(f[l0], f[l2])", "cor(f[l1], f[l2])"]),
        ("toep(0 + f | g)", ["cor at distance 1", "cor at distance 2"]),
    ],
)
def test_correlations_that_contradict_each_other_are_all_said(argument, term, numbers):
    values = dict(
        zip(numbers, [0.9, 0.9, -0.9] if len(numbers) == 3 else [-0.9, -0.9], strict=True)
    )
    said = ", ".join(f"{name} = {value}" for name, value in values.items())
    named = {
        name.replace(")", " | g)") if ")" in name else f"{name} | g": value
        for name, value in values.items()
    }
    with pytest.raises(OptionError) as caught:
        interlace.glmer(f"y ~ 1 + {term}", placed(), "poisson", **{argument: named})
    assert f"got {said}. " in str(caught.value) and "other" in str(caught.value)
