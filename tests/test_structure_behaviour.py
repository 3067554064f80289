"""Structures of times and places as models have them: gradients, recovery, limits, refusals."""

import warnings

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.inference.power import _assumed_theta
from interlace_core.messages.errors import (
    ConvergenceWarning,
    DataError,
    DataWarning,
    FormulaError,
    OptionError,
    OutOfMemoryError,
)
from interlace_core.registry.registry import default_registry
from interlace_core.testing.differences import gradient
from reference_fits import load_data

GAP = load_data("sim_gap")
AREAS = load_data("sim_areas")

TERMS = {
    "ar1": (GAP, "yp ~ x + ar1(0 + t | g)"),
    "hetar1": (GAP[GAP["t"] <= 4], "yp ~ x + hetar1(0 + t | g)"),
    "ou": (GAP, "yp ~ x + ou(0 + pos | g)"),
    "homcs": (GAP[GAP["t"] <= 4], "yp ~ x + homcs(0 + tf | g)"),
    "homtoep": (GAP[GAP["t"] <= 4], "yp ~ x + homtoep(0 + t | g)"),
    "exp": (AREAS, "yp ~ z + exp(0 + xc + yc | area)"),
    "gau": (AREAS, "yp ~ z + gau(0 + xc + yc | area)"),
    "mat": (AREAS, "yp ~ z + mat(0 + xc + yc | area)"),
    "rr": (GAP[GAP["t"] <= 4], "yp ~ x + rr(0 + tf | g, d = 2)"),
}


NO_RESIDUAL = ("homcs", "homtoep", "hetar1")
"""Where each level has a row, the variance of the first two is the residual's as well; with the
third the likelihood of these data is highest where nothing is left for a residual."""


@pytest.mark.parametrize(
    ("name", "method"),
    [(name, "laplace") for name in TERMS]
    + [(name, each) for name in TERMS if name not in NO_RESIDUAL for each in ("ml", "reml")],
)
def test_gradients_are_those_of_differences(name, method):
    data, formula = TERMS[name]
    data = data.assign(tf=data["t"].astype(str)) if "t" in data else data
    if method == "laplace":
        fit = interlace.glmer(formula, data, "poisson")
    else:
        fit = interlace.fit(formula.replace("yp", "yg"), data, method=method.upper())
    training = fit.training
    evaluate = training.approximation.objective(training.problem)
    psi = fit.fit.psi + 0.05 * np.random.default_rng(3).normal(size=fit.fit.psi.size)
    free = slice(0, training.problem.n_theta)
    found = evaluate(psi).gradient[free]

    def value(theta):
        return evaluate(np.concatenate([theta, psi[free.stop :]])).value

    wanted = gradient(value, psi[free].copy(), 1e-4)
    assert found == pytest.approx(wanted, rel=1e-5, abs=1e-5 * np.max(np.abs(wanted)))


def made(structure, frame, natural, groups, rng):
    """Return counts of groups whose log means have this covariance, and the places."""
    cls = default_registry().covariance(structure)
    c = len(next(iter(frame.values())))
    names = [str(k) for k in range(c)]
    covariance = cls.from_columns(names, names, frame)
    T = covariance.template(covariance.from_natural(np.array(natural)))
    effects = (T @ rng.normal(size=(c, groups))).T.ravel()
    data = pd.DataFrame({name: np.tile(values, groups) for name, values in frame.items()})
    data["g"] = np.repeat([f"g{k}" for k in range(groups)], c)
    data["y"] = rng.poisson(np.exp(1.0 + effects))
    return data


@pytest.mark.parametrize(
    ("structure", "natural"),
    [
        ("ar1", [0.7, -0.6]),
        ("ou", [0.7, 2.5]),
        ("exp", [0.7, 2.0]),
        ("gau", [0.7, 2.0]),
    ],
)
def test_what_is_simulated_is_found_again(structure, natural):
    rng = np.random.default_rng(11)
    if structure in ("exp", "gau"):
        frame = {"a": rng.uniform(0.0, 10.0, 30), "b": rng.uniform(0.0, 10.0, 30)}
    else:
        times = np.sort(rng.choice(60, size=30, replace=False)).astype(float)
        frame = {"a": times if structure == "ar1" else times / 3.0}
    data = made(structure, frame, natural, 12, rng)
    fit = interlace.glmer(f"y ~ 1 + {structure}(0 + {' + '.join(frame)} | g)", data, "poisson")
    assert fit.converged
    found = fit.confint(["sd", "correlation" if structure == "ar1" else "structure"], level=0.999)
    for (_, row), truth in zip(found.iterrows(), natural, strict=True):
        assert row["lower"] < truth < row["upper"]
    again = fit.refit(fit.simulate(1, seed=3, raw=True)[0])
    assert again.converged


def test_gaps_count_for_numbers_and_not_for_levels():
    numbers = interlace.glmer("yp ~ x + ar1(0 + t | g)", GAP, "poisson")
    levels = interlace.glmer("yp ~ x + ar1(0 + tf | g)", GAP, "poisson")
    assert numbers.llf == pytest.approx(levels.llf, abs=1e-8)  # 1 to 12, all of them there
    twice = interlace.glmer("yp ~ x + ar1(0 + t | g)", GAP.assign(t=2 * GAP["t"]), "poisson")
    rho = numbers.confint("rho | g")["estimate"].iloc[0]
    assert twice.llf == pytest.approx(numbers.llf, abs=1e-7)
    assert twice.confint("rho | g")["estimate"].iloc[0] == pytest.approx(np.sqrt(rho), rel=1e-4)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_other_units_of_time_and_place_are_other_units_of_the_range(unit):
    for formula, data, columns in (
        ("yp ~ x + ou(0 + pos | g)", GAP, ["pos"]),
        ("yp ~ z + exp(0 + xc + yc | area)", AREAS, ["xc", "yc"]),
    ):
        one = interlace.glmer(formula, data, "poisson")
        other = interlace.glmer(
            formula, data.assign(**{c: unit * data[c] for c in columns}), "poisson"
        )
        ranges = [each.confint("structure")["estimate"].iloc[0] for each in (one, other)]
        assert other.llf == pytest.approx(one.llf, abs=1e-7)
        assert ranges[1] == pytest.approx(unit * ranges[0], rel=1e-4)


def test_one_group_is_enough():
    series = load_data("sim_series").assign(grp="all")
    fit = interlace.glmer("yp ~ x + ou(0 + time | grp)", series, "poisson")
    assert fit.converged and fit.ngroups == {"grp": 1}
    with pytest.raises(DataError, match="two levels or more"):
        interlace.glmer("yp ~ x + (1 | grp)", series, "poisson")


def test_a_matern_of_smoothness_one_half_is_exponential():
    exponential = interlace.glmer("yp ~ z + exp(0 + xc + yc | area)", AREAS, "poisson")
    held = interlace.glmer(
        "yp ~ z + mat(0 + xc + yc | area)",
        AREAS,
        "poisson",
        hold={"smoothness": {"area": 0.5}},
    )
    assert held.llf == pytest.approx(exponential.llf, abs=1e-6)
    assert held.df == exponential.df


def test_a_saved_fit_keeps_its_places(tmp_path):
    fit = interlace.glmer("yp ~ z + exp(0 + xc + yc | area)", AREAS, "poisson")
    fit.save(tmp_path / "places.interlace")
    again = interlace.load(tmp_path / "places.interlace")
    assert again.confint().equals(fit.confint())
    assert str(again.summary()) == str(fit.summary())
    assert again.predict(AREAS).to_numpy() == pytest.approx(fit.fittedvalues.to_numpy(), rel=1e-9)
    elsewhere = AREAS.assign(xc=AREAS["xc"] + 0.5)
    assert again.predict(elsewhere).to_numpy() == pytest.approx(fit.predict(elsewhere).to_numpy())
    assert again.predict(AREAS.assign(xc=99.0), include_re=False).notna().all()


@pytest.mark.parametrize(
    ("term", "words"),
    [
        ("ou(0 + tf | g)", "expected numbers, the times"),
        ("exp(0 + tf | g)", "the coordinates"),
        ("ar1(0 + pos | g)", "whole numbers"),
        ("ar1(0 + pos + t | g)", "one column of times"),
        ("toep(0 + uneven | g)", "equally spaced"),
        ("ou(pos | g)", "an intercept"),
        ("rr(0 + tf | g, d = 40)", "at most as many factors"),
        ("rr(0 + tf | g, d = 0)", "from 1"),
        ("propto(0 + tf | g)", "argument known"),
        ("ou(0 + pos | g, d = 2)", "does not take the option"),
    ],
)
def test_what_a_structure_cannot_be_is_said(term, words):
    data = GAP.assign(uneven=GAP["t"] ** 2)
    with pytest.raises(FormulaError) as caught:
        interlace.glmer(f"yp ~ x + {term}", data, "poisson")
    assert words in str(caught.value)


def test_too_many_places_are_refused_with_what_they_cost():
    n = 2001
    data = pd.DataFrame({"x": np.arange(n) * 1.0, "y": 1.0, "g": "all", "c": np.arange(n) % 3})
    with pytest.raises(FormulaError, match=r"at most 2,000 levels or points, got 2,001.* s and"):
        interlace.glmer("c ~ 1 + exp(0 + x + y | g)", data, "poisson")


def test_a_residual_that_the_effects_take_is_named():
    """Its likelihood rises to a limit at 0; held at a value there is an optimum."""
    data, formula = TERMS["hetar1"]
    formula = formula.replace("yp", "yg")
    with pytest.warns(ConvergenceWarning, match=r"residual variance goes to 0.*hetar1.*hold="):
        lost = interlace.fit(formula, data, method="ML")
    held = [interlace.fit(formula, data, method="ML", hold={"sigma": s}) for s in (0.3, 0.1, 0.05)]
    assert all(each.converged for each in held)
    values = [each.llf for each in held]
    assert values[0] < values[1] < values[2] < lost.llf + 1e-3
    # and its gradient is right, where every variance has a slope of its own
    fit = held[0]
    evaluate = fit.training.approximation.objective(fit.training.problem)
    psi = fit.fit.psi + 0.05
    n = fit.training.problem.n_theta
    wanted = gradient(lambda theta: evaluate(np.append(theta, psi[n:])).value, psi[:n].copy(), 1e-4)
    assert evaluate(psi).gradient[:n] == pytest.approx(wanted, abs=1e-5 * np.max(np.abs(wanted)))


@pytest.mark.parametrize("seed", [3, 5])
def test_correlations_of_noise_end_at_a_boundary_that_is_named(seed):
    """Beyond a variance of 0, or a correlation of 1, further correlations move nothing."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"g": np.repeat(np.arange(40), 6), "f": np.tile(list("abcdef"), 40)})
    fit = interlace.glmer("y ~ 1 + toep(0 + f | g)", data.assign(y=rng.poisson(3, 240)), "poisson")
    assert fit.fit.verdict.status == "boundary"
    assert "variance of" in fit.status or "singular" in fit.status


@pytest.mark.parametrize("unit", [1e-60, 1e60])
def test_coordinates_of_any_size_are_places(unit):
    moved = AREAS.assign(xc=AREAS["xc"] * unit, yc=AREAS["yc"] * unit)
    formula = "yp ~ z + exp(0 + xc + yc | area)"
    there = interlace.glmer(formula, moved, "poisson")
    assert there.llf == pytest.approx(interlace.glmer(formula, AREAS, "poisson").llf, abs=1e-7)


def test_effects_at_many_places_in_a_part_for_zeros_take_no_minutes():
    """Other modes are looked for along few lines: all diagonals of 60 places are 3,600."""
    rng = np.random.default_rng(2)
    places = pd.DataFrame(rng.uniform(0, 10, (60, 2)), columns=["a", "b"]).assign(g="all")
    places["y"] = np.where(rng.random(60) < 0.3, 0, rng.poisson(3, 60))
    with pytest.warns(ConvergenceWarning, match=r"covariance of exp\(0 \+ a \+ b \| g\)"):
        fit = interlace.glmer("y ~ 1", places, "zip", ziformula="~ exp(0 + a + b | g)")
    assert fit.converged


def test_points_that_no_memory_holds_are_refused(monkeypatch):
    monkeypatch.setattr("interlace_core.messages.memory.usable_memory", lambda: 9e7)
    times = pd.DataFrame({"t": np.arange(2000), "y": np.ones(2000), "g": "a"})
    times.loc[::3, "y"] = 2.0
    with pytest.raises(OutOfMemoryError, match="2000 rows"):
        interlace.glmer("y ~ 1 + exp(0 + t | g)", times, "poisson")
    fit = interlace.glmer("y ~ 1 + ar1(0 + t | g)", times, "poisson")
    assert "sd" in str(fit.summary())
    assert fit.predict(times.head(3)).shape == (3,)
    with pytest.raises(OutOfMemoryError, match="conditional covariances of 2,000 effects"):
        _ = fit.random_effects_se


def test_numbers_as_text_are_not_taken_for_times_in_silence():
    """As text 10 goes before 2: a chain of such levels is one of another order."""
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"t": np.tile(np.arange(12), 20), "g": np.repeat(np.arange(20), 12)})
    data["g"], data["text"] = data["g"].astype(str), data["t"].astype(str)
    data["y"] = rng.poisson(2.0, size=240)
    with pytest.warns(DataWarning, match="order of text: '?0'?, '?1'?, '?10'?"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        interlace.glmer("y ~ 1 + ar1(0 + text | g)", data, "poisson")
    chosen = data.assign(text=pd.Categorical(data["text"], [str(k) for k in range(12)]))
    for kind, frame in (("homcs", data), ("ar1", chosen)):
        with warnings.catch_warnings():
            warnings.simplefilter("error", DataWarning)
            warnings.simplefilter("ignore", ConvergenceWarning)
            interlace.glmer(f"y ~ 1 + {kind}(0 + text | g)", frame, "poisson")


def test_times_far_apart_in_their_units_are_no_singular_covariance():
    """Weeks in seconds: rho of a second is next to 1, that of neighbours is not."""
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"t": np.tile(np.arange(12), 20), "g": np.repeat(np.arange(20), 12)})
    level = np.zeros((20, 12))
    level[:, 0] = rng.normal(size=20)
    for t in range(1, 12):
        level[:, t] = 0.6 * level[:, t - 1] + 0.8 * rng.normal(size=20)
    data["y"] = rng.poisson(np.exp(1.0 + 0.6 * level)).ravel()
    data["g"], data["s"] = data["g"].astype(str), data["t"] * 604_800
    weeks = interlace.glmer("y ~ 1 + ar1(0 + t | g)", data, "poisson")
    seconds = interlace.glmer("y ~ 1 + ar1(0 + s | g)", data, "poisson")
    assert seconds.llf == pytest.approx(weeks.llf, abs=1e-9)
    assert weeks.status.startswith("optimum")
    assert seconds.status.startswith("optimum")


@pytest.mark.parametrize(("kind", "second"), [("ar1", "rho"), ("ou", "range")])
def test_power_takes_the_numbers_of_a_structure(kind, second):
    data = pd.DataFrame({"t": np.tile(np.arange(6), 15), "g": np.repeat(np.arange(15), 6)})
    data["g"], data["y"] = data["g"].astype(str), np.arange(90) % 4
    formula = f"y ~ t + {kind}(0 + t | g)"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = interlace.glmer(formula, data, "poisson")
    (term,) = fit.training.problem.terms
    theta = _assumed_theta(term, {"sd": 0.7, second: 0.9})
    assert term.covariance.natural(theta) == pytest.approx([0.7, 0.9])

    def power(**numbers):
        return interlace.power(
            formula, data, "poisson", fixed={"Intercept": 1.0}, sd={"g": numbers}, test="t", n=3,
            seed=3,
        )  # fmt: skip

    assert not power(**{"sd": 0.7, second: 0.9}).failures
    for wrong, message in (
        ({"sd": 0.6}, f"there is none for {second}"),
        ({"sd": 0.6, second: -1.2}, f"expected {second} from"),
        ({"sd": 0.6, "shape": 1.0}, f"It has 'sd', '{second}'"),
    ):
        with pytest.raises(OptionError, match=message):
            power(**wrong)
