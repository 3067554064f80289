"""Which point of several searches is kept, and what is said of it: rules with answers by hand."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import interlace
from fuzz.models import draw
from interlace_core.contract.approximation import Approximation
from interlace_core.fitting import elsewhere
from interlace_core.fitting.fitted import Fit, Searched
from interlace_core.fitting.objective import Objective, SearchStopped, Tally
from interlace_core.fitting.precondition import Coordinates
from interlace_core.fitting.psi_covariance import PsiCovariance
from interlace_core.fitting.start import Start
from interlace_core.fitting.stopping import FitStopped
from interlace_core.fitting.verdict import Verdict, judge, vanished, with_ceiling, with_lower_optima
from interlace_core.messages.errors import ConvergenceWarning, NumericalError
from interlace_core.records import Evaluation, OptimizerResult, Status

OPTIMUM = Verdict("optimum", True, 0.0, (), "optimum")
BOUNDARY = Verdict("boundary", True, 0.0, ("the variance of Intercept | g is 0",), "boundary")
SHORT = Verdict("not reached", False, 1.0, (), "not reached")


def data(n=40):
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {"y": rng.poisson(2.0, n), "x": rng.normal(size=n), "g": np.arange(n) % 8}
    ).astype({"y": float})


def model(formula="y ~ x + (1 | g)", family="poisson", rows=40, **more):
    fit = interlace.glmer(formula, data(rows), family, **more)
    return fit.training.problem, fit.training.approximation, fit.fit


def outcome(fit, value, verdict=OPTIMUM, lost="", **more):
    if lost:
        more |= {"lost": lost, "unsound": f"the density of {lost} all but loses its mode"}
    return replace(fit, value=value, verdict=verdict, n_evaluations=10, searches=(), **more)


@pytest.fixture(scope="module")
def poisson():
    return model()


def test_the_lowest_value_is_kept_with_the_work_of_all(poisson):
    problem, approximation, fit = poisson
    values, limits = iter([30.0, 20.0, 25.0, 40.0, 50.0, 60.0, 70.0, 80.0]), []

    def search(start, limit):
        limits.append(limit)
        return outcome(fit, next(values))

    first = replace(outcome(fit, 28.0, SHORT), n_evaluations=90)
    found = elsewhere.highest(problem, approximation, first, search, np.ones(1), starts=2)
    assert found.value == 20.0 and found.verdict.converged
    assert found.searches[0] == Searched("the usual start", 28.0, False)
    assert found.searches[1].value == 30.0
    assert len(found.searches) == len(limits) + 1
    assert [each.origin for each in found.searches[-2:]] == ["random start 1", "random start 2"]
    assert found.n_evaluations == 90 + 10 * len(limits)
    assert set(limits) == {90}  # as many evaluations as the first one took


def test_a_short_first_search_leaves_the_others_time(poisson):
    problem, approximation, fit = poisson
    limits = []

    def search(start, limit):
        limits.append(limit)
        return outcome(fit, 50.0)

    elsewhere.highest(problem, approximation, outcome(fit, 28.0), search, np.ones(1), starts=1)
    assert limits == [elsewhere.MIN_EVALUATIONS]  # an optimum: the random start alone


@pytest.mark.parametrize("error", [NumericalError("no"), FitStopped("stopped")])
def test_a_search_that_fails_changes_nothing(poisson, error):
    problem, approximation, fit = poisson

    def search(start, limit):
        raise error

    first = outcome(fit, 28.0, SHORT)
    found = elsewhere.highest(problem, approximation, first, search, np.ones(1), starts=2)
    assert found.value == 28.0 and len(found.searches) == 1
    assert found.n_evaluations == first.n_evaluations


def test_where_no_search_reached_an_optimum_the_best_point_is_searched_from(poisson):
    problem, approximation, fit = poisson
    starts = []

    def search(start, limit):
        starts.append(start.psi)
        return outcome(fit, 27.0, SHORT, psi=fit.psi + 5.0)

    first = outcome(fit, 28.0, SHORT)
    found = elsewhere.highest(problem, approximation, first, search, np.ones(1), starts=0)
    assert found.searches[-1].origin == "the highest point so far"
    np.testing.assert_array_equal(starts[-1], fit.psi + 5.0)


@pytest.mark.parametrize(
    ("found", "best", "better"),
    [
        ((10.0, OPTIMUM, ""), (11.0, OPTIMUM, ""), True),
        ((11.0, OPTIMUM, ""), (10.0, OPTIMUM, ""), False),
        ((10.0, SHORT, ""), (11.0, OPTIMUM, ""), True),  # higher, whether or not it was reached
        ((11.0, OPTIMUM, ""), (10.0, SHORT, ""), False),
        ((10.0, OPTIMUM, ""), (10.0, SHORT, ""), True),  # as high, and an optimum
        ((10.0, SHORT, ""), (10.0, OPTIMUM, ""), False),
        ((10.0, OPTIMUM, ""), (10.0, OPTIMUM, ""), False),
        ((10.0 - 1e-8, SHORT, ""), (10.0, OPTIMUM, ""), False),  # rounding
        ((-1e9, OPTIMUM, "a group lost its mode"), (10.0, SHORT, ""), False),
        ((10.0, SHORT, ""), (-1e9, OPTIMUM, "a group lost its mode"), True),
    ],
)
def test_which_of_two_fits_is_kept(poisson, found, best, better):
    one, other = (outcome(poisson[2], v, verdict, unsound=u) for v, verdict, u in (found, best))
    assert elsewhere._is_better(one, other) is better


GROUPS = "1 of 8 levels of g"


def tally_of(evaluations):
    return Tally(n_evaluations=evaluations, n_failed=1, n_inner=2)


@pytest.mark.parametrize(
    ("again", "kept"),
    [((12.0, OPTIMUM, ""), 12.0), ((12.0, SHORT, ""), 12.0), ((3.0, SHORT, GROUPS), 3.0)],
)
def test_a_search_that_lost_a_mode_is_made_again_from_a_stand_ins_end(poisson, again, kept):
    problem, _, fit = poisson
    first, begun = outcome(fit, 5.0, SHORT, lost=GROUPS), []

    def begin(limit):
        begun.append(limit)
        return Start(fit.psi + 1.0, np.ones(1), near=True)

    def search(start, limit):
        assert start.near and np.array_equal(start.psi, fit.psi + 1.0)
        value, verdict, lost = again
        return outcome(fit, value, verdict, lost=lost)

    found = elsewhere.with_modes(first, begin, tally_of(7), search)
    assert found.value == kept and begun == [elsewhere.MIN_EVALUATIONS]
    assert found.n_evaluations == 10 + 7 + 10
    assert [each.value for each in found.searches] == [5.0, again[0]]
    assert ("bounded stand-in" in found.verdict.message) == (again[1:] == (SHORT, ""))
    # what is searched after that is added to what was; short of an optimum it is no better
    more = elsewhere.highest(
        problem, poisson[1], found, lambda *_: outcome(fit, 2.5, SHORT), np.ones(1), starts=1
    )
    assert [each.value for each in more.searches[:2]] == [5.0, again[0]]
    assert (more.value == 12.0) == (again[1:] == (SHORT, ""))


def test_without_a_stand_in_there_is_no_other_search(poisson):
    fit = poisson[2]
    first = outcome(fit, 5.0, SHORT, lost=GROUPS)

    def unwanted(*_):
        raise AssertionError("asked")

    for error in (None, NumericalError("no"), FitStopped("stopped")):

        def begin(limit, error=error):
            if error is not None:
                raise error

        found = elsewhere.with_modes(first, begin, tally_of(7), unwanted)
        assert found.value == 5.0 and not found.searches
        assert found.n_evaluations == 17  # what was tried is counted


def test_searches_that_ended_higher_without_a_mode_are_told_and_count_for_nothing(poisson):
    fit = poisson[2]
    searches = [Searched("usual", 9.0, True), Searched("other", 4.0, False, GROUPS)]
    found = replace(outcome(fit, 9.0), searches=tuple(searches))
    assert elsewhere.lost_higher(found) == GROUPS
    assert found.search_report().startswith("2, of which 1 ended at the highest")
    assert "1 ended where a group all but loses its mode" in found.search_report()
    lower = replace(found, searches=(searches[0], replace(searches[1], value=12.0)))
    assert not elsewhere.lost_higher(lower)
    assert elsewhere.lost_higher(outcome(fit, 5.0, SHORT, lost=GROUPS)) == GROUPS


def test_a_model_with_more_effects_does_not_end_below_the_one_within_it():
    """Seven searches from elsewhere lost a mode, all of them higher: by 40."""
    rng = np.random.default_rng(1)
    G, n = rng.choice([4, 6, 10]), rng.choice([20, 40, 80, 150])
    g, x = rng.integers(0, G, n), rng.normal(size=n).round(2)
    b = rng.normal(size=(G, 2)) * [0.8, 0.5]
    eta = 0.5 + 0.4 * x + b[g, 0] + b[g, 1] * x
    rng.integers(0, 12, n), rng.poisson(np.exp(eta))
    y = np.maximum(rng.negative_binomial(1.5, 1.5 / (1.5 + np.exp(eta))), 1)
    d = pd.DataFrame({"y": y, "x": x, "g": g.astype(str)})
    small = interlace.glmer("y ~ x + (1 | g)", d, "truncated_nbinom1")
    with pytest.warns(ConvergenceWarning, match="bounded stand-in"):
        large = interlace.glmer("y ~ x + (1 + x | g)", d, "truncated_nbinom1")
    assert small.llf == pytest.approx(-137.2305, abs=1e-3)
    assert large.llf >= small.llf and not large.converged


@pytest.mark.parametrize(("slope", "ends"), [(1.0, False), (1e4, True)])
def test_a_search_that_is_lost_ends_there(poisson, slope, ends):
    """It is asked at a new best point, and where the slope is steep alone."""
    asked = []

    def lost(psi, mode):
        asked.append(psi)
        return True

    def evaluate(psi):
        return Evaluation(float(psi[0]), np.full(3, slope), poisson[2].mode, Status.OK, 1)

    coordinates = Coordinates(np.zeros(3), np.eye(3), np.full(3, -9.0), np.full(3, 9.0), 1)
    objective = Objective(evaluate, coordinates, slice(0, 0), lost=lost)
    with pytest.raises(SearchStopped, match="lost") if ends else nullcontext():
        objective(np.ones(3))
    assert len(asked) == ends
    objective(2.0 * np.ones(3))  # higher than what was seen
    assert len(asked) == ends


def test_lower_optima_are_counted_and_told(poisson):
    searched = [Searched("a", 10.0, True), Searched("b", 10.5, True), Searched("c", 12.0, False)]
    fit = replace(outcome(poisson[2], 10.0), searches=tuple(searched))
    assert elsewhere.optima_apart(fit) == 1
    assert "1 of 3 searches ended at a lower one" in with_lower_optima(OPTIMUM, 1, 3).message
    assert with_lower_optima(OPTIMUM, 0, 3) is OPTIMUM
    assert with_lower_optima(SHORT, 1, 3) is SHORT


def test_few_rows_at_a_boundary_are_crowded_where_there_can_be_several_optima():
    problem, _, fit = model("y ~ x + (1 | g)", "zeroinflated_poisson", ziformula="~ 1")
    P = fit.psi.size
    at = outcome(fit, fit.value, BOUNDARY)
    assert problem.n < elsewhere.FEW_ROWS * P and elsewhere.is_crowded(problem, at)
    assert not elsewhere.is_crowded(problem, outcome(fit, fit.value, OPTIMUM))
    assert not elsewhere.is_crowded(problem, outcome(fit, fit.value, SHORT))
    more, _, same = model(
        "y ~ x + (1 | g)", "zeroinflated_poisson", rows=elsewhere.FEW_ROWS * P, ziformula="~ 1"
    )
    assert not elsewhere.is_crowded(more, outcome(same, same.value, BOUNDARY))
    # one variance beside a log-concave density has one optimum; several effects are not enough,
    # nor is a density that is not log-concave
    for formula, family in (
        ("y ~ x + (1 | g)", "poisson"),
        ("y ~ x + (x | g)", "poisson"),
        ("y ~ x + (1 | g)", "negativebinomial"),
    ):
        plain, _, one = model(formula, family)
        assert not elsewhere.is_crowded(plain, outcome(one, one.value, BOUNDARY))


def test_crowded_fits_get_random_starts_without_being_asked():
    problem, approximation, fit = model("y ~ x + (1 | g)", "zeroinflated_poisson", ziformula="~ 1")
    first = outcome(fit, fit.value, BOUNDARY)
    found = elsewhere.highest(
        problem, approximation, first, lambda start, limit: first, np.ones(2), starts=0
    )
    random = [each.origin for each in found.searches if each.origin.startswith("random")]
    assert len(random) == elsewhere.RANDOM_AT_BOUNDARY


def test_what_makes_a_fit_doubtful(poisson):
    problem, _, fit = poisson
    assert not elsewhere.is_doubtful(problem, fit)
    assert elsewhere.is_doubtful(problem, outcome(fit, 1.0, SHORT))
    flat = np.zeros(fit.psi.size, dtype=bool)
    flat[1] = True
    assert elsewhere.is_doubtful(problem, replace(fit, undetermined=flat))
    # a mean on a logarithmic scale that is known to a factor of e^2 and no better
    wide = fit.uncertainty.inner.copy()
    wide[1, 1] = 1.1 * elsewhere.WEAK_SE**2
    assert elsewhere.is_doubtful(problem, replace(fit, uncertainty=PsiCovariance(wide)))
    wide[1, 1] = 0.5 * elsewhere.WEAK_SE**2
    assert not elsewhere.is_doubtful(problem, replace(fit, uncertainty=PsiCovariance(wide)))


SAID = OptimizerResult(np.zeros(1), 1.0, False, "gave up", 3)


@pytest.mark.parametrize(
    ("boundary", "decrement", "status", "words"),
    [
        ((), 1e-9, "optimum", "remaining gain 1.0e-09"),
        ((), 1e-7, "optimum", "remaining gain"),  # the tolerance itself
        (("the variance of a | g is 0",), 0.0, "boundary", "the variance of a | g is 0"),
        ((), 2e-7, "not reached", "about 2e-07 (tolerance 1e-07); the optimizer said: gave up"),
        (("the variance of a | g is 0",), 0.5, "not reached", "about 0.5"),
        ((), np.nan, "not reached", "an unknown amount"),
        ((), np.inf, "not reached", "an unknown amount"),
    ],
)
def test_verdicts_by_what_is_left_to_gain(boundary, decrement, status, words):
    found = judge(boundary, decrement, 1e-7, SAID)
    assert found.status == status and words in found.message
    assert found.converged is (status != "not reached")
    assert found.boundary == boundary


def test_no_more_can_be_gained_than_up_to_a_log_likelihood_of_0():
    near = with_ceiling(SHORT, 5e-8, 1e-7)
    assert (near.status, near.converged, near.remaining_gain) == ("optimum", True, 5e-8)
    above = with_ceiling(SHORT, -1e-12, 1e-7)
    assert above.converged and above.remaining_gain == 0.0
    assert with_ceiling(SHORT, 2e-7, 1e-7) is SHORT
    assert with_ceiling(OPTIMUM, 5e-8, 1e-7) is OPTIMUM
    bound = replace(SHORT, boundary=BOUNDARY.boundary)
    assert with_ceiling(bound, 0.0, 1e-7).message.startswith("boundary: the variance of")


def test_a_slope_s_variance_is_0_by_what_it_has_of_its_own_beside_the_intercept():
    """Of a covariate far from 0 the slope's own part is its spread, not its distance from 0."""
    rng = np.random.default_rng(1)
    d = data(80).assign(x=100.0 + 0.5 * rng.normal(size=80))
    fit = interlace.glmer("y ~ 1 + (x | g)", d, "poisson")
    (term,) = fit.training.problem.terms
    spread = np.sqrt(np.mean((d["x"] - d["x"].mean()) ** 2))

    def gone(sd_of_slope):
        covariance = np.diag([1.0, sd_of_slope**2])
        return vanished(term, term.covariance.nearest(covariance), np.ones(2)).tolist()

    assert gone(2e-4) == [False, True]  # 1e-4 by its spread, 0.02 by its distance from 0
    assert gone(1e-3 / spread * 1.01) == [False, False]
    assert gone(1e-3 / spread * 0.99) == [False, True]


class Wells(Approximation):
    """A function of one standard deviation in place of a likelihood, even in it."""

    name = "wells"

    def __init__(self, depth):
        self.depth = depth

    def check(self, problem):
        """Take anything."""

    def objective(self, problem):
        """Return a shallow well at 0 and one of some depth at 1, beside a parabola for the rest."""

        def evaluate(psi):
            t, rest = psi[0], psi[1:] - 1.0
            near, far = np.exp(-((t / 0.1) ** 2)), np.exp(-(((t * t - 1.0) / 0.8) ** 2))
            value = 60.0 - near - self.depth * far + 0.5 * float(rest @ rest)
            slope = near * 2.0 * t / 0.01 + self.depth * far * 4.0 * t * (t * t - 1.0) / 0.64
            return Evaluation(value, np.concatenate([[slope], rest]), np.zeros(8))

        return evaluate


@pytest.mark.parametrize(("depth", "at"), [(3.0, 1.0), (0.2, 0.0)])
def test_a_search_that_ended_at_a_variance_of_0_is_made_again_from_elsewhere(depth, at):
    """The slope in a standard deviation is 0 at 0, whether or not 0 is the minimum."""
    d = data()
    fit = interlace.glmer(
        "y ~ 1 + (1 | g)", d, "poisson", approximation=Wells(depth), start={"theta": [0.0]}
    )
    assert abs(fit.fit.psi[0]) == pytest.approx(at, abs=0.02)
    assert fit.llf == pytest.approx(-60.0 + max(depth, 1.0 + depth * np.exp(-1 / 0.64)), abs=1e-3)
    assert fit.fit.verdict.status == ("optimum" if at else "boundary")


def test_a_crowded_boundary_is_looked_at_from_random_starts():
    fit = interlace.glmer(
        "y ~ 1 + (1 | g)",
        data(),
        "zeroinflated_poisson",
        ziformula="~ 1",
        approximation=Wells(0.2),
        start={"theta": [0.0]},
    )
    origins = [each.origin for each in fit.fit.searches]
    assert fit.fit.verdict.status == "boundary" and "random start 3" in origins


def test_effects_may_take_up_what_a_dispersion_spreads_where_their_covariance_is_singular():
    """Of 256 rows: 0.49 higher beside the truncated Poisson distribution, as glmmTMB has it too.

    26 of 26 other searches, most of them from random starts, ended at the boundary.
    """
    fit = draw("truncated_negativebinomial", 3).fit()
    assert fit.llf == pytest.approx(-523.131581, abs=1e-5)
    assert [each.origin for each in fit.fit.searches] == [
        "the usual start",
        "the family's constants, near the Poisson distribution in its count part",
    ]


def test_starts_from_elsewhere_are_where_they_say():
    with pytest.warns(ConvergenceWarning, match="stopped"):  # the problem is wanted, not a fit
        problem, approximation, _ = model(
            "y ~ x + (x | g)",
            "zeroinflated_negativebinomial",
            ziformula="~ 1",
            callback=lambda step: True,
        )
    found = dict(elsewhere.elsewhere(problem, approximation))
    start = found["the family's constants"].psi
    small = found["the family's constants, with small random effects"].psi
    theta = slice(0, problem.n_theta)
    np.testing.assert_allclose(small[theta], 0.1 * start[theta])
    opposed = found["the family's constants, with effects of opposed sign"].psi
    T = problem.terms[0].covariance.template(opposed[theta])
    usual = problem.terms[0].covariance.template(start[theta])
    S, sd = T @ T.T, np.linalg.norm(usual, axis=1)
    np.testing.assert_allclose(S, np.outer(sd, sd) * [[1.0, -0.7], [-0.7, 1.0]], rtol=1e-7)
    roles = {each.parameter.role: k for k, each in enumerate(problem.predictors)}
    places = problem.beta_slices()
    (near,) = (psi.psi for origin, psi in found.items() if "poisson" in origin.lower())
    assert near[places[roles["dispersion"]]] == pytest.approx(elsewhere.NEAR_LIMIT)
    none = found["the family's constants, with next to no zero part"].psi
    assert none[places[roles["zero"]]] == pytest.approx(elsewhere.NO_ZEROS_ETA)
    # what has ended near the limit need not be looked for there
    again = dict(elsewhere.elsewhere(problem, approximation, near + 1.0))
    assert not any("poisson" in origin.lower() for origin in again)


class Hill(Wells):
    """Nothing but a slope that no optimum ends."""

    def objective(self, problem):
        """Return something that falls for ever."""
        return lambda psi: Evaluation(
            60.0 + float(np.exp(-psi[1])), np.array([0.0, -np.exp(-psi[1])]), np.zeros(8)
        )


def test_a_fit_keeps_all_searches_in_its_report():
    with pytest.warns(ConvergenceWarning):
        fit = interlace.glmer("y ~ 1 + (1 | g)", data(), "poisson", approximation=Hill(1.0))
    assert isinstance(fit.fit, Fit) and len(fit.fit.searches) > 1
    assert f"{len(fit.fit.searches)}, of which" in str(fit.summary())
