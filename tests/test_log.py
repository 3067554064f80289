"""The logger `interlace` is told of each fit, and is silent unless it is asked."""

import logging

import interlace
from odd.calls import data


def test_each_fit_is_told_at_info(caplog):
    with caplog.at_level(logging.INFO, logger="interlace"):
        fit = interlace.fit("z ~ x + (1 | g)", data())
        interlace.clmm("r ~ x", data())
    first, second = (each for each in caplog.records if each.name == "interlace")
    said = first.getMessage()
    assert said.startswith(f"fit: z ~ x + (1 | g): {fit.fit.verdict.status}, log-likelihood ")
    assert f"{fit.llf:.6f}" in said and second.getMessage().startswith("clmm: r ~ x: ")


def test_it_is_silent_unless_asked(capfd):
    interlace.fit("z ~ x + (1 | g)", data())
    assert capfd.readouterr() == ("", "")


def test_an_f_test_without_a_covariance_has_no_value():
    import numpy as np

    from interlace.inference.small_samples import Spread, f_test

    for V in (np.full((2, 2), np.nan), np.zeros((2, 2))):
        found = f_test(np.eye(2), np.ones(2), Spread(V, np.zeros((1, 2, 2)), np.eye(1), V))
        assert np.isnan(found.F) and np.isnan(found.den_df)
