"""Every optimizer of this distribution, held against the contract."""

import numpy as np
import pytest

from interlace_core.testing import optimizer_checks
from interlace_scipy import cobyqa
from interlace_scipy.cobyqa import COBYQA
from interlace_scipy.lbfgsb import LBFGSB

needs_cobyqa = pytest.mark.skipif(bool(COBYQA().unavailable), reason=COBYQA().unavailable)


@pytest.mark.parametrize(("name", "check"), optimizer_checks(LBFGSB))
def test_conformance(name, check):
    check()


@needs_cobyqa
@pytest.mark.parametrize(("name", "check"), optimizer_checks(COBYQA))
def test_conformance_of_cobyqa(name, check):
    check()


@needs_cobyqa
def test_cobyqa_asks_for_no_more_than_its_budget():
    asked = []

    def bowl(x):
        asked.append(x)
        return float(x @ x), np.full(x.size, np.nan)

    infinite = np.full(3, np.inf)
    found = COBYQA(max_evaluations=11).minimize(bowl, np.ones(3), (-infinite, infinite))
    assert len(asked) <= 11 and found.n_evaluations == len(asked) and not found.success


@pytest.mark.parametrize(("installed", "words"), [((1, 13), "1.13"), ((1, 12), "1.12")])
def test_an_older_scipy_is_said_with_what_to_do(monkeypatch, installed, words):
    monkeypatch.setattr(cobyqa, "scipy_version", lambda: installed)
    assert f"needs SciPy 1.14 or newer, and {words} is installed" in COBYQA().unavailable
    assert "pip install 'scipy>=1.14'" in COBYQA().unavailable


@pytest.mark.parametrize("installed", [(1, 14), (1, 17), (2, 0)])
def test_a_newer_scipy_will_do(monkeypatch, installed):
    monkeypatch.setattr(cobyqa, "scipy_version", lambda: installed)
    assert COBYQA().unavailable == ""
