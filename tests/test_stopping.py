"""A fit that is asked to end gives the best point so far, says so, and claims nothing."""

import numpy as np
import pytest

import interlace
from interlace.config.options import options
from interlace_core.messages.errors import ConvergenceWarning, OptionError
from reference_fits import load_data

CALLS = {
    "glmer": lambda **k: interlace.glmer(
        "incidence / size ~ period + (1 | herd)", load_data("cbpp"), "binomial", weights="size", **k
    ),
    "fit": lambda **k: interlace.fit(
        "Reaction ~ Days + (Days | Subject)", load_data("sleepstudy"), **k
    ),
    "clmm": lambda **k: interlace.clmm("rating ~ temp + (1 | judge)", load_data("wine"), **k),
    "quadrature": lambda **k: interlace.glmer(
        "incidence / size ~ period + (1 | herd)",
        load_data("cbpp"),
        "binomial",
        weights="size",
        nAGQ=5,
        **k,
    ),
    "bobyqa": lambda **k: interlace.glmer(
        "incidence / size ~ period + (1 | herd)",
        load_data("cbpp"),
        "binomial",
        weights="size",
        optimizer="bobyqa",
        **k,
    ),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("after", [1, 3, 6])
def test_a_callback_ends_a_fit_at_the_best_point_so_far(call, after):
    steps = []

    def enough(step):
        steps.append(step)
        return len(steps) >= after

    with pytest.warns(ConvergenceWarning, match="stopped by its callback"):
        fit = CALLS[call](callback=enough)
    assert len(steps) == after
    assert fit.fit.verdict.status == "stopped"
    assert not fit.converged
    assert -fit.fit.value == pytest.approx(max(each.llf for each in steps), abs=1e-9)
    assert steps[-1].best_llf == max(each.llf for each in steps)
    assert [each.evaluations for each in steps] == sorted(each.evaluations for each in steps)
    assert "stopped by its callback" in str(fit.summary())
    assert len(fit.predict()) == fit.nobs  # what it has can be looked at
    assert np.isnan(fit.fe_bse).all() or call == "fit"


def test_a_callback_that_says_nothing_changes_nothing():
    seen = []
    fit = CALLS["glmer"](callback=lambda step: seen.append(step))
    plain = CALLS["glmer"]()
    assert fit.converged and fit.llf == pytest.approx(plain.llf, rel=1e-12)
    assert max(each.llf for each in seen) == pytest.approx(plain.llf, abs=1e-9)
    assert len(seen) <= fit.fit.n_evaluations


def test_time_ends_a_fit_after_its_first_evaluation_at_the_soonest():
    with pytest.warns(ConvergenceWarning, match=r"stopped after .* s \(max_seconds=1e-09\)"):
        fit = CALLS["glmer"](max_seconds=1e-9)
    assert fit.fit.n_evaluations == 1
    with options(max_seconds=1e-9), pytest.warns(ConvergenceWarning, match="stopped after"):
        again = CALLS["glmer"]()
    assert again.llf == fit.llf
    assert CALLS["glmer"](max_seconds=1e9).converged


def test_nothing_further_is_searched_after_a_stop():
    """Of ten random starts the callback lets one search end and a second one begin."""
    counts = [0]

    def in_the_second_search(step):
        counts[0] += step.evaluations == 1
        return counts[0] == 2

    with pytest.warns(ConvergenceWarning, match="one search ended at an optimum"):
        fit = CALLS["glmer"](starts=10, callback=in_the_second_search)
    assert counts[0] == 2
    assert fit.llf == pytest.approx(CALLS["glmer"]().llf, abs=1e-6)
    assert fit.fit.verdict.status == "stopped" and not fit.converged
    assert np.isfinite(fit.fe_bse).all()  # of the optimum that was reached


def test_a_callback_that_fails_is_named_and_no_plugin_is():
    def broken(step):
        raise KeyError("mine")

    with pytest.raises(OptionError, match="callback: .*raised KeyError: 'mine'") as caught:
        CALLS["glmer"](callback=broken)
    assert isinstance(caught.value.__cause__, KeyError)

    def interrupted(step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        CALLS["glmer"](callback=interrupted)


@pytest.mark.parametrize("call", ["glmer", "fit", "clmm"])
@pytest.mark.parametrize(
    "wrong", [{"max_seconds": 0}, {"max_seconds": "1"}, {"max_seconds": np.nan}, {"callback": 3}]
)
def test_what_is_no_time_and_no_function_is_refused(call, wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        CALLS[call](**wrong)


def test_a_stopped_fit_is_saved_as_one(tmp_path):
    with pytest.warns(ConvergenceWarning, match="stopped"):
        fit = CALLS["glmer"](callback=lambda step: True)
    fit.save(tmp_path / "m.interlace")
    again = interlace.load(tmp_path / "m.interlace")
    assert again.status == fit.status and not again.converged


def test_after_a_fit_without_a_covariance_no_uncertainty_is_said():
    """Only conditional on the parameters would it be known, and look far too small."""
    data = load_data("cbpp")
    with pytest.warns(ConvergenceWarning, match="stopped"):
        fit = interlace.glmer(
            "incidence / size ~ period * lead + (1 | herd)",
            data.assign(lead=np.arange(len(data)) % 2),
            "binomial",
            weights="size",
            callback=lambda step: True,
        )
    assert np.isnan(fit.vcov().to_numpy()).all()
    new = data.head(3).assign(lead=[0, 1, 0])
    for interval in (None, "confidence", "prediction"):
        found = fit.predict(new, se=True, interval=interval, seed=1)
        assert found["fit"].notna().all()
        assert found.drop(columns="fit").isna().to_numpy().all()
    tests = fit.term_tests(type=2)
    assert tests["chisq"].isna().all() and tests["df"].tolist() == [3, 1, 3]
    moved = fit.influence(exact=0)
    assert np.isnan(moved.cook.to_numpy()).all() and np.isnan(moved.change.to_numpy()).all()
    assert np.isnan(fit.vcov_robust().to_numpy()).all()


@pytest.mark.parametrize("answer", [np.zeros(3), np.ones(2)], ids=["zeros", "ones"])
def test_a_callback_s_answer_that_is_neither_true_nor_false_is_its_fault(answer):
    with pytest.raises(OptionError, match="callback: expected a function of a Step that returns"):
        CALLS["glmer"](callback=lambda step: answer)
