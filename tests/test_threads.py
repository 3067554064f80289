"""A fit holds BLAS to one thread and gives the user's number back, whatever else runs."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import ThreadpoolController

import interlace
from interlace.threads import MANY_CROSSED, blas_threads
from interlace_core.messages.errors import FormulaError, OptionError
from interlace_scipy.lbfgsb import LBFGSB


def libraries():
    import scipy.linalg  # noqa: F401 - so that its library is there

    return ThreadpoolController().select(user_api="blas").lib_controllers


def in_use():
    return {each.get_num_threads() for each in libraries()}


def set_all(numbers):
    for library, number in zip(libraries(), numbers, strict=True):
        library.set_num_threads(number)
        getattr(library, "clear_controlling_thread", bool)()


@pytest.fixture(autouse=True)
def two_threads():
    """Start from two, on any machine: what the user has set."""
    before = [each.get_num_threads() for each in libraries()]
    set_all([2] * len(before))
    yield
    set_all(before)


SEEN = []


@dataclass(frozen=True)
class Watching(LBFGSB):
    """Notes how many threads BLAS has while a search runs."""

    def minimize(self, objective, start, bounds):
        SEEN.append(in_use())
        return super().minimize(objective, start, bounds)


@pytest.fixture(autouse=True)
def seen():
    SEEN.clear()
    yield SEEN


@pytest.fixture
def cbpp():
    return interlace.datasets.load("cbpp")


def glmer(data, **arguments):
    formula = "incidence / size ~ period + (1 | herd)"
    return interlace.glmer(
        formula, data, "binomial", weights="size", optimizer=Watching(), **arguments
    )


def test_a_fit_has_one_thread_and_gives_back_what_the_user_had(cbpp, seen):
    glmer(cbpp)
    assert seen and all(each == {1} for each in seen)
    assert in_use() == {2}


def test_so_have_refits_and_profiles(cbpp, seen):
    model = glmer(cbpp)
    seen.clear()
    model.refit(np.column_stack([cbpp["incidence"], cbpp["size"]])[::-1])
    model.confint("period[T.2]", method="profile")
    assert seen and all(each == {1} for each in seen)
    assert in_use() == {2}


def test_the_number_asked_for_holds_in_refits_too(cbpp, seen):
    model = glmer(cbpp, threads=2)
    model.confint("period[T.2]", method="profile")
    with interlace.options(threads=2):
        glmer(cbpp)
    assert seen and all(each == {2} for each in seen)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "all", True])
def test_a_number_that_is_none_is_refused(cbpp, threads):
    with pytest.raises(OptionError, match="threads: expected an integer of at least 1"):
        glmer(cbpp, threads=threads)


def test_a_large_crossed_part_keeps_the_users_threads(seen):
    rng = np.random.default_rng(7)
    levels = MANY_CROSSED + 1
    data = pd.DataFrame(
        {
            "g": rng.permutation(np.arange(4 * levels) % (levels + 5)),
            "h": np.arange(4 * levels) % levels,
        }
    )
    data["y"] = rng.normal(size=levels + 5)[data["g"]] + rng.normal(size=len(data))
    interlace.fit("y ~ 1 + (1 | g)", data, optimizer=Watching())
    assert seen.pop() == {1}
    interlace.fit("y ~ 1 + (1 | g) + (1 | h)", data, optimizer=Watching())
    assert seen and all(each == {2} for each in seen)


def test_an_error_gives_the_threads_back(cbpp):
    with pytest.raises(FormulaError):
        interlace.glmer("incidence ~ nothing + (1 | herd)", cbpp, "poisson")
    assert in_use() == {2}


def test_the_last_of_several_fits_at_once_gives_the_threads_back(cbpp, seen):
    inside, go_on = threading.Barrier(2, timeout=10), threading.Event()

    def hold():
        with blas_threads(1):
            inside.wait()
            assert go_on.wait(10)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        inside.wait()
        glmer(cbpp)
        assert in_use() == {1}
        go_on.set()
        holding.result()
    assert in_use() == {2}
