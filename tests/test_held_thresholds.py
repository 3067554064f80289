"""Thresholds that are held: named as the others, in an order, and no hindrance to a start."""

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.data.cuts import risen
from interlace_core.contract import OptionError

FORMULA = "rating ~ temp + (1 | judge)"
CUTS = ["poor|fair", "fair|good", "good|best"]


def wine():
    rng = np.random.default_rng(1)
    judge, temp = np.repeat(np.arange(20), 8), np.tile([0, 1], 80)
    latent = rng.normal(size=20)[judge] + temp + rng.logistic(size=160)
    rating = pd.cut(latent, [-99, -1.5, 0.5, 2, 99], labels=["poor", "fair", "good", "best"])
    return pd.DataFrame({"judge": [f"j{k}" for k in judge], "temp": temp, "rating": rating})


@pytest.fixture(scope="module")
def free():
    return interlace.clmm(FORMULA, wine())


def test_a_held_threshold_leaves_the_others_their_names(free, tmp_path):
    m = interlace.clmm(FORMULA, wine(), hold={"fair|good": float(free.thresholds["fair|good"])})
    assert m.llf == pytest.approx(free.llf, abs=1e-9)
    assert list(m.thresholds.index) == CUTS
    np.testing.assert_allclose(m.thresholds, free.thresholds, atol=1e-6)
    assert m.psi_names() == ["theta_1", "temp", "poor|fair", "good|best"]
    assert "fair|good" not in m.tidy()["term"].tolist()
    assert "fair|good" not in m.confint().index and "good|best" in m.confint().index
    words = str(m.summary())
    line = next(each for each in words.splitlines() if "fair|good" in each)
    assert "(fixed)" in line and "threshold_" not in words
    assert m.family_params.empty
    m.save(tmp_path / "m.json")
    again = interlace.load(tmp_path / "m.json")
    pd.testing.assert_series_equal(again.thresholds, m.thresholds)
    whole = interlace.clmm(FORMULA, wine(), hold=dict(free.thresholds))
    assert "threshold_" not in str(whole.summary())
    assert whole.llf == pytest.approx(free.llf, abs=1e-9)


def test_thresholds_have_priors_by_name_where_one_is_held():
    prior = interlace.student_t(4, 0, 2.5)
    held = {"fair|good": 0.6}
    one = interlace.clmm(FORMULA, wine(), hold=held, priors={"good|best": prior})
    both = interlace.clmm(FORMULA, wine(), hold=held, priors={"thresholds": prior})
    each = {"good|best": prior, "poor|fair": prior}
    assert both.llf < one.llf < interlace.clmm(FORMULA, wine(), hold=held).llf
    assert both.llf == pytest.approx(interlace.clmm(FORMULA, wine(), hold=held, priors=each).llf)
    with pytest.raises(OptionError, match="that is not held"):
        interlace.clmm(FORMULA, wine(), hold=held, priors={"fair|good": prior})


@pytest.mark.parametrize("what", ["hold", "start"])
def test_thresholds_in_the_wrong_order_are_refused(what):
    given = {"poor|fair": 2.0, "good|best": 1.0}
    with pytest.raises(
        OptionError, match=f"{what}: expected thresholds that rise, got 'poor|fair'"
    ):
        interlace.clmm(FORMULA, wine(), **{what: given})
    with pytest.raises(OptionError, match="'fair|good' at 0.5 and 'good|best'"):
        interlace.clmm(FORMULA, wine(), hold={"fair|good": 0.5}, start={"good|best": 0.2})


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("value", [-5.0, 5.0])
def test_thresholds_far_from_the_usual_start_can_be_held_and_given(free, cut, value):
    held = interlace.clmm(FORMULA, wine(), hold={cut: value})
    assert held.converged and held.llf < free.llf
    assert held.thresholds[cut] == value and held.thresholds.is_monotonic_increasing
    given = interlace.clmm(FORMULA, wine(), start={cut: value})
    assert given.llf == pytest.approx(free.llf, abs=1e-8)


def test_thresholds_that_are_not_chosen_make_room():
    chosen = np.array([False, True, False, False, True, False])
    found = risen(np.array([0.0, -1.0, 5.0, 6.0, 2.0, 1.0]), chosen)
    np.testing.assert_allclose(found, [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0])
    rising = np.arange(6.0)
    np.testing.assert_array_equal(risen(rising, chosen), rising)
